"""Weights made elsewhere: found in a folder or on the Hub, and read without running code that a file may hold."""

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from hubgan.errors import ModelError, Remedy
from hubgan.hub.download import PICKLES, ModelSource
from hubgan.models.config import CONFIG, WEIGHTS, Config, read_config
from hubgan.models.weights import read_weights
from hubgan.networks import UPSCALERS
from hubgan.networks.community import COMMUNITY, CommunityNetwork, spandrel

_UNPICKLED = (".pth", ".ckpt")  # pickles that spandrel's restricted unpickler reads
_REMEDY = "Use the weights as safetensors"


class Found(NamedTuple):
    """A file of weights, the name of their source, and the config.json if hubgan has saved them."""

    file: Path
    source: str
    config: Config | None


def find(source: ModelSource, weights_name: str | None = None, allow_pickle: bool = False) -> Found | None:
    """The community weights at a source, which may be a file itself; None if it holds a model of hubgan's own.

    Args:
        source: a file, a folder or a repository.
        weights_name: the file to read; by default the only one that ends with `.safetensors`.
        allow_pickle: read a pickle, if it is named or there is nothing else.

    Raises:
        ModelError: there is no file that may be read, or there are several; or the source cannot be reached.
        ConfigError: its config.json is hubgan's and damaged.
    """
    if os.path.isfile(source.name) and weights_name:  # noqa: PTH113
        raise ModelError(
            f"{source.name} is already a weight file",
            Remedy("Leave out weights_name, or pass the folder", "Remove --weights-name, or pass the folder"),
        )
    if os.path.isfile(source.name):  # unlike Path.is_file, no error for a name too long to be one  # noqa: PTH113
        source, weights_name = replace(source, name=str(Path(source.name).parent)), Path(source.name).name
    config = None
    if weights_name is None:
        files = source.files()
        if CONFIG in files:
            config = _own_config(source.file(CONFIG))
        if config and config.options["architecture"] != COMMUNITY:
            return None
        weights_name = WEIGHTS if config and WEIGHTS in files else _only_one(files, source.name)
        if weights_name is None:
            return None
    _check_kind(weights_name, source.name, allow_pickle)
    # A folder's path is private. A name on the Hub leads to the licence of the weights.
    origin = "/".join(filter(None, ["" if source.folder else source.name, source.subfolder, weights_name]))
    return Found(source.file(weights_name), config.options.get("source", origin) if config else origin, config)


def load(found: Found, dtype: torch.dtype | None = None) -> CommunityNetwork:
    """The network of a file of weights.

    Args:
        found: the file.
        dtype: the dtype to convert the weights to; by default float16 weights stay float16 if the architecture
            computes in it, and all others become float32.

    Raises:
        ModelError: the file is damaged or holds no weights, hubgan does not run their network, or its config.json
            describes another one.
    """
    weights = _read(found.file)
    try:
        network = CommunityNetwork(weights, dtype)
    except ModelError as error:
        raise error.with_context(f"{found.file}: ") from error
    said = found.config.options if found.config else network.options
    if any(said.get(key) != value for key, value in network.options.items()):
        raise ModelError(f"{found.file} holds {network.options}, but its {CONFIG} says {said}")
    return network


def _own_config(file: Path) -> Config | None:
    """A `config.json` if hubgan wrote it; None for one of another library."""
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        config = None
    if isinstance(config, dict) and "_hubgan_version" not in config:
        architecture = config.get("architecture")
        if not isinstance(architecture, str) or architecture not in {*UPSCALERS, COMMUNITY}:
            return None
    return read_config(file)


def _only_one(files: list[str], where: str) -> str | None:
    """The file of weights among `files`, a pickle only if there is nothing else; None if there is none."""
    for suffixes in ((".safetensors",), PICKLES):
        names = [name for name in files if name.lower().endswith(suffixes)]
        if len(names) > 1:
            raise ModelError(
                f"{where} holds several models: {', '.join(names)}",
                Remedy("Select one with weights_name=", "Select one with --weights-name"),
            )
        if names:
            return names[0]
    return None


def _check_kind(name: str, where: str, allow_pickle: bool) -> None:
    suffix = Path(name).suffix.lower()
    if suffix not in (".safetensors", *PICKLES):
        raise ModelError(f"{name} is not a weight file", "Pass a .safetensors file")
    if suffix in PICKLES and not (allow_pickle and suffix in _UNPICKLED):
        remedy = Remedy(
            "Convert it to safetensors. Or pass allow_pickle=True: spandrel's restricted unpickler reads only tensors",
            "Convert it to safetensors. Or pass --allow-pickle: spandrel's restricted unpickler reads only tensors",
        )
        others = f"Convert it to safetensors. The only pickles that can be read are {' and '.join(_UNPICKLED)}"
        raise ModelError(
            f"{name} of {where} is a pickle, which can run any code when it is read",
            remedy if suffix in _UNPICKLED else others,
        )


def _read(file: Path) -> Mapping[str, Any]:
    if file.suffix.lower() == ".safetensors":
        return read_weights(file)
    try:
        # torch.load runs a TorchScript archive in its interpreter, whatever its name and whichever unpickler is used.
        # PyTorch's own reader decides, because another one may see another archive in the same bytes.
        reader: Any = torch._C.PyTorchFileReader
        if _is_archive(file) and reader(str(file)).has_record("constants.pkl"):
            raise ModelError(f"{file} is a program (TorchScript), not weights alone, and was not run", _REMEDY)
        weights: Mapping[str, Any] = spandrel().ModelLoader().load_state_dict_from_file(file)
        return weights
    except ModelError:
        raise
    except Exception as error:  # a pickle may raise any error
        raise ModelError(f"{file} is damaged, or not weights alone ({str(error)[:200]})", _REMEDY) from error


def _is_archive(file: Path) -> bool:
    """Whether torch.load would read a file as a zip archive: by its first bytes alone."""
    with file.open("rb") as stream:
        return stream.read(4) == b"PK\x03\x04"
