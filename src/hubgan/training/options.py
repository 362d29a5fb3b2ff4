"""From a recipe and a command line to a configuration."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import make_dataclass
from importlib import resources
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import tyro
import yaml
from pydantic import ValidationError

from hubgan.errors import ConfigError, nearest
from hubgan.training.config import GenerationConfig, TrainingConfig, UpscalingConfig
from hubgan.training.describe import without_remark

CONFIGS: dict[str, type[TrainingConfig]] = {"generation": GenerationConfig, "upscaling": UpscalingConfig}
DEFAULT_RECIPE = "cifar-dcgan"
RECIPES = Path(str(resources.files("hubgan"))) / "recipes"
_BASE = "base"


def parse(arguments: Sequence[str] | None = None) -> TrainingConfig:
    """The configuration that a command line asks for: a recipe's numbers, changed by the options given.

    Exits with status 2 and a message on an unknown or unusable option, with 0 after `--help`.

    Raises:
        ConfigError: the recipe cannot be found or used.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    defaults = load_recipe(_recipe(arguments))
    kind = type(defaults)
    given: Any = tyro.cli(
        _plain(kind, defaults),
        args=arguments,
        prog="accelerate launch train.py",
        description=f"{kind.__doc__} The defaults below are those of the recipe {defaults.config!r};"
        f" recipes: {', '.join(recipes())}, or a YAML file of your own (--config).",
        config=(tyro.conf.OmitSubcommandPrefixes, tyro.conf.FlagConversionOff),
        use_underscores=True,
    )
    options = vars(given)
    if defaults.dataset not in (options["dataset"], without_remark(options["dataset_name"] or "")):
        # What a recipe says of its own data set would be untrue of another one.
        given_here = {argument.partition("=")[0] for argument in arguments}
        options |= {name: None for name in ("license", "notice") if f"--{name}" not in given_here}
    return validate(kind, options)


def recipes() -> list[str]:
    """The names of the recipes that come with hubgan."""
    return sorted(file.stem for file in RECIPES.glob("*.yaml"))


def load_recipe(name: str) -> TrainingConfig:
    """A recipe by name or YAML file.

    A `dataset` or `eval_dataset` that begins with "./" lies beside the recipe. What a recipe with a `base`, the name
    or file of another one, does not say is that one's.

    Raises:
        ConfigError: no such recipe, not YAML, an unknown option, or a value out of bounds.
    """
    options = _read(name)
    if base := options.pop(_BASE, None):
        below = _read(str(base))
        if _BASE in below:
            raise ConfigError(f"{name}: its base {base} has a base of its own; name that one")
        options = below | options
    if options.get("task") not in CONFIGS:
        raise ConfigError(f"{name} must name its task, as in 'task: generation'; tasks: {', '.join(CONFIGS)}")
    return validate(CONFIGS[options["task"]], {**options, "config": name}, where=f"{name}: ")


def _read(name: str) -> dict[str, Any]:
    """What a recipe says, by name or YAML file."""
    file = Path(name) if name.endswith((".yaml", ".yml")) else RECIPES / f"{name}.yaml"
    if not file.is_file():
        if file.parent == RECIPES:
            raise ConfigError(f"there is no recipe {name!r}{nearest(name, recipes())}")
        raise ConfigError(f"there is no recipe file {name}")
    try:
        options = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not valid YAML: {error}") from error
    if not isinstance(options, dict):
        raise ConfigError(f"{file} must name its task, as in 'task: generation'; tasks: {', '.join(CONFIGS)}")
    for option in ("dataset", "eval_dataset"):
        if str(options.get(option, "")).startswith("./"):
            options[option] = str((file.parent / options[option]).resolve())
    return options


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
        option = str(first["loc"][0])  # what follows names the kinds of value that were tried
        raise ConfigError(f"{where}{option} is {first.get('input')!r}: {first['msg']}") from error


def _plain(kind: type[TrainingConfig], defaults: TrainingConfig) -> type:
    """The options without their bounds, for a command line that only reads them: `validate` has the better words."""
    fields = [
        (name, Annotated[_unbounded(field.annotation), tyro.conf.arg(help=field.description)], getattr(defaults, name))
        for name, field in kind.model_fields.items()
    ]
    return make_dataclass(kind.__name__, fields)


def _unbounded(annotation: Any) -> Any:
    """A type with `Annotated` taken off it, and off its parts."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _unbounded(parts[0])
    if origin is Union or origin is UnionType:
        return Union[tuple(map(_unbounded, parts))]  # noqa: UP007
    if origin is tuple:
        return tuple[tuple(map(_unbounded, parts))]  # type: ignore[misc]
    return annotation


def _recipe(arguments: Sequence[str]) -> str:
    """The value of --config, which must be known before the other options' defaults are."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config", nargs="?", default=DEFAULT_RECIPE, const=DEFAULT_RECIPE)  # tyro says what is amiss
    return parser.parse_known_args(arguments)[0].config
