"""What registered metrics measure: sets of features for generators, pairs of pictures for upscalers."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from hubgan.metrics.features import FeatureExtractor
from hubgan.metrics.registry import Measured

if TYPE_CHECKING:
    from hubgan.metrics.memorisation import Memorisation


class TrainingImages(NamedTuple):
    """Training images: their features, (N, F), the name of the data set, and its number of images.

    N is smaller than that number if images cannot be read.
    """

    features: Tensor
    name: str
    total: int


class Labels(NamedTuple):
    """The labels of the generated, the real and the training images, if those are known: int64, a row each.

    Label n is the class `classes[n]`.
    """

    fake: Tensor
    real: Tensor
    training: Tensor | None
    classes: tuple[str, ...]


class Pixels(NamedTuple):
    """The generated, the real and the training images, uint8 (N, 1 or 3, 32, 32), in the order of the features."""

    fake: Tensor
    real: Tensor
    training: Tensor


@dataclass(frozen=True)
class FeatureSets:
    """Features of generated and of real images, float32 (N, F) on the CPU. The numbers of images may differ.

    Attributes:
        extractor: where the features are from.
        fake: of the generated images.
        real: of the real images they are compared with, which were not trained on.
        floor: of two sets of real images, as far from each other as real images are.
        seed: of random choices.
        training: of the training images, for metrics that need "training images".
        labels: of all images, for metrics that need "labels".
        pixels: the images themselves, for metrics that need "pixels".
        progress: show progress bars.
    """

    extractor: FeatureExtractor
    fake: Tensor
    real: Tensor
    floor: tuple[Tensor, Tensor]
    seed: int
    training: TrainingImages | None = None
    labels: Labels | None = None
    pixels: Pixels | None = None
    progress: bool = False

    @property
    def equal(self) -> "FeatureSets":
        """The same with equal numbers of generated and real images, for figures that depend on the numbers.

        The two sets of the floor have equal numbers too, at most as many.
        """
        most = min(len(self.real), len(self.fake))
        least = min(most, *map(len, self.floor))
        one, two = self.floor
        return replace(self, fake=self.fake[:most], real=self.real[:most], floor=(one[:least], two[:least]))

    def compare(self, distance: Callable[[Tensor, Tensor], float]) -> Measured:
        """The distance of generated from real images, and beside it that of real images from each other."""
        return Measured(distance(self.real, self.fake), beside=distance(*self.floor))

    def probabilities(self, features: Tensor) -> Tensor:
        """What the extractor's classifier makes of features (N, F): float32 (N, classes) on the CPU."""
        device = next(self.extractor.parameters(), torch.empty(0)).device
        return self.extractor.probabilities(features.to(device)).cpu()

    @cached_property
    def memorisation(self) -> "Memorisation":
        """How near generated images are to training images; kept, as a figure and a picture are made of it."""
        from hubgan.metrics.memorisation import memorisation

        assert self.training is not None
        return memorisation(self.fake, self.training.features, self.real)


@dataclass(frozen=True)
class Pair:
    """An enlarged picture and its original, uint8 (1, 1 or 3, H, W).

    Attributes:
        enlarged: by the model.
        bicubic: the same small picture, enlarged bicubically.
        original: the large picture.
        scale: how many times the small picture was enlarged.
        border: pixels left out at each side.
    """

    enlarged: Tensor
    bicubic: Tensor
    original: Tensor
    scale: int
    border: int

    def compare(self, metric: Callable[[Tensor, Tensor], float]) -> Measured:
        """The figure of the enlarged picture, and beside it that of the bicubic one, both against the original."""
        return Measured(metric(self.enlarged, self.original), beside=metric(self.bicubic, self.original))
