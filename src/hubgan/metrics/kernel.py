"""The kernel distance between two sets of features. With Inception's features it is the KID."""

from typing import NamedTuple

import torch
from torch import Tensor

from hubgan.metrics.frechet import LEGEND
from hubgan.metrics.inputs import FeatureSets
from hubgan.metrics.registry import Figure, Measured, register_metric
from hubgan.runtime.seeding import torch_generator


class KernelDistance(NamedTuple):
    """The mean over the subsets, its standard deviation (0 for a single subset), their number and their size."""

    mean: float
    deviation: float
    subsets: int
    subset_size: int


def kernel_distance(
    real: Tensor, fake: Tensor, *, subsets: int = 100, subset_size: int = 1000, seed: int = 0
) -> KernelDistance:
    """The squared maximum mean discrepancy with the kernel (x y / F + 1)^3 (Binkowski et al. 2018,
    https://arxiv.org/abs/1801.01401), averaged over random subsets, in float64.

    Unlike the Frechet distance it is unbiased: for two sets of one distribution it is 0 on average, whatever their
    size, so it may be negative.

    Args:
        real, fake: (N, F) and (M, F), of one extractor, at least two samples each.
        subsets: how many are drawn.
        subset_size: samples in each. Sets that are no larger than that are compared once, as a whole.
        seed: of the subsets.
    """
    from torchmetrics.image.kid import poly_mmd  # here, as it takes a second to import

    size = min(subset_size, len(real), len(fake))
    if size == len(real) == len(fake):
        subsets = 1
    random = torch_generator(seed)
    distances = []
    for _ in range(subsets):
        some_real, some_fake = (
            features[torch.randperm(len(features), generator=random)[:size]].double() for features in (real, fake)
        )
        distances.append(poly_mmd(some_real, some_fake))
    found = torch.stack(distances)
    return KernelDistance(float(found.mean()), float(found.std(correction=0)), subsets, size)


@register_metric(
    "Kernel distance",
    Figure("kd", "KD", "lower", literature_name="KID", meaning="the kernel distance from real images"),
    legend=LEGEND,
    needs={"features"},
    beside="floor",
    fewest=1000,  # a whole subset
)
def _measure(sets: FeatureSets) -> dict[str, Measured]:
    found = kernel_distance(sets.real, sets.fake, seed=sets.seed)
    floor = kernel_distance(*sets.floor, seed=sets.seed)
    settings = {"subsets": found.subsets, "subset_size": found.subset_size, "subset_deviation": found.deviation}
    return {"kd": Measured(found.mean, beside=floor.mean, settings=settings)}
