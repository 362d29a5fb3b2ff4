"""Files that are written whole or not at all, under any name, by several processes at once."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from hubgan.runtime.files import atomic_write, fitting, remove_leftovers


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
