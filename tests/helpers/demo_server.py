"""The demo for tests: `app.py` in a folder like that of a Space, with tiny real models, and a real browser."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from gradio_client import Client
    from playwright.sync_api import Browser, ConsoleMessage, Page, Request

ROOT = Path(__file__).resolve().parents[2]
SIZE, SCALE = 16, 3
CLASSES = ["cat", "dog", "ship"]
# What visitors have: a monitor, or a phone held upright.
SCREENS: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": {"width": 1280, "height": 800}},
    "phone": {
        "viewport": {"width": 375, "height": 667},
        "device_scale_factor": 2,
        "is_mobile": True,
        "has_touch": True,
    },
}
in_the_same_tab = pytest.mark.parametrize("page", ["same"], indirect=True)
"""For tests that change no setting. They find no picture. Each new tab costs four seconds of CPU."""
on_each_screen = pytest.mark.parametrize("page", ["desktop-light", "phone-dark"], indirect=True)
"""For tests of what looks or works otherwise on a phone. All others run on a monitor: pages take seconds to load."""


@pytest.fixture(scope="session")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like that of a Space, and untrained models in it."""
    import torch
    from PIL import Image
    from safetensors.torch import save_file

    from hubgan import Generator, Upscaler

    folder = tmp_path_factory.mktemp("space")
    shutil.copy(ROOT / "app.py", folder)
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    examples = folder / "src" / "hubgan" / "demo" / "examples"
    shutil.rmtree(examples, ignore_errors=True)
    examples.mkdir()
    Image.linear_gradient("L").resize((10, 20)).save(examples / "example.png")
    torch.manual_seed(0)
    Generator(image_size=SIZE, width=4).save_pretrained(folder / "tiny-generator")
    Generator(image_size=SIZE, width=4, labels=CLASSES).save_pretrained(folder / "tiny-classes")
    upscaler = Upscaler(scale=SCALE, width=4, depth=1, strength=True)
    for part in ("control", "blocks.0.conv2"):  # so that the strength makes a difference
        torch.nn.init.normal_(upscaler.network.get_submodule(part).weight, std=0.5)
    upscaler.save_pretrained(folder / "tiny-upscaler")
    torch.nn.init.normal_(upscaler.network.tail.weight, std=0.1)  # so that the fidelity makes a difference
    save_file(upscaler.state_dict(), folder / "tiny-upscaler" / "pixel.safetensors")
    return folder


def environment(space: Path, **changes: str) -> dict[str, str]:
    """The environment of a demo of these models, with the limits of a Space."""
    # PYTHONPATH could lead to another hubgan. PYTHONDONTWRITEBYTECODE would leave no sign of which one ran.
    dropped = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")
    return {
        **{key: value for key, value in os.environ.items() if key not in dropped},
        "HUBGAN_GENERATORS": f"{space / 'tiny-generator'},{space / 'tiny-classes'}",
        "HUBGAN_UPSCALERS": str(space / "tiny-upscaler"),
        "GRADIO_TEMP_DIR": str(space / "cache"),
        "HF_HUB_OFFLINE": "1",
        "SPACE_ID": "tester/demo",
        "HUBGAN_MAX_TOTAL_MEGAPIXELS": "16",  # twice that of a Space: enough work to be stopped
        **changes,
    }


@pytest.fixture(scope="session")
def url(space: Path) -> Iterator[str]:
    """The address of the running demo."""
    pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'hubgan[demo]'")
    pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
    from helpers.browsing import running

    with running(sys.executable, space, environment(space), space / "log.txt") as url:
        yield url


@pytest.fixture(scope="session")
def other_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models of another demo: one for worn pictures, one for large images, and someone else's weights."""
    import torch
    from safetensors.torch import save_file

    from hubgan import Generator, Upscaler

    compact = pytest.importorskip("spandrel.architectures.Compact", reason="it builds the weights")
    folder = tmp_path_factory.mktemp("models")
    worn = Upscaler(scale=2, width=4, depth=1)
    worn.training_run = {"dataset": "worn", "degraded": 0.5}
    worn.save_pretrained(folder / "worn")
    Generator(image_size=128, width=4).save_pretrained(folder / "large")
    torch.manual_seed(0)
    theirs = compact.Compact(num_in_ch=3, num_out_ch=3, num_feat=8, num_conv=2, upscale=2)
    save_file(theirs.state_dict(), folder / "2x_theirs.safetensors")
    return folder


@pytest.fixture(scope="session")
def other_url(space: Path, other_models: Path) -> Iterator[str]:
    """The address of a running demo with other models, which is also an MCP server."""
    pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'hubgan[demo]'")
    pytest.importorskip("playwright.sync_api", reason="the helper that starts the demo needs it")
    from helpers.browsing import running

    upscalers = [space / "tiny-upscaler", other_models / "worn", other_models / "2x_theirs.safetensors"]
    changes = {
        "HUBGAN_GENERATORS": f"{other_models / 'large'},{space / 'tiny-classes'}",
        "HUBGAN_UPSCALERS": ",".join(map(str, upscalers)),
        "GRADIO_MCP_SERVER": "True",
        "GRADIO_TEMP_DIR": str(other_models / "cache"),
    }
    with running(sys.executable, space, environment(space, **changes), other_models / "log.txt") as url:
        yield url


@pytest.fixture
def client(url: str) -> "Client":
    """A program that calls the demo's endpoints."""
    from gradio_client import Client

    return Client(url, verbose=False)


@pytest.fixture
def red_picture(tmp_path: Path) -> Path:
    """A PNG file of 8 x 8 pixels."""
    from PIL import Image

    Image.new("RGB", (8, 8), "red").save(tmp_path / "red.png")
    return tmp_path / "red.png"


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    """A browser, for the whole session."""
    pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
    from helpers.browsing import chromium

    with chromium() as browser:
        yield browser


@contextmanager
def _tab(browser: "Browser", url: str, screen: str, theme: str) -> "Iterator[tuple[Page, list[str]]]":
    """The demo in a new tab, and what must not happen in it: errors, and requests to other hosts."""
    problems: list[str] = []

    def check_host(request: "Request") -> None:
        if urlsplit(request.url).netloc not in (urlsplit(url).netloc, ""):  # data: and blob: have none
            problems.append(f"request to {request.url}")

    def check_console(message: "ConsoleMessage") -> None:
        # Gradio's slider logs this when it is zoomed by fingers, and zooms all the same.
        if message.type == "error" and "preventDefault inside passive event listener" not in message.text:
            problems.append(message.text)

    tab = browser.new_page(**SCREENS[screen], color_scheme=theme)
    tab.context.grant_permissions(["camera", "clipboard-read", "clipboard-write"])
    tab.set_default_timeout(60_000)
    tab.on("request", check_host)
    tab.on("console", check_console)
    tab.on("pageerror", lambda error: problems.append(str(error)))
    try:
        tab.goto(url)
        tab.locator(".samples .thumbnail-lg").first.wait_for()
        assert tab.evaluate("document.body.classList.contains('dark')") == (theme == "dark")
        yield tab, problems
    finally:
        tab.close()


def _check(tab: "Page", problems: list[str]) -> None:
    too_wide = tab.evaluate("document.documentElement.scrollWidth") - tab.viewport_size["width"]  # type: ignore[index]
    assert not problems and too_wide <= 0


@pytest.fixture
def page(browser: "Browser", url: str, request: pytest.FixtureRequest) -> "Iterator[Page]":
    """The demo on a monitor, `on_each_screen` or `in_the_same_tab`. It must log no error, and call no other host."""
    from helpers.browsing import clear

    if (where := getattr(request, "param", "desktop-light")) == "same":
        tab, problems = request.getfixturevalue("_lasting_tab")
        problems.clear()
        clear(tab)
        yield tab
        _check(tab, problems)
        return
    with _tab(browser, url, *where.split("-")) as (tab, problems):
        yield tab
        _check(tab, problems)


@pytest.fixture(scope="session")
def _lasting_tab(browser: "Browser", url: str) -> "Iterator[tuple[Page, list[str]]]":
    with _tab(browser, url, "desktop", "light") as found:
        yield found


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """The folder for screenshots, which are kept for people to look at."""
    folder = ROOT / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
