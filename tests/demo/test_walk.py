"""The walk in the demo's first tab, in a real browser."""

from pathlib import Path

import pytest
from PIL import Image, ImageChops

pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'hubgan[demo]'")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")

from helpers.browsing import download
from helpers.demo_server import SIZE, on_each_screen
from helpers.pictures import farthest
from hubgan import Generator


@on_each_screen
def test_a_walk_from_seed_to_seed(page: "playwright.Page", space: Path, tmp_path: Path) -> None:
    page.get_by_label("tiny-classes", exact=True).check()
    page.get_by_role("button", name="Latent walk between two seeds").click()
    page.get_by_label("Class", exact=True).click()
    page.get_by_role("option", name="dog").click()
    page.get_by_label("From seed").fill("4")
    page.get_by_label("To seed").fill("5")
    page.get_by_label("number input for Seconds").fill("1")
    page.get_by_role("button", name="Make the walk").click()
    playwright.expect(page.get_by_role("button", name="Download the walk (GIF)")).to_be_enabled()
    walk = Image.open(download(page, "Download the walk (GIF)", tmp_path))
    page.get_by_label("tiny-generator", exact=True).check()
    assert (walk.format, walk.size) == ("GIF", (256, 256))
    shown_for = 0
    for frame in range(walk.n_frames):  # equal ones are one
        walk.seek(frame)
        shown_for += walk.info["duration"]
    assert shown_for == 1000
    walk.seek(0)
    first = Generator.from_pretrained(space / "tiny-classes").sample(1, labels=["dog"], seed=4)[0]
    shown = walk.convert("RGB").resize((SIZE, SIZE), Image.Resampling.NEAREST)
    assert ImageChops.difference(shown, first).convert("L").getextrema()[1] <= 8  # of a palette
    assert farthest(shown, first) <= 16
