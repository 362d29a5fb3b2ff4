"""Options that follow from the number of images: `auto`, and the recipe for a folder of one's own."""

import logging
import re
import shutil
from pathlib import Path

import pytest
import yaml
from PIL import Image

from helpers.common import forget_accelerator
from helpers.launching import train_here
from hubgan.errors import ConfigError, UnreachableError
from hubgan.training import parse, plan
from hubgan.training.options import load_recipe
from hubgan.training.sizing import sized
from hubgan.training.tasks.generation import GenerationConfig

FOLDER = ["--config", "folder-64"]
TINY = ["--image_size", "8", "--generator.width", "4", "--discriminator.width", "4", "--eval_samples", "0",
        "--mixed_precision", "no"]  # fmt: skip
AUTO = ("batch_size", "augment_probability", "max_images", "ema_half_life")


def resolve(images: int | None, *options: str) -> GenerationConfig:
    config = parse([*FOLDER, *options])
    assert isinstance(config, GenerationConfig)
    return sized(config, images, {})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pictures in two subfolders."""
    folder = tmp_path_factory.mktemp("pictures")
    for name, colour in (("red", "#f00"), ("blue", "#00f")):
        (folder / name).mkdir()
        for number in range(2):
            Image.new("RGB", (8, 8), colour).save(folder / name / f"{number}.png")
    return folder


def test_more_images_mean_larger_batches_longer_runs_and_less_augmentation() -> None:
    found = [resolve(images) for images in (0, 4, 100, 300, 2_000, 5_000, 30_000)]
    for name, order in (("batch_size", 1), ("max_images", 1), ("ema_half_life", 1), ("augment_probability", -1)):
        values = [getattr(config, name) for config in found]
        assert values == sorted(values, reverse=order < 0) and values[0] != values[-1], name
    assert all(not config.auto and config.ema_half_life == 0.02 * config.max_images for config in found)  # type: ignore[operator]


def test_each_choice_has_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "hubgan"):
        resolve(1_500)
    assert [record.message.split()[1] for record in caplog.records] == list(AUTO)
    assert "Chosen: batch_size 16, as small batches make more updates of 1,500 images" in caplog.text
    assert "Chosen: max_images 400,000, as each of 1,500 images is seen about 267 times" in caplog.text


def test_what_is_given_is_kept(tmp_path: Path) -> None:
    config = resolve(30_000, "--batch_size", "5", "--max_images", "1000")
    assert (config.batch_size, config.max_images, config.ema_half_life) == (5, 1000, 20)
    (tmp_path / "mine.yaml").write_text("base: folder-64\nbatch_size: 7\n")
    mine = load_recipe(str(tmp_path / "mine.yaml"))
    assert isinstance(mine, GenerationConfig)
    assert mine.auto == AUTO[1:] and sized(mine, 30_000, {}).batch_size == 7


def test_an_unknown_number_keeps_the_recipes_values(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "hubgan"):
        config = resolve(None)
    assert "The number of images is unknown, so these keep the recipe's values: batch_size" in caplog.text
    assert {name: getattr(config, name) for name in AUTO} == {
        name: getattr(load_recipe("folder-64"), name) for name in AUTO
    }


def test_an_adaptive_probability_is_not_chosen(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "hubgan"):
        config = resolve(100, "--augment_target", "0.6")
    assert config.batch_size == 8 and not config.auto and "augment_probability" not in caplog.text


def test_a_probability_needs_operations() -> None:
    with pytest.raises(ConfigError, match="there is no augmentation") as error:
        resolve(100, "--augment")
    assert "--augment color translation cutout" in error.value.remedy.command_line


def test_the_emoji_recipe_holds_what_a_folder_of_its_size_gets() -> None:
    emoji, folder = load_recipe("emoji-r3gan"), resolve(1_539)
    assert {name: getattr(emoji, name) for name in AUTO} == {name: getattr(folder, name) for name in AUTO}
    assert isinstance(emoji, GenerationConfig) and emoji.conditional and not emoji.auto


def test_the_plan_is_of_the_chosen_values(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(UnreachableError, match=r"names no data set. Pass a folder of your pictures with --dataset"):
        train_here(*FOLDER)
    with caplog.at_level(logging.INFO, "hubgan"):
        text = plan(parse([*FOLDER, *TINY, "--dataset", str(folder)]))
    forget_accelerator()
    for words in ("global batch 8", "100,000 images are 12,500 steps", "probability 1", "half-life 2,000 images"):
        assert words in text, words
    assert "for 100,000 images on this machine" in text and "Chosen: batch_size 8" in caplog.text


@pytest.mark.slow
def test_a_run_keeps_what_it_chose(folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pictures = Path(shutil.copytree(folder, tmp_path / "pictures"))
    run = [*FOLDER, *TINY, "--dataset", str(pictures), "--conditional", "--log_every", "1", "--output_dir",
           str(tmp_path / "run")]  # fmt: skip
    with caplog.at_level(logging.INFO, "hubgan"):
        train_here(*run, "--max_steps", "2")
    assert len(re.findall(r"The run needs about .+ more at this speed", caplog.text)) == 1
    recipe = yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text())
    assert recipe["auto"] == [] and recipe["batch_size"] == 8 and recipe["max_images"] == 100_000
    assert "2 steps of 8" in (tmp_path / "run" / "README.md").read_text()
    for number in range(300):  # such a folder would get other values
        Image.new("RGB", (8, 8)).save(pictures / "red" / f"more-{number}.png")
    caplog.clear()
    with caplog.at_level(logging.INFO, "hubgan"):
        train_here(*run, "--max_steps", "3", "--resume")
    assert "Chosen" not in caplog.text and "batch_size" not in caplog.text
    assert yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text())["batch_size"] == 8
