"""The kernel distance between two sets of features, which the KID is with Inception's."""

from typing import NamedTuple

import torch
from torch import Tensor


class KernelDistance(NamedTuple):
    """The mean over the subsets, its standard deviation (0 for a single subset), and what they were."""

    mean: float
    deviation: float
    subsets: int
    subset_size: int


def kernel_distance(
    real: Tensor, fake: Tensor, *, subsets: int = 100, subset_size: int = 1000, seed: int = 0
) -> KernelDistance:
    """The squared maximum mean discrepancy with the kernel (x y / F + 1)^3 (Binkowski et al. 2018,
    https://arxiv.org/abs/1801.01401), as mean over random subsets, in float64.

    Unlike the Frechet distance it is unbiased: around 0 for two sets of one distribution, whatever their size, and
    sometimes below.

    Args:
        real, fake: (N, F) and (M, F), of one extractor, at least two samples each.
        subsets: how many are drawn.
        subset_size: samples in each. Sets that are no larger than that are compared whole, once.
        seed: of the drawing.
    """
    from torchmetrics.image.kid import poly_mmd  # here, as it takes a second to import

    size = min(subset_size, len(real), len(fake))
    if size == len(real) == len(fake):
        subsets = 1
    random = torch.Generator().manual_seed(seed)
    distances = []
    for _ in range(subsets):
        some_real, some_fake = (
            features[torch.randperm(len(features), generator=random)[:size]].double() for features in (real, fake)
        )
        distances.append(poly_mmd(some_real, some_fake))
    found = torch.stack(distances)
    return KernelDistance(float(found.mean()), float(found.std(correction=0)), subsets, size)
