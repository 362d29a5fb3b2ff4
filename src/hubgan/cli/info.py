"""Show what a model is, how it was trained and how good it is.

  hubgan info me/photo-x4
  hubgan info runs/cifar-dcgan --subfolder discriminator
  hubgan info me/photo-x4 --json

Of a model that hubgan saved, only the configuration and the first bytes of the
weights are downloaded.
"""

import argparse
import json
import os
import shutil
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hubgan.cli.arguments import add_model, announce_torch, find_model
from hubgan.errors import ConfigError

if TYPE_CHECKING:
    from hubgan.hub.download import ModelSource
    from hubgan.models.figures import Result

_DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_model(parser, "the model", elsewhere=True)
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def run(args: argparse.Namespace) -> None:
    """Print the description."""
    find_model(args)
    announce_torch()
    from hubgan.hub.download import ModelSource

    source = ModelSource(args.model, subfolder=args.subfolder, revision=args.revision)
    about = describe(source, weights_name=args.weights_name, allow_pickle=args.allow_pickle)
    print(json.dumps(about, indent=2) if args.json else in_words(about))


def describe(source: "ModelSource", *, weights_name: str | None = None, allow_pickle: bool = False) -> dict[str, Any]:
    """What is known of a model, in JSON's types; what is not known is None or empty.

    Raises:
        ModelError: the model cannot be found or reached, or is damaged.
        ConfigError: its configuration is broken.
    """
    from huggingface_hub import ModelCard
    from yaml import YAMLError

    from hubgan.models.config import CARD

    files = [] if os.path.isfile(source.name) else source.files()  # noqa: PTH113  # no error for too long a name
    about = (None if weights_name else _outline(source, files)) or _whole(source, weights_name, allow_pickle)
    try:
        card = ModelCard.load(source.file(CARD), ignore_metadata_errors=True).data if CARD in files else None
    except (ValueError, TypeError, YAMLError):  # a card that cannot be read is ignored
        card = None
    about["license"] = about["license"] or getattr(card, "license", None)
    named = getattr(card, "datasets", None) or []
    about["dataset"] = about["dataset"] or ", ".join([named] if isinstance(named, str) else named) or None
    return about


def in_words(about: dict[str, Any]) -> str:
    """A description in lines for a terminal."""
    options = ", ".join(f"{key} {value}" for key, value in about["options"].items())
    lines = [
        f"{about['class']}, network {about['architecture']}: {about['parameters']:,} parameters,"
        f" {about['dtype']}, {about['bytes'] / 2**20:,.1f} MiB",
        *_paragraph(about["purpose"] or ""),
        *_paragraph(options),
    ]
    shown = {"data set": about["dataset"], "licence": about["license"], "notice": about["notice"]}
    sections = {
        "": [(key, value) for key, value in shown.items() if value] or [("licence", "not stated")],
        "training": list(about["facts"].items()) or [("", "none recorded")],
        "results": [_result(result) for result in about["results"]] or [("", "none recorded")],
    }
    for title, rows in sections.items():
        lines += ["", *filter(None, [title])]
        width = max(len(key) for key, _ in rows)
        for key, value in rows:
            lines += _paragraph(str(value), f"{key:<{width}}  " if key else "")
    return "\n".join(lines)


def _outline(source: "ModelSource", files: list[str]) -> dict[str, Any] | None:
    """The description of a model that hubgan saved, without its weights; None if they are needed for it."""
    import torch

    from hubgan.models import MODELS
    from hubgan.models.config import CONFIG, WEIGHTS, read_config
    from hubgan.networks.community import COMMUNITY

    if not {CONFIG, WEIGHTS} <= set(files):
        return None
    file = source.file(CONFIG)
    try:
        config = read_config(file)
    except ConfigError:  # another library's
        return None
    if config.kind not in MODELS or config.options["architecture"] == COMMUNITY:
        return None
    try:
        with torch.device("meta"):
            model = MODELS[config.kind](**config.options)
    except ConfigError as error:
        raise error.with_context(f"{file}: ", config.upgrade) from error
    except TypeError as error:
        raise ConfigError(f"{file}: {error}", config.upgrade) from error
    model.training_run = config.training_run
    size, dtype = _header(source, file.with_name(WEIGHTS))
    return _about(model, size, dtype, config.written_by)


def _whole(source: "ModelSource", weights_name: str | None, allow_pickle: bool) -> dict[str, Any]:
    """The description of a model that has to be loaded, such as an upscaler made elsewhere."""
    from hubgan import Upscaler

    model = Upscaler.from_pretrained(
        source.name,
        subfolder=source.subfolder,
        revision=source.revision,
        weights_name=weights_name,
        allow_pickle=allow_pickle,
    )
    size = sum(tensor.nbytes for tensor in model.state_dict().values())
    return _about(model, size, str(model.dtype).removeprefix("torch."), None)


def _about(model: Any, size: int, dtype: str, written_by: str | None) -> dict[str, Any]:
    run = model.training_run or {}
    return {
        "class": type(model).__name__,
        "purpose": getattr(model, "purpose", None),
        "architecture": model.config["architecture"],
        "options": {key: value for key, value in model.config.items() if key != "architecture"},
        "parameters": model.num_parameters(),
        "dtype": dtype,
        "bytes": size,
        "hubgan_version": written_by,
        "license": run.get("license"),
        "dataset": run.get("dataset"),
        "notice": run.get("notice"),
        "facts": run.get("facts", {}),
        "results": run.get("results", []),
    }


def _header(source: "ModelSource", file: Path) -> tuple[int, str]:
    """The size of the weights in bytes and the type of their floats, from the first bytes of their file.

    `file` is the path of the weights if they are on this machine: in a folder, or in the cache beside config.json.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        HTTPError,
        NotASafetensorsRepoError,
        OfflineModeIsEnabled,
        SafetensorsParsingError,
    )
    from safetensors import SafetensorError, safe_open

    from hubgan.models.weights import damaged

    if not file.is_file():
        name = f"{source.subfolder}/{file.name}" if source.subfolder else file.name
        at: dict[str, Any] = {"repo_id": source.name, "revision": source.revision, "token": source.token}
        try:
            header = HfApi().parse_safetensors_file_metadata(filename=name, **at)
            size = sum(getattr(info, "size", 0) for info in HfApi().get_paths_info(paths=[name], **at))
            return size, _floats({tensor.dtype for tensor in header.tensors.values()})
        except (HTTPError, NotASafetensorsRepoError, OfflineModeIsEnabled, SafetensorsParsingError):
            file = source.file(file.name)
    try:
        with safe_open(file, "pt") as tensors:
            dtypes = {tensors.get_slice(key).get_dtype() for key in tensors.keys()}  # noqa: SIM118
            return file.stat().st_size, _floats(dtypes)
    except SafetensorError as error:
        raise damaged(file, error) from error


def _floats(dtypes: set[str]) -> str:
    return " and ".join(sorted(_DTYPES[dtype] for dtype in dtypes if dtype in _DTYPES))


def _result(result: "Result") -> tuple[str, str]:
    from hubgan.metrics import registry
    from hubgan.models.figures import images_of

    few = "too few images to be reliable" if registry.mark(result["metric"], images_of(result)) else ""
    on = ", ".join(
        filter(
            None,
            [
                " ".join(filter(None, [result["dataset"], result.get("split")])),
                f"{result['samples']:,} images" if "samples" in result else "",
                result.get("extractor", ""),
                few,
            ],
        )
    )
    settings = result.get("settings", {})
    beside = "".join(f", {key} {settings[key]:.4g}" for key in registry.comparisons() if key in settings)
    return result["name"], f"{result['value']:.4g}{beside}  ({on})"


def _paragraph(text: str, start: str = "") -> list[str]:
    width = max(shutil.get_terminal_size().columns, 40)
    indent = " " * (len(start) + 2)
    return textwrap.wrap(text, width, initial_indent=f"  {start}", subsequent_indent=indent)
