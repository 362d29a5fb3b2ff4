"""Which names are paths, and what is said about those that do not exist."""

from pathlib import Path

import pytest
from huggingface_hub import constants

from helpers.loopback_hub import LoopbackHub
from hubgan.runtime.names import did_you_mean, existing, hub_answers, is_path, without_folders


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder holds `runs/quickstart/model`."""
    (tmp_path / "runs" / "quickstart" / "model").mkdir(parents=True)
    (tmp_path / "café [1]").mkdir()
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", ["./x", "../x", "~/x", "~nobody-here/x", "/x", "a/b/c", "runs/x", "runs/", ".", "/"])
def test_paths(name: str) -> None:
    assert is_path(name)


@pytest.mark.parametrize("name", ["x", "user/x", "runs", "hf://datasets/user/x", "x" * 300, "x\0/y", ""])
def test_names_that_the_hub_may_know(name: str) -> None:
    assert not is_path(name)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("runs/quikstart", "runs/quickstart"),
        ("./runs/quikstart/model", "runs/quickstart/model"),
        ("runs/quikstart/other/thing", "runs/quickstart"),
        ("runs/quickstart/modle", "runs/quickstart/model"),
        ("rusn", "runs"),
        ("cafe [1]", "café [1]"),
        ("runs/of another kind", ""),
        ("rusn/x", ""),  # a user's name on the Hub
        ("~nobody-here/x", ""),
        ("x\0/y/z", ""),
    ],
)
def test_the_nearest_path(name: str, found: str) -> None:
    assert did_you_mean(name) == (found and f"Did you mean {found}?")


def test_the_nearest_path_is_of_the_kind_that_is_meant() -> None:
    for name in ("photo-x4.jpg", "other.safetensors"):
        Path(name).touch()
    assert did_you_mean("photo-x4.jpe") == did_you_mean("photo-x4") == ""
    assert did_you_mean("othr.safetensors", (".safetensors",)) == "Did you mean other.safetensors?"


def test_what_exists_and_what_a_card_calls_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert existing("runs") == Path("runs") and existing("~/runs") == tmp_path / "runs"
    for name in ("", "~nobody-here/x", "x" * 300, "x\0/y", "/gone/pictures", "user/x"):
        assert existing(name) is None
    for name, shown in (("~/runs/quickstart", "quickstart"), ("/gone/pictures", "pictures"), ("user/x", "user/x")):
        assert without_folders(name) == shown


def test_the_hub_answers_or_not(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hub_answers()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert not hub_answers()
    monkeypatch.undo()
    hub.stop()
    assert not hub_answers()
    monkeypatch.setenv("NO_PROXY", "example.org")
    assert not hub_answers()
    monkeypatch.setenv("ALL_PROXY", "http://proxy.example:3128")
    assert hub_answers()  # the proxy may reach it
