"""The README and docs/ as tests see them: their code, commands, links and sentences."""

import re
import shlex
from pathlib import Path

from helpers.common import ROOT

README = ROOT / "README.md"
BENCHMARKS = ROOT / "benchmarks" / "README.md"
PAGES = sorted((ROOT / "docs").glob("*.md"))
GUIDES = [README, BENCHMARKS, *PAGES]

_HEADER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"!?\[([^]]*)]\(([^)\s]+)\)")


def text(guide: Path) -> str:
    """A guide without a Space's header."""
    return _HEADER.sub("", guide.read_text(encoding="utf-8"))


def code(guide: Path, language: str) -> list[str]:
    """The blocks of code of a guide, in one language."""
    return [block for _, found, block in _BLOCK.findall(text(guide)) if found == language]


def commands(guide: Path) -> list[list[str]]:
    """The commands of a guide, as words, without comments."""
    lines = "\n".join(code(guide, "console")).replace("\\\n", " ").splitlines()
    return [shlex.split(part) for line in lines for part in _uncommented(line).split("&&") if part.strip()]


def links(guide: Path) -> list[str]:
    """The relative links of a guide."""
    return [path for _, path in _LINK.findall(_BLOCK.sub("", text(guide))) if "://" not in path]


def anchors(guide: Path) -> set[str]:
    """The names by which links lead to the headings of a guide, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", _BLOCK.sub("", text(guide)), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def sentences(guide: Path) -> list[str]:
    """The sentences of a guide, and the items of its lists; not its headings, tables, pictures and code."""
    plain = re.sub(r"<!--.*?-->", "", _BLOCK.sub("\n", text(guide)), flags=re.DOTALL)
    plain = re.sub(r"!\[[^]]*]\([^)]*\)", "", plain)
    plain = re.sub(r"`[^`]*`", "CODE", _LINK.sub(r"\1", plain))
    blocks: list[str] = []
    for line in plain.splitlines():
        if not line.strip() or re.match(r"\s*(#|\||:::)", line):
            blocks.append("")
        elif re.match(r"\s*([-*]|\d+\.) ", line) or not blocks:
            blocks.append(re.sub(r"^\s*([-*]|\d+\.) ", "", line))
        else:
            blocks[-1] += f" {line.strip()}"
    end = r"(?<=[.!?])[*)]*\s+(?=[*(\"A-Z\d]|hubgan|[a-z]+-)"
    parts = [part for block in blocks for part in re.split(end, block.strip())]
    return [part for part in parts if re.search(r"\w", part)]


def _uncommented(line: str) -> str:
    return re.sub(r"\s+#.*", "", line)
