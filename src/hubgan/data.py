"""`datasets` in, uint8 images out."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import torch
from huggingface_hub import constants
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import v2
from tqdm.auto import tqdm

from hubgan.errors import DataError, ImageError
from hubgan.images import fit, flatten, open_image, to_tensor

logger = logging.getLogger(__name__)


@dataclass
class ImageSource:
    """A data set whose images are still encoded: the rows, and the name of the column that holds the images."""

    rows: datasets.Dataset
    column: str
    name: str

    def image(self, row: int) -> Image.Image:
        """The image of one row, decoded; raises ImageError when it cannot be."""
        return _decode(self.rows[row][self.column])

    def images(self, progress: bool = True) -> Iterator[tuple[int, Image.Image]]:
        """Every image that can be read, with its row; those that cannot are counted, and told of in one warning.

        Raises:
            DataError: no image can be read.
        """
        broken: list[str] = []
        cells = (cell for batch in self.rows.iter(1000) for cell in batch[self.column])
        bar = tqdm(cells, total=len(self.rows), desc="reading images", unit="img", disable=not progress)
        for row, cell in enumerate(bar):
            try:
                image = _decode(cell)
            except ImageError as error:
                broken.append(f"row {row}: {error}")
            else:
                yield row, image
        if 0 < len(broken) < len(self.rows):
            logger.warning("%s: skipped %d of %d images that cannot be read, the first %s",
                           self.name, len(broken), len(self.rows), broken[0])  # fmt: skip
        if len(broken) == len(self.rows):
            raise DataError(f"{self.name}: none of its {len(self.rows)} images can be read, the first {broken[0]}")


def load_images(
    name: str, *, config: str | None = None, split: str = "train", column: str | None = None
) -> ImageSource:
    """Open a data set of images.

    Args:
        name: a folder of images (with or without subfolders), a folder written by `save_to_disk` or laid out as a Hub
            repository, or a Hub name.
        config: the configuration (subset), where a data set has several.
        split: which split.
        column: the column with the images; by default the first whose feature type is `Image`.

    Raises:
        DataError: there is no such data set, split or column, it holds no images, or the Hub cannot be reached.
    """
    rows = _open(name, config, split)
    images = [key for key, feature in rows.features.items() if isinstance(feature, datasets.Image)]
    if not images or column not in (None, *images):
        found = ", ".join(f"{key} ({_kind(feature)})" for key, feature in rows.features.items())
        wanted = f"no image column {column!r}" if column else "no image column"
        raise DataError(f"{name} has {wanted}; its columns are {found}")
    if not len(rows):
        raise DataError(f"{name}: split {split!r} is empty")
    column = column or images[0]
    rows = rows.select_columns([column]).cast_column(column, datasets.Image(decode=False))
    return ImageSource(rows, column, name)


def _open(name: str, config: str | None, split: str) -> datasets.Dataset:
    path = Path(name).expanduser()
    try:
        if path.is_dir():
            if (path / "dataset_info.json").exists() or (path / "dataset_dict.json").exists():
                loaded = datasets.load_from_disk(str(path))
                return _pick(loaded, name, split) if isinstance(loaded, datasets.DatasetDict) else loaded
            return datasets.load_dataset(str(path.resolve()), config, split=split)
        if path.exists():
            raise DataError(f"{name} is a file; pass the folder that holds it, or a data set's Hub name")
        return datasets.load_dataset(name, config, split=split)
    except DataError:
        raise
    except (ConnectionError, datasets.exceptions.DatasetNotFoundError, FileNotFoundError) as error:
        raise DataError(_unreachable(name, path, error)) from error
    except Exception as error:  # datasets raises many kinds; the message is what a person needs
        reason = " ".join(str(error).split())[:300]
        raise DataError(f"cannot open the data set {name}: {type(error).__name__}: {reason}") from error


def _pick(splits: datasets.DatasetDict, name: str, split: str) -> datasets.Dataset:
    if split not in splits:
        raise DataError(f"{name} has no split {split!r}; it has {', '.join(splits)}")
    return splits[split]


def _unreachable(name: str, path: Path, error: Exception) -> str:
    if path.is_dir():
        return f"{name} holds no data set and no images ({' '.join(str(error).split())[:200]})"
    looks_local = name.startswith((".", "/", "~")) or name.count("/") > 1
    if looks_local:
        return f"there is no folder {name}, and it is not a Hub name (user/dataset) either"
    return (
        f"{name!r} is no folder on this machine, and no data set of that name could be had from the Hub"
        f" ({constants.ENDPOINT}): it is not there, or private, or the Hub cannot be reached. Pass --dataset the path"
        " of a folder of images or of a local copy of the data set"
    )


def _kind(feature: Any) -> str:
    return getattr(feature, "dtype", None) or type(feature).__name__


def _decode(cell: dict[str, Any] | None) -> Image.Image:
    source = (cell or {}).get("bytes") or (cell or {}).get("path")
    if not source:
        raise ImageError("the cell is empty")
    return open_image(source)


class Images(Dataset[Tensor], ABC):
    """uint8 tensors (channels, H, W), augmented at random.

    What happens to an image depends on the seed, the epoch and its index alone, not on what was drawn before it: so
    it is the same in any order, in any worker and after a resume.
    """

    augment: Callable[[Tensor], Tensor]

    def __init__(self, seed: int) -> None:
        self.seed, self.epoch = seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Accelerate's loader at the start of an epoch."""
        self.epoch = epoch

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def whole(self, index: int) -> Tensor:
        """An image before augmentation."""

    def __getitem__(self, index: int) -> Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(hash((self.seed, self.epoch, index)))
            return self.augment(self.whole(index))


class SquareImages(Images):
    """All images of a source, decoded once: centre-cropped to squares, resized, kept as uint8.

    An item is a uint8 tensor (channels, size, size), mirrored at random when `flip` is set. RGBA is flattened onto
    white, grey becomes RGB, and RGB becomes grey when `channels` is 1.
    """

    def __init__(
        self, source: ImageSource, *, size: int, channels: int, flip: bool, seed: int = 0, progress: bool = True
    ) -> None:
        super().__init__(seed)
        self.images = torch.stack([to_tensor(fit(image, size, channels)) for _, image in source.images(progress)])
        self.augment = v2.RandomHorizontalFlip() if flip else v2.Identity()

    def __len__(self) -> int:
        return len(self.images)

    def whole(self, index: int) -> Tensor:
        return self.images[index]


class RandomCrops(Images):
    """Random square crops of the images of a source.

    An item is a uint8 tensor (channels, size, size), mirrored both ways at random when `flip` is set. Images are
    decoded once and kept as uint8 until `memory` bytes are full; the rest are decoded each time. Images smaller than
    a crop are left out, with a warning.

    Raises:
        DataError: every image is smaller than a crop.
    """

    def __init__(
        self,
        source: ImageSource,
        *,
        size: int,
        channels: int,
        flip: bool,
        seed: int = 0,
        progress: bool = True,
        memory: int = 4 * 2**30,
    ) -> None:
        super().__init__(seed)
        self.source, self.mode = source, "L" if channels == 1 else "RGB"
        flips = [v2.RandomHorizontalFlip(), v2.RandomVerticalFlip()] if flip else []
        self.augment = v2.Compose([v2.RandomCrop(size), *flips])
        self.rows: list[int] = []
        self.kept: dict[int, Tensor] = {}
        small = 0
        for row, image in source.images(progress):
            if min(image.size) < size:
                small += 1
                continue
            if (memory := memory - channels * image.width * image.height) > 0:
                self.kept[len(self.rows)] = self._pixels(image)
            self.rows.append(row)
        if not self.rows:
            raise DataError(f"{source.name}: all {small} images are smaller than a crop of {size} pixels")
        if small:
            logger.warning("%s: left out %d images smaller than a crop of %d pixels", source.name, small, size)

    def __len__(self) -> int:
        return len(self.rows)

    def whole(self, index: int) -> Tensor:
        kept = self.kept.get(index)
        return self._pixels(self.source.image(self.rows[index])) if kept is None else kept

    def _pixels(self, image: Image.Image) -> Tensor:
        return to_tensor(flatten(image).convert(self.mode))
