"""The image translator."""

from typing import Any

import torch
from PIL import Image
from torch import Tensor

from hubgan.errors import ConfigError, ImageError, Remedy, nearest
from hubgan.media.derived import INPUTS
from hubgan.media.images import ImageInput, flatten, open_image, to_floats, to_image
from hubgan.media.metadata import METADATA
from hubgan.models.base import HubModel
from hubgan.models.finite import is_finite, not_finite
from hubgan.models.picture import warn_of_parts
from hubgan.models.translate_pipeline import TranslatePipeline
from hubgan.networks import TRANSLATORS
from hubgan.runtime.seeding import normals, torch_generator

HINTS = 4
"""Latents of a colour hint: a colour, and whether it counts."""

HINT_COUNTS = 0.5
"""Above this last one it does, as for three latents of ten. At zero, the most typical, there is no hint."""

_SMALLEST, _LARGEST = 16, 2048  # a side in pixels, of what is translated at once
# What the result says of its picture, if that shows the same; a drawing does not.
_KEPT = {"grey": METADATA, "mask": (*METADATA, "icc_profile"), "small": [key for key in METADATA if key != "dpi"]}


class Translator(TranslatePipeline, HubModel, pipeline_tag="image-to-image", tags=["gan", "image-translation"]):
    """Pictures to other pictures, such as sketches to coloured ones.

    Args:
        architecture: the network, `unet` by default.
        image_size: the longer side, in pixels, to which pictures are scaled; that of the training.
        input: the kind of input that the network learned from (`hubgan.media.derived.INPUTS`), empty for pairs.
        colour_hints: the first `HINTS` latents were a colour and whether it counts, so each seed gives a colour.
        **options: options of the network; for `unet` channels (3), input_channels (1), width (48), depth (2) and
            latent_dim (16); for `resnet` channels (3), input_channels (3), width (96), depth (9) and latent_dim (0).

    Attributes:
        image_size: see above.
        channels, input_channels: of the results and of the inputs.
        latent_dim: numbers that choose among the possible results of one input; 0 if there is only one.

    Raises:
        ConfigError: an unknown architecture or option, a value out of bounds, or too few latents for colour hints.
    """

    networks = TRANSLATORS
    description = "An image translator"

    def __init__(
        self,
        architecture: str = "unet",
        *,
        image_size: int = 128,
        input: str = "",
        colour_hints: bool = False,
        **options: Any,
    ) -> None:
        if input and input not in INPUTS:
            raise ConfigError(f"unknown input {input!r}", nearest(input, INPUTS))
        if input:
            options["input_channels"] = INPUTS[input].channels
        super().__init__(architecture, **options)
        self.input = self.config["input"] = input
        self.config["image_size"] = self.image_size = self.checked_size(image_size, "image_size")
        self.channels: int = self.config["channels"]
        self.input_channels: int = self.config["input_channels"]
        self.latent_dim: int = self.config["latent_dim"]
        self._colour_hints = self.config["colour_hints"] = colour_hints
        if colour_hints and self.latent_dim < HINTS:
            raise ConfigError(
                f"colour_hints needs {HINTS} latents, but the translator has {self.latent_dim}",
                Remedy(
                    f"Pass latent_dim={HINTS} or more, or colour_hints=False",
                    f"Set --translator.latent_dim {HINTS} or more, or --colour_hints False",
                ),
            )

    def forward(self, images: Tensor, latents: Tensor | None = None) -> Tensor:
        """Images (N, input_channels, H, W) in [0, 1], and latents (N, latent_dim), to (N, channels, H, W).

        The sides are multiples of the network's grid, 16 for `unet` and 8 for `resnet`. The result is nominally in
        [0, 1]. Without latents those of zero are taken, the most typical.
        """
        images = self.network(images, latents)
        return images

    def latents(self, n: int, *, seed: int | None = None) -> Tensor:
        """`n` latents (n, latent_dim) from a standard normal, drawn on the CPU: a seed gives the same ones everywhere.

        With a larger `n` the first latents stay the same. If the model was trained with colour hints, these count.
        """
        latents = normals(torch_generator(seed), n, self.latent_dim)
        if self._colour_hints:
            latents[:, HINTS - 1] = latents[:, HINTS - 1].abs() + HINT_COUNTS
        return latents

    def translate(
        self, image: ImageInput, *, seed: int | None = None, size: int | None = None, prepare: bool = False
    ) -> Image.Image:
        """Translate one picture.

        What is done with it depends on the model's `input`. A model for `grey` colours the picture at its own size,
        and keeps its brightness. A model for `mask` fills its transparent parts, at its own size, and keeps the rest.
        All others scale the picture, keeping its shape, and make transparency white.

        `info` of the result says what the picture's file says (`hubgan.media.metadata`), if both show the same: with
        the inputs `grey`, `mask` and, but for the dots per inch, `small`. Colours are sRGB; a filled picture keeps its
        own profile.

        Args:
            image: a path (of an animation the first frame), the bytes of a file, a PIL image, an array (H, W[, 1, 3 or
                4]) or a tensor (1 or 3, H, W). Arrays and tensors are uint8, or floats in [0, 1].
            seed: of another possible result; None gives the most typical one.
            size: the longer side in pixels, 16 to 2,048, at which the network works; by default that of the training,
                which it knows best.
            prepare: compute the input from the picture, as in the training: of a photo first its sketch.

        Raises:
            ImageError: the picture cannot be read, is empty, or too large; it is a blank drawing, or has no
                edges to draw; or a model that fills transparent parts finds none.
            ConfigError: `size` is out of range, `prepare` is asked of a model whose inputs are not computed, or a seed
                of one that makes one result of each picture.
            ModelError: the network computes NaN or infinity.
        """
        side = self.checked_size(self.image_size if size is None else size, "size")
        self.check_seed(seed)
        warn_of_parts(image, "translated")
        filled = self.input == "mask" and not prepare
        picture = open_image(image, srgb=not filled)
        scale = side / max(picture.size)
        small = tuple(max(round(length * scale), 1) for length in picture.size)
        given = self._given(picture.resize(small, Image.Resampling.LANCZOS), prepare)  # type: ignore[arg-type]
        latents = torch.zeros(1, self.latent_dim) if seed is None else self.latents(1, seed=seed)
        made = to_image(self.images_from(given, latents)[0])
        if self.input == "grey":
            made = _coloured(picture, made)
        elif filled:
            made = _filled(picture, made)
        made.info = {key: picture.info[key] for key in _KEPT.get(self.input, ()) if key in picture.info}
        return made

    def check_seed(self, seed: int | None) -> None:
        """Check a seed that `translate` is to be called with.

        Raises:
            ConfigError: there is one, but the model makes one result of each picture.
        """
        if seed is not None and not self.latent_dim:
            raise ConfigError(
                "this model makes one result of each picture, so it takes no seed",
                Remedy("Leave out seed", "Remove --seed and --seeds"),
            )

    def _given(self, picture: Image.Image, prepare: bool) -> Tensor:
        """What the network is given of a picture, (1, input_channels, H, W) in [0, 1].

        Raises:
            ImageError: see `translate`.
            ConfigError: see `translate`.
        """
        if prepare:
            if not self.input:
                raise ConfigError(
                    "this model's inputs are pictures as they are, so there is nothing to prepare",
                    Remedy("Leave out prepare", "Remove --prepare"),
                )
            drawn = INPUTS[self.input].by_seed(to_floats(flatten(picture))[None], 0)
            if self.input == "edges" and drawn.min() == 1:
                raise ImageError("the picture has no edges to draw", "Pass one with more contrast")
            return drawn
        if self.input == "mask":
            holes = to_floats(picture.getchannel("A")) < 0.5 if picture.mode == "RGBA" else torch.zeros(1)
            if not holes.any():
                raise ImageError("the picture has no transparent part to fill", "Erase the part that should be filled")
            hole = holes.float()[None]
            return torch.cat([to_floats(flatten(picture))[None] * (1 - hole) + 0.5 * hole, hole], 1)
        plain = flatten(picture).convert("L" if self.input_channels == 1 else "RGB")
        if self.input == "edges" and len({*plain.getextrema()}) == 1:
            raise ImageError("the drawing is blank: all its pixels are the same", "Draw dark lines on white")
        return to_floats(plain)[None]

    @torch.no_grad()
    def images_from(self, inputs: Tensor, latents: Tensor | None = None) -> Tensor:
        """Inputs of any sides to images, uint8 (N, channels, H, W) on the CPU.

        Args:
            inputs: (N, input_channels, H, W) in [0, 1].
            latents: (N, latent_dim); None gives the most typical images.

        Raises:
            ModelError: the network computes NaN or infinity.
        """
        was_training = self.training
        self.eval()
        try:
            height, width = inputs.shape[2:]
            multiple = int(self.network.multiple)  # type: ignore[arg-type]
            right, below = (-side % multiple for side in (width, height))
            padded = torch.nn.functional.pad(inputs, (0, right, 0, below), mode="replicate")
            given = [each.to(self.device, self.dtype) for each in (padded, latents) if each is not None]
            images = self(*given)
        finally:
            self.train(was_training)
        if not is_finite(images):
            raise not_finite(self)
        made: Tensor = images[..., :height, :width].float().clamp(0, 1).mul(255).round().byte().cpu()
        return made

    @staticmethod
    def checked_size(size: int, name: str) -> int:
        """A side in pixels.

        Raises:
            ConfigError: it is no whole number from 16 to 2,048.
        """
        if isinstance(size, bool) or not isinstance(size, int) or not _SMALLEST <= size <= _LARGEST:
            raise ConfigError(f"{name} is {size!r}", f"Use a whole number from {_SMALLEST} to {_LARGEST:,}")
        return size


def _coloured(picture: Image.Image, made: Image.Image) -> Image.Image:
    """The brightness of a picture, with the colours of a smaller one and its own transparency."""
    large = made.resize(picture.size, Image.Resampling.BICUBIC).convert("YCbCr").split()
    coloured = Image.merge("YCbCr", (flatten(picture).convert("L"), *large[1:])).convert("RGB")
    if picture.mode == "RGBA":
        coloured.putalpha(picture.getchannel("A"))
    return coloured


def _filled(picture: Image.Image, made: Image.Image) -> Image.Image:
    """A picture with its transparent parts taken from a smaller one."""
    large = made.resize(picture.size, Image.Resampling.BICUBIC)
    return Image.composite(picture.convert("RGB"), large, picture.getchannel("A"))
