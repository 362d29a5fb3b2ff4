"""The demo's models: which there are, what the page says of each, and one that cannot be loaded."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'hubgan[demo]'")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")

from helpers.browsing import open_tab, running
from helpers.demo_server import environment
from hubgan import Generator, Upscaler
from hubgan.demo.models import enlarge, make
from hubgan.errors import ModelError


@pytest.mark.e2e
@pytest.mark.slow
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
        page.get_by_text("absent cannot be used now. Choose another model.").wait_for()
        page.close()
    assert f"{tmp_path / 'broken'} cannot be loaded" in (tmp_path / "log.txt").read_text()


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"HUBGAN_UPSCALERS": "me/one, you/one,me/one"}, "HUBGAN_GENERATORS, HUBGAN_UPSCALERS or HUBGAN_TRANSLATORS"),
        ({"HUBGAN_MAX_MINUTES": "long"}, "HUBGAN_MAX_MINUTES is long. Give a number above 0, or inf for no limit"),
    ],
)
def test_bad_settings_end_the_demo_with_one_line(space: Path, changes: dict[str, str], complaint: str) -> None:
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
    assert len(lines) == 1 and complaint in lines[0]


@pytest.mark.slow
def test_the_page_says_what_a_model_is_for(browser: "playwright.Browser", other_url: str) -> None:
    page = browser.new_page()
    page.goto(other_url)
    page.locator(".samples:not(.pixels) .thumbnail-lg").first.wait_for()
    open_tab(page, "Upscale")
    purpose = page.get_by_text("Worn pictures, twice as large")
    playwright.expect(purpose).not_to_be_visible()
    page.get_by_label("worn").click()
    purpose.wait_for()
    page.get_by_role("button", name="Upscale 2x").wait_for()
    page.close()


def test_the_fidelity_mixes_the_weights_of_both_parts(tmp_path: Path) -> None:
    model = Upscaler(width=8, depth=1)
    model.save_pretrained(tmp_path)
    assert not Upscaler.has_fidelity(tmp_path)
    torch.nn.init.normal_(model.network.tail.weight)
    save_file(model.state_dict(), tmp_path / "pixel.safetensors")
    assert Upscaler.has_fidelity(tmp_path)
    noise = Image.effect_noise((8, 8), 50).convert("RGB")
    one, same, other = (enlarge(str(tmp_path), [noise], fidelity)[0].tobytes() for fidelity in (0.0, 0.01, 1.0))
    assert one == same != other


def test_broken_weights_are_an_error_that_tells_the_label_and_not_the_path(tmp_path: Path) -> None:
    generator, upscaler = Generator(width=4), Upscaler(scale=2, width=4, depth=1)
    for model, name in ((generator, "g"), (upscaler, "u")):
        torch.nn.init.constant_(next(model.parameters()), float("nan"))
        model.save_pretrained(tmp_path / name)
    with pytest.raises(ModelError, match="the weights of g hold NaN"):
        make(str(tmp_path / "g"), generator.latents(2, seed=0), None)
    with pytest.raises(ModelError, match="the weights of u hold NaN"):
        enlarge(str(tmp_path / "u"), [Image.new("RGB", (8, 8))])
    (tmp_path / "u" / "pixel.safetensors").write_bytes(b"cut short")
    with pytest.raises(ModelError, match=r"u/pixel\.safetensors is damaged") as raised:
        enlarge(str(tmp_path / "u"), [Image.new("RGB", (8, 8))], 1.0)
    assert str(tmp_path) not in str(raised.value)
