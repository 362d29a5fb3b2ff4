"""What the demo hands out: PNG files, the grid, the archive, and the two sides of the before/after slider."""

import json
import re
import secrets
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from gradio.utils import get_upload_folder
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from hubgan.media.grid import ImageGrid

# The slider fits the window, where more is not seen, and a browser struggles with 64 megapixels twice.
SHOWN_SIDE = 3072
_NAME_BYTES = 160  # file systems take 255, and there is more to a name


def new_folder() -> Path:
    """A fresh folder inside Gradio's cache, which serves files from there and deletes old ones."""
    folder = Path(get_upload_folder()) / secrets.token_hex(16)
    folder.mkdir(parents=True)
    return folder


def clean(name: str, otherwise: str) -> str:
    """The name as a part of a file's, without what a file system or a shell could misread."""
    plain = re.sub(r"[^\w.-]+", "_", name).strip("._")
    return plain.encode()[:_NAME_BYTES].decode(errors="ignore") or otherwise


def clean_stem(name: str | None, otherwise: str) -> str:
    """The name of a file without its ending, clean."""
    return clean(Path(name or "").stem, otherwise)


def save_png(image: Image.Image, path: Path, compress_level: int = 6, origin: object = None) -> str:
    """Write `image` with its alpha, its colour profile and its EXIF data, and return the path as text.

    `origin`, how it was made, goes as JSON into the text chunk `hubgan`.
    """
    text = PngInfo()
    if origin is not None:
        text.add_text("hubgan", json.dumps(origin))
    kept = {name: image.info[name] for name in ("icc_profile", "exif") if image.info.get(name)}
    image.save(path, compress_level=compress_level, pnginfo=text, **kept)
    return str(path)


def save_samples(images: Sequence[Image.Image], origins: Sequence[object], name: str) -> tuple[list[str], str, str]:
    """Write the images, a ZIP archive of them and their grid, and the grid; return the paths.

    `name` is what the files' names say of where the images come from, such as "cifar-dcgan-seed7".
    """
    folder = new_folder()
    files = [
        save_png(image, folder / f"{name}-{index:02d}.png", origin=origin)
        for index, (image, origin) in enumerate(zip(images, origins, strict=True))
    ]
    grid = ImageGrid(len(images), images[0].size)
    for image in images:
        grid.add(image)
    sheet = save_png(grid.image, folder / f"{name}-grid.png", origin=list(origins))
    return files, save_zip([*files, sheet], folder / f"{name}.zip"), sheet


def save_zip(files: Iterable[str], path: Path) -> str:
    """Write an archive of files by their own names, and return its path as text."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as pack:  # PNGs do not get any smaller
        for file in files:
            pack.write(file, Path(file).name)
    return str(path)


def _checkered(image: Image.Image) -> Image.Image:
    """A transparent picture over a checkerboard: the slider's two sides would shine through each other."""
    if "A" not in image.getbands():
        return image
    tile = Image.new("RGB", (32, 32), "#ffffff")
    for corner in ((0, 0), (16, 16)):
        tile.paste("#e2e5ea", (*corner, corner[0] + 16, corner[1] + 16))
    board = Image.new("RGB", image.size)
    for left in range(0, image.width, 32):
        board.paste(tile, (left, 0))
    row = board.crop((0, 0, image.width, min(32, image.height)))
    for top in range(0, image.height, 32):
        board.paste(row, (0, top))
    board.paste(image.convert("RGB"), mask=image.getchannel("A"))
    board.info = dict(image.info)
    return board


def save_comparison(before: Image.Image, after: Image.Image, stem: str) -> tuple[tuple[str, str], str]:
    """Write the result and both sides of the slider; return the paths of the sides and of the result."""
    folder = new_folder()
    result = save_png(after, folder / f"{stem}.png")
    factor = min(1.0, SHOWN_SIDE / max(after.size))
    shown = (max(1, round(after.width * factor)), max(1, round(after.height * factor)))
    left = before.resize(shown, Image.Resampling.BICUBIC)
    right = after if after.size == shown else after.resize(shown, Image.Resampling.LANCZOS)
    left.info = right.info = {"icc_profile": after.info.get("icc_profile")}
    sides = ((left, "before"), (right, "after"))
    paths = [save_png(_checkered(side), folder / f"{stem}-{name}.png", 1) for side, name in sides]
    return (paths[0], paths[1]), result
