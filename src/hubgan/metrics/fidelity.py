"""How close pictures are to the originals, as the super-resolution literature measures it.

That is on the luma channel of 8-bit pictures, without their outermost pixels, of which the small picture tells less.
"""

import torch
from torch import Tensor

SMALLEST = 11
"""The least side in pixels, without the border, that SSIM's window needs."""


def luma(images: Tensor) -> Tensor:
    """uint8 (N, 1 or 3, H, W) to the Y of ITU-R BT.601, float64 (N, 1, H, W) from 16 to 235, rounded as MATLAB does.

    A grey picture (one channel) is its own Y, as the literature has it, whose range is wider.
    """
    if images.shape[1] == 1:
        return images.double()
    weights = torch.tensor([65.481, 128.553, 24.966], dtype=torch.float64, device=images.device)
    return (images.double() / 255 * weights.view(1, 3, 1, 1)).sum(1, keepdim=True).add(16).round()


def psnr(images: Tensor, targets: Tensor, *, border: int) -> float:
    """The peak signal-to-noise ratio in dB of luma, mean over the pictures; infinite where they are equal.

    Args:
        images, targets: uint8 (N, 1 or 3, H, W), of one shape.
        border: pixels left out at each side; the literature leaves out the scale.
    """
    from torchmetrics.functional.image import peak_signal_noise_ratio  # here, as it takes a second to import

    found, wanted = _inner(images, border), _inner(targets, border)
    return float(peak_signal_noise_ratio(found, wanted, data_range=255.0, dim=(1, 2, 3)))


def ssim(images: Tensor, targets: Tensor, *, border: int) -> float:
    """The structural similarity of luma (Wang et al. 2004), mean over the pictures: 1 where they are equal.

    A Gaussian window of 11 x 11 pixels and deviation 1.5, where it fits into the picture.

    Args:
        images, targets: uint8 (N, 1 or 3, H, W), of one shape, with `SMALLEST` pixels a side inside the border.
        border: pixels left out at each side.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    found, wanted = _inner(images, border), _inner(targets, border)
    _, everywhere = structural_similarity_index_measure(
        found, wanted, sigma=1.5, data_range=255.0, return_full_image=True
    )
    # Versions of torchmetrics differ in whether their mean counts the edge, where the window reaches beyond it.
    edge = SMALLEST // 2
    return float(everywhere[:, :, edge:-edge, edge:-edge].mean((1, 2, 3)).mean())


def _inner(images: Tensor, border: int) -> Tensor:
    height, width = images.shape[2:]
    return luma(images)[:, :, border : height - border, border : width - border]
