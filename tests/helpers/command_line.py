"""The command line in the tests: in this process, in another one, and in several."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import datasets

from helpers.common import ROOT
from hubgan.cli import main

Run = Callable[..., tuple[int, str, str]]
"""Arguments to the exit status, and what was written to stdout and stderr."""


def hubgan(arguments: Sequence[str], folder: Path, torchrun: bool = False) -> None:
    """Run `hubgan` in a folder, which also takes the cache of `datasets`, and end this process.

    Args:
        arguments: the command and its options.
        folder: the folder.
        torchrun: whether the process has only the variables that torchrun sets, and none of Accelerate's.
    """
    os.chdir(folder)
    if torchrun:
        del os.environ["ACCELERATE_USE_CPU"]
    datasets.config.HF_DATASETS_CACHE = folder / "cache"
    sys.exit(main(list(arguments)))


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": ""}
