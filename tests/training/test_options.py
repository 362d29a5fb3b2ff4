"""Recipes and the command line."""

import re
from pathlib import Path

import pytest

from hubgan.errors import ConfigError
from hubgan.training.config import NetworkConfig
from hubgan.training.options import RECIPES, load_recipe, parse, recipes
from hubgan.training.tasks.generation import GenerationConfig
from hubgan.training.tasks.upscaling import UpscalingConfig


def test_no_word_at_all_is_the_reference_on_cifar10() -> None:
    config = parse([])
    assert isinstance(config, GenerationConfig)
    reference = {
        "dataset": "uoft-cs/cifar10", "image_size": 32,
        "generator": {"architecture": "dcgan", "latent_dim": 100, "width": 64, "norm": "batch"},
        "discriminator": {"architecture": "dcgan", "width": 64, "norm": "batch"},
        "objective": "non_saturating", "batch_size": 128, "learning_rate": 2e-4, "discriminator_learning_rate": 2e-4,
        "adam_beta1": 0.5, "adam_beta2": 0.999,
    }  # fmt: skip
    assert config.model_dump(include=set(reference)) == reference


@pytest.mark.parametrize("name", recipes())
def test_every_recipe_loads_and_has_an_end(name: str) -> None:
    config = load_recipe(name)
    assert config.config == name
    assert config.max_images or config.max_steps or config.max_minutes


def test_a_recipe_may_build_on_another(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("base: photo-x4\nupscaler: {scale: 2}\n")
    mine, base = load_recipe(str(tmp_path / "mine.yaml")), load_recipe("photo-x4")
    assert isinstance(base, UpscalingConfig)
    upscaler = NetworkConfig(**(base.upscaler.model_dump() | {"scale": 2}))
    assert mine == base.model_copy(update={"upscaler": upscaler, "config": str(tmp_path / "mine.yaml")})
    (tmp_path / "other.yaml").write_text("base: photo-x4\ndiscriminator: {architecture: unet, width: 16}\n")
    other = load_recipe(str(tmp_path / "other.yaml"))
    unet = {"architecture": "unet", "width": 16, "condition_channels": 0}
    assert other.discriminator.model_dump() == unet  # type: ignore[attr-defined]
    (tmp_path / "third.yaml").write_text(f"base: {tmp_path / 'mine.yaml'}\n")
    with pytest.raises(ConfigError, match="has a base itself"):
        load_recipe(str(tmp_path / "third.yaml"))
    (tmp_path / "third.yaml").write_text("base: photox4\n")
    with pytest.raises(ConfigError, match="Did you mean 'photo-x4'"):
        load_recipe(str(tmp_path / "third.yaml"))


def test_options_change_a_recipe() -> None:
    config = parse(["--config", "photo-x4", "--max_steps", "7", "--flip", "False", "--crop_size=64"])
    assert isinstance(config, UpscalingConfig)
    assert (config.max_steps, config.flip, config.crop_size, config.upscaler.options["scale"]) == (7, False, 64, 4)


def test_the_last_of_two_recipes_counts_as_of_any_option() -> None:
    assert parse(["--config", "cifar-dcgan", "--config=photo-x4", "--seed", "1", "--seed", "2"]) == parse(
        ["--config", "photo-x4", "--seed", "2"]
    )


def test_a_recipe_of_ones_own(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("task: generation\ndataset: ./pictures\nlearning_rate: 1e-3\nmax_steps: 5\n")
    config = load_recipe(str(recipe))
    assert config.dataset == str(tmp_path / "pictures")
    assert config.learning_rate == 1e-3


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("task: generation\ndataset: x\nlerning_rate: 1\n", "Did you mean 'learning_rate'"),
        ("task: generation\ndataset: x\nbatch_size: many\n", "batch_size is 'many'"),
        ("task: generation\ndataset: x\nobjective: nice\n", "objective is 'nice'"),
        ("task: painting\n", "must name its task"),
        ("- 1\n", "must name its task"),
        ("a: b: c\n", "not valid YAML"),
    ],
)  # fmt: skip
def test_recipes_that_cannot_be_used(tmp_path: Path, text: str, complaint: str) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(text)
    with pytest.raises(ConfigError, match=complaint):
        load_recipe(str(recipe))


def test_the_home_folder_in_a_recipe_and_after_an_equals_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "base.yaml").write_text("task: generation\ndataset: ~/data\neval_dataset: ~\noutput_dir: ~/runs/x\n")
    (tmp_path / "mine.yaml").write_text("base: ~/base.yaml\npretrained_model: ~/model\n")
    config = parse(["--config=~/mine.yaml"])
    assert config.output_dir == str(tmp_path / "runs" / "x") and config.dataset == str(tmp_path / "data")
    assert config.pretrained_model == str(tmp_path / "model") and config.eval_dataset is None  # YAML's ~ is null
    assert parse(["--output_dir=~/y"]).output_dir == str(tmp_path / "y")


def test_no_data_set_to_measure_on_means_no_measurement() -> None:
    for recipe in ("photo-x4", "cifar-dcgan"):
        config = parse(["--config", recipe, "--eval_dataset", "None"])
        assert (config.eval_dataset, config.eval_samples, config.eval_every) == (None, 0, 0)
    config = parse(["--config", "photo-x4", "--eval_dataset", "None", "--eval_split", "train"])
    assert (config.eval_dataset, config.eval_split) == (None, "train") and config.eval_samples


def test_unknown_recipes() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'photo-x4'"):
        parse(["--config", "photox4"])
    with pytest.raises(ConfigError, match=r"the recipe file .*missing.yaml does not exist"):
        parse(["--config=missing.yaml"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--learning_rat", "1"], "--learning_rate"),
        (["--max_stepz", "1"], "--max_steps"),
        (["--batch_size", "many"], "--batch_size"),
        (["--objective", "nice"], "minimax"),
    ],
)
def test_a_wrong_word_on_the_command_line_ends_with_a_hint(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(arguments)
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--batch_size", "0"], "batch_size is 0: Input should be greater than 0"),
        (["--learning_rate", "-1e-3"], "learning_rate is -0.001: Input should be greater than 0"),
        (["--augment_target", "2"], "augment_target is 2.0: Input should be less than 1"),
    ],
)
def test_a_value_out_of_bounds_is_named(arguments: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)):
        parse(arguments)


def test_help_names_every_option_and_explains_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(["--config", "photo-x4", "--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert all(f"--{option}" in text for option in UpscalingConfig.model_fields)
    assert "Weight of the adversarial loss" in text
    assert all(f" {group} options " in text for group in UpscalingConfig.groups())
    assert "--upscaler.depth" in text and "--discriminator.norm" in text
    first = {name: (RECIPES / f"{name}.yaml").read_text().partition("\n")[0] for name in recipes()}
    for name, line in first.items():  # each with a line on what it is for
        assert line.startswith("# ") and line.endswith(".")
        assert re.search(rf"^  {name} +{re.escape(line[2:])}$", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--dry_run"], {"dry_run": True}),
        (["--streaming", "--seed", "3"], {"streaming": True, "seed": 3}),
        (["--resume", "--dry_run", "False"], {"resume": "auto", "dry_run": False}),
        (["--resume=runs/one/checkpoints/step-00000001"], {"resume": "runs/one/checkpoints/step-00000001"}),
        (["--flip"], {"flip": True}),
        (["--no_such"], None),
    ],
)
def test_a_bare_option_is_a_switch(arguments: list[str], expected: dict[str, object] | None) -> None:
    if expected is None:
        with pytest.raises(SystemExit):
            parse(arguments)
    else:
        assert parse(arguments).model_dump(include=set(expected)) == expected


# -- blocks of networks


@pytest.mark.slow
def test_a_networks_options_are_those_of_its_architecture() -> None:
    config = parse(
        ["--generator.architecture", "r3gan", "--generator.width", "96", "--discriminator.norm", "spectral"]
    )
    assert isinstance(config, GenerationConfig)
    assert config.generator.model_dump() == {
        "architecture": "r3gan", "latent_dim": 64, "width": 96, "depth": 2, "group_width": 16, "patch": 1,
    }  # fmt: skip
    assert config.discriminator.model_dump() == {"architecture": "dcgan", "width": 64, "norm": "spectral"}


def test_an_option_of_another_architecture_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--generator.depth", "2"])
    assert "--generator.depth" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="Did you mean 'r3gan'"):
        parse(["--discriminator.architecture", "r3gam"])


@pytest.mark.parametrize(
    ("block", "complaint"),
    [
        ("generator: {architecture: dcgan, depth: 2}", "generator: dcgan has no option 'depth'"),
        ("generator: {architecture: dcgan, image_size: 64}", "generator.image_size is not an option of the block"),
        ("generator: {width: 64}", "generator must be a block that names an architecture"),
        ("discriminator: dcgan", r"Write discriminator: {architecture: dcgan}"),
        ("generator: {architecture: dcgn}", "generator.architecture is 'dcgn'. Did you mean 'dcgan'"),
        ("width: 64", r"width was replaced. Write generator: {width: ...} or discriminator: {width: ...}"),
        ("discriminator_norm: spectral", r"discriminator_norm was replaced. Write discriminator: {norm: ...}"),
        ("generator.width: 8", r"generator.width is an option of a block. Write generator: {width: ...}"),
    ],
)
def test_blocks_that_cannot_be_used(tmp_path: Path, block: str, complaint: str) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(f"task: generation\ndataset: x\nmax_steps: 1\n{block}\n")
    with pytest.raises(ConfigError, match=complaint):
        load_recipe(str(recipe))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--width", "96"], "--width was replaced. Pass --generator.width or --discriminator.width, or both"),
        (["--architecture=r3gan"], "--architecture was replaced. Pass --generator.architecture"),
        (["--discriminator", "r3gan"], "--discriminator is a block of options. Pass --discriminator.architecture"),
        (["--config", "photo-x4", "--scale", "2"], "--scale was replaced. Pass --upscaler.scale"),
    ],
)
def test_an_old_flat_option_names_the_new_one(arguments: list[str], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        parse(arguments)


def test_what_a_recipe_says_of_its_data_set_is_not_said_of_another() -> None:
    assert "CIFAR-10" in str(parse([]).notice)
    assert "CIFAR-10" in str(parse(["--dataset", "copy", "--dataset_name", "uoft-cs/cifar10"]).notice)
    assert "CIFAR-10" in str(parse(["--dataset", "copy", "--dataset_name", "uoft-cs/cifar10 (JPEG copy)"]).notice)
    other = parse(["--dataset", "my-photos"])
    assert (other.license, other.notice) == (None, None)
    for licence in ("mit", "other"):
        assert parse(["--dataset", "my-photos", "--license", licence]).license == licence
