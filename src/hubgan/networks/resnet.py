"""A ResNet that turns images into other images (Johnson et al. 2016, https://arxiv.org/abs/1603.08155).

CycleGAN and CUT train such a network (Zhu et al. 2017, https://arxiv.org/abs/1703.10593, section 4). This one is
narrower, for CPUs: it begins at half the resolution, on 2 x 2 pixels at once, and its blocks work at a quarter of it.
Bilinear enlarging before the convolutions leads back. No weight belongs to a place in a block of pixels, so no pattern
is woven.
"""

from collections.abc import Iterator, Sequence

import torch
from pydantic import validate_call
from torch import Tensor, nn
from torch.nn.functional import interpolate, pixel_unshuffle, relu

from hubgan.networks.layers import Style, in_fast_layout
from hubgan.networks.validation import STRICT, Channels, Depth, InputChannels, OptionalLatentDim, Width

_MULTIPLE = 8  # pixels; the blocks see at least two a side, which reflection needs
_SEEN = 2  # pixels a side that the first layer sees at once


def _conv(before: int, after: int, stride: int = 1, *, bias: bool = False) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, stride, 1, padding_mode="reflect", bias=bias)


class _Block(nn.Module):
    """(N, width, H, W), and latents (N, latent_dim) if there are any, to the same shape."""

    def __init__(self, width: int, latent_dim: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = _conv(width, width), _conv(width, width)
        self.norm1, self.norm2 = nn.InstanceNorm2d(width), nn.InstanceNorm2d(width)
        self.style = Style(latent_dim, width) if latent_dim else None

    def forward(self, x: Tensor, latents: Tensor) -> Tensor:
        inner = self.norm1(self.conv1(x))
        if self.style is not None:
            inner = self.style(inner, latents)
        changed: Tensor = x + self.norm2(self.conv2(relu(inner)))
        return changed


class _Up(nn.Module):
    """(N, before, H, W) to (N, after, 2H, 2W)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv, self.norm = _conv(before, after), nn.InstanceNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        return relu(self.norm(self.conv(interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False))))


class ResNet(nn.Module):
    """Images (N, input_channels, H, W), and latents (N, latent_dim), to images (N, channels, H, W) in [0, 1].

    Inputs are in [0, 1] too. Sides are multiples of 8. The normalisation looks at the whole picture, so a large one
    cannot be translated in tiles.

    Args:
        channels: channels of the output images, 1 (grey) or 3.
        input_channels: channels of the input images, 1 to 8.
        width: channels at a quarter of the resolution, a multiple of 4; half of them at half the resolution.
        depth: blocks at a quarter of the resolution.
        latent_dim: numbers in a latent, which selects one of the possible results; 0 if there is only one.
        residual: add the output to the input, as DeblurGAN does (Kupyn et al. 2018, https://arxiv.org/abs/1711.07064).
            Training then begins with unchanged pictures.

    Attributes:
        multiple: the grid, in pixels, on which the network works.
        layer_channels: channels of each layer that `features` knows. First comes the input, then two layers that lead
            to a quarter of the resolution, then the blocks.

    Raises:
        pydantic.ValidationError: a value of another type or out of bounds.
        ValueError: a width that is no multiple of 4, or other channels to add to.
    """

    @validate_call(config=STRICT)
    def __init__(
        self,
        channels: Channels = 3,
        input_channels: InputChannels = 3,
        width: Width = 96,
        depth: Depth = 9,
        latent_dim: OptionalLatentDim = 0,
        residual: bool = False,
    ) -> None:
        super().__init__()
        if width % 4:
            raise ValueError(f"width ({width}) must be a multiple of 4")
        if residual and channels != input_channels:
            raise ValueError(f"residual needs as many input_channels ({input_channels}) as channels ({channels})")
        self.channels, self.input_channels, self.latent_dim = channels, input_channels, latent_dim
        self.multiple = _MULTIPLE
        half, whole = width // 2, width // 4
        self.layer_channels = (input_channels, half, *[width] * (depth + 1))
        self.first, self.norm1 = _conv(input_channels * _SEEN**2, half), nn.InstanceNorm2d(half)
        self.second, self.norm2 = _conv(half, width, 2), nn.InstanceNorm2d(width)
        self.blocks = nn.ModuleList(_Block(width, latent_dim) for _ in range(depth))
        self.up = nn.Sequential(_Up(width, half), _Up(half, whole))
        self.last = _conv(whole, channels, bias=True)
        self.residual = residual
        if residual:
            nn.init.zeros_(self.last.weight)
            nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, images: Tensor, latents: Tensor | None = None) -> Tensor:
        """Without latents those of zero are taken, the most typical."""
        *_, x = self._layers(images, latents)
        made: Tensor = self.last(self.up(x))
        if self.residual:
            return (images + torch.tanh(made)).clamp(0, 1)
        return torch.tanh(made) / 2 + 0.5

    def features(self, images: Tensor, layers: Sequence[int]) -> list[Tensor]:
        """What some layers make of images, (N, channels, h, w) each; layers after the last of them are not computed.

        Args:
            images: (N, input_channels, H, W) in [0, 1].
            layers: numbers in `layer_channels`, from 0 on.
        """
        found: dict[int, Tensor] = {}
        for number, x in enumerate(self._layers(images, None)):
            found[number] = x
            if number == max(layers):
                break
        return [found[layer] for layer in layers]

    def _layers(self, images: Tensor, latents: Tensor | None) -> Iterator[Tensor]:
        if latents is None:
            latents = images.new_zeros(images.shape[0], self.latent_dim)
        x = in_fast_layout(images * 2 - 1)
        yield x
        x = relu(self.norm1(self.first(in_fast_layout(pixel_unshuffle(x, _SEEN)))))
        yield x
        x = relu(self.norm2(self.second(x)))
        yield x
        for block in self.blocks:
            x = block(x, latents)
            yield x
