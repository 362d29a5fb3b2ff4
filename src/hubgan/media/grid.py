"""Images side by side in one picture."""

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from hubgan.errors import ImageError
from hubgan.media.images import MAX_PIXELS

_GAP = 2  # between the images of a grid
_FONT_SIZE = 12
_WIDEST = 120  # pixels of a row's name


class ImageGrid:
    """Images side by side at their own size on white; `image` is the picture so far.

    Args:
        count: the number of images.
        size: their width and height in pixels.
        columns: images in a row; by default the grid is about square.
        names: of the rows, written at their left; long ones are cut.

    Raises:
        ImageError: the grid would have more than `MAX_PIXELS` pixels.
    """

    def __init__(
        self, count: int, size: tuple[int, int], columns: int | None = None, names: Sequence[str] = ()
    ) -> None:
        self._columns, self._size, self._added = columns or math.ceil(math.sqrt(count)), size, 0
        rows = math.ceil(count / self._columns)
        font = ImageFont.load_default(_FONT_SIZE)
        names = [_cut(" ".join(name.split()), font) for name in names]
        self._left = 2 * _GAP + math.ceil(max(map(font.getlength, names))) if names else 0
        self._height = max(size[1], _FONT_SIZE + _GAP) if names else size[1]
        width = self._left + self._columns * (size[0] + _GAP) + _GAP
        height = rows * (self._height + _GAP) + _GAP
        if width * height > MAX_PIXELS:
            raise ImageError(
                f"a grid of {count:,} images of {size[0]} x {size[1]} pixels would have more than {MAX_PIXELS:,}"
                " pixels",
                "Use fewer images, or leave out the grid",
            )
        self.image = Image.new("RGB", (width, height), "white")
        pen = ImageDraw.Draw(self.image)
        for row, name in enumerate(names):
            middle = _GAP + row * (self._height + _GAP) + self._height / 2
            pen.text((self._left - _GAP, middle), name, fill="black", font=font, anchor="rm")

    def add(self, image: Image.Image) -> None:
        """Put the next image onto the grid."""
        row, column = divmod(self._added, self._columns)
        left = self._left + _GAP + column * (self._size[0] + _GAP)
        self.image.paste(image, (left, _GAP + row * (self._height + _GAP)))
        self._added += 1


def _cut(name: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """A name that is short enough to stand beside its row."""
    short, end = name, len(name)
    while font.getlength(short) > _WIDEST:
        end -= 1
        short = f"{name[:end]}..."
    return short
