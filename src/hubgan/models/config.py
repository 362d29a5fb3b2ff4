"""`config.json`: read, checked, and turned into a network."""

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from huggingface_hub import constants
from packaging.version import InvalidVersion, Version
from pydantic import TypeAdapter, ValidationError
from torch import nn
from torch.overrides import TorchFunctionMode

from hubgan.errors import ConfigError, nearest
from hubgan.models.card import TrainingRun
from hubgan.version import __version__

WEIGHTS, CONFIG, CARD = constants.SAFETENSORS_SINGLE_FILE, constants.CONFIG_NAME, "README.md"
PIXEL_WEIGHTS = "pixel.safetensors"  # an upscaler's weights before the adversarial part of its training
_LARGEST = 8 * 2**30  # bytes of a network in float32: far more than any published GAN


class Config(NamedTuple):
    """The contents of a `config.json`: class, options of the network, training run, version of hubgan."""

    kind: str | None
    options: dict[str, Any]
    training_run: TrainingRun | None
    written_by: str | None

    @property
    def upgrade(self) -> str:
        """The remedy for an error of a `config.json` that a newer hubgan wrote; else empty."""
        try:
            if self.written_by and Version(self.written_by) > Version(__version__):
                return (
                    f"The model was written by hubgan {self.written_by}, but this is hubgan {__version__}."
                    " Run: pip install --upgrade hubgan"
                )
        except InvalidVersion:
            pass
        return ""


def read_config(file: Path) -> Config:
    """A `config.json` that hubgan wrote.

    Raises:
        ConfigError: it is not valid, or another library's.
    """
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{file} is not valid JSON: {error}") from error
    if not isinstance(config, dict) or not isinstance(config.get("architecture"), str):
        raise ConfigError(f"{file} names no architecture: it is not the configuration of a hubgan model")
    kind, written_by = (config.pop(key, None) for key in ("_class_name", "_hubgan_version"))
    run = config.pop("training_run", None)
    options = {key: value for key, value in config.items() if not key.startswith("_")}
    read = Config(str(kind) if kind else None, options, None, str(written_by) if written_by else None)
    try:
        return read._replace(training_run=TypeAdapter(TrainingRun | None).validate_python(run))
    except ValidationError as error:
        raise ConfigError(f"{file}: its training_run is not one that hubgan wrote", read.upgrade) from error


def write_config(kind: str, options: dict[str, Any], training_run: TrainingRun | None) -> str:
    """The text of a `config.json`."""
    run = {"training_run": training_run} if training_run else {}
    return (
        json.dumps({"_class_name": kind, "_hubgan_version": __version__, **options, **run}, indent=2, allow_nan=False)
        + "\n"
    )


def network_options(networks: Mapping[str, type[nn.Module]], architecture: str) -> dict[str, Any]:
    """The options of an architecture with their defaults."""
    return {p.name: p.default for p in inspect.signature(networks[architecture]).parameters.values()}


class _WithoutValues(TorchFunctionMode):
    """Draws no normal numbers and normalises none, since the meta device has shapes alone.

    To draw there, PyTorch imports its compiler, which takes seconds. It normalises there in Python, which takes a
    third of a second for a discriminator with spectral normalisation.
    """

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(function, "__name__", "")
        if name == "normal_":
            return args[0] if args else kwargs["tensor"]
        if name == "normalize":
            return args[0] if kwargs.get("out") is None else kwargs["out"]
        return function(*args, **kwargs)


@contextmanager
def without_memory() -> Iterator[None]:
    """Networks that are built here have shapes alone: they take no memory."""
    with torch.device("meta"), _WithoutValues():
        yield


def build(networks: Mapping[str, type[nn.Module]], architecture: str, options: dict[str, Any]) -> nn.Module:
    """A network by the name of its architecture.

    Raises:
        ConfigError: an unknown architecture or option, a value out of bounds, or a network of many GB.
    """
    if architecture not in networks:
        raise ConfigError(f"unknown architecture {architecture!r}", nearest(architecture, networks))
    known = network_options(networks, architecture)
    for option in options:
        if option not in known:
            raise ConfigError(f"{architecture} has no option {option!r}", nearest(option, known))
    try:
        with without_memory():  # first, to learn how much the network takes
            size = sum(p.numel() * p.element_size() for p in networks[architecture](**options).parameters())
        if size > _LARGEST:
            asked = ", ".join(f"{key} {value!r}" for key, value in options.items())
            raise ConfigError(
                f"{architecture} with {asked} would take {size / 2**30:.0f} GiB, more than {_LARGEST // 2**30} GiB",
                "Use smaller sizes",
            )
        return networks[architecture](**options)
    except ValidationError as error:
        first = error.errors()[0]
        reason = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
        where = ".".join(map(str, first["loc"]))
        raise ConfigError(f"{architecture}: {where} is {first['input']!r}; it {reason}") from error
    except ConfigError:
        raise
    except ValueError as error:  # options that do not fit each other
        raise ConfigError(f"{architecture}: {error}") from error
