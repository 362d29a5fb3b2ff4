"""Pictures to test with, and how to compare them."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageChops


def picture(width: int = 12, height: int = 8, channels: int = 3) -> Image.Image:
    """Smooth colours that tell all corners apart."""
    y, x = np.mgrid[0:height, 0:width]
    bands = [x * 255 // max(width - 1, 1), y * 255 // max(height - 1, 1), (x + y) * 9 % 256, 255 - x]
    return Image.fromarray(np.stack(bands[:channels], axis=2).astype(np.uint8))


def save(image: Image.Image, path: Path) -> None:
    if path.suffix == ".heic":
        pillow_heif.from_pillow(image).save(path)
        return
    if Image.registered_extensions().get(path.suffix) not in Image.SAVE:
        pytest.skip(f"this Pillow does not write {path.suffix}")
    image.save(path)


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


def same(one: Image.Image, other: Image.Image, tolerance: int = 0) -> bool:
    return one.mode == other.mode and one.size == other.size and np.abs(pixels(one) - pixels(other)).max() <= tolerance


def png(width: int, height: int, *, depth: int = 8, kind: int = 2, data: bytes = b"") -> bytes:
    """A PNG file whose header may claim anything."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def farthest(one: Image.Image, other: Image.Image) -> int:
    """The largest difference of any value of two pictures, in RGB."""
    return max(high for _, high in ImageChops.difference(one.convert("RGB"), other.convert("RGB")).getextrema())
