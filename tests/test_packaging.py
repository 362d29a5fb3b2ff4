"""What is installed, in its three places: pyproject.toml, requirements.txt (a Space's), the README's header."""

import re

import yaml

from helpers.common import ROOT
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
