"""The demo as visitors use it: a server process, and a real browser that clicks."""

import base64
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# For root in a container, and without requests of its own: only the page uses the network.
CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
    "--use-fake-device-for-media-stream",  # a camera
]


@contextmanager
def running(
    python: Path | str, folder: Path, environment: Mapping[str, str], log: Path, program: Sequence[str] = ("app.py",)
) -> Iterator[str]:
    """Run `python app.py`, or another program that launches the demo; yield its address as soon as it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    changes = {"GRADIO_SERVER_PORT": str(port), "GRADIO_SERVER_NAME": "127.0.0.1", "PYTHONUNBUFFERED": "1"}
    environment = {**environment, **changes}
    with log.open("w") as output:
        server = subprocess.Popen(
            [python, *program], cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        deadline = time.monotonic() + 120
        while f"127.0.0.1:{port}" not in log.read_text():  # not the port alone: another program may have taken it
            alive = server.poll() is None and time.monotonic() < deadline
            assert alive, f"the demo did not start:\n{log.read_text()[-3000:]}"
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            raise


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser; the test is skipped if there is none."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine (chromium, chromium-browser or google-chrome)")
    expect.set_options(timeout=30_000)
    with sync_playwright() as driver, tempfile.NamedTemporaryFile(suffix=".y4m") as camera:
        # Chromium's own camera makes pictures of two megapixels.
        camera.write(b"YUV4MPEG2 W64 H48 F10:1\nFRAME\n" + bytes(range(16, 112)) * 48)
        camera.flush()
        options = [*CHROMIUM_OPTIONS, f"--use-file-for-fake-video-capture={camera.name}"]
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


def samples(page: Page) -> list[bytes]:
    """The files of the gallery."""
    links = page.locator(".samples .thumbnail-lg img").evaluate_all("images => images.map(i => i.src)")
    return [page.request.get(link).body() for link in links]


def generate(page: Page, count: int, seed: int | None = None) -> list[bytes]:
    """Set the count, and the seed if given, and generate as a visitor does; return the images' files."""
    number = page.get_by_label("number input for Images")
    number.fill(str(count))
    number.press("Tab")
    if seed is not None:
        page.get_by_label("Seed", exact=True).fill(str(seed))
    first = page.locator(".samples .thumbnail-lg img").first
    before = first.get_attribute("src")
    page.get_by_role("button", name="Generate", exact=True).click()
    expect(first).not_to_have_attribute("src", before or "")
    expect(page.locator(".samples .thumbnail-lg")).to_have_count(count)
    return samples(page)


def download(page: Page, button: str, folder: Path) -> Path:
    """Click a button that downloads a file; return the file."""
    with page.expect_download() as started:
        page.get_by_text(button, exact=True).click()
    path = folder / started.value.suggested_filename
    started.value.save_as(path)
    return path


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()


def clear(page: Page) -> None:
    """Open the tab Upscale, and remove the picture if there is one."""
    open_tab(page, "Upscale")
    remove = page.get_by_label("Remove Image")
    if remove.is_visible():
        remove.click()


def choose(page: Page, path: Path) -> None:
    """Choose a file in the tab Upscale; it replaces the one before."""
    clear(page)
    with page.expect_response(lambda response: "/upload" in response.url and response.ok):
        page.locator(".picture input[type=file]").first.set_input_files(path)
    page.get_by_label("Remove Image").wait_for()


def drop(page: Page, path: Path, name: str) -> None:
    """Drop a file of that name on the picture in the tab Upscale."""
    named = path.with_name(name)
    named.write_bytes(path.read_bytes())
    target = page.locator(".picture")
    target.scroll_into_view_if_needed()
    box = target.bounding_box()
    assert box is not None
    session = page.context.new_cdp_session(page)
    with page.expect_response(lambda response: "/upload" in response.url and response.ok):
        for kind in ("dragEnter", "dragOver", "drop"):
            data = {"items": [], "files": [str(named)], "dragOperationsMask": 1}
            place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
            session.send("Input.dispatchDragEvent", {"type": kind, "data": data, **place})
    session.detach()


def upload(page: Page, path: Path) -> None:
    """Choose a file, and click the button."""
    choose(page, path)
    page.get_by_role("button", name=re.compile(r"Upscale \d+x")).click()


def paste(page: Page, path: Path) -> None:
    """Copy a PNG file, and paste it into the tab Upscale."""
    open_tab(page, "Upscale")
    copy = """async data => {
        const picture = await (await fetch("data:image/png;base64," + data)).blob();
        await navigator.clipboard.write([new ClipboardItem({"image/png": picture})]);
    }"""
    page.evaluate(copy, base64.b64encode(path.read_bytes()).decode())
    page.get_by_label("Paste from clipboard").click()
    page.get_by_label("Remove Image").wait_for()


def read_toast(page: Page, text: str) -> None:
    """Wait for the toast with this text, and close it: the next toast would join it, and disappear with it."""
    page.get_by_test_id("toast-text").filter(has_text=text).wait_for()
    page.get_by_test_id("toast-close").click()
    page.get_by_test_id("toast-body").wait_for(state="detached")


def drag(page: Page, element: Locator, by: int) -> None:
    """Drag an element to the right by a number of pixels, with the mouse or a finger."""
    element.scroll_into_view_if_needed()
    box = element.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    if _has_touch(page):
        _touch(page, [[(x + by * step / 5, y)] for step in range(6)])
    else:
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + by, y, steps=5)
        page.mouse.up()


def zoom(page: Page, element: Locator) -> None:
    """Zoom in, with the wheel or two fingers."""
    element.scroll_into_view_if_needed()
    box = element.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 4, box["y"] + box["height"] / 2
    if _has_touch(page):
        _touch(page, [[(x - 15 - 5 * step, y), (x + 15 + 5 * step, y)] for step in range(6)])
    else:
        page.mouse.move(x, y)
        page.mouse.wheel(0, -300)


def _has_touch(page: Page) -> bool:
    return page.evaluate("navigator.maxTouchPoints > 0")


def _touch(page: Page, path: list[list[tuple[float, float]]]) -> None:
    """Put fingers down, move them along a path, and lift them."""
    session = page.context.new_cdp_session(page)
    for kind, fingers in [("touchStart", path[0]), *(("touchMove", points) for points in path[1:]), ("touchEnd", [])]:
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(fingers)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    session.detach()
