"""The U-Net discriminator of Real-ESRGAN (Wang et al. 2021, https://arxiv.org/abs/2107.10833, section 3.3).

It gives a logit for every pixel, from features at several scales: the resolution is halved three times and doubled
three times, and the features on the way down are added on the way up (skip connections). All convolutions but the
first and the last have spectral normalisation (Miyato et al. 2018, https://arxiv.org/abs/1802.05957).
"""

from pydantic import validate_call
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu

from hubgan.networks.layers import he, spectral
from hubgan.networks.validation import STRICT, Channels, ConditionChannels, Width

_SLOPE = 0.2
_HALVED = 3  # times


class UNetDiscriminator(nn.Module):
    """Images (N, channels, H, W) in [-1, 1], sides multiples of 8, to logits (N, H, W); positive is real.

    With `condition_channels` the images hold that many channels more.

    Args:
        channels: 1 (grey) or 3.
        width: channels at the images' own resolution, 4 to 512 (the paper: 64). They double each time it halves.
        condition_channels: channels of an input that the discriminator sees beside the image, 0 to 8.

    Raises:
        pydantic.ValidationError: a value of another type or out of bounds.
    """

    @validate_call(config=STRICT)
    def __init__(self, channels: Channels = 3, width: Width = 64, condition_channels: ConditionChannels = 0) -> None:
        super().__init__()
        self.channels = channels
        widths = [width << i for i in range(_HALVED + 1)]
        self.first = he(nn.Conv2d(channels + condition_channels, width, 3, padding=1), _SLOPE)
        self.down = nn.ModuleList(spectral(nn.Conv2d(n, 2 * n, 4, 2, 1, bias=False)) for n in widths[:-1])
        self.up = nn.ModuleList(spectral(nn.Conv2d(2 * n, n, 3, padding=1, bias=False)) for n in widths[-2::-1])
        self.flat = nn.ModuleList(spectral(nn.Conv2d(width, width, 3, padding=1, bias=False)) for _ in range(2))
        self.last = he(nn.Conv2d(width, 1, 3, padding=1), _SLOPE)

    def forward(self, images: Tensor) -> Tensor:
        x = leaky_relu(self.first(images), _SLOPE)
        skips = []
        for layer in self.down:
            skips.append(x)
            x = leaky_relu(layer(x), _SLOPE)
        for layer in self.up:
            x = interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = leaky_relu(layer(x), _SLOPE) + skips.pop()
        for layer in self.flat:
            x = leaky_relu(layer(x), _SLOPE)
        logits: Tensor = self.last(x)
        return logits.squeeze(1)
