"""Pictures written to files: PNG, JPEG, WebP and GIF, with their colour profile and EXIF."""

from pathlib import Path
from typing import Any

from PIL import Image

from hubgan.media.animation import in_palette
from hubgan.media.images import open_image
from hubgan.runtime.files import atomic_write

WRITTEN = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".webp": "WEBP",
           ".gif": "GIF"}  # fmt: skip
"""The formats of the endings that are written."""
_LONGEST_SIDE = {"JPEG": 65_500, "WEBP": 16_383, "GIF": 65_535}
_MOST_EXIF = 65_500  # bytes in a JPEG


def obstacle(image: Image.Image, target: Path, scale: float, *, moving: bool = False) -> str | None:
    """Why the enlarged `image`, or the animation that begins with it, cannot be written in the format of `target`.

    None if it can.
    """
    kind = WRITTEN[target.suffix.lower()]
    if kind == "JPEG" and moving:
        return "JPEG holds a single picture"
    if kind == "JPEG" and "A" in image.getbands() and image.getchannel("A").getextrema() != (255, 255):
        return "JPEG has no transparency"
    longest = _LONGEST_SIDE.get(kind)
    if longest and max(image.size) * scale > longest:
        return f"{kind} has at most {longest:,} pixels a side"
    return None


def save_picture(image: Image.Image, path: Path, quality: int = 95) -> None:
    """Write a picture with its profile and EXIF, in the format of `path`'s ending. Missing folders are made.

    EXIF that is larger than a JPEG can hold is left out.
    """
    kind = WRITTEN[path.suffix.lower()]
    by_kind: dict[str, dict[str, Any]] = {
        # A third to two thirds of the time of Pillow's default, for files that are at most 6 % larger.
        "PNG": {"compress_level": 4},
        "JPEG": {"quality": quality, "subsampling": 0},
        "WEBP": {"quality": quality},
    }
    options = by_kind.get(kind, {})
    exif = image.info.get("exif")
    if exif and (kind != "JPEG" or len(exif) <= _MOST_EXIF):
        options["exif"] = exif
    if kind != "PNG" and image.mode == "I;16":  # only PNG holds 16 bits
        image = open_image(image).convert("L")
    if kind == "JPEG" and "A" in image.getbands():  # it is opaque, see `obstacle`
        image = image.convert(image.mode.rstrip("A"))
    if kind == "GIF":
        image = in_palette(image)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as unfinished:
        image.save(unfinished, kind, icc_profile=image.info.get("icc_profile"), **options)
