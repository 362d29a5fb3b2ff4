"""Images that are decoded once, kept in a file, and drawn by number."""

import logging
from typing import Any

import torch
from torch import Tensor

from hubgan.data.pixels import describe_skipped, prepared_pixels
from hubgan.data.source import ImageSource
from hubgan.data.transforms import Transform
from hubgan.errors import DataError, ImageError
from hubgan.runtime.seeding import uniforms

logger = logging.getLogger(__name__)


class DecodedImages:
    """The images of a source, prepared by a transform once and kept in a file that all processes of a machine share.

    The file lies in the cache folder of `datasets`, in `hubgan/`, and later runs use it again. Images that cannot be
    used are left out, with a warning. Images beyond `memory` bytes are not kept: they are decoded each time they are
    drawn.

    Args:
        source: the images, not a stream.
        transform: turns pictures into training images.
        memory: bytes that the prepared images may take up.
        progress: show a bar while they are decoded.
        labelled: also keep the numbers of their classes.

    Attributes:
        skipped: the number of images that were left out.
        complete: whether all other images are in the file.

    Raises:
        DataError: no image can be used, the data set cannot be read, the sizes of a pair do not fit, or there are no
            labels although `labelled` is set.
    """

    def __init__(
        self, source: ImageSource, transform: Transform, *, memory: int, progress: bool = True, labelled: bool = False
    ) -> None:
        if source.streaming:
            raise DataError(f"{source.name} is a stream, so its images cannot be decoded in advance")
        self.source, self.transform = source, transform
        labels = source.labels() if labelled else None
        self.pixels = prepared_pixels(source, transform, memory=memory, progress=progress)
        contents = self.pixels.contents
        if message := describe_skipped(source, transform, contents):
            logger.warning("%s", message)
        self.skipped = len(contents.broken) + len(contents.unusable)
        self.complete = contents.read == len(source)
        self._replaced = torch.zeros((), dtype=torch.int64).share_memory_()  # workers count, this process reads
        self._substitutes: dict[int, int] = {}
        self._stack = self._stacked()
        self._labels = None if labels is None else labels[self._rows()]

    def __len__(self) -> int:
        return len(self.source) - self.skipped

    @property
    def replaced(self) -> int:
        """The number of unusable images that were replaced by another one, in all workers."""
        return int(self._replaced)

    @property
    def device(self) -> torch.device:
        """The device on which batches are made."""
        return torch.device("cpu") if self._stack is None else self._stack.device

    def keep_on(self, device: torch.device | str, limit: float | None = None) -> bool:
        """Move the images to `device`, so that batches are made there.

        Args:
            device: such as a GPU.
            limit: the bytes they may take up there.

        Returns:
            Whether they were moved: not if they exceed the limit, have several shapes, or are not all in the file.
        """
        stack = self._stacked()
        if stack is None or (limit is not None and stack.numel() > limit):
            return False
        self._stack = stack.to(device)
        return True

    def batch(self, keys: list[int], seed: int) -> Tensor:
        """Augmented images.

        Args:
            keys: `epoch * len(self) + index` for each; the random numbers depend on it and on the seed alone.
            seed: of the augmentation.

        Returns:
            uint8 (len(keys), C, H, W) on `self.device`.

        Raises:
            DataError: no image can be decoded any more.
        """
        numbers = torch.tensor(keys)
        draws, indices = uniforms(seed, numbers, self.transform.draws), numbers % len(self)
        if self._stack is None:
            return self.transform.augment([self._prepared(index) for index in indices.tolist()], draws)
        device = self._stack.device
        return self.transform.augment(self._stack.index_select(0, indices.to(device)), draws.to(device))

    def labels(self, keys: list[int]) -> Tensor | None:
        """The numbers of the classes, int64 (len(keys),), of the images that `batch` has just given for these keys."""
        if self._labels is None:
            return None
        indices = [key % len(self) for key in keys]
        return self._labels[[self._substitutes.get(index, index) for index in indices]]

    def _rows(self) -> Tensor:
        """The row of each image."""
        contents = self.pixels.contents
        return torch.cat([torch.from_numpy(contents.rows()), torch.arange(contents.read, len(self.source))])

    def _stacked(self) -> Tensor | None:
        return self.pixels.stacked() if self.complete else None

    def _prepared(self, index: int) -> Tensor:
        if index < len(self.pixels):
            return self.pixels[index]
        if index in self._substitutes:
            return self._prepared(self._substitutes[index])
        try:
            return self._decode(index)
        except ImageError as error:
            return self._substitute(index, error)

    def _decode(self, index: int) -> Tensor:
        row = self.pixels.contents.read + index - len(self.pixels)
        return self.source.prepare(self.transform, self.source.cells(row), row=row)

    def _substitute(self, index: int, error: ImageError) -> Tensor:
        """The next image that can be used; it is always the same one for an index."""
        for other in (*range(index + 1, len(self)), *range(index)):
            try:
                found = self.pixels[other] if other < len(self.pixels) else self._decode(other)
            except ImageError:
                continue
            self._substitutes[index] = other
            if not self._replaced:
                logger.warning("%s: an image cannot be used and is replaced by the next one: %s."
                               " Later replacements are not reported", self.source.name, error)  # fmt: skip
            self._replaced += 1
            return found
        message = f"{self.source.name}: its images can no longer be used: {error.message}"
        raise DataError(message, error.remedy) from error

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_stack": None}  # may be on a device

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._stack = self._stacked()
