"""The demo's models: loaded once a name, on the GPU when there is one."""

import os
from collections.abc import Callable
from functools import cache

import torch
from PIL import Image

from hubgan import Generator, Upscaler

try:  # On a ZeroGPU Space the GPU is there only inside a decorated function; elsewhere the decorator does nothing.
    from spaces import GPU as on_gpu
except ImportError:

    def on_gpu(*, duration: object) -> Callable[[Callable], Callable]:  # type: ignore[misc]
        """Without the package `spaces` this is no ZeroGPU Space: the device is there all the time."""
        return lambda function: function


# On ZeroGPU a decorated function runs in another process, which can neither tell nor be told.
TELLS = os.environ.get("SPACES_ZERO_GPU", "").lower() not in ("1", "t", "true")


def device() -> str:
    """Where models run: "cuda" or "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"


@cache
def load_generator(name: str, where: str) -> Generator:
    """The generator called `name`, a Hub name or a folder; loaded at the first call."""
    return Generator.from_pretrained(name).to(where)


@cache
def load_upscaler(name: str, where: str, fidelity: float = 0.0) -> Upscaler:
    """The upscaler called `name`, a Hub name or a folder, at that fidelity; loaded at the first call."""
    return Upscaler.from_pretrained(name, fidelity=fidelity).to(where)


def upscaling_seconds(name: str, picture: Image.Image, fidelity: float = 0.0, *_: object) -> int:
    """How long ZeroGPU is to lend its GPU for `enlarge`, which a large community upscaler may need as well.

    What is asked for must fit into the visitor's quota, so small pictures ask for little: 15 s, and 10 s a megapixel.
    """
    return 15 + round(picture.width * picture.height / 1e5)


@on_gpu(duration=15)
def sample(name: str, count: int, seed: int) -> list[Image.Image]:
    """`count` images of the generator called `name`."""
    return load_generator(name, device()).sample(count, seed=seed)


def enlarge(
    name: str, picture: Image.Image, fidelity: float = 0.0, progress: Callable[[float], None] | None = None
) -> Image.Image:
    """`picture`, enlarged by the upscaler called `name` at that fidelity, to a tenth: each is a model of its own.

    `progress` is called with the share that is done, and may end the work by an exception; on ZeroGPU it is not.
    """
    return _enlarge(name, picture, fidelity, progress if TELLS else None)


@on_gpu(duration=upscaling_seconds)
def _enlarge(
    name: str, picture: Image.Image, fidelity: float, progress: Callable[[float], None] | None
) -> Image.Image:
    return load_upscaler(name, device(), round(fidelity, 1)).upscale(picture, progress=progress)
