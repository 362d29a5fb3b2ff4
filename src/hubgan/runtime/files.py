"""Files that are written whole or not at all, their checksums, and places where no file can be."""

import errno
import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from hubgan.errors import HubganError, Remedy

_UNWRITABLE = (errno.EACCES, errno.EEXIST, errno.ENOTDIR, errno.EPERM, errno.EROFS)
SET_HF_HOME = "Set HF_HOME to a writable folder: export HF_HOME=FOLDER"

Error = TypeVar("Error", bound=HubganError)

_UNFINISHED = ".hubgan-"
_LONGEST_NAME = 255  # bytes, in nearly every file system


@contextmanager
def atomic_write(path: Path, folder: Path | None = None) -> Iterator[Path]:
    """A temporary file to write, renamed to `path` when the block ends; it is deleted if the block fails.

    Its name is its own, so several processes may write the same `path`; and short, however long that of `path` is. It
    is hidden, and only a killed process leaves it, see `remove_leftovers`.

    Args:
        path: the file.
        folder: the temporary file's, on the same file system; that of `path` by default.

    Raises:
        OSError: it cannot be written; `filename` is `path`.
    """
    unfinished = (folder or path.parent) / f"{_UNFINISHED}{secrets.token_hex(8)}"
    try:
        yield unfinished
        unfinished.replace(path)
    except OSError as error:
        if error.errno and error.filename in (None, unfinished, str(unfinished)):
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        with suppress(OSError):  # on a disk that can only be read this fails too, and would hide the error
            unfinished.unlink(missing_ok=True)


@contextmanager
def new_folder(folder: Path) -> Iterator[None]:
    """A folder to write into, made if it is missing; what was made is removed if the block ends and left it empty.

    Raises:
        OSError: it cannot be made.
    """
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        for each in made:
            with suppress(OSError):  # it holds something
                each.rmdir()


def remove_leftovers(folder: Path, age: float = 24 * 3600) -> None:
    """Delete the temporary files that killed processes have left in a folder.

    Args:
        folder: the folder; it need not exist.
        age: only files that nobody has written to for this number of seconds, as others may still be in use.
    """
    for file in folder.glob(f"{_UNFINISHED}*"):
        with suppress(OSError):  # gone meanwhile
            if time.time() - file.stat().st_mtime >= age:
                file.unlink()


def fitting(folder: Path, stem: str, end: str) -> Path:
    """`folder/{stem}{end}`; if no file may have so long a name there, its stem is cut and gets a checksum."""
    longest, name = _longest_name(folder), stem + end
    if len(os.fsencode(name)) > longest:
        end = f"~{hashlib.sha256(os.fsencode(name)).hexdigest()[:8]}{end}"
        while len(os.fsencode(stem + end)) > longest:
            stem = stem[:-1]
    return folder / f"{stem}{end}"


def _longest_name(folder: Path) -> int:
    """How many bytes a name in a folder may have, which need not exist yet."""
    if not hasattr(os, "pathconf"):
        return _LONGEST_NAME
    there = next(parent for parent in [folder, *folder.absolute().parents] if parent.is_dir())
    return min(os.pathconf(there, "PC_NAME_MAX"), _LONGEST_NAME)


def write_text(path: Path, text: str) -> None:
    """Write a text file as a whole; if that fails, the existing one is unchanged."""
    with atomic_write(path) as file:
        file.write_text(text, encoding="utf-8")


def sha256(path: Path) -> str:
    """A file's SHA-256, in hexadecimal digits."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def hashed(*texts: str) -> str:
    """A fingerprint of some texts: 16 hexadecimal digits of their SHA-256."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def sync(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk."""
    if os.name == "nt":
        return  # Windows opens no folders, and syncs no file that is open for reading
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def refuse_address(name: str | Path, kind: type[HubganError], remedy: str | Remedy = "") -> None:
    """Raise an error of this kind if `name` is an address (https://...) in place of a file or folder.

    Args:
        name: what a person gave; a `Path` has lost one of the slashes.
        kind: the error to raise.
        remedy: what to do; by default to download the file.
    """
    if re.match(r"(?i)https?:/", str(name)):
        address = re.sub(r":/+", "://", str(name), count=1)
        raise kind(
            f"{address} is a web address, but hubgan opens files", remedy or f"Download it first: curl -LO {address}"
        )


def remedy_of(error: Exception) -> str:
    """What to do about an error where a disk is full, can only be read, or takes no file so large; else empty."""
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOSPC, errno.EDQUOT):
        return "Free some space, or choose a folder on another disk"
    if number == errno.EFBIG:
        return "Choose a folder on another disk, or raise the limit: ulimit -f unlimited"
    return "Choose a folder that can be written" if number == errno.EROFS else ""


def told(error: OSError) -> HubganError:
    """An error of the system, with the file and what to do about it."""
    words = error.strerror or str(error)
    return HubganError(f"{error.filename}: {words}" if error.filename else words, remedy_of(error))


def unwritable(
    folder: str | Path, error: BaseException, kind: type[Error], remedy: str | Remedy = SET_HF_HOME
) -> Error | None:
    """The error that a cache folder cannot be written, if an error or one of its causes is that; else None.

    Args:
        folder: the cache.
        error: what was met.
        kind: the error to return.
        remedy: what to do.
    """
    cache = Path(folder)
    met: BaseException | None = error
    while met is not None:
        if isinstance(met, OSError) and met.errno in _UNWRITABLE and met.filename:
            place = Path(os.fsdecode(met.filename))
            if place.is_relative_to(cache) or cache.is_relative_to(place):
                return kind(f"the cache folder {cache} cannot be written ({met.strerror})", remedy)
        met = met.__cause__ or met.__context__
    return None
