"""Data sets for the tests of `hubgan.data`, and short ways to read them."""

import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import datasets
import torch
from PIL import Image
from torch import Tensor

from helpers.common import SAMPLE
from hubgan.data import (
    DecodedImages,
    ImageSource,
    RawBatch,
    Squares,
    StreamedImages,
    Transform,
    load_images,
)

SMALL = Squares(size=16, channels=3, flip=False)
SAME = Squares(size=32, channels=3, flip=False)
FLIPPED = Squares(size=32, channels=3, flip=True)


def decoded(
    source: ImageSource | str | Path, transform: Transform = SMALL, memory: int = 10**9, labelled: bool = False
) -> DecodedImages:
    source = source if isinstance(source, ImageSource) else load_images(str(source))
    return DecodedImages(source, transform, memory=memory, progress=False, labelled=labelled)


def stream(path: Path, transform: Transform = FLIPPED, **options: object) -> StreamedImages:
    """Some images of the sample as a stream, in a shard each."""
    if not path.exists():
        datasets.load_dataset(str(SAMPLE), split="train").select(range(50)).save_to_disk(path)
    return StreamedImages(load_images(str(path), streaming=True, **options), transform, buffer=10)


def take(iterator: Iterator[RawBatch], count: int) -> list[Tensor]:
    """The images of the first batches."""
    found = [drawn.images for drawn in islice(iterator, count)]
    iterator.close()  # type: ignore[attr-defined]
    return found


def same_batches(one: list[Tensor], other: list[Tensor]) -> bool:
    return len(one) == len(other) and all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def save(path: Path, mode: str = "RGB", size: tuple[int, int] = (20, 16), value: int = 200) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, value).convert(mode).save(path)


def python(code: str, environment: dict[str, str], **options: object) -> str:
    """What a fresh process prints."""
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
