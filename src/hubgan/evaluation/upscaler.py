"""The figures of an upscaler."""

import logging
import math
from collections.abc import Iterator
from functools import partial
from itertools import count, islice, repeat

import torch
from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

from hubgan.data import ImageSource
from hubgan.data.decoding import Cell, decode
from hubgan.data.degradation import degrade_by_seed
from hubgan.errors import DataError, ImageError
from hubgan.evaluation.reference import Reference, attempts, drawn_cells
from hubgan.evaluation.results import result, rounded, versions
from hubgan.media.images import flatten, to_image, to_tensor
from hubgan.metrics import PerceptualDistance, fidelity, psnr, sharpness_ratio, shrink, ssim
from hubgan.models import Upscaler
from hubgan.models.card import Result
from hubgan.runtime.processes import decide

logger = logging.getLogger(__name__)

# The figures, and by what network they judge.
_NAMES = {
    "PSNR": "",
    "SSIM": "",
    "PD-ENL2": "EfficientNet-Lite2 (ImageNet), stem and blocks 3, 6, 14, 20",
    "Sharpness": "",
}


def evaluate_upscaler(
    upscaler: Upscaler,
    reference: Reference,
    *,
    small: ImageSource | None = None,
    samples: int | None = None,
    seed: int = 0,
    border: int | None = None,
    degraded: bool = False,
    suffix: str = "",
    progress: bool = False,
) -> list[Result]:
    """How near enlarged pictures are to the originals, mean over the pictures; beside it what bicubic reaches.

    PSNR and SSIM on the Y channel; the perceptual distance by EfficientNet-Lite2 (PD-ENL2); the sharpness ratio.

    Args:
        upscaler: on the device to measure on.
        reference: the large pictures; what exceeds a multiple of the scale is cropped at the right and below.
        small: the small pictures, row by row; by default they are made as in training: antialiased bicubic, 8 bits.
        degraded: make them blurred, resized, noisy and compressed (`hubgan.data.degradation`), by the seed; the names
            of the figures tell.
        samples: at most so many pictures, drawn by the seed; all by default.
        seed: of that choice, and of what degrades.
        border: pixels left out at each side; the scale by default.
        suffix: what follows the figures' names, such as " at fidelity 1".
        progress: show a bar.

    Of several processes the main one does the work.

    Raises:
        DataError: there are not as many small pictures as large ones, none can be used, or reading breaks off.
    """
    border = upscaler.scale if border is None else border
    suffix = (" of degraded pictures" if degraded else "") + suffix
    return decide(lambda: _evaluate(upscaler, reference, small, degraded, samples, seed, border, suffix, progress))


def _evaluate(
    upscaler: Upscaler,
    reference: Reference,
    small: ImageSource | None,
    degraded: bool,
    samples: int | None,
    seed: int,
    border: int,
    suffix: str,
    progress: bool,
) -> list[Result]:
    if small is not None and small.size != reference.source.size:
        raise DataError(f"{small.name} has {small.size} small pictures for {reference.source.size} large ones")
    given = drawn_cells(small, seed) if small else repeat(None)
    cells = zip(drawn_cells(reference.source, seed), given, count(), strict=False)
    refused: list[ImageError] = []

    def usable() -> Iterator[tuple[Tensor, Tensor]]:
        for pair in attempts(partial(_pair, upscaler, border, seed if degraded else None), cells, str(reference)):
            if isinstance(pair, ImageError):
                refused.append(pair)
            else:
                yield pair

    perceptual = PerceptualDistance(lite=2).to(upscaler.device)
    figures = []
    total = samples or reference.source.size
    for little, large in tqdm(islice(usable(), samples), total=total, desc="measuring", disable=not progress):
        plain = to_image(little).resize((large.shape[2], large.shape[1]), Image.Resampling.BICUBIC)
        mode = "L" if len(large) == 1 else "RGB"
        pictures = (to_tensor(picture.convert(mode))[None] for picture in (upscaler.upscale(little), plain))
        compared = [_compare(each, large[None], upscaler.scale, border, perceptual) for each in pictures]
        measured = [*compared[0], *compared[1]]
        if all(map(math.isfinite, measured)):
            figures.append(measured)
        else:  # such as of a flat colour, which tells nothing and would make the mean infinite
            logger.warning("%s: a picture equal to the original is left out of the figures", reference)
    if not figures:
        reason = refused[0] if refused else "they are equal to their originals"
        raise DataError(f"{reference}: none of its images can be used: {reason}")
    values = torch.tensor(figures, dtype=torch.float64).mean(0).view(2, len(_NAMES)).T.tolist()
    settings: dict[str, str | int | float] = {"channel": "Y of ITU-R BT.601, rounded", "border": border}
    made = "degraded (Real-ESRGAN's ways, without sinc filters)" if degraded else "antialiased bicubic, 8 bits"
    settings |= {"small_pictures": "given" if small else made}
    settings |= {"seed": seed} if degraded or len(figures) < (reference.source.size or 0) else {}
    settings |= versions("torch", "torchmetrics", "pillow")
    return [
        result(reference, len(figures), extractor, name, value, {"bicubic": rounded(bicubic), **settings}, suffix)
        for (name, extractor), (value, bicubic) in zip(_NAMES.items(), values, strict=True)
    ]


def _compare(image: Tensor, large: Tensor, scale: int, border: int, perceptual: PerceptualDistance) -> list[float]:
    """The figures of one picture, uint8 (1, 1 or 3, H, W), in the order of `_NAMES`."""
    device = next(perceptual.buffers()).device
    inner = slice(border or None, -border or None)
    seen = (picture[:, :, inner, inner].to(device).float() / 255 for picture in (image, large))
    with torch.inference_mode():
        distance = perceptual(*seen).item()
    sharpness = sharpness_ratio(image, large, scale=scale, border=border)
    return [psnr(image, large, border=border), ssim(image, large, border=border), distance, sharpness]


def _pair(upscaler: Upscaler, border: int, damage: int | None, cells: tuple[Cell, Cell, int]) -> tuple[Tensor, Tensor]:
    """The small and the large picture, uint8 (C, h, w) and (C, h * scale, w * scale)."""
    scale, mode = upscaler.scale, "L" if upscaler.channels == 1 else "RGB"
    *both, number = cells
    original, given = (decode(cell) if cell else None for cell in both)
    assert original is not None
    grey = bool(original.info.get("grey"))
    large = to_tensor(flatten(original).convert("L" if grey else mode))
    small = None if given is None else to_tensor(flatten(given).convert(mode))
    height, width = (side // scale for side in large.shape[1:])
    if small is not None and small.shape[1:] != (height, width):
        sides = " x ".join(map(str, reversed(small.shape[1:])))
        raise ImageError(f"a small picture has {sides} pixels, and {width} x {height} belong to its large one")
    if min(height, width) * scale - 2 * border < fidelity.SMALLEST:
        raise ImageError(f"a picture has {large.shape[2]} x {large.shape[1]} pixels, which is too small to measure")
    large = large[:, : height * scale, : width * scale]
    if small is None:
        whole = large[None].float() / 255
        # Each picture by numbers of its own: they are read by several threads, in no order.
        made = shrink(whole, scale) if damage is None else degrade_by_seed(whole, scale, damage, number)
        small = made[0].mul(255).round().byte()
    return small, large
