"""A residual U-Net (Ronneberger et al. 2015, https://arxiv.org/abs/1505.04597) that turns images into other images.

It is sized for CPUs: all but a few small layers work at a quarter of the resolution or below, on 4 x 4 pixels at once.
Two pixel shuffles lead back. Their weights start equal for all pixels of a block (ICNR, Aitken et al. 2017,
https://arxiv.org/abs/1707.02937), so that it does not begin with a woven pattern, and a last layer at full resolution
can smooth what is left. Latents scale and shift each
block's channels, as in StyleGAN (Karras et al. 2019, https://arxiv.org/abs/1812.04948, section 2).
"""

from itertools import pairwise

import torch
from pydantic import validate_call
from torch import Tensor, nn
from torch.nn.functional import interpolate, pixel_shuffle, pixel_unshuffle, silu

from hubgan.networks.layers import Style, in_fast_layout
from hubgan.networks.validation import STRICT, Channels, Depth, InputChannels, LatentDim, Width

_SHUFFLED = 2  # times, a pixel shuffle enlarges
_BLOCK = _SHUFFLED**2  # pixels a side that the network sees at once
_HALVED = 2  # times, below a quarter of the resolution
_MIDDLE = 3  # blocks at the lowest resolution
_GROUP = 8  # channels that are normalised together


class _Block(nn.Module):
    """(N, width, H, W), and latents (N, latent_dim), to the same; at first the identity."""

    def __init__(self, width: int, latent_dim: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.GroupNorm(max(width // _GROUP, 1), width) for _ in range(2))
        self.conv1, self.conv2 = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        self.style = Style(latent_dim, width)
        for parameter in self.conv2.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, latents: Tensor) -> Tensor:
        inner = self.style(self.norm2(self.conv1(silu(self.norm1(x)))), latents)
        changed: Tensor = x + self.conv2(silu(inner))
        return changed


class _Down(nn.Module):
    """Blocks of one resolution, to their result and that at half the resolution, with `below` channels."""

    def __init__(self, width: int, below: int, depth: int, latent_dim: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_Block(width, latent_dim) for _ in range(depth))
        self.halve = nn.Conv2d(width, below, 3, 2, 1)

    def forward(self, x: Tensor, latents: Tensor) -> tuple[Tensor, Tensor]:
        for block in self.blocks:
            x = block(x, latents)
        return x, self.halve(x)


class _Up(nn.Module):
    """The way back: what came from below, at twice its resolution and added to `skip`, through blocks."""

    def __init__(self, width: int, below: int, depth: int, latent_dim: int) -> None:
        super().__init__()
        self.widen = nn.Conv2d(below, width, 3, padding=1)
        self.blocks = nn.ModuleList(_Block(width, latent_dim) for _ in range(depth))

    def forward(self, x: Tensor, skip: Tensor, latents: Tensor) -> Tensor:
        x = interpolate(self.widen(x), scale_factor=2.0, mode="nearest") + skip
        for block in self.blocks:
            x = block(x, latents)
        return x


class _Finer(nn.Module):
    """(N, width, H, W) to (N, above, 2H, 2W), with what the input shows there, (N, seen, 2H, 2W)."""

    def __init__(self, width: int, above: int, seen: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, _SHUFFLED**2 * above, 3, padding=1)
        _equal_in_blocks(self.conv, _SHUFFLED**2)
        self.beside = nn.Conv2d(seen, above, 3, padding=1)

    def forward(self, x: Tensor, images: Tensor) -> Tensor:
        larger: Tensor = pixel_shuffle(self.conv(silu(x)), _SHUFFLED) + self.beside(in_fast_layout(images))
        return larger


class ResidualUNet(nn.Module):
    """Images (N, input_channels, H, W) and latents (N, latent_dim) to images (N, channels, H, W), nominally in [0, 1].

    Inputs are in [0, 1] too. Sides are multiples of 16. The normalisation looks at the whole picture, so a large one
    cannot be translated in tiles.

    Args:
        channels: channels of the output images, 1 (grey) or 3.
        input_channels: channels of the input images, 1 to 8.
        width: channels at a quarter of the resolution, a multiple of 8; twice and four times as many below.
        depth: blocks at each resolution on the way down, and on the way up.
        latent_dim: numbers in a latent, which selects one of the possible results.

    Attributes:
        multiple: the grid, in pixels, on which the network works.

    Raises:
        pydantic.ValidationError: a value of another type or out of bounds.
        ValueError: a width that is no multiple of 8.
    """

    @validate_call(config=STRICT)
    def __init__(
        self,
        channels: Channels = 3,
        input_channels: InputChannels = 1,
        width: Width = 48,
        depth: Depth = 2,
        latent_dim: LatentDim = 16,
    ) -> None:
        super().__init__()
        if width % _GROUP:
            raise ValueError(f"width ({width}) must be a multiple of {_GROUP}")
        self.channels, self.input_channels, self.latent_dim = channels, input_channels, latent_dim
        self.multiple = _BLOCK << _HALVED
        widths = [width << level for level in range(_HALVED + 1)]
        self.first = nn.Conv2d(input_channels * _BLOCK**2, width, 3, padding=1)
        self.down = nn.ModuleList(_Down(width, below, depth, latent_dim) for width, below in pairwise(widths))
        self.middle = nn.ModuleList(_Block(widths[-1], latent_dim) for _ in range(_MIDDLE))
        self.up = nn.ModuleList(_Up(width, below, depth, latent_dim) for width, below in list(pairwise(widths))[::-1])
        self.norm = nn.GroupNorm(width // _GROUP, width)
        self.finer = _Finer(width, width // 2, input_channels * _SHUFFLED**2)
        self.finest = _Finer(width // 2, _GROUP, input_channels)
        # Zeros beyond the edge would darken it: a white background needs all that a pixel sees.
        self.last = nn.Conv2d(_GROUP, channels, 3, padding=1, padding_mode="replicate")
        nn.init.constant_(self.last.bias, 0.5)  # type: ignore[arg-type]

    def forward(self, images: Tensor, latents: Tensor | None = None) -> Tensor:
        """Without latents those of zero are taken, the most typical."""
        if latents is None:
            latents = images.new_zeros(len(images), self.latent_dim)
        centred = images - 0.5
        x = self.first(in_fast_layout(pixel_unshuffle(centred, _BLOCK)))
        skips = []
        for down in self.down:
            skip, x = down(x, latents)
            skips.append(skip)
        for block in self.middle:
            x = block(x, latents)
        for up in self.up:
            x = up(x, skips.pop(), latents)
        x = self.finer(self.norm(x), pixel_unshuffle(centred, _SHUFFLED))
        made: Tensor = self.last(silu(self.finest(x, centred)))
        return made


@torch.no_grad()
def _equal_in_blocks(layer: nn.Conv2d, size: int) -> None:
    """The same weights for the `size` channels that a pixel shuffle puts into one block."""
    layer.weight.copy_(layer.weight[::size].repeat_interleave(size, 0))
    assert layer.bias is not None
    layer.bias.copy_(layer.bias[::size].repeat_interleave(size, 0))
