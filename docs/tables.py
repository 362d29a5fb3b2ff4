"""The parts of docs/ that are made from the code: the commands, the options of training, and the recipes."""

import argparse
import importlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

import docstring_parser
from torch import nn

from hubgan.cli import COMMANDS
from hubgan.models.config import network_options
from hubgan.training.config import Architectures, TrainingConfig
from hubgan.training.options import RECIPES, recipes
from hubgan.training.tasks import TASKS

MARK = re.compile(r"<!-- generated: ([a-z ]+) -->")


def fill(markdown: str) -> str:
    """A page with each mark replaced by what it names."""
    return MARK.sub(lambda mark: "\n".join(PARTS[mark[1]]()), markdown)


def _commands() -> Iterator[str]:
    """Each command of `hubgan`: its help as text, and its options."""
    for name, (path, summary) in COMMANDS.items():
        module = importlib.import_module(path)
        if not hasattr(module, "configure"):  # train, whose options depend on the recipe
            options = "It takes the [options of training](training-options.md)."
            yield f"## hubgan {name}\n\n{_sentence(summary)}. {options}\n"
            continue
        parser = argparse.ArgumentParser(f"hubgan {name}", add_help=False)
        module.configure(parser)
        shown = argparse.HelpFormatter(parser.prog)
        rows = ((f"`{shown._format_action_invocation(a)}`", _sentence(shown._expand_help(a))) for a in parser._actions)
        yield f"## hubgan {name}\n\n{_sentence(summary)}.\n"
        yield from _text((module.__doc__ or "").partition("\n")[2])
        yield from _table(("argument", "meaning"), rows)
        if parser.epilog:
            yield f"```text\n{parser.epilog}\n```\n"


def _text(about: str) -> Iterator[str]:
    """The paragraphs of a command's docstring. Those that are indented are commands."""
    for paragraph in about.strip("\n").split("\n\n"):
        yield f"```text\n{_unindented(paragraph)}\n```\n" if paragraph.startswith("  ") else f"{paragraph}\n"


def _unindented(paragraph: str) -> str:
    return "\n".join(line[2:] for line in paragraph.splitlines())


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _options() -> Iterator[str]:
    """The options of training: those of all tasks by group, then those of one task, then those of its networks."""
    for group, names in TrainingConfig.groups().items():
        owner = next(base for base in TrainingConfig.__mro__ if getattr(base, "group", "") == group)
        yield f"## {group.capitalize()}\n\n{owner.__doc__}\n"
        yield from _fields(TrainingConfig, (name for name in names if name != "task"))
    for task, implementation in TASKS.items():
        kind = implementation.config_class
        yield f"## The task {task}\n"
        yield from _fields(kind, (name for name in kind.model_fields if name not in TrainingConfig.model_fields))
        for name, field in kind.model_fields.items():
            for mark in field.metadata:
                if isinstance(mark, Architectures):
                    yield from _network(name, mark.networks, mark.given)


def _fields(kind: type[TrainingConfig], names: Iterable[str]) -> Iterator[str]:
    fields = ((name, kind.model_fields[name]) for name in names)
    plain = ((n, f) for n, f in fields if not any(isinstance(mark, Architectures) for mark in f.metadata))
    rows = (
        (f"`--{n}`", "none (required)" if f.is_required() else _default(f.default), _described(f.description, f))
        for n, f in plain
    )
    yield from _table(("option", "default", "meaning"), rows)


def _described(text: str | None, field: Any) -> str:
    values = ", ".join(f"`{value}`" for value in get_args(field.annotation))
    return f"{text} One of: {values}." if get_origin(field.annotation) is Literal else text or ""


def _network(option: str, networks: Mapping[str, type[nn.Module]], given: tuple[str, ...]) -> Iterator[str]:
    """The block of a network: one table for each architecture."""
    yield f"### The block {option}\n\n`--{option}.architecture` is one of: {', '.join(f'`{n}`' for n in networks)}.\n"
    for architecture, network in networks.items():
        texts = {p.arg_name: p.description or "" for p in docstring_parser.parse(network.__doc__ or "").params}
        defaults = network_options(networks, architecture)
        rows = [
            (f"`--{option}.{n}`", _default(v), _sentence(texts.get(n, "")))
            for n, v in defaults.items()
            if n not in given
        ]
        if rows:
            yield f"Options of `{architecture}`:\n"
            yield from _table(("option", "default", "meaning"), rows)


def _recipes() -> Iterator[str]:
    """The recipes, with the first line of each."""
    firsts = {name: (RECIPES / f"{name}.yaml").read_text(encoding="utf-8").partition("\n")[0] for name in recipes()}
    yield from _table(
        ("recipe", "what it trains"), ((f"`{name}`", line.lstrip("# ")) for name, line in firsts.items())
    )


def _default(value: object) -> str:
    if value in ("", None, ()):
        return "none"
    return f"`{' '.join(map(str, value)) if isinstance(value, tuple) else value}`"


def _table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """A table, in a box that the style sheet knows."""
    yield '<div class="options" markdown>\n'
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    for row in rows:
        yield "| " + " | ".join(" ".join(cell.split()).replace("|", r"\|") for cell in row) + " |"
    yield "\n</div>\n"


PARTS: Mapping[str, Callable[[], Iterator[str]]] = {"commands": _commands, "options": _options, "recipes": _recipes}
