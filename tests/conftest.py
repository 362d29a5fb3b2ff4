"""What the tests share: a Hub on this machine, and real images."""

import gc
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING

from helpers.forking import free_port
from helpers.loopback_hub import WRITE_TOKEN, LoopbackHub

_HOME = tempfile.TemporaryDirectory(prefix="hubgan-tests-", ignore_cleanup_errors=True)  # removed at the end
# huggingface_hub and datasets read these once, when they are imported: before anything imports hubgan.
PORT = free_port()
os.environ |= {
    "HF_ENDPOINT": f"http://127.0.0.1:{PORT}",
    "HF_HOME": _HOME.name,
    "HF_TOKEN": WRITE_TOKEN,
    "HF_HUB_DISABLE_XET": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "OMP_NUM_THREADS": "1",
}
os.environ.pop("HF_HUB_OFFLINE", None)

import pytest

# Nothing here imports torch or datasets at once: the process that hands the tests to the workers needs neither, and
# they wait for it.
if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from hubgan import Upscaler


_MARKED_BY = {"browser": "browser", "url": "e2e", "other_url": "e2e", "launch_environment": "e2e"}  # fixture to marker
_FORKING = {"fork", "run_script", "train_forked", "train_in_two", "kill_and_compare", "forked_modules"}


def pytest_collection() -> None:
    """What is imported stays: a quarter of the time of the imports would go into the search for garbage."""
    gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark a test by its fixtures.

    The tests of the running demo share one worker, with a server and a browser; those that fork share one too, since
    what they fork from imports for seconds.
    """
    fixtures = _MARKED_BY.keys() & set(getattr(item, "fixturenames", ()))
    for fixture in fixtures:
        item.add_marker(_MARKED_BY[fixture])
    if fixtures & {"browser", "url", "other_url"}:
        item.add_marker(pytest.mark.xdist_group("demo"))
    elif isinstance(item, pytest.Function) and _FORKING & (_names(item.function.__code__) | {*item.fixturenames}):
        item.add_marker(pytest.mark.xdist_group("forks"))


def _names(code: CodeType) -> set[str]:
    """What a function calls by name, and what its inner functions and comprehensions do."""
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*map(_names, inner))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Several workers begin with groups, then with what takes long, so that none waits for another at the end."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: [not item.get_closest_marker(name) for name in ("xdist_group", "slow")])


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LoopbackHub]:
    """An empty Hub, at the address that the client was told of when it was imported."""
    with LoopbackHub(tmp_path / "hub", PORT) as hub:
        yield hub
        assert not hub.errors


@pytest.fixture(autouse=True)
def fresh_accelerator() -> Iterator[None]:
    """No test finds what another one has made of Accelerate."""
    from helpers.common import forget_accelerator

    yield
    forget_accelerator()


@pytest.fixture(scope="session", autouse=True)
def streams_end_at_once() -> None:
    """After a stream of Parquet `datasets` waits for seconds, for threads that may outlive the process."""
    import datasets

    datasets.config.SLEEP_TIME_ON_THREADS_SHUTDOWN = 0


@pytest.fixture(autouse=True)
def fixed_seed() -> None:
    import torch

    torch.manual_seed(0)


@pytest.fixture(scope="session")
def launch_environment() -> dict[str, str]:
    """The environment of a training process: the checkout's own code, one thread, no network."""
    from helpers.common import ROOT

    return {
        **os.environ,
        "PYTHONPATH": str(ROOT / "src"),
        "HF_HUB_OFFLINE": "1",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    """A browser, for the whole session."""
    pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
    from helpers.browsing import chromium

    with chromium() as browser:
        yield browser


@pytest.fixture
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of `datasets` for each test, which holds no decoded images of another."""
    import datasets

    path = tmp_path_factory.mktemp("cache")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", path)
    return path


@pytest.fixture
def hubgan(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """Run a command in `tmp_path`; gives its exit status, and what it wrote to stdout and stderr."""
    from hubgan.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*argv: object) -> tuple[int, str, str]:
        status = main([str(word) for word in argv])
        return (status, *capsys.readouterr())

    return run


@pytest.fixture
def upscaler(tmp_path: Path) -> "Upscaler":
    """An untrained upscaler, twice, saved in `up`."""
    from hubgan import Upscaler

    model = Upscaler(scale=2, width=4, depth=1)
    model.save_pretrained(tmp_path / "up")
    return model
