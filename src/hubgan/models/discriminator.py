"""The discriminator, which generators, upscalers and translators are trained against."""

from typing import Any

from torch import Tensor

from hubgan.models.base import HubModel
from hubgan.networks import DISCRIMINATORS


class Discriminator(HubModel, tags=["gan", "discriminator"]):
    """Images in [-1, 1] to logits, positive for real: (N,) for images, (N, h, w) for their parts.

    Args:
        architecture: the network. `dcgan` (the default), `sngan` and `r3gan` give one logit an image; `patch` and
            `unet` judge parts of it, at any image size.
        **options: its options; for `dcgan` image_size (32), channels (3), width (64), norm ("batch", "spectral" or
            "none") and classes (0); for `patch` channels (3), width (32), depth (3), norm ("spectral" or "none") and
            condition_channels (0), those of an input that it sees beside the image.

    Raises:
        ConfigError: an unknown architecture or option, or a value out of bounds.
    """

    networks = DISCRIMINATORS
    description = "A discriminator (the opponent in a GAN's training)"

    def __init__(self, architecture: str = "dcgan", **options: Any) -> None:
        super().__init__(architecture, **options)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images (N, channels, H, W) in [-1, 1], and for a network with classes their numbers (N,), to logits."""
        logits: Tensor = self.network(images) if labels is None else self.network(images, labels)
        return logits
