"""Pictures written to files: PNG, JPEG, WebP, GIF and TIFF, with their colour profile and metadata."""

import io
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image

from hubgan.media.animation import in_palette
from hubgan.media.colour import to_srgb
from hubgan.media.images import open_image
from hubgan.media.metadata import save_options
from hubgan.runtime.files import atomic_write, new_folder

WRITTEN = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".webp": "WEBP",
           ".gif": "GIF", ".tif": "TIFF", ".tiff": "TIFF"}  # fmt: skip
"""The formats of the endings that are written."""
_LONGEST_SIDE = {"JPEG": 65_500, "WEBP": 16_383, "GIF": 65_535}


def obstacle(image: Image.Image, target: Path, scale: float, *, moving: bool = False) -> str | None:
    """Why the enlarged `image`, or the animation that begins with it, cannot be written in the format of `target`.

    None if it can.
    """
    kind = WRITTEN[target.suffix.lower()]
    if kind in ("JPEG", "TIFF") and moving:
        return f"{kind} holds no animation"
    if kind == "JPEG" and "A" in image.getbands() and image.getchannel("A").getextrema() != (255, 255):
        return "JPEG has no transparency"
    longest = _LONGEST_SIDE.get(kind)
    if longest and max(image.size) * scale > longest:
        return f"{kind} has at most {longest:,} pixels a side"
    return None


def save_picture(image: Image.Image, path: Path, quality: int = 95) -> None:
    """Write a picture with its profile and metadata, in the format of `path`'s ending. Missing folders are made.

    Metadata that the format cannot hold, such as EXIF of more than 65,500 bytes in a JPEG, are left out.
    """
    kind = WRITTEN[path.suffix.lower()]
    by_kind: dict[str, dict[str, Any]] = {
        "PNG": _smaller_png(image) if kind == "PNG" else {},
        "JPEG": {"quality": quality, "subsampling": 0},
        "WEBP": {"quality": quality},
    }
    if kind not in ("PNG", "TIFF") and image.mode == "I;16":  # the others hold 8 bits
        image = open_image(image).convert("L")
    if kind == "JPEG" and "A" in image.getbands():  # it is opaque, see `obstacle`
        image = image.convert(image.mode.rstrip("A"))
    if kind == "GIF":
        image = in_palette(to_srgb(image))
    options = by_kind.get(kind, {}) | save_options(kind, image.info)
    image.save(encoded := io.BytesIO(), kind, **options)  # into a file Pillow may write less, without an error
    with new_folder(path.parent), atomic_write(path) as unfinished:
        unfinished.write_bytes(encoded.getbuffer())


def _smaller_png(image: Image.Image) -> dict[str, int]:
    """Pillow's options for the smaller file, judged by eight strips of the picture.

    In photos nothing repeats: without the search for repeats a file is written twice as fast, and is smaller. In text
    and drawings the search makes it up to ten times smaller.
    """
    step = max(image.height // 8, 8)
    strips = [image.crop((0, top, image.width, min(top + 8, image.height))) for top in range(0, image.height, step)]
    return min(
        ({"compress_type": zlib.Z_HUFFMAN_ONLY}, {"compress_level": 4}), key=lambda way: _png_bytes(strips, way)
    )


def _png_bytes(images: Iterable[Image.Image], options: dict[str, int]) -> int:
    total = 0
    for image in images:
        image.save(encoded := io.BytesIO(), "PNG", **options)
        total += encoded.tell()
    return total
