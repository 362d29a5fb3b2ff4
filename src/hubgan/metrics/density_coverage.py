"""Density and coverage of samples: precision and recall that a single outlier does not spoil."""

from typing import NamedTuple

from torch import Tensor

from hubgan.errors import DataError
from hubgan.metrics.neighbours import membership, squared_radii


class DensityCoverage(NamedTuple):
    """Around how many real images a sample is, as a share of those expected, which may exceed 1; and the share of real
    images with a sample around them."""

    density: float
    coverage: float


def density_coverage(real: Tensor, fake: Tensor, *, neighbours: int = 5) -> DensityCoverage:
    """Density and coverage (Naeem et al. 2020, https://arxiv.org/abs/2002.09797).

    By the balls around the real features, each as far as the k-th nearest other one; a point at the very radius is
    outside. Of two sets of one distribution and of equal size, density is 1 and coverage 1 - 2^-k on average.

    Args:
        real, fake: (N, F) and (M, F), of one extractor and on one device.
        neighbours: k.

    Raises:
        DataError: there are not more than `neighbours` real images, or no samples.
    """
    if not len(fake):
        raise DataError("there are no samples to measure; generate some")
    around, covered = membership(real, squared_radii(real, neighbours), fake)
    return DensityCoverage(float(around.double().mean()) / neighbours, float((covered > 0).double().mean()))
