"""The demo's first tab in a real browser: images, more like one, and on to the second tab."""

import io
import json
import re
import zipfile
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'hubgan[demo]'")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")

from helpers.browsing import download, generate, open_tab, samples
from helpers.demo_server import SCALE, SIZE, in_the_same_tab, on_each_screen
from helpers.pictures import farthest
from hubgan import Generator
from hubgan.models.latents import neighbours


def close(image: Image.Image, other: Image.Image) -> bool:
    return farthest(image, other) <= 1


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


@on_each_screen
def test_the_same_seed_gives_the_same_images(page: "playwright.Page", space: Path, tmp_path: Path) -> None:
    other = generate(page, count=5, seed=8)
    first = generate(page, count=5, seed=7)
    assert {opened(data).size for data in first} == {(SIZE, SIZE)}
    assert len(set(first)) == 5
    expected = Generator.from_pretrained(space / "tiny-generator").sample(5, seed=7)
    assert all(close(opened(data), image) for data, image in zip(first, expected, strict=True))
    assert generate(page, count=5, seed=7) == first != other

    with zipfile.ZipFile(download(page, "Download all (ZIP)", tmp_path)) as archive:
        names = [f"tiny-generator-seed7-{i:02d}.png" for i in range(5)]
        assert sorted(archive.namelist()) == [*names, "tiny-generator-seed7-grid.png"]
        assert [archive.read(name) for name in names] == first
        packed_grid = archive.read("tiny-generator-seed7-grid.png")
    grid = download(page, "Download grid (PNG)", tmp_path)
    assert (grid.name, grid.read_bytes()) == ("tiny-generator-seed7-grid.png", packed_grid)
    grid_image = Image.open(grid)
    assert grid_image.size == (3 * (SIZE + 2) + 2, 2 * (SIZE + 2) + 2)
    last = (2 + SIZE + 2, 2 + SIZE + 2)
    cell = grid_image.crop((*last, last[0] + SIZE, last[1] + SIZE))
    assert cell.tobytes() == opened(first[4]).tobytes()


@on_each_screen
def test_an_image_is_enlarged_and_downloaded_alone(page: "playwright.Page", tmp_path: Path) -> None:
    images = generate(page, count=3, seed=5)
    enlarged = page.get_by_test_id("detailed-image")
    page.locator(".samples .thumbnail-lg").nth(1).click()
    playwright.expect(enlarged).to_have_attribute("alt", "Image 1 of seed 5")
    page.get_by_test_id("container_el").get_by_label("Thumbnail 3 of 3").click()
    playwright.expect(enlarged).to_have_attribute("alt", "Image 2 of seed 5")
    with page.expect_download() as started:
        page.locator(".samples").get_by_role("button", name="Download").click()
    assert started.value.suggested_filename == "tiny-generator-seed5-02.png"
    assert started.value.path().read_bytes() == images[2]
    assert json.loads(opened(images[2]).text["hubgan"]) == {"model": "tiny-generator", "seed": 5, "index": 2}
    page.locator(".samples").get_by_role("button", name="Close").click()
    playwright.expect(enlarged).to_have_count(0)


def test_a_random_seed_is_shown_and_can_be_used_again(page: "playwright.Page") -> None:
    seed, random_seed = page.get_by_label("Seed", exact=True), page.get_by_label("New random seed every time")
    playwright.expect(random_seed).to_be_checked()
    images = generate(page, count=2)
    playwright.expect(seed).not_to_have_value("0")

    shown = int(seed.input_value())
    assert generate(page, count=2, seed=shown) == images
    playwright.expect(random_seed).not_to_be_checked()  # typing a seed means it


def test_classes_and_variety_are_those_of_the_controls(page: "playwright.Page", space: Path) -> None:
    playwright.expect(page.get_by_label("Classes", exact=True)).not_to_be_visible()
    page.get_by_label("tiny-classes", exact=True).check()
    page.get_by_alt_text(re.compile("(cat|dog|ship), image 3 of seed 0")).wait_for()  # the new model's own images
    for name in ("ship", "cat"):
        page.get_by_label("Classes", exact=True).click()
        page.get_by_role("option", name=name).click()
    page.get_by_label("number input for Variety").fill("0.5")
    images = [opened(data) for data in generate(page, count=3, seed=2)]

    expected = Generator.from_pretrained(space / "tiny-classes").sample(
        3, labels=["ship", "cat"], seed=2, truncation=0.5
    )
    assert all(close(*pair) for pair in zip(images, expected, strict=True))
    origin = {"model": "tiny-classes", "seed": 2, "truncation": 0.5, "index": 1, "class": "cat"}
    assert json.loads(images[1].text["hubgan"]) == origin


@in_the_same_tab
def test_images_like_one_that_is_clicked(page: "playwright.Page", space: Path) -> None:
    more = page.get_by_role("button", name="More like this")
    images = generate(page, count=6, seed=3)
    playwright.expect(more).to_be_disabled()
    page.get_by_label("number input for Difference").fill("0.6")
    page.locator(".samples .thumbnail-lg").nth(2).click()
    page.get_by_text("Selected: Image 2 of seed 3.").wait_for()
    more.click()
    playwright.expect(more).to_be_disabled()  # none of the new images is picked
    playwright.expect(page.locator(".samples .thumbnail-lg")).to_have_count(6)
    near = samples(page)
    assert close(opened(near[0]), opened(images[2]))
    page.wait_for_url(lambda address: "seed" not in address)  # a link would lead to other images
    last = page.get_by_alt_text("Image 2 of seed 3, variation 5")
    playwright.expect(last).to_have_attribute("src", re.compile("seed3-like02-05.png"))

    generator = Generator.from_pretrained(space / "tiny-generator")
    origin = json.loads(opened(near[3]).text["hubgan"])
    step = origin["similar"][0]
    assert (origin["seed"], origin["index"], step["index"], step["difference"]) == (3, 2, 2, 0.6)
    around = neighbours(generator.latents(3, seed=3)[2], 5, spread=step["difference"], seed=step["seed"])
    assert close(opened(near[3]), generator.images_from(around)[2])

    page.locator(".samples .thumbnail-lg").nth(3).click()
    more.click()
    playwright.expect(more).to_be_disabled()
    playwright.expect(page.locator(".samples .thumbnail-lg")).to_have_count(6)
    assert len(json.loads(opened(samples(page)[1]).text["hubgan"])["similar"]) == 2
    last = page.get_by_alt_text("Image 2 of seed 3, variation 3, variation 5")
    playwright.expect(last).to_have_attribute("src", re.compile("seed3-like02-like03-05.png"))

    back = page.get_by_role("button", name="Back", exact=True)
    back.click()
    playwright.expect(last).to_have_count(0)
    assert samples(page) == near
    back.click()
    page.wait_for_url(re.compile("seed=3"))  # the link of these images
    assert samples(page) == images
    playwright.expect(back).not_to_be_visible()


@in_the_same_tab
def test_a_generated_image_can_be_upscaled(page: "playwright.Page") -> None:
    for tab in ("Upscale", "Generate"):  # also by those who have looked at the other tab before
        open_tab(page, tab)
    generate(page, count=2, seed=1)
    page.locator(".samples .thumbnail-lg").nth(1).click()
    page.get_by_role("button", name="Upscale this").click()
    page.get_by_text(f"{SIZE} x {SIZE} → {SIZE * SCALE} x {SIZE * SCALE} pixels").wait_for()
