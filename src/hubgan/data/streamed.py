"""Images that are read one after another, through a shuffled buffer."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import datasets
import torch
from torch import Tensor

from hubgan.data.decoding import Cells, decoding_pool
from hubgan.data.order import RawBatch
from hubgan.data.source import ImageSource
from hubgan.data.transforms import Transform
from hubgan.errors import DataError, ImageError
from hubgan.runtime.seeding import derive, uniforms

logger = logging.getLogger(__name__)


class StreamedImages:
    """The images of a stream, shuffled in another order in each epoch.

    Every process reads the whole stream and decodes its part of each batch. So the order is the same for any number of
    processes, but each of them reads all encoded images. To begin in the middle, a stream is read up to that position
    without decoding. This takes up to one epoch's reading, and one more if the length of the data set is not known.

    Args:
        source: the images, a stream.
        transform: turns pictures into training images.
        buffer: encoded images from which the next one is drawn; more of them shuffle better and need more memory.
        labelled: also give the numbers of their classes.

    Raises:
        DataError: the source is no stream, or has no labels although `labelled` is set.
    """

    def __init__(self, source: ImageSource, transform: Transform, *, buffer: int, labelled: bool = False) -> None:
        if not source.streaming:
            raise DataError(f"{source.name} is not a stream", "Open it with streaming=True")
        if labelled:
            source.check_labels()
        self.source, self.transform, self.buffer, self.labelled = source, transform, buffer, labelled
        self._replaced = torch.zeros((), dtype=torch.int64).share_memory_()  # workers count, this process reads

    @property
    def replaced(self) -> int:
        """The number of unusable images that were replaced by another one, in all workers."""
        return int(self._replaced)

    def batches(
        self, *, batch_size: int, seed: int, position: int = 0, rank: int = 0, world: int = 1
    ) -> Iterator[RawBatch]:
        """Endless batches of augmented images.

        Args:
            batch_size: images in a batch.
            seed: of the order and the augmentation.
            position: the number of images drawn before, by all processes together.
            rank: the number of this process, 0 to `world` - 1. Of every `world` batches it gets the one at its rank.
            world: the number of processes.

        Returns:
            An iterator of images, uint8 (batch_size, C, H, W), and labels on the CPU.

        Raises:
            DataError: the stream is empty or fails, no image of a batch can be used, or the sizes of a pair do not
                fit.
        """
        cells = self._cells(seed, position)
        others = rank * batch_size  # images of other processes before this one's
        with decoding_pool() as pool:
            while True:
                position += sum(1 for _ in islice(cells, others))
                keys = torch.arange(position, position + batch_size)
                pixels, labels = zip(*self._usable(pool, list(islice(cells, batch_size))), strict=True)
                images = self.transform.augment(pixels, uniforms(seed, keys, self.transform.draws))
                yield RawBatch(images, torch.tensor(labels) if self.labelled else None)
                position += batch_size
                others = (world - 1) * batch_size

    def _cells(self, seed: int, position: int) -> Iterator[tuple[Cells, int]]:
        """Endless encoded images and their labels (0 if there are none), from a position on."""
        epoch, start = divmod(position, self.source.size) if self.source.size else (0, position)
        while True:
            read = 0
            rows = self.source.rows.shuffle(seed=derive(seed, "epoch", epoch), buffer_size=self.buffer)
            for chunk in self._read(rows):
                if read + len(chunk) > start:
                    yield from chunk[max(0, start - read) :]
                read += len(chunk)
            if not read:
                raise DataError(f"{self.source.name}: the stream holds no images", "Check the split and the classes")
            # Now the length is known, and so is the epoch of the position.
            epochs, start = divmod(max(start, read), read)
            epoch += epochs

    def _read(self, rows: datasets.IterableDataset) -> Iterator[list[tuple[Cells, int]]]:
        if self.labelled:
            yield from self.source.read_labelled(rows)
        else:
            yield from ([(cells, 0) for cells in chunk] for chunk in self.source.read(rows))

    def _usable(self, pool: ThreadPoolExecutor, rows: list[tuple[Cells, int]]) -> list[tuple[Tensor, int]]:
        """Prepared images and labels; an unusable one is replaced by the next usable one of the batch."""
        outcomes = list(pool.map(self._prepare, (cells for cells, _ in rows)))
        labels = [label for _, label in rows]
        usable = [(each, label) for each, label in zip(outcomes, labels, strict=True) if isinstance(each, Tensor)]
        if len(usable) < len(rows):
            name, count = self.source.name, len(rows)
            first = next(each for each in outcomes if isinstance(each, ImageError))
            if not usable:
                message = f"{name}: no image of a batch of {count} can be used, for example: {first.message}"
                raise DataError(message, first.remedy) from first
            if not self._replaced:
                logger.warning("%s: an image cannot be used and is replaced by another of its batch: %s."
                               " Later replacements are not reported", name, first)  # fmt: skip
            self._replaced += count - len(usable)
        found, following = [], usable[0]
        for outcome, label in zip(reversed(outcomes), reversed(labels), strict=True):
            following = (outcome, label) if isinstance(outcome, Tensor) else following
            found.append(following)
        return found[::-1]

    def _prepare(self, cells: Cells) -> Tensor | ImageError:
        try:
            return self.source.prepare(self.transform, cells)
        except ImageError as error:
            return error
