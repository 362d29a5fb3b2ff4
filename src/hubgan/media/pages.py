"""TIFF files of several pages: read page by page, and written with the metadata of each."""

from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from hubgan.errors import ImageError
from hubgan.media.images import identify, open_image
from hubgan.media.metadata import save_options
from hubgan.runtime.files import atomic_write

_SUBFILE, _REDUCED = 254, 1  # a tag, and its bit for a smaller copy of another page


def page_sizes(path: str | Path) -> list[tuple[int, int]]:
    """The width and height of each page of a TIFF file; empty for all other files, and for those that are broken."""
    try:
        with Path(path).open("rb") as file:
            return [image.size for image in _pages(identify(file, str(path)))]
    except Exception:  # decoders raise nearly every kind on broken bytes
        return []


def open_pages(path: str | Path) -> Iterator[Image.Image]:
    """The pages of a TIFF file, one at a time, each as `hubgan.media.images.open_image` gives it with `deep`.

    Raises:
        ImageError: a page cannot be read.
    """
    with Path(path).open("rb") as file:
        for number, image in enumerate(_pages(identify(file, str(path))), 1):
            try:
                yield open_image(image, deep=True)
            except ImageError as error:
                raise error.with_context(f"{path}, page {number}: ") from error


def save_pages(pages: list[Image.Image], path: Path) -> None:
    """Write pictures as the pages of a TIFF file. Missing folders are made."""
    first, *others = pages
    for page in others:
        page.encoderinfo = save_options("TIFF", page.info)  # Pillow takes the first page's where there are none
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        first.save(file, "TIFF", save_all=True, append_images=others, **save_options("TIFF", first.info))


def _pages(image: Image.Image) -> Iterator[TiffImageFile]:
    """The opened file, moved to each page; the same object each time. Smaller copies of pages are left out."""
    if isinstance(image, TiffImageFile):
        for number in range(image.n_frames):
            image.seek(number)
            if not int(image.tag_v2.get(_SUBFILE, 0)) & _REDUCED:
                yield image
