"""The demo's second tab in a real browser."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageCms

pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'hubgan[demo]'")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")

from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from helpers.browsing import choose, download, drag, open_tab, paste, upload, zoom
from helpers.demo_server import SCALE, in_the_same_tab, on_each_screen
from helpers.pictures import farthest
from hubgan import Upscaler


@on_each_screen
def test_upscaling_keeps_alpha_and_profile(page: "playwright.Page", space: Path, tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = Image.linear_gradient("L").resize((24, 16)).convert("RGBA")
    picture.putalpha(Image.radial_gradient("L").resize((24, 16)))
    picture.save(tmp_path / "my picture.png", icc_profile=profile)

    upload(page, tmp_path / "my picture.png")
    playwright.expect(page.get_by_text(f"24 x 16 → {24 * SCALE} x {16 * SCALE} pixels")).to_be_visible()
    sides = page.get_by_test_id("imageslider-image")
    playwright.expect(sides).to_have_count(2)
    for side in sides.all():
        playwright.expect(side).to_have_js_property("naturalWidth", 24 * SCALE)
        playwright.expect(side).to_have_js_property("naturalHeight", 16 * SCALE)

    path = download(page, "Download (PNG)", tmp_path)
    assert path.name == f"my_picture-x{SCALE}.png"
    result = Image.open(path)
    assert (result.format, result.mode, result.size) == ("PNG", "RGBA", (24 * SCALE, 16 * SCALE))
    low, high = result.getchannel("A").getextrema()
    assert low < 20 and high > 200
    assert result.info["icc_profile"] == profile
    expected = Upscaler.from_pretrained(space / "tiny-upscaler").upscale(tmp_path / "my picture.png")
    for ours, theirs in zip(result.split(), expected.split(), strict=True):
        assert ImageChops.difference(ours, theirs).getextrema()[1] <= 1


@in_the_same_tab
def test_16_bit_grey_stays_16_bit_grey(page: "playwright.Page", space: Path, tmp_path: Path) -> None:
    values = np.arange(24 * 16, dtype=np.uint16).reshape(16, 24) * 170
    Image.fromarray(values).save(tmp_path / "grey.png")
    upload(page, tmp_path / "grey.png")
    page.get_by_text(f"24 x 16 → {24 * SCALE} x {16 * SCALE} pixels").wait_for()
    sides = page.get_by_test_id("imageslider-image")
    for side in sides.all():
        playwright.expect(side).to_have_js_property("naturalWidth", 24 * SCALE)

    result = Image.open(download(page, "Download (PNG)", tmp_path))
    assert (result.format, result.mode, result.size) == ("PNG", "I;16", (24 * SCALE, 16 * SCALE))
    expected = Upscaler.from_pretrained(space / "tiny-upscaler").upscale(tmp_path / "grey.png")
    assert len(np.unique(result)) > 256
    assert np.abs(np.asarray(result).astype(int) - np.asarray(expected)).max() <= 1


def test_other_peoples_weights_upscale_in_the_demo(
    other_page: "playwright.Page", other_url: str, other_models: Path, tmp_path: Path
) -> None:
    picture = Image.radial_gradient("L").resize((24, 16)).convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").resize((24, 16)))
    picture.save(tmp_path / "theirs.png")

    page = other_page
    page.get_by_text("Upscale pictures with tiny-upscaler or worn or 2x_theirs.safetensors").wait_for()
    open_tab(page, "Upscale")
    page.get_by_label("2x_theirs.safetensors").click()
    page.get_by_role("button", name="Upscale 2x").wait_for()
    upload(page, tmp_path / "theirs.png")
    page.get_by_text("24 x 16 → 48 x 32 pixels").wait_for()
    client = Client(other_url, verbose=False)
    _, named, _ = client.predict(
        handle_file(tmp_path / "theirs.png"), model="2x_theirs.safetensors", api_name="/upscale"
    )
    assert Image.open(named).size == (48, 32)
    with pytest.raises(AppError, match=r"There is no model mine\. Choose one of: tiny-upscaler, worn, 2x"):
        client.predict(handle_file(tmp_path / "theirs.png"), model="mine", api_name="/upscale")
    result = Image.open(download(page, "Download (PNG)", tmp_path))
    expected = Upscaler.from_pretrained(other_models / "2x_theirs.safetensors").upscale(tmp_path / "theirs.png")
    assert (result.mode, result.size) == ("RGBA", (48, 32))
    for ours, theirs in zip(result.split(), expected.split(), strict=True):
        assert ImageChops.difference(ours, theirs).getextrema()[1] <= 1


@in_the_same_tab
def test_a_photo_lying_on_its_side_is_turned_upright(page: "playwright.Page", tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.linear_gradient("L").resize((24, 16)).save(tmp_path / "phone.jpg", exif=exif)
    upload(page, tmp_path / "phone.jpg")
    page.get_by_text(f"16 x 24 → {16 * SCALE} x {24 * SCALE} pixels").wait_for()
    result = Image.open(download(page, "Download (JPEG)", tmp_path))
    assert (result.format, result.size) == ("JPEG", (16 * SCALE, 24 * SCALE))


@in_the_same_tab
def test_a_picture_is_pasted(page: "playwright.Page", tmp_path: Path) -> None:
    Image.linear_gradient("L").resize((20, 10)).save(tmp_path / "copied.png")
    paste(page, tmp_path / "copied.png")
    page.get_by_role("button", name=f"Upscale {SCALE}x").click()
    page.get_by_text(f"20 x 10 → {20 * SCALE} x {10 * SCALE} pixels").wait_for()


@in_the_same_tab
def test_a_picture_is_taken_by_the_camera(page: "playwright.Page", tmp_path: Path) -> None:
    open_tab(page, "Upscale")
    page.get_by_label("Capture from camera").click()
    page.get_by_text("Click to Access Webcam").click()
    page.wait_for_function("document.querySelector('video')?.videoWidth > 0")
    width, height = page.evaluate("(v => [v.videoWidth, v.videoHeight])(document.querySelector('video'))")
    page.get_by_label("capture photo").click()
    page.get_by_label("Remove Image").wait_for()
    page.get_by_role("button", name=f"Upscale {SCALE}x").click()
    page.get_by_text(f"{width} x {height} → {width * SCALE} x {height * SCALE} pixels").wait_for()
    result = Image.open(download(page, "Download (PNG)", tmp_path))
    assert result.convert("L").getextrema() != (0, 0)


@on_each_screen
def test_both_sides_are_compared(page: "playwright.Page", tmp_path: Path) -> None:
    Image.linear_gradient("L").resize((30, 20)).save(tmp_path / "small.png")
    upload(page, tmp_path / "small.png")
    page.get_by_text(f"30 x 20 → {30 * SCALE} x {20 * SCALE} pixels").wait_for()
    before, after = page.get_by_test_id("imageslider-image").all()
    playwright.expect(before).to_have_attribute("alt", "Before: bicubic")
    playwright.expect(after).to_have_attribute("alt", "After: the model")
    playwright.expect(after).to_have_css("clip-path", "inset(0px 0px 0px 50%)")
    drag(page, page.locator(".comparison .inner"), by=-40)
    playwright.expect(after).not_to_have_css("clip-path", "inset(0px 0px 0px 50%)")
    playwright.expect(after).to_have_attribute("style", re.compile(r"scale\(1\)"))
    zoom(page, before)
    for side in (before, after):
        playwright.expect(side).to_have_attribute("style", re.compile(r"scale\([1-9.]*[2-9.][0-9.]*\)"))
    page.locator(".comparison").get_by_role("button", name="Undo").click()
    playwright.expect(after).to_have_attribute("style", re.compile(r"scale\(1\)"))


def test_the_fidelity_is_that_of_the_slider(page: "playwright.Page", space: Path, tmp_path: Path) -> None:
    Image.effect_noise((20, 10), 50).convert("RGB").save(tmp_path / "small.png")
    choose(page, tmp_path / "small.png")
    page.get_by_label("number input for Fidelity").fill("0.7")
    page.get_by_label("number input for Fidelity").press("Tab")
    page.get_by_role("button", name=f"Upscale {SCALE}x").click()
    page.get_by_text(f"20 x 10 → {20 * SCALE} x {10 * SCALE} pixels").wait_for()
    result = Image.open(download(page, "Download (PNG)", tmp_path))
    model = space / "tiny-upscaler"
    made = [Upscaler.from_pretrained(model, fidelity=share).upscale(tmp_path / "small.png") for share in (0.7, 0.0)]
    assert farthest(result, made[0]) <= 1 < farthest(result, made[1])


def test_the_strength_is_automatic_or_that_of_the_slider(page: "playwright.Page", space: Path, tmp_path: Path) -> None:
    Image.effect_noise((20, 10), 50).convert("RGB").save(tmp_path / "small.png")
    choose(page, tmp_path / "small.png")
    slider = page.get_by_label("number input for Strength")
    playwright.expect(page.get_by_label("Automatic strength")).to_be_checked()
    playwright.expect(slider).not_to_be_visible()
    page.get_by_label("Automatic strength").uncheck()
    slider.fill("0.9")
    slider.press("Tab")
    page.get_by_role("button", name=f"Upscale {SCALE}x").click()
    page.get_by_text(f"20 x 10 → {20 * SCALE} x {10 * SCALE} pixels").wait_for()
    result = Image.open(download(page, "Download (PNG)", tmp_path))
    model = Upscaler.from_pretrained(space / "tiny-upscaler")
    made = [model.upscale(tmp_path / "small.png", strength=strength) for strength in (0.9, 0.0)]
    assert farthest(result, made[0]) <= 1 < farthest(result, made[1])


@in_the_same_tab
def test_an_example_can_be_upscaled(page: "playwright.Page") -> None:
    open_tab(page, "Upscale")
    page.locator("button.gallery-item").first.click()
    page.get_by_label("Remove Image").wait_for()
    page.get_by_role("button", name=f"Upscale {SCALE}x").click()
    page.get_by_text(f"10 x 20 → {10 * SCALE} x {20 * SCALE} pixels").wait_for()


def test_a_smaller_enlargement_in_another_format(page: "playwright.Page", tmp_path: Path) -> None:
    Image.linear_gradient("L").resize((20, 10)).save(tmp_path / "small.png")
    choose(page, tmp_path / "small.png")
    page.get_by_label("number input for Scale").fill("1.5")
    page.get_by_label("number input for Scale").press("Tab")
    page.get_by_label("Output format").click()
    page.get_by_role("option", name="WebP").click()
    page.get_by_role("button", name="Upscale 1.5x").click()
    page.get_by_text("20 x 10 → 30 x 15 pixels").wait_for()
    assert download(page, "Download (WebP)", tmp_path).name == "small-x1.5.webp"
