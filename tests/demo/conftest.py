"""What the demo's tests share: servers in folders like those of a Space, with tiny real models, and a real browser."""

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from helpers.common import ROOT
from helpers.demo_server import CLASSES, SCALE, SCREENS, SIZE, environment, launched_here

if TYPE_CHECKING:
    from gradio_client import Client
    from playwright.sync_api import Browser, ConsoleMessage, Page, Request


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
    for name, labels in (("tiny-generator", []), ("tiny-classes", CLASSES)):
        generator = Generator(image_size=SIZE, width=4, labels=labels)
        for weight in generator.parameters():
            torch.nn.init.normal_(weight, std=0.3)  # so that images differ by more than the last digit
        generator.save_pretrained(folder / name)
    upscaler = Upscaler(scale=SCALE, width=4, depth=1, strength=True)
    for part in ("control", "blocks.0.conv2"):  # so that the strength makes a difference
        torch.nn.init.normal_(upscaler.network.get_submodule(part).weight, std=0.5)
    upscaler.save_pretrained(folder / "tiny-upscaler")
    torch.nn.init.normal_(upscaler.network.tail.weight, std=0.1)  # so that the fidelity makes a difference
    save_file(upscaler.state_dict(), folder / "tiny-upscaler" / "pixel.safetensors")
    return folder


@pytest.fixture(scope="package")
def url(space: Path) -> Iterator[str]:
    """The address of the running demo."""
    pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'hubgan[demo]'")
    pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
    from helpers.browsing import running

    variables = environment(space, PYTHONPROFILEIMPORTTIME="1")
    with running(sys.executable, space, variables, space / "log.txt") as url:
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


@pytest.fixture(scope="package")
def other_url(space: Path, other_models: Path) -> Iterator[str]:
    """The address of a running demo with other models and a lower limit, which is also an MCP server."""
    pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'hubgan[demo]'")
    generators = [other_models / "large", space / "tiny-classes"]
    upscalers = [space / "tiny-upscaler", other_models / "worn", other_models / "2x_theirs.safetensors"]
    variables = {"GRADIO_MCP_SERVER": "True", "SPACE_ID": "tester/demo", "HUBGAN_MAX_MEGAPIXELS": "0.25"}
    with launched_here(other_models / "cache", generators, upscalers, **variables) as url:
        yield url


@pytest.fixture(scope="package")
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


class Tab:
    """A tab of the browser, which stays open: to load the demo in it again takes a third of what a new tab takes.

    It sees what must not happen: errors, and requests to other hosts.

    Attributes:
        page: what is in it.
    """

    def __init__(self, browser: "Browser", screen: str, theme: str) -> None:
        self.page, self._theme = browser.new_page(**SCREENS[screen], color_scheme=theme), theme
        self._host, self._problems = "", list[str]()
        self.page.context.grant_permissions(["camera", "clipboard-read", "clipboard-write"])
        self.page.set_default_timeout(60_000)
        self.page.on("request", self._check_host)
        self.page.on("console", self._check_console)
        self.page.on("pageerror", lambda error: self._problems.append(str(error)))

    def load(self, url: str) -> None:
        """Open the demo, and wait for the first images."""
        from playwright.sync_api import expect

        self._host, self._problems = urlsplit(url).netloc, []
        self.page.goto(url)
        samples = self.page.locator(".samples .thumbnail-lg")
        samples.first.wait_for()
        expect(samples).to_have_count(16)  # the first images
        assert self.page.evaluate("document.body.classList.contains('dark')") == (self._theme == "dark")

    def check(self) -> None:
        problems, self._problems = self._problems, []
        width = self.page.evaluate("document.documentElement.scrollWidth")
        assert not problems and width <= self.page.viewport_size["width"]  # type: ignore[index]

    def leave(self) -> None:
        """Leave the demo, which computes even when idle."""
        self.page.goto("about:blank")

    def _check_host(self, request: "Request") -> None:
        if urlsplit(request.url).netloc not in (self._host, ""):  # data: and blob: have none
            self._problems.append(f"request to {request.url}")

    def _check_console(self, message: "ConsoleMessage") -> None:
        # Gradio's slider logs this when it is zoomed by fingers, and zooms all the same.
        if message.type == "error" and "preventDefault inside passive event listener" not in message.text:
            self._problems.append(message.text)


@pytest.fixture(scope="package")
def tabs(browser: "Browser") -> Iterator[Callable[[str], Tab]]:
    """The tabs "desktop" and "phone", in which the demo stays open, and "anew", which each test finds empty."""
    tabs: dict[str, Tab] = {}

    def find(name: str) -> Tab:
        if name not in tabs:
            tabs[name] = Tab(browser, *(("phone", "dark") if name == "phone" else ("desktop", "light")))
        return tabs[name]

    yield find
    for tab in tabs.values():
        tab.page.close()


@pytest.fixture
def blank(tabs: Callable[[str], Tab]) -> "Iterator[Page]":
    """A tab of a monitor, in which nothing is open."""
    yield tabs("anew").page
    tabs("anew").leave()


@pytest.fixture
def page(tabs: Callable[[str], Tab], url: str, request: pytest.FixtureRequest) -> "Iterator[Page]":
    """The demo on a monitor, `on_each_screen` or `in_the_same_tab`. It must log no error, and call no other host."""
    from helpers.browsing import clear, open_tab

    tab = tabs(getattr(request, "param", "anew"))
    if tab.page.url == "about:blank":
        tab.load(url)
    else:
        clear(tab.page)
        open_tab(tab.page, "Generate")
    yield tab.page
    tab.check()
    if tab is tabs("anew"):
        tab.leave()


@pytest.fixture
def other_page(tabs: Callable[[str], Tab], other_url: str) -> "Iterator[Page]":
    """The other demo on a monitor, of which the same is asked."""
    tab = tabs("anew")
    tab.load(other_url)
    yield tab.page
    tab.check()
    tab.leave()


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """The folder for screenshots, which are kept for people to look at."""
    folder = ROOT / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
