"""A picture, taken apart for an upscaler's network and put together from what that makes."""

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from hubgan.media.alpha import refine_alpha
from hubgan.media.animation import is_animation
from hubgan.media.images import ImageInput, open_image, split_alpha, to_floats, to_image, warn_once
from hubgan.media.metadata import METADATA
from hubgan.media.pages import page_sizes


def warn_of_parts(image: ImageInput, done: str) -> None:
    """Warn that of an animation or of a file with several pages only the first is `done`, such as "enlarged"."""
    if not isinstance(image, str | Path):
        return
    if is_animation(image):
        warn_once(f"{image} is animated, but only its first frame is {done}")
    elif (pages := len(page_sizes(image))) > 1:
        warn_once(f"{image} has {pages:,} pages, but only the first is {done}")


@dataclass(frozen=True)
class Picture:
    """A picture to enlarge.

    Attributes:
        colour: RGB, or grey of 16 bits (mode I;16); its `info` is that of the picture.
        alpha: the alpha plane (mode L), or None.
        channels: those of the network, 1 or 3.
    """

    colour: Image.Image
    alpha: Image.Image | None
    channels: int

    @classmethod
    def open(cls, image: ImageInput, channels: int) -> "Picture":
        """Open a picture, as `hubgan.media.images.open_image` does with `deep`.

        Raises:
            ImageError: it cannot be read, is empty, or too large.
        """
        return cls(*split_alpha(open_image(image, deep=True)), channels)

    @property
    def deep(self) -> bool:
        """Whether it has 16 bits."""
        return self.colour.mode == "I;16"

    @cached_property
    def pixels(self) -> Tensor:
        """What goes through the network: float32 (C, H, W) in [0, 1], a single channel if it is grey of 16 bits."""
        return to_floats(self.colour if self.deep or self.channels == 3 else self.colour.convert("L"))

    @cached_property
    def alpha_pixels(self) -> Tensor | None:
        """The alpha plane, float32 (1, H, W) in [0, 1]; None if there is none, or it is flat."""
        return None if self.alpha is None or self.alpha.getcolors(1) else to_floats(self.alpha)

    def squares(self, number: int, side: int) -> Tensor:
        """What represents the picture, (N, channels, h, w): `number` squares, evenly spread; of a small one all."""
        pixels = self.pixels.expand(self.channels, -1, -1)
        height, width = pixels.shape[1:]
        if height * width <= number * side**2 or min(height, width) < side:
            return pixels[None]
        rows = round(math.sqrt(number))
        tops, lefts = (torch.linspace(0, length - side, rows).int().tolist() for length in (height, width))
        return torch.stack([pixels[:, top : top + side, left : left + side] for top in tops for left in lefts])

    def enlarged(self, pixels: Tensor, alpha: Tensor | None) -> Image.Image:
        """The enlarged picture, with the profile and the metadata of this one. Grey stays grey.

        Args:
            pixels: what the network made of `pixels`, uint8 or uint16 (C, H, W).
            alpha: the same of `alpha_pixels`; without it the alpha plane keeps its levels.
        """
        info = self.colour.info
        result = to_image(pixels)
        if (grey := bool(info.get("grey"))) and not self.deep:
            result = result.convert("L")
        if self.alpha is not None:
            plane = self.alpha if alpha is None else refine_alpha(to_image(alpha), self.alpha)
            result.putalpha(plane.resize(result.size, Image.Resampling.NEAREST))
        profile = info.get("icc_profile")
        if profile and (self.deep or (self.channels == 3 and not grey)):  # an RGB profile does not fit a grey picture
            result.info["icc_profile"] = profile
        result.info |= {key: info[key] for key in METADATA if key in info}
        return result
