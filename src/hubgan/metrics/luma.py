"""The luma of pictures, on which the super-resolution literature compares them."""

import torch
from torch import Tensor


def luma(images: Tensor) -> Tensor:
    """uint8 (N, 1 or 3, H, W) to the Y of ITU-R BT.601, float64 (N, 1, H, W) from 16 to 235, rounded as MATLAB does.

    A grey picture (one channel) is its own Y, as in the literature; its range is wider.
    """
    if images.shape[1] == 1:
        return images.double()
    weights = torch.tensor([65.481, 128.553, 24.966], dtype=torch.float64, device=images.device)
    return (images.double() / 255 * weights.view(1, 3, 1, 1)).sum(1, keepdim=True).add(16).round()


def inner_luma(images: Tensor, border: int) -> Tensor:
    """The luma without `border` pixels at each side: the small picture tells less of the outermost ones."""
    height, width = images.shape[2:]
    return luma(images)[:, :, border : height - border, border : width - border]
