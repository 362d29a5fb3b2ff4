"""Folders of pairs: two subfolders, in which a picture and its partner have the same name up to the ending."""

import re
from collections.abc import Sequence
from pathlib import Path

import datasets
import pyarrow as pa
from datasets.table import InMemoryTable

from hubgan.data.folder import PAIRS, check_pictures, fingerprint, image_column, is_listed, report_pictures
from hubgan.data.metadata import composed
from hubgan.data.splits import rows_of, spelled, split_of, words
from hubgan.errors import DataError, Remedy
from hubgan.media.images import warn_once
from hubgan.media.tree import is_picture, walk

_SHOWN = 3
# Words in the names of columns that tell a role. "photo" and "map" tell none: both ways are learned.
_INPUTS = {"input", "inputs", "source", "condition", "conditioning", "lr"}
_TARGETS = {"target", "targets", "output", "outputs", "truth", "gt", "hr"}


def known_pair(names: Sequence[str], more: Sequence[tuple[str, str]] = ()) -> tuple[str, str] | None:
    """The names of inputs and targets among two names: `lr` and `hr`, or `input` and `target`, in any case.

    Args:
        names: two of them, or there is no pair.
        more: further names to know, in lower case.
    """
    return _known_among(names, more) if len(names) == 2 else None


def _known_among(names: Sequence[str], more: Sequence[tuple[str, str]] = ()) -> tuple[str, str] | None:
    words = {name.lower(): name for name in names}
    known = (*PAIRS, *more)
    return next(((words[given], words[target]) for given, target in known if {given, target} <= words.keys()), None)


def warn_if_swapped(name: str, input_column: str, column: str) -> None:
    """Warn, once for each data set, if the names of its two columns look swapped."""
    if look_swapped(input_column, column):
        warn_once(
            f"{name}: the inputs are in column {input_column}, and the targets in {column}."
            " If that is the wrong way round, swap the two columns"
        )


def look_swapped(input_column: str, column: str) -> bool:
    """Whether the names of two columns say that the one of the inputs holds the targets, or the other way round."""
    given, target = (
        {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)} for name in (input_column, column)
    )
    return bool(given & _TARGETS or target & _INPUTS) and not (given & _INPUTS or target & _TARGETS)


def open_pairs(
    path: Path, name: str, split: str, column: str | None, input_column: str | None
) -> datasets.Dataset | None:
    """The pairs in a folder, as two image columns that are called like its subfolders; None if it holds no pairs.

    It holds pairs if it has two subfolders of known names (see `known_pair`), or those that the columns name. These
    may also lie in subfolders that are splits. A metadata file beside them says that they are classes.

    Args:
        path: the folder.
        name: what the user calls it, for messages.
        split: "train", or the name of the subfolder around the two, perhaps with a part of it: "train[:100]".
        column: the subfolder with the targets.
        input_column: the subfolder with the inputs.

    Raises:
        DataError: there is no such split, a picture has no partner, or several, or there are no pictures; or it is
            not clear whether the folder holds pairs, because there are other pictures beside the two subfolders.
        ValueError: the part of the split is malformed.
    """
    if pair := subfolders(path, column, input_column):
        wanted, found = spelled(split, ["train"], name, path), {"train": (path, pair)}
    else:
        inner = sorted(each for each in path.iterdir() if split_of(each.name) or each.name in words(split))
        found = {each.name: (each, pair) for each in inner if (pair := subfolders(each, column, input_column))}
        if not found:
            return None
        wanted = spelled(split, [each.name for each in inner if each.is_dir()], name, path)
        if not found.keys() >= {*words(wanted)}:
            return None
    rows = {each: _matched(*found[each]) for each in words(wanted)}
    parts = rows_of(wanted, {each: len(rows[each]) for each in rows})
    return datasets.concatenate_datasets([rows[each].select(numbers) for each, numbers in parts])


def subfolders(folder: Path, column: str | None, input_column: str | None) -> tuple[str, str] | None:
    """The subfolders with the inputs and with the targets: those that are named, or of known names; or None.

    Raises:
        DataError: it is not clear which ones, because there are other pictures beside two of known names.
    """
    if not folder.is_dir():
        return None
    inside = [path for path in folder.iterdir() if not path.name.startswith(".")]
    names = sorted(path.name for path in inside if path.is_dir())
    if input_column in names and len(names) == 2 and column is None:
        column = next(name for name in names if name != input_column)
    if input_column in names and column in names and column != input_column:
        return input_column, column
    known = _known_among(names)
    if known and is_listed(folder):
        return None
    if known and (others := [path.name for path in inside if path.name not in known and _counts(path)]):
        given, target = known
        raise DataError(
            f"{folder} holds {given} and {target}, but also {', '.join(sorted(others)[:_SHOWN])}",
            Remedy(
                f"Move the others to another folder, or pass column={target!r}, input_column={given!r}",
                f"Move the others to another folder, or pass --image_column {target} --input_column {given}",
            ),
        )
    return known


def _counts(path: Path) -> bool:
    return path.is_dir() or is_picture(path)


def _matched(folder: Path, names: tuple[str, str]) -> datasets.Dataset:
    """The pairs, sorted by name."""
    given, target = names
    inputs, targets = (_pictures(folder / name) for name in (given, target))
    if empty := [name for name, found in ((given, inputs), (target, targets)) if not found]:
        raise DataError(
            f"{folder}: {' and '.join(empty)} hold{'s' if len(empty) == 1 else ''} no pictures",
            "Put the missing pictures there, each with the name of its partner",
        )
    for name, found, other, partners in ((given, inputs, target, targets), (target, targets, given, inputs)):
        if alone := [found[key].name for key in sorted(found.keys() - partners.keys())]:
            more = f" and {len(alone) - _SHOWN:,} more" if len(alone) > _SHOWN else ""
            raise DataError(
                f"{folder / name} holds {', '.join(alone[:_SHOWN])}{more}, but {other} holds no picture of"
                " the same name",
                "Rename files or add the missing ones, so that each has a partner. Their extensions may differ",
            )
    files = {name: [found[key] for key in sorted(found)] for name, found in ((given, inputs), (target, targets))}
    return datasets.Dataset(
        InMemoryTable(pa.table({name: image_column(column) for name, column in files.items()})),
        datasets.DatasetInfo(features=datasets.Features({name: datasets.Image() for name in files})),
        fingerprint=fingerprint([file for column in files.values() for file in column]),
    )


def _pictures(folder: Path) -> dict[str, Path]:
    """The pictures in a folder and below, by their path in it without the ending."""
    found: dict[str, Path] = {}
    tree = walk(folder.resolve())
    check_pictures(tree, str(folder))
    report_pictures(tree, str(folder), len(tree.pictures))
    for file in tree.pictures:
        key = composed(file.relative_to(folder.resolve()).with_suffix("").as_posix())
        if key in found:
            raise DataError(f"{folder} holds both {found[key].name} and {file.name}", "Remove or rename one of them")
        found[key] = file
    return found
