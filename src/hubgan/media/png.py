"""What Pillow does not tell of a PNG file: the colour space by numbers (cICP), and how some pixels are stored."""

import struct
from typing import IO

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

_WANTED = (b"IHDR", b"cICP", b"tRNS")
_LONGEST = 1024  # bytes of one of them
_GREY, _RGB, _GREY_ALPHA = 0, 2, 4  # colour types


def read_chunks(image: Image.Image) -> dict[bytes, bytes]:
    """The chunks IHDR, cICP and tRNS of an opened PNG file; none of another picture, and of one that is closed."""
    file: IO[bytes] | None = getattr(image, "fp", None)
    if image.format != "PNG" or file is None or file.closed:
        return {}
    found, place = {}, file.tell()
    file.seek(8)
    while len(head := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", head)
        if name == b"IDAT":
            break
        if name in _WANTED and length <= _LONGEST:
            found[name] = file.read(length)
            length = 0
        file.seek(length + 4, 1)
    file.seek(place)
    return found


def as_stored(image: Image.Image, chunks: dict[bytes, bytes]) -> Image.Image:
    """An opened PNG picture as its file means it, where Pillow means something else; all others themselves.

    Pillow compares pixels of 1, 2 and 4 bits scaled to 8 with a transparent value that is not scaled, and pixels of
    which only the upper 8 bits are left with one of 16. Grey of 16 bits with alpha it opens as RGBA.
    """
    header, key = chunks.get(b"IHDR", b""), chunks.get(b"tRNS", b"")
    if len(header) != 13 or not image.tile:  # type: ignore[attr-defined]
        return image
    depth, kind = header[8], header[9]
    if kind == _GREY and depth < 8 and len(key) == 2:
        value, white = int.from_bytes(key, "big"), (1 << depth) - 1
        result = image.copy()
        if value <= white:
            result.info["transparency"] = value * 255 // white
        else:
            del result.info["transparency"]
        return result
    if kind == _GREY_ALPHA and depth == 16:
        return image.convert("LA")
    if kind == _RGB and depth == 16 and len(key) == 6:
        low, result = _low_bytes(image), image.convert("RGB")
        result.info.pop("transparency")
        hidden = np.ones((image.height, image.width), bool)
        for part, values in ((result, key[::2]), (low, key[1::2])):
            hidden &= (np.asarray(part) == np.frombuffer(values, np.uint8)).all(axis=2)
        result.putalpha(Image.fromarray(np.uint8(255) * ~hidden))
        return result
    return image


def _low_bytes(image: Image.Image) -> Image.Image:
    """The lower 8 bits of a picture of 16 bits a channel, not yet decoded."""
    file: IO[bytes] = image.fp  # type: ignore[attr-defined]
    place = file.tell()
    file.seek(0)
    low = PngImageFile(file)
    low.tile = [tile._replace(args="RGB;16L") for tile in low.tile]  # Pillow takes them for the upper ones
    low.load()
    file.seek(place)
    return low
