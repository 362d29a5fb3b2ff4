"""The Frechet distance between two sets of features. With Inception's features it is the FID."""

from torch import Tensor, nn

from hubgan.metrics.inputs import FeatureSets
from hubgan.metrics.registry import Figure, Measured, register_metric

LEGEND = (
    "{fd} is the Frechet distance from real images, and {kd} the kernel distance. Less is"
    " better, and the floor is the distance between real images."
)
_CHUNK = 4096  # features turned into float64 at once


def frechet_distance(real: Tensor, fake: Tensor) -> float:
    """The squared Frechet distance of the normal distributions fitted to two sets (Heusel et al. 2017,
    https://arxiv.org/abs/1706.08500): |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), in float64.

    It is biased: fewer samples make it larger. Read it beside its floor, the distance between two sets of real images
    of the same size, and compare only distances of equal numbers of samples.

    Args:
        real, fake: (N, F) and (M, F), of one extractor, at least two samples each.
    """
    from torchmetrics.image.fid import FrechetInceptionDistance  # here, as it takes a second to import

    # Not summed over processes: the main process may be the only one that calls this.
    metric = FrechetInceptionDistance(feature=_Given(real.shape[1]), sync_on_compute=False)
    for features, is_real in ((real, True), (fake, False)):
        for chunk in features.split(_CHUNK):
            metric.update(chunk.double(), real=is_real)
    return float(metric.compute())


class _Given(nn.Identity):
    """The extractor of a metric that gets features in place of images."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features


@register_metric(
    "Frechet distance",
    Figure("fd", "FD", "lower", literature_name="FID", meaning="the distance from real images"),
    legend=LEGEND,
    needs={"features"},
    beside="floor",
    fewest_per_feature=2,  # the covariance of fewer samples is too rough
)
def _measure(sets: FeatureSets) -> dict[str, Measured]:
    return {"fd": sets.compare(frechet_distance)}
