"""What a model is worth, in figures with all that is needed to measure them again: data, split, count, seed."""

import logging
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from itertools import chain, islice, repeat
from pathlib import Path
from typing import TypeVar

import datasets
import torch
from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

from hubgan.data import ImageSource, Squares
from hubgan.data.decoding import Cell, decode, decoding_pool, map_ahead
from hubgan.errors import DataError, ImageError
from hubgan.images import flatten, to_image, to_tensor
from hubgan.metrics import (
    EfficientNetLite0,
    FeatureExtractor,
    extract,
    fidelity,
    frechet_distance,
    kernel_distance,
    psnr,
    shrink,
    ssim,
)
from hubgan.models import Generator, Upscaler
from hubgan.models.card import Result

logger = logging.getLogger(__name__)

_FEWEST = 4  # two in each half of the reference
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Reference:
    """Real images to measure against.

    Attributes:
        source: the images.
        dataset: what the figures call the data set: its Hub name, or words.
        split: which split of it.
    """

    source: ImageSource
    dataset: str
    split: str

    @property
    def revision(self) -> str:
        """The commit of the data set on the Hub, else the fingerprint of the rows."""
        for file in getattr(self.source.rows, "cache_files", []):
            folder = Path(file["filename"]).parent.name  # `datasets` keeps what comes from the Hub by its commit
            if len(folder) == 40 and set(folder) <= set("0123456789abcdef"):
                return folder
        return self.source.fingerprint

    def __str__(self) -> str:
        return f"{self.dataset}, split {self.split}"


def evaluate_generator(
    generator: Generator,
    reference: Reference,
    *,
    samples: int,
    seed: int = 0,
    floor: Reference | None = None,
    reals: int | None = None,
    extractor: FeatureExtractor | None = None,
    batch_size: int = 64,
    progress: bool = False,
) -> list[Result]:
    """The Frechet and the kernel distance of generated images from real ones, all as uint8.

    With each comes its floor: what the same distance is between real images and the same reference images.

    Args:
        generator: on the device to measure on.
        reference: the real images; of more than are needed some are drawn by the seed.
        samples: how many images are generated: the first ones of the seed.
        seed: of the generator, of the choice of real images, and of the subsets of the kernel distance.
        floor: other real images for the floor, such as the training split. Without it they are other images of the
            reference, and where it has too few the floor is the distance between its two halves.
        reals: how many reference images; by default as many as samples, and no more samples than they are.
        extractor: what sees the features; EfficientNet-Lite0 by default.
        batch_size: images generated at once.
        progress: show a bar.

    Returns:
        Results whose `settings` tell the floor and how it was measured.

    Raises:
        ConfigError: the extractor's packages are missing.
        DataError: fewer than four images, or reading breaks off.
    """
    extractor = (extractor or EfficientNetLite0()).to(generator.device)
    view = Squares(size=generator.image_size, channels=generator.channels, flip=False)

    def seen(images: Iterable[Tensor], count: int, what: str) -> Tensor:
        bar = tqdm(islice(images, count), total=count, desc=f"measuring {what}", unit="img", disable=not progress)
        return extract(extractor, bar, device=generator.device)

    pictures = _prepared(view, reference.source, seed)
    real = seen(pictures, reals or samples, "real images")
    count = samples if reals else len(real)
    if min(len(real), count) < _FEWEST:
        raise DataError(
            f"{reference}: a distance and its floor need {_FEWEST} images at least, not {min(len(real), count)}"
        )
    if len(real) < (reals or samples):
        logger.warning("%s has %d images, not %d: the figures are of so many", reference, len(real), reals or samples)
    fake = seen(_generated(generator, count, seed, batch_size), count, "samples")
    other, between = torch.empty(0), ""
    if floor is not None and floor.source.fingerprint != reference.source.fingerprint:
        other, between = seen(_prepared(view, floor.source, seed), count, "the floor"), f"{floor}, and reference"
    elif (reference.source.size or len(real) + count) >= len(real) + count:
        other, between = seen(pictures, count, "the floor"), "other images of the split, and reference"
    one, two = real, other
    if len(other) < count:
        (one, two), between = real[: len(real) // 2 * 2].chunk(2), "two halves of reference"
    settings: dict[str, str | int | float] = {"seed": seed, "reference_images": len(real)}
    settings |= {"floor_between": between, "floor_images": len(two)}
    settings |= {"images": f"uint8; {extractor.preparation}", **_versions("torch", "torchmetrics")}
    distance, least = kernel_distance(real, fake, seed=seed), kernel_distance(one, two, seed=seed)
    subsets = {"subsets": distance.subsets, "subset_size": distance.subset_size}
    common = partial(_result, reference, count, extractor.description)
    name = extractor.name
    return [
        common(f"FD-{name}", frechet_distance(real, fake), {"floor": _round(frechet_distance(one, two)), **settings}),
        common(f"KD-{name}", distance.mean, {"floor": _round(least.mean), **settings, **subsets,
                                             "subset_deviation": _round(distance.deviation)}),
    ]  # fmt: skip


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

    Raises:
        DataError: there are not as many small pictures as large ones, none can be used, or reading breaks off.
    """
    border = upscaler.scale if border is None else border
    if small is not None and small.size != reference.source.size:
        raise DataError(f"{small.name} has {small.size} small pictures for {reference.source.size} large ones")
    cells = zip(_cells(reference.source, seed), _cells(small, seed) if small else repeat(None), strict=False)
    pairs = _usable(partial(_pair, upscaler, border), cells, str(reference))
    figures = []
    total = samples or reference.source.size
    for little, large in tqdm(islice(pairs, samples), total=total, desc="measuring", disable=not progress):
        plain = to_image(little).resize((large.shape[2], large.shape[1]), Image.Resampling.BICUBIC)
        made = [to_tensor(picture)[None] for picture in (upscaler.upscale(little), plain)]
        measured = [metric(image, large[None], border=border) for metric in (psnr, ssim) for image in made]
        if all(map(math.isfinite, measured)):
            figures.append(measured)
        else:  # such as of a flat colour, which tells nothing and would make the mean infinite
            logger.warning("%s: a picture equal to the original is left out of the figures", reference)
    if not figures:
        raise DataError(f"{reference}: none of its pictures can be used to measure")
    values = torch.tensor(figures, dtype=torch.float64).mean(0).tolist()
    settings: dict[str, str | int | float] = {"channel": "Y of ITU-R BT.601, not rounded", "border": border}
    settings |= {"small_pictures": "given" if small else "antialiased bicubic, 8 bits"}
    settings |= {"seed": seed} if len(figures) < (reference.source.size or 0) else {}
    versions = _versions("torch", "torchmetrics", "pillow")
    return [
        _result(reference, len(figures), "", name, value, {"bicubic": _round(bicubic), **settings, **versions})
        for name, value, bicubic in (("PSNR", *values[:2]), ("SSIM", *values[2:]))
    ]


def merge(old: Iterable[Result], new: Iterable[Result]) -> list[Result]:
    """Results with new ones in place of the old ones of the same metric, data set and split."""
    kept = {(result["metric"], result["dataset"], result.get("split")): result for result in (*old, *new)}
    return list(kept.values())


def table(results: Iterable[Result]) -> str:
    """Results in lines of text."""
    rows = [("metric", "value", "beside it", "samples", "data")]
    for result in results:
        settings = result.get("settings", {})
        beside = ", ".join(f"{key} {settings[key]:g}" for key in ("floor", "bicubic") if key in settings)
        data = f"{result['dataset']}, split {result.get('split', '?')}"
        rows.append((result["name"], f"{result['value']:.5g}", beside, f"{result.get('samples', 0):,}", data))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
                     for row in rows)  # fmt: skip


# -- images


def _generated(generator: Generator, count: int, seed: int, batch_size: int) -> Iterator[Tensor]:
    """The images of a seed, uint8 (channels, size, size), never more than a batch in memory."""
    part = -(-batch_size // 8) * 8  # cut elsewhere, the last bits of the images might differ
    for latents in generator.latents(count, seed=seed).split(part):
        images = generator.images_from(latents, batch_size=part, output_type="pt")
        assert isinstance(images, Tensor)
        yield from images.mul(255).round().byte()


def _prepared(view: Squares, source: ImageSource, seed: int) -> Iterator[Tensor]:
    """The images of a source in an order drawn by the seed, or in that of a stream, as uint8."""
    return _usable(lambda cell: view.prepare(decode(cell)), _cells(source, seed), source.name)


def _cells(source: ImageSource, seed: int) -> Iterator[Cell]:
    rows = source.rows
    if isinstance(rows, datasets.Dataset):
        rows = rows.select(torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed)).tolist())
    return chain.from_iterable(source.read(rows))


def _usable(prepare: Callable[[T], R], items: Iterable[T], name: str) -> Iterator[R]:
    """Items prepared some ahead, in threads; those that raise ImageError are left out, with a warning for the first.

    Raises:
        DataError: not one of them is left.
    """

    def attempt(item: T) -> R | ImageError:
        try:
            return prepare(item)
        except ImageError as error:
            return error

    found, refused = 0, None
    with decoding_pool() as pool:
        for outcome in map_ahead(pool, attempt, items):
            if not isinstance(outcome, ImageError):
                found += 1
                yield outcome
            elif refused is None:
                refused = outcome
                logger.warning("%s: an image is left out of the figures: %s; there may be more", name, outcome)
    if refused is not None and not found:
        raise DataError(f"{name}: none of its images can be used: {refused}")


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


# -- figures


def _result(
    reference: Reference,
    samples: int,
    extractor: str,
    name: str,
    value: float,
    settings: dict[str, str | int | float],
) -> Result:
    result = Result(
        metric=name.lower(),
        name=name,
        value=_round(value),
        dataset=reference.dataset,
        split=reference.split,
        revision=reference.revision,
        samples=samples,
        settings=settings,
    )
    return result | {"extractor": extractor} if extractor else result


def _round(value: float) -> float:
    return float(f"{value:.6g}")


def _versions(*packages: str) -> dict[str, str]:
    return {package: metadata.version(package).partition("+")[0] for package in packages}
