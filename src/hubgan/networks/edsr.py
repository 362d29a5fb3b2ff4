"""EDSR (Lim et al. 2017, https://arxiv.org/abs/1707.02921) in a small size, for super-resolution.

Residual blocks of plain 3x3 convolutions without normalisation, all at low resolution or below, and one pixel shuffle
at the end. Unlike in the paper, the enlarged small picture is added to the result, and each block starts as the
identity; both shorten the training. In evaluation mode each pixel is clamped to the range of its neighbours and a
margin, so flat areas stay flat.
"""

from collections.abc import Callable, Sequence
from typing import Literal, overload

import torch
from pydantic import validate_call
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, pad, pixel_shuffle

from hubgan.networks.fused import conv_add, conv_relu
from hubgan.networks.validation import (
    STRICT,
    Channels,
    Depth,
    Scale,
    Stride,
    Width,
)

SMALLEST_ESTIMATED = 16
"""Pixels a side; the estimator pads smaller pictures."""
_GAIN = 16  # of the detail that the estimator sees: noise and JPEG traces are a few grey levels high
_MARGIN = 1.5  # times the range of the neighbouring pixels; with 1 fine texture is a little less sharp


class ResidualBlock(nn.Module):
    """(N, width, H, W) to the same; a `shift` (N, width) is added before the activation."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        for parameter in self.conv2.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, shift: Tensor | None = None) -> Tensor:
        return conv_add(self.conv2, conv_relu(self.conv1, x, shift), x)


class StrengthEstimator(nn.Module):
    """Images (N, channels, H, W) in [0, 1] to the strengths (N,), from 0 to 1, with which they want to be cleaned.

    It sees how each pixel differs from the mean of the 3 x 3 around it. From the colours themselves it learns nothing.
    """

    def __init__(self, channels: int, width: int = 16) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 3),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, 2 * width, 3, stride=2),
            nn.ReLU(inplace=True),
            nn.Conv2d(2 * width, 2 * width, 3),
            nn.ReLU(inplace=True),
        )
        self.judge = nn.Sequential(nn.Linear(2 * width, 2 * width), nn.ReLU(inplace=True), nn.Linear(2 * width, 1))

    def forward(self, images: Tensor) -> Tensor:
        missing = [max(SMALLEST_ESTIMATED - side, 0) for side in images.shape[2:]]
        images = pad(images, (1, 1 + missing[1], 1, 1 + missing[0]), mode="replicate")
        detail = images[..., 1:-1, 1:-1] - avg_pool2d(images, 3, 1)
        features = self.layers(_GAIN * detail).float().mean((2, 3))
        estimate: Tensor = self.judge(features).squeeze(1).sigmoid()
        return estimate


class EDSR(nn.Module):
    """Images (N, channels, H, W) in [0, 1] to (N, channels, H*scale, W*scale), nominally in [0, 1], not clipped.

    With a `stride` the blocks work on a grid that is coarser by this factor. For the same time they can be wider and
    have a larger receptive field, which suits pictures that have lost their finest detail to blur and noise.

    Args:
        scale: how many times the network enlarges a side, 1 to 8.
        channels: 1 (grey) or 3.
        width: channels of the blocks, 4 to 512.
        depth: residual blocks, 1 to 64.
        stride: how many times coarser the grid of the blocks is than the small picture, 1 to 4.
        strength: take a strength as a second input: how strongly to clean away noise and compression artefacts. In
            each block it acts like a constant plane beside the colours, as in FFDNet (Zhang et al. 2018,
            https://arxiv.org/abs/1710.04026). A small second network estimates it.

    Attributes:
        receptive_field: how far, in pixels of the input, a pixel of the output depends on others.
        multiple: the grid, in pixels of the input, on which the network works.
    """

    @validate_call(config=STRICT)
    def __init__(
        self,
        scale: Scale = 4,
        channels: Channels = 3,
        width: Width = 48,
        depth: Depth = 10,
        stride: Stride = 1,
        strength: bool = False,
    ) -> None:
        super().__init__()
        self.scale, self.channels, self.multiple = scale, channels, stride
        self.receptive_field = stride * (2 * depth + 4) - 1
        self.head = nn.Conv2d(channels, width, 2 * stride + 1, stride=stride, padding=stride)
        self.blocks = nn.Sequential(
            *(ResidualBlock(width) for _ in range(depth)), nn.Conv2d(width, width, 3, padding=1)
        )
        self.tail = nn.Conv2d(width, channels * (scale * stride) ** 2, 3, padding=1)
        self.control = nn.Linear(1, depth * width, bias=False) if strength else None
        self.estimator = StrengthEstimator(channels) if strength else None
        if self.control is not None:
            nn.init.zeros_(self.control.weight)

    @overload
    def forward(self, images: Tensor, strength: Tensor | None = None) -> Tensor: ...

    @overload
    def forward(self, images: Tensor, strength: Tensor, with_estimate: Literal[True]) -> tuple[Tensor, Tensor]: ...

    def forward(
        self, images: Tensor, strength: Tensor | None = None, with_estimate: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Enlarge, with the strength (N,) or (1,) from 0 to 1; by default the estimated one.

        With `with_estimate` the estimated strength (N,) is returned too, for its loss.

        Raises:
            ValueError: the network takes no strength.
        """
        large = self._enlarge(images, self._shifts(images, strength))
        return (large, self.estimator(images)) if with_estimate and self.estimator is not None else large

    def _enlarge(self, images: Tensor, shifts: Sequence[Tensor | None]) -> Tensor:
        features = x = self.head(images - 0.5)
        *blocks, last = self.blocks
        for block, shift in zip(blocks, shifts, strict=True):
            x = block(x, shift)
        detail = pixel_shuffle(self.tail(features + last(x)), self.multiple)
        detail = detail[..., : images.shape[2], : images.shape[3]]
        # A pixel shuffle that adds and clamps on the way: half the time of `pixel_shuffle` on the CPU.
        split: Tensor = detail.unflatten(1, (self.channels, self.scale, self.scale))
        large = split.permute(0, 1, 4, 2, 5, 3) + _spread(images)
        if not self.training:
            large = large.clamp_(*map(_spread, _bounds(images)))
        return large.flatten(4, 5).flatten(2, 3)

    def _shifts(self, images: Tensor, strength: Tensor | None) -> Sequence[Tensor | None]:
        """What the strength adds in each block, (N, width) or (1, width)."""
        if self.control is None or self.estimator is None:
            if strength is not None:
                raise ValueError("the network takes no strength")
            return [None] * (len(self.blocks) - 1)
        strength = self.estimator(images) if strength is None else strength
        shifts: Tensor = self.control(strength.to(self.control.weight.dtype)[:, None])
        width = shifts.shape[1] // (len(self.blocks) - 1)
        # Not `chunk`: exported, its one operator with an output for each block has too many for WebGPU.
        return [shifts[:, start : start + width] for start in range(0, shifts.shape[1], width)]


def _spread(images: Tensor) -> Tensor:
    """(N, channels, H, W) to (N, channels, H, 1, W, 1), which broadcasts to (N, channels, H, scale, W, scale)."""
    return images.unsqueeze(3).unsqueeze(5)


def _bounds(images: Tensor) -> tuple[Tensor, Tensor]:
    """The range that each pixel may take: that of the 3x3 pixels around it, widened by `_MARGIN` times its size.

    If these pixels are all equal, so is the result, whatever the weights: flat areas get no pattern, white stays
    white, and the zero padding of the convolutions leaves no frame.
    """
    padded = pad(images, (1, 1, 1, 1), mode="replicate")
    highest, lowest = (_around(padded, choice) for choice in (torch.maximum, torch.minimum))
    margin = _MARGIN * (highest - lowest)
    return lowest - margin, highest + margin


def _around(images: Tensor, choice: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """`choice` of 3x3 pixels, (N, channels, H + 2, W + 2) to (N, channels, H, W): a tenth of max_pool2d's CPU time."""
    rows = choice(choice(images[..., :-2, :], images[..., 1:-1, :]), images[..., 2:, :])
    return choice(choice(rows[..., :-2], rows[..., 1:-1]), rows[..., 2:])
