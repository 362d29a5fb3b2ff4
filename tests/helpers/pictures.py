"""Pictures to test with, and how to compare them."""

import math
import struct
import zlib
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageChops, ImageDraw


def picture(width: int = 12, height: int = 8, channels: int = 3) -> Image.Image:
    """Smooth colours that tell all corners apart."""
    y, x = np.mgrid[0:height, 0:width]
    bands = [x * 255 // max(width - 1, 1), y * 255 // max(height - 1, 1), (x + y) * 9 % 256, 255 - x]
    return Image.fromarray(np.stack(bands[:channels], axis=2).astype(np.uint8))


def noise(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """Each pixel by chance."""
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, len(mode)), dtype=np.uint8)
    return Image.fromarray(pixels[..., 0] if len(mode) == 1 else pixels)


def cut_out(scale: int = 4, side: int = 48) -> tuple[Image.Image, Image.Image]:
    """A star as an antialiased mask, large and small."""
    full = 8 * scale * side
    angles = [(0.45 if corner % 2 else 0.18, 0.2 + corner * math.pi / 5) for corner in range(10)]
    corners = [(full * (0.5 + r * math.sin(angle)), full * (0.5 + r * math.cos(angle))) for r, angle in angles]
    mask = Image.new("L", (full, full))
    ImageDraw.Draw(mask).polygon(corners, fill=255)
    return mask.reduce(8), mask.reduce(8 * scale)


def frame(number: int, mode: str = "RGB") -> Image.Image:
    """A square that wanders over a surface, which is to be seen through where there is alpha."""
    image = Image.new("RGBA", (24, 16), (0, 0, 0, 0) if mode == "RGBA" else (40, 90, 200, 255))
    image.paste((250, 200, 20, 255), (3 * number, 4, 3 * number + 8, 12))
    return image.convert(mode)


def picture_file(path: Path, mode: str = "RGB", size: tuple[int, int] = (12, 8), **options: object) -> Path:
    """Write a picture of this mode, into a folder that is made if there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[0 : size[1], 0 : size[0]]
    bands = np.stack([x * 20 % 256, y * 20 % 256, x * y % 256, x * 9 % 256], axis=2).astype(np.uint8)
    Image.fromarray(bands).convert(mode).save(path, **options)
    return path


def save(image: Image.Image, path: Path) -> None:
    if path.suffix == ".heic":
        pillow_heif.from_pillow(image).save(path)
        return
    if Image.registered_extensions().get(path.suffix) not in Image.SAVE:
        pytest.skip(f"this Pillow does not write {path.suffix}")
    image.save(path)


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


def same(one: Image.Image | Path, other: Image.Image, tolerance: int = 0) -> bool:
    """Whether two pictures are of the same mode and size, and their values too, up to a tolerance."""
    if isinstance(one, Path):
        with Image.open(one) as image:
            return same(image, other, tolerance)
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


def pairs(folder: Path, *sizes: tuple[int, int], scale: int = 2, names: tuple[str, str] = ("lr", "hr")) -> Path:
    """A folder of pairs: inputs of these sizes in PNG, and targets in BMP whose every block is one pixel of theirs."""
    for name in names:
        (folder / name).mkdir(parents=True)
    for number, (width, height) in enumerate(sizes):
        small = np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(small).save(folder / names[0] / f"{number}.png")
        Image.fromarray(small.repeat(scale, 0).repeat(scale, 1)).save(folder / names[1] / f"{number}.bmp")
    return folder
