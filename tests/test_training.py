"""Training as users start it: `accelerate launch train.py` in processes of its own, and `train()` in this one."""

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml
from accelerate.state import AcceleratorState, GradientState, PartialState
from huggingface_hub import HfApi
from PIL import Image
from torch import nn

from conftest import ROOT, SAMPLE
from hubgan import Discriminator, Generator, Upscaler
from hubgan.errors import ConfigError, DataError, ModelError
from hubgan.models import HubModel
from hubgan.training import parse, train
from hubgan.training.checkpoints import find_checkpoint
from hubgan.training.config import TrainingConfig
from hubgan.training.loop import Counters, _average
from hubgan.training.task import decay
from loopback_hub import LoopbackHub

TINY = ["--config", "quickstart", "--width", "8", "--batch_size", "16", "--max_minutes", "None", "--log_every", "4"]
PHOTO = ["--config", "photo-x4", "--dataset", str(SAMPLE), "--width", "8", "--depth", "1", "--crop_size", "32",
         "--discriminator_width", "4", "--batch_size", "8", "--log_every", "1", "--max_images", "None"]  # fmt: skip


def launch(environment: dict[str, str], processes: int, *options: str) -> None:
    """`accelerate launch --cpu train.py` with these options."""
    command = ["accelerate", "launch", "--cpu", "--num_processes", str(processes), "--num_machines", "1",
               "--mixed_precision", "no", "--dynamo_backend", "no", str(ROOT / "train.py"), *options]  # fmt: skip
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]


def metrics(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return Generator.from_pretrained(folder).state_dict()


@pytest.fixture
def here() -> Iterator[None]:
    """Lets `train()` run in this process: Accelerate keeps its state in singletons."""
    yield
    for state in (AcceleratorState, GradientState, PartialState):
        state._reset_state()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, launch_environment: dict[str, str]) -> Path:
    """A short run in one process: 12 steps."""
    folder = tmp_path_factory.mktemp("runs") / "one"
    options = ["--max_steps", "12", "--sample_every", "5", "--checkpoint_every", "5", "--output_dir", str(folder)]
    launch(launch_environment, 1, *TINY, *options)
    return folder


def test_a_run_ends_as_a_repository_ready_to_push(run: Path) -> None:
    assert Generator.from_pretrained(run).sample(3, seed=0)[0].size == (32, 32)
    assert isinstance(Discriminator.from_pretrained(run, subfolder="discriminator"), Discriminator)
    card = (run / "README.md").read_text()
    for words in ("cifar10-sample", "images seen: 192, in 12 steps of 16", "CPU thread", "![", "samples.png"):
        assert words in card
    assert str(SAMPLE.parent) not in card + (run / "config.json").read_text() + (run / "recipe.yaml").read_text()
    assert Image.open(run / "samples.png").size == (256, 256)
    assert yaml.safe_load((run / "recipe.yaml").read_text())["width"] == 8


def test_a_run_tells_of_itself_on_the_way(run: Path) -> None:
    lines = metrics(run)
    assert [line["steps"] for line in lines] == [4, 8, 12]
    assert [line["images"] for line in lines] == [64, 128, 192]
    assert all(math.isfinite(value) for line in lines for value in line.values())
    assert all(line["images_per_second"] > 0 for line in lines)
    assert sorted(p.name for p in (run / "samples").iterdir()) == ["step-00000005.png", "step-00000010.png"]
    assert sorted(p.name for p in (run / "checkpoints").iterdir()) == ["step-00000010", "step-00000012"]


def test_the_average_is_what_is_saved_and_not_the_last_weights(run: Path) -> None:
    last = torch.load(next((run / "checkpoints" / "step-00000012").glob("custom_checkpoint_0*")), weights_only=True)
    average = {key.removeprefix("module."): value for key, value in last.items()}
    for key, value in weights(run).items():
        assert torch.equal(value, average[key])


def test_a_resumed_run_ends_like_one_never_stopped(run: Path, tmp_path: Path, here: None) -> None:
    options = [*TINY, "--max_steps", "40", "--checkpoint_every", "100"]  # past the end of an epoch of 31 steps
    whole = train(parse([*options, "--output_dir", str(tmp_path / "whole")]))
    for state in (AcceleratorState, GradientState, PartialState):
        state._reset_state()
    checkpoint = str(run / "checkpoints" / "step-00000010")
    resumed = train(parse([*options, "--output_dir", str(tmp_path / "resumed"), "--resume", checkpoint]))
    assert metrics(resumed)[-1]["steps"] == 40
    for key, value in weights(whole).items():
        assert torch.equal(weights(resumed)[key], value), key


def test_a_run_resumed_in_a_later_epoch_ends_the_same(tmp_path: Path, here: None) -> None:
    options = [*TINY, "--batch_size", "100", "--max_steps", "12"]  # epochs of 5 steps
    whole = train(parse([*options, "--checkpoint_every", "7", "--output_dir", str(tmp_path / "whole")]))
    for state in (AcceleratorState, GradientState, PartialState):
        state._reset_state()
    checkpoint = str(whole / "checkpoints" / "step-00000007")
    resumed = train(parse([*options, "--output_dir", str(tmp_path / "resumed"), "--resume", checkpoint]))
    for key, value in weights(whole).items():
        assert torch.equal(weights(resumed)[key], value), key


def test_resume_auto_goes_on_from_the_last_checkpoint(run: Path, tmp_path: Path, here: None) -> None:
    options = [*TINY, "--output_dir", str(tmp_path / "run"), "--checkpoint_every", "3", "--resume", "auto"]
    train(parse([*options, "--max_steps", "3"]))  # nothing to resume yet: starts
    for state in (AcceleratorState, GradientState, PartialState):
        state._reset_state()
    train(parse([*options, "--max_steps", "6"]))
    assert [line["steps"] for line in metrics(tmp_path / "run")] == [3, 4, 6]


def test_two_processes(launch_environment: dict[str, str], tmp_path: Path) -> None:
    launch(launch_environment, 2, *TINY, "--max_steps", "6", "--output_dir", str(tmp_path / "two"))
    assert metrics(tmp_path / "two")[-1]["images"] == 6 * 16 * 2
    assert len(Generator.from_pretrained(tmp_path / "two").sample(2, seed=0)) == 2
    assert "6 steps of 32" in (tmp_path / "two" / "README.md").read_text()


def test_upscaling_in_two_processes_starts_with_pixels_and_goes_on_adversarially(
    launch_environment: dict[str, str], tmp_path: Path
) -> None:
    launch(
        launch_environment, 2, *PHOTO, "--max_steps", "4", "--pixel_share", "0.5", "--output_dir", str(tmp_path / "r")
    )
    lines = metrics(tmp_path / "r")
    assert [set(line) & {"pixel", "adversarial", "perceptual", "discriminator"} for line in lines] == [
        {"pixel"}, {"pixel"}, *[{"pixel", "adversarial", "perceptual", "discriminator"}] * 2]  # fmt: skip
    assert all(math.isfinite(value) for line in lines for value in line.values())
    assert lines[-1]["images"] == 4 * 8 * 2
    assert Upscaler.from_pretrained(tmp_path / "r").upscale(Image.new("RGB", (5, 4))).size == (20, 16)
    assert "bicubic" in (tmp_path / "r" / "README.md").read_text()


@pytest.mark.parametrize("objective", ["minimax", "hinge", "least_squares", "relativistic"])
def test_every_objective_trains(objective: str, tmp_path: Path, here: None) -> None:
    options = ["--objective", objective, "--max_steps", "4", "--clip_grad_norm", "1", "--lr_schedule", "linear"]
    train(parse([*TINY, *options, "--output_dir", str(tmp_path / "run")]))
    assert all(p.isfinite().all() for p in Generator.from_pretrained(tmp_path / "run").parameters())


def test_bf16_and_no_average(tmp_path: Path, here: None) -> None:
    options = ["--mixed_precision", "bf16", "--ema_decay", "0", "--max_images", "32", "--channels", "1"]
    train(parse([*TINY, *options, "--output_dir", str(tmp_path / "run")]))
    model = Generator.from_pretrained(tmp_path / "run")
    assert (model.dtype, model.channels) == (torch.float32, 1)
    assert "bf16" in (tmp_path / "run" / "README.md").read_text()


def test_a_run_is_pushed_when_it_ends(hub: LoopbackHub, tmp_path: Path, here: None) -> None:
    options = ["--max_steps", "2", "--push_to_hub", "tester/dcgan", "--output_dir", str(tmp_path / "run")]
    train(parse([*TINY, *options]))
    files = set(HfApi().list_repo_files("tester/dcgan"))
    assert {"model.safetensors", "config.json", "README.md", "samples.png", "recipe.yaml"} < files
    assert not any(file.startswith(("checkpoints", "samples/")) for file in files)
    assert Generator.from_pretrained("tester/dcgan", cache_dir=tmp_path).training_run
    Discriminator.from_pretrained("tester/dcgan", subfolder="discriminator", cache_dir=tmp_path)


# -- what cannot be trained


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        (["--image_size", "33"], ConfigError, "power of two"),
        (["--architecture", "dcgn"], ConfigError, "did you mean 'dcgan'"),
        (["--dataset", "/nowhere/at/all"], DataError, "no folder /nowhere/at/all"),
        (["--batch_size", "501"], DataError, "fewer than one batch"),
        (["--resume", "/nowhere"], ConfigError, "is not a checkpoint"),
        (["--max_steps", "None"], ConfigError, "has no end"),
        (["--seed", "5000000000"], SystemExit, "2"),
        (["--push_to_hub", "no name"], ModelError, "not a Hub name"),
    ],
)
def test_options_that_cannot_work(
    options: list[str], error: type[Exception], words: str, tmp_path: Path, here: None
) -> None:
    with pytest.raises(error, match=words):
        train(parse([*TINY, "--max_steps", "1", "--output_dir", str(tmp_path / "run"), *options]))
    assert not (tmp_path / "run" / "model.safetensors").exists()
    assert not (tmp_path / "run" / "metrics.jsonl").exists()  # the corrected command may use the same folder


def test_crops_too_small_for_the_discriminator(tmp_path: Path, here: None) -> None:
    with pytest.raises(ConfigError, match="crop_size is 8"):
        train(parse([*PHOTO, "--max_steps", "1", "--crop_size", "8", "--output_dir", str(tmp_path / "run")]))


def test_folders_that_cannot_take_a_run(run: Path, tmp_path: Path, here: None) -> None:
    before = (run / "model.safetensors").read_bytes()
    with pytest.raises(ConfigError, match="already holds a run"):
        train(parse([*TINY, "--max_steps", "1", "--output_dir", str(run)]))
    assert (run / "model.safetensors").read_bytes() == before
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be written"):
        train(parse([*TINY, "--max_steps", "1", "--output_dir", str(tmp_path / "file" / "run")]))


def test_checkpoints_that_do_not_fit(run: Path, tmp_path: Path, here: None) -> None:
    checkpoint = run / "checkpoints" / "step-00000010"
    options = [*TINY, "--max_steps", "20", "--resume", str(checkpoint), "--output_dir", str(tmp_path / "run")]
    with pytest.raises(ModelError, match=r"cannot go on from .*made with other options"):
        train(parse([*options, "--width", "16"]))


def test_the_command_line_ends_with_one_clear_line(launch_environment: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "train.py"), "--output_dir", str(tmp_path / "run")]
    done = subprocess.run(command, env=launch_environment, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: 'uoft-cs/cifar10' is no folder on this machine")
    assert "Pass --dataset" in done.stderr


# -- parts


def test_the_average_takes_weights_and_buffers() -> None:
    model = nn.BatchNorm2d(2)
    ema = _average(model, 0.9)
    ema.update_parameters(model)
    for _ in range(500):
        model.running_mean.fill_(5.0)
        model.num_batches_tracked.add_(1)
        nn.init.constant_(model.weight, 3.0)
        ema.update_parameters(model)
    assert ema.module.running_mean.tolist() == pytest.approx([5, 5])
    assert ema.module.weight.tolist() == pytest.approx([3, 3])
    assert ema.module.num_batches_tracked == 500
    assert not ema.training and not any(p.requires_grad for p in ema.parameters())


def test_the_average_follows_its_formula() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 1.0)
    ema = _average(model, 0.5)
    expected = 1.0
    ema.update_parameters(model)
    for step, value in enumerate((2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0), start=1):
        nn.init.constant_(model.weight, value)
        ema.update_parameters(model)
        share = min(0.5, (1 + step) / (10 + step))
        expected = share * expected + (1 - share) * value
    assert ema.module.weight.item() == pytest.approx(expected)


def test_the_budget_that_is_used_up_first_counts() -> None:
    config: TrainingConfig = parse([*TINY, "--max_steps", "100", "--max_images", "50", "--max_minutes", "2"])
    counters = Counters()
    counters.steps, counters.images, counters.seconds = 10, 10, 60
    assert counters.progress(config) == 0.5
    counters.images = 50
    assert counters.progress(config) == 1


@pytest.mark.parametrize(("schedule", "half"), [("constant", 1.0), ("linear", 0.5), ("cosine", 0.5)])
def test_schedules(schedule: str, half: float) -> None:
    assert decay(schedule, 0) == 1
    assert decay(schedule, 0.5) == pytest.approx(half)
    assert decay(schedule, 1) == pytest.approx(1 if schedule == "constant" else 0)


def test_no_checkpoint_yet(tmp_path: Path) -> None:
    assert find_checkpoint("auto", tmp_path) is None


def test_models_share_one_base() -> None:
    assert all(issubclass(model, HubModel) for model in (Generator, Discriminator, Upscaler))
