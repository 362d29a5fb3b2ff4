"""Small pictures as they come from cameras, phones and web sites: blurred, resized, noisy and compressed, twice.

This is the "high-order" degradation of Real-ESRGAN (Wang et al. 2021, https://arxiv.org/abs/2107.10833, section 3.2),
with its ranges, and without its sinc filters.
"""

import io
import math
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import conv2d, interpolate, pad

from hubgan.media.images import to_image, to_tensor
from hubgan.runtime.seeding import torch_generator

_MODES = ("area", "bilinear", "bicubic")
_TAPS = 15  # of the blur's kernel, a side


class _Round(NamedTuple):
    """The ranges of one round, whose parameters are drawn uniformly from them."""

    blur: tuple[float, float]  # deviations in pixels
    resize: tuple[float, float]  # times as large
    gaussian: tuple[float, float]  # deviations in grey levels
    poisson: tuple[float, float]  # strength
    quality: tuple[float, float]  # of JPEG


_ROUNDS = (
    _Round((0.2, 3.0), (0.15, 1.5), (1, 30), (0.05, 3.0), (30, 95)),
    _Round((0.2, 1.5), (0.3, 1.2), (1, 25), (0.05, 2.5), (30, 95)),
)
_EACH = 10  # uniform numbers of a round
DRAWS = _EACH * len(_ROUNDS)
"""Uniform numbers that `degrade` needs for each picture."""


def degrade(large: Tensor, scale: int, draws: Tensor, noise: Tensor) -> Tensor:
    """Pictures made smaller with random degradations.

    Args:
        large: (N, 1 or 3, H, W) in [0, 1], sides multiples of `scale`.
        scale: the factor by which they become smaller.
        draws: uniform in [0, 1), (N, `DRAWS`): the parameters of each picture's degradation.
        noise: from a standard normal, of the shape of `large` and on its device.

    Returns:
        (N, 1 or 3, H/scale, W/scale) in [0, 1], in steps of 1/255.
    """
    chosen = draws.tolist()
    return torch.cat([_degrade(large[i : i + 1], scale, chosen[i], noise[i : i + 1]) for i in range(len(large))])


def degrade_by_seed(large: Tensor, scale: int, seed: int, number: int) -> Tensor:
    """`degrade` for one picture (1, 1 or 3, H, W) on the CPU, which depends only on the seed and its number."""
    source = torch_generator(seed, number)
    return degrade(large, scale, torch.rand(1, DRAWS, generator=source), torch.randn(large.shape, generator=source))


def _degrade(picture: Tensor, scale: int, draws: list[float], noise: Tensor) -> Tensor:
    height, width = (side // scale for side in picture.shape[2:])
    sides, channels = (picture.shape[2], picture.shape[3]), picture.shape[1]
    for i, ranges in enumerate(_ROUNDS):
        one, two, angle, factor, mode, kind, strength, grey, quality, skip = draws[i * _EACH : (i + 1) * _EACH]
        if i == 0 or skip < 0.8:  # the paper skips a fifth of the second blurs
            picture = _blur(picture, _within(ranges.blur, one), _within(ranges.blur, two), math.pi * angle)
        size = [max(round(side * _within(ranges.resize, factor)), side // scale // 2, 8) for side in sides]
        picture = _resize(picture, size, _MODES[int(mode * len(_MODES))])
        own = noise[:, :, : size[0], : size[1]] if i == 0 else noise.flip(2, 3)[:, :, : size[0], : size[1]]
        own = _fitted(own, size)
        if grey < 0.4:
            own = own[:, :1].expand(-1, channels, -1, -1)
        if kind < 0.5:
            picture = picture + own * _within(ranges.gaussian, strength) / 255
        else:  # Poisson noise, approximated by a normal distribution
            picture = picture + own * (picture / 255).sqrt() * _within(ranges.poisson, strength)
        if i == len(_ROUNDS) - 1:
            size = [height, width]
            picture = _resize(picture, size, "bicubic")
        picture = _jpeg(picture, round(_within(ranges.quality, quality)))
        sides = (height, width)
    return picture


def _within(limits: tuple[float, float], share: float) -> float:
    return limits[0] + share * (limits[1] - limits[0])


def _resize(picture: Tensor, size: list[int], mode: str) -> Tensor:
    """Resize with antialiasing. The area filter is used only to reduce, because it would enlarge to squares."""
    smaller = size[0] <= picture.shape[2] and size[1] <= picture.shape[3]
    if mode == "area" and smaller:
        return interpolate(picture, size=size, mode="area")
    mode = "bilinear" if mode == "area" else mode
    return interpolate(picture, size=size, mode=mode, antialias=True, align_corners=False).clamp(0, 1)


def _fitted(noise: Tensor, size: list[int]) -> Tensor:
    """Noise for a picture that may be larger than the noise, which is then mirrored at its edges."""
    missing = [max(0, wanted - there) for wanted, there in zip(size, noise.shape[2:], strict=True)]
    return pad(noise, (0, missing[1], 0, missing[0]), mode="reflect") if any(missing) else noise


def _blur(picture: Tensor, long: float, short: float, angle: float) -> Tensor:
    """Filter by a Gaussian of two deviations, in pixels, turned by an angle."""
    at = torch.arange(_TAPS, device=picture.device, dtype=picture.dtype) - _TAPS // 2
    y, x = torch.meshgrid(at, at, indexing="ij")
    along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    kernel = torch.exp(-((along / long) ** 2 + (across / short) ** 2) / 2)
    kernel = (kernel / kernel.sum()).expand(picture.shape[1], 1, -1, -1)
    padded = pad(picture, (_TAPS // 2,) * 4, mode="reflect" if min(picture.shape[2:]) > _TAPS // 2 else "replicate")
    return conv2d(padded, kernel, groups=picture.shape[1])


def _jpeg(picture: Tensor, quality: int) -> Tensor:
    """Compressed by a real encoder, on the CPU, and decoded again: (1, C, H, W), 8 bits deep."""
    with io.BytesIO() as file:
        to_image(picture[0].clamp(0, 1).cpu()).save(file, "JPEG", quality=quality)
        return to_tensor(Image.open(file))[None].to(picture.device).float() / 255
