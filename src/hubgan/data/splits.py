"""Splits of folders: which names are those of splits, and which rows a user asks for."""

from collections.abc import Collection, Mapping
from pathlib import Path

import datasets

from hubgan.errors import DataError, Remedy, nearest
from hubgan.media.tree import walk

_SPLITS = {
    "train": ("train", "training"),
    "validation": ("dev", "val", "valid", "validation"),
    "test": ("eval", "evaluation", "test", "testing"),
}
_WORDS = {word: split for split, words in _SPLITS.items() for word in words}


def split_of(name: str) -> str | None:
    """What the Hub calls the split that a folder of this name is: "validation" for `Val`; None if it is none."""
    return _WORDS.get(name.lower())


def spelled(split: str, known: Collection[str], name: str, folder: Path) -> str:
    """A split as the folder calls it: "val[:9]" for "validation[:9]", or all of them for "all".

    Args:
        split: a split, a part of one, or several with "+" between them.
        known: the names of the splits.
        name: what the user calls the folder, for messages.
        folder: its path.

    Raises:
        DataError: there is no such split.
    """
    called = {each: each for each in known}
    for hub_name in _SPLITS:
        if len(alike := [each for each in known if split_of(each) == hub_name]) == 1:
            called.setdefault(hub_name, alike[0])
    if split == "all":
        split = "+".join(known)
    for word in words(split):
        if word not in called:
            raise _no_split(word, known, name, folder)
    parts = [part.partition("[") for part in split.split("+")]
    return "+".join(called[word.strip()] + bracket + rest for word, bracket, rest in parts)


def words(split: str) -> list[str]:
    """The names in a split such as "train[:9]+val"."""
    return [part.partition("[")[0].strip() for part in split.split("+")]


def rows_of(split: str, lengths: Mapping[str, int]) -> list[tuple[str, range]]:
    """The rows of each split in what `spelled` returns, from the splits' lengths.

    Raises:
        ValueError: a part is malformed.
    """
    parts = datasets.ReadInstruction.from_spec(split).to_absolute(dict(lengths))
    return [(part.splitname, range(part.from_, part.to)) for part in parts]


def _no_split(word: str, known: Collection[str], name: str, folder: Path) -> DataError:
    if {*known} != {"train"}:
        return DataError(f"{name} has no split {word!r}", nearest(word, known))
    return DataError(
        f"{name} has no split {word!r}: all of its pictures are in the split 'train'", _instead(word, name, folder)
    )


def _instead(word: str, name: str, folder: Path) -> str | Remedy:
    """How to get at the pictures of a split that is no folder at the top, or has something beside it."""
    parts = {picture.relative_to(folder).parts[:-1] for picture in walk(folder).pictures}
    places = [part[: part.index(each) + 1] for part in parts for each in part
              if each == word or (split_of(each) and split_of(each) == split_of(word))]  # fmt: skip
    if not places:
        return f"Move the pictures of each split into its own folder, train and {word}, with nothing beside them"
    *above, last = min(places, key=lambda place: (len(place), place))
    inside = [part[len(above) :] for part in parts if [*part[: len(above)]] == above]
    if above and all(part and split_of(part[0]) for part in inside):
        return f"Pass the folder {Path(name, *above)}"
    found = f"Pass the folder {Path(name, *above, last)}"
    return Remedy(f"{found}, and leave out split", f"{found}, and remove --split")
