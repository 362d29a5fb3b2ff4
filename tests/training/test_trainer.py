"""What a training run makes, with every option, in one process and in two."""

import itertools
import math
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from huggingface_hub import HfApi
from PIL import Image
from safetensors.torch import load_file, save_file

from helpers.common import ROOT, SAMPLE
from helpers.forking import as_main, fork, run_script
from helpers.launching import (
    CLEAN,
    PHOTO,
    TINY,
    keep_averages,
    metrics,
    state,
    train_here,
    train_in_two,
)
from helpers.loopback_hub import LoopbackHub
from hubgan import Discriminator, Generator, Upscaler
from hubgan.errors import ConfigError, DataError, ModelError, TrainingError
from hubgan.models import HubModel
from hubgan.training import parse
from hubgan.training.adversarial import AdversarialLoss
from hubgan.training.config import TrainingConfig
from hubgan.training.schedules import value_at
from hubgan.training.task import Batch, Phase
from hubgan.training.tasks.upscaling import Upscaling, _places
from hubgan.training.trainer import Counters, progress_bar

# Without BatchNorm, whose statistics are those of one process's batch where no GPU is.
STRIDED = ["--upscaler.scale", "2", "--upscaler.stride", "4"]
NO_BATCH_NORM = ["--generator.norm", "none", "--discriminator.norm", "spectral"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run in one process: 12 steps."""
    folder = tmp_path_factory.mktemp("runs") / "one"
    options = ["--max_steps", "12", "--sample_every", "5", "--checkpoint_every", "5", "--report_to", "tensorboard"]
    return train_here(*TINY, *options, "--output_dir", str(folder))


@pytest.mark.slow
def test_a_run_ends_as_a_repository_ready_to_push(run: Path) -> None:
    assert Generator.from_pretrained(run).sample(3, seed=0)[0].size == (32, 32)
    assert isinstance(Discriminator.from_pretrained(run, subfolder="discriminator"), Discriminator)
    card = (run / "README.md").read_text()
    for words in ("cifar10-sample", "images seen: 192, in 12 steps of 16", "CPU thread", "![", "samples.png"):
        assert words in card
    assert str(SAMPLE.parent) not in card + (run / "config.json").read_text() + (run / "recipe.yaml").read_text()
    assert Image.open(run / "samples.png").size == (274, 274)
    assert yaml.safe_load((run / "recipe.yaml").read_text())["generator"]["width"] == 8


@pytest.mark.slow
def test_a_run_tells_of_itself_on_the_way(run: Path) -> None:
    lines = metrics(run)
    assert [line["steps"] for line in lines] == [4, 8, 12]
    assert [line["images"] for line in lines] == [64, 128, 192]
    assert all(math.isfinite(value) for line in lines for value in line.values())
    assert all(line["images_per_second"] > 0 for line in lines)
    assert sorted(p.name for p in (run / "samples").iterdir()) == [
        "step-00000005.png", "step-00000010.png", "step-00000012.png"]  # fmt: skip
    assert sorted(p.name for p in (run / "checkpoints").iterdir()) == ["step-00000010", "step-00000012"]


@pytest.mark.slow
def test_the_average_is_what_is_saved_and_not_the_last_weights(run: Path) -> None:
    average = state(run / "checkpoints" / "step-00000012", 0)
    average = {key.rpartition("network.")[2]: value for key, value in average.items()}
    last = load_file(run / "checkpoints" / "step-00000012" / "model.safetensors")
    saved = Generator.from_pretrained(run).state_dict()
    for key, value in saved.items():
        assert torch.equal(value, average[key.removeprefix("network.")])
    assert not torch.equal(saved["network.layers.0.weight"], last["network.layers.0.weight"])


@pytest.mark.slow
def test_two_processes(tmp_path: Path) -> None:
    train_in_two(tmp_path / "two", *TINY, "--max_steps", "6")
    assert metrics(tmp_path / "two")[-1]["images"] == 6 * 16 * 2
    assert len(Generator.from_pretrained(tmp_path / "two").sample(2, seed=0)) == 2
    assert "6 steps of 32" in (tmp_path / "two" / "README.md").read_text()


@pytest.mark.slow
def test_upscaling_in_two_processes_starts_with_pixels_and_goes_on_adversarially(tmp_path: Path) -> None:
    train_in_two(tmp_path / "r", *PHOTO, "--max_steps", "4", "--pixel_share", "0.5")
    lines = metrics(tmp_path / "r")
    assert [set(line) & {"pixel", "adversarial", "perceptual", "discriminator"} for line in lines] == [
        {"pixel"}, {"pixel"}, *[{"pixel", "adversarial", "perceptual", "discriminator"}] * 2]  # fmt: skip
    assert all(math.isfinite(value) for line in lines for value in line.values())
    assert lines[-1]["images"] == 4 * 8 * 2
    assert Upscaler.from_pretrained(tmp_path / "r").upscale(Image.new("RGB", (5, 4))).size == (20, 16)
    assert "bicubic" in (tmp_path / "r" / "README.md").read_text()
    mixed = [Upscaler.from_pretrained(tmp_path / "r", fidelity=fidelity).state_dict() for fidelity in (0.0, 1.0)]
    assert not torch.equal(*(weights["network.head.weight"] for weights in mixed))


@pytest.mark.parametrize(("difference", "wanted"), [((0.1, 0.1, 0.1), 0.3), ((0.114, 0.0, -0.299), 0.413 / 3)])
def test_the_pixel_loss_may_weigh_luma(difference: tuple[float, ...], wanted: float) -> None:
    real = torch.zeros(1, 3, 4, 4)
    task = Upscaling(parse([*PHOTO, *CLEAN, "--luma_weight", "2", "--perceptual_weight", "0"]))  # type: ignore[arg-type]
    fake = real + torch.tensor(difference).view(1, 3, 1, 1)
    found = task.losses(Phase("pixel", ("upscaler",)), {}, Batch({"real": real}, cache={"fake": fake}))
    assert found.terms["pixel"].item() == pytest.approx(wanted)  # the second differs in colour alone


def test_the_colour_loss_sees_mean_colours_alone() -> None:
    task = Upscaling(parse([*PHOTO, *CLEAN, "--colour_weight", "2", "--perceptual_weight", "0"]))  # type: ignore[arg-type]
    real = torch.zeros(1, 3, 64, 64)
    stripes = torch.tensor([0.2, -0.2]).repeat(32).expand_as(real)
    for fake, wanted in ((real + 0.1, 0.2), (stripes, 0)):
        found = task.losses(Phase("pixel", ("upscaler",)), {}, Batch({"real": real}, cache={"fake": fake}))
        assert found.terms["colour"].item() == pytest.approx(wanted, abs=1e-5)


@pytest.mark.slow
def test_training_begins_with_published_weights(tmp_path: Path) -> None:
    folders = [str(tmp_path / name) for name in ("first", "second", "third", "none")]
    first = train_here(*PHOTO, "--max_steps", "2", "--pixel_share", "1", "--output_dir", folders[0])
    begin = ["--pretrained_model", folders[0], "--pretrained_discriminator", f"{folders[0]}/discriminator"]
    rates = ["--adversarial_learning_rate", "1e-12", "--discriminator_learning_rate", "1e-12", "--ema_half_life", "0"]
    second = train_here(*PHOTO, *begin, *rates, "--max_steps", "1", "--pixel_share", "0", "--output_dir", folders[1])
    for file in ("model.safetensors", "discriminator/model.safetensors"):
        before, after = load_file(first / file), load_file(second / file)
        for key, value in before.items():
            if not key.endswith(("_u", "_v")):  # spectral normalisation's own, which change at each use
                torch.testing.assert_close(value, after[key], msg=key)
    assert (second / "pixel.safetensors").read_bytes() == (first / "model.safetensors").read_bytes()
    assert "the weights of first" in (second / "README.md").read_text()
    assert str(tmp_path) not in (second / "recipe.yaml").read_text()
    # What begins with a pixel part begins with the weights of one.
    nothing = {key: torch.zeros_like(value) for key, value in load_file(second / "model.safetensors").items()}
    save_file(nothing, second / "model.safetensors", {"format": "pt"})
    rates = ["--learning_rate", "1e-12", "--ema_half_life", "0"]
    begin = ["--pretrained_model", folders[1], *rates]
    third = train_here(*PHOTO, *begin, "--max_steps", "1", "--pixel_share", "1", "--output_dir", folders[2])
    for key, value in load_file(first / "model.safetensors").items():
        torch.testing.assert_close(value, load_file(third / "model.safetensors")[key], msg=key)
    with pytest.raises(ConfigError, match=r"is not the network that this run trains. It has depth 1 instead of 2"):
        train_here(*PHOTO, *begin, "--upscaler.depth", "2", "--max_steps", "1", "--output_dir", folders[3])


@pytest.mark.slow
def test_training_begins_with_the_weights_for_another_scale(tmp_path: Path) -> None:
    folders = [str(tmp_path / name) for name in ("first", "second")]
    steps = ["--max_steps", "1", "--pixel_share", "1", "--ema_half_life", "0"]
    first = train_here(*PHOTO, *steps, "--output_dir", folders[0])
    begin = ["--pretrained_model", folders[0], "--upscaler.scale", "2", "--learning_rate", "1e-12"]
    second = train_here(*PHOTO, *steps, *begin, "--output_dir", folders[1])
    before, after = (load_file(folder / "model.safetensors") for folder in (first, second))
    assert before.pop("network.tail.weight").shape != after["network.tail.weight"].shape
    del before["network.tail.bias"]
    for key, value in before.items():
        torch.testing.assert_close(value, after[key], msg=key)


# -- the same with other processes and batches


def figures(folder: Path, names: str) -> list[list[float]]:
    return [[line[name] for name in names.split()] for line in metrics(folder)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "names"),
    [
        (
            [*TINY, *NO_BATCH_NORM, "--augment", "color", "translation", "cutout", "--augment_probability", "0.5",
             "--r1_weight", "1", "--gradient_penalty_weight", "1", "--discriminator_steps", "2"],
            "images discriminator adversarial r1 gradient_penalty discriminator_gradient_norm real_accuracy",
        ),
        (
            # At the recipe's rate Adam makes much of rounding, where a channel hardly has a gradient.
            [*PHOTO, "--pixel_share", "0", "--discriminator.norm", "spectral",
             "--discriminator_learning_rate", "2e-4"],
            "images discriminator adversarial pixel perceptual generator_gradient_norm",
        ),
    ],
)  # fmt: skip
def test_two_processes_compute_what_one_does(task: list[str], names: str, tmp_path: Path) -> None:
    options = [*task, "--log_every", "1", "--max_steps", "6", "--sample_every", "100", "--mixed_precision", "no"]
    train_here(*options, "--batch_size", "8", "--output_dir", str(tmp_path / "one"))
    train_in_two(tmp_path / "two", *options, "--batch_size", "4")
    one, two = (torch.tensor(figures(tmp_path / run, names)) for run in ("one", "two"))
    torch.testing.assert_close(one, two, rtol=2e-3, atol=1e-5)
    for file in ("model.safetensors", "discriminator/model.safetensors"):
        one_weights, two_weights = (load_file(tmp_path / run / file) for run in ("one", "two"))
        for key, value in one_weights.items():
            torch.testing.assert_close(value, two_weights[key], rtol=1e-2, atol=1e-4, msg=key)


@pytest.mark.slow
def test_the_average_is_the_same_in_all_processes_and_saved_once(tmp_path: Path) -> None:
    """With BatchNorm, whose statistics each process has of its own batch."""
    run = tmp_path / "run"
    train_in_two(run, *TINY, "--max_steps", "3", before=keep_averages)
    one, two = (torch.load(run / f"average-{rank}.pt") for rank in (0, 1))
    for key, value in one.items():
        assert torch.equal(value, two[key]), key
    saved = Generator.from_pretrained(run).state_dict()
    assert all(torch.equal(value, one[key]) for key, value in saved.items())


@pytest.mark.slow
def test_gradients_of_several_batches_add_up_to_those_of_one(tmp_path: Path) -> None:
    options = [*PHOTO, *CLEAN, "--pixel_share", "0", "--max_steps", "4", "--perceptual_weight", "0"]
    options += ["--mixed_precision", "no"]
    options += ["--discriminator.norm", "none"]  # spectral normalisation refines itself at every use
    train_here(*options, "--batch_size", "8", "--output_dir", str(tmp_path / "one"))
    parts = ["--batch_size", "2", "--gradient_accumulation_steps", "4"]
    train_here(*options, *parts, "--output_dir", str(tmp_path / "four"))
    names = "images discriminator adversarial pixel discriminator_gradient_norm generator_gradient_norm"
    one, four = (torch.tensor(figures(tmp_path / run, names)) for run in ("one", "four"))
    torch.testing.assert_close(one, four, rtol=2e-3, atol=1e-5)


# -- options


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        ["--objective", "minimax"],
        ["--objective", "hinge", "--discriminator.norm", "spectral"],
        ["--objective", "least_squares", "--clip_grad_norm", "1"],
        ["--objective", "wasserstein", "--discriminator.norm", "none", "--discriminator_steps", "3"],
        ["--objective", "relativistic", "--r1_weight", "1", "0.1", "--r2_weight", "1", "--discriminator.norm", "none"],
    ],
)
@pytest.mark.parametrize("task", [TINY, [*PHOTO, "--pixel_share", "0", "--perceptual_weight", "0"]])
def test_every_objective_trains(task: list[str], options: list[str], tmp_path: Path) -> None:
    run = train_here(*task, *options, "--max_steps", "4", "--log_every", "1", "--output_dir", str(tmp_path / "run"))
    kind = Generator if task is TINY else Upscaler
    assert all(p.isfinite().all() for p in kind.from_pretrained(run).parameters())
    assert all(math.isfinite(value) for line in metrics(run) for value in line.values())
    wanted = {"wasserstein": {"gradient_penalty"}, "relativistic": {"r1", "r2"}}.get(options[1], set())
    assert set(metrics(run)[-1]) & {"gradient_penalty", "r1", "r2"} == wanted


def test_values_given_as_two_numbers_follow_the_images(tmp_path: Path) -> None:
    options = ["--learning_rate", "1e-3", "0", "--discriminator_learning_rate", "1e-3", "1e-4"]
    options += ["--adam_beta1", "0", "0.5", "--schedule", "linear", "--schedule_share", "0.5"]
    options += ["--max_images", "128", "--log_every", "1"]
    lines = metrics(train_here(*TINY, *options, "--output_dir", str(tmp_path / "run")))
    assert [line["learning_rate"] for line in lines] == pytest.approx([1e-3, 7.5e-4, 5e-4, 2.5e-4, 0, 0, 0, 0])
    assert lines[-1]["discriminator_learning_rate"] == pytest.approx(1e-4)
    last = torch.load(tmp_path / "run" / "checkpoints" / "step-00000008" / "optimizer.bin", weights_only=False)
    assert last["param_groups"][0]["betas"] == (0.5, 0.999)


@pytest.mark.slow
def test_figures_are_means_over_the_discriminators_steps(tmp_path: Path) -> None:
    """A lazy penalty is logged though it falls on the first of two steps."""
    options = ["--discriminator_steps", "2", "--r1_weight", "1", "--penalty_every", "4", "--log_every", "1"]
    options += ["--discriminator.norm", "spectral", "--max_steps", "4", "--output_dir", str(tmp_path / "run")]
    assert ["r1" in line for line in metrics(train_here(*TINY, *options))] == [True, False, True, False]


def test_augmentation_adapts(tmp_path: Path) -> None:
    options = ["--augment", "color", "cutout", "--augment_target", "0.6", "--max_steps", "8"]
    run = train_here(*TINY, *options, "--output_dir", str(tmp_path / "run"))
    last = metrics(run)[-1]
    assert 0 <= last["augment_probability"] <= 8 * 16 / 500_000


def test_one_class_alone(tmp_path: Path) -> None:
    options = ["--classes", "horse", "--max_steps", "2", "--output_dir", str(tmp_path / "run")]
    assert '"images": 50' in (train_here(*TINY, *options) / "run.json").read_text()


@pytest.mark.slow
def test_compiled_networks_keep_the_names_of_their_weights(tmp_path: Path) -> None:
    if shutil.which("c++") is None:
        pytest.skip("torch.compile needs a C++ compiler")
    options = ["--compile", "True", "--r1_weight", "1", "--discriminator.norm", "spectral", "--max_steps", "2"]
    options += ["--image_size", "8", "--output_dir", str(tmp_path / "run")]  # each layer takes seconds
    Generator.from_pretrained(train_here(*TINY, *options))


@pytest.mark.slow
def test_the_dry_run_tells_the_plan_and_leaves_nothing(tmp_path: Path) -> None:
    options = [*TINY, "--dry_run", "True", "--max_steps", "3", "--output_dir", str(tmp_path / "run")]
    said = run_script(ROOT / "train.py", *options, folder=tmp_path, processes=2)
    assert said.count("Plan of the recipe") == 1
    for words in ("dcgan", "parameters", "MiB", "non-saturating", "cifar10-sample", "500 images", "2 processes"):
        assert words in said
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_tensorboard_gets_the_figures(run: Path) -> None:
    assert list(run.rglob("events.out.tfevents.*"))


@pytest.mark.slow
def test_the_report_is_one_file_with_curves_and_samples(run: Path) -> None:
    page = (run / "report.html").read_text()
    assert "<svg" in page and "data:image/png;base64" in page
    assert all(link.startswith(("data:", "#")) for link in re.findall(r'(?:src|href)="([^"]*)"', page))


# -- trouble


def poison(monkeypatch: pytest.MonkeyPatch, steps: set[int]) -> None:
    """Make the generator's loss infinite at these calls, counted from 1."""
    calls, sound = itertools.count(1), AdversarialLoss.generator

    def loss(self: AdversarialLoss, *arguments: Any) -> torch.Tensor:
        return sound(self, *arguments) * (math.inf if next(calls) in steps else 1)

    monkeypatch.setattr(AdversarialLoss, "generator", loss)


def test_a_run_stops_at_the_step_where_numbers_are_not_finite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    poison(monkeypatch, {6})
    options = ["--max_steps", "8", "--checkpoint_every", "5", "--output_dir", str(tmp_path / "run")]
    with pytest.raises(TrainingError, match=r"step 6: .*generator gradient norm.*step-00000005.*learning_rate"):
        train_here(*TINY, *options)
    assert [p.name for p in (tmp_path / "run" / "checkpoints").iterdir()] == ["step-00000005"]


def test_a_learning_rate_far_too_high_is_found(tmp_path: Path) -> None:
    options = ["--learning_rate", "1e30", "--max_steps", "50", "--output_dir", str(tmp_path / "run")]
    with pytest.raises(TrainingError, match=r"not finite; there is no checkpoint yet"):
        train_here(*TINY, *options)


def test_a_run_goes_back_when_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    poison(monkeypatch, {6})
    options = ["--max_steps", "8", "--checkpoint_every", "4", "--on_nonfinite", "rollback"]
    run = train_here(*TINY, *options, "--output_dir", str(tmp_path / "run"))
    assert "back to" in caplog.text
    assert [(line["steps"], line["rollbacks"]) for line in metrics(run)] == [(4, 0), (8, 1)]


def test_ruined_weights_are_not_saved(tmp_path: Path) -> None:
    options = ["--learning_rate", "1e30", "--checkpoint_every", "1", "--on_nonfinite", "rollback"]
    with pytest.raises(TrainingError, match="not finite"):
        train_here(*TINY, *options, "--max_steps", "50", "--output_dir", str(tmp_path / "run"))
    for file in (tmp_path / "run" / "checkpoints").rglob("*.safetensors"):
        assert all(value.isfinite().all() for value in load_file(file).values())


def test_a_run_goes_back_further_where_the_last_checkpoint_does_not_help(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, {9, 10, 11, 12})
    options = ["--max_steps", "12", "--checkpoint_every", "4", "--on_nonfinite", "rollback"]
    run = train_here(*TINY, *options, "--output_dir", str(tmp_path / "run"))
    assert [(line["steps"], line["rollbacks"]) for line in metrics(run)] == [(4, 0), (8, 4), (12, 4)]


def test_a_run_does_not_go_back_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    poison(monkeypatch, set(range(6, 1000)))
    options = ["--max_steps", "8", "--checkpoint_every", "4", "--on_nonfinite", "rollback"]
    with pytest.raises(TrainingError, match="4 times after"):
        train_here(*TINY, *options, "--output_dir", str(tmp_path / "run"))


@pytest.mark.parametrize("name", ["FSDP", "DEEPSPEED"])
def test_splitting_one_model_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"ACCELERATE_USE_{name}", "true")
    with pytest.raises(ConfigError, match=r"is not supported.*multi-GPU"):
        train_here(*TINY, "--max_steps", "1", "--output_dir", str(tmp_path / "run"))


@pytest.mark.slow
def test_bf16_and_no_average(tmp_path: Path) -> None:
    options = ["--mixed_precision", "bf16", "--ema_half_life", "0", "--max_images", "64", "--channels", "1"]
    options += ["--r1_weight", "1", "--discriminator.norm", "spectral", "--clip_grad_norm", "1"]
    run = train_here(*TINY, *options, "--output_dir", str(tmp_path / "run"))
    model = Generator.from_pretrained(run)
    assert (model.dtype, model.channels) == (torch.float32, 1)
    assert "bf16" in (run / "README.md").read_text()
    assert all(math.isfinite(value) for value in metrics(run)[-1].values())


def test_a_run_is_pushed_when_it_ends(hub: LoopbackHub, tmp_path: Path) -> None:
    options = ["--max_steps", "2", "--push_to_hub", "tester/dcgan", "--output_dir", str(tmp_path / "run")]
    train_here(*TINY, *options)
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
        (["--generator.architecture", "dcgn"], ConfigError, "Did you mean 'dcgan'"),
        (["--dataset", "/nowhere/at/all"], DataError, "the folder /nowhere/at/all does not exist"),
        (["--classes", "hose"], DataError, "Did you mean 'horse'"),
        (["--mixed_precision", "fp16"], ConfigError, "fp16 needs a GPU"),
        (["--objective", "wasserstein"], ConfigError, "--discriminator.norm spectral or none"),
        (["--resume", "/nowhere"], ConfigError, "is not a checkpoint"),
        (["--max_steps", "None"], ConfigError, "has no budget"),
        (["--seed", "5000000000"], ConfigError, "seed is 5000000000"),
        (["--augment_target", "0.6"], ConfigError, "--augment color"),
        (["--push_to_hub", "no name"], ModelError, "not a Hub name"),
    ],
)
def test_options_that_cannot_work(options: list[str], error: type[Exception], words: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=words):
        train_here(*TINY, "--max_steps", "1", "--output_dir", str(tmp_path / "run"), *options)
    assert not (tmp_path / "run" / "model.safetensors").exists()
    assert not (tmp_path / "run" / "metrics.jsonl").exists()  # the corrected command may use the same folder


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--crop_size", "8"), "crop_size is 8, but the losses need at least 24"),
        (
            ("--upscaler.scale", "2", "--upscaler.stride", "4", "--crop_size", "24"),
            "crop_size is 24, but the losses need at least 32",
        ),
        (
            ("--upscaler.scale", "2", "--upscaler.stride", "4", "--crop_size", "36"),
            "must be a multiple of 8, the upscaler's scale x stride",
        ),
    ],
)
def test_crops_too_small_or_off_the_grid(options: tuple[str, ...], words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        train_here(*PHOTO, "--max_steps", "1", *options, "--output_dir", str(tmp_path / "run"))


def test_a_pattern_of_the_blocks_shows_at_its_places() -> None:
    noise = 0.1 * torch.randn(1, 1, 64, 64)
    pattern = torch.zeros(1, 1, 64, 64)
    pattern[:, :, 3::8, 6::8] = 1
    difference = _places(noise + pattern, 8) - _places(noise, 8)
    assert difference.shape == (1, 64, 5, 5)
    torch.testing.assert_close(difference[0, :, 0, 0], torch.eye(64)[3 * 8 + 6], atol=1e-5, rtol=0)


@pytest.mark.slow
def test_folders_that_cannot_take_a_run(run: Path, tmp_path: Path) -> None:
    before = (run / "model.safetensors").read_bytes()
    with pytest.raises(ConfigError, match="already holds a run"):
        train_here(*TINY, "--max_steps", "1", "--output_dir", str(run))
    assert (run / "model.safetensors").read_bytes() == before
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"cannot be written \(Not a directory\)\. Choose another"):
        train_here(*TINY, "--max_steps", "1", "--output_dir", str(tmp_path / "file" / "run"))


@pytest.mark.slow
def test_the_command_line_ends_with_one_clear_line(tmp_path: Path) -> None:
    log, options = tmp_path / "log", ["--output_dir", str(tmp_path / "run")]
    (child,) = fork(as_main, ROOT / "train.py", options, tmp_path, log=log)
    child.join(120)
    assert child.exitcode == 2
    said = log.read_text()
    assert "Traceback" not in said
    assert said.splitlines()[-1].startswith("hubgan train: error: 'uoft-cs/cifar10' is not a folder on this machine")
    assert "with --dataset" in said


# -- parts


def test_the_budget_that_is_used_up_first_counts() -> None:
    config: TrainingConfig = parse([*TINY, "--max_steps", "100", "--max_images", "50", "--max_minutes", "2"])
    counters = Counters()
    counters.steps, counters.images, counters.seconds = 10, 10, 60
    assert counters.progress(config) == 0.5
    counters.images = 50
    assert counters.progress(config) == 1


@pytest.mark.parametrize(("shape", "quarter"), [("linear", 0.25), ("cosine", (1 - math.sqrt(0.5)) / 2)])
def test_schedules(shape: Any, quarter: float) -> None:
    assert value_at(3.0, 0.7, shape) == 3
    assert [value_at((2.0, 1.0), p, shape) for p in (-1, 0, 0.5, 1, 2)] == pytest.approx([2, 2, 1.5, 1, 1])
    assert value_at((0.0, 1.0), 0.25, shape) == pytest.approx(quarter)


@pytest.mark.parametrize("postfix", ["loss 0.0012 / 0.0034, 12,345 images/s", "loss 0.034, 7 images/s"])
def test_the_progress_bar_fits_80_columns(postfix: str) -> None:
    bar = progress_bar(0.25)
    bar.ncols, bar.start_t = 80, bar.start_t - 3600 * 3
    bar.set_postfix_str(postfix, refresh=False)
    bar.update(0.25)
    text = str(bar)
    bar.close()
    assert len(text) == 80 and text.startswith(" 50%|") and text.endswith(f" left, {postfix}")


def test_models_share_one_base() -> None:
    assert all(issubclass(model, HubModel) for model in (Generator, Discriminator, Upscaler))
