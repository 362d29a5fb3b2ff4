"""Density and coverage: precision and recall that a single outlier does not spoil."""

from typing import NamedTuple

from torch import Tensor

from hubgan.errors import DataError
from hubgan.metrics.inputs import FeatureSets
from hubgan.metrics.neighbours import membership, squared_radii
from hubgan.metrics.precision_recall import LEGEND
from hubgan.metrics.registry import Figure, Measured, register_metric

_NEIGHBOURS = 5


class DensityCoverage(NamedTuple):
    """How many real images' balls hold a sample, over the expected number, so it may exceed 1; and the share of real
    images whose ball holds a sample."""

    density: float
    coverage: float


def density_coverage(real: Tensor, fake: Tensor, *, neighbours: int = _NEIGHBOURS) -> DensityCoverage:
    """Density and coverage (Naeem et al. 2020, https://arxiv.org/abs/2002.09797).

    Both count samples in the balls around the real features; the radius of each is the distance to its k-th nearest
    neighbour among the real ones. A point exactly at the radius is outside. For two sets of one distribution and of
    equal size, density is 1 and coverage 1 - 2^-k on average.

    Args:
        real, fake: (N, F) and (M, F), of one extractor and on one device.
        neighbours: k.

    Raises:
        DataError: there are not more than `neighbours` real images, or no samples.
    """
    if not len(fake):
        raise DataError("there are no samples to measure", "Generate some samples first")
    around, covered = membership(real, squared_radii(real, neighbours), fake)
    return DensityCoverage(float(around.double().mean()) / neighbours, float((covered > 0).double().mean()))


@register_metric(
    "Density and coverage",
    Figure("density", "density", "higher"),
    Figure("coverage", "coverage", "higher"),
    legend=LEGEND,
    needs={"features"},
    beside="real",
    fewest=1000,
)
def _measure(sets: FeatureSets) -> dict[str, Measured]:
    equal, settings = sets.equal, {"neighbours": _NEIGHBOURS}
    samples, others = density_coverage(equal.real, equal.fake), density_coverage(*equal.floor)
    return {
        "density": Measured(samples.density, beside=others.density, settings=settings),
        "coverage": Measured(samples.coverage, beside=others.coverage, settings=settings),
    }
