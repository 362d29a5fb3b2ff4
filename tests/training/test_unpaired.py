"""Training of translators without pairs: CUT and CycleGAN."""

from collections.abc import Sequence
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from helpers.launching import metrics, train_here, train_in_two
from hubgan import Discriminator, Translator
from hubgan.errors import ConfigError, DataError
from hubgan.training import parse, plan

pytestmark = pytest.mark.usefixtures("cache")

SMALL = ["--image_size", "16", "--translator.width", "8", "--translator.depth", "1", "--discriminator.width", "4",
         "--discriminator.depth", "2", "--batch_size", "4", "--max_images", "None", "--log_every", "1",
         "--eval_samples", "0", "--max_steps", "4"]  # fmt: skip
CUT = ["--config", "horse2zebra-cut", *SMALL, "--nce_layers", "0", "2", "3", "--nce_patches", "8"]
TASKS = {"cut": CUT}


def domain(folder: Path, count: int, colour: Sequence[int]) -> Path:
    """Noise of one colour."""
    folder.mkdir(parents=True)
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 128, (16, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels + np.array(colour, dtype=np.uint8)).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def domains(tmp_path: Path) -> list[str]:
    """The options of two folders of unequal sizes."""
    source, target = domain(tmp_path / "red", 7, (120, 0, 0)), domain(tmp_path / "blue", 5, (0, 0, 120))
    return ["--dataset", str(source), "--target_dataset", str(target)]


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_a_run_goes_on_where_it_was(task: str, domains: list[str], tmp_path: Path) -> None:
    options = [*TASKS[task], *domains, "--checkpoint_every", "2", "--keep_checkpoints", "9"]
    whole = train_here(*options, "--output_dir", str(tmp_path / "whole"))
    going_on = ["--resume", str(whole / "checkpoints" / "step-00000002"), "--output_dir", str(tmp_path / "resumed")]
    resumed = train_here(*options, *going_on)
    files = sorted(
        path.relative_to(whole) for path in whole.glob("**/model.safetensors") if "checkpoints" not in path.parts
    )
    assert len(files) == {"cut": 2, "cyclegan": 4}[task]
    for file in files:
        for key, value in load_file(whole / file).items():
            assert torch.equal(value, load_file(resumed / file)[key]), (file, key)
    assert {"discriminator", "adversarial", *{"cut": ["contrastive", "identity"]}[task]} <= metrics(whole)[-1].keys()
    model = Translator.from_pretrained(whole)
    assert model.translate(Image.new("RGB", (20, 16))).size == (16, 13)
    assert Discriminator.from_pretrained(whole, subfolder="discriminator").config["architecture"] == "patch"
    assert (
        "from column 'image' of red (7 images) to column 'image' of blue (5 images)"
        in (whole / "README.md").read_text()
    )
