"""The sliders of the demo's first tab that change an image, in a real browser."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'hubgan[demo]'")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")

from helpers.browsing import download, generate
from helpers.demo_server import SIZE, on_each_screen
from helpers.pictures import farthest
from hubgan import Generator

BUTTON = "Download the edited image (PNG)"


def wait_for(page: "playwright.Page", folder: Path, wanted: Callable[[Image.Image], bool]) -> Image.Image:
    """The edited image, as soon as it is as wanted."""
    for _ in range(100):
        image = Image.open(io.BytesIO(download(page, BUTTON, folder).read_bytes()))
        if wanted(image):
            break
        page.wait_for_timeout(100)
    return image


@on_each_screen
def test_an_image_is_moved_and_mixed(page: "playwright.Page", space: Path, tmp_path: Path) -> None:
    page.get_by_label("tiny-classes", exact=True).check()
    images = generate(page, count=3, seed=5)
    page.get_by_role("button", name="Edit an image").click()
    page.locator(".samples .thumbnail-lg").nth(1).click()
    playwright.expect(page.get_by_role("button", name=BUTTON)).to_be_enabled()
    assert download(page, BUTTON, tmp_path).read_bytes() == images[1]

    generator = Generator.from_pretrained(space / "tiny-classes")
    latents, labels = generator.latents(3, seed=5)[1:2], generator.label_ids(3, seed=5)
    assert labels is not None
    moved = generator.edit(generator.edit(latents, 0, 4.0), 2, -3.0)
    weights = torch.nn.functional.one_hot(labels[1:2], 3) * 0.5 + torch.tensor([[0, 0, 0.5]])

    page.get_by_label("number input for Direction 0").fill("4")
    page.get_by_label("number input for Direction 2").fill("-3")
    expected, original = generator.images_from(moved, labels[1:2])[0], Image.open(io.BytesIO(images[1]))
    shown = wait_for(page, tmp_path, lambda image: farthest(image, expected) <= 1)
    assert farthest(shown, expected) <= 1 and farthest(shown, original) > 9

    page.get_by_label("Mix in a class").click()
    page.get_by_role("option", name="ship").click()
    page.get_by_label("number input for Share of that class").fill("0.5")
    mixed = generator.images_from(moved, weights)[0]
    shown = wait_for(page, tmp_path, lambda image: farthest(image, mixed) <= 1)
    assert farthest(shown, mixed) <= 1 and farthest(shown, expected) > 9

    page.get_by_role("button", name="Undo all changes").click()
    playwright.expect(page.get_by_label("number input for Direction 0")).to_have_value("0")
    assert farthest(wait_for(page, tmp_path, lambda image: farthest(image, original) == 0), original) == 0
    page.get_by_label("tiny-generator", exact=True).check()
    playwright.expect(page.get_by_role("button", name=BUTTON)).to_be_disabled()
    playwright.expect(page.get_by_label("Mix in a class")).to_be_hidden()
    assert page.get_by_alt_text("The edited image").count() == 0


def test_ones_own_picture_is_found_and_edited(page: "playwright.Page", tmp_path: Path) -> None:
    page.get_by_role("button", name="Edit an image").click()

    def upload(path: Path) -> None:
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Edit your own picture").click()
        chooser.value.set_files(path)

    (tmp_path / "words.txt").write_text("no picture")
    upload(tmp_path / "words.txt")
    page.get_by_text("words.txt is not a picture").first.wait_for()
    Image.linear_gradient("L").convert("RGB").save(tmp_path / "own.png")
    upload(tmp_path / "own.png")
    page.get_by_text("The model shows own.png like this").wait_for()
    found = Image.open(io.BytesIO(download(page, BUTTON, tmp_path).read_bytes()))
    assert found.size == (SIZE, SIZE)
    page.get_by_label("number input for Direction 0").fill("4")
    assert farthest(wait_for(page, tmp_path, lambda image: farthest(image, found) > 9), found) > 9
