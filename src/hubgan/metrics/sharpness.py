"""How much fine detail an enlarged picture has, compared with the original."""

import torch
from torch import Tensor

from hubgan.metrics.fidelity import luma


def sharpness_ratio(images: Tensor, targets: Tensor, *, scale: int, border: int) -> float:
    """Energy of luma above the small picture's Nyquist frequency, of the images over that of the originals.

    What the small picture cannot hold lies there: 0 is smooth, 1 as detailed as the original, more is oversharpened
    or noisy. It says nothing of whether the detail is in its place. A Hann window keeps the picture's edges out of it.

    Args:
        images, targets: uint8 (N, 1 or 3, H, W), of one shape.
        scale: how many times the small picture was enlarged, 2 or more.
        border: pixels left out at each side.

    Returns:
        The mean over the pictures; infinite where an original has no such energy.
    """
    found, wanted = (_fine_energy(luma(x)[:, 0, border or None : -border or None, border or None : -border or None],
                                  scale) for x in (images, targets))  # fmt: skip
    return float((found / wanted).mean())


def _fine_energy(pictures: Tensor, scale: int) -> Tensor:
    """(N, H, W) to (N,)."""
    height, width = pictures.shape[1:]
    window = [torch.hann_window(side, periodic=False, dtype=pictures.dtype) for side in (height, width)]
    flat = pictures - pictures.mean((1, 2), keepdim=True)
    power = torch.fft.fft2(flat * torch.outer(*window).to(pictures.device)).abs().square()
    beyond = [torch.fft.fftfreq(side).abs() > 0.5 / scale for side in (height, width)]
    return (power * (beyond[0][:, None] | beyond[1]).to(power.device)).sum((1, 2))
