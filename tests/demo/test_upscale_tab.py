"""The demo's second tab, in a real browser."""

import re
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageChops, ImageCms
from safetensors.torch import save_file

from hubgan import Upscaler

pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'hubgan[demo]'")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")

from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from helpers.browsing import (
    choose,
    download,
    drag,
    open_tab,
    paste,
    running,
    upload,
    zoom,
)
from helpers.demo_server import SCALE, environment
from helpers.pictures import farthest, png
from hubgan.demo.models import enlarge
from hubgan.demo.uploads import Limit


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


def test_other_peoples_weights_upscale_in_the_demo(browser: "playwright.Browser", space: Path, tmp_path: Path) -> None:
    compact = pytest.importorskip("spandrel.architectures.Compact", reason="it builds the weights")
    torch.manual_seed(0)
    network = compact.Compact(num_in_ch=3, num_out_ch=3, num_feat=8, num_conv=2, upscale=2)
    save_file(network.state_dict(), tmp_path / "2x_theirs.safetensors")
    picture = Image.radial_gradient("L").resize((24, 16)).convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").resize((24, 16)))
    picture.save(tmp_path / "theirs.png")

    changed = environment(space, HUBGAN_UPSCALERS=f"{space / 'tiny-upscaler'}, {tmp_path / '2x_theirs.safetensors'}")
    with running(sys.executable, space, changed, tmp_path / "log.txt") as url:
        page = browser.new_page()
        page.goto(url)
        page.get_by_text("enlargements from tiny-upscaler or 2x_theirs.safetensors").wait_for()
        open_tab(page, "Upscale")
        page.get_by_label("2x_theirs.safetensors").click()
        page.get_by_role("button", name="Upscale 2x").wait_for()
        upload(page, tmp_path / "theirs.png")
        page.get_by_text("24 x 16 → 48 x 32 pixels").wait_for()
        client = Client(url, verbose=False)
        _, named, _ = client.predict(
            handle_file(tmp_path / "theirs.png"), model="2x_theirs.safetensors", api_name="/upscale"
        )
        assert Image.open(named).size == (48, 32)
        with pytest.raises(AppError, match="There is no model mine here, but tiny-upscaler, 2x"):
            client.predict(handle_file(tmp_path / "theirs.png"), model="mine", api_name="/upscale")
        result = Image.open(download(page, "Download (PNG)", tmp_path))
        page.close()
    expected = Upscaler.from_pretrained(tmp_path / "2x_theirs.safetensors").upscale(tmp_path / "theirs.png")
    assert (result.mode, result.size) == ("RGBA", (48, 32))
    for ours, theirs in zip(result.split(), expected.split(), strict=True):
        assert ImageChops.difference(ours, theirs).getextrema()[1] <= 1


def test_a_photo_lying_on_its_side_is_turned_upright(page: "playwright.Page", tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.linear_gradient("L").resize((24, 16)).save(tmp_path / "phone.jpg", exif=exif)
    upload(page, tmp_path / "phone.jpg")
    page.get_by_text(f"16 x 24 → {16 * SCALE} x {24 * SCALE} pixels").wait_for()
    assert Image.open(download(page, "Download (PNG)", tmp_path)).size == (16 * SCALE, 24 * SCALE)


def test_a_picture_is_pasted(page: "playwright.Page", tmp_path: Path) -> None:
    Image.linear_gradient("L").resize((20, 10)).save(tmp_path / "copied.png")
    paste(page, tmp_path / "copied.png")
    page.get_by_role("button", name=f"Upscale {SCALE}x").click()
    page.get_by_text(f"20 x 10 → {20 * SCALE} x {10 * SCALE} pixels").wait_for()


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


def test_an_example_can_be_upscaled(page: "playwright.Page") -> None:
    open_tab(page, "Upscale")
    page.locator("button.gallery-item").first.click()
    page.get_by_label("Remove Image").wait_for()
    page.get_by_role("button", name=f"Upscale {SCALE}x").click()
    page.get_by_text(f"10 x 20 → {10 * SCALE} x {20 * SCALE} pixels").wait_for()


def test_work_can_be_stopped(page: "playwright.Page", tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1900, 2000, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "large.jpg")
    upload(page, tmp_path / "large.jpg")
    stop, start = (page.get_by_role("button", name=name, exact=True) for name in ("Stop", f"Upscale {SCALE}x"))
    stop.wait_for()
    playwright.expect(start).not_to_be_visible()
    page.get_by_text("Enlarging").first.wait_for()
    stop.click()
    start.wait_for()
    page.get_by_text("Stopped.").first.wait_for()
    playwright.expect(stop).not_to_be_visible()
    Image.new("RGB", (8, 8), "red").save(tmp_path / "small.png")
    upload(page, tmp_path / "small.png")
    page.get_by_text(f"8 x 8 → {8 * SCALE} x {8 * SCALE} pixels").wait_for()
    playwright.expect(stop).not_to_be_visible()


def _read_toast(page: "playwright.Page", text: str) -> None:
    """Wait for the toast that says `text`, and close it: the next one would join it and go with it."""
    page.get_by_test_id("toast-text").filter(has_text=text).wait_for()
    page.get_by_test_id("toast-close").click()
    page.get_by_test_id("toast-body").wait_for(state="detached")


def test_a_bad_upload_is_explained_and_the_demo_goes_on(page: "playwright.Page", tmp_path: Path) -> None:
    open_tab(page, "Upscale")
    page.get_by_role("button", name=f"Upscale {SCALE}x").click()
    _read_toast(page, "Upload a picture first.")

    for name, content, complaint in (
        ("words.png", b"no picture at all", "words.png is not a picture"),
        ("nothing.png", b"", "nothing.png is empty"),
        ("bomb.png", png(100_000, 100_000), "bomb.png has 100000 x 100000 pixels"),
        ("wide.png", png(4001, 1000), "takes up to 4 megapixels: shrink"),
    ):
        (tmp_path / name).write_bytes(content)
        upload(page, tmp_path / name)
        _read_toast(page, complaint)
        playwright.expect(page.get_by_role("button", name="Download (PNG)")).to_be_disabled()

    Image.new("RGB", (8, 8), "red").save(tmp_path / "good.png")
    upload(page, tmp_path / "good.png")
    page.get_by_text(f"8 x 8 → {8 * SCALE} x {8 * SCALE} pixels").wait_for()


def test_weights_of_both_parts_are_mixed_on_request(tmp_path: Path) -> None:
    model = Upscaler(width=8, depth=1)
    model.save_pretrained(tmp_path)
    assert not Upscaler.has_fidelity(tmp_path)
    torch.nn.init.normal_(model.network.tail.weight)
    save_file(model.state_dict(), tmp_path / "pixel.safetensors")
    assert Upscaler.has_fidelity(tmp_path)
    noise = Image.effect_noise((8, 8), 50).convert("RGB")
    one, same, other = (enlarge(str(tmp_path), noise, fidelity).tobytes() for fidelity in (0.0, 0.01, 1.0))
    assert one == same != other


def test_a_smaller_enlargement(page: "playwright.Page", tmp_path: Path) -> None:
    Image.linear_gradient("L").resize((20, 10)).save(tmp_path / "small.png")
    choose(page, tmp_path / "small.png")
    page.get_by_label("number input for Enlarge by").fill("1.5")
    page.get_by_label("number input for Enlarge by").press("Tab")
    page.get_by_role("button", name="Upscale 1.5x").click()
    page.get_by_text("20 x 10 → 30 x 15 pixels").wait_for()
    assert download(page, "Download (PNG)", tmp_path).name == "small-x1.5.png"


def test_of_a_picture_that_is_too_large_a_part_is_offered(page: "playwright.Page", tmp_path: Path) -> None:
    picture = Image.new("RGB", (8000, 4000), "white")
    picture.paste("red", (8000 - 200, 4000 - 100, 8000, 4000))
    picture.save(tmp_path / "huge.png")
    choose(page, tmp_path / "huge.png")
    page.get_by_text("8000 x 4000 pixels are more than this demo takes at once").wait_for()
    page.get_by_text("2828 x 1414 pixels, or shrink the picture first").wait_for()
    page.get_by_label("Part to enlarge").click()
    page.get_by_role("option", name="bottom right").click()
    page.get_by_label("number input for Enlarge by").fill("1.5")  # a smaller file is written sooner
    page.get_by_label("number input for Enlarge by").press("Tab")
    page.get_by_role("button", name="Upscale 1.5x").click()
    page.get_by_text("2828 x 1414 → 4242 x 2121 pixels").wait_for(timeout=120_000)
    large = Image.open(download(page, "Download (PNG)", tmp_path))
    assert large.getpixel((large.width - 100, large.height - 100))[1] < 100 < large.getpixel((100, 100))[1]

    Image.new("RGB", (8, 8), "red").save(tmp_path / "small.png")
    choose(page, tmp_path / "small.png")
    playwright.expect(page.get_by_label("Part to enlarge")).not_to_be_visible()


@pytest.mark.parametrize("size", [(8000, 4000), (4000, 8000), (1, 50_000_000), (4_000_001, 1), (2001, 2000), (3, 3)])
def test_a_part_has_the_pictures_shape_and_the_limits_size(size: tuple[int, int]) -> None:
    limit = Limit(4_000_000)
    width, height = limit.part(*size)
    assert 1 <= width <= size[0] and 1 <= height <= size[1]
    assert min(0.99 * limit.pixels, size[0] * size[1]) <= width * height <= limit.pixels


def test_several_pictures_come_in_one_archive(page: "playwright.Page", tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    paths = [tmp_path / "one.png", tmp_path / "two.jpg", tmp_path / "other" / "one.webp", tmp_path / "words.png"]
    for number, path in enumerate(paths[:3]):
        Image.new("RGB", (8 + number, 6), "red").save(path)
    paths[3].write_text("no picture")
    open_tab(page, "Upscale")
    page.get_by_role("button", name="Several pictures").click()
    with page.expect_response(lambda response: "/upload" in response.url and response.ok):
        page.locator("input[type=file][multiple]").set_input_files(paths)
    page.get_by_text("words").first.wait_for()
    page.get_by_role("button", name="Upscale all").click()
    page.get_by_text("3 enlarged in").wait_for()
    page.get_by_text("words.png: words.png is not a picture").wait_for()
    with zipfile.ZipFile(download(page, "Download the pictures (ZIP)", tmp_path)) as pack:
        sizes = {name: Image.open(pack.open(name)).size for name in pack.namelist()}
    assert sizes == {
        f"one-x{SCALE}.png": (8 * SCALE, 6 * SCALE),
        f"two-x{SCALE}.png": (9 * SCALE, 6 * SCALE),
        f"03-one-x{SCALE}.png": (10 * SCALE, 6 * SCALE),
    }


def test_several_pictures_can_be_stopped(page: "playwright.Page", tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1900, 2000, 3), dtype=np.uint8)
    for number in range(2):
        Image.fromarray(noise).save(tmp_path / f"{number}.jpg")
    open_tab(page, "Upscale")
    page.get_by_role("button", name="Several pictures").click()
    with page.expect_response(lambda response: "/upload" in response.url and response.ok):
        page.locator("input[type=file][multiple]").set_input_files([tmp_path / "0.jpg", tmp_path / "1.jpg"])
    start = page.get_by_role("button", name="Upscale all")
    start.click()
    page.get_by_text("Enlarging").first.wait_for()
    page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_text("Stopped.").first.wait_for()
    start.wait_for()
    playwright.expect(page.get_by_role("button", name="Download the pictures (ZIP)")).to_be_disabled()
