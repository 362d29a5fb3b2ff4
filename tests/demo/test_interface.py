"""The demo's page: how it starts, how it looks, and how it is used by the keyboard."""

import re
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'hubgan[demo]'")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")

from helpers.browsing import open_tab
from helpers.demo_server import in_the_same_tab


def test_the_copy_is_what_runs(space: Path, url: str) -> None:
    assert list((space / "src" / "hubgan" / "demo" / "__pycache__").glob("interface.*.pyc"))


def test_the_page_needs_no_torch(space: Path, url: str) -> None:
    imported = re.findall(r"^import time:.*\| +(\S+)$", (space / "log.txt").read_text(), re.MULTILINE)
    assert "torch" not in imported[: imported.index("hubgan.demo") + 1]


@pytest.mark.parametrize(("width", "theme"), [(375, "light"), (1280, "dark")])
def test_it_fits_the_window(
    browser: "playwright.Browser", url: str, width: int, theme: str, screenshots: Path
) -> None:
    phone = width < 700
    page = browser.new_page(viewport={"width": width, "height": 800}, is_mobile=phone, has_touch=phone)
    page.goto(f"{url}/?__theme={theme}")
    page.locator(".samples .thumbnail-lg").first.wait_for()
    for tab in ("Generate", "Upscale", "About"):
        open_tab(page, tab)
        for button in page.locator(".action:visible").all():  # at once, without scrolling
            playwright.expect(button).to_be_in_viewport(ratio=1)
        if phone:
            targets = page.locator("button.md:visible, button.lg:visible, [role=tab], fieldset label:visible")
            assert min(targets.evaluate_all("all => all.map(target => target.offsetHeight)")) >= 44
        page.screenshot(path=screenshots / f"{tab.lower()}-{width}-{theme}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        unnamed = page.locator("img:visible:not([alt])").count()
        assert not unnamed, f"{unnamed} pictures on {tab} have no alternative text"
    open_tab(page, "Generate")
    pictures, settings = (page.locator(where).first.bounding_box() for where in (".samples", ".workspace fieldset"))
    assert pictures is not None and settings is not None
    assert (pictures["y"] + pictures["height"] <= settings["y"]) == phone
    dark = page.evaluate("document.body.classList.contains('dark')")
    assert dark == (theme == "dark")
    page.close()


@in_the_same_tab
def test_the_keyboard_is_enough(page: "playwright.Page") -> None:
    first = page.locator(".samples .thumbnail-lg img").first
    before = first.get_attribute("src")
    page.get_by_role("tab", name="Generate").focus()
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent.trim()") == "Generate":
            break
    page.keyboard.press("Enter")
    playwright.expect(first).not_to_have_attribute("src", before or "")
