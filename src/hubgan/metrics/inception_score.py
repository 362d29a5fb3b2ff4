"""The Inception score of samples, from what a classifier makes of them."""

from typing import NamedTuple

import torch
from torch import Tensor

from hubgan.errors import DataError


class InceptionScore(NamedTuple):
    """The mean over the splits, from 1 to the number of classes, and its standard deviation (0 for one split)."""

    mean: float
    deviation: float


def inception_score(probabilities: Tensor, *, splits: int = 10, seed: int = 0) -> InceptionScore:
    """exp of the mean divergence of p(y|x) from p(y) (Salimans et al. 2016, https://arxiv.org/abs/1606.03498), in
    float64: high where each sample is of a clear class and all classes occur.

    It looks at no real image, so copies and a single image a class are not punished. It grows with the samples of a
    split, and says little of images unlike those of ImageNet.

    Args:
        probabilities: (N, classes), of rows that sum to 1.
        splits: parts of equal size, drawn at random lest each hold a class of its own; samples left over do not count.
        seed: of the drawing.

    Raises:
        DataError: there are fewer samples than splits.
    """
    size = len(probabilities) // splits
    if not size:
        raise DataError(
            f"{len(probabilities)} samples cannot be split into {splits} parts: take more, or fewer splits"
        )
    order = torch.randperm(len(probabilities), generator=torch.Generator().manual_seed(seed))
    parts = probabilities.double()[order[: size * splits].to(probabilities.device)].view(splits, size, -1)
    # The mean divergence is the entropy of p(y) less the mean entropy of p(y|x).
    entropy = torch.special.entr(parts.mean(1)).sum(1) - torch.special.entr(parts).sum(2).mean(1)
    scores = entropy.exp()
    return InceptionScore(float(scores.mean()), float(scores.std(correction=0)))
