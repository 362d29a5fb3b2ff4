"""The Space: pushed with the real client, and what it uploads started where nothing else is installed."""

import importlib.metadata
import logging
import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from huggingface_hub import HfApi, SpaceCard, snapshot_download
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PIL import Image
from safetensors.torch import save_file

from helpers.common import ROOT
from helpers.loopback_hub import Fault, LoopbackHub
from hubgan import Generator, Translator, Upscaler
from hubgan.cli import main
from hubgan.demo.models import upscaling_seconds
from hubgan.errors import ConfigError, HubganError, ModelError
from hubgan.hub.upload import Pushed
from hubgan.publish.space import RECORD, push_space

pytestmark = pytest.mark.slow  # each talks to a Hub

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SPACE, SIZE, SCALE = "tester/demo", 16, 3
ZERO_GPU = "2.8", "2.11.3"  # the oldest and the newest torch there


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Untrained models: `gen` and `up`."""
    Generator(image_size=SIZE, width=4).save_pretrained(tmp_path / "gen")
    Upscaler(scale=SCALE, width=4, depth=1).save_pretrained(tmp_path / "up")
    return tmp_path


def push(folders: Path, **changes: Any) -> Pushed:
    models = {"generators": [str(folders / "gen")], "upscalers": [str(folders / "up")], "checkout": ROOT}
    return push_space(**{"repo_id": SPACE, **models, **changes})


def copied_checkout(folders: Path) -> Path:
    checkout = folders / "checkout"
    shutil.copytree(ROOT / "src", checkout / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("app.py", "README.md", "LICENSE", "pyproject.toml"):
        shutil.copy(ROOT / name, checkout)
    return checkout


def files() -> set[str]:
    return set(HfApi().list_repo_files(SPACE, repo_type="space"))


def text(name: str) -> str:
    return Path(HfApi().hf_hub_download(SPACE, name, repo_type="space")).read_text(encoding="utf-8")


def put(name: str, content: str) -> None:
    """As a person does it on the website."""
    HfApi().upload_file(path_or_fileobj=content.encode(), path_in_repo=name, repo_id=SPACE, repo_type="space")


def commits(hub: LoopbackHub) -> int:
    return hub.requests.count(("POST", f"/api/spaces/{SPACE}/commit/main"))


def test_one_commit_holds_the_demo_and_nothing_of_training(hub: LoopbackHub, folders: Path) -> None:
    Generator(image_size=SIZE, width=4).push_to_hub("tester/dcgan")
    (folders / "up" / "checkpoints").mkdir()
    for name in ("checkpoints/state.bin", "run.json", "samples.png"):
        (folders / "up" / name).write_bytes(b"x")
    pushed = push(folders, generators=["tester/dcgan"], private=True)

    assert pushed.changed and commits(hub) == 1
    info = HfApi().space_info(SPACE)
    assert (info.sdk, info.private) == ("gradio", True)
    assert {"app.py", "requirements.txt", "README.md", "LICENSE", "src/hubgan/demo/examples/cat.png"} < files()
    assert {name for name in files() if name.startswith("model_cards/")} == {
        f"model_cards/up/{name}" for name in ("README.md", "config.json", "model.safetensors", "samples.png")
    }
    assert not [name for name in files() if "__pycache__" in name or "/training/" in name or name.endswith("space.py")]
    app = text("app.py").splitlines()
    assert 'GENERATORS = ["tester/dcgan"]' in app and 'UPSCALERS = ["model_cards/up"]' in app

    header = SpaceCard(text("README.md")).data.to_dict()
    assert header["title"] == "demo" and header["app_file"] == "app.py" and len(header["short_description"]) <= 60
    assert header["models"] == ["tester/dcgan"]
    assert header["preload_from_hub"] == ["tester/dcgan config.json,model.safetensors"]


def test_the_requirements_are_the_demos_own_and_fit_zero_gpu(hub: LoopbackHub, folders: Path) -> None:
    push(folders)
    wanted = {line.name: line for line in requirements(text("requirements.txt"))}
    assert {"torch", "gradio", "diffusers"} <= set(wanted)
    assert not {"accelerate", "datasets", "torchvision", "spandrel", "hubgan"} & set(wanted)
    assert all(version in wanted["torch"].specifier for version in ZERO_GPU)
    assert "2.12.0" not in wanted["torch"].specifier


def test_pushing_again_makes_no_commit(hub: LoopbackHub, folders: Path) -> None:
    first, second = push(folders), push(folders)
    assert second == Pushed(first.url, changed=False) and commits(hub) == 1


@pytest.mark.slow
@pytest.mark.parametrize("status", [500, 403])
def test_a_refused_commit_leaves_the_space_as_it_was(hub: LoopbackHub, folders: Path, status: int) -> None:
    push(folders)
    before = {name: text(name) for name in files() if name.endswith(("py", "md", "txt"))}
    (folders / "up").rename(folders / "better")
    hub.inject(Fault(method="POST", path="/commit/", status=status))
    with pytest.raises(ModelError, match="Run the same command again"):
        push(folders, upscalers=[str(folders / "better")])
    assert {name: text(name) for name in files() if name.endswith(("py", "md", "txt"))} == before
    assert push(folders, upscalers=[str(folders / "better")]).changed
    assert "model_cards/better/config.json" in files() and "model_cards/up/config.json" not in files()


def test_a_commit_whose_answer_is_lost_is_whole_and_not_made_twice(hub: LoopbackHub, folders: Path) -> None:
    hub.inject(Fault(method="POST", path="/commit/", cut=True))
    with pytest.raises(ModelError, match="Run the same command again"):
        push(folders)
    assert not push(folders).changed
    assert {"app.py", "README.md", "model_cards/up/model.safetensors", RECORD} < files()


def test_an_update_deletes_what_it_sent_before_and_nothing_else(hub: LoopbackHub, folders: Path) -> None:
    checkout = copied_checkout(folders)
    (checkout / "src" / "hubgan" / "networks" / "old.py").touch()
    push(folders, checkout=checkout)
    for name in ("notes.txt", "src/hubgan/mine.py", "model_cards/mine/config.json"):
        put(name, "mine")
    assert "src/hubgan/networks/old.py" in files()

    (checkout / "src" / "hubgan" / "networks" / "old.py").unlink()
    (folders / "up").rename(folders / "better")
    push(folders, checkout=checkout, upscalers=[str(folders / "better")])
    assert {"notes.txt", "src/hubgan/mine.py", "model_cards/mine/config.json", "model_cards/gen/config.json"} < files()
    assert not {"src/hubgan/networks/old.py", "model_cards/up/config.json"} & files()
    assert "model_cards/better/config.json" in text(RECORD)


def test_names_with_brackets_are_names_and_no_patterns(hub: LoopbackHub, folders: Path) -> None:
    Upscaler(scale=SCALE, width=4, depth=1).save_pretrained(folders / "up[v2]")
    push(folders, upscalers=[str(folders / "up[v2]")])
    put("model_cards/upv/config.json", "mine")
    push(folders)
    assert "model_cards/upv/config.json" in files()
    assert not [name for name in files() if "[" in name]


@pytest.mark.slow
def test_a_readme_written_on_the_space_keeps_its_words_and_its_looks(hub: LoopbackHub, folders: Path) -> None:
    push(folders)
    header = "title: My own\nemoji: \N{CAT FACE}\npinned: true  # on top\nsdk: gradio\nsdk_version: 5.0.0"
    put("README.md", f"---\n{header}\n---\n\nMy own words.\n")
    Generator(image_size=SIZE, width=4).push_to_hub("tester/dcgan")
    push(folders, generators=["tester/dcgan"])

    card = SpaceCard(text("README.md"))
    kept = card.data.to_dict()
    assert card.text == "\nMy own words.\n"
    assert (kept["title"], kept["emoji"], kept["pinned"]) == ("My own", "\N{CAT FACE}", True)
    assert "tags" not in kept and "colorFrom" not in kept
    assert kept["sdk_version"] == SpaceCard((ROOT / "README.md").read_text()).data.sdk_version
    assert kept["models"] == ["tester/dcgan"] and kept["python_version"]
    assert not push(folders, generators=["tester/dcgan"]).changed

    push(folders)  # without a model of the Hub there is nothing to preload
    assert not {"models", "preload_from_hub"} & set(SpaceCard(text("README.md")).data.to_dict())


def test_the_websites_own_readme_gives_way_but_for_its_title(hub: LoopbackHub, folders: Path) -> None:
    HfApi().create_repo(SPACE, repo_type="space", space_sdk="gradio")
    reference = "Check out the configuration reference at https://huggingface.co/docs/hub/spaces-config-reference"
    put("README.md", f"---\ntitle: Chosen\ncolorTo: red\nsdk: gradio\nsdk_version: 5.0.0\n---\n\n{reference}\n")
    push(folders)
    card = SpaceCard(text("README.md"))
    assert (card.data.title, card.data.get("colorTo"), card.data.license) == ("Chosen", "red", "apache-2.0")
    assert card.text.startswith("\n# demo") and reference not in card.text


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"generators": ["up"]}, "describes an Upscaler, but a Generator is needed"),
        ({"upscalers": ["gen"]}, "describes a Generator, but an Upscaler is needed"),
        ({"generators": ["tester/nothing"]}, "'tester/nothing' is neither a folder .* nor a model you can see"),
        ({"upscalers": ["empty"]}, r"has no .*safetensors|has no config\.json"),
        ({"upscalers": ["other/gen"]}, r"would both become model_cards/gen\. Rename"),
        ({"upscalers": ["up", "other/up"]}, r"up and other/up would both become model_cards/up\. Rename"),
        ({"upscalers": [], "generators": []}, "no model was given"),
        ({"checkout": "gen"}, r"gen is not a checkout of hubgan: it has no app\.py.* checkout="),
    ],
)
def test_what_cannot_run_is_refused_before_the_space_is_made(
    hub: LoopbackHub, folders: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], complaint: str
) -> None:
    monkeypatch.chdir(folders)
    Path("empty").mkdir()
    for name in ("gen", "up"):
        Upscaler(width=4, depth=1).save_pretrained(f"other/{name}")
    given: dict[str, Any] = {key: Path(value) if key == "checkout" else value for key, value in changes.items()}
    with pytest.raises(HubganError, match=complaint):
        push(folders, **given)
    assert not HfApi().repo_exists(SPACE, repo_type="space")


def test_a_checkout_whose_files_cannot_be_used_is_refused(hub: LoopbackHub, folders: Path) -> None:
    checkout = copied_checkout(folders)
    (checkout / "README.md").write_text("---\ntitle: [\n---\n")
    with pytest.raises(ConfigError, match=r"the header of .*README\.md cannot be read"):
        push(folders, checkout=checkout)
    (checkout / "app.py").write_text('GENERATORS = ["a"]\nGENERATORS = ["b"]\nUPSCALERS = ["c"]\n')
    with pytest.raises(ConfigError, match=r"must have one line 'GENERATORS = ...', but has 2"):
        push(folders, checkout=checkout)


def test_a_private_model_asks_for_a_secret(hub: LoopbackHub, folders: Path, caplog: pytest.LogCaptureFixture) -> None:
    Upscaler(width=4, depth=1).push_to_hub("tester/secret", private=True)
    with caplog.at_level(logging.WARNING):
        push(folders, upscalers=["tester/secret"])
    assert "tester/secret is not public. Add a secret HF_TOKEN" in caplog.text
    header = SpaceCard(text("README.md")).data.to_dict()
    assert header["models"] == ["tester/secret"]
    assert "preload_from_hub" not in header  # the build has no secrets


@pytest.mark.slow
def test_other_peoples_weights_bring_spandrel(hub: LoopbackHub, folders: Path) -> None:
    esrgan = pytest.importorskip("spandrel").architectures.ESRGAN
    weights = esrgan.ESRGAN(in_nc=3, out_nc=3, num_filters=8, num_blocks=1, scale=2).state_dict()
    (folders / "theirs").mkdir()
    save_file(weights, folders / "theirs" / "x2.safetensors")
    HfApi().create_repo("tester/theirs")
    HfApi().upload_folder(repo_id="tester/theirs", folder_path=folders / "theirs")
    push(folders, upscalers=["tester/theirs"])
    assert "spandrel" in {line.name for line in requirements(text("requirements.txt"))}
    assert SpaceCard(text("README.md")).data.get("preload_from_hub") == ["tester/theirs x2.safetensors"]

    push(folders, upscalers=[str(folders / "theirs")])
    assert "model_cards/theirs/x2.safetensors" in files()
    push(folders, upscalers=[str(folders / "theirs" / "x2.safetensors")])
    assert "model_cards/x2/x2.safetensors" in files() and "model_cards/theirs/x2.safetensors" not in files()
    assert 'UPSCALERS = ["model_cards/x2"]' in text("app.py").splitlines()


def test_several_upscalers_travel_together(hub: LoopbackHub, folders: Path) -> None:
    shutil.copytree(folders / "up", folders / "other")
    Upscaler(width=4, depth=1).push_to_hub("tester/third")
    push(folders, upscalers=[str(folders / "up"), str(folders / "other"), "tester/third"])
    assert 'UPSCALERS = ["model_cards/up", "model_cards/other", "tester/third"]' in text("app.py").splitlines()
    assert {f"model_cards/{name}/model.safetensors" for name in ("gen", "up", "other")} <= files()
    assert SpaceCard(text("README.md")).data.get("models") == ["tester/third"]


def test_one_model_of_any_kind_is_enough(hub: LoopbackHub, folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["space", SPACE, "--upscaler", str(folders / "up")]
    assert main(command) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"{hub.url}/spaces/{SPACE}"
    app = text("app.py").splitlines()
    assert "GENERATORS = []" in app and 'UPSCALERS = ["model_cards/up"]' in app


def test_a_translator_travels_too(hub: LoopbackHub, folders: Path) -> None:
    assert push(folders).changed and "TRANSLATORS = []" in text("app.py").splitlines()
    Translator(width=8, depth=1, image_size=32).save_pretrained(folders / "draw")
    push(folders, translators=[str(folders / "draw")])
    assert 'TRANSLATORS = ["model_cards/draw"]' in text("app.py").splitlines()
    assert {"model_cards/draw/model.safetensors", "src/hubgan/demo/examples/sketches/cat.png"} <= files()


def test_zero_gpu_is_asked_for_more_time_by_larger_pictures() -> None:
    assert upscaling_seconds("", [Image.new("L", (100, 100))]) == 15
    assert upscaling_seconds("", [Image.new("L", (2000, 1000))] * 2) == 55  # as many as the demo takes


def test_zero_gpu_lends_its_gpu_to_those_that_compute(monkeypatch: pytest.MonkeyPatch) -> None:
    lent = {}

    def gpu(*, duration: object) -> Callable[[Callable[..., object]], Callable[..., object]]:
        return lambda function: lent.setdefault(function.__name__, (function, duration))[0]

    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=gpu))  # the real one acts on ZeroGPU alone
    runpy.run_path(str(ROOT / "src" / "hubgan" / "demo" / "models.py"))
    assert set(lent) == {"make", "_invert", "_enlarge", "clip_strength", "translate"}
    assert lent["make"][1] == 15 and lent["_enlarge"][1].__name__ == "upscaling_seconds"


# -- what was uploaded, running by itself -----------------------------------------------------------------


def requirements(lines: str) -> list[Requirement]:
    return [Requirement(line) for line in lines.splitlines() if line and not line.startswith("#")]


def closure(wanted: list[Requirement]) -> set[str]:
    """The names of these distributions and of all that they need on this machine."""
    found: set[tuple[str, str]] = set()
    while wanted:
        asked = wanted.pop()
        for extra in {"", *asked.extras}:
            known = canonicalize_name(asked.name), extra
            if known in found:
                continue
            found.add(known)
            for line in importlib.metadata.requires(asked.name) or []:
                needed = Requirement(line)
                if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                    wanted.append(needed)
    return {name for name, _ in found}


def environment_of(wanted: list[Requirement], folder: Path) -> Path:
    """The Python of a new environment that has what is wanted, linked from the one that runs, and nothing else."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (site,) = folder.glob("lib/python3*/site-packages")
    for name in closure(wanted):
        distribution = importlib.metadata.distribution(name)
        for file in distribution.files or []:
            if ".." not in file.parts:
                (site / file).parent.mkdir(parents=True, exist_ok=True)
                (site / file).symlink_to(distribution.locate_file(file))
    return folder / "bin" / "python"


@pytest.mark.e2e
@pytest.mark.slow
def test_what_was_uploaded_runs_with_its_requirements_alone(
    hub: LoopbackHub, folders: Path, browser: "Browser"
) -> None:
    browsing = pytest.importorskip("helpers.browsing", reason="the demo's test needs playwright")
    torch.manual_seed(1)
    Generator(image_size=SIZE, width=4).push_to_hub("tester/dcgan")
    push(folders, generators=["tester/dcgan"])
    space, home = folders / "space", folders / "home"
    snapshot_download(SPACE, repo_type="space", local_dir=space)
    home.mkdir()
    python = environment_of(requirements((space / "requirements.txt").read_text()), folders / "environment")
    Image.linear_gradient("L").resize((24, 16)).save(folders / "picture.png")
    kept = {key: os.environ[key] for key in ("PATH", "HF_ENDPOINT", "HF_HUB_DISABLE_TELEMETRY", "OMP_NUM_THREADS")}
    own = {"HOME": str(home), "HF_HOME": str(home / "hf"), "GRADIO_TEMP_DIR": str(home / "gradio")}
    environment = {**kept, **own, "GRADIO_ANALYTICS_ENABLED": "False", "PYTHONPROFILEIMPORTTIME": "1"}

    with browsing.running(python, space, environment, home / "log.txt") as url:
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.goto(url)
        made = browsing.generate(page, count=3, seed=7)
        browsing.upload(page, folders / "picture.png")
        page.get_by_text(f"24 x 16 → {24 * SCALE} x {16 * SCALE} pixels").wait_for()
        page.close()

    expected = Generator.from_pretrained("tester/dcgan").sample(3, seed=7)
    (folders / "made.png").write_bytes(made[2])
    assert Image.open(folders / "made.png").tobytes() == expected[2].tobytes()
    assert list((space / "src" / "hubgan" / "demo" / "__pycache__").glob("interface.*.pyc"))  # its own copy ran
    imported = (home / "log.txt").read_text()
    assert "hubgan.demo.interface" in imported
    assert "hubgan.training" not in imported and "torch._dynamo" not in imported  # they take seconds
