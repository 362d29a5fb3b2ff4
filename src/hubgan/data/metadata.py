"""Tables that describe the pictures in a folder: `metadata.csv`, `metadata.jsonl` or `metadata.parquet`."""

import logging
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.json as pj
import pyarrow.parquet as pq

from hubgan.errors import DataError

logger = logging.getLogger(__name__)

FILE_NAME = "file_name"
_NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_DELIMITERS = ",;\t"  # spreadsheets write semicolons in many countries


@dataclass
class Metadata:
    """What the metadata files in a folder and below say of its pictures.

    Attributes:
        files: the files.
        pictures: the picture that each row is about, as `_key` writes it.
        columns: all other columns.
    """

    files: list[Path]
    pictures: list[str]
    columns: pa.Table

    def of(self, pictures: Sequence[Path], others: Iterable[Path], name: str) -> pa.Table:
        """The columns with a row for each picture, empty where nothing is said of it. Rows left over are reported.

        Args:
            pictures: the pictures.
            others: pictures that the rows may also be about, which are left out.
            name: the name of the folder, for messages.
        """
        rows: dict[str, int] = {}
        for row, picture in enumerate(self.pictures):
            rows.setdefault(picture, row)
        keys = [_key(picture) for picture in pictures]
        alone = [str(picture) for picture, key in zip(pictures, keys, strict=True) if key not in rows]
        _warn(name, len(pictures), "pictures have no row in the metadata, so their columns are empty", alone)
        strangers = sorted(rows.keys() - keys - {_key(other) for other in others})
        _warn(name, len(self.pictures), "rows of the metadata have no picture", strangers)
        again = [picture for row, picture in enumerate(self.pictures) if rows[picture] != row]
        _warn(
            name,
            len(self.pictures),
            "rows of the metadata are ignored, because an earlier row has the same picture",
            again,
        )
        return self.columns.take(pa.array([rows.get(key) for key in keys], pa.int64()))


def read_metadata(files: Iterable[Path]) -> Metadata | None:
    """Read those of the files that are metadata, and have a column `file_name`; None if none does.

    A file name is a path that begins at the folder of the metadata file, as Windows or other systems write it. A CSV
    file is in UTF-8, and its columns are parted by commas, semicolons or tabs.

    Raises:
        DataError: one cannot be read, or two do not go together.
    """
    found: list[Path] = []
    pictures: list[str] = []
    tables: list[pa.Table] = []
    for file in files:
        if file.name.lower() not in _NAMES:
            continue
        table = _read(file)
        if FILE_NAME not in table.column_names:
            columns = ", ".join(table.column_names)
            logger.warning("%s is ignored, because it has no column %s. Its columns are %s", file, FILE_NAME, columns)
            continue
        if twice := [name for name, number in Counter(table.column_names).items() if number > 1]:
            raise DataError(f"{file} has several columns called {twice[0]!r}", "Rename or delete all but one of them")
        found.append(file)
        pictures += [_key(file.parent / str(value or "")) for value in table[FILE_NAME].to_pylist()]
        tables.append(table.drop_columns(FILE_NAME).replace_schema_metadata(None))
    if not found:
        return None
    try:
        return Metadata(found, pictures, pa.concat_tables(tables, promote_options="permissive"))
    except pa.ArrowException as error:
        raise DataError(
            f"{', '.join(map(str, found))} have columns of the same name with different types ({_reason(error)})",
            "Give the columns the same type",
        ) from error


def _read(file: Path) -> pa.Table:
    # The types of columns are those of all rows, not of the first ones; Arrow takes at most 2 GiB at once.
    whole = min(max(1, file.stat().st_size), 2**31 - 1)
    ending = file.suffix.lower()
    try:
        if ending == ".csv":
            header = file.read_text("utf-8").partition("\n")[0]
            table = pc.read_csv(
                file,
                pc.ReadOptions(block_size=whole),
                pc.ParseOptions(newlines_in_values=True, delimiter=max(_DELIMITERS, key=header.count)),
                # An empty cell is empty, and all else is what it says: "NA" and "None" may be names of classes.
                pc.ConvertOptions(column_types={FILE_NAME: pa.string()}, null_values=[""], strings_can_be_null=True),
            )
            return table.rename_columns([name.strip() for name in table.column_names])
        if ending == ".jsonl":
            return pj.read_json(file, pj.ReadOptions(block_size=whole), pj.ParseOptions(newlines_in_values=True))
        return pq.read_table(file)
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not valid UTF-8", "Save it as UTF-8, or move it to another folder") from error
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(
            f"{file} cannot be read ({_reason(error)})", "Correct it, or move it to another folder"
        ) from error


def _key(picture: Path) -> str:
    """A path, as tables and file systems write it: Windows has backslashes, macOS splits accents off letters."""
    return composed(os.path.normpath(str(picture).replace("\\", "/")))


def composed(name: str) -> str:
    """A name with each accent in its letter (NFC), as it is typed; macOS stores accents apart."""
    return unicodedata.normalize("NFC", name)


def _warn(name: str, of: int, what: str, examples: Sequence[str]) -> None:
    if examples:
        logger.warning("%s: %s of %s %s, such as %s", name, f"{len(examples):,}", f"{of:,}", what, examples[0])


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
