"""Whether samples are of the classes they were asked for, by a linear classifier of real images' features."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from hubgan.errors import DataError
from hubgan.metrics.inputs import FeatureSets
from hubgan.metrics.registry import Figure, Measured, register_metric

_ITERATIONS = 200


@dataclass(frozen=True)
class LinearClassifier:
    """Multinomial logistic regression on standardised features.

    Fit it to training images. Compare its accuracy on samples of a conditional model, with the labels they were asked
    for, with its accuracy on held-out real images. (The classification accuracy score of Ravuri and Vinyals 2019,
    https://arxiv.org/abs/1905.10887, is the reverse: fitted to samples, tested on real images.)

    Attributes:
        mean, deviation: of the features it was fitted to, (F,).
        weight, bias: (F, classes) and (classes,), on standardised features.
    """

    mean: Tensor
    deviation: Tensor
    weight: Tensor
    bias: Tensor

    @classmethod
    def fit(cls, features: Tensor, labels: Tensor, classes: int, *, penalty: float = 500) -> "LinearClassifier":
        """The classifier with the least sum of cross-entropies over the images + penalty/2 |weight|^2; deterministic.

        Args:
            features: (N, F) of real images.
            labels: integers (N,) from 0 to classes - 1.
            classes: the number of classes.
            penalty: weight of the second term. On CIFAR-10's ENL0 features 500 was the best of 100, 500 and 2,000 for
                8,000 images, and of 500, 1,500 and 5,000 for 50,000.

        Raises:
            DataError: there are no images, or features and labels do not match, or a label is out of range.
        """
        if not len(features) or len(features) != len(labels):
            raise DataError(f"{len(features)} images with {len(labels)} labels", "Pass one label for each image")
        if labels.min() < 0 or labels.max() >= classes:
            raise DataError(f"labels from {labels.min()} to {labels.max()} do not fit {classes} classes")
        mean, deviation = features.mean(0), features.std(0, correction=0)
        deviation = torch.where(deviation > 0, deviation, 1)  # a constant feature
        standard = (features - mean) / deviation
        weight = standard.new_zeros(features.shape[1], classes).requires_grad_()
        bias = standard.new_zeros(classes).requires_grad_()
        search = torch.optim.LBFGS(
            [weight, bias], max_iter=_ITERATIONS, tolerance_grad=1e-5, line_search_fn="strong_wolfe"
        )

        def loss() -> Tensor:
            search.zero_grad()
            value = (
                cross_entropy(standard @ weight + bias, labels.long())
                + penalty / 2 / len(labels) * weight.square().sum()
            )
            value.backward()
            return value

        with torch.enable_grad():
            search.step(loss)
        return cls(mean, deviation, weight.detach(), bias.detach())

    def predict(self, features: Tensor) -> Tensor:
        """The likeliest class of features (N, F), int64 (N,)."""
        return ((features - self.mean) / self.deviation @ self.weight + self.bias).argmax(1)

    def accuracy(self, features: Tensor, labels: Tensor) -> float:
        """The share of features (N, F) whose likeliest class is their label (N,)."""
        return float((self.predict(features) == labels).double().mean())


@register_metric(
    "Label accuracy",
    Figure(
        "label_accuracy",
        "label accuracy",
        "higher",
        meaning="the share of samples in which a classifier sees their class",
    ),
    legend="Label accuracy is the share of samples that a classifier takes for the class they were"
    " asked for. It is linear, and fitted to the features of the training images. The value"
    " of real images stands beside it.",
    needs={"features", "training images", "labels"},
    beside="real",
    scale="share",
)
def _measure(sets: FeatureSets) -> dict[str, Measured]:
    training, labels = sets.training, sets.labels
    assert training is not None and labels is not None
    assert labels.training is not None
    classifier = LinearClassifier.fit(training.features, labels.training, len(labels.classes))
    samples = classifier.accuracy(sets.fake, labels.fake)
    return {"label_accuracy": Measured(samples, beside=classifier.accuracy(sets.real, labels.real))}
