"""Which models `hubgan demo` and app.py show, and what `hubgan demo` says if it cannot."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'hubgan[demo]'")

from helpers.common import ROOT
from hubgan import Upscaler
from hubgan.demo import choice, chosen, interface

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in choice.OWN:
        monkeypatch.delenv(f"HUBGAN_{kind.upper()}", raising=False)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As if hubgan ran from no checkout."""
    monkeypatch.setattr(choice, "_CARDS", tmp_path / "model_cards")


def shown(monkeypatch: pytest.MonkeyPatch, run: Run, *argv: object) -> list[list[str]]:
    """The models that `hubgan demo` would show, by kind."""
    asked: list[list[str]] = []

    class Demo:
        def launch(self, **options: Any) -> None:
            pass

    def build_demo(*kinds: list[str]) -> Demo:
        asked.extend(kinds)
        return Demo()

    monkeypatch.setattr("hubgan.demo.build_demo", build_demo)
    assert run("demo", *argv) == (0, "", "")
    return asked


def test_hubgans_own_models_are_those_of_the_repository() -> None:
    folders = {Path(name) for kind in choice.OWN for name in chosen(kind)}
    assert folders == {file.parent for file in (ROOT / "model_cards").glob("*/config.json")}


@pytest.mark.usefixtures("installed")
def test_without_a_checkout_hubgans_own_models_are_on_the_hub() -> None:
    assert chosen("translators") == [f"{choice.OWNER}/sketch-to-emoji"]


def test_folders_lie_beside_the_app(tmp_path: Path) -> None:
    (tmp_path / "up").mkdir()
    assert chosen("upscalers", ["up", "me/up"], beside=tmp_path) == [str(tmp_path / "up"), "me/up"]


def test_options_come_before_variables_and_these_before_hubgans_own(
    monkeypatch: pytest.MonkeyPatch, hubgan: Run, upscaler: Upscaler
) -> None:
    own = [chosen(kind) for kind in choice.OWN]
    assert shown(monkeypatch, hubgan) == own
    monkeypatch.setenv("HUBGAN_UPSCALERS", " up, ")
    assert shown(monkeypatch, hubgan) == [[], ["up"], []]
    assert shown(monkeypatch, hubgan, "--generator", *own[0]) == [own[0], ["up"], []]
    assert shown(monkeypatch, hubgan, "--upscaler", *own[1]) == [[], own[1], []]


@pytest.mark.usefixtures("installed")
def test_one_error_says_what_to_do_without_the_hub(hubgan: Run) -> None:
    status, said, complained = hubgan("demo")
    assert (status, said) == (2, "")
    (line,) = complained.splitlines()
    assert f"'{choice.OWNER}/cifar-r3gan' is neither a folder" in line and "cannot be reached" in line
    assert line.endswith("run: hubgan demo --upscaler FOLDER")


def test_a_model_that_is_not_there_ends_the_demo(hubgan: Run) -> None:
    status, _, complained = hubgan("demo", "--generator", "./gone")
    assert status == 2 and "./gone does not exist" in complained and "FOLDER" not in complained


def test_a_taken_port_is_named(hubgan: Run, upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interface.ModelRegistry, "load_in_background", lambda registry: None)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, _, complained = hubgan("demo", "--upscaler", "up", "--port", port)
    assert status == 2 and f"port {port} cannot be used: another program has it. Pass another --port" in complained
