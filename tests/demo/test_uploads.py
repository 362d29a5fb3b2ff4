"""Which pictures the demo accepts, which it refuses and why, and what it does with large ones."""

import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'hubgan[demo]'")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")

from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from helpers.browsing import choose, download, drop, open_tab, read_toast, upload
from helpers.demo_server import SCALE, in_the_same_tab
from helpers.pictures import png
from hubgan.demo.limits import Limit
from hubgan.demo.uploads import open_upload


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ([2, None, None, None], "Fidelity must be between 0 and 1"),
        ([-1, None, None, None], "Fidelity must be between 0 and 1"),
        (["x", None, None, None], "Fidelity must be between 0 and 1"),
        ([None, None, None, None], "Fidelity must be between 0 and 1"),
        ([0, "mine", None, None], "There is no model mine. Choose one of: tiny-upscaler"),
        ([0, None, 0.5, None], "The scale must be 1 or more"),
        ([0, None, "x", None], "The scale must be 1 or more"),
        ([0, None, None, "somewhere"], "There is no part somewhere. Choose one of: middle, top left"),
        ([0, None, None, None, None, None, "gif"], "There is no format gif. Choose one of: same, png, jpg, webp"),
    ],
)
def test_bad_settings_are_refused(client: Client, red_picture: Path, values: list[object], complaint: str) -> None:
    with pytest.raises(AppError, match=complaint):
        client.predict(handle_file(red_picture), *values, api_name="/upscale")


BAD_FILES: dict[str, Callable[[], bytes]] = {
    "empty.png": lambda: b"",
    "words.jpg": lambda: b"no picture at all",
    "page.svg": lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "bomb.png": lambda: png(100_000, 100_000),
    "cut.png": lambda: _encoded((300, 300), "PNG")[:-3000],
    "cut.jpg": lambda: _encoded((300, 300), "JPEG")[:40],
    "wide.png": lambda: png(2_000_000, 3_000),
    "nothing.gif": lambda: b"GIF89a",
    "pickle.png": lambda: b"\x80\x04\x95",
}


def _encoded(size: tuple[int, int], kind: str) -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(noise).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_explained_without_a_traceback_or_a_path(client: Client, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(BAD_FILES[name]())
    with pytest.raises(AppError) as raised:
        client.predict(handle_file(tmp_path / name), api_name="/upscale")
    said = str(raised.value)
    assert name in said and "/" not in said.replace("and/or", "") and "Traceback" not in said


@pytest.mark.parametrize(
    ("part", "complaint"),
    [
        (None, "wide.png has 4001 x 1000 pixels; .* up to 4 megapixels. Shrink it first, or upscale a part of it"),
        ("middle", "wide.png cannot be read"),  # of this file there is only the header
    ],
)
def test_a_part_of_a_picture_may_be_opened_but_not_the_whole(
    client: Client, tmp_path: Path, part: str | None, complaint: str
) -> None:
    (tmp_path / "wide.png").write_bytes(png(4001, 1000))
    with pytest.raises(AppError, match=complaint):
        client.predict(handle_file(tmp_path / "wide.png"), part=part, api_name="/upscale")


@pytest.mark.parametrize(
    ("size", "mode", "ending"),
    [
        ((1, 1), "RGB", "png"),
        ((1, 20_000), "RGB", "png"),
        ((9, 7), "I;16", "png"),
        ((9, 7), "CMYK", "jpg"),
        ((9, 7), "P", "gif"),
        ((9, 7), "1", "png"),
        ((9, 7), "LA", "png"),
        ((9, 7), "RGBA", "webp"),
        ((9, 7), "RGB", "avif"),
        ((64, 64), "RGB", "heic"),
        ((9, 7), "RGB", "bmp"),
        ((9, 7), "L", "tiff"),
    ],
)
def test_pictures_of_many_formats_and_modes(
    client: Client, tmp_path: Path, size: tuple[int, int], mode: str, ending: str
) -> None:
    path = tmp_path / f"picture.{ending}"
    if ending == "heic":
        pillow_heif = pytest.importorskip("pillow_heif", reason="HEIC needs pillow-heif: pip install 'hubgan[heif]'")
        pillow_heif.from_pillow(Image.new(mode, size)).save(path)
    else:
        Image.new(mode, size).save(path)
    _, large, _ = client.predict(handle_file(path), api_name="/upscale")
    assert Image.open(large).size == (size[0] * SCALE, size[1] * SCALE)
    assert Path(large).suffix == (f".{ending}" if ending in ("jpg", "webp") else ".png")


def test_the_content_counts_not_the_ending(client: Client, tmp_path: Path) -> None:
    (tmp_path / "photo.txt").write_bytes(_encoded((8, 8), "JPEG"))
    _, large, _ = client.predict(handle_file(tmp_path / "photo.txt"), api_name="/upscale")
    assert Image.open(large).size == (8 * SCALE, 8 * SCALE)


@in_the_same_tab
def test_a_bad_upload_is_explained_and_the_demo_goes_on(page: "playwright.Page", tmp_path: Path) -> None:
    open_tab(page, "Upscale")
    page.get_by_role("button", name=f"Upscale {SCALE}x").click()
    read_toast(page, "There is no picture. Upload a picture first.")

    for name, content, complaint in (
        ("words.png", b"no picture at all", "words.png is not a picture"),
        ("nothing.png", b"", "nothing.png is empty"),
        ("bomb.png", png(100_000, 100_000), "bomb.png has 100000 x 100000 pixels"),
        ("wide.png", png(8001, 8000), "takes up to 4 megapixels. Shrink it first."),
    ):
        (tmp_path / name).write_bytes(content)
        upload(page, tmp_path / name)
        read_toast(page, complaint)
        playwright.expect(page.get_by_role("button", name="Download", exact=True)).to_be_disabled()

    Image.new("RGB", (8, 8), "red").save(tmp_path / "good.png")
    upload(page, tmp_path / "good.png")
    page.get_by_text(f"8 x 8 → {8 * SCALE} x {8 * SCALE} pixels").wait_for()

    # Browsers know no type for these endings. A file that replaces another one must be the one that is enlarged.
    drop(page, tmp_path / "words.png", "WORDS.HEIC")
    page.get_by_text("WORDS.HEIC is not a picture in a supported format.").wait_for()
    page.get_by_role("button", name=f"Upscale {SCALE}x").click()
    read_toast(page, "WORDS.HEIC is not a picture")
    Image.new("RGB", (9, 9), "red").save(tmp_path / "good.tif")
    drop(page, tmp_path / "good.tif", "GOOD.HEIC")
    playwright.expect(page.locator(".picture img")).to_have_css("content", re.compile("data:image/webp"))
    page.get_by_role("button", name=f"Upscale {SCALE}x").click()
    page.get_by_text(f"9 x 9 → {9 * SCALE} x {9 * SCALE} pixels").wait_for()


def test_a_part_of_a_picture_that_is_too_large_can_be_enlarged(other_page: "playwright.Page", tmp_path: Path) -> None:
    page = other_page
    picture = Image.new("RGB", (1000, 500), "white")
    picture.paste("red", (1000 - 200, 500 - 100, 1000, 500))
    picture.save(tmp_path / "huge.png")
    choose(page, tmp_path / "huge.png")
    page.get_by_text("The picture has 1000 x 500 pixels. This demo takes up to 0.25 megapixels.").wait_for()
    page.get_by_text("Choose the part to upscale, 708 x 353 pixels, or shrink the picture first.").wait_for()
    shown = page.locator(".picture img")
    playwright.expect(shown).to_have_css("content", re.compile("data:image/webp"))
    middle = shown.evaluate("image => getComputedStyle(image).content")
    page.get_by_label("Part to upscale").click()
    page.get_by_role("option", name="bottom right").click()
    playwright.expect(shown).not_to_have_css("content", middle)
    page.get_by_label("number input for Scale").fill("1.5")  # a smaller file is written sooner
    page.get_by_label("number input for Scale").press("Tab")
    page.get_by_role("button", name="Upscale 1.5x").click()
    page.get_by_text("708 x 353 → 1062 x 530 pixels").wait_for()
    large = Image.open(download(page, "Download (PNG)", tmp_path))
    assert large.getpixel((large.width - 100, large.height - 100))[1] < 100 < large.getpixel((100, 100))[1]

    Image.new("RGB", (8, 8), "red").save(tmp_path / "small.png")
    choose(page, tmp_path / "small.png")
    playwright.expect(page.get_by_label("Part to upscale")).not_to_be_visible()


def test_a_part_of_16_bit_grey_has_16_bits(tmp_path: Path) -> None:
    values = np.arange(20 * 10, dtype=np.uint16).reshape(10, 20) * 300
    Image.fromarray(values).save(tmp_path / "grey.png")
    part = open_upload(str(tmp_path / "grey.png"), "grey.png", Limit(50), part="bottom right")
    assert part.mode == "I;16" and (np.asarray(part) == values[5:, 10:]).all()


@pytest.mark.parametrize("size", [(8000, 4000), (4000, 8000), (1, 50_000_000), (4_000_001, 1), (2001, 2000), (3, 3)])
def test_a_part_has_the_shape_of_the_picture_and_fills_the_limit(size: tuple[int, int]) -> None:
    limit = Limit(4_000_000)
    width, height = limit.part(*size)
    assert 1 <= width <= size[0] and 1 <= height <= size[1]
    assert min(0.99 * limit.pixels, size[0] * size[1]) <= width * height <= limit.pixels
