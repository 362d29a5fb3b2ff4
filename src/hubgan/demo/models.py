"""The demo's models: loaded once a name, on the GPU when there is one."""

from functools import cache

import torch
from PIL import Image

from hubgan import Generator, Upscaler

try:  # On a ZeroGPU Space the GPU is there only inside a decorated function.
    from spaces import GPU as on_gpu
except ImportError:

    def on_gpu(function):  # type: ignore[no-untyped-def]
        """Outside ZeroGPU the device is there all the time."""
        return function


def device() -> str:
    """Where models run: "cuda" or "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"


@cache
def load_generator(name: str, where: str) -> Generator:
    """The generator called `name`, a Hub name or a folder; loaded at the first call."""
    return Generator.from_pretrained(name).to(where)


@cache
def load_upscaler(name: str, where: str) -> Upscaler:
    """The upscaler called `name`, a Hub name or a folder; loaded at the first call."""
    return Upscaler.from_pretrained(name).to(where)


@on_gpu
def sample(name: str, count: int, seed: int) -> list[Image.Image]:
    """`count` images of the generator called `name`."""
    return load_generator(name, device()).sample(count, seed=seed)


@on_gpu
def enlarge(name: str, picture: Image.Image) -> Image.Image:
    """`picture`, enlarged by the upscaler called `name`."""
    return load_upscaler(name, device()).upscale(picture)
