"""What the tasks share that translate squares: how they are cut out of pictures."""

import logging

from pydantic import PositiveInt

from hubgan.training.config import DataOptions

logger = logging.getLogger(__name__)

_LARGE = 2  # times as large as a crop: what is left shows small parts


class SquareData(DataOptions):
    """The sides of the squares."""

    image_size: PositiveInt = 128
    """Side of the images in pixels. Pictures are centre-cropped and resized to it, or to load_size."""
    load_size: PositiveInt | None = None
    """Resize pictures to this side, and train on random crops of image_size. The papers load 286 pixels and crop 256.
    By default there are no random crops."""


def warn_of_small_crops(c: SquareData) -> None:
    """Warn if crops show small parts, as after a lower image_size alone."""
    if c.load_size and c.load_size >= _LARGE * c.image_size:
        logger.warning(
            "Crops of %d pixels show small parts of pictures of %d pixels. For larger parts set --load_size %d",
            c.image_size, c.load_size, round(c.image_size * 286 / 256),
        )  # fmt: skip


def crops(c: SquareData) -> list[str]:
    """The random crops in words, if there are any."""
    return [f"random crops of pictures of {c.load_size} pixels"] if c.load_size else []
