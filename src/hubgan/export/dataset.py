"""A generator's images as a data set: Parquet shards and a card, for `datasets.load_dataset` and the Hub.

Processes share the work without communication: each makes every k-th shard, which depends only on the settings. They
wait for each other once, at the end.
"""

import hashlib
import io
import json
import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple, cast

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from datasets.info import DatasetInfosDict
from datasets.utils.metadata import MetadataConfigs
from huggingface_hub import DatasetCardData
from PIL import Image
from safetensors.torch import save
from torch import Tensor
from tqdm.auto import tqdm

from hubgan.errors import ConfigError, Remedy
from hubgan.models.generator import GROUP, Generator
from hubgan.models.labels import Labels
from hubgan.models.latents import truncate
from hubgan.runtime.counting import counted
from hubgan.runtime.files import atomic_write, new_folder, remove_leftovers, write_text
from hubgan.runtime.processes import join_processes
from hubgan.version import __version__

RECORD = "synthesis.json"
CARD = "README.md"

_ROWS = 128  # images in a row group, which is what a reader reads at once
_KEY = b"hubgan"  # of the settings, in a shard's own metadata
_SIZES = {10**3: "n<1K", 10**4: "1K<n<10K", 10**5: "10K<n<100K", 10**6: "100K<n<1M", 10**7: "1M<n<10M"}

_TEMPLATE = """\
---
{header}
---

# {title}

{n:,} synthetic images of {size} x {size} pixels{of_classes}, made by the GAN {model} with hubgan {version}.
None of them shows anything real: present them as generated.

```python
from datasets import load_dataset

rows = load_dataset("{title}", split="train")  # the name of this repository on the Hub, or the path of this folder
rows[0]["{column}"]
```

## How it was made

```console
{command}
```

{facts}

Image i is `generator.sample({sample})[i]` of
`generator = hubgan.Generator.from_pretrained({loaded})`. On another kind of processor, or with another version of
PyTorch, single pixels may differ by a grey level.
{counts}
## Limits and licence

The images show what the model has learned, errors and biases included. What is rare in its training data is rarer
here, and some may come close to single training images.
{licence}
"""


@dataclass(frozen=True)
class Settings:
    """Everything that the images of a data set depend on; stored in every shard."""

    fingerprint: str  # of the model's configuration and weights
    n: int
    seed: int
    labels: list[str] | None
    truncation: float | None
    shard_size: int
    image_column: str
    label_column: str

    @property
    def shards(self) -> list[str]:
        """The names of the shards, in order."""
        count = -(-self.n // self.shard_size)
        return [f"train-{number:05d}-of-{count:05d}.parquet" for number in range(count)]


class Origin(NamedTuple):
    """The source of a model, for the card: its name on the Hub or its folder's name, revision and subfolder."""

    name: str = "user/model"
    revision: str | None = None
    subfolder: str | None = None

    @property
    def exactly(self) -> dict[str, str]:
        return {name: value for name, value in (("revision", self.revision), ("subfolder", self.subfolder)) if value}


def synthesize(
    generator: Generator,
    folder: str | Path,
    n: int,
    *,
    seed: int = 0,
    labels: Labels | None = None,
    truncation: float | None = None,
    batch_size: int = 64,
    shard_size: int = 5000,
    image_column: str = "img",
    label_column: str = "label",
    overwrite: bool = False,
    origin: Origin = Origin(),  # noqa: B008, it is immutable
    progress: bool = False,
) -> list[Path]:
    """Write a data set of generated images, which `datasets.load_dataset(folder)` reads.

    It has an `Image` column (PNG) and, if the model has classes, a `ClassLabel` column. The images are those of
    `Generator.sample(n, labels=..., seed=..., truncation=...)`. Several processes (`accelerate launch`, `torchrun`)
    divide the work and make the same files as one. After an interruption the same call continues: an existing shard
    is whole, and is kept if it was made with the same settings. The card and the record, `synthesis.json`, are written
    at the end. An existing card is kept, unless it is of other settings.

    Args:
        generator: the model, on the device to compute on.
        folder: the folder to write into, made if it is missing.
        n: the number of images.
        seed: of the latents.
        labels: the images' classes, by name or number, in turn; by default all classes, so that any first part of the
            data set is balanced.
        truncation: the threshold of `hubgan.models.latents.truncate`.
        batch_size: the most images on the device at once, rounded up to a multiple of 16.
        shard_size: images in a file.
        image_column: the name of the column with the images.
        label_column: the name of the column with the labels.
        overwrite: replace a data set of other settings, or another data set, in the folder.
        origin: the source of the model, for the card.
        progress: show a bar for the main process's own images.

    Returns:
        The shards, `folder/data/train-00000-of-00010.parquet` and so on.

    Raises:
        ConfigError: an option out of bounds, labels that the model does not have, or shards or a card in the folder
            that are of other settings.
        OSError: the folder cannot be written.
    """
    if n < 1 or shard_size < 1 or batch_size < 1:
        raise ConfigError(f"n {n}, shard_size {shard_size}, batch_size {batch_size}: each must be 1 or more")
    if not image_column or not label_column or image_column == label_column:
        raise ConfigError(
            f"the columns need two different names, not {image_column!r} and {label_column!r}",
            Remedy("Change image_column or label_column", "Change --image-column or --label-column"),
        )
    if truncation is not None:
        truncation = float(truncation)
        truncate(torch.zeros(1), truncation)  # an error is raised now rather than after the work has begun
    wanted = labels if labels is not None else generator.labels or None
    numbers = generator.label_ids(n, wanted)
    in_turn = 1 if isinstance(wanted, int | str) else len(wanted or ())
    names = None if numbers is None else [generator.labels[number] for number in numbers[:in_turn].tolist()]
    settings = Settings(_fingerprint(generator), n, seed, names, truncation, shard_size, image_column, label_column)

    state = join_processes(cpu=generator.device.type == "cpu")
    folder = Path(folder)
    shards = [folder / "data" / shard for shard in settings.shards]
    kept = _kept(folder, settings, overwrite)
    mine = range(state.process_index, len(shards), state.num_processes)
    missing = [(shards[k], k * shard_size, min(n, (k + 1) * shard_size)) for k in mine if shards[k] not in kept]
    if missing:
        remove_leftovers(folder / "data")
        latents = generator.latents(n, seed=seed)
        total = sum(stop - start for _, start, stop in missing)
        shown = progress and state.is_main_process
        with tqdm(total=total, unit="image", disable=None if shown else True) as bar:
            for file, start, stop in missing:
                images = _images(generator, latents, numbers, range(start, stop), truncation, batch_size)
                labels_here = None if numbers is None else numbers[start:stop].tolist()
                _write_shard(file, images, start, labels_here, settings, generator.labels, bar)
    state.wait_for_everyone()
    if state.is_main_process:
        for file in (folder / "data").glob("train-*.parquet"):
            if file not in shards:  # it may be overwritten here, and would be read as a part of the data set
                file.unlink()
        _finish(folder, shards, settings, generator, numbers, origin)
    return shards


# -- shards


def _images(
    generator: Generator,
    latents: Tensor,
    labels: Tensor | None,
    rows: range,
    truncation: float | None,
    batch_size: int,
) -> Iterator[Image.Image]:
    before = rows.start % GROUP  # split elsewhere, the last bits of the images might differ
    here = slice(rows.start - before, rows.stop)
    drawn = latents[here] if truncation is None else truncate(latents[here], truncation)
    parts = generator.parts(drawn, None if labels is None else labels[here], batch_size=batch_size)
    yield from islice(chain.from_iterable(cast("Iterator[list[Image.Image]]", parts)), before, None)


def _features(settings: Settings, labels: tuple[str, ...]) -> datasets.Features:
    columns: dict[str, Any] = {settings.image_column: datasets.Image()}
    if labels:
        columns[settings.label_column] = datasets.ClassLabel(names=list(labels))
    return datasets.Features(columns)


def _write_shard(
    file: Path,
    images: Iterator[Image.Image],
    start: int,
    labels: list[int] | None,
    settings: Settings,
    classes: tuple[str, ...],
    bar: "tqdm[Any]",
) -> None:
    schema = _features(settings, classes).arrow_schema
    schema = schema.with_metadata({**schema.metadata, _KEY: json.dumps(asdict(settings)).encode()})
    done = 0
    with new_folder(file.parent), atomic_write(file) as unfinished:
        # A dictionary and the extreme values are useless for the bytes of pictures.
        options = {"use_dictionary": False, "write_statistics": False, "write_page_index": True}
        with pq.ParquetWriter(unfinished, schema, **options) as writer:
            while group := [_png(image) for image in islice(images, _ROWS)]:
                cells = [{"bytes": png, "path": f"{start + done + i:08d}.png"} for i, png in enumerate(group)]
                columns: dict[str, list[Any]] = {settings.image_column: cells}
                if labels is not None:
                    columns[settings.label_column] = labels[done : done + len(group)]
                writer.write_table(pa.table(columns, schema=schema))
                done += len(group)
                bar.update(len(group))


def _png(image: Image.Image) -> bytes:
    with io.BytesIO() as file:
        image.save(file, "PNG")
        return file.getvalue()


def _fingerprint(generator: Generator) -> str:
    tensors = {key: value.detach().cpu().contiguous() for key, value in generator.state_dict().items()}
    config = json.dumps(generator.config, sort_keys=True, default=str).encode()
    return hashlib.sha256(config + save(tensors)).hexdigest()[:16]


# -- existing files


def _kept(folder: Path, settings: Settings, overwrite: bool) -> set[Path]:
    """The existing shards to keep. Raises ConfigError for files of other data, unless they may be overwritten."""
    record, card = folder / RECORD, folder / CARD
    remedy = Remedy(
        "Pass another folder, or replace the data set in this one with overwrite=True",
        "Pass another folder with -o, or replace the data set in this one with --overwrite",
    )
    if card.exists() and not record.exists() and not overwrite:
        raise ConfigError(f"{card} already exists, and is not a data set that hubgan made", remedy)
    shards = sorted((folder / "data").glob("train-*.parquet"))
    differences = {file: _difference(file, settings) for file in [*shards, *([record] if record.exists() else [])]}
    for file, difference in differences.items():
        if difference and not overwrite:
            raise ConfigError(f"{file} cannot be continued: {difference}", remedy)
    return {file for file in shards if not differences[file]}


def _difference(file: Path, settings: Settings) -> str:
    """How the settings of a shard or a record differ from these; empty if they do not."""
    try:
        text = file.read_text("utf-8") if file.name == RECORD else (pq.read_schema(file).metadata or {})[_KEY]
        there = dict(json.loads(text))
    except (KeyError, TypeError, ValueError):  # a broken file, or not one of hubgan's; pyarrow's are ValueErrors
        return "it is not a data set that hubgan made"
    here = asdict(settings)
    return ", ".join(f"{key} is {_short(there.get(key))} instead of {_short(here[key])}" for key in here
                     if there.get(key) != here[key])  # fmt: skip


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) < 50 else f"{text[:46]} ..."


# -- the record and the card


def _finish(
    folder: Path, shards: list[Path], settings: Settings, generator: Generator, numbers: Tensor | None, origin: Origin
) -> None:
    """Write the record, then the card: hubgan never leaves a card without a record."""
    record, card = folder / RECORD, folder / CARD
    if not record.exists() or _difference(record, settings):
        card.unlink(missing_ok=True)  # it describes other images
        write_text(
            record, json.dumps({"hubgan": __version__, "model": origin.name, **asdict(settings)}, indent=2) + "\n"
        )
    if not card.exists():
        counts = Counter(numbers.tolist()) if numbers is not None else {}
        write_text(card, _card(folder.resolve().name, shards, settings, generator, counts, origin))


def _card(
    title: str, shards: list[Path], settings: Settings, generator: Generator, counts: dict[int, int], origin: Origin
) -> str:
    name, licence = origin.name, (generator.training_run or {}).get("license")
    classes, files = generator.labels, counted(len(shards), "file")
    facts = {
        "model": f"`{name}`, fingerprint `{settings.fingerprint}`",
        "images": f"{settings.n:,} PNG, {'RGB' if generator.channels == 3 else 'grey'}, in {files}",
        "seed": settings.seed,
        "truncation": settings.truncation or "none",
        "labels": f"{len(counts)} classes in turn" if counts else "none",
        "made with": f"hubgan {__version__}, PyTorch {torch.__version__.partition('+')[0]}",
    }
    every = settings.labels == list(classes)
    sample = {"labels": "generator.labels" if every else settings.labels, "seed": settings.seed,
              "truncation": settings.truncation}  # fmt: skip
    table = [
        "| {} | {} | {:,} |".format(classes[number].replace("|", "\\|"), number, counts[number])
        for number in sorted(counts)
    ]
    return _TEMPLATE.format(
        header=_header(shards, settings, generator, licence),
        title=title,
        n=settings.n,
        size=generator.image_size,
        of_classes=f", of {counted(len(counts), 'class')}" if counts else "",
        model=f"[{name}](https://huggingface.co/{name})" if "/" in name else f"`{name}`",
        version=__version__,
        column=settings.image_column,
        command=_command(settings, origin, every),
        facts="\n".join(f"- {key}: {value}" for key, value in facts.items()),
        sample=", ".join([f"{settings.n}", *(f"{key}={value}" for key, value in sample.items() if value is not None)]),
        loaded=", ".join([f'"{name}"', *(f'{key}="{value}"' for key, value in origin.exactly.items())]),
        counts="\n".join(["", "| class | number | images |", "|---|---|---|", *table, ""]) if counts else "",
        licence=f"The model's weights are under the licence `{licence}`; the data that it was trained on has its own."
        if licence
        else "No licence is stated for the model's weights: ask whoever made them.",
    )


def _header(shards: list[Path], settings: Settings, generator: Generator, licence: str | None) -> str:
    about = [pq.read_metadata(file) for file in shards]
    unpacked = sum(each.row_group(group).total_byte_size for each in about for group in range(each.num_row_groups))
    split = datasets.SplitInfo("train", num_bytes=unpacked, num_examples=sum(each.num_rows for each in about))
    info = datasets.DatasetInfo(
        features=_features(settings, generator.labels),
        splits=datasets.SplitDict({"train": split}),
        download_size=sum(file.stat().st_size for file in shards),
        dataset_size=unpacked,
    )
    data = DatasetCardData(
        license=licence,
        tags=["gan", "hubgan", "synthetic"],
        task_categories=["image-classification" if generator.labels else "unconditional-image-generation"],
        size_categories=[next((words for most, words in _SIZES.items() if settings.n < most), "n>10M")],
    )
    DatasetInfosDict({"default": info}).to_dataset_card_data(data)
    files = {"data_files": [{"split": "train", "path": "data/train-*"}]}
    MetadataConfigs({"default": files}).to_dataset_card_data(data)
    return str(data)


def _command(settings: Settings, origin: Origin, every: bool) -> str:
    """The command that makes the data set again; `every`: its labels are all of the model's, which is the default."""
    words = ["hubgan", "synthesize", origin.name, *(f"--{key}={value}" for key, value in origin.exactly.items())]
    words += ["-n", str(settings.n), "-o", "FOLDER", "--seed", str(settings.seed)]
    words += ["--shard-size", str(settings.shard_size), "--image-column", settings.image_column]
    if settings.labels:
        words += ["--label-column", settings.label_column, *([] if every else ["--labels", *settings.labels])]
    if settings.truncation is not None:
        words += ["--truncation", str(settings.truncation)]
    return shlex.join(words)
