"""What hubgan says to a person: short sentences in plain words.

CONTRIBUTING.md has the rules, under "Messages". Every string of the code counts, as most are messages or parts of one.
So do the docstrings that `--help` shows: those of commands, and of options and networks of the training.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import docstring_parser

from helpers.common import ROOT
from helpers.guides import GUIDES

PACKAGE = ROOT / "src" / "hubgan"
OTHERS = [ROOT / "app.py", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *(ROOT / "benchmarks").rglob("*.py")]
LONGEST = 20  # words of a sentence; a value that is formatted into it is one
BANNED = (
    r"(is|are|was|be) told|to be had|(takes?|took|taken) (no )?part\b|of several (name|the)|\bso many|\bthe latter"
    r"|(what|who) comes|\bas it is[.,;:]|for ever\b|(goes|go|going) on from|left aside|\banew\b"
)


@cache
def modules() -> dict[Path, ast.Module]:
    return {file: ast.parse(file.read_text(encoding="utf-8")) for file in PACKAGE.rglob("*.py")}


def strings(module: ast.Module) -> Iterator[tuple[int, str]]:
    """The strings of a module that are no docstrings, with their lines. A formatted value is VALUE.

    Strings of several lines are templates: of cards, and of pages' styles.
    """
    apart: set[int] = set()
    for node in ast.walk(module):  # a node comes before those in it
        if isinstance(node, ast.Expr):
            apart.add(id(node.value))
        elif isinstance(node, ast.JoinedStr):
            apart |= {id(part) for part in node.values}
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "VALUE" for part in node.values)
            yield from [] if "\n" in text.strip() else [(node.lineno, text)]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in apart:
            yield from [] if "\n" in node.value.strip() else [(node.lineno, node.value)]


def help_texts(file: Path, module: ast.Module) -> Iterator[tuple[int, str]]:
    """The docstrings of a module that `--help` shows, with their lines."""
    room = file.relative_to(PACKAGE).parts[0]
    if room == "cli":
        yield 1, ast.get_docstring(module) or ""
    for kind in (node for node in ast.walk(module) if isinstance(node, ast.ClassDef)):
        if room == "networks":
            for option in docstring_parser.parse(ast.get_docstring(kind) or "").params:
                yield kind.lineno, f"{option.arg_name}: {option.description}"
        elif room == "training":
            for option, below in pairwise(kind.body):
                if isinstance(option, ast.AnnAssign) and isinstance(below, ast.Expr):
                    yield below.lineno, ast.literal_eval(below.value)


def test_sentences_are_short() -> None:
    long = []
    for file, module in modules().items():
        for line, text in [*strings(module), *help_texts(file, module)]:
            for sentence in re.split(r"(?<=[.!?])[*)\"]*\s+|\n\s*\n|\n  ", text):
                if len(sentence.split()) > LONGEST:
                    long.append(f"{file.relative_to(ROOT)}:{line}: {' '.join(sentence.split())}")
    assert not long, "\n".join(long)


def test_words_are_plain() -> None:
    found = []
    for file in [*modules(), *(PACKAGE / "recipes").glob("*.yaml"), *GUIDES, *OTHERS]:
        text = re.sub(r"\s*\n\s*(# )?", " ", file.read_text(encoding="utf-8"))  # a phrase may go over two lines
        found += [f"{file.relative_to(ROOT)}: {text[max(match.start() - 40, 0) : match.end() + 30]}"
                  for match in re.finditer(BANNED, text, re.IGNORECASE)]  # fmt: skip
    assert not found, "\n".join(found)
