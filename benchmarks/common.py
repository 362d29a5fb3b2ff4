"""What the benchmarks share: data, and results with all that they depend on."""

import json
import platform
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psutil
import torch

from hubgan.data import load_images
from hubgan.evaluation import Reference
from hubgan.training.run.provenance import git_revision

RESULTS = Path(__file__).parent / "results"
_GIT = git_revision()  # of the code that runs: a commit made in the meantime changes nothing
_PACKAGES = ("torch", "torchmetrics", "datasets", "accelerate", "numpy", "pillow")


def reference(dataset: str, split: str, name: str | None = None) -> Reference:
    """Real images to measure against, called `name` in results."""
    return Reference(load_images(dataset, split=split), called(dataset, name), split)


def called(dataset: str, name: str | None) -> str:
    """What results call a data set: of a path only its end."""
    return name or (Path(dataset).resolve().name if Path(dataset).exists() else dataset)


def environment() -> dict[str, Any]:
    """The command, the commit and whether its checkout was changed (None without a checkout), hardware, versions."""
    processor = next((line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if "model name" in line), "")
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else processor or platform.processor()
    return {
        "command": shlex.join(["python", *sys.orig_argv[1:]]),
        "git": _GIT,
        "hardware": device,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        **{package: metadata.version(package) for package in _PACKAGES},
    }


def write(name: str, table: list[dict[str, Any]], **about: Any) -> Path:
    """Write a table to `results/NAME.json`, with `about` and the environment."""
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{name}.json"
    file.write_text(json.dumps({**about, "environment": environment(), "table": table}, indent=1) + "\n")
    return file


def markdown(table: list[dict[str, Any]]) -> str:
    """A table in Markdown, with the columns of its first row."""
    columns = list(table[0])
    rows = [[_shown(row.get(column)) for column in columns] for row in table]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [columns, ["---"] * len(columns), *rows])


@contextmanager
def children_memory() -> Iterator[list[float]]:
    """What the processes that are started inside take of memory together, in MB, every fifth of a second."""
    found, done = [0.0], Event()

    def watch() -> None:
        while not done.wait(0.2):
            used = 0
            for each in psutil.Process().children(recursive=True):
                try:
                    used += each.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            found.append(used / 1e6)

    watcher = Thread(target=watch)
    watcher.start()
    try:
        yield found
    finally:
        done.set()
        watcher.join()


def _shown(value: Any) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value if value is not None else "")


def _lines(file: str) -> list[str]:
    path = Path(file)
    return path.read_text().splitlines() if path.exists() else []
