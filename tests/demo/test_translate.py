"""The demo's tab of translators: its handlers, its endpoint, and a drawing in a real browser."""

import asyncio
import base64
import importlib.util
import io
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageDraw

gr = pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'hubgan[demo]'")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")

from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from helpers.browsing import download, drag
from helpers.demo_server import SCREENS, launched_here
from helpers.pictures import farthest, picture
from hubgan import Translator
from hubgan.demo.board import as_drawing, open_drawing
from hubgan.demo.limits import Limits
from hubgan.demo.links import read_translation, write_translation
from hubgan.demo.models import ModelRegistry, load_translator
from hubgan.demo.translate import TranslateTab
from hubgan.errors import HubganError, ImageError

SIDE = 32


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untrained translators: `sketch` takes drawings, `colour` grey pictures, `fill` holes; `plain` has no seeds."""
    folder = tmp_path_factory.mktemp("translators")
    for name, kind in (("sketch", "edges"), ("colour", "grey"), ("fill", "mask")):
        Translator(width=8, depth=1, image_size=SIDE, input=kind).save_pretrained(folder / name)
    Translator("resnet", width=8, depth=1, image_size=SIDE).save_pretrained(folder / "plain")
    return folder


@pytest.fixture
def drawing(tmp_path: Path) -> Path:
    """A PNG file with a thick line on white."""
    picture = Image.new("L", (64, 64), "white")
    ImageDraw.Draw(picture).line((10, 10, 50, 40), fill="black", width=4)
    picture.save(tmp_path / "drawing.png")
    return tmp_path / "drawing.png"


class Tab(TranslateTab):
    """The tab, with what a visitor has set."""

    def __init__(self, models: Path) -> None:
        registry = ModelRegistry(
            load_translator, [str(models / name) for name in ("sketch", "colour", "fill", "plain")]
        )
        with gr.Blocks():
            super().__init__(registry, Limits())
        self.values: dict[Any, Any] = {
            self._source: "Draw",
            self._board: "",
            self._picture: None,
            self._eraser: "",
            self._prepare: False,
            self._model: "sketch",
            self._seed: "",
        }

    def file(self, updates: dict[Any, Any]) -> Image.Image:
        return Image.open(updates[self.result])


def uploaded(path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A file as Gradio tells of it after an upload."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(path.parent))
    return {"path": str(path), "orig_name": path.name}


def test_a_drawing_becomes_the_models_picture(models: Path, drawing: Path) -> None:
    tab = Tab(models)
    shown = tab.show(tab.values | {tab._board: as_drawing(drawing)})
    expected = Translator.from_pretrained(models / "sketch").translate(drawing)
    assert ImageChops.difference(tab.file(shown), expected).getbbox() is None
    assert shown[tab._note].startswith(f"{SIDE} x {SIDE} pixels by sketch")
    assert Path(shown[tab.result]).name == "sketch-typical.png" and shown[tab._link] == ""


@pytest.mark.parametrize("white", [False, True])
def test_a_blank_board_is_no_error(models: Path, tmp_path: Path, white: bool) -> None:
    Image.new("RGB", (8, 8), "white").save(tmp_path / "white.png")
    tab = Tab(models)
    shown = tab.show(tab.values | {tab._board: as_drawing(tmp_path / "white.png") if white else ""})
    assert shown[tab.result] is None and "Draw something" in shown[tab._note]


def test_a_blank_upload_is_an_error(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGBA", (8, 8)).save(tmp_path / "empty.png")
    tab = Tab(models)
    file = uploaded(tmp_path / "empty.png", monkeypatch)
    for prepare, words in ((False, "drawing is blank"), (True, "no edges to draw")):
        with pytest.raises(gr.Error, match=words):
            tab.show(tab.values | {tab._source: "Upload", tab._picture: file, tab._prepare: prepare})
        with pytest.raises(gr.Error, match=words):
            tab.translate(file, prepare=prepare)


def test_sketches_of_any_mode_are_the_same(
    models: Path, drawing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Image.open(drawing)
    ink = Image.new("RGBA", plain.size)
    ink.putalpha(plain.point(lambda value: 255 - value))
    ink.save(tmp_path / "ink.png")
    Image.fromarray(np.asarray(plain).astype(np.uint16) * 257).save(tmp_path / "deep.png")
    tab = Tab(models)
    for file in (tmp_path / "ink.png", tmp_path / "deep.png"):
        values = tab.values | {tab._source: "Upload", tab._picture: uploaded(file, monkeypatch)}
        made = tab.file(tab.show(values))
        assert farthest(made, Translator.from_pretrained(models / "sketch").translate(drawing)) <= 3  # rounding


def test_an_example_is_put_on_the_board(models: Path) -> None:
    tab = Tab(models)
    assert len(tab._sketches) >= 4
    shown = tab.show_example(tab.values | {tab._examples: 0})
    expected = Translator.from_pretrained(models / "sketch").translate(tab._sketches[0])
    assert tab.file(shown).tobytes() == expected.tobytes()
    assert open_drawing(shown[tab._board]) is not None


def test_another_is_a_seed_that_leads_back(models: Path, drawing: Path) -> None:
    tab = Tab(models)
    values = tab.values | {tab._board: as_drawing(drawing)}
    another = tab.another(values)
    seed = int(another[tab._seed])
    expected = Translator.from_pretrained(models / "sketch").translate(drawing, seed=seed)
    assert ImageChops.difference(tab.file(another), expected).getbbox() is None
    assert another[tab._link] == write_translation("", seed)
    again = tab.show(values | {tab._seed: another[tab._seed]})
    assert tab.file(again) == tab.file(another)
    assert tab.typical(values)[tab._seed] == ""
    with pytest.raises(gr.Error, match="The seed must be a whole number"):
        tab.show(values | {tab._seed: "many"})


def test_a_model_without_latents_has_no_seed(models: Path, drawing: Path) -> None:
    tab = Tab(models)
    for name, varied in (("plain", False), ("sketch", True)):
        shown = tab.show_model(name)
        assert [shown[each].visible for each in (tab._seed, tab._another, tab._typical)] == [varied] * 3
    assert tab.show_model("plain")[tab._seed].value == ""  # that of another model would be refused
    linked = tab.load(SimpleNamespace(query_params={"translator": "plain", "look": "3"}))  # type: ignore[arg-type]
    assert "takes no seed" in linked[tab._notice].value and not linked[tab._seed].visible
    linked = tab.load(SimpleNamespace(query_params={"translator": "", "look": "3"}))  # type: ignore[arg-type]
    assert not linked[tab._notice].visible and linked[tab._seed].value == "3"


def test_a_model_that_takes_colours_begins_with_an_upload(models: Path) -> None:
    tab = Tab(models)
    assert tab.show_model("sketch")[tab._source].value == "Draw"
    for shown in (tab.show_model("plain"), tab.select("plain")):
        assert shown[tab._source].value == "Upload" and shown[tab._source].visible  # a drawing is possible too
        assert shown[tab._board].visible == "hidden" and shown[tab._picture].visible is True


def test_a_photo_is_sketched_first(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.effect_noise((40, 30), 60).convert("RGB").save(tmp_path / "photo.png")
    tab = Tab(models)
    values = tab.values | {tab._source: "Upload", tab._picture: uploaded(tmp_path / "photo.png", monkeypatch)}
    model = Translator.from_pretrained(models / "sketch")
    for prepare in (True, False):
        made = tab.file(tab.show(values | {tab._prepare: prepare}))
        expected = model.translate(tmp_path / "photo.png", prepare=prepare)
        assert ImageChops.difference(made, expected).getbbox() is None
    assert tab.show(tab.values | {tab._source: "Upload"})[tab.result] is None


def test_a_colouriser_takes_an_upload_and_compares(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.linear_gradient("L").resize((40, 30)).save(tmp_path / "grey.png")
    tab = Tab(models)
    controls = tab.show_model("colour")
    assert controls[tab._source].value == "Upload" and not controls[tab._source].visible
    assert controls[tab._board].visible == "hidden" and not controls[tab._prepare].visible
    assert tab.show_model("sketch")[tab._board].visible is True
    # A page that opens the tab for the first time has lost what `load` showed.
    assert tab.select("colour")[tab._picture].visible is True and tab._picture not in tab.select("sketch")
    grey = {tab._picture: uploaded(tmp_path / "grey.png", monkeypatch), tab._source: "Upload", tab._model: "colour"}
    shown = tab.show(tab.values | grey)
    assert tab.file(shown).size == (40, 30) and shown[tab._comparison].visible and not shown[tab._made].visible
    assert shown[tab._link] == write_translation("colour", None)


def test_what_is_left_out_of_a_file_is_reported(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [picture(8, 8), picture(8, 8).rotate(90)]
    frames[0].save(tmp_path / "dance.gif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "scan.tif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "worn.png", icc_profile=b"garbage")
    tab = Tab(models)
    for name, words in {
        "dance.gif": "Only the first of 2 frames was translated",
        "scan.tif": "Only the first of 2 pages was translated",
        "worn.png": "Damaged parts of the file were skipped: ICC profile",
    }.items():
        given = {tab._picture: uploaded(tmp_path / name, monkeypatch), tab._source: "Upload"}
        assert words in tab.show(tab.values | given)[tab._note]
        with pytest.warns(UserWarning, match=words):
            tab.translate(given[tab._picture])


def test_a_filler_fills_what_was_erased(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = picture(60, 40)
    photo.save(tmp_path / "photo.png")
    tab = Tab(models)
    file = uploaded(tmp_path / "photo.png", monkeypatch)
    values = tab.values | {tab._source: "Upload", tab._model: "fill", tab._picture: file}
    eraser = tab.show_eraser(file, "fill")[tab._eraser]
    assert eraser.visible is True and open_drawing(eraser.value).size == (512, 341)
    assert tab.show_eraser(file, "colour")[tab._eraser].visible == "hidden"
    shown = tab.show(values | {tab._eraser: eraser.value})
    assert shown[tab.result] is None and "erase a part of it" in shown[tab._note]

    mask = Image.new("LA", (512, 341), (255, 255))
    mask.paste((255, 0), (128, 0, 256, 341))  # a fourth of the width
    mask.save(tmp_path / "mask.png")
    shown = tab.show(values | {tab._eraser: as_drawing(tmp_path / "mask.png")})
    made = tab.file(shown)
    assert made.size == (60, 40) and shown[tab._comparison].visible
    for box in ((0, 0, 14, 40), (31, 0, 60, 40)):
        assert made.crop(box).tobytes() == photo.crop(box).tobytes()
    assert made.crop((16, 0, 29, 40)).tobytes() != photo.crop((16, 0, 29, 40)).tobytes()
    photo.putalpha(Image.new("L", photo.size, 0))  # a file may have transparent parts too
    photo.save(tmp_path / "photo.png")
    assert tab.show(values)[tab.result]


def test_what_is_no_drawing_is_refused(drawing: Path) -> None:
    assert open_drawing(as_drawing(drawing)) is not None
    Image.new("1", (2000, 2000)).save(drawing)
    for value in ("data:image/png;base64,?", "/etc/passwd", base64.b64encode(b"text").decode(), as_drawing(drawing)):
        with pytest.raises(ImageError):
            open_drawing(value)


def test_a_link_has_the_model_and_the_seed() -> None:
    assert write_translation("", None) == ""
    assert write_translation("user/model", 7) == "translator=user%2Fmodel&look=7"
    assert read_translation({"translator": "mine", "look": "7"}) == ("mine", 7)
    assert read_translation({"translator": ""}) == ("", None)
    for look in ("many", "-1"):
        with pytest.raises(HubganError):
            read_translation({"translator": "", "look": look})


@pytest.fixture(scope="module")
def translator_url(space: Path, models: Path) -> Iterator[str]:
    """The address of a running demo with the translators."""
    generators, upscalers = [space / "tiny-generator", space / "tiny-classes"], [space / "tiny-upscaler"]
    translators = [models / name for name in ("sketch", "colour", "fill", "plain")]
    mcp = str(importlib.util.find_spec("mcp") is not None)
    variables = {"GRADIO_MCP_SERVER": mcp, "SPACE_ID": "tester/demo"}
    with launched_here(models / "cache", generators, upscalers, translators, **variables) as url:
        yield url


@pytest.fixture(scope="module")
def monitor(browser: "playwright.Browser") -> "Iterator[playwright.Page]":
    """A tab of a monitor: to load the demo in it again takes less than in a new one."""
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.set_default_timeout(60_000)
    yield page
    page.close()


@pytest.mark.slow
def test_drawing_in_the_page_and_the_endpoint(
    monitor: "playwright.Page", translator_url: str, models: Path, drawing: Path, tmp_path: Path
) -> None:
    page = monitor
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(f"{translator_url}/?translator=sketch&look=5")  # the link opens the tab
    board, made = page.get_by_label("Drawing board"), page.get_by_alt_text("The translated picture")
    box = board.bounding_box()
    assert box is not None
    page.get_by_text("Draw something.").wait_for()
    playwright.expect(page.get_by_label("Seed").last).to_have_value("5")
    page.mouse.move(box["x"] + 50, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + 250, steps=4)
    page.mouse.up()
    made.wait_for()
    path = download(page, "Download (PNG)", tmp_path)
    assert path.name == "sketch-seed5.png"
    sent = tmp_path / "sent.png"
    value = page.evaluate(
        """() => {
            const small = Object.assign(document.createElement("canvas"), {width: 256, height: 256});
            const context = small.getContext("2d");
            context.imageSmoothingQuality = "high";
            context.drawImage(document.querySelector(".board canvas"), 0, 0, 256, 256);
            return small.toDataURL();
        }"""
    )
    sent.write_bytes(base64.b64decode(value.partition(",")[2]))
    expected = Translator.from_pretrained(models / "sketch").translate(sent, seed=5)
    assert farthest(Image.open(path), expected) <= 1

    page.get_by_role("button", name="Typical").click()
    playwright.expect(made).to_have_attribute("src", re.compile("sketch-typical"))
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("Draw something.").wait_for()
    playwright.expect(made).to_have_count(0)
    assert not problems
    page.goto("about:blank")

    client = Client(translator_url, verbose=False)
    described = client.view_api(return_format="dict")["named_endpoints"]["/translate"]
    assert [each["parameter_name"] for each in described["parameters"]] == [
        "picture",
        "model",
        "seed",
        "size",
        "prepare",
    ]
    file = client.predict(handle_file(drawing), seed=3, size=48, model="sketch", prepare=False, api_name="/translate")
    expected = Translator.from_pretrained(models / "sketch").translate(drawing, seed=3, size=48)
    assert farthest(Image.open(file), expected) <= 1
    with pytest.raises(AppError, match="size is 5"):
        client.predict(handle_file(drawing), size=5, api_name="/translate")


@pytest.mark.slow
@pytest.mark.xdist_group("demo")  # with the others that use this demo
def test_the_endpoint_is_a_tool_of_an_mcp_server(translator_url: str, models: Path, drawing: Path) -> None:
    mcp = pytest.importorskip("mcp", reason="MCP needs its package: pip install 'hubgan[mcp]'")
    from mcp.client.streamable_http import streamable_http_client

    async def talk() -> Any:
        transport = streamable_http_client(f"{translator_url}/gradio_api/mcp/")
        async with transport as (reading, writing, _), mcp.ClientSession(reading, writing) as session:
            await session.initialize()
            picture = "data:image/png;base64," + base64.b64encode(drawing.read_bytes()).decode()
            return await session.call_tool("translate", {"picture": picture, "seed": 3, "model": "sketch"})

    with ThreadPoolExecutor(1) as elsewhere:  # in this thread Playwright's loop may be running
        answer = elsewhere.submit(asyncio.run, talk()).result()
    assert not answer.isError, answer.content
    made = next(base64.b64decode(each.data) for each in answer.content if each.type == "image")
    expected = Translator.from_pretrained(models / "sketch").translate(drawing, seed=3)
    assert farthest(Image.open(io.BytesIO(made)).convert("RGB"), expected) <= 1


@pytest.mark.slow
def test_erasing_in_the_page(monitor: "playwright.Page", translator_url: str, models: Path, tmp_path: Path) -> None:
    photo = picture(60, 40)
    photo.save(tmp_path / "photo.png")
    page = monitor
    page.goto(f"{translator_url}/?translator=fill")
    page.get_by_text("Upload a picture, and erase a part of it.").wait_for()
    page.locator(".picture:visible input[type=file]").set_input_files(tmp_path / "photo.png")
    eraser = page.get_by_label("Picture to erase")
    playwright.expect(eraser).to_be_visible()
    playwright.expect(eraser).to_have_attribute("height", "341")  # the picture is there
    box = eraser.bounding_box()
    assert box is not None
    across = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 4, across)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, across, steps=4)
    page.mouse.up()
    playwright.expect(page.get_by_text("60 x 40 pixels by fill")).to_be_visible()
    made = Image.open(download(page, "Download (PNG)", tmp_path))
    changed = ImageChops.difference(made, photo).getbbox()
    assert changed is not None  # a line of 40 / 512 of the width, with round ends
    assert all(abs(side - wanted) <= 2 for side, wanted in zip(changed, (13, 18, 32, 22), strict=True)), changed
    playwright.expect(page.locator(".coloured")).to_be_visible()  # the slider
    page.get_by_role("button", name="Upscale this").click()
    playwright.expect(page.get_by_role("tab", name="Upscale")).to_have_attribute("aria-selected", "true")
    page.get_by_label("Remove Image").filter(visible=True).wait_for()
    page.get_by_role("tab", name="Translate").click()
    page.get_by_role("button", name="Reset").click()
    playwright.expect(page.get_by_text("Upload a picture, and erase a part of it.")).to_be_visible()
    page.goto("about:blank")


@pytest.mark.slow
def test_uploading_and_drawing_on_a_phone(
    browser: "playwright.Browser", translator_url: str, models: Path, tmp_path: Path, screenshots: Path
) -> None:
    photo = picture(60, 40)
    photo.save(tmp_path / "photo.png")
    page = browser.new_page(**SCREENS["phone"])
    page.set_default_timeout(60_000)
    page.goto(f"{translator_url}/?translator=plain")
    page.get_by_text("Upload a picture like those of the training").wait_for()
    page.locator(".picture:visible input[type=file]").set_input_files(tmp_path / "photo.png")
    made = page.get_by_alt_text("The translated picture")
    made.wait_for()
    playwright.expect(page.get_by_role("button", name="Another")).to_have_count(0)  # it makes one result
    path = download(page, "Download (PNG)", tmp_path)
    assert farthest(Image.open(path), Translator.from_pretrained(models / "plain").translate(photo)) <= 1
    page.screenshot(path=screenshots / "translate-unpaired-phone.png", full_page=True)

    page.get_by_role("radio", name="colour").check()  # the upload stays
    page.get_by_text("60 x 40 pixels by colour").wait_for()
    before, after = page.locator(".coloured").get_by_test_id("imageslider-image").all()
    playwright.expect(before).to_have_attribute("alt", "Before: the picture")
    playwright.expect(after).to_have_attribute("alt", "The translated picture")
    for side in (before, after):
        playwright.expect(side).to_have_js_property("naturalWidth", 60)
    playwright.expect(after).to_have_css("clip-path", "inset(0px 0px 0px 50%)")
    drag(page, page.locator(".coloured .inner"), by=-40)
    playwright.expect(after).not_to_have_css("clip-path", "inset(0px 0px 0px 50%)")
    coloured = Image.open(download(page, "Download (PNG)", tmp_path))
    assert farthest(coloured, Translator.from_pretrained(models / "colour").translate(photo)) <= 1
    page.screenshot(path=screenshots / "translate-colour-phone.png", full_page=True)

    page.get_by_role("radio", name="sketch").check()
    page.get_by_text("Draw something.").wait_for()
    drag(page, page.get_by_label("Drawing board"), by=60)  # the finger draws, and does not scroll
    page.get_by_text(f"{SIDE} x {SIDE} pixels by sketch").wait_for()
    playwright.expect(made).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= SCREENS["phone"]["viewport"]["width"]
    page.screenshot(path=screenshots / "translate-drawing-phone.png", full_page=True)
    page.get_by_role("button", name="Eraser").click()
    drag(page, page.get_by_label("Drawing board"), by=60)
    playwright.expect(made).to_have_count(0)  # nothing is left of the line
    page.get_by_role("button", name="Undo").click()
    playwright.expect(made).to_be_visible()
    page.get_by_role("button", name="Clear").click()
    page.get_by_text("Draw something.").wait_for()
    playwright.expect(made).to_have_count(0)
    page.close()
