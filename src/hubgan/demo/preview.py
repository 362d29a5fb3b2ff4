"""Pictures as the page shows them: those that browsers cannot show, and those of which a part would be enlarged."""

import base64
import io
from functools import lru_cache
from pathlib import Path
from threading import Lock

from PIL import Image, ImageDraw

from hubgan.media.images import flatten, identify, open_image

SHOWN = ("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "AVIF")
"""Formats that browsers show, as Pillow calls them."""

_SIDE = 800  # pixels
_BRIGHTNESS = 0.35  # of what would not be enlarged
_OUTLINE = "#6366f1"
_one_at_a_time = Lock()  # a decoded picture may take 250 MB


def preview(path: str, part: tuple[float, float, float, float] | None = None) -> str:
    """A small copy of a picture, as the address of a WebP file that holds its data.

    Args:
        path: the picture.
        part: the left, top, right and bottom edge of the part that would be enlarged, as shares of the width and the
            height. It is outlined, and the rest dimmed.

    Raises:
        ImageError: the picture cannot be read.
    """
    shown, file = _thumbnail(path), io.BytesIO()
    if part is not None:
        shown = _outlined(shown, part)
    shown.save(file, "WEBP", quality=85, icc_profile=shown.info.get("icc_profile"))
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"


@lru_cache(maxsize=8)
def _thumbnail(path: str) -> Image.Image:
    with _one_at_a_time, Path(path).open("rb") as file:
        picture = identify(file, path)
        picture.draft("RGB", (_SIDE, _SIDE))  # decodes a JPEG file at about this size
        small = flatten(open_image(picture))
    small.thumbnail((_SIDE, _SIDE))
    return small


def _outlined(picture: Image.Image, part: tuple[float, float, float, float]) -> Image.Image:
    left, top = (round(share * side) for share, side in zip(part[:2], picture.size, strict=True))
    right = max(round(part[2] * picture.width), left + 1)
    bottom = max(round(part[3] * picture.height), top + 1)
    result = picture.point(lambda value: value * _BRIGHTNESS)
    result.paste(picture.crop((left, top, right, bottom)), (left, top))
    width = max(2, max(picture.size) // 200)
    ImageDraw.Draw(result).rectangle((left, top, right - 1, bottom - 1), outline=_OUTLINE, width=width)
    return result
