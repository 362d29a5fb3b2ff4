"""A patch discriminator (Isola et al. 2017, https://arxiv.org/abs/1611.07004, section 3.2.2).

It judges every patch of a picture for itself, which is what super-resolution needs: texture, not content.
Spectral normalisation (Miyato et al. 2018, https://arxiv.org/abs/1802.05957) instead of BatchNorm, so that no
statistics of a batch leak between real and fake.
"""

from pydantic import validate_call
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from hubgan.networks.options import STRICT, Channels, Depth, Width


class PatchDiscriminator(nn.Module):
    """Images (N, channels, H, W) in [-1, 1], sides of at least 2**depth, to logits (N, h, w); positive is real."""

    @validate_call(config=STRICT)
    def __init__(self, channels: Channels = 3, width: Width = 32, depth: Depth = 3) -> None:
        super().__init__()
        self.channels = channels
        widths = [width * min(2**i, 4) for i in range(depth)]
        layers: list[nn.Module] = []
        for before, after in zip([channels, *widths], widths, strict=False):
            layers += [spectral_norm(nn.Conv2d(before, after, 4, 2, 1)), nn.LeakyReLU(0.2, inplace=True)]
        layers += [spectral_norm(nn.Conv2d(after, after, 3, padding=1)), nn.LeakyReLU(0.2, inplace=True)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(after, 1, 3, padding=1))

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images).squeeze(1)
