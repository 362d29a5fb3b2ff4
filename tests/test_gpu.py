"""What a machine with a GPU must show: `make gpu-check` runs these tests there. Elsewhere they are skipped."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.common import ROOT, equal
from helpers.launching import PHOTO, TINY, metrics, train_here
from hubgan import Generator, Translator, Upscaler

DEVICE = os.environ.get("HUBGAN_TEST_DEVICE", "cuda")  # cpu rehearses them
MODELS = ROOT / "model_cards"
EXAMPLES = ROOT / "src" / "hubgan" / "demo" / "examples"

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(DEVICE == "cuda" and not torch.cuda.is_available(), reason="there is no CUDA GPU"),
]


def alike(one: Image.Image, other: Image.Image) -> bool:
    """Whether two pictures differ by rounding alone. A GPU multiplies by TensorFloat32, which has ten bits."""
    difference = np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16))
    return one.size == other.size and difference.mean() < 0.5 and difference.max() <= 12


@pytest.mark.parametrize("name", ["cifar-dcgan", "cifar-r3gan"])
def test_a_seed_gives_the_same_images(name: str) -> None:
    here, there = Generator.from_pretrained(MODELS / name), Generator.from_pretrained(MODELS / name, device=DEVICE)
    images = there.sample(20, seed=0)
    assert all(np.array_equal(one, two) for one, two in zip(images, there.sample(20, seed=0), strict=True))
    assert all(map(alike, images, here.sample(20, seed=0)))


@pytest.mark.parametrize("name", ["photo-x4", "photo-x2"])
def test_a_picture_is_enlarged_alike_whole_and_by_tiles(name: str) -> None:
    picture = Image.open(EXAMPLES / "cat.png").convert("RGB").crop((0, 0, 128, 96))
    here, there = Upscaler.from_pretrained(MODELS / name), Upscaler.from_pretrained(MODELS / name, device=DEVICE)
    assert alike(there.upscale(picture), here.upscale(picture))
    assert alike(there.upscale(picture, tile=48), there.upscale(picture, tile=0))


def test_a_sketch_is_translated_alike() -> None:
    sketch = min((EXAMPLES / "sketches").glob("*.png"))
    name = MODELS / "sketch-to-emoji"
    here, there = Translator.from_pretrained(name), Translator.from_pretrained(name, device=DEVICE)
    assert alike(there.translate(sketch, seed=0), here.translate(sketch, seed=0))


@pytest.mark.parametrize("precision", ["no", "bf16", "fp16"])
@pytest.mark.parametrize("task", [TINY, PHOTO])
def test_a_run_resumes_in_each_precision(task: list[str], precision: str, tmp_path: Path) -> None:
    if DEVICE == "cpu" and precision == "fp16":
        pytest.skip("fp16 needs a GPU")
    options = [*task, "--log_every", "1", "--checkpoint_every", "3", "--mixed_precision", precision, "--deterministic"]
    whole = train_here(*options, "--max_steps", "6", "--output_dir", str(tmp_path / "whole"))
    middle = ["--resume", str(whole / "checkpoints" / "step-00000003"), "--output_dir", str(tmp_path / "part")]
    part = train_here(*options, "--max_steps", "6", *middle)
    assert all(math.isfinite(value) for line in metrics(whole) for value in line.values())
    kind = Generator if task is TINY else Upscaler
    assert equal(kind.from_pretrained(whole), kind.from_pretrained(part))


def test_compiled_networks_train(tmp_path: Path) -> None:
    run = train_here(*TINY, "--compile", "--max_steps", "4", "--log_every", "1", "--output_dir", str(tmp_path / "run"))
    assert metrics(run)[-1]["steps"] == 4
    assert Generator.from_pretrained(run).sample(1, seed=0)
