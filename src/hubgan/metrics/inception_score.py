"""The Inception score of samples, from a classifier's probabilities."""

from typing import NamedTuple

import torch
from torch import Tensor

from hubgan.errors import DataError
from hubgan.metrics.inputs import FeatureSets
from hubgan.metrics.registry import Figure, Measured, register_metric
from hubgan.runtime.seeding import permutation


class InceptionScore(NamedTuple):
    """The mean over the splits, from 1 to the number of classes, and its standard deviation (0 for one split)."""

    mean: float
    deviation: float


def inception_score(probabilities: Tensor, *, splits: int = 10, seed: int = 0) -> InceptionScore:
    """exp of the mean divergence of p(y|x) from p(y) (Salimans et al. 2016, https://arxiv.org/abs/1606.03498), in
    float64: high if each sample is clearly of a class and all classes occur.

    It sees no real image, so it does not punish copies, or a single image a class. It grows with the number of samples
    in a split, and says little about images unlike those of ImageNet.

    Args:
        probabilities: (N, classes); each row sums to 1.
        splits: parts of equal size. They are drawn at random, as sorted samples would give each part a class of its
            own. Samples left over do not count.
        seed: of the parts.

    Raises:
        DataError: there are fewer samples than splits.
    """
    size = len(probabilities) // splits
    if not size:
        raise DataError(
            f"{len(probabilities)} samples cannot be split into {splits} parts", "Use more samples, or fewer splits"
        )
    order = permutation(len(probabilities), seed)
    parts = probabilities.double()[order[: size * splits].to(probabilities.device)].view(splits, size, -1)
    # The mean divergence is the entropy of p(y) less the mean entropy of p(y|x).
    entropy = torch.special.entr(parts.mean(1)).sum(1) - torch.special.entr(parts).sum(2).mean(1)
    scores = entropy.exp()
    return InceptionScore(float(scores.mean()), float(scores.std(correction=0)))


@register_metric(
    "Inception score",
    Figure("inception_score", "IS", "higher", meaning="how clear and how varied the samples are"),
    legend="IS, the Inception score, is high where samples are clearly of a class and of all classes.",
    needs={"features", "probabilities"},
    beside="real",
    fewest=5000,  # it is taken of tenths of them, and grows with their size
)
def _measure(sets: FeatureSets) -> dict[str, Measured]:
    equal = sets.equal
    samples = inception_score(equal.probabilities(equal.fake))
    real = inception_score(equal.probabilities(equal.real))
    return {"inception_score": Measured(samples.mean, beside=real.mean, settings={"deviation": samples.deviation})}
