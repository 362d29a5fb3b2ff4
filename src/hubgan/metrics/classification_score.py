"""The classification accuracy score: what a classifier learns from samples, tested on real images."""

import torch
from torch import Tensor

from hubgan.metrics.classifier import train_classifier
from hubgan.metrics.inputs import FeatureSets
from hubgan.metrics.registry import Figure, Measured, register_metric


def classification_accuracy_score(
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    classes: int,
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: str = "",
) -> float:
    """The accuracy on real images of a classifier trained on samples alone (Ravuri and Vinyals 2019,
    https://arxiv.org/abs/1905.10887).

    Theirs is a ResNet-50; this is `SmallClassifier`, so compare only scores of this function, of equal numbers of
    samples. It is low if samples are of wrong classes, and if they lack kinds of images.

    Args:
        train: samples, uint8 (N, 1 or 3, 32, 32), with the labels they were asked for, (N,).
        test: real images that the generator was not trained on, with their labels.
        classes: the number of classes.
        seed: of the training.
        device: where to compute.
        progress: what the progress bar says; none is shown without it.
    """
    network = train_classifier(*train, classes, seed=seed, device=device, progress=progress)
    return network.accuracy(*test)


@register_metric(
    "Classification accuracy score",
    Figure("cas", "CAS", "higher", meaning="the accuracy on real images of a classifier trained on samples"),
    legend="CAS, the classification accuracy score, is the accuracy on real images of a small classifier. It learns"
    " from samples alone. The value of one that learns from as many training images stands beside it.",
    needs={"training images", "labels", "pixels"},
    beside="real",
    scale="share",
    network="a small classifier trained from nothing, 32 x 32",
    fewest=5000,  # ten classes of fewer are not learned well
)
class _Measure:
    def __init__(self, device: torch.device) -> None:
        self.device = device

    def __call__(self, sets: FeatureSets) -> dict[str, Measured]:
        pixels, labels = sets.pixels, sets.labels
        assert pixels is not None and labels is not None and labels.training is not None
        test, count = (pixels.real, labels.real), len(pixels.training)
        samples, real = (
            classification_accuracy_score(
                (images, own), test, len(labels.classes), seed=sets.seed, device=self.device,
                progress=f"training on {name}" if sets.progress else "",
            )
            for name, images, own in (
                ("samples", pixels.fake, labels.fake), ("real images", pixels.training, labels.training[:count])
            )
        )  # fmt: skip
        return {"cas": Measured(samples, beside=real, settings={"cas_training_images": count})}
