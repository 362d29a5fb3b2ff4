"""The file of prepared images: decoded once, then shared by all processes and all later runs of a machine.

It holds the images' bytes one after another. A JSON file beside it holds their shapes and the rows that were left out.
Both are written under another name and renamed when they are whole, the JSON file last.
"""

import io
import json
import logging
import os
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any

import datasets
import numpy as np
import torch
from filelock import FileLock
from torch import Tensor
from tqdm.auto import tqdm

from hubgan.data.decoding import Cells, decode_all, decoding_pool, map_ahead
from hubgan.data.source import ImageSource
from hubgan.data.transforms import Transform
from hubgan.errors import DataError, ImageError
from hubgan.runtime.counting import counted

logger = logging.getLogger(__name__)

_VERSION = 2


@dataclass
class Contents:
    """The contents of a file of prepared images.

    Attributes:
        read: the number of rows that were read, from the first on.
        broken: the rows that cannot be decoded.
        unusable: the rows that the transform refuses.
        reasons: the reasons for the first broken and the first unusable row.
        shapes: (C, H, W) of the other rows, in order; only one if it is the same for all.
        size: the number of bytes of all images.
    """

    read: int = 0
    broken: list[int] = field(default_factory=list)
    unusable: list[int] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    shapes: list[list[int]] = field(default_factory=list)
    size: int = 0
    version: int = _VERSION

    def rows(self) -> np.ndarray:
        """The rows whose images are in the file, int64."""
        return np.delete(np.arange(self.read), self.broken + self.unusable)

    def add(self, row: int, outcome: "Tensor | _Refused") -> None:
        """Add the next row."""
        self.read = row + 1
        if isinstance(outcome, _Refused):
            (self.broken if outcome.kind == "broken" else self.unusable).append(row)
            self.reasons.setdefault(outcome.kind, f"row {row}: {outcome.reason}")
            return
        self.shapes.append(list(outcome.shape))
        self.size += outcome.numel()


@dataclass
class _Refused:
    kind: str
    reason: str


class Pixels:
    """Prepared images.

    Attributes:
        contents: their rows and shapes.
        path: their file; None if they are in this process's memory.
        flat: all their bytes, uint8 (size,). It must not be written to.
    """

    def __init__(self, contents: Contents, path: Path | None, flat: Tensor) -> None:
        self.contents, self.path, self.flat = contents, path, flat
        self._index()

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __getitem__(self, index: int) -> Tensor:
        shape = self._shapes[index if len(self._shapes) > 1 else 0]
        return self.flat[int(self._starts[index]) : int(self._starts[index + 1])].view(*shape.tolist())

    def stacked(self) -> Tensor | None:
        """All of them as one tensor (N, C, H, W), if they have one shape; it shares their memory."""
        return self.flat.view(-1, *self._shapes[0].tolist()) if len(self._shapes) == 1 else None

    def __getstate__(self) -> dict[str, Any]:
        flat = self.flat if self.path is None else None  # another process maps the file instead of copying it
        return {"contents": self.contents, "path": self.path, "flat": flat}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.contents, self.path, self.flat = state["contents"], state["path"], state["flat"]
        if self.path is not None:
            self.flat = _map(self.path, self.contents.size)
        self._index()

    def _index(self) -> None:
        self._shapes = np.array(self.contents.shapes, dtype=np.int64).reshape(-1, 3)
        count = self.contents.read - len(self.contents.broken) - len(self.contents.unusable)
        sizes = np.broadcast_to(self._shapes.prod(axis=1), count) if count else np.zeros(0, np.int64)
        self._starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])


def prepared_pixels(source: ImageSource, transform: Transform, *, memory: int, progress: bool) -> Pixels:
    """The images of a source as a transform prepares them: as many from the first on as fit into `memory` bytes.

    If an earlier run, or another process, has made the file for the same data, it is used; else the file is made. If
    it cannot be written, because the folder is not writable or the disk is full, the images are kept in memory, with
    a warning.

    Raises:
        DataError: the data set cannot be read, or the sizes of a pair do not fit.
    """
    folder = Path(datasets.config.HF_DATASETS_CACHE) / "hubgan"
    whole = folder / f"{source.fingerprint}-{transform.key}-v{_VERSION}.uint8"
    part = whole.with_stem(f"{whole.stem}-first-{memory}")
    if (found := _find(whole, memory) or _find(part, memory)) is not None:
        return found
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{whole}.lock"):  # others wait, and then find the file
            if (found := _find(whole, memory) or _find(part, memory)) is None:
                found = _find(_write(whole, part, source, transform, memory, progress), memory)
    except (OSError, NotImplementedError) as error:  # NotImplementedError if a file system has no locks
        logger.warning(
            "the decoded images cannot be stored in %s (%s), so each process keeps them in memory. Free space there,"
            " or set HF_DATASETS_CACHE to another folder", folder, error)  # fmt: skip
        found = None
    if found is not None:
        return found
    buffer = io.BytesIO()
    contents = _prepare_all(source, transform, memory, buffer, progress)
    content = np.frombuffer(buffer.getbuffer(), np.uint8)
    return Pixels(contents, None, torch.from_numpy(content) if contents.size else torch.empty(0, dtype=torch.uint8))


def _find(path: Path, memory: int) -> Pixels | None:
    """The images of a file, if it and its JSON file are whole, and it has no more than `memory` bytes."""
    try:
        contents = Contents(**json.loads(_json(path).read_text()))
        if contents.version != _VERSION or path.stat().st_size != contents.size or contents.size > memory:
            return None
        pixels = Pixels(contents, path, _map(path, contents.size))
        return pixels if int(pixels._starts[-1]) == contents.size else None
    except (OSError, ValueError, TypeError):
        return None


def _write(whole: Path, part: Path, source: ImageSource, transform: Transform, memory: int, progress: bool) -> Path:
    """Make the file `whole`, or `part` if not all images fit; returns which."""
    unfinished = whole.with_suffix(".part")  # always the same name, so that killed runs leave one file at most
    try:
        with unfinished.open("wb") as file:
            contents = _prepare_all(source, transform, memory, file, progress)
            _flush(file)
        path = whole if contents.read == source.size else part
        _json(path).unlink(missing_ok=True)  # it describes the file that is replaced now
        unfinished.replace(path)
        with unfinished.open("wb") as file:
            file.write(json.dumps(asdict(contents)).encode())
            _flush(file)
        unfinished.replace(_json(path))
        return path
    finally:
        unfinished.unlink(missing_ok=True)


def _prepare_all(source: ImageSource, transform: Transform, memory: int, file: IO[bytes], progress: bool) -> Contents:
    contents = Contents()
    bar = tqdm(total=source.size, desc="reading images", unit="img", disable=not progress)
    with bar, decoding_pool() as pool:
        outcomes = map_ahead(pool, partial(_prepare, source, transform), enumerate(_cells(source)))
        for row, outcome in enumerate(outcomes):
            if isinstance(outcome, Tensor):
                if contents.size + outcome.numel() > memory:
                    break
                file.write(outcome.numpy().data)
            contents.add(row, outcome)
            bar.update()
    if all(shape == contents.shapes[0] for shape in contents.shapes):
        contents.shapes = contents.shapes[:1]
    return contents


def _prepare(source: ImageSource, transform: Transform, numbered: tuple[int, Cells]) -> Tensor | _Refused:
    row, cells = numbered
    try:
        pictures = decode_all(cells)
    except ImageError as error:
        return _Refused("broken", str(error))
    try:
        return source.prepare(transform, cells, pictures, row).contiguous()
    except ImageError as error:
        return _Refused("unusable", str(error))


def _cells(source: ImageSource) -> Iterator[Cells]:
    for chunk in source.read():
        yield from chunk


def _map(path: Path, size: int) -> Tensor:
    """The file's bytes as a memory map: read from the disk when they are used, and shared between processes."""
    if not size:
        return torch.empty(0, dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*not writable")
        return torch.from_numpy(np.memmap(path, np.uint8, mode="r", shape=(size,)))


def _json(path: Path) -> Path:
    return path.with_suffix(".json")


def _flush(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def describe_skipped(source: ImageSource, transform: Transform, contents: Contents) -> str:
    """A message about the images that were left out, empty if there are none.

    Raises:
        DataError: all of them are.
    """
    broken, unusable = len(contents.broken), len(contents.unusable)
    if broken + unusable == len(source):
        none = f"{source.name}: none of its {counted(len(source), 'image')} can be"
        if not broken:
            raise DataError(f"{none} used, because all are {transform.unusable}")
        if not unusable:
            raise DataError(f"{none} read, for example {contents.reasons['broken']}")
        raise DataError(
            f"{none} used. {broken} cannot be read, for example {contents.reasons['broken']}; {unusable} are"
            f" {transform.unusable}"
        )
    parts = []
    if broken:
        read, example = counted(contents.read, "image"), contents.reasons["broken"]
        parts.append(f"skipped {broken} of {read} that cannot be read, for example {example}")
    if unusable:
        parts.append(f"skipped {counted(unusable, 'image')} {transform.unusable}")
    return f"{source.name}: {'; '.join(parts)}" if parts else ""
