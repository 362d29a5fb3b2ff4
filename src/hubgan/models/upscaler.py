"""The image upscaler."""

from typing import Any

import torch
from PIL import Image
from torch import Tensor

from hubgan.images import ImageInput, open_image, split_alpha, to_image, to_tensor, upscale_tiled
from hubgan.models.base import HubModel
from hubgan.networks import UPSCALERS


class Upscaler(HubModel, pipeline_tag="image-to-image", tags=["gan", "super-resolution"]):
    """Pictures to larger pictures.

    Args:
        architecture: the network, `edsr` by default.
        **options: its options; for `edsr` scale (4), channels (3), width (48) and depth (10, blocks).

    Raises:
        ConfigError: an unknown architecture or option, or a value out of bounds.
    """

    networks = UPSCALERS
    description = "An image upscaler"

    def __init__(self, architecture: str = "edsr", **options: Any) -> None:
        super().__init__(architecture, **options)
        self.scale: int = self.config["scale"]
        self.channels: int = self.config["channels"]

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, channels, H, W) in [0, 1] to (N, channels, H*scale, W*scale), nominally in [0, 1]."""
        return self.network(images)

    @torch.no_grad()
    def upscale(self, image: ImageInput, *, tile: int = 256) -> Image.Image:
        """Enlarge one picture `scale` times.

        Large pictures go through the network tile by tile, with as much of the neighbourhood around each as the
        network can see: the result is that of the whole picture, without seams. Transparency and the colour profile
        are kept; the EXIF orientation is applied.

        Args:
            image: a path, the bytes of a file, a PIL image, an array (H, W[, 1, 3 or 4]) or a tensor (1 or 3, H, W);
                arrays and tensors as uint8, or floats in [0, 1].
            tile: side of a tile in pixels of the input; 0 takes the whole picture at once.

        Raises:
            ImageError: the picture cannot be read, is empty, or too large.
            ConfigError: `tile` is negative.
        """
        was_training = self.training
        self.eval()
        try:
            colour, alpha = split_alpha(open_image(image))
            pixels = to_tensor(colour.convert("L") if self.channels == 1 else colour).float() / 255
            halo = int(self.network.receptive_field)  # type: ignore[arg-type]
            large = to_image(upscale_tiled(self._tile, pixels, scale=self.scale, tile=tile, halo=halo))
        finally:
            self.train(was_training)
        if alpha is not None:
            large.putalpha(alpha.resize(large.size, Image.Resampling.BICUBIC))
        profile = colour.info.get("icc_profile")
        if profile and self.channels == 3:  # an RGB profile does not fit a grey picture
            large.info["icc_profile"] = profile
        return large

    def _tile(self, pixels: Tensor) -> Tensor:
        # Rounded here, tile by tile: as floats a large picture would take four times the memory.
        return self(pixels.to(self.device, self.dtype)).float().clamp(0, 1).mul(255).round().byte().cpu()
