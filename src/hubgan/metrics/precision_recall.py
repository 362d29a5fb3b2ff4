"""Precision and recall: how many samples lie among the real images, and how much of the real images they cover."""

from typing import NamedTuple

from torch import Tensor

from hubgan.metrics.inputs import FeatureSets
from hubgan.metrics.neighbours import membership, squared_radii
from hubgan.metrics.registry import Figure, Measured, register_metric

LEGEND = (
    "Precision and density measure how many samples lie within the range of the real features. High without recall,"
    " they mean few kinds of samples (mode collapse). Recall and coverage measure how much of the real variety samples"
    " reach. More is better, and the values of other real images stand beside them."
)
_NEIGHBOURS = 3


class PrecisionRecall(NamedTuple):
    """The share of samples that lie among the real images, and of real images among the samples; in [0, 1]."""

    precision: float
    recall: float


def precision_recall(real: Tensor, fake: Tensor, *, neighbours: int = _NEIGHBOURS) -> PrecisionRecall:
    """Improved precision and recall (Kynkaanniemi et al. 2019, https://arxiv.org/abs/1904.06991).

    A set covers the balls around its features; the radius of each is the distance to its k-th nearest neighbour in
    the set. A point exactly at the radius is outside, as in the code of Naeem et al. Both figures depend on the
    numbers of images, and an outlier has a large ball: compare them only for equal numbers, beside those of other real
    images.

    Args:
        real, fake: (N, F) and (M, F), of one extractor and on one device.
        neighbours: k.

    Raises:
        DataError: one of the sets has not more than `neighbours` images.
    """
    around_real, around_fake = squared_radii(real, neighbours), squared_radii(fake, neighbours)
    among_real, _ = membership(real, around_real, fake)
    among_fake, _ = membership(fake, around_fake, real)
    return PrecisionRecall(*(float((count > 0).double().mean()) for count in (among_real, among_fake)))


@register_metric(
    "Precision and recall",
    Figure(
        "precision",
        "precision",
        "higher",
        meaning="the share of samples within the range of the real features; high without recall means mode collapse",
        misleading_without="recall",
    ),
    Figure("recall", "recall", "higher", meaning="the share of real variety that samples reach"),
    legend=LEGEND,
    needs={"features"},
    beside="real",
    scale="share",
    fewest=1000,
)
def _measure(sets: FeatureSets) -> dict[str, Measured]:
    equal, settings = sets.equal, {"neighbours": _NEIGHBOURS}
    samples, others = precision_recall(equal.real, equal.fake), precision_recall(*equal.floor)
    return {
        "precision": Measured(samples.precision, beside=others.precision, settings=settings),
        "recall": Measured(samples.recall, beside=others.recall, settings=settings),
    }
