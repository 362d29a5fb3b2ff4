"""How much fine detail an enlarged picture has, relative to the original."""

from functools import partial

import torch
from torch import Tensor

from hubgan.metrics.inputs import Pair
from hubgan.metrics.luma import inner_luma
from hubgan.metrics.registry import Figure, Measured, register_metric


def sharpness_ratio(images: Tensor, targets: Tensor, *, scale: int, border: int) -> float:
    """The energy of luma above the small picture's Nyquist frequency: that of the images over that of the originals.

    The small picture cannot hold detail of these frequencies. 0 is smooth, 1 is as detailed as the original, more is
    oversharpened or noisy. Whether the detail is in its place is not measured. A Hann window suppresses the edges.

    Args:
        images, targets: uint8 (N, 1 or 3, H, W), of one shape.
        scale: how many times the small picture was enlarged, 2 or more.
        border: pixels left out at each side.

    Returns:
        The mean over the pictures; infinite where an original has no such energy.
    """
    found, wanted = (_fine_energy(inner_luma(pictures, border)[:, 0], scale) for pictures in (images, targets))
    return float((found / wanted).mean())


def _fine_energy(pictures: Tensor, scale: int) -> Tensor:
    """(N, H, W) to (N,)."""
    height, width = pictures.shape[1:]
    window = [torch.hann_window(side, periodic=False, dtype=pictures.dtype) for side in (height, width)]
    flat = pictures - pictures.mean((1, 2), keepdim=True)
    power = torch.fft.fft2(flat * torch.outer(*window).to(pictures.device)).abs().square()
    beyond = [torch.fft.fftfreq(side).abs() > 0.5 / scale for side in (height, width)]
    energy: Tensor = power * (beyond[0][:, None] | beyond[1]).to(power.device)
    return energy.sum((1, 2))


@register_metric(
    "Sharpness",
    Figure("sharpness", "Sharpness", "closer to 1"),
    legend="Sharpness is the energy of fine detail that the small picture cannot hold, over that of"
    " the original. At 1 the result is as detailed, and above 1 it has too much detail.",
    needs={"pairs"},
    beside="bicubic",
)
def _measure(pair: Pair) -> dict[str, Measured]:
    if pair.scale == 1:  # the input holds detail of every size
        return {}
    return {"sharpness": pair.compare(partial(sharpness_ratio, scale=pair.scale, border=pair.border))}
