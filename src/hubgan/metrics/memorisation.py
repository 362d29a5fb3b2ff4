"""Whether samples are copies of training images: how near their features are to those of a single one."""

from typing import NamedTuple

import torch
from torch import Tensor

from hubgan.errors import DataError
from hubgan.metrics.inputs import FeatureSets
from hubgan.metrics.neighbours import squared_distances
from hubgan.metrics.registry import Figure, Measured, Settings, register_metric

_AROUND = 50  # training images, whose mean distance measures how dense they are around a sample


class Nearest(NamedTuple):
    """The nearest images, nearest first: distances float64 (N, count), indices int64 (N, count)."""

    distances: Tensor
    indices: Tensor


class Memorisation(NamedTuple):
    """How near samples are to single training images, compared with held-out real images.

    Distances are relative: the distance to the nearest training image over the mean distance to the 50 nearest. A copy
    has 0; a sample that is about as far from many training images has nearly 1.

    Attributes:
        closer: the probability that a sample's distance is smaller than a held-out image's, where a tie counts half.
            0.5 is as near, 1 is copies.
        copies: the share of samples whose distance is at most `threshold`.
        expected: the same share of held-out images, which cannot be copies. If `copies` is much larger, samples are
            copies.
        threshold: a relative distance.
        distances: of the samples, float64 (N,).
        nearest: the index of the nearest training image of each sample, int64 (N,).
    """

    closer: float
    copies: float
    expected: float
    threshold: float
    distances: Tensor
    nearest: Tensor


def nearest(fake: Tensor, real: Tensor, *, count: int = 1) -> Nearest:
    """The `count` nearest real images of each sample by Euclidean distance; equal features have distance 0.

    Args:
        fake, real: (N, F) and (M, F), of one extractor and on one device.
        count: the number of nearest images.

    Raises:
        DataError: there are fewer real images than `count`, or no samples.
    """
    if not len(fake) or not 1 <= count <= len(real):
        raise DataError(
            f"{len(fake)} samples cannot have {count} nearest neighbours each among {len(real)} images",
            "Use more images, at least 1 sample, and at least 1 neighbour",
        )
    parts = [part.topk(count, largest=False) for part in squared_distances(fake, real)]
    return Nearest(torch.cat([part.values for part in parts]).sqrt(), torch.cat([part.indices for part in parts]))


def memorisation(fake: Tensor, train: Tensor, test: Tensor, *, share: float = 0.01) -> Memorisation:
    """The relative distances of samples from their nearest training images, compared with those of held-out images.

    Relative distances are those of Carlini et al. 2023 (https://arxiv.org/abs/2301.13188, section 4.2): absolute ones
    are small wherever training images are dense, such as around a blurred image. The comparison with held-out images,
    by Mann and Whitney's U over the whole space, is that of Meehan et al. 2020 (https://arxiv.org/abs/2004.05675).
    Splits of a data set may share near-duplicates, which lower the threshold, so look at the pairs that are found.

    Args:
        fake, train, test: (N, F), (M, F) and (K, F), of one extractor and on one device. If training mirrors images,
            add the mirrored ones to `train`.
        share: the threshold is the distance below which this share of the held-out images lies.

    Raises:
        DataError: one of the sets is empty, or there are fewer than two training images.
    """
    if not len(test):
        raise DataError("there are no held-out images to compare with", "Pass images that were not trained on")
    distances, found = _relative(fake, train)
    usual = _relative(test, train)[0].sort().values
    threshold = usual[max(1, round(share * len(usual))) - 1]
    farther = len(usual) - (_rank(usual, distances, right=False) + _rank(usual, distances, right=True)) / 2
    return Memorisation(
        closer=float(farther.mean()) / len(usual),
        copies=float((distances <= threshold).double().mean()),
        expected=float((usual <= threshold).double().mean()),
        threshold=float(threshold),
        distances=distances,
        nearest=found,
    )


def _relative(points: Tensor, train: Tensor) -> tuple[Tensor, Tensor]:
    """Relative distances (N,), and the indices of the nearest training images (N,)."""
    if len(train) < 2:
        raise DataError(f"{len(train)} training images are too few to recognise a copy", "Use at least 2")
    found = nearest(points, train, count=min(_AROUND, len(train)))
    around = found.distances.mean(1)
    relative = found.distances[:, 0] / torch.where(around > 0, around, 1)
    return relative, found.indices[:, 0]


def _rank(ordered: Tensor, values: Tensor, *, right: bool) -> Tensor:
    return torch.searchsorted(ordered, values.contiguous(), right=right).double()


@register_metric(
    "Memorisation",
    Figure("nearness", "nearness", "lower"),
    Figure("copies", "copies", "lower", meaning="the share of samples very near to a training image"),
    legend="Nearness is the probability that a sample is nearer to a single training image than a"
    " held-out real image is. At 0.5 samples are as near, and at 1 they are copies. Copies is"
    " the share of samples as near as the nearest 1 % of held-out images. Distances are"
    " relative to those of the 50 nearest training images.",
    needs={"features", "training images"},
    beside="real",
    scale="share",
)
def _measure(sets: FeatureSets) -> dict[str, Measured]:
    found, training = sets.memorisation, sets.training
    assert training is not None
    settings: Settings = {"training_images": training.total, "trained_on": training.name}
    return {
        "nearness": Measured(found.closer, beside=0.5, settings=settings),
        "copies": Measured(found.copies, beside=found.expected, settings=settings),
    }
