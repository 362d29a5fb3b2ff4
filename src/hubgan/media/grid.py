"""Images side by side in one picture."""

import math

from PIL import Image

from hubgan.errors import ImageError
from hubgan.media.images import MAX_PIXELS

_GAP = 2  # between the images of a grid


class ImageGrid:
    """Images side by side at their own size on white; `image` is the picture so far.

    Args:
        count: the number of images.
        size: their width and height in pixels.
        columns: images in a row; by default the grid is about square.

    Raises:
        ImageError: the grid would have more than `MAX_PIXELS` pixels.
    """

    def __init__(self, count: int, size: tuple[int, int], columns: int | None = None) -> None:
        self._columns, self._size, self._added = columns or math.ceil(math.sqrt(count)), size, 0
        rows = math.ceil(count / self._columns)
        width, height = (n * (side + _GAP) + _GAP for n, side in zip((self._columns, rows), size, strict=True))
        if width * height > MAX_PIXELS:
            raise ImageError(
                f"a grid of {count:,} images of {size[0]} x {size[1]} pixels would have more than {MAX_PIXELS:,}"
                " pixels",
                "Use fewer images, or no grid",
            )
        self.image = Image.new("RGB", (width, height), "white")

    def add(self, image: Image.Image) -> None:
        """Put the next image onto the grid."""
        row, column = divmod(self._added, self._columns)
        corner = [_GAP + n * (side + _GAP) for n, side in zip((column, row), self._size, strict=True)]
        self.image.paste(image, (corner[0], corner[1]))
        self._added += 1
