"""The demo's models: loaded once each, in the background, on the GPU when there is one.

torch takes seconds to import, so it is left to the first use of a model: until then the page is there.
"""

from __future__ import annotations

import html
import logging
import os
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING, Generic, TypeVar

import hubgan
from hubgan.demo import strings
from hubgan.errors import ConfigError, HubganError

try:  # On a ZeroGPU Space the GPU is there only inside a decorated function; elsewhere the decorator does nothing.
    from spaces import GPU as on_gpu
except ImportError:

    def on_gpu(*, duration: object) -> Callable[[Callable], Callable]:  # type: ignore[misc]
        """Without the package `spaces` this is no ZeroGPU Space: the device is there all the time."""
        return lambda function: function


if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from hubgan import Generator, Upscaler

logger = logging.getLogger(__name__)
Model = TypeVar("Model", "Generator", "Upscaler")

# On ZeroGPU a decorated function runs in another process, which can neither tell nor be told.
SUPPORTS_PROGRESS = os.environ.get("SPACES_ZERO_GPU", "").lower() not in ("1", "t", "true")
_AGAIN = 60.0  # seconds until a model that could not be loaded is tried once more


def device() -> str:
    """Where models run: "cuda" or "cpu"."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


@lru_cache(maxsize=32)
def load_upscaler(name: str, where: str, fidelity: float = 0.0) -> Upscaler:
    """The upscaler called `name`, a Hub name or a folder, at that fidelity; loaded at the first call."""
    return hubgan.Upscaler.from_pretrained(name, fidelity=fidelity).to(where)


@lru_cache(maxsize=32)
def load_generator(name: str, where: str) -> Generator:
    """The generator called `name`, a Hub name or a folder; loaded at the first call."""
    return hubgan.Generator.from_pretrained(name).to(where)


@cache
def mixes(name: str) -> bool:
    """Whether the upscaler called `name` holds weights of more than one fidelity."""
    return hubgan.Upscaler.has_fidelity(name)


@dataclass
class ModelRegistry(Generic[Model]):
    """Models that visitors choose from, by the ends of their names: where a folder lies is no visitor's business.

    Attributes:
        names: by label, Hub names or folders.
    """

    load: Callable[[str, str], Model]
    names: dict[str, str]
    _locks: dict[str, Lock] = field(default_factory=lambda: defaultdict(Lock))  # one slow model holds up no other
    _failures: dict[str, tuple[float, HubganError]] = field(default_factory=dict)

    @classmethod
    def of(cls, load: Callable[[str, str], Model], names: Sequence[str]) -> ModelRegistry[Model]:
        """Raises ConfigError where there is no name, or two have the same end."""
        labels: dict[str, str] = {}
        for name in names:
            here = Path(name).exists() or name.startswith((".", "/", "~"))
            label = Path(name).resolve().name if here else name
            if label in labels:
                raise ConfigError(f"{labels[label]} and {name} are both called {label}: rename one of them")
            labels[label] = name
        if not labels:
            raise ConfigError("there is no model: name one")
        return cls(load, labels)

    @property
    def first(self) -> str:
        return next(iter(self.names))

    def label(self, wanted: object) -> str:
        """The label that a visitor asks for, the first one where that is None; raises ConfigError for any other."""
        if wanted is None:
            return self.first
        if str(wanted) not in self.names:
            raise ConfigError(f"There is no model {wanted} here, but {', '.join(self.names)}.")
        return str(wanted)

    def get(self, label: str) -> Model:
        """The model; waits while it is being loaded. Raises HubganError, without a folder's path, if it cannot be."""
        with self._locks[label]:
            failed_at, failure = self._failures.get(label, (0.0, None))
            if failure and time.monotonic() - failed_at < _AGAIN:
                raise failure
            try:
                return self.load(self.names[label], device())
            except HubganError as error:
                logger.error("%s cannot be loaded: %s", self.names[label], error)
                said = type(error)(str(error).replace(str(Path(self.names[label]).resolve()), label)
                                   .replace(self.names[label], label))  # fmt: skip
                self._failures[label] = time.monotonic(), said
                raise said from error

    def usable(self) -> str:
        """The first label whose model can be loaded, which is waited for; without any the first one."""
        for label in self.names:
            try:
                self.get(label)
            except HubganError:
                continue
            return label
        return self.first

    def problem(self, label: str, error: HubganError) -> str:
        """What to say, in Markdown, of a model that cannot be loaded."""
        reason = html.escape(str(error))
        if len(self.names) == 1:
            return strings.UNUSABLE.format(reason=reason)
        return strings.UNUSABLE_MODEL.format(model=html.escape(label), reason=reason)

    def warm(self) -> None:
        """Begin to load all of them, without waiting for it."""

        def load_all() -> None:
            for label in self.names:
                try:
                    self.get(label)
                except HubganError:
                    continue  # it has been told, and is told again to who asks for it

        Thread(target=load_all, name="models").start()


def upscaling_seconds(name: str, picture: Image.Image, *_: object) -> int:
    """How long ZeroGPU is to lend its GPU for `enlarge`, which a large community upscaler may need as well.

    What is asked for must fit into the visitor's quota, so small pictures ask for little: 15 s, and 10 s a megapixel.
    """
    return 15 + round(picture.width * picture.height / 1e5)


@on_gpu(duration=15)
def make(name: str, latents: Tensor, labels: Tensor | None) -> list[Image.Image]:
    """The images of the generator called `name` for these latents and labels."""
    return load_generator(name, device()).images_from(latents, labels)  # type: ignore[return-value]


def enlarge(
    name: str,
    picture: Image.Image,
    fidelity: float = 0.0,
    scale: float | None = None,
    progress: Callable[[float], None] | None = None,
) -> Image.Image:
    """`picture`, enlarged by the upscaler called `name` at that fidelity, to a tenth: each is a model of its own.

    `progress` is called with the share that is done, and may end the work by an exception; on ZeroGPU it is not.
    """
    return _enlarge(name, picture, fidelity, scale, progress if SUPPORTS_PROGRESS else None)


@on_gpu(duration=upscaling_seconds)
def _enlarge(
    name: str,
    picture: Image.Image,
    fidelity: float,
    scale: float | None,
    progress: Callable[[float], None] | None,
) -> Image.Image:
    return load_upscaler(name, device(), round(fidelity, 1)).upscale(picture, scale=scale, progress=progress)
