"""The command line in the tests: what it needs to run, and the files that it leaves."""

import os
from pathlib import Path

from PIL import Image

from conftest import ROOT


def same(one: Path, other: Image.Image) -> bool:
    with Image.open(one) as image:
        return image.mode == other.mode and image.size == other.size and image.tobytes() == other.tobytes()


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": ""}
