"""Work that one process does at a time, on this machine or on several that share a disk."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock

from hubgan.runtime.files import new_folder


@contextmanager
def locked(file: Path, wait: float = -1) -> Iterator[None]:
    """Hold a lock, whose file is deleted at the end.

    The operating system frees it when the process ends, even by SIGKILL or a crash, so no lock is left over. On a
    network disk the file server frees the locks of a machine that it no longer hears. Where the file system has no
    locks, the file itself is the lock: that of a dead process on this machine counts for nothing.

    Args:
        file: the lock's file; missing folders are made, and removed if they are empty at the end.
        wait: how many seconds to wait for another process; by default as long as it takes.

    Raises:
        filelock.Timeout: another process still holds it.
    """
    with new_folder(file.parent), FileLock(file, timeout=wait):
        try:
            yield
        finally:
            with suppress(OSError):  # Windows deletes no open files
                file.unlink()
