"""JPEG files without their end marker: those that hold all their pixels are read, as browsers read them."""

import io
import re
from typing import IO

from PIL import Image, ImageChops
from PIL.JpegImagePlugin import JpegImageFile

_END = b"\xff\xd9"
# If the pixels do not depend on which of these follows, the last scan is whole.
_FILLERS = (b"", b"\x55" * 64, b"\xaa" * 64, b"\xff\0" * 64)
_SCAN = re.compile(rb"\xff\xda..([\1-\4])", re.DOTALL)
_COEFFICIENTS = 64  # of a block


def decode(image: Image.Image) -> Image.Image:
    """Decode an opened picture, and return it; a copy if it is a JPEG file that lacks nothing but its end marker."""
    try:
        image.load()
    except OSError:
        if (whole := _with_end(image)) is None:
            raise
        return whole
    return image


def _with_end(image: Image.Image) -> Image.Image | None:
    file: IO[bytes] | None = getattr(image, "fp", None)
    if image.format not in ("JPEG", "MPO") or file is None or file.closed:
        return None
    file.seek(0)
    content = file.read().rstrip(b"\0")  # zeros are those of a download that was cut off, unless FF precedes
    content += b"\0" if content.endswith(b"\xff") else b""
    found, *others = (JpegImageFile(io.BytesIO(content + filler + _END)) for filler in _FILLERS)
    if not _has_all_scans(found, content):
        return None
    return None if any(ImageChops.difference(found, other).getbbox() for other in others) else found


def _has_all_scans(image: JpegImageFile, content: bytes) -> bool:
    """Whether the scans of an opened file hold all bits of all coefficients; a progressive file has many scans."""
    assert image.fp is not None
    found: set[tuple[int, int]] = set()
    for scan in _SCAN.finditer(content, content.rfind(b"\xff\xda", 0, image.fp.tell())):
        components = content[scan.end() :][: 2 * scan[1][0] : 2]
        first, last, bits = content[scan.end() + 2 * scan[1][0] :][:3]
        if bits & 15 == 0:  # none is left for a later scan
            found |= {(component, number) for component in components for number in range(first, last + 1)}
    return len(found) == _COEFFICIENTS * image.layers
