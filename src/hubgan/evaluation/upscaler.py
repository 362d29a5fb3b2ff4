"""The figures of an upscaler."""

import logging
import math
from collections.abc import Iterator
from functools import partial
from itertools import islice, repeat

import torch
from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

from hubgan.data import ImageSource
from hubgan.data.decoding import Cell, decode
from hubgan.errors import DataError, ImageError
from hubgan.evaluation.reference import Reference, attempts, drawn_cells
from hubgan.evaluation.results import result, rounded, versions
from hubgan.images import flatten, to_image, to_tensor
from hubgan.metrics import fidelity, psnr, shrink, ssim
from hubgan.models import Upscaler
from hubgan.models.card import Result
from hubgan.processes import decide

logger = logging.getLogger(__name__)


def evaluate_upscaler(
    upscaler: Upscaler,
    reference: Reference,
    *,
    small: ImageSource | None = None,
    samples: int | None = None,
    seed: int = 0,
    border: int | None = None,
    progress: bool = False,
) -> list[Result]:
    """PSNR and SSIM on the Y channel of enlarged pictures, mean over the pictures; beside them those of bicubic.

    Args:
        upscaler: on the device to measure on.
        reference: the large pictures; what exceeds a multiple of the scale is cropped at the right and below.
        small: the small pictures, row by row; by default they are made as in training: antialiased bicubic, 8 bits.
        samples: at most so many pictures, drawn by the seed; all by default.
        seed: of that choice.
        border: pixels left out at each side; the scale by default.
        progress: show a bar.

    Of several processes the main one does the work.

    Raises:
        DataError: there are not as many small pictures as large ones, none can be used, or reading breaks off.
    """
    border = upscaler.scale if border is None else border
    return decide(lambda: _evaluate(upscaler, reference, small, samples, seed, border, progress))


def _evaluate(
    upscaler: Upscaler,
    reference: Reference,
    small: ImageSource | None,
    samples: int | None,
    seed: int,
    border: int,
    progress: bool,
) -> list[Result]:
    if small is not None and small.size != reference.source.size:
        raise DataError(f"{small.name} has {small.size} small pictures for {reference.source.size} large ones")
    cells = zip(drawn_cells(reference.source, seed), drawn_cells(small, seed) if small else repeat(None), strict=False)
    refused: list[ImageError] = []

    def usable() -> Iterator[tuple[Tensor, Tensor]]:
        for pair in attempts(partial(_pair, upscaler, border), cells, str(reference)):
            if isinstance(pair, ImageError):
                refused.append(pair)
            else:
                yield pair

    figures = []
    total = samples or reference.source.size
    for little, large in tqdm(islice(usable(), samples), total=total, desc="measuring", disable=not progress):
        plain = to_image(little).resize((large.shape[2], large.shape[1]), Image.Resampling.BICUBIC)
        made = [to_tensor(picture)[None] for picture in (upscaler.upscale(little), plain)]
        measured = [metric(image, large[None], border=border) for metric in (psnr, ssim) for image in made]
        if all(map(math.isfinite, measured)):
            figures.append(measured)
        else:  # such as of a flat colour, which tells nothing and would make the mean infinite
            logger.warning("%s: a picture equal to the original is left out of the figures", reference)
    if not figures:
        reason = refused[0] if refused else "they are equal to their originals"
        raise DataError(f"{reference}: none of its images can be used: {reason}")
    values = torch.tensor(figures, dtype=torch.float64).mean(0).tolist()
    settings: dict[str, str | int | float] = {"channel": "Y of ITU-R BT.601, not rounded", "border": border}
    settings |= {"small_pictures": "given" if small else "antialiased bicubic, 8 bits"}
    settings |= {"seed": seed} if len(figures) < (reference.source.size or 0) else {}
    settings |= versions("torch", "torchmetrics", "pillow")
    return [
        result(reference, len(figures), "", name, value, {"bicubic": rounded(bicubic), **settings})
        for name, value, bicubic in (("PSNR", *values[:2]), ("SSIM", *values[2:]))
    ]


def _pair(upscaler: Upscaler, border: int, cells: tuple[Cell, Cell]) -> tuple[Tensor, Tensor]:
    """The small and the large picture, uint8 (C, h, w) and (C, h * scale, w * scale)."""
    scale, mode = upscaler.scale, "L" if upscaler.channels == 1 else "RGB"
    large, small = (to_tensor(flatten(decode(cell)).convert(mode)) if cell else None for cell in cells)
    assert large is not None
    height, width = (side // scale for side in large.shape[1:])
    if small is not None and small.shape[1:] != (height, width):
        given = " x ".join(map(str, reversed(small.shape[1:])))
        raise ImageError(f"a small picture has {given} pixels, and {width} x {height} belong to its large one")
    if min(height, width) * scale - 2 * border < fidelity.SMALLEST:
        raise ImageError(f"a picture has {large.shape[2]} x {large.shape[1]} pixels, which is too small to measure")
    large = large[:, : height * scale, : width * scale]
    if small is None:
        small = shrink(large[None].float() / 255, scale)[0].mul(255).round().byte()
    return small, large
