"""TIFF files of several pages: read page by page, and written with the metadata of each."""

from collections.abc import Iterable, Iterator
from itertools import count, islice
from pathlib import Path

from PIL import Image
from PIL.TiffImagePlugin import AppendingTiffWriter, TiffImageFile

from hubgan.errors import ImageError
from hubgan.media.images import identify, open_image
from hubgan.media.metadata import save_options
from hubgan.runtime.files import atomic_write, new_folder

_SUBFILE, _REDUCED = 254, 1  # a tag, and its bit for a smaller copy of another page


def page_sizes(path: str | Path, most: int | None = None) -> list[tuple[int, int]]:
    """The width and height of each page of a TIFF file; empty for all other files, and if the first page is broken.

    A later page that is broken is the last one, and counts as 0 x 0.

    Args:
        path: the file.
        most: look at no more pages, because a small file may hold hundreds of thousands.
    """
    found: list[tuple[int, int]] = []
    try:
        with Path(path).open("rb") as file:
            found.extend(image.size for image in islice(_pages(identify(file, str(path))), most))
    except Exception:  # decoders raise nearly every kind on broken bytes
        return [*found, (0, 0)] if found else []
    return found


def open_pages(path: str | Path) -> Iterator[Image.Image]:
    """The pages of a TIFF file, one at a time, each as `hubgan.media.images.open_image` gives it with `deep`.

    Raises:
        ImageError: a page cannot be read.
    """
    number = 1
    with Path(path).open("rb") as file:
        try:
            for image in _pages(identify(file, str(path))):
                yield open_image(image, deep=True)
                number += 1
        except ImageError as error:
            raise error.with_context(f"{path}, page {number}: ") from error


def save_pages(pages: Iterable[Image.Image], path: Path) -> None:
    """Write pictures as the pages of a TIFF file. Missing folders are made."""
    # Page by page, as `save_all` gives pages the resolution of the first if they have none.
    with new_folder(path.parent), atomic_write(path) as file, AppendingTiffWriter(file, new=True) as writer:
        for page in pages:
            page.save(writer, "TIFF", **save_options("TIFF", page.info))
            writer.newFrame()


def _pages(image: Image.Image) -> Iterator[TiffImageFile]:
    """The opened file, moved to each page; the same object each time. Smaller copies of pages are left out."""
    if isinstance(image, TiffImageFile):
        for number in count():  # `n_frames` would read all of them first
            try:
                image.seek(number)
            except EOFError:
                return
            except Exception as error:  # as above
                raise ImageError(f"it cannot be read ({error})", "Check that the file is complete") from error
            if not int(image.tag_v2.get(_SUBFILE, 0)) & _REDUCED:
                yield image
