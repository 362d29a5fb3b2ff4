"""From a recipe and a command line to a configuration."""

import sys
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import tyro
import yaml
from pydantic import ValidationError

from hubgan.errors import ConfigError, nearest
from hubgan.training.config import GenerationConfig, TrainingConfig, UpscalingConfig

CONFIGS: dict[str, type[TrainingConfig]] = {"generation": GenerationConfig, "upscaling": UpscalingConfig}
DEFAULT_RECIPE = "cifar-dcgan"
RECIPES = Path(str(resources.files("hubgan"))) / "recipes"


def parse(arguments: Sequence[str] | None = None) -> TrainingConfig:
    """The configuration that a command line asks for: a recipe's numbers, changed by the options given.

    Exits with status 2 and a message on an unknown or unusable option, with 0 after `--help`.

    Raises:
        ConfigError: the recipe cannot be found or used.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    defaults = load_recipe(_recipe(arguments))
    config = tyro.cli(
        type(defaults),
        default=defaults,
        args=arguments,
        prog="accelerate launch train.py",
        description=f"{type(defaults).__doc__} The defaults below are those of the recipe {defaults.config!r};"
        f" recipes: {', '.join(recipes())}, or a YAML file of your own (--config).",
        config=(tyro.conf.OmitSubcommandPrefixes, tyro.conf.FlagConversionOff),
        use_underscores=True,
    )
    return validate(type(config), config.model_dump())


def recipes() -> list[str]:
    """The names of the recipes that come with hubgan."""
    return sorted(file.stem for file in RECIPES.glob("*.yaml"))


def load_recipe(name: str) -> TrainingConfig:
    """A recipe by name or YAML file.

    A `dataset` that begins with "./" lies beside the recipe.

    Raises:
        ConfigError: no such recipe, not YAML, an unknown option, or a value out of bounds.
    """
    file = Path(name) if name.endswith((".yaml", ".yml")) else RECIPES / f"{name}.yaml"
    if not file.is_file():
        if file.parent == RECIPES:
            raise ConfigError(f"there is no recipe {name!r}{nearest(name, recipes())}")
        raise ConfigError(f"there is no recipe file {name}")
    try:
        options = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not valid YAML: {error}") from error
    if not isinstance(options, dict) or options.get("task") not in CONFIGS:
        raise ConfigError(f"{file} must name its task, as in 'task: generation'; tasks: {', '.join(CONFIGS)}")
    if str(options.get("dataset", "")).startswith("./"):
        options["dataset"] = str((file.parent / options["dataset"]).resolve())
    return validate(CONFIGS[options["task"]], {**options, "config": name}, where=f"{file}: ")


def validate(kind: type[TrainingConfig], options: dict[str, Any], where: str = "") -> TrainingConfig:
    """Options as a configuration.

    Raises:
        ConfigError: names the option, what is wrong with it, and for an unknown one the nearest known.
    """
    for option in options:
        if option not in kind.model_fields:
            raise ConfigError(f"{where}unknown option {option!r}{nearest(option, kind.model_fields)}")
    try:
        return kind(**options)
    except ValidationError as error:
        first = error.errors()[0]
        option = ".".join(map(str, first["loc"]))
        raise ConfigError(f"{where}{option} is {first.get('input')!r}: {first['msg']}") from error


def _recipe(arguments: Sequence[str]) -> str:
    """The value of --config, which must be known before the other options' defaults are."""
    for index, argument in enumerate(arguments):
        if argument == "--config" and index + 1 < len(arguments):
            return arguments[index + 1]
        if argument.startswith("--config="):
            return argument.partition("=")[2]
    return DEFAULT_RECIPE
