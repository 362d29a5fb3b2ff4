"""DCGAN (Radford, Metz, Chintala 2016, https://arxiv.org/abs/1511.06434), at any power-of-two size.

The defaults are hubgan's reference: 32x32 RGB, 100 latent dimensions, 64 channels at the widest resolution.
"""

from itertools import pairwise

from pydantic import validate_call
from torch import Tensor, nn

from hubgan.networks.options import STRICT, Channels, ImageSize, LatentDim, Width


def _init_weights(module: nn.Module) -> None:
    """The paper's section 4: weights from a normal of standard deviation 0.02."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


def _widths(image_size: int, width: int) -> list[int]:
    """Channels at resolutions image_size/2, image_size/4, ..., 4: doubled each time the resolution halves."""
    return [width << i for i in range(image_size.bit_length() - 3)]


class DCGANGenerator(nn.Module):
    """Latents (N, latent_dim, 1, 1), standard normal, to images (N, channels, image_size, image_size) in [-1, 1]."""

    @validate_call(config=STRICT)
    def __init__(
        self,
        image_size: ImageSize = 32,
        channels: Channels = 3,
        latent_dim: LatentDim = 100,
        width: Width = 64,
    ) -> None:
        super().__init__()
        self.image_size, self.channels, self.latent_dim = image_size, channels, latent_dim
        widths = _widths(image_size, width)[::-1]
        layers: list[nn.Module] = [nn.ConvTranspose2d(latent_dim, widths[0], 4, 1, 0, bias=False)]
        for before, after in pairwise([*widths, channels]):
            layers += [nn.BatchNorm2d(before), nn.ReLU(inplace=True)]
            layers += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False)]
        self.layers = nn.Sequential(*layers, nn.Tanh())
        self.apply(_init_weights)

    def forward(self, latents: Tensor) -> Tensor:
        return self.layers(latents)


class DCGANDiscriminator(nn.Module):
    """Images (N, channels, image_size, image_size) in [-1, 1] to one logit an image (N,); positive means real."""

    @validate_call(config=STRICT)
    def __init__(self, image_size: ImageSize = 32, channels: Channels = 3, width: Width = 64) -> None:
        super().__init__()
        self.image_size, self.channels = image_size, channels
        widths = _widths(image_size, width)
        layers: list[nn.Module] = [nn.Conv2d(channels, widths[0], 4, 2, 1, bias=False)]
        for before, after in pairwise(widths):
            layers += [nn.LeakyReLU(0.2, inplace=True)]
            layers += [nn.Conv2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after)]
        layers += [nn.LeakyReLU(0.2, inplace=True), nn.Conv2d(widths[-1], 1, 4, 1, 0, bias=False)]
        self.layers = nn.Sequential(*layers)
        self.apply(_init_weights)

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images).flatten()
