"""The demo's page: how it starts, what it says of its models, how it looks, and links to results."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from hubgan import Generator, Upscaler

pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'hubgan[demo]'")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")

from helpers.browsing import generate, open_tab, running, samples
from helpers.demo_server import environment


def test_the_copy_is_what_runs(space: Path, url: str) -> None:
    assert list((space / "src" / "hubgan" / "demo" / "__pycache__").glob("interface.*.pyc"))


def test_the_page_needs_no_torch() -> None:
    code = "import sys; from hubgan.demo import build_demo; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


def test_a_model_that_cannot_be_loaded_leaves_the_rest_usable(
    browser: "playwright.Browser", space: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken").mkdir()
    upscalers = f"{tmp_path / 'absent'},{space / 'tiny-upscaler'}"
    missing = environment(space, HUBGAN_GENERATORS=str(tmp_path / "broken"), HUBGAN_UPSCALERS=upscalers)
    with running(sys.executable, space, missing, tmp_path / "log.txt") as url:
        page = browser.new_page()
        page.goto(url)
        page.get_by_text("This tab cannot be used now.").wait_for()
        assert str(tmp_path) not in page.content()
        playwright.expect(page.get_by_role("button", name="Generate", exact=True)).to_be_disabled()
        open_tab(page, "Upscale")
        page.locator("button.gallery-item").first.click()
        page.get_by_label("Remove Image").wait_for()
        page.get_by_role("button", name="Upscale 3x").click()
        page.get_by_text("10 x 20 → 30 x 60 pixels by tiny-upscaler").wait_for()
        page.get_by_label("absent", exact=True).check()
        page.get_by_text("absent cannot be used now: choose another model.").wait_for()
        page.close()
    assert f"{tmp_path / 'broken'} cannot be loaded" in (tmp_path / "log.txt").read_text()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"HUBGAN_UPSCALERS": "me/one, you/one,me/one"}, "me/one and me/one are both called me/one"),
        ({"HUBGAN_GENERATORS": "./tiny-generator,tiny-generator"}, "are both called tiny-generator"),
    ],
)
def test_models_that_nobody_could_tell_apart_end_it_with_one_line(
    space: Path, changes: dict[str, str], complaint: str
) -> None:
    result = subprocess.run(
        [sys.executable, "app.py"],
        cwd=space,
        env=environment(space, **changes),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 2, result.stderr
    lines = result.stderr.splitlines()
    assert len(lines) == 1 and complaint in lines[0] and "HUBGAN_GENERATORS" in lines[0]


def test_the_cards_are_shown(page: "playwright.Page") -> None:
    open_tab(page, "About")
    page.get_by_role("button", name="tiny-classes").click()
    page.get_by_role("heading", name="tiny-classes").wait_for()
    assert "library_name" not in page.content()


def test_an_address_leads_to_the_same_images(page: "playwright.Page", url: str) -> None:
    page.get_by_label("tiny-classes", exact=True).check()
    page.get_by_label("Classes", exact=True).click()
    page.get_by_role("option", name="ship").click()
    page.get_by_label("number input for Variety").fill("1.5")
    made = generate(page, count=3, seed=11)
    page.wait_for_url(re.compile(r"seed=11"))
    assert "tiny-classes" in page.url and "class=ship" in page.url and "variety=1.5" in page.url

    page.goto(page.url)
    playwright.expect(page.locator(".samples .thumbnail-lg")).to_have_count(3)
    assert samples(page) == made
    playwright.expect(page.get_by_label("Seed", exact=True)).to_have_value("11")
    playwright.expect(page.get_by_label("New random seed every time")).not_to_be_checked()
    assert generate(page, count=3) == made

    page.goto(f"{url}/?seed=abc")
    page.get_by_text("cannot be made, so here are others: its numbers cannot be read.").wait_for()
    page.goto(f"{url}/?seed=0&count=9999")
    page.get_by_text("A whole number from 1 to 64 says how many images.").wait_for()
    playwright.expect(page.locator(".samples .thumbnail-lg")).to_have_count(16)
    assert page.get_by_alt_text("Image 3 of seed 0").count() == 1


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_it_fits_the_window(
    browser: "playwright.Browser", url: str, width: int, theme: str, screenshots: Path
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(f"{url}/?__theme={theme}")
    page.locator(".samples .thumbnail-lg").first.wait_for()
    for tab in ("Generate", "Upscale", "About"):
        open_tab(page, tab)
        page.screenshot(path=screenshots / f"{tab.lower()}-{width}-{theme}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        unnamed = page.locator("img:visible:not([alt])").count()
        assert not unnamed, f"{unnamed} pictures on {tab} have no alternative text"
    dark = page.evaluate("document.body.classList.contains('dark')")
    assert dark == (theme == "dark")
    page.close()


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


def test_a_model_says_what_it_is_for(browser: "playwright.Browser", space: Path, tmp_path: Path) -> None:
    model = Upscaler(scale=2, width=4, depth=1)
    model.training_run = {"dataset": "worn", "degraded": 0.5}
    model.save_pretrained(tmp_path / "worn")
    Generator(image_size=128, width=4).save_pretrained(tmp_path / "large")
    changed = environment(
        space,
        HUBGAN_UPSCALERS=f"{space / 'tiny-upscaler'},{tmp_path / 'worn'}",
        HUBGAN_GENERATORS=str(tmp_path / "large"),
    )
    with running(sys.executable, space, changed, tmp_path / "log.txt") as url:
        page = browser.new_page()
        page.goto(url)
        page.locator(".samples:not(.pixels) .thumbnail-lg").first.wait_for()
        open_tab(page, "Upscale")
        purpose = page.get_by_text("takes blur, noise and compression away")
        playwright.expect(purpose).not_to_be_visible()
        page.get_by_label("worn").click()
        purpose.wait_for()
        page.get_by_role("button", name="Upscale 2x").wait_for()
        page.close()
