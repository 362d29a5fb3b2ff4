"""The demo end to end: `app.py` in a folder laid out like a Space, tiny real models, a real browser."""

import io
import json
import os
import shutil
import struct
import subprocess
import sys
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import torch
from PIL import Image, ImageChops, ImageCms
from safetensors.torch import save_file

from hubgan import Generator, Upscaler

pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'hubgan[demo]'")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")

from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from browsing import chromium, download, generate, running, upload
from hubgan.demo.models import enlarge

ROOT = Path(__file__).resolve().parents[1]
SIZE, SCALE = 16, 3


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a Space has it, with two untrained models beside it."""
    folder = tmp_path_factory.mktemp("space")
    shutil.copy(ROOT / "app.py", folder)
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    examples = folder / "src" / "hubgan" / "demo" / "examples"
    shutil.rmtree(examples, ignore_errors=True)
    examples.mkdir()
    Image.linear_gradient("L").resize((10, 20)).save(examples / "example.png")
    torch.manual_seed(0)
    Generator(image_size=SIZE, width=4).save_pretrained(folder / "tiny-generator")
    Upscaler(scale=SCALE, width=4, depth=1).save_pretrained(folder / "tiny-upscaler")
    return folder


def _environment(space: Path, **changes: str) -> dict[str, str]:
    # PYTHONPATH could lead to another hubgan, PYTHONDONTWRITEBYTECODE would hide which one ran.
    dropped = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")
    return {
        **{key: value for key, value in os.environ.items() if key not in dropped},
        "HUBGAN_GENERATOR": str(space / "tiny-generator"),
        "HUBGAN_UPSCALERS": str(space / "tiny-upscaler"),
        "GRADIO_TEMP_DIR": str(space / "cache"),
        "HF_HUB_OFFLINE": "1",
        **changes,
    }


@pytest.fixture(scope="module")
def url(space: Path) -> Iterator[str]:
    """The address of the running demo."""
    with running(sys.executable, space, _environment(space), space / "log.txt") as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator["playwright.Browser"]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: "playwright.Browser", url: str) -> Iterator["playwright.Page"]:
    """The demo in a fresh tab that must not complain and must not call another host."""
    complaints: list[str] = []

    def check_host(request: "playwright.Request") -> None:
        if urlsplit(request.url).hostname not in ("127.0.0.1", None):  # data: and blob: have none
            complaints.append(f"request to {request.url}")

    tab = browser.new_page(viewport={"width": 1280, "height": 800})
    tab.set_default_timeout(60_000)
    playwright.expect.set_options(timeout=30_000)
    tab.on("request", check_host)
    tab.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.goto(url)
    tab.get_by_role("button", name="Generate", exact=True).wait_for()
    yield tab
    tab.close()
    assert not complaints


def test_the_copy_is_what_runs(space: Path, url: str) -> None:
    assert list((space / "src" / "hubgan" / "demo" / "__pycache__").glob("interface.*.pyc"))


def test_the_same_seed_gives_the_same_images(page: "playwright.Page", space: Path, tmp_path: Path) -> None:
    playwright.expect(page.locator(".samples .thumbnail-lg")).to_have_count(16)  # something to see on arrival

    first = generate(page, count=5, seed=7)
    assert {Image.open(io.BytesIO(data)).size for data in first} == {(SIZE, SIZE)}
    assert len(set(first)) == 5
    expected = Generator.from_pretrained(space / "tiny-generator").sample(5, seed=7)
    for data, image in zip(first, expected, strict=True):
        assert ImageChops.difference(Image.open(io.BytesIO(data)), image).convert("L").getextrema()[1] <= 1
    assert generate(page, count=5, seed=7) == first
    assert generate(page, count=5, seed=8) != first

    generate(page, count=5, seed=7)
    with zipfile.ZipFile(download(page, "Download all (ZIP)", tmp_path)) as pack:
        assert sorted(pack.namelist()) == ["hubgan-seed7-grid.png", *(f"seed7-{i:02d}.png" for i in range(5))]
        assert [pack.read(f"seed7-{i:02d}.png") for i in range(5)] == first
        packed_grid = pack.read("hubgan-seed7-grid.png")
    grid = download(page, "Download grid (PNG)", tmp_path)
    assert (grid.name, grid.read_bytes()) == ("hubgan-seed7-grid.png", packed_grid)
    sheet = Image.open(grid)
    assert sheet.size == (3 * (SIZE + 2) + 2, 2 * (SIZE + 2) + 2)
    last = (2 + SIZE + 2, 2 + SIZE + 2)
    cell = sheet.crop((*last, last[0] + SIZE, last[1] + SIZE))
    assert cell.tobytes() == Image.open(io.BytesIO(first[4])).tobytes()


def test_a_random_seed_is_shown_and_can_be_used_again(page: "playwright.Page") -> None:
    seed, random_seed = page.get_by_label("Seed", exact=True), page.get_by_label("New random seed every time")
    playwright.expect(random_seed).to_be_checked()
    drawn = generate(page, count=2)
    playwright.expect(seed).not_to_have_value("0")

    shown = int(seed.input_value())
    assert generate(page, count=2, seed=shown) == drawn
    playwright.expect(random_seed).not_to_be_checked()  # typing a seed means it


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

    environment = _environment(
        space, HUBGAN_UPSCALERS=f"{space / 'tiny-upscaler'}, {tmp_path / '2x_theirs.safetensors'}"
    )
    with running(sys.executable, space, environment, tmp_path / "log.txt") as url:
        page = browser.new_page()
        page.goto(url)
        page.get_by_text("enlargements from tiny-upscaler or 2x_theirs.safetensors").wait_for()
        page.get_by_role("tab", name="Upscale").click()
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


def test_an_example_can_be_upscaled(page: "playwright.Page") -> None:
    page.get_by_role("tab", name="Upscale").click()
    page.locator("button.gallery-item").first.click()
    page.get_by_label("Remove Image").wait_for()
    page.get_by_role("button", name=f"Upscale {SCALE}x").click()
    page.get_by_text(f"10 x 20 → {10 * SCALE} x {20 * SCALE} pixels").wait_for()


def test_a_model_says_what_it_is_for(browser: "playwright.Browser", space: Path, tmp_path: Path) -> None:
    model = Upscaler(scale=2, width=4, depth=1)
    model.training_run = {"dataset": "worn", "degraded": 0.5}
    model.save_pretrained(tmp_path / "worn")
    environment = _environment(space, HUBGAN_UPSCALERS=f"{space / 'tiny-upscaler'},{tmp_path / 'worn'}")
    with running(sys.executable, space, environment, tmp_path / "log.txt") as url:
        page = browser.new_page()
        page.goto(url)
        page.get_by_role("tab", name="Upscale").click()
        purpose = page.get_by_text("takes blur, noise and compression away")
        playwright.expect(purpose).not_to_be_visible()
        page.get_by_label("worn").click()
        purpose.wait_for()
        page.close()


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


def _png_that_claims(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def _read_toast(page: "playwright.Page", text: str) -> None:
    """Wait for the toast that says `text`, and close it: the next one would join it and go with it."""
    page.get_by_test_id("toast-text").filter(has_text=text).wait_for()
    page.get_by_test_id("toast-close").click()
    page.get_by_test_id("toast-body").wait_for(state="detached")


def test_a_bad_upload_is_explained_and_the_demo_goes_on(page: "playwright.Page", tmp_path: Path) -> None:
    page.get_by_role("tab", name="Upscale").click()
    page.get_by_role("button", name=f"Upscale {SCALE}x").click()
    _read_toast(page, "Upload a picture first.")

    for name, content, complaint in (
        ("words.png", b"no picture at all", "words.png is not a picture"),
        ("nothing.png", b"", "nothing.png is empty"),
        ("bomb.png", _png_that_claims(100_000, 100_000), "bomb.png has 100000 x 100000 pixels"),
        ("wide.png", _png_that_claims(4001, 1000), "takes up to 4 megapixels: shrink"),
    ):
        (tmp_path / name).write_bytes(content)
        upload(page, tmp_path / name)
        _read_toast(page, complaint)
        playwright.expect(page.get_by_role("button", name="Download (PNG)")).to_be_disabled()

    Image.new("RGB", (8, 8), "red").save(tmp_path / "good.png")
    upload(page, tmp_path / "good.png")
    page.get_by_text(f"8 x 8 → {8 * SCALE} x {8 * SCALE} pixels").wait_for()


def test_the_api_is_described(url: str) -> None:
    with urllib.request.urlopen(f"{url}/gradio_api/info") as answer:
        endpoints = json.load(answer)["named_endpoints"]
    assert sorted(endpoints) == ["/generate", "/upscale"]
    assert all(endpoint["description"] for endpoint in endpoints.values())


def test_the_api_opens_none_of_the_servers_own_files(url: str, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), "red").save(tmp_path / "private.png")
    call = urllib.request.Request(
        f"{url}/gradio_api/call/upscale",
        data=json.dumps({"data": [{"path": str(tmp_path / "private.png")}, 0, None]}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(call) as answer:
        event = json.load(answer)["event_id"]
    with urllib.request.urlopen(f"{url}/gradio_api/call/upscale/{event}") as answer:
        said = answer.read().decode()
    assert "event: error" in said and "private-x" not in said


@pytest.mark.parametrize("fidelity", [2, -1, "x", None])
def test_a_fidelity_that_cannot_be_is_told(url: str, tmp_path: Path, fidelity: object) -> None:
    client = Client(url, verbose=False)
    Image.new("RGB", (8, 8), "red").save(tmp_path / "red.png")
    with pytest.raises(AppError, match="Fidelity goes from 0 to 1"):
        client.predict(handle_file(tmp_path / "red.png"), fidelity, api_name="/upscale")


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


def test_a_model_that_cannot_be_loaded_ends_it_with_one_line(space: Path) -> None:
    result = subprocess.run(
        [sys.executable, "app.py"],
        cwd=space,
        env=_environment(space, HUBGAN_GENERATOR=str(space / "no-such-model")),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 2, result.stderr
    lines = result.stderr.splitlines()
    assert len(lines) == 1 and "no-such-model" in lines[0] and "HUBGAN_GENERATOR" in lines[0]
