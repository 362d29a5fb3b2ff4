"""The base of everything that lives on the Hub: one network, its configuration, and how both are saved and loaded."""

import inspect
import json
import logging
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from huggingface_hub import ModelCard, PyTorchModelHubMixin, constants, hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from hubgan.errors import ConfigError, ModelError, nearest
from hubgan.models.card import TrainingRun, is_untouched, model_card
from hubgan.version import __version__

logger = logging.getLogger(__name__)

WEIGHTS, CONFIG, CARD = constants.SAFETENSORS_SINGLE_FILE, constants.CONFIG_NAME, "README.md"
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")

Self = TypeVar("Self", bound="HubModel")


class HubModel(nn.Module, PyTorchModelHubMixin, library_name="hubgan"):
    """One network chosen by `architecture`, and what the Hub needs to know of it.

    `config` holds the architecture and every option of its network. `training_run` is what a training run says about
    itself (data set, images seen, hardware, ...); it is kept in `config.json`, so that the card stays true however
    often the model is loaded and saved again.

    Args:
        architecture: a name in `networks`.
        **options: options of that network; those left out take its defaults.

    Raises:
        ConfigError: an unknown architecture or option, or a value out of bounds.
    """

    networks: ClassVar[Mapping[str, type[nn.Module]]]
    description: ClassVar[str]

    def __init__(self, architecture: str, **options: Any) -> None:
        super().__init__()
        self.network = _build(self.networks, architecture, options)
        defaults = {p.name: p.default for p in _parameters(self.networks[architecture])}
        self.config: dict[str, Any] = {"architecture": architecture, **defaults, **options}
        self.training_run: TrainingRun | None = None

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The weights' type."""
        return next(self.parameters()).dtype

    def num_parameters(self) -> int:
        """How many numbers the network learns."""
        return sum(p.numel() for p in self.parameters())

    # -- saving ------------------------------------------------------------------------------------------------

    def save_pretrained(  # type: ignore[override]
        self,
        save_directory: str | Path,
        *,
        config: Any = None,
        repo_id: str | None = None,
        push_to_hub: bool = False,
        model_card_kwargs: dict[str, Any] | None = None,
        **push_to_hub_kwargs: Any,
    ) -> str | None:
        """Write `model.safetensors`, `config.json` and `README.md` (the card) into a folder, made when missing.

        Each file is written beside and renamed into place. A card that a person has edited is left alone.

        Args:
            save_directory: the folder.
            config: accepted as the mixin has it and ignored: a model's configuration is its network's.
            repo_id: the model's name on the Hub, for the card and for the push; the folder's name by default.
            push_to_hub: push what was saved as well; further arguments are those of `push_to_hub`.
            model_card_kwargs: passed to `generate_model_card`.

        Raises:
            ModelError: the folder cannot be written.
        """
        folder = Path(save_directory)
        name = repo_id or folder.name
        card = self.generate_model_card(**{"name": name, **(model_card_kwargs or {})})
        settings = {
            "_class_name": type(self).__name__,
            "_hubgan_version": __version__,
            **self.config,
            **({"training_run": self.training_run} if self.training_run else {}),
        }
        tensors = {key: value.detach().cpu().contiguous() for key, value in self.state_dict().items()}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder, prefix=".saving-") as beside:
                Path(beside, WEIGHTS).write_bytes(save(tensors, metadata={"format": "pt"}))
                Path(beside, CONFIG).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
                Path(beside, CARD).write_text(str(card), encoding="utf-8")
                if (folder / CARD).exists() and not is_untouched((folder / CARD).read_text(encoding="utf-8")):
                    logger.warning("%s was edited by hand and is left as it is", folder / CARD)
                    Path(beside, CARD).unlink()
                for file in (CONFIG, WEIGHTS, CARD):
                    if Path(beside, file).exists():
                        Path(beside, file).replace(folder / file)
        except (OSError, SafetensorError) as error:
            raise ModelError(f"cannot save the model in {folder}: {error}") from error
        if push_to_hub:
            return self.push_to_hub(name, model_card_kwargs=model_card_kwargs, **push_to_hub_kwargs)
        return None

    def push_to_hub(self, repo_id: str, **kwargs: Any) -> str:  # type: ignore[override]
        """Push to `repo_id` in one commit, as the mixin's own does; returns the commit's address."""
        kwargs["model_card_kwargs"] = {"name": repo_id, **(kwargs.get("model_card_kwargs") or {})}
        return super().push_to_hub(repo_id, **kwargs)

    def generate_model_card(self, *, name: str = "", **kwargs: Any) -> ModelCard:  # type: ignore[override]
        """The card: what the model is, how to load it by `name`, what it was trained on."""
        metadata = self._hub_mixin_info.model_card_data
        about: dict[str, Any] = {
            "kind": type(self).__name__,
            "description": self.description,
            "pipeline_tag": metadata.pipeline_tag,
            "tags": metadata.tags,
            "config": self.config,
            "parameters": self.num_parameters(),
            "run": self.training_run or {},
        }
        return model_card(name=name, **about, **kwargs)

    # -- loading -----------------------------------------------------------------------------------------------

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls: type[Self],
        pretrained_model_name_or_path: str | Path,
        *,
        subfolder: str | None = None,
        revision: str | None = None,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
        device: str | torch.device = "cpu",
        strict: bool = True,
    ) -> Self:
        """Load a model from a folder or from the Hub, in evaluation mode and in the dtype that was saved.

        Only `model.safetensors` is ever read, no pickle.

        Args:
            pretrained_model_name_or_path: a folder that holds `config.json` and `model.safetensors`, or a Hub name.
            subfolder: where in the folder or repository the model lies, e.g. "discriminator".
            revision: branch, tag or commit on the Hub.
            token: access token; by default the one of `hf auth login`.
            cache_dir, force_download, local_files_only: as in `huggingface_hub.hf_hub_download`.
            device: where the weights go.
            strict: refuse weights with missing or extra keys. Wrong shapes are always refused.

        Raises:
            ModelError: the model cannot be found or reached, or its weights do not fit.
            ConfigError: its `config.json` is not one of hubgan's, or asks for something impossible.
        """
        name = str(pretrained_model_name_or_path)
        download = {"revision": revision, "token": token, "cache_dir": cache_dir}
        download |= {"force_download": force_download, "local_files_only": local_files_only}
        config_file = _locate(name, subfolder, CONFIG, download)
        options, training_run = _read_config(config_file, cls)
        weights_file = _locate(name, subfolder, WEIGHTS, download)
        try:
            # On the meta device no memory is taken before the weights have proved to fit.
            with torch.device("meta" if strict else "cpu"):
                model = cls(**options)
        except ConfigError as error:
            raise ConfigError(f"{config_file}: {error}") from error
        model.training_run = training_run
        try:
            state = load_file(weights_file, device=str(device))
        except (SafetensorError, OSError) as error:
            raise ModelError(
                f"{weights_file} is damaged or cut short ({error}); copy or download it again"
                " (from the Hub: force_download=True)"
            ) from error
        _check_fit(weights_file, model.state_dict(), state, strict)
        model.load_state_dict(state, strict=strict, assign=True)
        return model.to(device).eval()


def _parameters(network: type[nn.Module]) -> list[inspect.Parameter]:
    return list(inspect.signature(network).parameters.values())


def _build(networks: Mapping[str, type[nn.Module]], architecture: str, options: dict[str, Any]) -> nn.Module:
    if architecture not in networks:
        raise ConfigError(f"unknown architecture {architecture!r}{nearest(architecture, networks)}")
    known = [p.name for p in _parameters(networks[architecture])]
    for option in options:
        if option not in known:
            raise ConfigError(f"{architecture} has no option {option!r}{nearest(option, known)}")
    try:
        return networks[architecture](**options)
    except ValidationError as error:
        first = error.errors()[0]
        reason = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
        where = ".".join(map(str, first["loc"]))
        raise ConfigError(f"{architecture}: {where} is {first['input']!r}; it {reason}") from error


def _locate(name: str, subfolder: str | None, filename: str, download: dict[str, Any]) -> Path:
    """A model's file in a folder, or fetched from the Hub."""
    if os.path.isdir(name):  # unlike Path.is_dir, no error for a name too long to be one  # noqa: PTH112
        folder = Path(name, subfolder or "")
        if (folder / filename).is_file():
            return folder / filename
        raise ModelError(_missing(filename, str(folder), [p.name for x in _PICKLES for p in folder.glob(x)]))
    where = f"{name} ({constants.ENDPOINT})"
    try:
        return Path(hf_hub_download(name, filename, subfolder=subfolder, **download))
    except HFValidationError as error:
        raise ModelError(f"{name!r} is neither a folder on this machine nor a Hub name (user/model)") from error
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"{name!r} is neither a folder on this machine nor a model you can see at {constants.ENDPOINT};"
            " check the spelling, and for a private model log in (hf auth login) or pass token="
        ) from error
    except RevisionNotFoundError as error:
        raise ModelError(f"{where} has no revision {download['revision']!r}") from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        raise ModelError(
            f"{name!r} is no folder on this machine, it is not in the download cache, and the Hub"
            f" ({constants.ENDPOINT}) cannot be reached; check the connection, or pass the path of a folder that"
            f" holds {CONFIG} and {WEIGHTS}"
        ) from error
    except EntryNotFoundError as error:
        raise ModelError(_missing(os.path.join(subfolder or "", filename), where, [])) from error  # noqa: PTH118
    except HTTPError as error:
        raise ModelError(f"cannot get {filename} of {where}: {error}") from error


def _missing(filename: str, where: str, pickles: list[str]) -> str:
    if pickles and filename == WEIGHTS:
        return (
            f"{where} has no {WEIGHTS}, only {', '.join(sorted(pickles))}: pickled weights can run any code"
            " when they are read, so hubgan refuses them; convert them to safetensors first"
        )
    return f"{where} has no {filename}: it is not a model that hubgan saved, or it is incomplete"


def _read_config(file: Path, cls: type[HubModel]) -> tuple[dict[str, Any], TrainingRun | None]:
    """A `config.json` as the options of `cls` and the record of the training run."""
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{file} is not valid JSON: {error}") from error
    if not isinstance(config, dict) or not isinstance(config.get("architecture"), str):
        raise ConfigError(f"{file} names no architecture: it is not the configuration of a hubgan model")
    owner = config.get("_class_name", cls.__name__)
    if owner != cls.__name__:
        raise ConfigError(f"{file} describes a {owner}, not a {cls.__name__}: load it with {owner}.from_pretrained")
    try:
        training_run = TypeAdapter(TrainingRun | None).validate_python(config.pop("training_run", None))
    except ValidationError as error:
        raise ConfigError(f"{file}: its training_run is not one that hubgan wrote") from error
    return {k: v for k, v in config.items() if not k.startswith("_")}, training_run


def _check_fit(file: Path, wanted: Mapping[str, Tensor], found: Mapping[str, Tensor], strict: bool) -> None:
    """Name every way in which weights do not fit a network, rather than the first."""
    complaints = []
    if strict and (missing := [key for key in wanted if key not in found]):
        complaints.append(f"missing {_few(missing)}")
    if strict and (extra := [key for key in found if key not in wanted]):
        complaints.append(f"unexpected {_few(extra)}")
    if len({tensor.dtype for key, tensor in found.items() if key in wanted and wanted[key].is_floating_point()}) > 1:
        complaints.append("their dtypes differ")
    unusable = {
        str(tensor.dtype) for key, tensor in found.items() if key in wanted and not _usable(tensor, wanted[key])
    }
    if unusable:
        complaints.append(f"they are {', '.join(sorted(unusable))}")
    shapes = [
        f"{key} is {tuple(found[key].shape)}, the network has {tuple(wanted[key].shape)}"
        for key in wanted
        if key in found and found[key].shape != wanted[key].shape
    ]
    if shapes:
        complaints.append(_few(shapes))
    if complaints:
        raise ModelError(
            f"the weights in {file} do not fit the network that {CONFIG} describes: {'; '.join(complaints)}"
        )


def _usable(tensor: Tensor, wanted: Tensor) -> bool:
    return tensor.dtype in _FLOATS if wanted.is_floating_point() else tensor.dtype == wanted.dtype


def _few(items: list[str]) -> str:
    return ", ".join(items[:4]) + (f" and {len(items) - 4} more" if len(items) > 4 else "")
