"""Precision and recall of samples: how many look real, and how much of what is real they reach."""

from typing import NamedTuple

from torch import Tensor

from hubgan.metrics.neighbours import membership, squared_radii


class PrecisionRecall(NamedTuple):
    """Shares in [0, 1]: of the samples among the real images, and of the real images among the samples."""

    precision: float
    recall: float


def precision_recall(real: Tensor, fake: Tensor, *, neighbours: int = 3) -> PrecisionRecall:
    """Improved precision and recall (Kynkaanniemi et al. 2019, https://arxiv.org/abs/1904.06991).

    A set is taken for the balls around its features, each as far as the k-th nearest other one; a point at the very
    radius is outside, as in the code of Naeem et al. Both depend on the numbers of images, and on an outlier's large
    ball: compare them for equal numbers alone, beside those of other real images.

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
