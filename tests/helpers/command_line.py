"""The command line in the tests: what it needs to run, the pictures that it gets, and the files that it leaves."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import datasets
import numpy as np
from PIL import Image

from helpers.common import ROOT
from hubgan.cli import main

Run = Callable[..., tuple[int, str, str]]
"""Arguments to the exit status, and what was written to stdout and stderr."""


def same(one: Path, other: Image.Image) -> bool:
    with Image.open(one) as image:
        return image.mode == other.mode and image.size == other.size and image.tobytes() == other.tobytes()


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def hubgan(arguments: Sequence[str], folder: Path) -> None:
    """Run `hubgan` in a folder, which also takes the cache of `datasets`, and end this process."""
    os.chdir(folder)
    datasets.config.HF_DATASETS_CACHE = folder / "cache"
    sys.exit(main(list(arguments)))


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": ""}


def picture(path: Path, mode: str = "RGB", size: tuple[int, int] = (12, 8), **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[0 : size[1], 0 : size[0]]
    bands = np.stack([x * 20 % 256, y * 20 % 256, x * y % 256, x * 9 % 256], axis=2).astype(np.uint8)
    Image.fromarray(bands).convert(mode).save(path, **options)
    return path


def frame(number: int, mode: str = "RGB") -> Image.Image:
    """A square that wanders over a surface, which is to be seen through where there is alpha."""
    image = Image.new("RGBA", (24, 16), (0, 0, 0, 0) if mode == "RGBA" else (40, 90, 200, 255))
    image.paste((250, 200, 20, 255), (3 * number, 4, 3 * number + 8, 12))
    return image.convert(mode)
