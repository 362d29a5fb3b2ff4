"""What is installed, in its three places: pyproject.toml, requirements.txt (a Space's), the README's header."""

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from helpers.common import ROOT
from helpers.loopback_hub import LoopbackHub
from hubgan import Upscaler
from hubgan.demo import edit
from hubgan.publish.space import push_space, read_toml
from hubgan.training.options import RECIPES, recipes
from hubgan.version import __version__

REQUIREMENTS = [
    line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and not line.startswith("#")
]


def test_a_space_can_install_the_requirements_before_it_has_the_repository() -> None:
    assert not [line for line in REQUIREMENTS if re.match(r"-|\.|/|file:", line)]


def test_requirements_have_the_bounds_of_the_package() -> None:
    quoted = set(re.findall(r'^\s+"([^"]+)",$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE))
    listed = re.search(r"^demo = \[(.+)\]", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert listed
    demo = set(re.findall('"([^"]+)"', listed[1]))
    assert set(REQUIREMENTS) == {line for line in quoted if ">=" in line} | demo


def installed_with(extra: str) -> set[str]:
    """The distributions that `pip install hubgan[extra]` brings."""
    found: set[tuple[str, frozenset[str]]] = set()
    waiting = [Requirement(f"hubgan[{extra}]")]
    while waiting:
        wanted = waiting.pop()
        key = canonicalize_name(wanted.name), frozenset(wanted.extras)
        if key in found:
            continue
        try:
            needs = [Requirement(need) for need in distribution(wanted.name).requires or []]
        except PackageNotFoundError:  # of another system
            continue
        found.add(key)
        extras = wanted.extras or {""}
        waiting += [
            need for need in needs if not need.marker or any(need.marker.evaluate({"extra": each}) for each in extras)
        ]
    return {name for name, _ in found}


@pytest.mark.slow
def test_the_extra_of_the_demo_is_enough_to_find_a_picture_in_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its packages alone, as `make demo` installs them: all others are hidden."""
    have = installed_with("demo")
    assert {"torch", "gradio", "efficientnet-lite-pytorch"} <= have and not {"accelerate", "datasets"} & have
    hidden = [
        module
        for module, owners in packages_distributions().items()
        if not have & {canonicalize_name(owner) for owner in owners}
    ]
    monkeypatch.setattr(edit, "find_spec", lambda name: name not in hidden)
    assert edit._can_invert()
    code = f"""
from importlib.machinery import PathFinder
from importlib.metadata import Distribution, PackageNotFoundError
from packaging.utils import canonicalize_name

find, hidden = PathFinder.find_spec, set({hidden!r})
PathFinder.find_spec = lambda name, *rest: None if name.partition(".")[0] in hidden else find(name, *rest)
of_name = Distribution.from_name

def from_name(name):
    if canonicalize_name(name) not in {sorted(have)!r}:
        raise PackageNotFoundError(name)
    return of_name(name)

Distribution.from_name = from_name
from PIL import Image
from hubgan import Generator
found = Generator(image_size=8, width=4).invert(Image.new("RGB", (8, 8)), starts=1, steps=1, tuning_steps=1)
print(found.psnr > 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "True\n", done.stderr


def script_metadata() -> dict[str, Any]:
    """What `uv run train.py` reads at the top of that file (PEP 723)."""
    block = re.search(r"^# /// script\n((?:#.*\n)+?)# ///$", (ROOT / "train.py").read_text(), re.MULTILINE)
    assert block
    return read_toml(re.sub("^# ?", "", block[1], flags=re.MULTILINE))


def test_a_script_runner_installs_what_the_package_asks_for_to_train() -> None:
    """By the package itself, so that there is no second list."""
    asked, project = script_metadata(), read_toml((ROOT / "pyproject.toml").read_text())["project"]
    assert asked["requires-python"] == project["requires-python"]
    (wanted,) = map(Requirement, asked["dependencies"])
    assert (wanted.name, wanted.extras) == (project["name"], {"train"}) and "train" in project["optional-dependencies"]
    assert (ROOT / asked["tool"]["uv"]["sources"]["hubgan"]["path"] / "pyproject.toml").is_file()


@pytest.mark.skipif(not shutil.which("uv"), reason="uv is not installed")
def test_uv_runs_the_script_without_an_environment(tmp_path: Path) -> None:
    """Beside a package of the same name that needs no other, so without the network."""
    (tmp_path / "src" / "hubgan").mkdir(parents=True)
    shutil.copy(ROOT / "train.py", tmp_path)
    (tmp_path / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["uv_build>=0.7"]\nbuild-backend = "uv_build"\n'
        '[project]\nname = "hubgan"\nversion = "0"\nrequires-python = ">=3.10"\n'
        "[project.optional-dependencies]\ntrain = []\n"
    )
    (tmp_path / "src" / "hubgan" / "__init__.py").touch()
    (tmp_path / "src" / "hubgan" / "cli.py").write_text("def main(words): print(__file__, words)\n")
    environment = {**os.environ, "UV_CACHE_DIR": str(tmp_path / "cache")}
    environment.pop("VIRTUAL_ENV", None)  # uv must leave the environment of the tests alone
    command = ["uv", "run", "--offline", "--no-config", "--python", sys.executable, "train.py", "--max_steps", "1"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == f"{tmp_path / 'src' / 'hubgan' / 'cli.py'} ['train', '--max_steps', '1']\n", done.stderr
    assert "extra" not in done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which pip has installed hubgan's wheel, without what it needs."""
    pytest.importorskip("hatch_fancy_pypi_readme", reason="it builds the wheel: pip install 'hubgan[test]'")
    hatchling = pytest.importorskip("hatchling.build", reason="it builds the wheel: pip install 'hubgan[test]'")
    folder = tmp_path_factory.mktemp("wheel")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        wheel = folder / hatchling.build_wheel(str(folder))
    offline = ["--no-deps", "--no-index", "--disable-pip-version-check", "--quiet"]
    subprocess.run([sys.executable, "-m", "pip", "install", *offline, "--target", folder / "site", wheel], check=True)
    return folder / "site"


@pytest.mark.slow
def test_the_wheel_holds_all_of_the_package(installed: Path) -> None:
    def files(package: Path) -> set[str]:
        found = (path.relative_to(package) for path in package.rglob("*") if path.is_file())
        return {path.as_posix() for path in found if "__pycache__" not in path.parts}

    top = ("LICENSE", "README.md", "app.py", "pyproject.toml")
    ours = {f"publish/repository/{name}" for name in top}
    assert files(installed / "hubgan") == files(ROOT / "src" / "hubgan") | ours
    assert all(
        (installed / "hubgan/publish/repository" / name).read_bytes() == (ROOT / name).read_bytes() for name in top
    )
    assert {path.name for path in installed.iterdir()} == {"bin", "hubgan", f"hubgan-{__version__}.dist-info"}
    about = (installed / f"hubgan-{__version__}.dist-info" / "METADATA").read_text(encoding="utf-8")
    assert "\n\n# hubgan\n" in about and "sdk_version" not in about  # without the header of a Space


@pytest.mark.e2e
@pytest.mark.slow
def test_the_wheel_trains_publishes_and_demonstrates_without_a_clone(
    hub: LoopbackHub, installed: Path, tmp_path: Path, upscaler: Upscaler
) -> None:
    browsing = pytest.importorskip("helpers.browsing", reason="it launches the demo, and needs playwright")
    space, environment = "tester/demo", {**os.environ, "PYTHONPATH": str(installed)}
    for name in ("HUBGAN_GENERATORS", "HUBGAN_UPSCALERS", "HUBGAN_TRANSLATORS"):
        environment.pop(name, None)
    commands = [
        ["train", "--config", "quickstart", "--dry_run"],
        ["space", space, "--upscaler", "up"],
        ["demo", "--upscaler", "up"],
    ]
    code = f"import hubgan.cli\nprint(hubgan.__file__)\nfor words in {commands}: assert hubgan.cli.main(words) == 0"
    log = tmp_path / "log.txt"
    with browsing.running(sys.executable, tmp_path, environment, log, ["-c", code]) as url:
        page = urlopen(f"{url}/config", timeout=60).read().decode()
    said = log.read_text()
    assert str(installed / "hubgan" / "__init__.py") in said
    assert f"{installed / 'hubgan' / 'recipes' / 'cifar10-sample'}, split train" in said
    assert str(installed / "hubgan" / "demo" / "examples" / "cat.png") in page
    assert not push_space(space, upscalers=[str(tmp_path / "up")]).changed  # by the checkout


def test_the_readme_carries_a_spaces_header() -> None:
    header = yaml.safe_load((ROOT / "README.md").read_text().split("---")[1])
    assert header["sdk"] == "gradio" and (ROOT / header["app_file"]).is_file()
    assert len(header["short_description"]) <= 60


def test_recipes_and_their_images_travel_with_the_package() -> None:
    assert {"cifar-dcgan", "photo-x4", "quickstart"} <= set(recipes())
    assert (RECIPES / "cifar10-sample" / "train.parquet").stat().st_size < 1_000_000


def jobs(workflow: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / workflow).read_text())["jobs"]
    return found


def test_the_workflows_and_the_guides_name_targets_of_make() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    both = {**jobs("tests.yml"), **jobs("release.yml")}
    steps = [step.get("run", "") for job in both.values() for step in job["steps"]]
    used = {step.removeprefix("make ") for step in steps if step.startswith("make ")}
    assert used == {"quality", "test-quick", "test", "dist"}
    for guide in ("CONTRIBUTING.md", "README.md"):
        used |= set(re.findall(r"(?:^|`)make ([a-z-]+)\b", (ROOT / guide).read_text(), re.MULTILINE))
    assert used <= targets


def test_a_tag_is_published_without_a_token() -> None:
    publish = jobs("release.yml")["publish"]
    assert publish["permissions"] == {"id-token": "write"} and publish["environment"]
    assert publish["steps"][-1]["uses"].startswith("pypa/gh-action-pypi-publish@")
    (compare,) = (step["run"] for step in jobs("release.yml")["build"]["steps"] if "version.py" in step.get("run", ""))
    for tag, status in ((f"v{__version__}", 0), ("v9.9.9", 1)):
        environment = {**os.environ, "GITHUB_REF_NAME": tag}
        done = subprocess.run(
            ["bash", "-c", compare], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, check=False
        )
        assert done.returncode == status


def test_the_container_is_built_of_files_that_are_here_and_not_ignored() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    copied = [path for line in lines if line.startswith("COPY ") for path in line.split()[1:-1]]
    kept = (ROOT / ".dockerignore").read_text().splitlines()
    assert {"app.py", "src", "model_cards"} <= set(copied)
    assert all((ROOT / path).exists() and f"!{path}" in kept for path in copied)
    assert "USER 1000" in lines and 'ENTRYPOINT ["hubgan", "demo"]' in lines


def test_forms_for_issues_have_what_github_asks_for() -> None:
    forms = [*(ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")]
    assert {form.stem for form in forms} == {"bug", "feature", "config"}
    for form in (yaml.safe_load(file.read_text()) for file in forms if file.stem != "config"):
        assert form["name"] and form["description"]
        ids = [field["id"] for field in form["body"]]
        assert len(ids) == len(set(ids)) and all(field["attributes"]["label"] for field in form["body"])


def test_the_changelog_knows_the_version() -> None:
    assert re.search(rf"^## {re.escape(__version__)}\b", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
