"""Files that are written whole or not at all, under any name, by several processes at once."""

import errno
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from hubgan.runtime.files import atomic_write, fitting, new_folder, remedy_of, remove_leftovers


def test_two_may_write_one_file(tmp_path: Path) -> None:
    barrier, longest = Barrier(2, timeout=20), tmp_path / ("x" * 255)

    def write(text: str) -> str:
        with atomic_write(longest) as unfinished:
            unfinished.write_text(text)
            barrier.wait()  # both are being written
            assert all(path.name.startswith(".") for path in tmp_path.iterdir() if path != longest)
            return unfinished.name

    with ThreadPoolExecutor(2) as pool:
        assert len(set(pool.map(write, ("one", "two")))) == 2
    assert longest.read_text() in ("one", "two")
    assert list(tmp_path.iterdir()) == [longest]
    with pytest.raises(KeyError), atomic_write(longest) as unfinished:
        unfinished.write_text("three")
        raise KeyError
    assert longest.read_text() in ("one", "two") and list(tmp_path.iterdir()) == [longest]


def test_an_error_names_the_file_and_not_the_temporary_one(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", tmp_path / "none" / "a"):
        with pytest.raises(OSError) as met, atomic_write(path) as unfinished:
            unfinished.touch()
        assert met.value.filename == str(path) and ".hubgan-" not in str(met.value)
    with pytest.raises(OSError) as met, atomic_write(tmp_path / "a"):
        raise OSError(errno.ENOSPC, "No space left on device")  # as `write` does, without a name
    assert met.value.filename == str(tmp_path / "a") and "Free some space" in remedy_of(met.value)
    assert "can be written" in remedy_of(OSError(errno.EROFS, "")) and not remedy_of(OSError(errno.EACCES, ""))


def test_a_new_folder_that_stays_empty_is_removed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(KeyError), new_folder(tmp_path / "there" / "new" / "folder"), new_folder(tmp_path):
        raise KeyError
    assert [*tmp_path.rglob("*")] == [tmp_path / "there"]
    with new_folder(tmp_path / "there" / "new" / "folder"):
        (tmp_path / "there" / "new" / "file").touch()
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "there", tmp_path / "there/new", tmp_path / "there/new/file"]


def test_what_killed_processes_left_is_removed(tmp_path: Path) -> None:
    remove_leftovers(tmp_path / "none")
    for name, age in (("old", 100_000), ("new", 0)):
        (tmp_path / f".hubgan-{name}").touch()
        os.utime(tmp_path / f".hubgan-{name}", (time.time() - age,) * 2)
    remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".hubgan-new"]


def test_names_fit_the_disk(tmp_path: Path) -> None:
    assert fitting(tmp_path / "not" / "yet", "a.b", ".png") == tmp_path / "not" / "yet" / "a.b.png"
    first, second = (fitting(tmp_path, "\u20ac" * 84 + end, ".png") for end in ("a", "b"))
    assert first != second and len(os.fsencode(first.name)) <= 255
    assert first.name.startswith("\u20ac" * 79) and first.suffix == ".png"
    first.touch()
    strange = fitting(tmp_path, os.fsdecode(b"\xff" * 252), "-x4.png")
    strange.touch()
