"""The structural similarity of pictures, as the super-resolution literature measures it."""

from functools import partial

import torch
from torch import Tensor

from hubgan.metrics.inputs import Pair
from hubgan.metrics.luma import inner_luma
from hubgan.metrics.psnr import LEGEND
from hubgan.metrics.registry import Figure, Measured, register_metric

SMALLEST = 11
"""The smallest side in pixels, without the border, into which the window fits."""


def ssim(images: Tensor, targets: Tensor, *, border: int, dtype: torch.dtype = torch.float64) -> float:
    """The structural similarity of luma (Wang et al. 2004), averaged over the pictures: 1 for equal ones.

    The window is a Gaussian of 11 x 11 pixels and deviation 1.5, at all places where it fits into the picture.

    Args:
        images, targets: uint8 (N, 1 or 3, H, W), of one shape, with `SMALLEST` pixels a side inside the border.
        border: pixels left out at each side.
        dtype: of the computation. float32 takes a tenth of the time, and is off by about 1e-5; in flat pictures by
            up to 1e-3.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    found, wanted = (inner_luma(pictures, border).to(dtype) for pictures in (images, targets))
    _, everywhere = structural_similarity_index_measure(
        found, wanted, sigma=1.5, data_range=255.0, return_full_image=True
    )
    # Versions of torchmetrics differ in whether their mean counts the edge, where the window reaches beyond it.
    edge = SMALLEST // 2
    return float(everywhere[:, :, edge:-edge, edge:-edge].mean((1, 2, 3)).mean())


@register_metric("SSIM", Figure("ssim", "SSIM", "higher"), legend=LEGEND, needs={"pairs"}, beside="bicubic")
def _measure(pair: Pair) -> dict[str, Measured]:
    return {"ssim": pair.compare(partial(ssim, border=pair.border))}
