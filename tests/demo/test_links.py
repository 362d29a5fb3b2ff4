"""Links to images: the page's address, and the settings that it stands for."""

import re

import pytest
from starlette.datastructures import QueryParams

pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'hubgan[demo]'")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")

from helpers.browsing import generate, samples
from helpers.demo_server import in_the_same_tab
from hubgan.demo.links import read_link, write_link
from hubgan.demo.samples import GenerationSettings
from hubgan.errors import ConfigError

DEFAULT = GenerationSettings("first")


@pytest.mark.parametrize(
    "settings",
    [
        DEFAULT,
        GenerationSettings("other", count=3, seed=2**31 - 1, classes=("cat", "cat & dog", "ship"), variety=0.5),
    ],
)
def test_a_link_holds_all_settings(settings: GenerationSettings) -> None:
    assert read_link(QueryParams(write_link(settings, DEFAULT)), DEFAULT) == settings


def test_a_link_needs_a_seed_alone() -> None:
    assert read_link(QueryParams("count=3"), DEFAULT) is None
    assert read_link(QueryParams("seed=7"), DEFAULT) == GenerationSettings("first", seed=7)


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("seed=abc", "text in place of a number"),
        ("seed=1&count=2.5", "text in place of a number"),
        ("seed=1&count=65", "number of images must be a whole number from 1 to 64"),
        ("seed=-1", "seed must be a whole number"),
        ("seed=1&variety=nan", "Variety must be between"),
        ("seed=1&variety=5", "Variety must be between"),
    ],
)
def test_a_link_with_a_bad_number_is_refused(query: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        read_link(QueryParams(query), DEFAULT)


@in_the_same_tab
def test_a_link_leads_to_the_same_images(page: "playwright.Page", url: str) -> None:
    page.get_by_label("tiny-classes", exact=True).check()
    page.get_by_label("Classes", exact=True).click()
    page.get_by_role("option", name="ship").click()
    page.get_by_label("number input for Variety").fill("1.5")
    images = generate(page, count=3, seed=11)
    page.wait_for_url(re.compile(r"seed=11"))
    assert "tiny-classes" in page.url and "class=ship" in page.url and "variety=1.5" in page.url

    page.goto(page.url)
    playwright.expect(page.locator(".samples .thumbnail-lg")).to_have_count(3)
    assert samples(page) == images
    playwright.expect(page.get_by_label("Seed", exact=True)).to_have_value("11")
    playwright.expect(page.get_by_label("New random seed every time")).not_to_be_checked()
    assert generate(page, count=3) == images

    page.goto(f"{url}/?seed=abc")
    page.get_by_text("This link cannot be opened: The link has text in place of a number.").wait_for()
    page.goto(f"{url}/?seed=0&count=9999")
    page.get_by_text("The number of images must be a whole number from 1 to 64.").wait_for()
    playwright.expect(page.locator(".samples .thumbnail-lg")).to_have_count(16)
    assert page.get_by_alt_text("Image 3 of seed 0").count() == 1
