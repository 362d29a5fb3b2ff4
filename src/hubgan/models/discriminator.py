"""The discriminator, which generators, upscalers and translators are trained against."""

from typing import Any, cast

from torch import Tensor, nn
from typing_extensions import Self

from hubgan.errors import ConfigError
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
    frozen_blocks: int = 0

    def __init__(self, architecture: str = "dcgan", **options: Any) -> None:
        super().__init__(architecture, **options)

    def freeze(self, blocks: int) -> None:
        """Keep the first blocks from training (FreezeD: Mo et al. 2020, https://arxiv.org/abs/2002.10964).

        Args:
            blocks: how many, from the image side on; 0 for none.

        Raises:
            ConfigError: the network has fewer blocks, or they have no order.
        """
        name, stages = self.config["architecture"], getattr(self.network, "stages", None)
        if blocks and stages is None:
            raise ConfigError(f"the blocks of {name} have no order to freeze them in", "Remove --freeze_discriminator")
        if stages is not None and blocks > len(stages):
            raise ConfigError(
                f"freeze_discriminator is {blocks}, but this {name} discriminator has {len(stages)} blocks",
                f"Pass --freeze_discriminator {len(stages)} or less",
            )
        self.frozen_blocks = blocks
        self.requires_grad_()

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Let gradients reach the weights, or not; those of frozen blocks never."""
        super().requires_grad_(requires_grad)
        if self.frozen_blocks:
            stages = cast(list[nn.Module], self.network.stages)
            for block in stages[: self.frozen_blocks]:
                block.requires_grad_(False)
        return self

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images (N, channels, H, W) in [-1, 1], and for a network with classes their numbers (N,), to logits."""
        logits: Tensor = self.network(images) if labels is None else self.network(images, labels)
        return logits
