"""A folder of pictures as a data set: every picture in it and below, whose subfolders are classes or splits.

The rows are the paths of the files: nothing is copied, and nothing decoded.
"""

import logging
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from datasets.table import InMemoryTable
from huggingface_hub import metadata_load

from hubgan.data.metadata import Metadata, composed, read_metadata
from hubgan.data.splits import rows_of, spelled, split_of
from hubgan.errors import DataError
from hubgan.media.tree import HEIF_ENDINGS, Tree, walk
from hubgan.runtime.counting import counted
from hubgan.runtime.files import hashed

logger = logging.getLogger(__name__)

PAIRS = (("lr", "hr"), ("input", "target"))
"""The names of subfolders with the inputs and the targets of pairs."""
_IMAGE, _LABEL = "image", "label"  # the columns, as `imagefolder` of `datasets` calls them


def open_folder(path: Path, name: str, split: str) -> datasets.Dataset | None:
    """The pictures in a folder and below as a column `image`, ordered by path.

    A column `label` holds the subfolder that a picture lies in; it is empty for those outside. If the folder holds
    nothing but folders with the names of splits, such as `train` and `val`, they are splits with such subfolders.
    Else all pictures are the split "train". Columns of metadata files are added (`hubgan.data.metadata`); a metadata
    file at the top says that subfolders are classes, whatever they are called.

    Args:
        path: the folder.
        name: what the user calls it, for messages.
        split: a split, or a part of one, such as "train[:100]".

    Returns:
        The rows; None if there are no pictures, or the folder is laid out as a repository of the Hub.

    Raises:
        DataError: there is no such split, a metadata file cannot be used, a path is not in Unicode, or pillow-heif is
            missing.
        OSError: a folder cannot be read.
        ValueError: the part of the split is malformed.
    """
    folder = path.resolve()
    tree = walk(folder)
    if not tree.pictures or _is_repository(folder, tree, name):
        return None
    if metadata := read_metadata(tree.others):
        used = {*metadata.files}
        tree.others = [file for file in tree.others if file not in used]
    parts = [picture.relative_to(folder).parts[:-1] for picture in tree.pictures]
    listed = metadata is not None and folder in [file.parent for file in metadata.files]
    splits = _splits(parts, listed)
    depth = 0 if splits is None else 1
    labels = [composed(part[depth]) if len(part) > depth else None for part in parts]
    classes = sorted({label for label in labels if label is not None})
    check_pictures(tree, name)
    if splits is None:
        _warn_of_splits(parts, name)
    splits = splits or {"train": list(range(len(parts)))}
    wanted = rows_of(spelled(split, splits, name, folder), {each: len(splits[each]) for each in splits})
    chosen = [splits[each][row] for each, rows in wanted for row in rows]
    report_pictures(tree, name, len(chosen), f" in {counted(len(classes), 'class')}" if classes else "")
    return _rows([tree.pictures[k] for k in chosen], [labels[k] for k in chosen], classes, metadata, tree, name)


def reads_otherwise(classes: Iterable[str]) -> bool:
    """Whether subfolders with these names would be read as splits or pairs rather than as classes."""
    names = {name.lower() for name in classes}
    return bool(names) and (all(map(split_of, names)) or any(names.issuperset(pair) for pair in PAIRS))


def is_listed(folder: Path) -> bool:
    """Whether a metadata file lies in a folder that tells of its pictures."""
    return read_metadata(file for file in folder.iterdir() if file.is_file()) is not None


def check_pictures(tree: Tree, name: str) -> None:
    """Raise DataError if there are HEIF pictures, and pillow-heif is missing."""
    heif = [picture for picture in tree.pictures if picture.suffix.lower() in HEIF_ENDINGS]
    if heif and find_spec("pillow_heif") is None:
        raise DataError(
            f"{name}: {len(heif):,} of {counted(len(tree.pictures), 'picture')} are HEIF (HEIC), which needs the"
            " package pillow-heif",
            "Run: pip install 'hubgan[heif]', or move these pictures to another folder",
        )


def report_pictures(tree: Tree, name: str, used: int, about: str = "") -> None:
    """Report what a folder holds, and how many of its pictures are used, which a split may limit."""
    left_out, held = tree.left_out(), counted(len(tree.pictures), "picture")
    part = "" if used == len(tree.pictures) else f"{used:,} of "
    logger.info("%s: %s%s%s%s", name, part, held, about, left_out and f"; skipped: {left_out}")
    if unread := tree.unread():
        logger.warning(
            "%s: hubgan cannot read the format of %s, such as %s. Save them as PNG or JPEG",
            name, counted(len(unread), "picture"), unread[0],
        )  # fmt: skip


def image_column(files: Sequence[Path]) -> pa.StructArray:
    """The files as a column of the feature type `Image`.

    Raises:
        DataError: a path is not in Unicode.
    """
    try:
        paths = pa.array([str(file) for file in files], pa.string())
    except UnicodeEncodeError as error:
        wrong = next(file for file in files if not _is_unicode(file))
        raise DataError(
            f"the name {str(wrong)!r} is not valid UTF-8", "Rename the file, for example with convmv"
        ) from error
    return pa.StructArray.from_arrays([pa.nulls(len(files), pa.binary()), paths], names=["bytes", "path"])


def fingerprint(files: Iterable[Path], *more: str) -> str:
    """Changes with the files: their paths, sizes and times, as `datasets` does it for a folder of images."""
    states = [(file, file.stat()) for file in files]
    texts = [f"{file}\0{state.st_size}\0{state.st_mtime_ns}" for file, state in states]
    return hashed(*texts, *more)


def _is_repository(folder: Path, tree: Tree, name: str) -> bool:
    """Whether a folder is laid out as on the Hub: its card names the files, or its pictures are in Parquet files."""
    if _has_configs(folder):
        return True
    if not any(file.suffix.lower() == ".parquet" and _holds_pictures(file) for file in tree.others):
        return False
    logger.warning("%s: only the pictures in its Parquet files are used; %s other pictures are ignored", name,
                   f"{len(tree.pictures):,}")  # fmt: skip
    return True


def _has_configs(folder: Path) -> bool:
    try:
        return bool((metadata_load(folder / "README.md") or {}).get("configs"))
    except (OSError, ValueError, yaml.YAMLError):
        return False


def _holds_pictures(file: Path) -> bool:
    try:
        schema = pq.read_schema(file)
    except (OSError, pa.ArrowException):
        return False
    kinds = [field.type for field in schema]
    return any(pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0 for kind in kinds)


def _splits(parts: Sequence[tuple[str, ...]], listed: bool) -> dict[str, list[int]] | None:
    """The pictures of each split, if the top level holds nothing but splits."""
    if listed or not all(part and split_of(part[0]) for part in parts):
        return None
    found: dict[str, list[int]] = {}
    for number, part in enumerate(parts):
        found.setdefault(part[0], []).append(number)
    return found


def _warn_of_splits(parts: Sequence[tuple[str, ...]], name: str) -> None:
    words = sorted({word for part in set(parts) for word in part if split_of(word)})
    if len({*map(split_of, words)}) > 1:
        logger.warning(
            "%s: the folders %s are read together. They count as splits only at the top, with nothing"
            " else beside them. To use one of them alone, pass its path",
            name,
            " and ".join(words),
        )


def _rows(
    files: list[Path],
    labels: list[str | None],
    classes: list[str],
    metadata: Metadata | None,
    tree: Tree,
    name: str,
) -> datasets.Dataset:
    columns: dict[str, pa.Array | pa.ChunkedArray] = {_IMAGE: image_column(files)}
    features = datasets.Features({_IMAGE: datasets.Image()})
    if metadata:
        described = metadata.of(files, tree.pictures, name)
        if _IMAGE in described.column_names:
            raise DataError(
                f"{metadata.files[0]} has a column {_IMAGE!r}, a name that is reserved for the pictures", "Rename it"
            )
        columns |= zip(described.column_names, described.columns, strict=True)
        features |= datasets.Features.from_arrow_schema(described.schema)
    if classes and _LABEL not in columns:
        numbers = {each: number for number, each in enumerate(classes)}
        columns[_LABEL] = pa.array([None if label is None else numbers[label] for label in labels], pa.int64())
        features[_LABEL] = datasets.ClassLabel(names=classes)
    return datasets.Dataset(
        InMemoryTable(pa.table(columns)),
        datasets.DatasetInfo(features=features),
        fingerprint=fingerprint([*files, *(metadata.files if metadata else [])], *classes),
    )


def _is_unicode(file: Path) -> bool:
    try:
        return bool(str(file).encode())
    except UnicodeEncodeError:
        return False
