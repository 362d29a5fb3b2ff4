"""Visitors' files: which are accepted, how large they may be, and which part of one that is too large is taken."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from gradio.utils import get_upload_folder
from PIL import Image

from hubgan.demo import strings
from hubgan.demo.errors import without_path
from hubgan.demo.limits import Limit
from hubgan.errors import ConfigError, ImageError
from hubgan.media.animation import is_animation
from hubgan.media.images import MAX_PIXELS, damage, identify, open_image
from hubgan.media.pages import page_sizes

EXAMPLES = Path(__file__).parent / "examples"

MAX_PAGES = 1000
"""Of a TIFF file: to count those of a large file would take minutes."""

_ORIENTATION = 0x0112  # the tag of EXIF
_LYING = (5, 6, 7, 8)  # its values for a picture that lies on its side


class Header(NamedTuple):
    """What a file tells of its picture before that is decoded.

    Attributes:
        width, height: the size of the upright picture.
        kind: its format, as Pillow calls it.
        frames: more than 1 in an animation.
        pages: more than 1 in some TIFF files.
        damage: the parts of the file that are skipped because they are damaged.
    """

    width: int
    height: int
    kind: str = ""
    frames: int = 1
    pages: int = 1
    damage: str = ""

    @property
    def pixels(self) -> int:
        return self.width * self.height

    def shares(self, box: tuple[int, int, int, int]) -> tuple[float, float, float, float]:
        """A box in pixels as shares of the width and the height."""
        left, top, right, bottom = box
        return left / self.width, top / self.height, right / self.width, bottom / self.height

    def part(self, limit: Limit, part: str) -> tuple[int, int, int, int]:
        """The left, top, right and bottom edge of one of `strings.PARTS` that has as many pixels as allowed."""
        width, height = limit.part(self.width, self.height)
        right, bottom = self.width - width, self.height - height
        left = 0 if "left" in part else right if "right" in part else right // 2
        top = 0 if "top" in part else bottom if "bottom" in part else bottom // 2
        return left, top, left + width, top + height


def check_uploaded(file: object, what: str = strings.A_PICTURE) -> tuple[str, str]:
    """The path of an uploaded file or an example, and the name that the visitor knows it by.

    Raises ConfigError for anything else: a call of an endpoint may name any file of the server.
    """
    path = file.get("path") if isinstance(file, dict) else None
    if not isinstance(path, str) or not path:
        raise ConfigError(*strings.fill(strings.NO_FILE, what=what))
    real = Path(path).resolve()
    if not any(real.is_relative_to(Path(place).resolve()) for place in (get_upload_folder(), EXAMPLES)):
        raise ConfigError(*strings.fill(strings.NOT_UPLOADED, what=what))
    name = file.get("orig_name") if isinstance(file, dict) else None
    return path, name if isinstance(name, str) and name else strings.THE_FILE.format(what=what)


def read_header(path: str, name: str) -> Header:
    """What the file tells of its picture.

    Raises:
        ImageError: it is no picture that hubgan reads, or has more than `MAX_PAGES` pages.
    """
    try:
        with Path(path).open("rb") as file:
            image = identify(file, name)
            width, height = image.size
            orientation = 1
            with suppress(Exception):  # the pixels may be intact although the EXIF is broken
                orientation = Image.Image.getexif(image).get(_ORIENTATION, 1)  # that of PNG would decode the pixels
            if orientation in _LYING:
                width, height = height, width
            frames = 1
            if is_animation(path):
                frames = image.n_frames - int(getattr(image, "default_image", False))  # type: ignore[attr-defined]
            pages = len(page_sizes(path, MAX_PAGES + 1)) or 1
            if pages > MAX_PAGES:
                raise ImageError(*strings.fill(strings.TOO_MANY_PAGES, name=name, most=MAX_PAGES))
            return Header(width, height, image.format or "", frames, pages, damage(image))
    except ImageError:
        raise
    except Exception as error:  # decoders raise nearly every kind on broken bytes
        raise ImageError(*strings.fill(strings.UNREADABLE, name=name)) from error


def check_pixels(header: Header, name: str, limit: Limit) -> None:
    """Raise ImageError if a picture is too large."""
    if header.pixels > limit.pixels:
        message = strings.TOO_LARGE.format(
            name=name, width=header.width, height=header.height, megapixels=limit.megapixels
        )
        raise ImageError(message, strings.SHRINK_OR_CROP if header.pixels <= MAX_PIXELS else strings.SHRINK)


def open_upload(path: str, name: str, limit: Limit, part: object = None) -> Image.Image:
    """Open a picture as `Upscaler.upscale` does: RGB, RGBA, or 16-bit grey (mode I;16).

    Args:
        path: the file.
        name: the name that the visitor knows it by.
        limit: how large the picture may be.
        part: one of `strings.PARTS`: which part to cut out of a picture that is too large.

    Raises:
        ConfigError: there is no such part.
        ImageError: the picture cannot be read, or is too large.
    """
    if part is not None and part not in strings.PARTS:
        raise ConfigError(*strings.fill(strings.NO_PART, part=part, parts=", ".join(strings.PARTS)))
    check_pixels(read_header(path, name), name, limit if part is None else Limit(MAX_PIXELS))
    try:
        picture = open_image(path, deep=True)
    except ImageError as error:
        raise without_path(error, path, name) from error
    if picture.width * picture.height <= limit.pixels:
        return picture
    return picture.crop(Header(*picture.size).part(limit, str(part)))
