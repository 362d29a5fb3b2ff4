"""The Frechet distance between two sets of features, which the FID is with Inception's."""

from torch import Tensor, nn

_CHUNK = 4096  # features turned into float64 at once


def frechet_distance(real: Tensor, fake: Tensor) -> float:
    """The squared Frechet distance of the normal distributions fitted to two sets (Heusel et al. 2017,
    https://arxiv.org/abs/1706.08500): |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), in float64.

    It is biased: the fewer samples, the larger. So it means something beside its floor, the distance between two sets
    of real images of the same size, and can be compared for equal numbers of samples alone.

    Args:
        real, fake: (N, F) and (M, F), of one extractor, at least two samples each.
    """
    from torchmetrics.image.fid import FrechetInceptionDistance  # here, as it takes a second to import

    # Not summed over processes: each may call this, and the main one alone may.
    metric = FrechetInceptionDistance(feature=_Given(real.shape[1]), sync_on_compute=False)
    for features, is_real in ((real, True), (fake, False)):
        for chunk in features.split(_CHUNK):
            metric.update(chunk.double(), real=is_real)
    return float(metric.compute())


class _Given(nn.Identity):
    """The extractor of a metric that is handed features."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features
