"""The rows of a data set, found by its name: a folder, a file, or a repository on the Hub."""

import glob
from pathlib import Path
from typing import Any, TypeAlias

import datasets
from datasets.data_files import EmptyDatasetError
from datasets.exceptions import DataFilesNotFoundError
from datasets.load import CachedDatasetModuleFactory
from datasets.packaged_modules.cache.cache import Cache

from hubgan.data.folder import open_folder
from hubgan.data.pairs import open_pairs
from hubgan.data.splits import rows_of, words
from hubgan.errors import DataError, Remedy, nearest
from hubgan.runtime.files import hashed
from hubgan.runtime.names import DATA_FILES, did_you_mean, existing, hub_answers, is_path, unreachable

Rows: TypeAlias = datasets.Dataset | datasets.IterableDataset

_COMMIT = 40  # digits of a commit


def open_rows(
    name: str, config: str | None, split: str, streaming: bool, column: str | None, input_column: str | None
) -> tuple[Rows, str]:
    """The rows of a data set, and for a stream its fingerprint; the arguments are those of `load_images`.

    Raises:
        DataError: there is no such data set or split, or it cannot be read.
    """
    path = existing(name)
    try:
        if path is None:
            if is_path(name):
                raise DataError(
                    f"the folder {name} does not exist", did_you_mean(name, DATA_FILES) or "Check the path"
                )
            return _read(name, config, split, streaming, from_hub=True)
        if path.is_dir():
            if (path / "dataset_info.json").exists() or (path / "dataset_dict.json").exists():
                loaded = datasets.load_from_disk(str(path))
                _refuse_config(name, config)
                return (_pick if isinstance(loaded, datasets.DatasetDict) else _part)(loaded, name, split), ""
            found = open_pairs(path, name, split, column, input_column)
            if found is None:
                found = open_folder(path, name, split)
            if found is None:
                return _read(_local(path), config, split, streaming)
            _refuse_config(name, config)
            return found, ""
        if path.suffix == ".parquet":
            _refuse_config(name, config)
            return _read("parquet", None, split, streaming, data_files=glob.escape(str(path.resolve())))
        raise DataError(f"{name} is a file", "Pass the folder that holds it, a .parquet file, or a Hub name")
    except DataError:
        raise
    except (ConnectionError, datasets.exceptions.DatasetNotFoundError, FileNotFoundError) as error:
        raise _unreachable(name, path, error) from error
    except Exception as error:  # datasets raises many kinds of errors, with good messages
        raise DataError(f"cannot open the data set {name}: {reason(error)}") from error


def _read(
    path: str, config: str | None, split: str, streaming: bool, from_hub: bool = False, **options: Any
) -> tuple[Rows, str]:
    builder = _hub_builder(path, config) if from_hub else datasets.load_dataset_builder(path, config, **options)
    if not streaming:
        builder.download_and_prepare()
        return builder.as_dataset(split), ""
    # The folder of the prepared data is named after the data set's revision or its files' times.
    prepared = Path(builder.cache_dir).parts[-4:]
    return builder.as_streaming_dataset(split=split), hashed(path, split, *prepared)


def _hub_builder(name: str, config: str | None) -> datasets.DatasetBuilder:
    """The builder of a data set on the Hub; of its copy in the cache if the Hub does not answer or know it."""
    if hub_answers() or "://" in name:
        builder = datasets.load_dataset_builder(name, config)
    else:
        CachedDatasetModuleFactory(name).get_module()  # raises FileNotFoundError if there is none
        repository = {"repo_id": name, "dataset_name": name.rpartition("/")[2]}
        builder = Cache(**repository, config_name=config, version="auto", hash="auto")
    if isinstance(builder, Cache) and len(builder.hash or "") < _COMMIT:
        raise FileNotFoundError(f"the cache has a folder {name}, but it holds no data set of the Hub")
    return builder


def _local(path: Path) -> str:
    """The path of a folder for `datasets`, which reads some characters in it as a pattern."""
    found = str(path.resolve())
    if glob.has_magic(found):
        raise DataError(
            f"{path} is not a folder of pictures. The path of another data set must not contain *, ? or [",
            "Rename the folder",
        )
    return found


def _pick(splits: datasets.DatasetDict, name: str, split: str) -> datasets.Dataset:
    if split not in splits:
        raise DataError(f"{name} has no split {split!r}", nearest(split, map(str, splits)))
    return splits[split]


def _part(rows: datasets.Dataset, name: str, split: str) -> datasets.Dataset:
    """The rows that a split asks for of a data set that is one split: all of them, or a part."""
    own = str(rows.split or "train")
    asked = own if split in ("train", "all") else split
    if unknown := [word for word in words(asked) if word != own]:
        raise DataError(
            f"{name} has no split {unknown[0]!r}: all of its rows are in the split {own!r}",
            Remedy("Leave out split", "Remove --split"),
        )
    chosen = [row for _, part in rows_of(asked, {own: len(rows)}) for row in part]
    return rows if chosen == list(range(len(rows))) else rows.select(chosen)


def _refuse_config(name: str, config: str | None) -> None:
    if config is not None:
        raise DataError(
            f"{name} has no configurations, but the configuration {config!r} was given",
            Remedy("Leave out config", "Remove --dataset-config"),
        )


def _unreachable(name: str, path: Path | None, error: Exception) -> DataError:
    if path and isinstance(error, DataFilesNotFoundError | EmptyDatasetError):
        return DataError(f"{name} holds neither a data set nor images", "Put pictures into it, or pass another folder")
    if path:
        return DataError(f"{name} holds neither a data set nor images ({' '.join(str(error).split())[:200]})")
    return unreachable(name)


def reason(error: Exception) -> str:
    """The kind and the message of an error, in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
