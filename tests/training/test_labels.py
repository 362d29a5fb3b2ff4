"""Runs that learn classes, and networks with options of their own."""

from pathlib import Path

import pytest
import torch

from helpers.common import equal
from helpers.launching import TINY, metrics, train_here, train_in_two
from hubgan import Discriminator, Generator
from hubgan.errors import ConfigError
from hubgan.training import parse
from hubgan.training.tasks.generation import Generation

NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

CONDITIONAL = [*TINY, "--conditional", "True", "--max_steps", "6", "--sample_every", "100", "--mixed_precision", "no"]
R3GAN = ["--generator.architecture", "r3gan", "--discriminator.architecture", "r3gan", "--generator.width", "8",
         "--discriminator.width", "8", "--generator.depth", "1", "--discriminator.depth", "1",
         "--objective", "relativistic", "--r1_weight", "1", "--r2_weight", "1", "--penalty_every", "2"]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "network", [[], R3GAN, ["--generator.architecture", "sngan", "--discriminator.architecture", "sngan"]]
)
def test_a_run_learns_classes(network: list[str], tmp_path: Path) -> None:
    run = train_here(*CONDITIONAL, *network, "--output_dir", str(tmp_path / "run"))
    generator = Generator.from_pretrained(run)
    assert generator.labels == NAMES
    assert len(generator.sample(labels=["horse", "ship"])) == 2
    assert Discriminator.from_pretrained(run, subfolder="discriminator").config["classes"] == 10
    assert metrics(run)[-1]["steps"] == 6
    assert "seed 0, 8 of each class" in (run / "README.md").read_text()


@pytest.mark.parametrize(("classes", "rows"), [(3, 3), (40, 16)])
def test_the_samples_have_a_row_a_class(classes: int, rows: int) -> None:
    generator = Generator(width=4, image_size=16, labels=[f"class {number}" for number in range(classes)])
    picture = Generation(parse(CONDITIONAL)).preview({"generator": generator})
    assert picture.height == rows * 18 + 2 and picture.width > 8 * 18 + 2  # names at the left
    shown = picture.crop((picture.width - 18, 2 * 18 + 2, picture.width - 2, 2 * 18 + 18))
    assert shown == generator.sample(8 * rows, seed=0, labels=generator.labels[:rows])[7 * rows + 2]


@pytest.mark.slow
def test_a_stream_and_chosen_classes(tmp_path: Path) -> None:
    options = ["--streaming", "True", "--classes", "ship", "cat"]
    run = train_here(*CONDITIONAL, *options, "--output_dir", str(tmp_path / "run"))
    assert Generator.from_pretrained(run).labels == ("ship", "cat")


@pytest.mark.slow
def test_two_processes_learn_what_one_does(tmp_path: Path) -> None:
    options = [*CONDITIONAL, *R3GAN, "--log_every", "1"]
    train_here(*options, "--batch_size", "8", "--output_dir", str(tmp_path / "one"))
    train_in_two(tmp_path / "two", *options, "--batch_size", "4")
    names = ("images", "discriminator", "adversarial", "r1", "r2", "generator_gradient_norm")
    one, two = (
        torch.tensor([[line.get(name, 0) for name in names] for line in metrics(tmp_path / run)])
        for run in ("one", "two")
    )
    torch.testing.assert_close(one, two, rtol=2e-3, atol=1e-5)


@pytest.mark.slow
def test_a_resumed_run_ends_as_one_never_stopped(tmp_path: Path) -> None:
    options = [*CONDITIONAL, *R3GAN, "--checkpoint_every", "3"]
    whole = train_here(*options, "--output_dir", str(tmp_path / "whole"))
    for steps in ("3", "6"):
        parts = train_here(*options, "--max_steps", steps, "--resume", "auto", "--output_dir", str(tmp_path / "parts"))
    one, other = (Generator.from_pretrained(folder) for folder in (whole, parts))
    assert equal(one, other)


def test_an_option_that_a_network_has_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match="dcgan has no option 'depth'"):
        Generator("dcgan", depth=2)
    with pytest.raises(SystemExit, match="2"):
        train_here(*TINY, "--generator.depth", "2", "--max_steps", "1", "--output_dir", str(tmp_path))
    assert "Unrecognized options: --generator.depth" in capsys.readouterr().err


def test_an_option_that_one_network_has(tmp_path: Path) -> None:
    run = train_here(*TINY, "--discriminator.architecture", "r3gan", "--discriminator.depth", "1",
                     "--discriminator.patch", "2",
                     "--max_steps", "1", "--output_dir", str(tmp_path))  # fmt: skip
    assert "depth" not in Generator.from_pretrained(run).config
    assert Discriminator.from_pretrained(run / "discriminator").config["depth"] == 1
