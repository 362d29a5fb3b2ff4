"""Encoded images decoded to pictures, in threads: Pillow releases the GIL while it decodes."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeAlias, TypeVar

import fsspec
from PIL import Image

from hubgan.errors import DataError, ImageError
from hubgan.media.images import open_image

Cell: TypeAlias = dict[str, Any] | None
"""An encoded image as `datasets` gives it: `bytes`, or the `path` of a file (a URL, where the set is streamed)."""
Cells: TypeAlias = tuple[Cell, ...]
"""The encoded images of a row: its image, and in a pair the input picture after it."""

_PAUSES = (1.0, 4.0)  # seconds between attempts to read over a network
_T = TypeVar("_T")
_R = TypeVar("_R")


def decode(cell: Cell) -> Image.Image:
    """The picture in a cell, upright, RGB or RGBA, in sRGB.

    Raises:
        ImageError: the cell is empty, its file does not exist, or it is no picture that can be read.
        DataError: the file is on another machine that cannot be reached.
    """
    content, path = (cell or {}).get("bytes"), (cell or {}).get("path")
    if content:
        return open_image(content, srgb=True)
    if not path:
        raise ImageError("the cell is empty")
    if "://" not in path:
        return open_image(path, srgb=True)
    try:
        return open_image(_read(path), srgb=True)
    except ImageError as error:
        raise error.with_context(f"{path}: ") from error


def decode_all(cells: Cells) -> list[Image.Image]:
    """The pictures of a row, as `decode` gives them.

    Raises:
        ImageError, DataError: as `decode` does.
    """
    return [decode(cell) for cell in cells]


def available_cpus() -> int:
    """The CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def decoding_pool() -> ThreadPoolExecutor:
    """Threads for decoding, to be closed after use."""
    return ThreadPoolExecutor(min(8, available_cpus()), thread_name_prefix="decode")


def map_ahead(
    pool: ThreadPoolExecutor, function: Callable[[_T], _R], items: Iterable[_T], ahead: int = 16
) -> Iterator[_R]:
    """Like `map`, in order, while the threads work on at most `ahead` items, which bounds the results in memory."""
    waiting: deque[Future[_R]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _read(url: str) -> bytes:
    """A file inside an archive or on another machine."""
    remote = "://" in url.split("::")[-1]
    for pause in (*_PAUSES, None) if remote else (None,):
        try:
            with fsspec.open(url, "rb") as file:
                content: bytes = file.read()
                return content
        except FileNotFoundError as error:
            raise ImageError("there is no such file") from error
        except Exception as error:  # file systems raise any kind of error
            if not remote:
                raise ImageError(f"cannot be read ({error})") from error
            if pause is None:
                reason = " ".join(str(error).split())[:300]
                message = f"cannot read {url}: {type(error).__name__}: {reason}"
                raise DataError(message, "Check the connection, and try again") from error
            time.sleep(pause)
    raise AssertionError
