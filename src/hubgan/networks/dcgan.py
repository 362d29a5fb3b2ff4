"""DCGAN (Radford, Metz, Chintala 2016, https://arxiv.org/abs/1511.06434), at any power-of-two size.

The defaults are hubgan's reference: 32x32 RGB, 100 latent dimensions, 64 channels at the widest resolution, BatchNorm.
Without BatchNorm the convolutions have biases and larger initial weights: with the paper's 0.02 each layer would
shrink the signal, and no norm would restore it.

With classes the label's embedding is appended to the generator's latent (Mirza and Osindero 2014,
https://arxiv.org/abs/1411.1784), and the discriminator adds the projection of its features on the label's embedding
(Miyato and Koyama 2018, https://arxiv.org/abs/1802.05637).
"""

from itertools import pairwise
from typing import Literal, cast

import torch
from pydantic import validate_call
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from hubgan.networks.layers import embed, in_fast_layout, spectral, stages
from hubgan.networks.validation import (
    STRICT,
    Channels,
    Classes,
    ImageSize,
    LatentDim,
    Width,
    check_labels,
)

_EMBEDDING = 32  # numbers in a label's embedding in the generator


def _init_weights(module: nn.Module) -> None:
    """The paper's section 4: weights from a normal of standard deviation 0.02."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


def _init_unnormalised(conv: nn.Conv2d | nn.ConvTranspose2d) -> None:
    """He et al. 2015, https://arxiv.org/abs/1502.01852: the signal keeps its size through any number of layers."""
    taps = conv.kernel_size[0] * conv.kernel_size[1]
    if isinstance(conv, nn.ConvTranspose2d):
        # A pixel of the output depends on a part of the kernel only; PyTorch's Kaiming counts all of it.
        taps = taps // (conv.stride[0] * conv.stride[1]) if conv.stride[0] > 1 else 1
    slope = 0.2 if isinstance(conv, nn.Conv2d) else 0.0
    nn.init.normal_(conv.weight, 0.0, nn.init.calculate_gain("leaky_relu", slope) / (conv.in_channels * taps) ** 0.5)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)


def _widths(image_size: int, width: int) -> list[int]:
    """Channels at resolutions image_size/2, image_size/4, ..., 4: doubled each time the resolution halves."""
    return [width << i for i in range(image_size.bit_length() - 3)]


class DCGANGenerator(nn.Module):
    """Latents (N, latent_dim, 1, 1), standard normal, and labels (N,) to images (N, channels, size, size) in [-1, 1].

    In place of labels it takes weights of the classes, float (N, classes), which mix the classes' embeddings.

    Args:
        image_size: side of the images, a power of two from 8 to 512.
        channels: 1 (grey) or 3.
        latent_dim: numbers in a latent, 1 to 4096.
        width: channels at half the images' resolution, 4 to 512.
        norm: `batch`, the paper's, or `none`.
        classes: the number of classes; 0 for none.

    Raises:
        pydantic.ValidationError: a value of another type or out of bounds.
        ValueError: at a call, labels that are missing, or given to a network without classes.
    """

    @validate_call(config=STRICT)
    def __init__(
        self,
        image_size: ImageSize = 32,
        channels: Channels = 3,
        latent_dim: LatentDim = 100,
        width: Width = 64,
        norm: Literal["batch", "none"] = "batch",
        classes: Classes = 0,
    ) -> None:
        super().__init__()
        self.image_size, self.channels, self.latent_dim, self.classes = image_size, channels, latent_dim, classes
        batch = norm == "batch"
        widths = _widths(image_size, width)[::-1]
        self.embedding = nn.Embedding(classes, _EMBEDDING) if classes else None
        given = latent_dim + (_EMBEDDING if classes else 0)
        layers: list[nn.Module] = [nn.ConvTranspose2d(given, widths[0], 4, 1, 0, bias=not batch)]
        for before, after in pairwise([*widths, channels]):
            layers += [nn.BatchNorm2d(before), nn.ReLU(inplace=True)] if batch else [nn.ReLU(inplace=True)]
            layers += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=not batch)]
        for layer in layers:
            if batch:
                _init_weights(layer)
            elif isinstance(layer, nn.ConvTranspose2d):
                _init_unnormalised(layer)
        self.layers = nn.Sequential(*layers, nn.Tanh())

    @property
    def first_weight(self) -> Tensor:
        """What the first layer multiplies latents by, (features, latent_dim)."""
        return cast("Tensor", self.layers[0].weight)[: self.latent_dim].flatten(1).T

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        check_labels(self.classes, labels)
        if self.embedding is not None and labels is not None:
            latents = torch.cat([latents, embed(self.embedding, labels)[:, :, None, None].to(latents.dtype)], 1)
        images: Tensor = self.layers[1:](in_fast_layout(self.layers[0](latents)))
        return images


class DCGANDiscriminator(nn.Module):
    """Images (N, channels, size, size) in [-1, 1], and labels (N,), to one logit an image (N,); positive means real.

    Args:
        image_size: side of the images, a power of two from 8 to 512.
        channels: 1 (grey) or 3.
        width: channels at half the images' resolution, 4 to 512.
        norm: `batch`, the paper's; `spectral`, on every convolution and the embedding; or `none`. Gradient penalties
            need `spectral` or `none`: with BatchNorm an image's logit depends on the whole batch.
        classes: the number of classes; 0 for none.

    Raises:
        pydantic.ValidationError: a value of another type or out of bounds.
        ValueError: at a call, labels that are missing, or given to a network without classes.
    """

    @validate_call(config=STRICT)
    def __init__(
        self,
        image_size: ImageSize = 32,
        channels: Channels = 3,
        width: Width = 64,
        norm: Literal["batch", "spectral", "none"] = "batch",
        classes: Classes = 0,
    ) -> None:
        super().__init__()
        self.image_size, self.channels, self.classes = image_size, channels, classes
        batch = norm == "batch"
        widths = _widths(image_size, width)
        layers: list[nn.Module] = [nn.Conv2d(channels, widths[0], 4, 2, 1, bias=not batch)]
        for before, after in pairwise(widths):
            layers += [nn.LeakyReLU(0.2, inplace=True), nn.Conv2d(before, after, 4, 2, 1, bias=not batch)]
            layers += [nn.BatchNorm2d(after)] if batch else []
        layers += [nn.LeakyReLU(0.2, inplace=True), nn.Conv2d(widths[-1], 1, 4, 1, 0, bias=not batch)]
        for i, layer in enumerate(layers):
            if batch:
                _init_weights(layer)
            elif isinstance(layer, nn.Conv2d) and norm == "spectral":
                layers[i] = spectral(layer)
            elif isinstance(layer, nn.Conv2d):
                _init_unnormalised(layer)
        self.layers = nn.Sequential(*layers)
        self.embedding = nn.Embedding(classes, widths[-1]) if classes else None
        if self.embedding is not None and norm == "spectral":
            spectral_norm(self.embedding)
        elif self.embedding is not None:  # starts at 0, so that at first the label does not matter
            nn.init.zeros_(self.embedding.weight)

    @property
    def stages(self) -> list[nn.Module]:
        """The blocks, each with one convolution, from the image side on, without the last layer."""
        return stages(self.layers)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        check_labels(self.classes, labels)
        logits: Tensor
        if self.embedding is None:
            logits = self.layers(images)
            return logits.flatten()
        features: Tensor = self.layers[:-1](images)
        logits = self.layers[-1](features)
        projection: Tensor = (features.mean((2, 3)) * self.embedding(labels)).sum(1)
        return logits.flatten() + projection
