"""The features of real images, which are kept for the next time, and of generated ones.

In several processes each computes a part, and all of them get the whole: bit for bit what one process computes, but
for the last bits where pictures are broken, as those around them are then computed in other batches.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import datasets
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm.auto import tqdm

from hubgan.data import Squares
from hubgan.data.decoding import decode
from hubgan.errors import DataError, ImageError
from hubgan.evaluation.reference import Reference, attempts, drawn_cells, drawn_rows
from hubgan.metrics import FeatureExtractor, extract
from hubgan.models import Generator
from hubgan.models.generator import Labels
from hubgan.models.latents import truncate
from hubgan.runtime.files import atomic_write
from hubgan.runtime.processes import decide, is_main, share_out

logger = logging.getLogger(__name__)

_TOGETHER = 64  # an image's features may depend in the last bits on those computed with it: so many, or divisors


class RealImages(NamedTuple):
    """What is known of real images: features, float32 (N, F), and rows in their data set, int64 (N,)."""

    features: Tensor
    rows: Tensor


class Samples(NamedTuple):
    """Generated images, uint8 (N, C, H, W), their features, float32 (N, F), and labels, int64 (N,), if any."""

    images: Tensor
    features: Tensor
    labels: Tensor | None


def real_images(
    reference: Reference,
    transform: Squares,
    extractor: FeatureExtractor,
    places: range,
    *,
    seed: int,
    device: torch.device,
    progress: bool,
) -> RealImages:
    """The usable images at some places of the order that the seed decides.

    What was computed once is kept in the cache folder of `datasets`, by the fingerprint of the data, the extractor
    and the places; not of a stream.

    Raises:
        DataError: none can be used, or reading breaks off.
    """
    source = reference.source
    file = _file(reference, transform, extractor, places, seed, device)
    shown, refused = progress and is_main(), list[ImageError]()
    if file and (known := decide(lambda: _read(file))) is not None:
        return known

    def work(places: range) -> tuple[Tensor, Tensor]:
        rows, used = iter(drawn_rows(source, seed, places)), []
        cells = tqdm(
            drawn_cells(source, seed, places), "measuring real images", len(places), unit="img", disable=not shown
        )
        prepared = attempts(lambda cell: transform.prepare(decode(cell)), cells, source.name)

        def usable() -> Iterator[Tensor]:
            for image in prepared:
                row = next(rows)
                if isinstance(image, ImageError):
                    refused.append(image)
                else:
                    used.append(row)
                    yield image

        return extract(extractor, usable(), device=device), torch.tensor(used, dtype=torch.int64)

    if source.size is not None:
        places = range(min(places.start, source.size), min(places.stop, source.size))
    found = RealImages(*share_out(work, places, _TOGETHER))
    if places and not len(found.rows):
        raise DataError(f"{reference}: none of its images can be used: {refused[0] if refused else 'there are none'}")
    if file:
        decide(lambda: _keep(file, found))
    return found


def samples_of(
    generator: Generator,
    extractor: FeatureExtractor,
    count: int,
    *,
    seed: int,
    labels: Labels | None = None,
    truncation: float | None = None,
    batch_size: int = 64,
    progress: bool = False,
) -> Samples:
    """The first images of a seed; of a generator with classes all of them in turn, if no others are named."""
    latents = generator.latents(count, seed=seed)
    if truncation is not None:
        latents = truncate(latents, truncation)
    numbers = generator.label_ids(count, generator.labels or None if labels is None else labels)
    shown = progress and is_main()

    def work(rows: range) -> tuple[Tensor, Tensor]:
        images = torch.empty(len(rows), generator.channels, *(generator.image_size,) * 2, dtype=torch.uint8)
        here, done = slice(rows.start, rows.stop), 0
        mine = None if numbers is None else numbers[here]
        parts = generator.parts(latents[here], mine, batch_size=batch_size, output_type="pt")
        for made in tqdm(parts, "generating", unit="batch", disable=not shown):
            assert isinstance(made, Tensor)
            images[done : done + len(made)] = made.mul(255).round()
            done += len(made)
        bar = tqdm(images, "measuring samples", unit="img", disable=not shown)
        return images, extract(extractor, bar, device=generator.device)

    images, features = share_out(work, range(count), _TOGETHER)
    return Samples(images, features, numbers)


def _file(
    reference: Reference,
    transform: Squares,
    extractor: FeatureExtractor,
    places: range,
    seed: int,
    device: torch.device,
) -> Path | None:
    if reference.source.streaming:
        return None
    folder = Path(datasets.config.HF_DATASETS_CACHE) / "hubgan"
    order = f"{seed}-{places.start}-{places.stop}"
    return folder / f"{reference.source.fingerprint}-{transform.key}-{extractor.key}-{device.type}-{order}.safetensors"


def _read(file: Path) -> RealImages | None:
    try:
        return RealImages(**load_file(file))
    except (OSError, SafetensorError, TypeError):
        return None


def _keep(file: Path, found: RealImages) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(file) as unfinished:
            save_file(found._asdict(), unfinished)
    except (OSError, SafetensorError) as error:
        logger.warning("the features of real images cannot be kept for the next time: %s", error)
