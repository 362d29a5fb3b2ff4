"""SNGAN (Miyato et al. 2018, https://arxiv.org/abs/1802.05957): the residual networks of its appendix B.4.

The defaults have the channels of the paper's tables. At 32x32 these are CIFAR-10's: 256 everywhere in the generator
and 128 in the discriminator. Above 32x32 they are ImageNet's for 128x128: 64 next to the images, doubled each time the
resolution halves, up to 16 times as many. Details that the tables leave open follow the authors' code
(https://github.com/pfnet-research/sngan_projection). There are two differences to its 64x64 networks: all networks
here end in a layer without bias, as the authors' 32x32 ones do, and the 64x64 discriminator sums over 4x4 rather than
2x2 pixels. Other sizes follow the same rules.

With classes the generator has conditional BatchNorm (Dumoulin et al. 2017, https://arxiv.org/abs/1610.07629; de Vries
et al. 2017, https://arxiv.org/abs/1707.00683) and the discriminator a projection (Miyato and Koyama 2018,
https://arxiv.org/abs/1802.05637).
"""

from itertools import pairwise
from typing import Literal, cast

from pydantic import validate_call
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, relu

from hubgan.networks.layers import embed, in_fast_layout, spectral
from hubgan.networks.validation import (
    STRICT,
    Channels,
    Classes,
    ImageSize,
    LatentDim,
    Width,
    check_labels,
)

_RELU = 2**0.5  # the gain of a layer after a ReLU


def _init(layer: nn.Conv2d | nn.Linear | nn.Embedding, gain: float = 1.0, norm: str = "none") -> nn.Module:
    """Spectral normalisation with orthogonal weights; or else He et al.'s (2015) weights with a gain."""
    if norm == "spectral":
        return spectral(layer)
    if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
        nn.init.zeros_(layer.bias)
    nn.init.normal_(layer.weight, 0.0, gain / layer.weight[0].numel() ** 0.5)
    return layer


def _widths(image_size: int, width: int) -> list[int]:
    """Channels of the stages from the images' side to 4x4: constant up to 32x32, else doubled at each up to 16 times.

    The generator's are those at resolutions image_size, image_size/2, ..., 4, the discriminator's those of its blocks.
    """
    return [width * min(1 << i, 16) if image_size > 32 else width for i in range(image_size.bit_length() - 2)]


class _BatchNorm(nn.Module):
    """(N, size, H, W) to the same; with classes scale and shift are learned for each, and start as 1 and 0."""

    def __init__(self, size: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(size, affine=not classes)
        self.embedding = nn.Embedding(classes, 2 * size) if classes else None
        if self.embedding is not None:
            nn.init.ones_(self.embedding.weight[:, :size])
            nn.init.zeros_(self.embedding.weight[:, size:])

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        x = self.norm(x)
        if self.embedding is None or labels is None:
            return x
        scale, shift = embed(self.embedding, labels).to(x.dtype)[:, :, None, None].chunk(2, 1)
        return x * scale + shift


class _UpBlock(nn.Module):
    """(N, before, H, W), and labels (N,), to (N, after, 2H, 2W)."""

    def __init__(self, before: int, after: int, classes: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = _BatchNorm(before, classes), _BatchNorm(after, classes)
        self.conv1 = _init(nn.Conv2d(before, after, 3, padding=1), _RELU)
        self.conv2 = _init(nn.Conv2d(after, after, 3, padding=1), _RELU)
        self.shortcut = _init(nn.Conv2d(before, after, 1))

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        residual: Tensor = self.conv1(interpolate(relu(self.norm1(x, labels)), scale_factor=2, mode="nearest"))
        residual = self.conv2(relu(self.norm2(residual, labels)))
        # Nearest upsampling commutes with a 1x1 convolution, which costs a quarter at the lower resolution.
        return residual + interpolate(self.shortcut(x), scale_factor=2, mode="nearest")


class _DownBlock(nn.Module):
    """(N, before, H, W) to (N, after, H/2, W/2), or with H and W kept. The `first` block has no ReLU before it."""

    def __init__(self, before: int, after: int, norm: str, first: bool, halve: bool) -> None:
        super().__init__()
        self.first, self.halve = first, halve
        inner = after if first else before
        self.conv1 = _init(nn.Conv2d(before, inner, 3, padding=1), 1 if first else _RELU, norm)
        self.conv2 = _init(nn.Conv2d(inner, after, 3, padding=1), _RELU, norm)
        same = before == after and not halve
        self.shortcut = nn.Identity() if same else _init(nn.Conv2d(before, after, 1), norm=norm)

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.conv2(relu(self.conv1(x if self.first else relu(x))))
        if self.halve:  # average pooling commutes with a 1x1 convolution too
            residual, x = avg_pool2d(residual, 2), avg_pool2d(x, 2)
        shortcut: Tensor = self.shortcut(x)
        return residual + shortcut


class SNGANGenerator(nn.Module):
    """Latents (N, latent_dim, 1, 1), standard normal, and labels (N,) to images (N, channels, size, size) in [-1, 1].

    In place of labels it takes weights of the classes, float (N, classes), which mix the classes' embeddings.

    Args:
        image_size: side of the images, a power of two from 8 to 512.
        channels: 1 (grey) or 3.
        latent_dim: numbers in a latent, 1 to 4096.
        width: channels of the last block, 4 to 512. For images up to 32x32 all blocks have them. For larger images
            they double each time the resolution halves, up to 16 times as many. By default the paper's: 256 up to
            32x32, 64 above.
        classes: the number of classes, each with its own scales and shifts in BatchNorm; 0 for none.

    Raises:
        pydantic.ValidationError: a value of another type or out of bounds.
        ValueError: at a call, labels that are missing, or given to a network without classes.
    """

    @validate_call(config=STRICT)
    def __init__(
        self,
        image_size: ImageSize = 32,
        channels: Channels = 3,
        latent_dim: LatentDim = 128,
        width: Width | None = None,
        classes: Classes = 0,
    ) -> None:
        super().__init__()
        self.image_size, self.channels, self.latent_dim, self.classes = image_size, channels, latent_dim, classes
        widths = _widths(image_size, width or (256 if image_size <= 32 else 64))[::-1]
        self.first = _init(nn.Linear(latent_dim, widths[0] * 4 * 4))
        self.blocks = nn.ModuleList(_UpBlock(before, after, classes) for before, after in pairwise(widths))
        self.norm = nn.BatchNorm2d(widths[-1])
        self.last = _init(nn.Conv2d(widths[-1], channels, 3, padding=1))

    @property
    def first_weight(self) -> Tensor:
        """What the first layer multiplies latents by, (features, latent_dim)."""
        return cast("Tensor", self.first.weight)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        check_labels(self.classes, labels)
        x = in_fast_layout(self.first(latents.flatten(1)).unflatten(1, (-1, 4, 4)))
        for block in self.blocks:
            x = block(x, labels)
        images: Tensor = self.last(relu(self.norm(x)))
        return images.tanh()


class SNGANDiscriminator(nn.Module):
    """Images (N, channels, size, size) in [-1, 1], and labels (N,), to one logit an image (N,); positive means real.

    Args:
        image_size: side of the images, a power of two from 8 to 512.
        channels: 1 (grey) or 3.
        width: channels of the first block, 4 to 512. For images up to 32x32 all blocks have them. For larger images
            they double with each block, up to 16 times as many. By default the paper's: 128 up to 32x32, 64 above.
        classes: the number of classes, 0 for none. With classes the projection of the features on the label's
            embedding is added to the logit.
        norm: `spectral`, the paper's, on every layer and the embedding, or `none`.

    Raises:
        pydantic.ValidationError: a value of another type or out of bounds.
        ValueError: at a call, labels that are missing, or given to a network without classes.
    """

    @validate_call(config=STRICT)
    def __init__(
        self,
        image_size: ImageSize = 32,
        channels: Channels = 3,
        width: Width | None = None,
        classes: Classes = 0,
        norm: Literal["spectral", "none"] = "spectral",
    ) -> None:
        super().__init__()
        self.image_size, self.channels, self.classes = image_size, channels, classes
        widths = _widths(image_size, width or (128 if image_size <= 32 else 64))
        side = 8 if image_size <= 32 else 4  # the paper's networks stop halving here
        self.blocks = nn.Sequential(
            *(
                _DownBlock(before, after, norm, first=i == 0, halve=image_size >> i > side)
                for i, (before, after) in enumerate(pairwise([channels, *widths]))
            )
        )
        # Without a norm the sum over side x side pixels would start larger by their number.
        self.last = _init(nn.Linear(widths[-1], 1, bias=False), side**-2, norm)
        self.embedding = _init(nn.Embedding(classes, widths[-1]), side**-2, norm) if classes else None

    @property
    def stages(self) -> list[nn.Module]:
        """The blocks from the image side on, without the last layer."""
        return list(self.blocks)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        check_labels(self.classes, labels)
        found = relu(self.blocks(images)).sum((2, 3))
        logits: Tensor = self.last(found).flatten()
        if self.embedding is None:
            return logits
        projection: Tensor = (self.embedding(labels) * found).sum(1)
        return logits + projection
