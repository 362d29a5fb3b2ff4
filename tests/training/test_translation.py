"""Training of translators: from pairs, and from pictures whose inputs are computed."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from helpers.common import SAMPLE
from helpers.launching import metrics, train_here, train_in_two
from helpers.pictures import pairs
from hubgan import Discriminator, Translator
from hubgan.data import Squares, load_images
from hubgan.errors import ConfigError, DataError
from hubgan.media.images import to_tensor
from hubgan.training import parse, plan
from hubgan.training.options import load_recipe, recipes
from hubgan.training.tasks.translation import _with_hints

pytestmark = pytest.mark.usefixtures("cache")

TINY = ["--image_size", "32", "--translator.width", "8", "--translator.depth", "1", "--discriminator.width", "4",
        "--discriminator.depth", "2", "--log_every", "1", "--perceptual_weight", "0", "--max_images", "None",
        "--eval_samples", "0"]  # fmt: skip
SKETCH = ["--config", "sketch-to-emoji", "--dataset", str(SAMPLE), *TINY, "--batch_size", "4", "--pixel_share", "0.5"]
RECIPES = [name for name in recipes() if load_recipe(name).task == "translation"]
SIZES = [(32, 32), (40, 30), (33, 33), (32, 48)]


@pytest.mark.slow
def test_a_run_learns_to_colour_sketches_and_says_so(tmp_path: Path) -> None:
    options = ["--max_steps", "4", "--eval_samples", "3", "--eval_dataset", str(SAMPLE), "--eval_split", "train"]
    run = train_here(*SKETCH, *options, "--output_dir", str(tmp_path / "run"))
    assert [set(line) & {"pixel", "adversarial", "discriminator"} for line in metrics(run)] == [
        {"pixel"}, {"pixel"}, *[{"pixel", "adversarial", "discriminator"}] * 2
    ]  # fmt: skip
    model = Translator.from_pretrained(run)
    assert model.input == "edges" and model.image_size == 32
    assert Discriminator.from_pretrained(run, subfolder="discriminator").config["condition_channels"] == 1
    results = {result["name"]: result for result in model.training_run["results"]}  # type: ignore[index]
    assert {"PSNR", "SSIM", "PD-ENL2"} <= results.keys()
    assert results["PSNR"]["samples"] == 3 and "input" in results["PSNR"]["settings"]
    samples = Image.open(run / "samples.png")
    assert samples.size == (12 * 34 + 2, 6 * 34 + 2)  # four pictures a row, each thrice
    page, caption = (run / "report.html").read_text(), "input, this model, the original"
    assert f"{caption}.</p>" in page and caption in (run / "README.md").read_text()
    target = Squares(size=32, channels=3, flip=False).prepare(load_images(str(SAMPLE)).image(0))
    third = samples.crop((2 + 2 * 34, 2, 2 + 2 * 34 + 32, 34))
    assert torch.equal(to_tensor(third), target)


@pytest.mark.slow
def test_a_run_on_pairs_learns_their_colours(tmp_path: Path) -> None:
    folder = pairs(tmp_path / "mine", *SIZES, scale=1, names=("input", "target"))
    options = ["--input", "None", "--dataset", str(folder), "--max_steps", "2", "--output_dir", str(tmp_path / "run")]
    run = train_here(*SKETCH, *options)
    model = Translator.from_pretrained(run)
    assert model.input == "" and model.input_channels == 3
    assert model.training_run["pairs"] == "inputs in column `input`, targets in column `target`"  # type: ignore[index]


def recipe(name: str, folder: Path) -> list[str]:
    """A recipe with tiny networks, on a small set of the kind that it wants."""
    options, config = ["--config", name, *TINY, "--load_size", "36", "--dataset"], load_recipe(name)
    if config.input_column:
        assert config.image_column
        pairs(folder / "pairs", *SIZES, scale=1, names=(config.input_column, config.image_column))
        return [*options, str(folder / "pairs")]
    return [*options, str(SAMPLE), "--split", "train[:8]"]


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_trains_and_goes_on_where_it_was(name: str, tmp_path: Path) -> None:
    options = [*recipe(name, tmp_path), "--batch_size", "2", "--max_steps", "4", "--checkpoint_every", "3"]
    whole = train_here(*options, "--output_dir", str(tmp_path / "whole"))
    going_on = ["--resume", str(whole / "checkpoints" / "step-00000003")]
    resumed = train_here(*options, *going_on, "--output_dir", str(tmp_path / "resumed"))
    for key, value in load_file(whole / "model.safetensors").items():
        assert torch.equal(value, load_file(resumed / "model.safetensors")[key]), key


def test_some_latents_tell_the_colour_of_the_target() -> None:
    targets = torch.ones(400, 3, 8, 8)
    targets[:, :, 2:6, 2:6] = torch.tensor([0.9, 0.5, 0.1])[:, None, None]
    latents = torch.randn(400, 6, generator=torch.Generator().manual_seed(0))
    hinted = _with_hints(latents, targets)
    told = hinted[:, 3] > 0.5
    assert 0.2 < told.float().mean() < 0.4 and torch.equal(hinted[~told], latents[~told])
    torch.testing.assert_close(hinted[told][:, :3], torch.tensor([[1.75, -0.25, -2.25]]).expand(int(told.sum()), -1),
                               atol=0.05, rtol=0)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", ["colorize", "facades"])  # computed inputs, and pairs
def test_two_processes_learn_what_one_does(name: str, tmp_path: Path) -> None:
    options = [*recipe(name, tmp_path), "--pixel_share", "0.5", "--max_steps", "4", "--mixed_precision", "no"]
    options += ["--learning_rate", "1e-4", "--batch_size"]
    one = train_here(*options, "4", "--output_dir", str(tmp_path / "one"))
    train_in_two(tmp_path / "two", *options, "2")
    losses = [[line["pixel"] for line in metrics(run)] for run in (one, tmp_path / "two")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.slow
def test_a_recipe_without_a_data_set_asks_for_one(tmp_path: Path) -> None:
    options = ["--config", "sketch-to-emoji", *TINY, "--max_steps", "1", "--output_dir", str(tmp_path / "run")]
    with pytest.raises(DataError) as caught:
        train_here(*options)
    assert caught.value.for_command_line() == (
        "the recipe sketch-to-emoji names no data set. Pass a folder of your pictures with --dataset."
        " docs/training.md and docs/translation.md show examples"
    )
    assert "not opened: the recipe sketch-to-emoji names no data set" in plan(parse(options))
    named = parse([*options, "--dataset", str(SAMPLE), "--dataset_name", "fluent-emoji"])
    assert (named.license, parse([*options, "--dataset", str(SAMPLE)]).license) == ("mit", None)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--input", "None"], "holds no pairs"),
        (["--image_size", "40"], "must be a multiple of 16"),
        (["--channels", "1"], "needs colour pictures"),
        (["--translator.width", "12"], "multiple of 8"),
        (["--translator.latent_dim", "2"], "colour_hints needs 4 latents"),
    ],
)
def test_wrong_options_are_refused(options: list[str], complaint: str, tmp_path: Path) -> None:
    with pytest.raises((ConfigError, DataError), match=complaint):
        plan(parse([*SKETCH, *options, "--max_steps", "1", "--output_dir", str(tmp_path / "run")]))


def test_pairs_of_different_shapes_are_refused(tmp_path: Path) -> None:
    folder = pairs(tmp_path / "mine", *SIZES, scale=1, names=("input", "target"))
    first = sorted((folder / "input").iterdir())[0]
    Image.new("RGB", (50, 20)).save(first)
    with pytest.raises(DataError, match="aspect ratios differ"):
        plan(parse([*SKETCH, "--input", "None", "--dataset", str(folder), "--max_steps", "1",
                    "--output_dir", str(tmp_path / "run")]))  # fmt: skip


def test_computed_inputs_and_pairs_exclude_each_other(tmp_path: Path) -> None:
    folder = pairs(tmp_path / "mine", *SIZES, scale=1, names=("input", "target"))
    with pytest.raises(ConfigError, match="Remove --input"):
        plan(parse([*SKETCH, "--dataset", str(folder), "--max_steps", "1", "--output_dir", str(tmp_path / "run")]))
