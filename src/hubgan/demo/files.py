"""The files that visitors get: images, their grid, the archive, and the two sides of the before/after slider."""

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
from hubgan.media.writing import save_picture

# The slider is as wide as the window, which shows no more, and browsers are slow with two pictures of 64 megapixels.
_COMPARISON_SIDE = 3072
_MAX_NAME_BYTES = 160  # file systems allow 255, and a name gets more parts


def new_folder() -> Path:
    """A new folder in Gradio's cache. Gradio serves files from there, and deletes old ones."""
    folder = Path(get_upload_folder()) / secrets.token_hex(16)
    folder.mkdir(parents=True)
    return folder


def clean(name: str, default: str) -> str:
    """The name as a part of a file's name, without characters that are special in a file system or a shell."""
    plain = re.sub(r"[^\w.-]+", "_", name).strip("._")
    return plain.encode()[:_MAX_NAME_BYTES].decode(errors="ignore") or default


def clean_stem(name: str | None, default: str) -> str:
    """`clean` for the name of a file, without its ending."""
    return clean(Path(name or "").stem, default)


def save_png(image: Image.Image, path: Path, origin: object) -> str:
    """Write a generated image; return the path as text.

    `origin`, which tells how the image was made, is stored as JSON in the text chunk `hubgan`.
    """
    text = PngInfo()
    text.add_text("hubgan", json.dumps(origin))
    image.save(path, pnginfo=text)
    return str(path)


def save_samples(images: Sequence[Image.Image], origins: Sequence[object], name: str) -> tuple[list[str], str, str]:
    """Write the images and their grid as PNG files, and a ZIP archive of all; return the paths.

    Args:
        images: one or more.
        origins: how each image was made.
        name: the first part of the files' names, such as "cifar-dcgan-seed7".

    Returns:
        The images, the archive and the grid.
    """
    folder = new_folder()
    files = [
        save_png(image, folder / f"{name}-{index:02d}.png", origin=origin)
        for index, (image, origin) in enumerate(zip(images, origins, strict=True))
    ]
    grid = ImageGrid(len(images), images[0].size)
    for image in images:
        grid.add(image)
    grid_file = save_png(grid.image, folder / f"{name}-grid.png", origin=list(origins))
    return files, save_zip([*files, grid_file], folder / f"{name}.zip"), grid_file


def save_zip(files: Iterable[str], path: Path) -> str:
    """Write a ZIP archive of files, without their folders; return its path as text."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:  # pictures are compressed already
        for file in files:
            archive.write(file, Path(file).name)
    return str(path)


def _on_checkerboard(image: Image.Image) -> Image.Image:
    """A transparent picture on a checkerboard, so that one side of the slider does not shine through the other."""
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
    return board


def save_comparison(before: Image.Image, after: Image.Image, folder: Path) -> tuple[str, str]:
    """Write both pictures as the slider shows them, in JPEG files, which are small; return the paths.

    Args:
        before: the picture, which bicubic interpolation enlarges for the slider.
        after: the result.
        folder: where the files are written.
    """
    factor = min(1.0, _COMPARISON_SIDE / max(after.size))
    shown = (max(1, round(after.width * factor)), max(1, round(after.height * factor)))
    left = before.resize(shown, Image.Resampling.BICUBIC)
    right = after.resize(shown, Image.Resampling.LANCZOS)
    paths = folder / "before.jpg", folder / "after.jpg"
    for side, path in zip((left, right), paths, strict=True):
        opaque = _on_checkerboard(side)
        opaque.info = {"icc_profile": after.info.get("icc_profile")}
        save_picture(opaque, path)
    return str(paths[0]), str(paths[1])
