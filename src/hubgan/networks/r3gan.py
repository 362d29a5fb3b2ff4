"""R3GAN (Huang et al. 2024, https://arxiv.org/abs/2501.05441): residual networks without any normalisation.

Written from the paper's description (section 3): inverted ResNeXt bottlenecks with a grouped 3x3 convolution at their
widest; a last convolution that starts at zero, so that every block starts as the identity, and the others scaled down
by depth (Zhang et al. 2019, https://arxiv.org/abs/1901.09321); [1, 2, 1] resampling; a learned basis at 4x4. They are
meant for the relativistic objective with R1 and R2.

The paper's networks have a stage at the images' own resolution (`patch` 1). With `patch` 2 the outermost layer halves
or doubles the resolution, as the DCGAN's does: most of the cost lies at that resolution, so this suits a CPU.
"""

from itertools import pairwise
from typing import Literal, cast

import torch
from pydantic import validate_call
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, leaky_relu, pad

from hubgan.networks.layers import embed, in_fast_layout
from hubgan.networks.validation import (
    STRICT,
    Channels,
    Classes,
    Depth,
    GroupWidth,
    ImageSize,
    LatentDim,
    Width,
    check_labels,
)

_SLOPE = 0.2
_EXPANSION = 2
_WIDEST = 8  # times `width`


def _init(layer: nn.Conv2d | nn.ConvTranspose2d | nn.Linear, gain: float) -> nn.Module:
    """He et al. 2015 (https://arxiv.org/abs/1502.01852) with another gain; 0 makes the weights zero."""
    fan = layer.weight[0].numel()
    if isinstance(layer, nn.ConvTranspose2d):  # a pixel of the output depends on a part of the kernel only
        fan = layer.in_channels * layer.weight[0, 0].numel() // (layer.stride[0] * layer.stride[1])
    nn.init.normal_(layer.weight, 0.0, gain / fan**0.5) if gain else nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _activate(x: Tensor) -> Tensor:
    return leaky_relu(x, _SLOPE)


def _halve(x: Tensor) -> Tensor:
    """Filter by [1, 2, 1] / 4 in both directions and take every second pixel: two means of neighbours in a row."""
    return avg_pool2d(avg_pool2d(pad(x, (1, 0, 1, 0)), 2, 1), 2)


def _double(x: Tensor) -> Tensor:
    """The opposite of `_halve`: zeros between the pixels, filtered by [1, 2, 1] / 2 in both directions."""
    return avg_pool2d(pad(interpolate(x, scale_factor=2, mode="nearest"), (0, 1, 0, 1)), 2, 1)


class _Block(nn.Module):
    """1x1 to twice the channels, grouped 3x3, 1x1 back, added to the input; `blocks` are in the network."""

    def __init__(self, channels: int, group_width: int, blocks: int) -> None:
        super().__init__()
        inner, gain = _EXPANSION * channels, nn.init.calculate_gain("leaky_relu", _SLOPE) * blocks**-0.25
        groups = inner // min(group_width, inner)
        if inner % min(group_width, inner):
            raise ValueError(f"a stage of {channels} channels has {inner} inside, and {group_width} does not divide"
                             " them. Choose another width or group_width")  # fmt: skip
        self.widen = _init(nn.Conv2d(channels, inner, 1), gain)
        self.mix = _init(nn.Conv2d(inner, inner, 3, padding=1, groups=groups), gain)
        self.narrow = _init(nn.Conv2d(inner, channels, 1, bias=False), 0)

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.narrow(_activate(self.mix(_activate(self.widen(x)))))
        return x + residual


class _Resampled(nn.Module):
    """Half or twice the resolution, and other channels by a 1x1 convolution at the lower resolution."""

    def __init__(self, before: int, after: int, up: bool) -> None:
        super().__init__()
        self.up = up
        self.channels = nn.Identity() if before == after else _init(nn.Conv2d(before, after, 1, bias=False), 1)

    def forward(self, x: Tensor) -> Tensor:
        return _double(self.channels(x)) if self.up else self.channels(_halve(x))


def _widths(image_size: int, width: int, patch: int) -> list[int]:
    """Channels from the finest stage to 4x4: `width` at half the images' resolution, twice as many at each half."""
    finest = image_size // patch
    stages = range(finest.bit_length() - 2)
    return [min(max(width * (1 << i) * patch // 2, 1), _WIDEST * width) for i in stages]


class R3GANGenerator(nn.Module):
    """Latents (N, latent_dim, 1, 1), standard normal, and labels (N,) to images (N, channels, size, size) in [-1, 1].

    In place of labels it takes weights of the classes, float (N, classes), which mix the classes' embeddings.

    Args:
        image_size: side of the images, a power of two from 8 to 512.
        channels: 1 (grey) or 3.
        latent_dim: numbers in a latent, 1 to 4096.
        width: channels at half the images' resolution, 4 to 512. They double each time it halves, up to 8 times
            as many.
        depth: blocks in each stage.
        group_width: channels in a group of the 3x3 convolutions. It must divide twice the channels of each stage.
        patch: side of the square of pixels that the last layer makes from each pixel, 1 or 2.
        classes: the number of classes; 0 for none.

    Raises:
        pydantic.ValidationError: a value of another type or out of bounds.
        ValueError: widths that groups do not divide; at a call, labels that are missing, or given to a network
            without classes.
    """

    @validate_call(config=STRICT)
    def __init__(
        self,
        image_size: ImageSize = 32,
        channels: Channels = 3,
        latent_dim: LatentDim = 64,
        width: Width = 64,
        depth: Depth = 2,
        group_width: GroupWidth = 16,
        patch: Literal[1, 2] = 1,
        classes: Classes = 0,
    ) -> None:
        super().__init__()
        self.image_size, self.channels, self.latent_dim, self.classes = image_size, channels, latent_dim, classes
        widths = _widths(image_size, width, patch)[::-1]
        blocks = depth * len(widths)
        self.embedding = nn.Embedding(classes, latent_dim) if classes else None
        self.basis = nn.Parameter(torch.randn(widths[0], 4, 4))
        self.weights = _init(nn.Linear(latent_dim * (2 if classes else 1), widths[0], bias=False), 1)
        layers: list[nn.Module] = []
        for i, channels_here in enumerate(widths):
            layers += [_Resampled(widths[i - 1], channels_here, up=True)] if i else []
            layers += [_Block(channels_here, group_width, blocks) for _ in range(depth)]
        last = nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1) if patch == 2 else nn.Conv2d(widths[-1], channels, 1)
        self.layers = nn.Sequential(*layers, _init(last, 1))

    @property
    def first_weight(self) -> Tensor:
        """What latents are multiplied by, (features, latent_dim): the weights of the basis, times its norms."""
        norms: Tensor = self.basis.flatten(1).norm(dim=1, keepdim=True)
        return cast("Tensor", self.weights.weight)[:, : self.latent_dim] * norms

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        check_labels(self.classes, labels)
        latents = latents.flatten(1)
        if self.embedding is not None and labels is not None:
            latents = torch.cat([latents, embed(self.embedding, labels)], 1)
        first = self.weights(latents)[:, :, None, None] * self.basis
        images: Tensor = self.layers(in_fast_layout(first))
        return images.tanh()


class R3GANDiscriminator(nn.Module):
    """Images (N, channels, size, size) in [-1, 1], and labels (N,), to one logit an image (N,); positive means real.

    Args:
        image_size: side of the images, a power of two from 8 to 512.
        channels: 1 (grey) or 3.
        width: channels at half the images' resolution, 4 to 512. They double each time it halves, up to 8 times
            as many.
        depth: blocks in each stage.
        group_width: channels in a group of the 3x3 convolutions. It must divide twice the channels of each stage.
        patch: side of the squares of pixels that the first layer reads, 1 or 2.
        classes: the number of classes, 0 for none. With classes the logit is the projection of the features on the
            label's embedding (Miyato and Koyama 2018, https://arxiv.org/abs/1802.05637).

    Raises:
        pydantic.ValidationError: a value of another type or out of bounds.
        ValueError: widths that groups do not divide; at a call, labels that are missing, or given to a network
            without classes.
    """

    @validate_call(config=STRICT)
    def __init__(
        self,
        image_size: ImageSize = 32,
        channels: Channels = 3,
        width: Width = 64,
        depth: Depth = 2,
        group_width: GroupWidth = 16,
        patch: Literal[1, 2] = 1,
        classes: Classes = 0,
    ) -> None:
        super().__init__()
        self.image_size, self.channels, self.classes = image_size, channels, classes
        widths = _widths(image_size, width, patch)
        blocks = depth * len(widths)
        first = nn.Conv2d(channels, widths[0], 4, 2, 1) if patch == 2 else nn.Conv2d(channels, widths[0], 1)
        layers: list[nn.Module] = [_init(first, 1)]
        for i, channels_here in enumerate(widths):
            layers += [_Resampled(widths[i - 1], channels_here, up=False)] if i else []
            layers += [_Block(channels_here, group_width, blocks) for _ in range(depth)]
        self.layers = nn.Sequential(*layers)
        self.basis = _init(nn.Conv2d(widths[-1], widths[-1], 4, groups=widths[-1], bias=False), 1)
        self.embedding = nn.Embedding(classes, widths[-1]) if classes else None
        self.last = _init(nn.Linear(widths[-1], widths[-1] if classes else 1, bias=False), 1)

    @property
    def stages(self) -> list[nn.Module]:
        """The blocks, one a resolution, from the image side on, without the last layers."""
        starts = [place for place, layer in enumerate(self.layers) if place == 0 or isinstance(layer, _Resampled)]
        return [self.layers[start:end] for start, end in pairwise([*starts, len(self.layers)])]

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        check_labels(self.classes, labels)
        found: Tensor = self.last(self.basis(self.layers(images)).flatten(1))
        if self.embedding is None:
            return found.flatten()
        logits: Tensor = (found * self.embedding(labels)).sum(1) / found.shape[1] ** 0.5
        return logits
