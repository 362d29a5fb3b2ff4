"""What is installed, in its three places: pyproject.toml, requirements.txt (a Space's), the README's header."""

import re

import yaml

from helpers.common import ROOT
from hubgan.training.options import RECIPES, recipes

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
