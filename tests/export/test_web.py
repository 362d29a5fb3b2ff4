"""Pages that compute in the visitor's browser: the pixels of Python, offline too, and what cannot be written."""

import functools
import io
import json
import os
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.command_line import Run
from hubgan import Generator, Translator, Upscaler
from hubgan.export.web import RUNTIME, write_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

onnx = pytest.importorskip("onnx", reason="pip install 'hubgan[onnx]'")
pytest.importorskip("onnxscript", reason="pip install 'hubgan[onnx]'")
pytestmark = pytest.mark.xdist_group("demo")  # most need a browser, and all share a page


def _shaken(model: Any, by: float) -> Any:
    with torch.no_grad():
        for value in model.parameters():
            value += by * torch.randn_like(value)
    return model.eval()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models")
    up = _shaken(Upscaler(scale=2, width=4, depth=9, strength=True), 0.05)
    up.network.estimator.judge[-1].bias.data -= 1  # so that estimates are not all the same
    up.save_pretrained(folder / "up")
    draw = Translator("resnet", width=8, depth=1, input="edges", latent_dim=4, image_size=32, colour_hints=True)
    _shaken(draw, 0.02).save_pretrained(folder / "draw")
    _shaken(Generator(image_size=8, width=4, labels=["cat", "dog"]), 0.05).save_pretrained(folder / "gen")
    return folder


@pytest.fixture(scope="session")
def runtime(request: pytest.FixtureRequest) -> Path:
    """The folder `dist` of onnxruntime-web: that of HUBGAN_ORT_WEB, or fetched by npm once and kept."""
    if there := os.environ.get("HUBGAN_ORT_WEB"):
        return Path(there)
    kept = request.config.cache.mkdir(f"onnxruntime-web-{RUNTIME}")
    dist = kept / "package" / "dist"
    if not dist.is_dir():
        if not (npm := shutil.which("npm")):
            pytest.skip("there is no npm to fetch onnxruntime-web, and HUBGAN_ORT_WEB is not set")
        pack = [npm, "pack", "--silent", f"onnxruntime-web@{RUNTIME}"]
        done = subprocess.run(pack, cwd=kept, capture_output=True, text=True, timeout=120)
        if done.returncode:
            pytest.skip(f"npm cannot fetch onnxruntime-web, and HUBGAN_ORT_WEB is not set: {done.stderr[-200:]}")
        with tarfile.open(file := kept / done.stdout.split()[-1]) as archive:
            wanted = [each for each in archive if each.name.endswith((".bundle.min.mjs", ".wasm"))]
            archive.extractall(kept, wanted, filter="data")
        file.unlink()
    return dist


@contextmanager
def served(folder: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *words: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def site(models: Path, runtime: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "page"
    kinds = {"upscalers": [f"{models}/up"], "translators": [f"{models}/draw"], "generators": [f"{models}/gen"]}
    return write_page(folder, **kinds, runtime=runtime).folder


@pytest.fixture
def page(browser: "Browser", site: Path) -> "Iterator[Page]":
    """The page, once its first model and its files for offline use are there."""
    context = browser.new_context()
    with served(site) as address:
        page = context.new_page()
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(address)
        page.wait_for_selector("html[data-kept]")
        yield page
        context.close()
    assert not problems


def _difference(found: Any, wanted: Any) -> int:
    found, wanted = (np.asarray(each).astype(int) for each in (found, wanted))
    assert found.shape == wanted.shape
    return int(abs(found - wanted).max())


def _ask(page: "Page", call: str, model: str, **given: list[Any]) -> list[np.ndarray]:
    """The images that the page's worker makes of latents and labels, or of the bytes of a picture."""
    script = """async ([call, name, { latents, labels, picture }]) => {
        const { ask } = await import("./client.js");
        const model = (await (await fetch("models.json")).json()).models.find((each) => each.name === name);
        const given = { labels, latents: latents && new Float32Array(latents.flat()) };
        if (picture) given.picture = new Blob([new Uint8Array(picture)]);
        const made = await ask(call, { model, ...given });
        return [made].flat().map(({ data, width, height }) => [[...data], [height, width, 4]]);
    }"""
    made = page.evaluate(script, [call, model, given])
    return [np.array(pixels).reshape(shape)[..., :3] for pixels, shape in made]


@pytest.mark.slow
def test_the_browser_makes_the_pixels_of_python_and_needs_no_network(
    page: "Page", models: Path, tmp_path: Path
) -> None:
    assert page.evaluate("crossOriginIsolated") and "thread" in page.inner_text("#computes")
    page.context.set_offline(True)
    page.reload()
    page.wait_for_selector("html[data-ready]")

    # Two parts in a row, of a JPEG file, whose tables count.
    noise = np.random.default_rng(0).integers(0, 256, (6, 40, 3), np.uint8)
    picture = tmp_path / "photo.jpg"
    Image.fromarray(noise).resize((300, 45), Image.Resampling.BICUBIC).save(picture, quality=60)
    page.set_input_files("#upscaler input[type=file] >> nth=0", picture)
    page.get_by_role("button", name="Enlarge 2").click()
    with page.expect_download() as download:
        page.get_by_text("Download PNG").first.click()
    assert download.value.suggested_filename == "photo-2x.png"
    download.value.save_as(tmp_path / "large.png")
    up = Upscaler.from_pretrained(models / "up")
    strength = up.estimate_strength(picture)
    assert 0 < strength < 1 and f"Strength {strength:.2f}" in page.inner_text("#upscaler [data-name=note]")
    large = Image.open(tmp_path / "large.png").convert("RGB")
    assert _difference(large, up.upscale(picture, tile=0, bf16=False)) <= 2

    gen = Generator.from_pretrained(models / "gen")
    latents, labels = gen.latents(5, seed=3), torch.tensor([0, 1, 1, 0, 1])
    found = _ask(page, "generate", "gen", latents=latents.tolist(), labels=labels.tolist())
    assert max(map(_difference, found, gen.images_from(latents, labels))) <= 2

    drawing = Image.new("RGB", (100, 70), "white")
    drawing.paste("black", (20, 10, 60, 50))
    drawing.save(file := io.BytesIO(), "PNG")
    (translated,) = _ask(page, "translate", "draw", picture=list(file.getvalue()))
    assert _difference(translated, Translator.from_pretrained(models / "draw").translate(drawing)) <= 2


@pytest.mark.slow
def test_operators_have_few_enough_outputs_for_webgpu(site: Path) -> None:
    for file in (site / "models").iterdir():
        assert max(len(node.output) for node in onnx.load(file).graph.node) <= 4


@pytest.mark.slow
def test_drawing_stopping_and_what_is_no_picture(page: "Page", tmp_path: Path) -> None:
    note = page.locator("#upscaler [data-name=note]")
    (tmp_path / "text.jpg").write_text("no picture")
    page.set_input_files("#upscaler input[type=file] >> nth=0", tmp_path / "text.jpg")
    button = page.locator("#upscaler [data-name=go]")
    button.click()
    page.get_by_text("cannot read the file as a picture").wait_for()
    Image.new("RGB", (900, 900), "red").save(tmp_path / "red.png")
    page.set_input_files("#upscaler input[type=file] >> nth=0", tmp_path / "red.png")
    button.click()
    page.get_by_text("of 6 parts are done").wait_for()
    button.click()
    page.get_by_text("Stopped.").wait_for()
    assert button.inner_text().startswith("Enlarge 2") and note.inner_text() == "Stopped."

    page.get_by_role("tab", name="Enlarge").press("ArrowRight")
    made, board = page.locator("#translator [data-name=made]"), page.locator("canvas.board")
    assert board.is_visible() and not made.is_visible()
    board.scroll_into_view_if_needed()
    box = board.bounding_box()
    assert box
    page.mouse.move(box["x"] + 50, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 150, box["y"] + 200, steps=3)
    page.mouse.up()
    made.wait_for()
    pixels = "canvas => [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data]"
    typical = made.evaluate(pixels)
    page.get_by_label("Seed").first.fill("7")
    page.wait_for_timeout(300)
    assert made.evaluate(pixels) != typical
    page.get_by_role("button", name="Undo").click()
    made.wait_for(state="hidden")

    page.get_by_role("tab", name="Translate").press("End")
    page.get_by_label("Images").fill("5")
    page.get_by_label("Class").select_option("dog")
    page.get_by_role("button", name="Generate", exact=True).click()
    page.get_by_role("img", name="dog, image 5 of seed").wait_for()


@pytest.mark.slow
def test_a_page_is_replaced_and_other_files_stay(models: Path, hubgan: Run, tmp_path: Path) -> None:
    folder = tmp_path / "page"
    (folder / "models").mkdir(parents=True)
    (folder / "notes.txt").touch()
    (folder / "models" / "old.onnx").touch()
    (folder / "models.json").write_text(json.dumps({"files": ["models/old.onnx", "../page/notes.txt"]}))
    status, said, _ = hubgan("web", folder, "--generator", models / "gen", "--overwrite")
    assert status == 0 and f"python -m http.server -d {folder}" in said
    assert [file.name for file in (folder / "models").iterdir()] == ["gen.onnx"] and (folder / "notes.txt").exists()
    record = json.loads((folder / "models.json").read_text())
    assert {file for file in record["files"] if not (folder / file).is_file()} == set()
    assert record["runtimes"]["wasm"][0]["url"].startswith("https://cdn.jsdelivr.net/npm/onnxruntime-web@")
    assert [(each["name"], each["classes"]) for each in record["models"]] == [("gen", ["cat", "dog"])]
    assert record["version"] in (folder / "offline.js").read_text().splitlines()[0]


def test_what_cannot_be_written(hubgan: Run, tmp_path: Path) -> None:
    up, other = tmp_path / "up", tmp_path / "other" / "up"
    for folder in (up, other):
        Upscaler(scale=2, width=4, depth=1).save_pretrained(folder)
    Translator(width=8, depth=1, input="mask", image_size=16).save_pretrained(tmp_path / "fill")
    for argv, complaint in {
        ("page",): "no model was given. Pass at least one with --generator, --upscaler or --translator",
        ("page", "--upscaler", up, other): "would both become up. Rename one of the folders",
        ("up", "--upscaler", up): "up holds other files, and no page. Pass another folder",
        ("page", "--upscaler", up, "--runtime", tmp_path): "ort.wasm.bundle.min.mjs is missing in ONNX Runtime Web",
        ("page", "--upscaler", up, "--private"): "a page without --space does not use --private",
        ("page", "--translator", tmp_path / "fill"): "fills holes of pictures",
        ("page", "--upscaler", "nowhere"): "nowhere",
    }.items():
        status, _, complained = hubgan("web", *argv)
        assert status == 2 and complaint in complained
    assert not (tmp_path / "page").exists()
