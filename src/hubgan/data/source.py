"""A data set of images or of pairs, still encoded: its columns and classes."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import datasets
import torch
from PIL import Image
from torch import Tensor

from hubgan.data.decoding import Cells, decode, decode_all
from hubgan.data.opening import Rows, open_rows, reason
from hubgan.data.pairs import known_pair, warn_if_swapped
from hubgan.data.transforms import Transform
from hubgan.errors import DataError, ImageError, Remedy, nearest
from hubgan.runtime.files import hashed, refuse_address, unwritable

_CHUNK = 32  # rows read at once: enough to be fast, few enough to fit into memory if they are large photos
_SHARDS = 64  # of a stream made from a local data set, whose shards are shuffled too
_ADD_LABELS = Remedy("Fill them in, or choose labels as classes", "Fill them in, or choose labels with --classes")
_NAME_CLASSES = Remedy(
    "If it has no ClassLabels, pass the classes too", "If it has no ClassLabels, pass --classes too"
)
_SUBFOLDERS = "In a folder of pictures, make a subfolder for each class"


@dataclass
class ImageSource:
    """A data set whose images are still encoded.

    Attributes:
        rows: the columns with the images (not decoded) and with the labels, if there are any.
        column: the column with the images; in pairs with the targets.
        name: the name by which the data set was opened, for messages.
        label_column: the column with the labels.
        label_names: the names of the labels 0, 1, ... if that column is a ClassLabel.
        fingerprint: identifies rows and columns; the same in every process and every run for the same data.
        size: the number of rows; None for a stream, whose length is known only at its end.
        classes: the names of the chosen classes, or else of all classes that the label column defines; the number of
            a class is its index here.
        numbers: maps the values of the label column, as text, to the numbers of the classes.
        input_column: the column with the inputs, if the rows are pairs.
        targets: the images of the target domain, if these are the source domain of two (`hubgan.data.domains`).
    """

    rows: Rows
    column: str
    name: str
    label_column: str | None
    label_names: list[str] | None
    fingerprint: str
    size: int | None
    classes: tuple[str, ...] = ()
    numbers: dict[str, int] = field(default_factory=dict)
    input_column: str | None = None
    targets: "ImageSource | None" = None

    @property
    def columns(self) -> list[str]:
        """The columns with images: that of the images, and in pairs that of the inputs after it."""
        return [self.column, *filter(None, [self.input_column])]

    @property
    def streaming(self) -> bool:
        """Whether the rows can only be read one after another."""
        return isinstance(self.rows, datasets.IterableDataset)

    def __len__(self) -> int:
        if self.size is None:
            raise TypeError(f"{self.name} is a stream, whose length is unknown")
        return self.size

    def image(self, row: int) -> Image.Image:
        """The picture of one row, not of a stream; raises ImageError if it cannot be decoded."""
        return decode(self.cells(row)[0])

    def cells(self, row: int) -> Cells:
        """The encoded images of one row, not of a stream."""
        values = self.rows[row]
        return tuple(values[column] for column in self.columns)

    def read(self, rows: Rows | None = None) -> Iterator[list[Cells]]:
        """The encoded images in order, some rows at a time; of `rows` if given, which are these rows reordered.

        Raises:
            DataError: reading fails.
        """
        for chunk in self._chunks(rows):
            yield self._cells(chunk)

    def read_labelled(self, rows: Rows | None = None) -> Iterator[list[tuple[Cells, int]]]:
        """Like `read`, each row with the number of its class.

        Raises:
            DataError: reading fails, or an image has no class.
        """
        assert self.label_column
        for chunk in self._chunks(rows):
            yield list(zip(self._cells(chunk), map(self._number, chunk[self.label_column]), strict=True))

    def labels(self) -> Tensor:
        """The number of each row's class, int64 (size,), not of a stream.

        Raises:
            DataError: there are no classes, or an image has none.
        """
        self._check_classes()
        assert self.label_column
        values = self.rows[self.label_column][:]
        if missing := [row for row, value in enumerate(values) if value is None]:
            example = self.rows[missing[0]][self.column]
            raise DataError(
                f"{self.name}: {len(missing):,} of {len(values):,} images have no label, such as"
                f" {(example or {}).get('path') or f'row {missing[0]}'}",
                _ADD_LABELS,
            )
        return torch.tensor([self._number(value) for value in values], dtype=torch.int64)

    def check_labels(self) -> None:
        """Check that there are classes and, unless this is a stream, that each image has one.

        Raises:
            DataError: there are none, or an image has none.
        """
        if self.streaming:
            self._check_classes()
        else:
            self.labels()

    def number_of(self, value: Any) -> int | None:
        """The number of the class that a value of the label column stands for; None if it stands for none."""
        return None if value is None else self.numbers.get(str(value))

    def _check_classes(self) -> None:
        if not self.classes:
            column = Remedy("Pass their column in label_column", "Pass their column with --label-column")
            error = DataError(f"{self.name} has no known labels", column)
            raise error.with_context(remedy=_NAME_CLASSES if self.streaming else _SUBFOLDERS)

    def prepare(
        self, transform: Transform, cells: Cells, pictures: list[Image.Image] | None = None, row: int | None = None
    ) -> Tensor:
        """A row as a transform prepares it, uint8 (C, H, W).

        Args:
            transform: takes the pictures of the row.
            cells: the encoded images of the row.
            pictures: the same, if they have been decoded already.
            row: its number, if that is known.

        Raises:
            ImageError: the row cannot be used.
            DataError: the sizes of a pair do not fit; the message names the file or the row.
        """
        pictures = decode_all(cells) if pictures is None else pictures
        try:
            return transform.prepare(*pictures)
        except DataError as error:
            paths = [cell["path"] for cell in cells if cell and cell.get("path")]
            place = " and ".join(paths) or ("a pair" if row is None else f"row {row}")
            raise error.with_context(f"{self.name}, {place}: ") from error

    def _cells(self, chunk: dict[str, list[Any]]) -> list[Cells]:
        return list(zip(*(chunk[column] for column in self.columns), strict=True))

    def _number(self, value: Any) -> int:
        number = self.number_of(value)
        if number is None:
            what = "no label" if value is None else f"the label {value!r}, which is none of {', '.join(self.classes)}"
            raise DataError(f"{self.name}: an image has {what}", _ADD_LABELS)
        return number

    def _chunks(self, rows: Rows | None) -> Iterator[dict[str, list[Any]]]:
        # Not plain iteration: in a worker it splits and reorders a stream, so the order would depend on the workers.
        chunks = (self.rows if rows is None else rows).iter(_CHUNK)
        while True:
            try:
                chunk = next(chunks, None)
            except Exception as error:  # formats and file systems raise any kind of error
                raise DataError(f"{self.name}: reading failed: {reason(error)}") from error
            if chunk is None:
                return
            yield chunk

    def examples(self, transform: Transform, count: int) -> list[Tensor]:
        """Up to `count` images as `transform` prepares them, uint8 (C, H, W): spread evenly, or the first of a stream.

        Images that cannot be used are left out. The same images are returned each time.

        Raises:
            DataError: no image can be used, reading fails, or the sizes of a pair do not fit.
        """
        found: list[Tensor] = []
        refused = ImageError("it is empty")
        for cells in self._spread(count):
            try:
                found.append(self.prepare(transform, cells))
            except ImageError as error:
                refused = error
                continue
            if len(found) == count:
                break
        if not found:
            message = f"{self.name}: none of its images can be used: {refused.message}"
            raise DataError(message, refused.remedy) from refused
        return found

    def _spread(self, count: int) -> Iterator[Cells]:
        """The rows to try: first `count` that are far apart, then those between them."""
        if isinstance(self.rows, datasets.IterableDataset):
            yield from (cells for chunk in self.read() for cells in chunk)
            return
        step = max(1, len(self.rows) // count)
        for first in range(step):
            for row in range(first, len(self.rows), step):
                yield self.cells(row)


def load_images(
    name: str,
    *,
    config: str | None = None,
    split: str = "train",
    column: str | None = None,
    input_column: str | None = None,
    pairs: bool = False,
    label_column: str | None = None,
    classes: tuple[str, ...] = (),
    streaming: bool = False,
) -> ImageSource:
    """Open a data set of images or of pairs.

    Of a folder of images every picture in it and below is read. Its subfolders are classes, or splits if their names
    say so and nothing lies beside them (`hubgan.data.folder`). A folder with the two subfolders `lr` and `hr`, or
    `input` and `target`, holds pairs: two image columns of these names. A picture and its partner have the same name,
    up to the ending (`hubgan.data.pairs`).

    Args:
        name: a folder of images, a folder of pairs, a folder written by `save_to_disk` or laid out as a Hub
            repository, a Parquet file, or a Hub name. What looks like a path is never looked for on the Hub.
        config: the configuration (subset), if the data set has several.
        split: the split to open.
        column: the column with the images; by default the only one whose feature type is `Image`, beside
            `input_column`; or else the only one of bytes, or of structs of bytes and path.
        input_column: the column with the inputs of pairs, whose targets are the images. Of a folder these two are
            subfolders.
        pairs: if no column is named, and the image columns are `lr` and `hr`, or `input` and `target`, read pairs.
        label_column: the column with the labels; by default the first whose feature type is `ClassLabel`.
        classes: keep only the images with these labels, given as names or numbers.
        streaming: read rows when they are needed, instead of downloading or converting all of them first.

    Raises:
        DataError: there is no such data set, split, column or label, it holds no images, a picture of a folder of
            pairs has no partner, labels are lists or NaN, pillow-heif is missing, the cache cannot be written, or the
            Hub cannot be reached. For a stream, missing images are only detected when it is read.
    """
    refuse_address(name, DataError, "Download it first, or pass its name on the Hub (user/dataset)")
    try:
        rows, fingerprint = open_rows(name, config, split, streaming, column, input_column)
    except DataError as error:
        raise unwritable(datasets.config.HF_DATASETS_CACHE, error, DataError) or error from error.__cause__
    features = rows.features
    if features is None:
        raise DataError(f"{name} does not declare its columns, which a stream must", "Load it without streaming")
    if isinstance(rows, datasets.Dataset) and not len(rows):
        raise DataError(f"{name}: split {split!r} is empty")
    column, input_column = _image_columns(name, features, column, input_column, pairs)
    images = [column, *filter(None, [input_column])]
    label_column = _label_column(name, features, label_column, images)
    columns = [*images, *filter(None, [label_column])]
    rows = rows.select_columns(columns)
    for each in images:
        rows = rows.cast_column(each, datasets.Image(decode=False))
    if classes:
        rows = _of_classes(rows, name, features, label_column, classes)
    label = features[label_column] if label_column else None
    names = list(label.names) if isinstance(label, datasets.ClassLabel) else None
    known = _numbered(name, rows, label_column, label, classes)
    if isinstance(rows, datasets.IterableDataset):
        fingerprint = hashed(fingerprint, *columns, "classes", *classes)
        return ImageSource(rows, column, name, label_column, names, fingerprint, None, *known, input_column)
    source = ImageSource(rows, column, name, label_column, names, rows._fingerprint, len(rows), *known, input_column)
    if streaming:
        source.rows = rows.to_iterable_dataset(num_shards=min(_SHARDS, len(rows)))
    return source


def _image_columns(
    name: str, features: datasets.Features, column: str | None, input_column: str | None, pairs: bool
) -> tuple[str, str | None]:
    """The column with the images, and that with the inputs of pairs."""
    typed = [key for key, feature in features.items() if isinstance(feature, datasets.Image)]
    encoded = [key for key, feature in features.items() if _holds_files(feature)]
    images = [*typed, *(key for key in encoded if not typed or key in (column, input_column))]
    for wanted in (column, input_column):
        if not images or wanted not in (None, *images):
            found = ", ".join(f"{key} ({_kind(feature)})" for key, feature in features.items())
            missing = f"no image column {wanted!r}" if wanted else "no image column"
            raise DataError(f"{name} has {missing}", f"Its columns are {found}")
    if pairs and column is None and input_column is None and (known := known_pair(images)):
        input_column, column = known
    others = [key for key in images if key != input_column]
    if column == input_column is not None or not others:
        raise DataError(
            f"{name}: column {input_column!r} cannot hold both the inputs and the targets of pairs",
            Remedy("Pass two different image columns, as column and input_column",
                   "Pass two different image columns, with --image-column and --input-column"),
        )  # fmt: skip
    if column is None and len(others) > 1:
        raise DataError(
            f"{name} has several image columns: {', '.join(others)}",
            Remedy("Pass one of them as column", "Pass one of them with --image-column"),
        )
    column = column or others[0]
    if input_column:
        warn_if_swapped(name, input_column, column)
    return column, input_column


def _holds_files(feature: Any) -> bool:
    """Whether a column that is not typed as images may hold their files: bytes, or structs of bytes and path."""
    if isinstance(feature, dict):
        return "bytes" in feature and feature.keys() <= {"bytes", "path"} and _holds_files(feature["bytes"])
    return isinstance(feature, datasets.Value) and feature.dtype in ("binary", "large_binary")


def _label_column(name: str, features: datasets.Features, wanted: str | None, images: list[str]) -> str | None:
    if wanted is None:
        return next((key for key, feature in features.items() if isinstance(feature, datasets.ClassLabel)), None)
    others = [key for key in features if key not in images]
    if wanted not in others:
        raise DataError(f"{name} has no label column {wanted!r}", nearest(wanted, others) if others else "")
    if not isinstance(features[wanted], datasets.Value | datasets.ClassLabel):
        raise DataError(
            f"{name}: the column {wanted!r} holds {features[wanted]}, but a label must be one word or number",
            Remedy("Pass another column as label_column", "Pass another column with --label-column"),
        )
    return wanted


def _of_classes(
    rows: Rows,
    name: str,
    features: datasets.Features,
    column: str | None,
    classes: tuple[str, ...],
) -> Rows:
    """The rows with these labels. Labels are compared as text, so that numbers and names are treated alike."""
    if column is None:
        found = ", ".join(f"{key} ({_kind(feature)})" for key, feature in features.items())
        raise DataError(f"{name} has no label column to select classes by", f"Pass the label column, one of: {found}")
    label = features[column]
    if isinstance(label, datasets.ClassLabel):
        numbers = {str(number): str(number) for number in range(label.num_classes)}
        values = numbers | {each: str(number) for number, each in enumerate(label.names)}
        wanted = frozenset(values[_known(each, label.names, values, name)] for each in classes)
    else:
        wanted = frozenset(classes)
    if isinstance(rows, datasets.IterableDataset):
        return rows.filter(_has_label, input_columns=[column], fn_kwargs={"wanted": wanted})
    # Rows are chosen by number rather than by a function, whose fingerprint could differ between runs.
    labels = [None if value is None else str(value) for value in rows.select_columns([column])[column][:]]
    if not isinstance(label, datasets.ClassLabel):
        found_labels = sorted({each for each in labels if each is not None})
        for each in classes:
            _known(each, found_labels, found_labels, name)
    chosen = [row for row, value in enumerate(labels) if value in wanted]
    if not chosen:
        raise DataError(f"{name} has no images of the classes {', '.join(classes)}")
    return rows.select(chosen)


def _numbered(
    name: str, rows: Rows, column: str | None, label: Any, chosen: tuple[str, ...]
) -> tuple[tuple[str, ...], dict[str, int]]:
    """The names of the classes, and the map from the values of the label column to their numbers."""
    if isinstance(label, datasets.ClassLabel):
        number_of = {name: number for number, name in enumerate(label.names)}
        names = tuple(dict.fromkeys(each if each in number_of else label.names[int(each)] for each in chosen))
        names = names or tuple(label.names)
        return names, {str(number_of[name]): number for number, name in enumerate(names)}
    names = tuple(dict.fromkeys(chosen))
    if not names and column and isinstance(rows, datasets.Dataset):
        values = {value for value in rows[column][:] if value is not None}
        if any(isinstance(value, float) and math.isnan(value) for value in values):
            raise DataError(
                f"{name}: the label column {column!r} ({_kind(label)}) holds NaN, so some images have no label",
                _ADD_LABELS,
            )
        whole = all(isinstance(value, int) for value in values)
        names = tuple(map(str, sorted(values if whole else map(str, values))))
    return names, {name: number for number, name in enumerate(names)}


def _known(word: str, names: list[str], known: Any, name: str) -> str:
    if word not in known:
        raise DataError(f"{name} has no class {word!r}", nearest(word, names))
    return word


def _has_label(value: Any, wanted: frozenset[str]) -> bool:
    return value is not None and str(value) in wanted


def _kind(feature: Any) -> str:
    return getattr(feature, "dtype", None) or type(feature).__name__
