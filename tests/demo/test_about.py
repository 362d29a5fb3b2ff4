"""The tab with the models' cards, in a real browser."""

import pytest

pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'hubgan[demo]'")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")

from helpers.browsing import open_tab
from helpers.demo_server import in_the_same_tab


@in_the_same_tab
def test_the_cards_are_shown(page: "playwright.Page") -> None:
    open_tab(page, "About")
    page.get_by_role("button", name="tiny-classes").click()
    page.get_by_role("heading", name="tiny-classes").wait_for()
    assert "library_name" not in page.content()
