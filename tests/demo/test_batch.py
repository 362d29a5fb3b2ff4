"""Several pictures at once in the demo's second tab."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'hubgan[demo]'")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")

from gradio_client import Client, handle_file

from helpers.browsing import download, open_tab
from helpers.demo_server import SCALE, on_each_screen


def test_the_endpoint_enlarges_several_pictures(client: Client, red_picture: Path) -> None:
    archive, report = client.predict([handle_file(red_picture)] * 2, 0, None, 1.5, api_name="/upscale_several")
    assert Path(archive).suffix == ".zip" and report.startswith("2 upscaled")


def test_16_bit_grey_stays_16_bit_grey(client: Client, red_picture: Path, tmp_path: Path) -> None:
    Image.fromarray(np.arange(24 * 16, dtype=np.uint16).reshape(16, 24) * 170).save(tmp_path / "grey.png")
    pictures = [handle_file(tmp_path / "grey.png"), handle_file(red_picture)]
    archive, _ = client.predict(pictures, 0, None, None, api_name="/upscale_several")
    with zipfile.ZipFile(archive) as files:
        modes = {name: Image.open(files.open(name)).mode for name in files.namelist()}
    assert modes == {f"grey-x{SCALE}.png": "I;16", f"red-x{SCALE}.png": "RGB"}


@on_each_screen
def test_several_pictures_come_in_one_archive(page: "playwright.Page", tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    paths = [tmp_path / "one.png", tmp_path / "two.jpg", tmp_path / "other" / "one.png", tmp_path / "words.png"]
    for number, path in enumerate(paths[:3]):
        Image.new("RGB", (8 + number, 6), "red").save(path)
    paths[3].write_text("no picture")
    open_tab(page, "Upscale")
    page.get_by_role("button", name="Several pictures").click()
    with page.expect_response(lambda response: "/upload" in response.url and response.ok):
        page.locator("input[type=file][multiple]").set_input_files(paths)
    page.get_by_text("words").first.wait_for()
    page.get_by_role("button", name="Upscale all").click()
    page.get_by_text("3 upscaled in").wait_for()
    page.get_by_text("words.png: words.png is not a picture").wait_for()
    with zipfile.ZipFile(download(page, "Download the pictures (ZIP)", tmp_path)) as pack:
        sizes = {name: Image.open(pack.open(name)).size for name in pack.namelist()}
    assert sizes == {
        f"one-x{SCALE}.png": (8 * SCALE, 6 * SCALE),
        f"two-x{SCALE}.jpg": (9 * SCALE, 6 * SCALE),
        f"03-one-x{SCALE}.png": (10 * SCALE, 6 * SCALE),
    }
