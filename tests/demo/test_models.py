"""The demo's models: which there are, what the page says of each, and one that cannot be loaded."""

import runpy
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

gr = pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'hubgan[demo]'")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")

from helpers.browsing import open_tab, upload
from helpers.common import ROOT
from helpers.demo_server import environment, launched_here
from hubgan import Generator, Translator, Upscaler
from hubgan.demo import build_demo, strings
from hubgan.demo.generate import GenerateTab
from hubgan.demo.limits import Limits
from hubgan.demo.models import ModelRegistry, enlarge, load_generator, load_translator, load_upscaler, make, translate
from hubgan.demo.translate import TranslateTab
from hubgan.demo.upscale import UpscaleTab
from hubgan.errors import ConfigError, ModelError
from hubgan.models import HubModel


@pytest.mark.slow
def test_a_kind_without_models_has_no_tab(tmp_path: Path) -> None:
    Generator(image_size=16, width=4).save_pretrained(tmp_path / "gen")
    Upscaler(width=4, depth=1).save_pretrained(tmp_path / "up")

    def components(*kinds: list[str]) -> list[dict[str, Any]]:
        return [component["props"] for component in build_demo(*kinds).get_config_file()["components"]]

    def labels(*kinds: list[str]) -> set[str]:
        return {str(props.get("label")) for props in components(*kinds)}

    gen, up = [str(tmp_path / "gen")], [str(tmp_path / "up")]
    assert {"Generate", "About"} <= labels(gen) and not {"Upscale", "Translate"} & labels(gen)
    assert {"Upscale", "About"} <= labels([], up) and not {"Generate", "Translate"} & labels([], up)
    sends = [props for props in components(gen) if props.get("value") == strings.SEND]
    assert [props["visible"] for props in sends] == [False]
    with pytest.raises(ConfigError, match="The demo has no model"):
        build_demo()


@pytest.mark.slow
def test_a_model_that_cannot_be_loaded_leaves_the_rest_usable(
    blank: "playwright.Page", space: Path, red_picture: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "broken").mkdir()
    page, upscalers = blank, [tmp_path / "absent", space / "tiny-upscaler"]
    with launched_here(space / "cache", [tmp_path / "broken"], upscalers) as url:
        page.goto(url)
        page.get_by_text("This tab cannot be used now.").wait_for()
        assert str(tmp_path) not in page.content()
        playwright.expect(page.get_by_role("button", name="Generate", exact=True)).to_be_disabled()
        upload(page, red_picture)
        page.get_by_text("8 x 8 → 24 x 24 pixels by tiny-upscaler").wait_for()
        page.get_by_label("absent", exact=True).check()
        page.get_by_text("absent cannot be used now. Choose another model.").wait_for()
        page.goto("about:blank")
    assert f"{tmp_path / 'broken'} cannot be loaded" in caplog.text


@pytest.mark.e2e
@pytest.mark.slow
def test_bad_settings_end_the_demo_with_one_line(space: Path) -> None:
    twice = environment(space, HUBGAN_UPSCALERS="me/one, you/one,me/one")
    result = subprocess.run(
        [sys.executable, "app.py"], cwd=space, env=twice, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 2, result.stderr
    (line,) = result.stderr.splitlines()
    assert "HUBGAN_GENERATORS, HUBGAN_UPSCALERS or HUBGAN_TRANSLATORS" in line


def test_a_bad_limit_ends_the_demo_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HUBGAN_MAX_MINUTES", "long")
    monkeypatch.setattr(sys, "path", [*sys.path])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "app.py"), run_name="__main__")
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "HUBGAN_MAX_MINUTES is long. Give a number above 0, or inf for no limit" in line


@pytest.mark.slow
def test_the_page_says_what_a_model_is_for(other_page: "playwright.Page") -> None:
    page = other_page
    page.locator(".samples:not(.pixels) .thumbnail-lg").first.wait_for()
    open_tab(page, "Upscale")
    purpose = page.get_by_text("Worn pictures, twice as large")
    playwright.expect(purpose).not_to_be_visible()
    page.get_by_label("worn").click()
    purpose.wait_for()
    page.get_by_role("button", name="Upscale 2x").wait_for()


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
    generator, upscaler, translator = Generator(width=4), Upscaler(scale=2, width=4, depth=1), Translator(width=8)
    for model, name in ((generator, "g"), (upscaler, "u"), (translator, "t")):
        torch.nn.init.constant_(next(model.parameters()), float("nan"))
        model.save_pretrained(tmp_path / name)
    with pytest.raises(ModelError, match="the weights of g hold NaN"):
        make(str(tmp_path / "g"), generator.latents(2, seed=0), None)
    with pytest.raises(ModelError, match="the weights of u hold NaN"):
        enlarge(str(tmp_path / "u"), [Image.new("RGB", (8, 8))])
    with pytest.raises(ModelError, match="the weights of t hold NaN"):
        translate(str(tmp_path / "t"), Image.new("RGB", (8, 8)), None, None, False)
    (tmp_path / "u" / "pixel.safetensors").write_bytes(b"cut short")
    with pytest.raises(ModelError, match=r"u/pixel\.safetensors is damaged") as raised:
        enlarge(str(tmp_path / "u"), [Image.new("RGB", (8, 8))], 1.0)
    assert str(tmp_path) not in str(raised.value)


@pytest.mark.parametrize(
    ("tab", "load", "model"),
    [
        (GenerateTab, load_generator, Generator(width=4)),
        (partial(UpscaleTab, limits=Limits()), load_upscaler, Upscaler(scale=2, width=4, depth=1)),
        (partial(TranslateTab, limits=Limits()), load_translator, Translator(width=8)),
    ],
)
def test_the_page_says_that_weights_are_broken(tab: Any, load: Any, model: HubModel, tmp_path: Path) -> None:
    torch.nn.init.constant_(next(model.parameters()), float("nan"))
    model.save_pretrained(tmp_path / "bad")
    with gr.Blocks():
        page = tab(ModelRegistry(load, [str(tmp_path / "bad")]))
    words = page.show_model("bad")[page._problem].value
    assert words.startswith("**This tab cannot be used now.** the weights of bad hold NaN"), words


def test_the_page_says_that_a_generator_overflows(tmp_path: Path) -> None:
    model = Generator(width=4, norm="none")
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=1e30)
    model.save_pretrained(tmp_path / "bad")
    with gr.Blocks():
        page = GenerateTab(ModelRegistry(load_generator, [str(tmp_path / "bad")]))
    shown = page.show_model_and_images("bad")
    assert "bad computes NaN or infinity" in shown[page._problem].value
    assert shown[page._gallery] == [] and not shown[page._generate].interactive
