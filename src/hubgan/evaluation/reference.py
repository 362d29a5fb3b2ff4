"""Real images to measure against, shuffled by a seed."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TypeVar

import datasets

from hubgan.data import ImageSource
from hubgan.data.decoding import Cells, decoding_pool, map_ahead
from hubgan.errors import ImageError
from hubgan.runtime.seeding import permutation

logger = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Reference:
    """Real images to measure against.

    Attributes:
        source: the images.
        dataset: the name of the data set in results: that on the Hub, or words.
        split: its split.
    """

    source: ImageSource
    dataset: str
    split: str

    @property
    def revision(self) -> str:
        """The commit of the data set on the Hub; of other data sets the fingerprint of the rows."""
        for file in getattr(self.source.rows, "cache_files", []):
            folder = Path(file["filename"]).parent.name  # `datasets` caches data of the Hub by commit
            if len(folder) == 40 and set(folder) <= set("0123456789abcdef"):
                return folder
        return self.source.fingerprint

    def at_most(self, samples: int) -> int:
        """This number of images, or as many as there are if there are fewer."""
        return samples if self.source.size is None else min(samples, self.source.size)

    def __str__(self) -> str:
        return f"{self.dataset}, split {self.split}"


def shuffled_rows(source: ImageSource, seed: int, positions: range) -> range | list[int]:
    """The rows at these positions of the order that the seed decides. A stream is not shuffled."""
    if not isinstance(source.rows, datasets.Dataset):
        return positions
    return permutation(len(source.rows), seed)[positions.start : positions.stop].tolist()


def shuffled_cells(source: ImageSource, seed: int, positions: range | None = None) -> Iterator[Cells]:
    """The encoded images of these rows; by default of all."""
    rows = source.rows
    if isinstance(rows, datasets.Dataset):
        chosen = shuffled_rows(source, seed, positions if positions is not None else range(len(rows)))
        return chain.from_iterable(source.read(rows.select(chosen)))
    cells = chain.from_iterable(source.read(rows))
    return cells if positions is None else islice(cells, positions.start, positions.stop)


def prepare_ahead(prepare: Callable[[T], R], items: Iterable[T], name: str) -> Iterator[R | ImageError]:
    """Items, prepared ahead in threads. In place of an item that raises an ImageError is the error; the first is
    logged as a warning."""

    def attempt(item: T) -> R | ImageError:
        try:
            return prepare(item)
        except ImageError as error:
            return error

    warned = False
    with decoding_pool() as pool:
        for outcome in map_ahead(pool, attempt, items):
            if isinstance(outcome, ImageError):
                if not warned:
                    logger.warning(
                        "%s: an image cannot be used and is ignored: %s. Later ones are not reported", name, outcome
                    )
                warned = True
            yield outcome
