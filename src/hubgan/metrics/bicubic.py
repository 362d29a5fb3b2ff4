"""Antialiased bicubic resizing, which makes small pictures for training and for evaluation."""

from torch import Tensor
from torch.nn.functional import interpolate


def shrink(large: Tensor, scale: int) -> Tensor:
    """Images (N, channels, H, W) in [0, 1] to (N, channels, H/scale, W/scale), rounded to 8 bits."""
    return reduced(large, scale).clamp(0, 1).mul(255).round().div(255)


def reduced(large: Tensor, scale: int) -> Tensor:
    """As `shrink`, but neither clipped nor rounded, and so differentiable."""
    return interpolate(large, scale_factor=1 / scale, mode="bicubic", antialias=True)


def resize(images: Tensor, side: int) -> Tensor:
    """Images (N, channels, H, W) in [0, 1] to (N, channels, side, side) in [0, 1], antialiased if they shrink."""
    return interpolate(images, size=(side, side), mode="bicubic", antialias=True).clamp(0, 1)
