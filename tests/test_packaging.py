"""What is installed, in its three places: pyproject.toml, requirements.txt (a Space's), the README's header."""

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from helpers.common import ROOT
from hubgan.publish.space import read_toml
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
def test_the_extra_of_the_demo_is_enough_to_find_a_picture_in_a_model() -> None:
    """Its packages alone, as `make demo` installs them: all others are hidden."""
    have = installed_with("demo")
    assert {"torch", "gradio", "efficientnet-lite-pytorch"} <= have and not {"accelerate", "datasets"} & have
    hidden = [
        module
        for module, owners in packages_distributions().items()
        if not have & {canonicalize_name(owner) for owner in owners}
    ]
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
from hubgan.demo.edit import _can_invert
assert _can_invert()
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


def test_the_readme_carries_a_spaces_header() -> None:
    header = yaml.safe_load((ROOT / "README.md").read_text().split("---")[1])
    assert header["sdk"] == "gradio" and (ROOT / header["app_file"]).is_file()
    assert len(header["short_description"]) <= 60


def test_recipes_and_their_images_travel_with_the_package() -> None:
    assert {"cifar-dcgan", "photo-x4", "quickstart"} <= set(recipes())
    assert (RECIPES / "cifar10-sample" / "train.parquet").stat().st_size < 1_000_000


def test_the_workflow_and_the_guide_name_targets_of_make() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text())
    steps = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
    used = {step.removeprefix("make ") for step in steps if step.startswith("make ")}
    assert used == {"quality", "test-quick", "test"}
    for guide in ("CONTRIBUTING.md", "README.md"):
        used |= set(re.findall(r"(?:^|`)make ([a-z-]+)\b", (ROOT / guide).read_text(), re.MULTILINE))
    assert used <= targets


def test_forms_for_issues_have_what_github_asks_for() -> None:
    forms = [*(ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")]
    assert {form.stem for form in forms} == {"bug", "feature", "config"}
    for form in (yaml.safe_load(file.read_text()) for file in forms if file.stem != "config"):
        assert form["name"] and form["description"]
        ids = [field["id"] for field in form["body"]]
        assert len(ids) == len(set(ids)) and all(field["attributes"]["label"] for field in form["body"])


def test_the_changelog_knows_the_version() -> None:
    assert re.search(rf"^## {re.escape(__version__)}\b", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
