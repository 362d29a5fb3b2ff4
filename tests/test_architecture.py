"""Imports point one way, as docs/architecture.md draws them."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from helpers.common import ROOT

PACKAGE = ROOT / "src" / "hubgan"
EVERYWHERE = {"errors", "version"}
# What each room may import besides itself, `errors` and `version`. A room comes after all that it imports.
ROOMS = {
    "errors": "",
    "version": "",
    "runtime": "",
    "networks": "",
    "media": "runtime",
    "hub": "runtime",
    "metrics": "runtime",
    "models": "runtime networks media hub metrics",
    "data": "runtime media",
    "evaluation": "runtime media models data metrics",
    "export": "runtime networks media models data",
    "publish": "runtime networks hub models",
    "training": "runtime networks media hub models data metrics evaluation export publish",
    "demo": "runtime media hub models",
    "cli": "runtime networks media hub models data metrics evaluation export publish training demo",
}
ALLOWED = {room: {*below.split()} | EVERYWHERE for room, below in ROOMS.items()}


def imported(file: Path) -> Iterator[str]:
    """The rooms that a file imports, anywhere in it. `hubgan` itself gives the models."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for package, *below in (name.split(".") for name in names):
            if package == "hubgan":
                yield below[0] if below and below[0] in ROOMS else "models"


def test_every_room_has_its_place() -> None:
    found = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert found - {"__init__", "__main__"} == {*ROOMS}


def test_the_arrows_have_no_circle() -> None:
    rooms = [*ROOMS]
    for room, below in ROOMS.items():
        assert {*below.split()} <= {*rooms[: rooms.index(room)]}


@pytest.mark.parametrize("room", ROOMS)
def test_no_room_imports_one_above_it(room: str) -> None:
    files = [PACKAGE / f"{room}.py"] if (PACKAGE / f"{room}.py").is_file() else [*(PACKAGE / room).rglob("*.py")]
    assert files
    wrong = {str(file.relative_to(PACKAGE)): {*imported(file)} - ALLOWED[room] - {room} for file in files}
    assert not {file: rooms for file, rooms in wrong.items() if rooms}


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    """Nor do modules of one room, by what they import when they are imported."""
    source = PACKAGE.parent
    names = {file: ".".join(file.relative_to(source).with_suffix("").parts) for file in PACKAGE.rglob("*.py")}
    modules = {name.removesuffix(".__init__") for name in names.values()}
    graph: dict[str, set[str]] = {}
    for file, name in names.items():
        found = set()
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.ImportFrom):
                whole = {f"{node.module}.{alias.name}" for alias in node.names}
                found |= whole & modules or {str(node.module)} & modules
        graph[name.removesuffix(".__init__")] = found
    TopologicalSorter(graph).prepare()  # raises CycleError


def test_only_one_file_asks_cuda() -> None:
    """What differs on a GPU is `runtime/devices.py`'s to say, so that it can be read and tested in one place."""
    asking = []
    for file in PACKAGE.rglob("*.py"):
        nodes = [*ast.walk(ast.parse(file.read_text()))]
        attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        compared = {
            value.value
            for node in nodes
            if isinstance(node, ast.Compare)
            for value in ast.walk(node)
            if isinstance(value, ast.Constant)
        }
        if attributes & {"cuda", "cudnn", "mps"} or "cuda" in compared:
            asking.append(str(file.relative_to(PACKAGE)))
    assert asking == ["runtime/devices.py"]
