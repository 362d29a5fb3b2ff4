"""Whether samples are of the classes they were asked for, by a classifier that has these classes."""

import torch
from torch import Tensor

from hubgan.metrics.inputs import FeatureSets
from hubgan.metrics.registry import Figure, Measured, register_metric


def recognised(probabilities: Tensor, labels: Tensor) -> float:
    """The share of images whose likeliest class is their label.

    Args:
        probabilities: (N, classes).
        labels: integers (N,).
    """
    return float((probabilities.argmax(1) == labels).double().mean())


@register_metric(
    "Classes recognised",
    Figure(
        "recognised", "recognised", "higher", meaning="the share of samples that a classifier takes for their class"
    ),
    legend="Recognised is the share of samples that the classifier of the features takes for the class they were asked"
    " for. The value of real images stands beside it.",
    needs={"features", "probabilities", "labels", "known classes"},
    beside="real",
    scale="share",
)
def _measure(sets: FeatureSets) -> dict[str, Measured]:
    labels = sets.labels
    assert labels is not None
    theirs = torch.tensor([sets.extractor.classes.index(name) for name in labels.classes])
    samples, real = (
        recognised(sets.probabilities(features), theirs[own])
        for features, own in ((sets.fake, labels.fake), (sets.real, labels.real))
    )
    return {"recognised": Measured(samples, beside=real)}
