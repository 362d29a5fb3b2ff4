"""A patch discriminator (Isola et al. 2017, https://arxiv.org/abs/1611.07004, section 3.2.2).

It classifies every patch of a picture by itself, which suits super-resolution: texture matters, not content.
Spectral normalisation (Miyato et al. 2018, https://arxiv.org/abs/1802.05957) replaces BatchNorm, so that logits do
not depend on the other images of a batch.
"""

from typing import Literal

from pydantic import validate_call
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from hubgan.networks.layers import he, stages
from hubgan.networks.validation import STRICT, Channels, ConditionChannels, Depth, Width


def _norm(conv: nn.Conv2d, norm: str) -> nn.Module:
    return spectral_norm(conv) if norm == "spectral" else he(conv, 0.2)


class PatchDiscriminator(nn.Module):
    """Images (N, channels, H, W) in [-1, 1], sides of at least 2**depth, to logits (N, h, w); positive is real.

    With `condition_channels` the images hold that many channels more.

    Args:
        channels: 1 (grey) or 3.
        width: channels of the first layer, 4 to 512.
        depth: how many times the resolution is halved, 1 to 64.
        norm: `spectral`, on every convolution but the last, or `none`.
        condition_channels: channels of an input that the discriminator sees beside the image, 0 to 8.

    Raises:
        pydantic.ValidationError: a value of another type or out of bounds.
    """

    @validate_call(config=STRICT)
    def __init__(
        self,
        channels: Channels = 3,
        width: Width = 32,
        depth: Depth = 3,
        norm: Literal["spectral", "none"] = "spectral",
        condition_channels: ConditionChannels = 0,
    ) -> None:
        super().__init__()
        self.channels = channels
        widths = [width * min(2**i, 4) for i in range(depth)]
        layers: list[nn.Module] = []
        for before, after in zip([channels + condition_channels, *widths], widths, strict=False):
            layers += [_norm(nn.Conv2d(before, after, 4, 2, 1), norm), nn.LeakyReLU(0.2, inplace=True)]
        layers += [_norm(nn.Conv2d(after, after, 3, padding=1), norm), nn.LeakyReLU(0.2, inplace=True)]
        last = nn.Conv2d(after, 1, 3, padding=1)
        self.layers = nn.Sequential(*layers, last if norm == "spectral" else _norm(last, norm))

    @property
    def stages(self) -> list[nn.Module]:
        """The blocks, each with one convolution, from the image side on, without the last layer."""
        return stages(self.layers)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.layers(images)
        return logits.squeeze(1)
