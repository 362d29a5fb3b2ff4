"""The demo's models: loaded once each, in the background, on the GPU when there is one.

Importing torch takes seconds, so the first use of a model does it: the page appears before that.
"""

from __future__ import annotations

import html
import logging
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache, lru_cache
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, TypeVar

import hubgan
from hubgan.demo import strings
from hubgan.demo.errors import sentences, without_path
from hubgan.errors import ConfigError, HubganError

try:
    from spaces import GPU
except ImportError:
    GPU = None

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from hubgan import Generator, Translator, Upscaler
    from hubgan.models.inversion import Inversion

logger = logging.getLogger(__name__)
P = ParamSpec("P")
R = TypeVar("R")
Model = TypeVar("Model", "Generator", "Upscaler", "Translator")

# On ZeroGPU a decorated function runs in another process, where `progress` and a stop cannot reach it.
SUPPORTS_PROGRESS = os.environ.get("SPACES_ZERO_GPU", "").lower() not in ("1", "t", "true")
_SEARCH: Any = {"starts": 4, "steps": 100, "tuning_steps": 60}  # eight seconds on one CPU core
_RETRY_SECONDS = 60.0  # how long a model that could not be loaded is not tried again


def on_gpu(*, duration: int | Callable[..., int]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator: on a ZeroGPU Space only a function with it has the GPU; elsewhere it changes nothing.

    Args:
        duration: the seconds that a call may take, or a function of its arguments that returns them.
    """
    if GPU is None:  # without the package `spaces` this is no ZeroGPU Space
        return lambda function: function
    decorator: Callable[[Callable[P, R]], Callable[P, R]] = GPU(duration=duration)
    return decorator


def device() -> str:
    """Where models run: "cuda" or "cpu"."""
    from hubgan.runtime.devices import cuda_or_cpu

    return cuda_or_cpu()


@lru_cache(maxsize=32)
def load_upscaler(name: str, where: str, fidelity: float = 0.0) -> Upscaler:
    """The upscaler called `name`, a Hub name or a folder, at that fidelity; loaded at the first call."""
    return _sound(hubgan.Upscaler.from_pretrained(name, fidelity=fidelity)).to(where)


@lru_cache(maxsize=32)
def load_generator(name: str, where: str) -> Generator:
    """The generator called `name`, a Hub name or a folder; loaded at the first call."""
    return _sound(hubgan.Generator.from_pretrained(name)).to(where)


@lru_cache(maxsize=32)
def load_translator(name: str, where: str) -> Translator:
    """The translator called `name`, a Hub name or a folder; loaded at the first call."""
    return _sound(hubgan.Translator.from_pretrained(name)).to(where)


def _sound(model: Model) -> Model:
    """The model itself. Weights of NaN raise ModelError here, so that the page says so before the first picture."""
    from hubgan.models.finite import check_weights

    check_weights(model)
    return model


@cache
def has_fidelity(name: str) -> bool:
    """Whether the upscaler called `name` has weights for more than one fidelity."""
    return hubgan.Upscaler.has_fidelity(name)


class ModelRegistry(Generic[Model]):
    """Models that visitors choose from by label: the Hub name, or the last part of a folder's path.

    Args:
        load: loads the model of that name onto that device.
        names: Hub names or folders.

    Attributes:
        names: Hub names or folders, by label.

    Raises:
        ConfigError: there is no name, or two have the same label.
    """

    def __init__(self, load: Callable[[str, str], Model], names: Sequence[str]) -> None:
        self.names = _by_label(names)
        self._load: Callable[[str, str], Model] = load
        self._locks: dict[str, Lock] = defaultdict(Lock)  # one slow model does not block the others
        self._failures: dict[str, tuple[float, HubganError]] = {}

    @property
    def default(self) -> str:
        """The label of the first model."""
        return next(iter(self.names))

    def label(self, wanted: object) -> str:
        """The label itself, or the first one for None. Raises ConfigError for an unknown label."""
        if wanted is None:
            return self.default
        if str(wanted) not in self.names:
            models = ", ".join(self.names)
            raise ConfigError(*strings.fill(strings.UNKNOWN_MODEL, model=wanted, models=models))
        return str(wanted)

    def get(self, label: str) -> Model:
        """The model of that label; waits while it is loading.

        Raises HubganError, which does not name the folder's path, for an unknown label or a model that cannot be
        loaded.
        """
        name = self.names[self.label(label)]
        with self._locks[label]:
            failed_at, failure = self._failures.get(label, (0.0, None))
            if failure and time.monotonic() - failed_at < _RETRY_SECONDS:
                raise failure
            try:
                return self._load(name, device())
            except HubganError as error:
                logger.error("%s cannot be loaded: %s", name, error)
                failure = without_path(without_path(error, str(Path(name).resolve()), label), name, label)
                self._failures[label] = time.monotonic(), failure
                raise failure from error

    def first_usable(self) -> str:
        """The first label whose model can be loaded, or the first label if there is none. Waits for the loading."""
        for label in self.names:
            try:
                self.get(label)
            except HubganError:
                continue
            return label
        return self.default

    def problem(self, label: str, error: HubganError) -> str:
        """Markdown that tells visitors why that model cannot be used."""
        reason = html.escape(sentences(error))
        if len(self.names) == 1:
            return strings.UNUSABLE.format(reason=reason)
        return strings.UNUSABLE_MODEL.format(model=html.escape(label), reason=reason)

    def load_in_background(self) -> None:
        """Start to load all models, and return at once."""

        def load_all() -> None:
            for label in self.names:
                with suppress(HubganError):  # `get` has logged it, and raises it for each visitor
                    self.get(label)

        Thread(target=load_all, name="models").start()


def _by_label(names: Sequence[str]) -> dict[str, str]:
    labels: dict[str, str] = {}
    for name in names:
        label = _label_of(name)
        if label in labels:
            raise ConfigError(*strings.fill(strings.SAME_LABEL, first=labels[label], second=name, label=label))
        labels[label] = name
    if not labels:
        raise ConfigError(*strings.NO_MODEL)
    return labels


def _label_of(name: str) -> str:
    is_folder = Path(name).exists() or name.startswith((".", "/", "~"))
    return Path(name).resolve().name if is_folder else name


@contextmanager
def _by_its_label(name: str) -> Iterator[None]:
    """Let errors tell a model's label in place of its name, which may be a path."""
    try:
        yield
    except HubganError as error:
        raise without_path(error, name, _label_of(name)) from error


def upscaling_seconds(name: str, pictures: Sequence[Image.Image], *_: object) -> int:
    """The seconds that ZeroGPU is asked for to run `enlarge`: 15, and 10 a megapixel.

    They are enough for a large community upscaler. They must fit into the visitor's quota, so small pictures ask for
    little.
    """
    return 15 + round(sum(picture.width * picture.height for picture in pictures) / 1e5)


@on_gpu(duration=15)
def make(name: str, latents: Tensor, labels: Tensor | None, generator: Generator | None = None) -> list[Image.Image]:
    """The images of the generator called `name`, or of a tuned copy of it, for these latents and labels.

    Args:
        name: the generator's name.
        latents: (n, latent_dim).
        labels: numbers of classes (n,), or their weights (n, classes); None for a model without classes.
        generator: the tuned copy.
    """
    with _by_its_label(name):
        model = load_generator(name, device()) if generator is None else generator.to(device())
        return model.images_from(latents, labels)  # type: ignore[return-value]


def invert(name: str, picture: Image.Image, progress: Callable[[float], None] | None = None) -> Inversion:
    """The picture in the latent space of the generator called `name`, with a copy that is tuned to it.

    `progress` is called with the share that is done; on ZeroGPU it is not called.
    """
    return _invert(name, picture, progress if SUPPORTS_PROGRESS else None)


@on_gpu(duration=60)
def _invert(name: str, picture: Image.Image, progress: Callable[[float], None] | None) -> Inversion:
    with _by_its_label(name):
        generator = load_generator(name, device())
        return generator.invert(picture, **_SEARCH, progress=progress)


@on_gpu(duration=15)
def translate(name: str, picture: Image.Image, seed: int | None, size: int | None, prepare: bool) -> Image.Image:
    """The picture, translated by the translator called `name`."""
    with _by_its_label(name):
        return load_translator(name, device()).translate(picture, seed=seed, size=size, prepare=prepare)


@on_gpu(duration=15)
def clip_strength(name: str, frames: Sequence[Image.Image], fidelity: float) -> float:
    """The strength of the upscaler called `name` for a video, by some of its frames."""
    with _by_its_label(name):
        return load_upscaler(name, device(), round(fidelity, 1)).estimate_clip_strength(frames)


def enlarge(
    name: str,
    pictures: Sequence[Image.Image],
    fidelity: float = 0.0,
    scale: float | None = None,
    strength: float | Literal["auto"] = "auto",
    progress: Callable[[float], None] | None = None,
) -> list[Image.Image]:
    """The pictures, enlarged by the upscaler called `name`.

    The fidelity is rounded to a tenth, as each one is a model of its own in memory. `progress` is called with the
    share that is done, and may raise an exception to stop; on ZeroGPU it is not called.
    """
    return _enlarge(name, pictures, fidelity, scale, strength, progress if SUPPORTS_PROGRESS else None)


@on_gpu(duration=upscaling_seconds)
def _enlarge(
    name: str,
    pictures: Sequence[Image.Image],
    fidelity: float,
    scale: float | None,
    strength: float | Literal["auto"],
    progress: Callable[[float], None] | None,
) -> list[Image.Image]:
    results: list[Image.Image] = []

    def report(share: float) -> None:
        if progress is not None:
            progress((len(results) + share) / len(pictures))

    with _by_its_label(name):
        upscaler = load_upscaler(name, device(), round(fidelity, 1))
        for picture in pictures:
            results.append(upscaler.upscale(picture, scale=scale, strength=strength, progress=report))
    return results
