"""The peak signal-to-noise ratio of pictures, as the super-resolution literature measures it."""

from functools import partial

from torch import Tensor

from hubgan.metrics.inputs import Pair
from hubgan.metrics.luma import inner_luma
from hubgan.metrics.registry import Figure, Measured, register_metric

LEGEND = (
    "PSNR (in dB) and SSIM compare with the original. More is better, and bicubic is what plain enlarging reaches."
)


def psnr(images: Tensor, targets: Tensor, *, border: int) -> float:
    """The peak signal-to-noise ratio of luma in dB, averaged over the pictures; infinite for equal ones.

    Args:
        images, targets: uint8 (N, 1 or 3, H, W), of one shape.
        border: pixels left out at each side; the literature leaves out the scale.
    """
    from torchmetrics.functional.image import peak_signal_noise_ratio  # here, as it takes a second to import

    found, wanted = inner_luma(images, border), inner_luma(targets, border)
    return float(peak_signal_noise_ratio(found, wanted, data_range=255.0, dim=(1, 2, 3)))


@register_metric("PSNR", Figure("psnr", "PSNR", "higher", unit="dB"), legend=LEGEND, needs={"pairs"}, beside="bicubic")
def _measure(pair: Pair) -> dict[str, Measured]:
    return {"psnr": pair.compare(partial(psnr, border=pair.border))}
