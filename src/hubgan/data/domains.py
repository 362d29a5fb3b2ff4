"""Two sets of images that are no pairs: a source domain, and a target domain that its pictures are translated to."""

from dataclasses import replace
from typing import Any

import datasets
import torch
from torch import Tensor

from hubgan.data.decoded import DecodedImages
from hubgan.data.opening import open_rows
from hubgan.data.pairs import known_pair, subfolders, warn_if_swapped
from hubgan.data.source import ImageSource, load_images
from hubgan.data.transforms import Transform, UnpairedSquares
from hubgan.errors import DataError, Remedy
from hubgan.runtime.files import hashed
from hubgan.runtime.names import existing
from hubgan.runtime.seeding import derive, uniforms

_COLUMNS = (("imagea", "imageb"),)  # as unpaired data sets on the Hub call them
_PARTNERS, _AUGMENTATION = 1, 2  # what streams of random numbers are for


def load_domains(
    name: str,
    target: str | None = None,
    *,
    config: str | None = None,
    split: str = "train",
    column: str | None = None,
    input_column: str | None = None,
    streaming: bool = False,
    **options: Any,
) -> ImageSource:
    """Open two domains: the images of the source domain, with those of the target domain as `targets`.

    They are two data sets, two image columns of one, or two subfolders of a folder. Columns are found by their names
    `imageA` and `imageB`, and columns and subfolders by `input` and `target`. The numbers of images may differ.

    Args:
        name: the data set of the source domain, or of both, as `load_images` takes it.
        target: the data set of the target domain.
        config: the configuration (subset) of both, if they have several.
        split: the split to open of both.
        column: the column, or the subfolder, with the target domain.
        input_column: the one with the source domain.
        streaming: must be False.
        options: further ones of `load_images`, for both domains.

    Raises:
        DataError: there is only one domain, or both hold the same images; or as `load_images` does.
    """
    if streaming:
        raise DataError(
            "two domains cannot be streamed, because each picture meets any one of the other domain",
            Remedy("Load them without streaming", "Remove --streaming"),
        )
    path, inside = existing(name), split
    if target is None and path is not None and path.is_dir():
        for folder, split_inside in ((path, split), (path / split, "train")):
            if found := subfolders(folder, column, input_column):
                warn_if_swapped(name, *found)
                name, target = (str(folder / each) for each in found)
                column, input_column, inside = None, None, split_inside
                break
    if target is None:
        rows, _ = open_rows(name, config, split, False, column, input_column)
        input_column, column = _two_columns(name, rows.features or {}, column, input_column)
        warn_if_swapped(name, input_column, column)
    inputs = load_images(name, config=config, split=inside, column=input_column, **options)
    targets = load_images(target or name, config=config, split=inside, column=column, **options)
    if inputs.fingerprint == targets.fingerprint:
        raise DataError(
            f"{inputs.name}: the source and the target domain are the same images",
            Remedy("Pass another data set as target", "Pass another data set with --target-dataset"),
        )
    return replace(inputs, targets=targets, fingerprint=hashed(inputs.fingerprint, targets.fingerprint))


def _two_columns(
    name: str, features: datasets.Features, column: str | None, input_column: str | None
) -> tuple[str, str]:
    """The columns with the source and with the target domain of one data set."""
    images = [key for key, feature in features.items() if isinstance(feature, datasets.Image)]
    if column is None and input_column is None and (known := known_pair(images, _COLUMNS)):
        return known
    others = [each for each in images if each not in (column, input_column)]
    if (column or input_column) and len(others) == 1:
        column, input_column = column or others[0], input_column or others[0]
    if column is None or input_column is None:
        found = f"the image columns {', '.join(images)}" if len(images) > 1 else "one domain of images"
        raise DataError(
            f"{name} holds {found}, but a source and a target domain are needed",
            Remedy(
                "Pass the data set of the target domain as target, or two columns as input_column and column",
                "Pass the target domain's data set with --target-dataset, or with --eval-target-dataset for the"
                " figures of a run. Or pass two columns with --input-column and --image-column",
            ),
        )
    return input_column, column


class UnpairedImages(DecodedImages):
    """The images of a source domain, each with any one of the target domain.

    An epoch is the source domain. The partner of an image is drawn again in each epoch, from the whole target domain,
    by the seed and the place in the order alone.

    Args:
        source: the source domain, with the target domain as its `targets`.
        transform: of both.
        memory: bytes that the prepared images of both may take up.
        progress: show a bar while they are decoded.
        labelled: must be False.

    Raises:
        DataError: no image of a domain can be used, or the data set cannot be read.
    """

    def __init__(
        self,
        source: ImageSource,
        transform: Transform,
        *,
        memory: int,
        progress: bool = True,
        labelled: bool = False,
    ) -> None:
        if source.targets is None or labelled or not isinstance(transform, UnpairedSquares):
            raise TypeError("two domains without labels, and the transform of both, are needed")
        super().__init__(source, transform.inputs, memory=memory, progress=progress)
        left = memory - self.pixels.contents.size
        self.targets = DecodedImages(source.targets, transform.targets, memory=left, progress=progress)
        self.complete = self.complete and self.targets.complete

    @property
    def replaced(self) -> int:
        return super().replaced + self.targets.replaced

    def keep_on(self, device: torch.device | str, limit: float | None = None) -> bool:
        half = None if limit is None else limit / 2
        return self.targets.keep_on(device, half) and super().keep_on(device, half)

    def batch(self, keys: list[int], seed: int) -> Tensor:
        """Augmented images of both domains: the channels of the target, then those of the input."""
        given, numbers, count = super().batch(keys, seed), torch.tensor(keys), len(self.targets)
        partners = uniforms(derive(seed, _PARTNERS), numbers, 1)[:, 0].double().mul(count).long()
        target = self.targets.batch((numbers * count + partners).tolist(), derive(seed, _AUGMENTATION))
        return torch.cat([target.to(given.device), given], 1)
