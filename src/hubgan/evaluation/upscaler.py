"""Upscalers, measured by enlarged pictures beside their originals."""

import logging
import math
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Literal

from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

from hubgan.data.decoding import Cells, decode_all
from hubgan.data.degradation import Degradation
from hubgan.errors import ConfigError, DataError, ImageError, Remedy
from hubgan.evaluation.reference import Reference, prepare_ahead, shuffled_cells
from hubgan.evaluation.results import mean, results_of, versions
from hubgan.media.images import flatten, to_image, to_tensor
from hubgan.metrics import Measured, Pair, registry, shrink
from hubgan.metrics.ssim import SMALLEST
from hubgan.models import Upscaler
from hubgan.models.figures import Result
from hubgan.runtime.processes import decide

logger = logging.getLogger(__name__)


def evaluate_upscaler(
    upscaler: Upscaler,
    reference: Reference,
    *,
    samples: int | None = None,
    seed: int = 0,
    border: int | None = None,
    degradation: Degradation | None = None,
    strength: float | Literal["auto"] = "auto",
    suffix: str = "",
    progress: bool = False,
) -> list[Result]:
    """The figures of enlarged pictures beside their originals, averaged over the pictures.

    It measures all registered metrics of pairs (`hubgan.metrics.registry`). Beside each figure is that of bicubic
    enlarging, or at scale 1 that of the input itself. If there are several processes, the main one does the work.

    Args:
        upscaler: on the device to measure on.
        reference: the large pictures. They are cropped to a multiple of the scale, at the right and at the bottom. In
            pairs the small pictures are the inputs; otherwise they are made: antialiased bicubic, 8 bits.
        degradation: make them blurred, noisy and compressed in this way (`hubgan.data.degradation`), by the seed; the
            names of the figures say so.
        samples: the largest number of pictures, which the seed chooses; all by default.
        seed: of that choice, and of the degradation.
        border: pixels left out at each side; the scale by default.
        strength: of upscalers that have one, as in `Upscaler.upscale`.
        suffix: the end of the figures' names, such as " at fidelity 1".
        progress: show a progress bar.

    Returns:
        Results. Their `settings` hold the bicubic figure and how they were measured.

    Raises:
        ConfigError: the packages of the `train` extra are missing; there are pairs and a degradation; or there is
            neither, and the scale is 1.
        DataError: no picture can be used, or reading breaks off.
    """
    given = reference.source.input_column is not None
    if given and degradation:
        raise ConfigError("the data set holds the small pictures, so a degradation cannot be used",
                          Remedy("Leave out degradation", "Remove --degraded"))  # fmt: skip
    if upscaler.scale == 1 and not given and not degradation:
        raise ConfigError(
            "the scale of the model is 1, so its inputs would equal the originals",
            Remedy(
                "Pass a degradation, or a data set of pairs",
                "Pass --degraded everyday, or the column of the inputs with --small-column",
            ),
        )
    border = upscaler.scale if border is None else border
    suffix = (f" of {degradation.adjective} pictures" if degradation else "") + suffix
    return decide(
        lambda: _evaluate(
            upscaler,
            reference,
            samples=samples,
            seed=seed,
            border=border,
            degradation=degradation,
            strength=strength,
            suffix=suffix,
            progress=progress,
        )
    )


def _evaluate(
    upscaler: Upscaler,
    reference: Reference,
    *,
    samples: int | None,
    seed: int,
    border: int,
    degradation: Degradation | None,
    strength: float | Literal["auto"],
    suffix: str,
    progress: bool,
) -> list[Result]:
    unusable: list[ImageError] = []

    def usable() -> Iterator[tuple[Tensor, Tensor]]:
        prepare = partial(_pair, upscaler, border, seed, degradation)
        for pair in prepare_ahead(prepare, enumerate(shuffled_cells(reference.source, seed)), str(reference)):
            if isinstance(pair, ImageError):
                unusable.append(pair)
            else:
                yield pair

    metrics = [(metric, metric.start(upscaler.device)) for metric in registry.measurable(registry.UPSCALER_NEEDS)]
    measured: list[dict[str, Measured]] = []  # a picture each
    total = reference.at_most(samples) if samples else reference.source.size
    for little, large in tqdm(islice(usable(), samples), total=total, desc="measuring", disable=not progress):
        plain = to_image(little).resize((large.shape[2], large.shape[1]), Image.Resampling.BICUBIC)
        mode = "L" if len(large) == 1 else "RGB"
        enlarged, bicubic = (
            to_tensor(image.convert(mode))[None] for image in (upscaler.upscale(little, strength=strength), plain)
        )
        pair = Pair(enlarged, bicubic, large[None], upscaler.scale, border)
        values = {key: value for _, measure in metrics for key, value in measure(pair).items()}
        if all(math.isfinite(number) for value in values.values() for number in (value.value, value.beside)):
            measured.append(values)
        else:  # such as of a flat colour, which tells nothing and would make the mean infinite
            logger.warning("%s: a picture that equals its original is ignored", reference)
    if not measured:
        reason = unusable[0] if unusable else "they equal their originals"
        raise DataError(f"{reference}: none of its images can be used: {reason}")
    settings: dict[str, str | int | float] = {"channel": "Y of ITU-R BT.601, rounded", "border": border}
    made = degradation.method if degradation else "antialiased bicubic, 8 bits"
    settings |= {"small_pictures": "given" if reference.source.input_column else made}
    settings |= {"strength": strength} if upscaler.has_strength else {}
    settings |= {"seed": seed} if degradation or len(measured) < (reference.source.size or 0) else {}
    settings |= versions("torch", "torchmetrics", "pillow")
    means = {key: mean([values[key] for values in measured]) for key in measured[0]}
    return [
        result
        for metric, _ in metrics
        for result in results_of(
            metric,
            means,
            reference,
            samples=len(measured),
            settings=settings,
            beside="input" if upscaler.scale == 1 else "",
            suffix=suffix,
        )
    ]


def _pair(
    upscaler: Upscaler, border: int, seed: int, degradation: Degradation | None, numbered: tuple[int, Cells]
) -> tuple[Tensor, Tensor]:
    """The small and the large picture, uint8 (C, h, w) and (C, h * scale, w * scale)."""
    scale, mode = upscaler.scale, "L" if upscaler.channels == 1 else "RGB"
    number, cells = numbered
    original, *given = decode_all(cells)
    grey = bool(original.info.get("grey"))
    large = to_tensor(flatten(original).convert("L" if grey else mode))
    small = to_tensor(flatten(given[0]).convert(mode)) if given else None
    height, width = (side // scale for side in large.shape[1:])
    if small is not None and small.shape[1:] != (height, width):
        sides = " x ".join(map(str, reversed(small.shape[1:])))
        raise ImageError(f"a small picture has {sides} pixels, but its large picture needs {width} x {height}")
    if min(height, width) * scale - 2 * border < SMALLEST:
        raise ImageError(f"a picture has {large.shape[2]} x {large.shape[1]} pixels, which is too small to measure")
    large = large[:, : height * scale, : width * scale]
    if small is None:
        whole = large[None].float() / 255
        # Each picture has random numbers of its own, as several threads prepare pictures in any order.
        made = degradation.by_seed(whole, scale, seed, number)[0] if degradation else shrink(whole, scale)
        small = made[0].mul(255).round().byte()
    return small, large
