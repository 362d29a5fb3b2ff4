"""EDSR (Lim et al. 2017, https://arxiv.org/abs/1707.02921) in a small size, for super-resolution.

Residual blocks of plain 3x3 convolutions without normalisation, all at low resolution, and one pixel shuffle at the
end. Unlike in the paper the small picture itself, enlarged, is added to the result, and each block starts as the
identity; both shorten the training.
"""

from pydantic import validate_call
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, relu

from hubgan.networks.options import STRICT, Channels, Depth, Scale, Width


class ResidualBlock(nn.Module):
    """(N, width, H, W) to the same."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        for parameter in self.conv2.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(relu(self.conv1(x), inplace=True))


class EDSR(nn.Module):
    """Images (N, channels, H, W) in [0, 1] to (N, channels, H*scale, W*scale), nominally in [0, 1], not clipped.

    Attributes:
        receptive_field: how far, in pixels of the input, a pixel of the output can see.
    """

    @validate_call(config=STRICT)
    def __init__(self, scale: Scale = 4, channels: Channels = 3, width: Width = 48, depth: Depth = 10) -> None:
        super().__init__()
        self.scale, self.channels = scale, channels
        self.receptive_field = 2 * depth + 3
        self.head = nn.Conv2d(channels, width, 3, padding=1)
        self.blocks = nn.Sequential(
            *(ResidualBlock(width) for _ in range(depth)), nn.Conv2d(width, width, 3, padding=1)
        )
        self.tail = nn.Conv2d(width, channels * scale**2, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        features = self.head(images - 0.5)
        detail = self.tail(features + self.blocks(features))
        return pixel_shuffle(detail + images.repeat_interleave(self.scale**2, dim=1), self.scale)
