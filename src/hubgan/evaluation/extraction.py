"""Features of real images, which are cached, and of generated ones.

Several processes (`accelerate launch`) compute a part each, and all of them get the whole. It is bit for bit what one
process computes, except for the last bits if images are broken, as those around them then form other batches.
"""

import logging
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import datasets
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm.auto import tqdm

from hubgan.data import Squares
from hubgan.errors import DataError, ImageError
from hubgan.evaluation.reference import Reference, prepare_ahead, shuffled_cells, shuffled_rows
from hubgan.metrics import FeatureExtractor, extract
from hubgan.metrics.classifier import to_classifier
from hubgan.models import Generator
from hubgan.models.labels import Labels
from hubgan.models.latents import truncate
from hubgan.runtime.files import atomic_write
from hubgan.runtime.processes import decide, is_main, share_out

logger = logging.getLogger(__name__)

_MULTIPLE = 64  # a process gets a multiple of the batch size: the last bits of features depend on the batch


class RealFeatures(NamedTuple):
    """The features of real images, float32 (N, F), and their rows in the data set, int64 (N,)."""

    features: Tensor
    rows: Tensor


class Samples(NamedTuple):
    """Generated images, uint8 (N, C, H, W), their features, float32 (N, F), and their labels, int64 (N,), if any."""

    images: Tensor
    features: Tensor
    labels: Tensor | None


def real_features(
    reference: Reference,
    transform: Squares,
    extractor: FeatureExtractor,
    positions: range,
    *,
    seed: int,
    device: torch.device,
    progress: bool,
) -> RealFeatures:
    """The features of the images at some positions of the order that the seed decides; broken images are left out.

    They are cached in the folder of `datasets`, by the fingerprint of the data, the transform, the extractor and the
    positions. Those of a stream are not cached.

    Raises:
        DataError: no image can be used, or reading breaks off.
    """
    source = reference.source
    file = _cache_file(reference, transform, extractor, positions, seed, device)
    show, broken = progress and is_main(), list[ImageError]()
    if file and (cached := decide(lambda: _read_cache(file))) is not None:
        return cached

    def work(positions: range) -> tuple[Tensor, Tensor]:
        rows, used = iter(shuffled_rows(source, seed, positions)), []
        cells = tqdm(
            shuffled_cells(source, seed, positions),
            "measuring real images",
            len(positions),
            unit="img",
            disable=not show,
        )
        prepared = prepare_ahead(lambda cells: source.prepare(transform, cells), cells, source.name)

        def usable() -> Iterator[Tensor]:
            for image in prepared:
                row = next(rows)
                if isinstance(image, ImageError):
                    broken.append(image)
                else:
                    used.append(row)
                    yield image

        return extract(extractor, usable(), device=device), torch.tensor(used, dtype=torch.int64)

    if source.size is not None:
        positions = range(min(positions.start, source.size), min(positions.stop, source.size))
    found = RealFeatures(*share_out(work, positions, _MULTIPLE))
    if positions and not len(found.rows):
        raise DataError(f"{reference}: none of its images can be used: {broken[0] if broken else 'it is empty'}")
    if file:
        decide(lambda: _write_cache(file, found))
    return found


def real_pixels(reference: Reference, transform: Squares, rows: Tensor, *, progress: bool) -> Tensor:
    """Rows of a data set whose images can be used, as the small classifier takes them: uint8 (N, C, 32, 32)."""
    source = reference.source
    cells = chain.from_iterable(source.read(source.rows.select(rows.tolist())))
    images = prepare_ahead(lambda cells: source.prepare(transform, cells), cells, source.name)
    show = progress and is_main()
    return torch.cat(
        [
            to_classifier(image[None])
            for image in tqdm(images, "reading real images", len(rows), unit="img", disable=not show)
            if isinstance(image, Tensor)
        ]
    )


def generate_samples(
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
    """The first `count` images of a seed. Without `labels`, a generator with classes makes all of them in turn."""
    latents = generator.latents(count, seed=seed)
    if truncation is not None:
        latents = truncate(latents, truncation)
    label_ids = generator.label_ids(count, generator.labels or None if labels is None else labels)
    show = progress and is_main()

    def work(rows: range) -> tuple[Tensor, Tensor]:
        images = torch.empty(len(rows), generator.channels, *(generator.image_size,) * 2, dtype=torch.uint8)
        part, done = slice(rows.start, rows.stop), 0
        batches = generator.parts(
            latents[part], None if label_ids is None else label_ids[part], batch_size=batch_size, output_type="pt"
        )
        with tqdm(total=len(rows), desc="generating", unit="img", disable=not show) as made:
            for batch in batches:
                assert isinstance(batch, Tensor)
                images[done : done + len(batch)] = batch.mul(255).round()
                done += len(batch)
                made.update(len(batch))
        bar = tqdm(images, "measuring samples", unit="img", disable=not show)
        return images, extract(extractor, bar, device=generator.device)

    images, features = share_out(work, range(count), _MULTIPLE)
    return Samples(images, features, label_ids)


def _cache_file(
    reference: Reference,
    transform: Squares,
    extractor: FeatureExtractor,
    positions: range,
    seed: int,
    device: torch.device,
) -> Path | None:
    if reference.source.streaming:
        return None
    folder = Path(datasets.config.HF_DATASETS_CACHE) / "hubgan"
    order = f"{seed}-{positions.start}-{positions.stop}"
    return folder / f"{reference.source.fingerprint}-{transform.key}-{extractor.key}-{device.type}-{order}.safetensors"


def _read_cache(file: Path) -> RealFeatures | None:
    try:
        return RealFeatures(**load_file(file))
    except (OSError, SafetensorError, TypeError):
        return None


def _write_cache(file: Path, found: RealFeatures) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(file) as unfinished:
            save_file(found._asdict(), unfinished)
    except (OSError, SafetensorError) as error:
        logger.warning("the features of real images cannot be cached: %s", error)
