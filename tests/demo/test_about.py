"""The tab with the models' cards, in a real browser."""

from pathlib import Path

import pytest
from PIL import Image

gr = pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'hubgan[demo]'")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")

from helpers.browsing import open_tab
from helpers.demo_server import in_the_same_tab
from hubgan import Generator
from hubgan.demo.about import AboutTab
from hubgan.demo.models import ModelRegistry, load_generator


@in_the_same_tab
def test_the_cards_are_shown(page: "playwright.Page") -> None:
    open_tab(page, "About")
    page.get_by_role("button", name="tiny-classes").click()
    page.get_by_role("heading", name="tiny-classes").wait_for()
    assert "library_name" not in page.content()


def test_a_picture_is_shown_wherever_its_model_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradio refuses files that are neither in its cache, nor in the working folder or that for temporary files."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "cache"))
    Generator(width=4).save_pretrained(tmp_path / "model")
    Image.new("RGB", (8, 8), "red").save(tmp_path / "model" / "samples.png")
    with gr.Blocks():
        tab = AboutTab([ModelRegistry(load_generator, [str(tmp_path / "model")])])
    picture, words = tab.load().values()
    shown = Path(picture.value["path"])
    assert shown.is_relative_to(tmp_path / "cache")
    assert shown.read_bytes() == (tmp_path / "model" / "samples.png").read_bytes() and "# model" in words
