"""The demo's queue: many visitors at once, more than fit, and work that is stopped."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'hubgan[demo]'")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")

from gradio_client import Client, handle_file

from helpers.browsing import open_tab, upload
from helpers.demo_server import SCALE, in_the_same_tab


def test_visitors_at_the_same_time_get_their_own_pictures(url: str, tmp_path: Path) -> None:
    def upscale(number: int) -> bool:
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (8 + number, 8), (number * 20, 0, 0)).save(path)
        _, large, _ = Client(url, verbose=False).predict(handle_file(path), api_name="/upscale")
        image = Image.open(large)
        return image.size == ((8 + number) * SCALE, 8 * SCALE)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(upscale, range(8)))


@pytest.mark.slow
def test_a_full_queue_refuses_visitors_and_the_page_still_works(
    blank: "playwright.Page", other_url: str, tmp_path: Path
) -> None:
    """Thirty-two may wait. The next one gets an error and a page that works; later the demo works as before."""
    client = Client(other_url, verbose=False)
    client.predict(model="tiny-classes", api_name="/generate")  # it has started
    for side in (8, 320):  # four that take seconds, and many that take no time
        Image.new("RGB", (side, side), "teal").save(tmp_path / f"{side}.png")
    pictures = [tmp_path / f"{side}.png" for side in [320] * 4 + [8] * 41]
    jobs = [client.submit(handle_file(picture), api_name="/upscale") for picture in pictures]
    deadline = time.monotonic() + 60
    while not any(job.done() and job.exception() for job in jobs):  # somebody was refused
        assert time.monotonic() < deadline
        time.sleep(0.05)
    blank.goto(other_url)
    playwright.expect(blank.get_by_role("button", name="Generate", exact=True)).to_be_enabled()
    open_tab(blank, "About")
    blank.get_by_role("button", name="tiny-classes").wait_for()
    said: list[str] = []
    for job in jobs:
        try:
            job.result(timeout=240)
        except Exception as error:  # of whatever kind the client makes it
            said.append(str(error))
    assert said and all("full" in words or "busy" in words.lower() for words in said), said
    assert len(said) < len(jobs)
    assert client.predict(model="tiny-classes", api_name="/generate")


@in_the_same_tab
def test_work_can_be_stopped(page: "playwright.Page", tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1900, 2000, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "large.jpg")
    upload(page, tmp_path / "large.jpg")
    stop, start = (page.get_by_role("button", name=name, exact=True) for name in ("Stop", f"Upscale {SCALE}x"))
    stop.wait_for()
    stop.dispatch_event("click")  # at once: the work may be done before a button has been scrolled to
    start.wait_for()
    page.get_by_text("Stopped.").first.wait_for()
    playwright.expect(stop).not_to_be_visible()
    Image.new("RGB", (8, 8), "red").save(tmp_path / "small.png")
    upload(page, tmp_path / "small.png")
    page.get_by_text(f"8 x 8 → {8 * SCALE} x {8 * SCALE} pixels").wait_for()
    playwright.expect(stop).not_to_be_visible()


def test_several_pictures_can_be_stopped(page: "playwright.Page", tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1900, 2000, 3), dtype=np.uint8)
    pictures = [tmp_path / f"{number}.jpg" for number in range(4)]  # enough for a slow machine to stop in time
    for picture in pictures:
        Image.fromarray(noise).save(picture)
    open_tab(page, "Upscale")
    page.get_by_role("button", name="Several pictures").click()
    with page.expect_response(lambda response: "/upload" in response.url and response.ok):
        page.locator("input[type=file][multiple]").set_input_files(pictures)
    start = page.get_by_role("button", name="Upscale all")
    start.click()
    page.get_by_text("Upscaling").filter(visible=True).first.wait_for()
    page.get_by_role("button", name="Stop", exact=True).dispatch_event("click")
    page.get_by_text("Stopped.").first.wait_for()
    start.wait_for()
    playwright.expect(page.get_by_role("button", name="Download the pictures (ZIP)")).to_be_disabled()
