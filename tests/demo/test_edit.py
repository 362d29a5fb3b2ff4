"""The sliders of the demo's first tab that change an image, in a real browser."""

import io
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


@on_each_screen
def test_an_image_is_moved_and_mixed(page: "playwright.Page", space: Path, tmp_path: Path) -> None:
    page.get_by_label("tiny-classes", exact=True).check()
    images = generate(page, count=3, seed=5)
    page.get_by_role("button", name="Edit an image").click()
    page.locator(".samples .thumbnail-lg").nth(1).click()
    result, button = page.get_by_alt_text("The edited image"), "Download the edited image (PNG)"
    playwright.expect(page.get_by_role("button", name=button)).to_be_enabled()
    assert download(page, button, tmp_path).read_bytes() == images[1]

    generator = Generator.from_pretrained(space / "tiny-classes")
    latents, labels = generator.latents(3, seed=5)[1:2], generator.label_ids(3, seed=5)
    assert labels is not None
    moved = generator.edit(generator.edit(latents, 0, 4.0), 2, -3.0)
    weights = torch.nn.functional.one_hot(labels[1:2], 3) * 0.5 + torch.tensor([[0, 0, 0.5]])

    with page.expect_response(lambda answer: "-edited.png" in answer.url):
        page.get_by_label("number input for Direction 0").fill("4")
    with page.expect_response(lambda answer: "-edited.png" in answer.url):
        page.get_by_label("number input for Direction 2").fill("-3")
    expected = generator.images_from(moved, labels[1:2])[0]
    assert farthest(Image.open(download(page, button, tmp_path)), expected) <= 1
    assert farthest(expected, Image.open(io.BytesIO(images[1]))) > 9

    page.get_by_label("Mix in a class").click()
    page.get_by_role("option", name="ship").click()
    with page.expect_response(lambda answer: "-edited.png" in answer.url):
        page.get_by_label("number input for Share of that class").fill("0.5")
    expected = generator.images_from(moved, weights)[0]
    assert farthest(Image.open(download(page, button, tmp_path)), expected) <= 1

    with page.expect_response(lambda answer: "-edited.png" in answer.url):
        page.get_by_role("button", name="Undo all changes").click()
    playwright.expect(page.get_by_label("number input for Direction 0")).to_have_value("0")
    assert farthest(Image.open(download(page, button, tmp_path)), Image.open(io.BytesIO(images[1]))) == 0
    page.get_by_label("tiny-generator", exact=True).check()
    playwright.expect(page.get_by_role("button", name=button)).to_be_disabled()
    playwright.expect(page.get_by_label("Mix in a class")).to_be_hidden()
    assert result.count() == 0


def test_ones_own_picture_is_found_and_edited(page: "playwright.Page", tmp_path: Path) -> None:
    page.get_by_role("button", name="Edit an image").click()
    page.get_by_role("button", name="Find it in the model").click()
    page.get_by_text("There is no picture").wait_for()
    picture = tmp_path / "own.png"
    Image.linear_gradient("L").convert("RGB").save(picture)
    page.locator(".picture input[type=file]").first.set_input_files(picture)
    page.locator(".picture img").first.wait_for()
    page.get_by_role("button", name="Find it in the model").click()
    page.get_by_text("The model shows own.png like this").wait_for()
    button = "Download the edited image (PNG)"
    found = Image.open(download(page, button, tmp_path)).copy()  # the next download has the same path
    assert found.size == (SIZE, SIZE)
    with page.expect_response(lambda answer: "-edited.png" in answer.url):
        page.get_by_label("number input for Direction 0").fill("4")
    assert farthest(Image.open(download(page, button, tmp_path)), found) > 9
