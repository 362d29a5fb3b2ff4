"""Upscalers that learn from pairs, and those that only restore (scale 1)."""

import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from helpers.common import SAMPLE
from helpers.launching import CLEAN, PHOTO, TINY, metrics, train_here, train_in_two
from helpers.pictures import pairs
from hubgan.cli import main
from hubgan.errors import ConfigError, DataError
from hubgan.models import Upscaler
from hubgan.training import parse, plan

pytestmark = pytest.mark.usefixtures("cache")

SIZES = [(12, 10), (9, 14), (10, 10), (11, 9), (16, 12)]
PAIRS = [*PHOTO, *CLEAN, "--pixel_share", "1", "--batch_size", "4", "--discriminator.width", "4"]
OWN = ["--eval_dataset", "None", "--eval_split", "None"]
RESTORE = [*PHOTO, "--upscaler.scale", "1", "--pixel_share", "0.5", "--perceptual_weight", "0"]


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model.safetensors")


@pytest.mark.slow
def test_a_run_on_pairs_says_so_and_is_measured_on_pairs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = pairs(tmp_path / "mine", *SIZES, scale=4)
    options = ["--dataset", str(folder), "--max_steps", "2", "--pixel_share", "0.5", "--perceptual_weight", "0"]
    run = train_here(*PAIRS, *options, *OWN, "--eval_samples", "9", "--output_dir", str(tmp_path / "run"))
    assert json.loads((run / "run.json").read_text())["data"]["columns"] == ["hr", "lr"]
    card = (run / "README.md").read_text()
    assert "- pairs: inputs in column `lr`, targets in column `hr`" in card
    assert "Left to right: inputs of the data set enlarged by bicubic interpolation, this model" in card
    assert "It was trained on the pairs of a data set" in card and "bicubic shrinking" not in card
    assert "small pictures given" in card and "| mine | train (trained on) | 5 |" in card
    held_out = pairs(tmp_path / "other", *SIZES[:3], scale=4, names=("A", "B"))
    command = ["evaluate", str(run), "--dataset", str(held_out), "--device", "cpu"]
    assert main([*command, "--image-column", "B", "--small-column", "A"]) == 0
    assert "3        other, split train" in capsys.readouterr().out
    results = Upscaler.from_pretrained(run).training_run["results"]  # type: ignore[index]
    assert {result["settings"]["small_pictures"] for result in results} == {"given"} and len(results) == 8


@pytest.mark.slow
@pytest.mark.parametrize("streaming", [False, True])
def test_a_run_on_pairs_goes_on_where_it_was(streaming: bool, tmp_path: Path) -> None:
    folder = pairs(tmp_path / "pairs", *SIZES, scale=4)
    options = [*PAIRS, "--dataset", str(folder), "--pixel_share", "0.5", "--perceptual_weight", "0"]
    options += ["--max_steps", "6", "--checkpoint_every", "4", "--keep_checkpoints", "9"]
    options += ["--streaming", str(streaming)]
    whole = train_here(*options, "--output_dir", str(tmp_path / "whole"))
    going_on = ["--resume", str(whole / "checkpoints" / "step-00000004"), "--num_workers", "1"]
    resumed = weights(train_here(*options, *going_on, "--output_dir", str(tmp_path / "resumed")))
    for key, value in weights(whole).items():
        assert torch.equal(value, resumed[key]), key


@pytest.mark.slow
def test_two_processes_learn_from_pairs_what_one_does(tmp_path: Path) -> None:
    folder = pairs(tmp_path / "pairs", *SIZES, scale=4)
    options = [*PAIRS, "--dataset", str(folder), "--max_steps", "4", "--mixed_precision", "no"]
    options += ["--learning_rate", "1e-4"]
    one = train_here(*options, "--output_dir", str(tmp_path / "one"))
    train_in_two(tmp_path / "two", *options, "--batch_size", "2")
    losses = [[line["pixel"] for line in metrics(run)] for run in (one, tmp_path / "two")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    two = weights(tmp_path / "two")
    for key, value in weights(one).items():
        torch.testing.assert_close(value, two[key], rtol=1e-2, atol=1e-5, msg=key)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (
            ["--upscaler.strength", "True"],
            "their strengths are unknown. Pass --upscaler.strength False, or train",
        ),
        (["--degradation", "everyday"], "are used unchanged. Pass --degradation none, or train on the large"),
        (["--reduce", "0.8"], "Pass --reduce 1, or train on the large pictures alone with --image_column hr"),
        (["--upscaler.scale", "2"], r"0.bmp and .*0.png: the target picture has 48 x 40 .* Pass --upscaler.scale 4"),
        (["--input_column", "rl"], "no image column 'rl'"),
        (["--image_column", "lr", "--input_column", "hr"], "Swap --image_column and --input_column"),
    ],
)
def test_what_does_not_go_with_pairs(options: list[str], complaint: str, tmp_path: Path) -> None:
    folder = pairs(tmp_path / "pairs", *SIZES, scale=4)
    with pytest.raises((ConfigError, DataError)) as caught:
        train_here(*PAIRS, "--dataset", str(folder), "--max_steps", "1", *options, "--output_dir", f"{tmp_path}/run")
    assert re.search(complaint, caught.value.for_command_line())
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_a_run_on_pairs_is_not_measured_on_other_pictures(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What the recipe chose is left aside with a warning, and what the user chose is an error."""
    options = [*PAIRS, "--dataset", str(pairs(tmp_path / "pairs", *SIZES, scale=4)), "--max_steps", "1"]
    mine = tmp_path / "mine.yaml"
    mine.write_text(f"base: photo-x4\neval_dataset: {SAMPLE}\neval_split: train\n")
    config = parse([*options, "--config", str(mine), "--eval_samples", "2"])
    text = plan(config)
    assert "5 images, pairs: inputs in column 'lr', targets in 'hr'" in text
    assert "pairs, split train (trained on)" in text and "has no pairs" in caplog.text
    with pytest.raises(DataError, match="has no pairs, but the training data has"):
        train_here(*options, "--eval_samples", "2", "--eval_dataset", str(SAMPLE), "--eval_split", "train",
                   "--output_dir", str(tmp_path / "run"))  # fmt: skip


def test_a_generator_does_not_learn_from_pairs(tmp_path: Path) -> None:
    options = [*TINY, "--max_steps", "1", "--output_dir", str(tmp_path / "run")]
    with pytest.raises(ConfigError, match=r"generation cannot train on pairs\. Remove --input_column"):
        train_here(*options, "--input_column", "lr")
    with pytest.raises(DataError, match="has several image columns: lr, hr"):
        train_here(*options, "--dataset", str(pairs(tmp_path / "pairs", *SIZES)))


# -- scale 1


@pytest.mark.slow
def test_an_upscaler_of_scale_1_restores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = train_here(*RESTORE, *OWN, "--max_steps", "2", "--eval_samples", "3", "--output_dir", str(tmp_path / "run"))
    card = (run / "README.md").read_text()
    assert "An image restorer for everyday photos, at the same size" in card and "image-restoration" in card
    assert "Left to right: degraded pictures, this model, the original" in card and "of the inputs degraded" in card
    assert "| PSNR of everyday pictures | " in card and ", input " not in card and " | input " in card
    assert "| PSNR | " not in card and "Sharpness" not in card and "bicubic 2" not in card
    assert "Never read faces" in card
    folder = pairs(tmp_path / "pairs", *SIZES, scale=1, names=("input", "target"))
    assert main(["upscale", str(run), str(folder / "input"), "-o", str(tmp_path / "out"), "--device", "cpu"]) == 0
    assert "5 pictures restored" in capsys.readouterr().out
    command = ["evaluate", str(run), "--dataset", str(SAMPLE), "--device", "cpu", "--samples", "3"]
    assert main(command) == 2
    assert "Pass --degraded everyday, or the column of the inputs with --small-column" in capsys.readouterr().err
    assert main([*command, "--degraded", "heavy"]) == 0
    assert "PSNR of degraded pictures" in capsys.readouterr().out
    assert main([*command, "--dataset", str(folder), "--degraded"]) == 2
    assert "the data set holds the small pictures, so a degradation cannot be used" in capsys.readouterr().err


@pytest.mark.slow
def test_restoring_learns_from_pairs_of_one_size(tmp_path: Path) -> None:
    folder = pairs(tmp_path / "pairs", (40, 32), (33, 48), scale=1, names=("input", "target"))
    options = [*RESTORE, *CLEAN, "--dataset", str(folder), "--max_steps", "2", "--batch_size", "2"]
    run = train_here(*options, "--output_dir", str(tmp_path / "run"))
    assert "Left to right: inputs of the data set, this model" in (run / "README.md").read_text()
    assert "consistency" in metrics(run)[-1]


def test_nothing_to_restore_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"would equal the targets\. Set --degradation everyday or heavy"):
        train_here(*RESTORE, *CLEAN, "--max_steps", "1", "--output_dir", str(tmp_path / "run"))
