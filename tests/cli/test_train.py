"""`hubgan train`, as a person meets it first."""

import shlex
import shutil
from pathlib import Path

import pytest
from PIL import Image

from helpers.command_line import Run
from helpers.common import SAMPLE, names
from helpers.launching import TINY
from hubgan import Translator
from hubgan.cli.train import _next
from hubgan.errors import ModelError
from hubgan.publish.folder import push_folder
from hubgan.training import parse


@pytest.fixture
def run(hubgan: Run) -> Run:
    """Run `hubgan`."""
    return hubgan


@pytest.mark.slow
def test_a_first_run_says_what_it_does_and_what_comes_next(run: Run, tmp_path: Path) -> None:
    status, said, complained = run("train", *TINY, "--max_steps", 1)
    assert status == 0
    steps = ["Loading PyTorch ...", "Recipe quickstart: Two minutes on a CPU", "Expect coloured blobs",
             "Opening the data set", "Building the networks ...", "Training in runs/quickstart"]  # fmt: skip
    places = [complained.index(step) for step in steps]
    assert places == sorted(places) and places[0] == 0
    heading, *commands = said.splitlines()
    assert heading == "Next steps:"
    use, show, push = (command.partition("  #")[0].strip() for command in commands)
    assert show == "hubgan demo --generator runs/quickstart"
    assert push == "hubgan push runs/quickstart USER/quickstart"
    assert run(*shlex.split(use)[1:], "-n", 1, "--seed", 0)[0] == 0
    assert names(tmp_path / "quickstart-samples") == {"seed0-0000.png"}


@pytest.mark.slow
def test_a_first_try_with_pictures_of_ones_own_says_what_to_expect(run: Run, tmp_path: Path) -> None:
    shutil.copytree(SAMPLE, tmp_path / "my photos")
    status, said, _ = run("train", *TINY, "--dataset", "./my photos", "--max_steps", 1)
    assert status == 0
    expect, heading, *commands = said.splitlines()
    assert expect.startswith("Two minutes of quickstart give blobs") and heading == "Next steps:"
    use, show, longer = (command.partition("  #")[0].strip() for command in commands)
    assert (use, show) == ("hubgan sample runs/quickstart", "hubgan demo --generator runs/quickstart")
    assert longer == "hubgan train --config folder-64 --dataset './my photos'"
    assert parse(shlex.split(longer)[2:]).dataset == "./my photos"


@pytest.mark.slow
def test_the_plan_needs_no_data_set(run: Run, tmp_path: Path) -> None:
    options = ["--dry_run", "--dataset", "nobody/pictures", "--conditional", "--max_steps", 5]
    status, said, complained = run("train", *TINY, *options)
    assert status == 0, complained
    for words in ("Generator dcgan", "MiB on the device",
                  "not opened: 'nobody/pictures' is not a folder on this machine",
                  "two classes are assumed", "for 80 images on this machine, estimated by a few"):  # fmt: skip
        assert words in said, words
    assert not names(tmp_path)
    status, _, complained = run("train", *TINY, "--dry_run", "--dataset", "./no/such", "--max_steps", 5)
    assert status == 2 and "the folder ./no/such does not exist" in complained  # a wrong path stays an error


def test_an_unlabelled_folder_is_told_what_classes_need(run: Run, tmp_path: Path) -> None:
    (tmp_path / "flat").mkdir()
    for index in range(2):
        Image.new("RGB", (8, 8), (index, 0, 0)).save(tmp_path / "flat" / f"{index}.png")
    status, _, complained = run("train", *TINY, "--dry_run", "--dataset", "flat", "--conditional", "--max_steps", 5)
    assert status == 2 and "flat has no known labels" in complained
    assert "--label_column" in complained and "make a subfolder for each class" in complained


def test_an_unfinished_run_is_not_used_as_a_model(run: Run, tmp_path: Path) -> None:
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    (tmp_path / "runs" / "mine" / "run.json").write_text("{}")
    for command in (["sample", "runs/mine"], ["info", "runs/mine"]):
        status, _, complained = run(*command)
        assert status == 2 and "the run in runs/mine is not finished. Continue it with: hubgan train" in complained
        assert "--config runs/mine/recipe.yaml --output_dir runs/mine --resume" in complained
    with pytest.raises(ModelError, match="is not finished"):
        push_folder("runs/mine", "tester/mine")


def test_what_cannot_be_trained_is_told_in_a_line(run: Run) -> None:
    status, said, complained = run("train", "--config", "quikstart")
    assert (status, said) == (2, "")
    assert complained.endswith(
        "hubgan train: error: the recipe 'quikstart' does not exist. Did you mean 'quickstart'?\n"
    )
    status, _, complained = run("train", "--max_stepz", 3)
    assert status == 2 and "--max_steps" in complained


@pytest.mark.parametrize(("kind", "picture"), [("edges", "drawing.png"), ("grey", "photo.jpg")])
def test_the_next_command_names_a_picture_that_suits_the_translator(kind: str, picture: str, tmp_path: Path) -> None:
    Translator("resnet", width=4, depth=1, input=kind).save_pretrained(tmp_path)
    said = _next(tmp_path, parse(["--config", "colorize"]), first_try=False)
    assert f"hubgan translate {tmp_path} {picture}" in said
