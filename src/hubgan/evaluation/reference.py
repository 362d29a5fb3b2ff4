"""Real images to measure against, in an order that a seed decides."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TypeVar

import datasets

from hubgan.data import ImageSource
from hubgan.data.decoding import Cell, decoding_pool, map_ahead
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


def drawn_rows(source: ImageSource, seed: int, places: range) -> range | list[int]:
    """The rows at some places of an order that the seed decides; of a stream they are the places themselves."""
    if not isinstance(source.rows, datasets.Dataset):
        return places
    return permutation(len(source.rows), seed)[places.start : places.stop].tolist()


def drawn_cells(source: ImageSource, seed: int, places: range | None = None) -> Iterator[Cell]:
    """The encoded images at these places, at all by default."""
    rows = source.rows
    if isinstance(rows, datasets.Dataset):
        chosen = drawn_rows(source, seed, places if places is not None else range(len(rows)))
        return chain.from_iterable(source.read(rows.select(chosen)))
    cells = chain.from_iterable(source.read(rows))
    return cells if places is None else islice(cells, places.start, places.stop)


def attempts(prepare: Callable[[T], R], items: Iterable[T], name: str) -> Iterator[R | ImageError]:
    """Items prepared some ahead, in threads, or the ImageError that one raises, with a warning for the first."""

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
                    logger.warning("%s: an image is left out of the figures: %s; there may be more", name, outcome)
                warned = True
            yield outcome
