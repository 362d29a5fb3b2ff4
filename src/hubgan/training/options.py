"""From a recipe and a command line to a configuration."""

import sys
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, make_dataclass
from importlib import resources
from itertools import takewhile
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import docstring_parser
import tyro
import yaml
from pydantic import ValidationError
from torch import nn

from hubgan.errors import ConfigError, nearest
from hubgan.models.config import network_options
from hubgan.runtime.names import at_home
from hubgan.training.config import Architectures, NetworkConfig, TrainingConfig
from hubgan.training.describe import without_remark
from hubgan.training.run.provenance import recorded_options, recorded_paths
from hubgan.training.tasks import TASKS

DEFAULT_RECIPE = "cifar-dcgan"
RECIPES = Path(str(resources.files("hubgan"))) / "recipes"
_BASE = "base"
_ALONE = {"resume": "auto"}
"""What an option means without a value; a switch (True or False) means True."""


def parse(arguments: Sequence[str] | None = None) -> TrainingConfig:
    """The configuration that a command line asks for: a recipe's numbers, changed by the options given.

    Exits with status 2 and a message on an unknown or unusable option, with 0 after `--help`.

    Raises:
        ConfigError: the recipe cannot be found or used, or an option has another name now.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    defaults = load_recipe(_value(arguments, "config") or DEFAULT_RECIPE)
    kind = type(defaults)
    _refuse_moved(kind, [name for name, _ in _given(arguments)])
    defaults = _with_architectures(defaults, arguments)
    given: Any = tyro.cli(
        _groups(kind, defaults),
        args=_completed(kind, {name: getattr(defaults, name) for name, _, _ in _blocks(kind)}, arguments),
        prog="hubgan train",
        description=f"{kind.__doc__} The defaults below are those of the recipe {defaults.config!r},"
        " and of architectures that you name."
        " A switch ({True,False}) may stand alone, as in --dry_run; --resume alone means auto.\n\n"
        "Several processes: accelerate launch -m hubgan train ...\n\n"
        f"recipes (--config), or a YAML file of your own:\n{_recipe_list()}",
        config=(tyro.conf.FlagConversionOff,),
        use_underscores=True,
    )
    options: dict[str, Any] = {}
    given_here = {name for name, _ in _given(arguments)}
    for group in vars(given).values():
        options |= {name: vars(value) if _is_block(kind, name) else value for name, value in vars(group).items()}
    if options["dataset"] != defaults.dataset:
        # What a recipe says of its own data set would be untrue of another one, though not of a copy.
        named = options["dataset_name"] if "dataset_name" in given_here else options["dataset"]
        copy = without_remark(named or "") in (defaults.dataset, without_remark(defaults.dataset_name or ""))
        about = ("dataset_name", *(() if copy else ("license", "notice")))
        options |= {name: None for name in about if name not in given_here}
    if _value(arguments, "eval_dataset") == "None" and not given_here & {"eval_split", "eval_samples"}:
        options |= {"eval_samples": 0, "eval_every": 0}
    if "auto" in options:
        options["auto"] = _left_to_auto(options["auto"], given_here)
    return validate(kind, options)


def recipes() -> list[str]:
    """The names of the recipes that come with hubgan."""
    return sorted(file.stem for file in RECIPES.glob("*.yaml"))


def load_recipe(name: str) -> TrainingConfig:
    """A recipe by name or YAML file.

    A `dataset` or `eval_dataset` that begins with "./" lies beside the recipe. In a run's folder on this machine the
    names in `recipe.yaml` mean the paths that the `run.json` beside it keeps. A recipe may have a `base`, the name or
    file of another one, whose options hold where it has none; a network's block is merged option by option, as long
    as both have the same architecture.

    Raises:
        ConfigError: no such recipe, not YAML, an unknown option, or a value out of bounds.
    """
    options = _read(name)
    if base := options.pop(_BASE, None):
        below = _read(str(base))
        if _BASE in below:
            raise ConfigError(f"{name}: its base {base} has a base itself", f"Set base to {below[_BASE]}")
        options = _merged(below, options)
    if options.get("task") not in TASKS:
        raise ConfigError(f"{name} must name its task, as in 'task: generation'", f"Known: {', '.join(TASKS)}")
    return validate(TASKS[options["task"]].config_class, {**options, "config": name}, where=f"{name}: ")


def validate(kind: type[TrainingConfig], options: dict[str, Any], where: str = "") -> TrainingConfig:
    """Options as a configuration, with each network's block completed by the defaults of its architecture.

    Raises:
        ConfigError: names the option and what is wrong with it; for an unknown one the nearest known, for an old name
            the new one.
    """
    _refuse_moved(kind, options, where, dashes="")
    # No shell writes the home folder out in YAML and in `--option=~/x`.
    options = {name: at_home(value) if isinstance(value, str) else value for name, value in options.items()}
    for option in options:
        if option not in kind.model_fields:
            raise ConfigError(f"{where}unknown option {option!r}", nearest(option, kind.model_fields))
    completed = {
        name: _block(kind, f"{where}{name}", options.get(name, field.default), architectures)
        for name, field, architectures in _blocks(kind)
    }
    try:
        return kind(**(options | completed))
    except ValidationError as error:
        first = error.errors()[0]
        option = str(first["loc"][0])  # what follows names the kinds of value that were tried
        reason = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{where}{option} is {first.get('input')!r}: {reason}") from error


# -- recipes


def _read(name: str) -> dict[str, Any]:
    """What a recipe says, by name or YAML file."""
    file = _file(name)
    if not file.is_file():
        if file.parent == RECIPES:
            raise ConfigError(f"the recipe {name!r} does not exist", nearest(name, recipes()))
        raise ConfigError(f"the recipe file {name} does not exist")
    try:
        options = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not valid YAML: {error}") from error
    if not isinstance(options, dict):
        raise ConfigError(f"{file} must name its task, as in 'task: generation'", f"Known: {', '.join(TASKS)}")
    for option in ("dataset", "eval_dataset"):
        if str(options.get(option, "")).startswith("./"):
            options[option] = str((file.parent / options[option]).resolve())
    before = recorded_options(file.parent)
    paths = recorded_paths(options, before)
    named = {"dataset_name": before.get("dataset_name")} if "dataset" in paths else {}
    return named | options | paths


def _file(name: str) -> Path:
    return Path(at_home(name)) if name.endswith((".yaml", ".yml")) else RECIPES / f"{name}.yaml"


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = below | above
    if "auto" in below and "auto" not in above:
        merged["auto"] = _left_to_auto(below["auto"], above)
    for name, block in above.items():
        old = below.get(name)
        if isinstance(block, dict) and isinstance(old, dict):
            same = block.get("architecture", old.get("architecture")) == old.get("architecture")
            merged[name] = old | block if same else block
    return merged


def _left_to_auto(auto: Iterable[str], given: Container[str]) -> tuple[str, ...]:
    """The options that still follow from the number of images: those without a value of their own."""
    return tuple(name for name in auto if name not in given)


def purpose(name: str) -> list[str]:
    """What a recipe is for: the lines of the comment at its top."""
    lines = _file(name).read_text(encoding="utf-8").splitlines()
    return [line.lstrip("# ") for line in takewhile(lambda line: line.startswith("#"), lines)]


def _recipe_list() -> str:
    """The recipes with the first line of each, a comment that says what it is for."""
    return "\n".join(f"  {name:<26}{purpose(name)[0]}" for name in recipes())


# -- blocks of networks


def complete_block(kind: type[TrainingConfig], option: str) -> NetworkConfig:
    """A block at its defaults, with all options of its architecture."""
    field, architectures = next((field, marks) for name, field, marks in _blocks(kind) if name == option)
    return _block(kind, option, field.default, architectures)


def _blocks(kind: type[TrainingConfig]) -> Iterator[tuple[str, Any, Architectures]]:
    """The options that are blocks of a network: name, field, architectures to choose from."""
    for name, info in kind.model_fields.items():
        for mark in info.metadata:
            if isinstance(mark, Architectures):
                yield name, info, mark


def _is_block(kind: type[TrainingConfig], option: str) -> bool:
    return any(name == option for name, _, _ in _blocks(kind))


def _block(kind: type[TrainingConfig], where: str, block: Any, architectures: Architectures) -> NetworkConfig:
    """A network's block with all options of its architecture.

    Raises:
        ConfigError: it is no block, or names an unknown architecture or option.
    """
    if isinstance(block, str):
        raise ConfigError(f"{where} is a block of options", f"Write {where.split()[-1]}: {{architecture: {block}}}")
    values = block.model_dump() if isinstance(block, NetworkConfig) else block
    if not isinstance(values, dict) or not isinstance(values.get("architecture"), str):
        raise ConfigError(f"{where} must be a block that names an architecture, not {block!r}")
    architecture = values["architecture"]
    if architecture not in architectures.networks:
        raise ConfigError(f"{where}.architecture is {architecture!r}", nearest(architecture, architectures.networks))
    defaults = _own_options(architectures, architecture)
    for option in values.keys() - {"architecture"}:
        if option in architectures.given and option not in defaults:
            shared = option in kind.model_fields and option != "classes"
            remedy = f"Set {option} outside the block" if shared else f"Leave it out: the task sets {option}"
            raise ConfigError(f"{where}.{option} is not an option of the block", remedy)
        if option not in defaults:
            raise ConfigError(f"{where}: {architecture} has no option {option!r}", nearest(option, defaults))
    return NetworkConfig(**({"architecture": architecture} | defaults | values))


def _own_options(architectures: Architectures, architecture: str) -> dict[str, Any]:
    options = network_options(architectures.networks, architecture)
    return {name: default for name, default in options.items() if name not in architectures.given}


def _with_architectures(config: TrainingConfig, arguments: Sequence[str]) -> TrainingConfig:
    """The configuration with the architectures that a command line names; another one begins with its own defaults."""
    changed = {}
    for name, _, architectures in _blocks(type(config)):
        wanted = _value(arguments, f"{name}.architecture")
        if wanted and wanted != getattr(config, name).architecture:
            changed[name] = _block(type(config), f"--{name}", {"architecture": wanted}, architectures)
    return config.model_copy(update=changed)


def _refuse_moved(kind: type[TrainingConfig], names: Any, where: str = "", dashes: str = "--") -> None:
    for name in names:
        if name in kind.moved:
            new = kind.moved[name]
            raise ConfigError(f"{where}{dashes}{name} was replaced", _remedy(new) if dashes else _recipe_remedy(new))
        if not dashes and _is_block(kind, name.partition(".")[0]) and "." in name:
            raise ConfigError(f"{where}{name} is an option of a block", _recipe_remedy((name,)))
        if dashes and _is_block(kind, name):
            raise ConfigError(f"--{name} is a block of options", f"Pass --{name}.architecture")


def _remedy(options: Sequence[str]) -> str:
    flags = [f"--{option}" for option in options]
    return f"Pass {flags[0]}" if len(flags) == 1 else f"Pass {', '.join(flags[:-1])} or {flags[-1]}, or both"


def _recipe_remedy(options: Sequence[str]) -> str:
    blocks = [f"{block}: {{{name}: ...}}" for block, _, name in (option.partition(".") for option in options)]
    return f"Write {' or '.join(blocks)}"


# -- the command line


def _given(arguments: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """The options on a command line, with the value that follows, if one does."""
    for place, argument in enumerate(arguments):
        if argument.startswith("--"):
            name, separator, value = argument[2:].partition("=")
            name = name.replace("-", "_")  # as the parser reads it
            after = arguments[place + 1] if place + 1 < len(arguments) else None
            yield name, value if separator else None if after is None or after.startswith("--") else after


def _value(arguments: Sequence[str], option: str) -> str | None:
    """The value of an option that must be known before the others' defaults are; the last one counts."""
    return next((value for name, value in reversed(list(_given(arguments))) if name == option), None)


def _completed(kind: type[TrainingConfig], blocks: Mapping[str, NetworkConfig], arguments: Sequence[str]) -> list[str]:
    """The command line with a value for each option that may stand alone."""
    alone = _ALONE | {name: "True" for name, info in kind.model_fields.items() if info.annotation is bool}
    alone |= {f"{name}.{option}": "True" for name, block in blocks.items() for option, value in block.options.items()
              if isinstance(value, bool)}  # fmt: skip
    words = []
    for place, argument in enumerate(arguments):
        words.append(argument)
        last = place + 1 == len(arguments) or arguments[place + 1].startswith("-")
        option = argument[2:].replace("-", "_")
        if argument.startswith("--") and last and option in alone:
            words.append(alone[option])
    return words


def _groups(kind: type[TrainingConfig], defaults: TrainingConfig) -> type:
    """The options in their groups, without bounds, for a command line that only reads them: `validate` checks them."""
    groups = []
    for title, names in kind.groups().items():
        fields = [(name, *_field(kind, name, getattr(defaults, name))) for name in names]
        group = make_dataclass(f"{title}", fields)
        group.__doc__ = ""
        groups.append((title, group, field(default_factory=group)))
    return make_dataclass(kind.__name__, groups)


def _field(kind: type[TrainingConfig], name: str, default: Any) -> tuple[Any, Any]:
    info = kind.model_fields[name]
    for block, _, architectures in _blocks(kind):
        if block == name:
            network = _network_class(name, architectures, default)
            return Annotated[network, tyro.conf.arg(help=info.description)], field(default_factory=network)
    return _flag(name, info.annotation, info.description or ""), default


def _flag(name: str, annotation: Any, text: str) -> Any:
    """A flag called `--name`, whatever group it is in."""
    return Annotated[_unbounded(annotation), tyro.conf.arg(name=name, prefix_name=False, help=" ".join(text.split()))]


def _network_class(name: str, architectures: Architectures, block: NetworkConfig) -> type:
    """A block as a class of options for the command line, as the architecture's signature and docstring have them."""
    network = architectures.networks[block.architecture]
    hints = get_type_hints(network.__init__, include_extras=True)
    described = _described(network)
    choice = f"The architecture: {', '.join(architectures.networks)}. Each has its own defaults."
    fields: list[Any] = [("architecture", _flag(f"{name}.architecture", str, choice), block.architecture)]
    for option, value in block.options.items():
        fields.append(
            (option, _flag(f"{name}.{option}", hints.get(option, type(value)), described.get(option, "")), value)
        )
    made = make_dataclass(block.architecture, fields)
    made.__doc__ = ""
    return made


def _described(network: type[nn.Module]) -> dict[str, str]:
    """What an architecture's docstring says of its options."""
    parsed = docstring_parser.parse(network.__doc__ or "").params
    texts = {parameter.arg_name: parameter.description or "" for parameter in parsed}
    return {name: text[:1].upper() + text[1:] for name, text in texts.items()}


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
