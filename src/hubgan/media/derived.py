"""Inputs of translations that are computed from the pictures themselves, so that any folder of pictures will do."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import conv2d, grid_sample, interpolate, max_pool2d, pad

from hubgan.media.images import LUMA
from hubgan.runtime.seeding import torch_generator

InputName = Literal["edges", "grey", "mask", "small"]

_FIELD = 12  # a side, of the random fields that bend lines and break them
_FIELDS = 3
_TAPS = 9  # of the blur before edges are sought
_FOLLOWED = 12  # pixels that a faint line is followed from a strong one
_SHRUNK = 4  # times, by "small"


class DerivedInput(ABC):
    """One way of computing inputs from targets.

    Attributes:
        channels: of the inputs.
        draws: uniform numbers in [0, 1) that a picture needs.
        description: what the inputs are, for plans and cards.
    """

    channels: ClassVar[int]
    draws: ClassVar[int] = 0
    description: ClassVar[str]

    @abstractmethod
    def __call__(self, targets: Tensor, draws: Tensor, fields: Tensor) -> Tensor:
        """The inputs of pictures.

        Args:
            targets: (N, 3, H, W) in [0, 1].
            draws: uniform in [0, 1), (N, `self.draws`).
            fields: from a standard normal, (N, *`self.fields`).

        Returns:
            (N, `self.channels`, H, W) in [0, 1].
        """

    @property
    def fields(self) -> tuple[int, int, int]:
        """The shape of the random fields of a picture, which vary slowly from place to place."""
        return _FIELDS, _FIELD, _FIELD

    def by_seed(self, targets: Tensor, seed: int, *path: int) -> Tensor:
        """The same of pictures on the CPU, by numbers that depend only on the seed and the path."""
        source = torch_generator(seed, *path)
        draws = torch.rand(len(targets), self.draws, generator=source)
        return self(targets, draws, torch.randn(len(targets), *self.fields, generator=source))


class Edges(DerivedInput):
    """Dark lines on white where colours change, as somebody might draw them.

    They are found in the manner of Canny (1986): the gradient of a blurred picture, thinned to its ridges. Faint lines
    count where they continue strong ones. Blur, threshold and thickness vary from picture to picture. Lines are bent a
    little and have gaps, so that a network learns to read drawings by hand.
    """

    channels = 1
    draws = 8
    description = "sketches, by an edge detector"

    def __call__(self, targets: Tensor, draws: Tensor, fields: Tensor) -> Tensor:
        blur, strong, faint, bend, gaps, thick, soft, ink = draws[:, :, None, None, None].unbind(1)
        size = targets.shape[2:]
        bent = _bent(targets, interpolate(fields[:, :2], size, mode="bicubic"), 1.6 * (2 * bend - 1).clamp(min=0))
        ridges = _ridges(_blurred(bent, 0.7 + 1.1 * blur))
        high = 0.018 * 5**strong  # from 0.018 to 0.09 of the range of colours a pixel
        lines = _followed(ridges, high, high * (0.3 + 0.4 * faint))
        broken = interpolate(fields[:, 2:], size, mode="bicubic") > 3.2 - 2 * gaps
        lines = lines * (~broken)
        lines = torch.where(thick < 0.35, lines, _thicker(lines, 2))
        lines = torch.where(thick < 0.75, lines, _thicker(lines, 2))
        lines = _blurred(lines, 0.3 + 0.4 * soft)
        lines = (lines / lines.amax((2, 3), keepdim=True).clamp(min=0.1)).clamp(max=1)
        return 1 - lines * (0.65 + 0.35 * ink)


class Grey(DerivedInput):
    """The picture's luma, to be coloured."""

    channels = 1
    description = "the same pictures in grey"

    def __call__(self, targets: Tensor, draws: Tensor, fields: Tensor) -> Tensor:
        return (targets * targets.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)


class Mask(DerivedInput):
    """The picture with grey holes, and beside the colours a plane that is 1 in the holes."""

    channels = 4
    draws = 5
    description = "the same pictures with holes"

    def __call__(self, targets: Tensor, draws: Tensor, fields: Tensor) -> Tensor:
        height, width = targets.shape[2:]
        tall, wide, top, left, shape = draws[:, :, None, None].unbind(1)
        rows, columns = (torch.arange(side, device=targets.device) / side for side in (height, width))
        inside = [
            (place >= start * (1 - length)) & (place < start * (1 - length) + length)
            for place, start, length in ((rows[:, None], top, 0.2 + 0.4 * tall), (columns, left, 0.2 + 0.4 * wide))
        ]
        blots = interpolate(fields[:, :1], (height, width), mode="bicubic")[:, 0] > 0.8
        hole = torch.where(shape < 0.5, inside[0] & inside[1], blots)[:, None].to(targets.dtype)
        return torch.cat([targets * (1 - hole) + 0.5 * hole, hole], 1)


class Small(DerivedInput):
    """The picture shrunk four times and enlarged again."""

    channels = 3
    description = f"the same pictures shrunk {_SHRUNK} times and enlarged again"

    def __call__(self, targets: Tensor, draws: Tensor, fields: Tensor) -> Tensor:
        size = targets.shape[2:]
        small = interpolate(targets, [-(-side // _SHRUNK) for side in size], mode="bicubic", antialias=True)
        return interpolate(small, size, mode="bicubic").clamp(0, 1)


INPUTS: Mapping[str, DerivedInput] = MappingProxyType(
    {"edges": Edges(), "grey": Grey(), "mask": Mask(), "small": Small()}
)


def _bent(images: Tensor, field: Tensor, amount: Tensor) -> Tensor:
    """Images with each pixel moved by `amount` pixels times the field (N, 2, H, W)."""
    height, width = images.shape[2:]
    step = images.new_tensor([2 / width, 2 / height])
    rows, columns = (
        torch.linspace(-1 + 1 / side, 1 - 1 / side, side, device=images.device) for side in (height, width)
    )
    places = torch.stack(torch.meshgrid(rows, columns, indexing="ij")[::-1], -1)
    moved = places + (amount * field).permute(0, 2, 3, 1) * step
    return grid_sample(images, moved, padding_mode="border", align_corners=False)


def _blurred(images: Tensor, deviation: Tensor) -> Tensor:
    """Images blurred by a Gaussian of a deviation in pixels for each, (N, 1, 1, 1)."""
    count, channels = images.shape[:2]
    places = torch.arange(_TAPS, device=images.device) - _TAPS // 2
    kernel = torch.exp(-(places**2) / (2 * deviation.view(-1, 1) ** 2))
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)
    planes = pad(images, [_TAPS // 2] * 4, mode="replicate").flatten(0, 1)[None]
    for shape in ((-1, 1, _TAPS, 1), (-1, 1, 1, _TAPS)):
        planes = conv2d(planes, kernel.view(shape), groups=count * channels)
    blurred: Tensor = planes[0].unflatten(0, (count, channels))
    return blurred


def _ridges(images: Tensor) -> Tensor:
    """How much the colours change from pixel to pixel where they change most across a line, (N, 1, H, W); else 0."""
    padded = pad(images, (1, 1, 1, 1), mode="replicate")
    across = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    down = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    squared, strongest = (across**2 + down**2).max(1, keepdim=True)
    across, down = (each.gather(1, strongest) for each in (across, down))
    size = squared.sqrt()
    direction = torch.atan2(down, across).div(math.pi / 4).round().long() % 4
    around = pad(size, (1, 1, 1, 1))
    height, width = size.shape[2:]
    ridge = torch.zeros_like(size, dtype=torch.bool)
    for number, (row, column) in enumerate(((0, 1), (1, 1), (1, 0), (1, -1))):
        ahead, behind = (
            around[..., 1 + sign * row : 1 + sign * row + height, 1 + sign * column : 1 + sign * column + width]
            for sign in (1, -1)
        )
        ridge |= (direction == number) & (size >= ahead) & (size > behind)
    return size * ridge


def _followed(ridges: Tensor, high: Tensor, low: Tensor) -> Tensor:
    """1 on ridges above `high`, and on those above `low` that continue them; else 0."""
    lines, faint = (ridges > high).to(ridges.dtype), (ridges > low).to(ridges.dtype)
    for _ in range(_FOLLOWED):
        lines = max_pool2d(lines, 3, 1, 1) * faint
    return lines


def _thicker(lines: Tensor, side: int) -> Tensor:
    """Lines as drawn by a square pen of `side` pixels more."""
    return max_pool2d(pad(lines, (side - 1, 0, side - 1, 0)), side, 1)
