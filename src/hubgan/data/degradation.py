"""Small pictures as cameras, phones and web sites make them: blurred, resized, noisy and compressed.

Two kinds have names. `everyday` is what most pictures went through: a slight blur, some noise, a JPEG or WebP file.
`heavy` is the "high-order" degradation of Real-ESRGAN (Wang et al. 2021, https://arxiv.org/abs/2107.10833, section
3.2), with its ranges, and without its sinc filters.
"""

import io
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, Literal, NamedTuple, TypeAlias

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import conv2d, interpolate, pad

from hubgan.media.images import to_image, to_tensor
from hubgan.media.strength import strength_of_noise, strength_of_quality, together
from hubgan.runtime.seeding import torch_generator

DegradationName = Literal["none", "everyday", "heavy"]
Range: TypeAlias = tuple[float, float]
"""The limits of a parameter, which is drawn uniformly between them."""

_MODES = ("area", "bilinear", "bicubic")
_TAPS = 15  # of the blur's kernel, a side
_GRID = 8  # JPEG's blocks


class Degradation(ABC):
    """One way of making small pictures from large ones.

    Attributes:
        share: of the small pictures of a training that are made in this way, if the recipe says nothing else.
        draws: uniform numbers in [0, 1) that a picture needs.
        description: what it does, for cards.
        adjective: names its pictures, as in "PSNR of everyday pictures".
        method: how the pictures were made, for the settings of figures.
    """

    share: ClassVar[float]
    draws: ClassVar[int]
    description: ClassVar[str]
    adjective: ClassVar[str]
    method: ClassVar[str]

    @abstractmethod
    def one(self, picture: Tensor, scale: int, draws: Sequence[float], noise: Tensor) -> tuple[Tensor, float]:
        """One picture (1, C, H, W) made smaller, and the strength with which it wants to be cleaned."""

    def __call__(self, large: Tensor, scale: int, draws: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures made smaller with random degradations.

        Args:
            large: (N, 1 or 3, H, W) in [0, 1], sides multiples of `scale`.
            scale: the factor by which they become smaller.
            draws: uniform in [0, 1), (N, `self.draws`): the parameters of each picture's degradation.
            noise: from a standard normal, of the shape of `large` and on its device.

        Returns:
            The pictures, (N, 1 or 3, H/scale, W/scale) in [0, 1], in steps of 1/255; and the strength (N,), from 0 to
            1, with which each wants to be cleaned (`hubgan.media.strength`).
        """
        chosen = draws.tolist()
        made = [self.one(large[i : i + 1], scale, chosen[i], noise[i : i + 1]) for i in range(len(large))]
        return torch.cat([small for small, _ in made]), large.new_tensor([strength for _, strength in made])

    def by_seed(self, large: Tensor, scale: int, seed: int, number: int) -> tuple[Tensor, Tensor]:
        """One picture (1, 1 or 3, H, W) on the CPU, by numbers that depend only on the seed and its number."""
        source = torch_generator(seed, number)
        draws, noise = torch.rand(1, self.draws, generator=source), torch.randn(large.shape, generator=source)
        return self(large, scale, draws, noise)


class Everyday(Degradation):
    """A blur, a reduction, a sharpening, noise and one or two files, each only in some pictures.

    Args:
        blur: the deviation of the blur, in pixels of the large picture.
        noise: the deviation of the noise, in grey levels.
        quality: of the JPEG or WebP file.
    """

    share = 0.75
    draws = 24
    description = "a slight blur, noise, and JPEG or WebP files of everyday quality"
    adjective = "everyday"
    method = "everyday (blur, noise, JPEG and WebP)"

    def __init__(self, blur: Range = (0.2, 1.8), noise: Range = (0.5, 6.0), quality: Range = (30, 96)) -> None:
        self.blur, self.noise, self.quality = blur, noise, quality

    def one(self, picture: Tensor, scale: int, draws: Sequence[float], noise: Tensor) -> tuple[Tensor, float]:
        """Half are blurred, 15 % sharpened, 40 % noisy, 85 % compressed, and one of seven of these twice."""
        u = iter(draws)
        size = [side // scale for side in picture.shape[2:]]
        strengths = []
        blurs, long, round_, angle = next(u) < 0.5, _within(self.blur, next(u)), next(u), math.pi * next(u)
        if blurs:
            picture = _blur(picture, long, long * (0.7 + 0.3 * round_), angle)
        mode, linear = _mode(next(u)), next(u) < 0.2
        small = (
            _resize(picture.clamp(0, 1) ** 2.2, size, mode) ** (1 / 2.2) if linear else _resize(picture, size, mode)
        )
        sharpens, amount = next(u) < 0.15, 0.3 + 0.9 * next(u)
        if sharpens:
            small = (small + amount * (small - _blur(small, 1, 1, 0))).clamp(0, 1)
        noisy, level, grey = next(u) < 0.4, _within(self.noise, next(u)), next(u) < 0.5
        if noisy:
            own = noise[:, :, : size[0], : size[1]]
            small = (small + (own[:, :1] if grey else own) * level / 255).clamp(0, 1)
            strengths.append(strength_of_noise(level))
        twice, once = next(u) < 0.85 / 7, next(u) < 0.85
        for compressed in (twice and once, once):
            codec = "WEBP" if next(u) < 0.15 else "JPEG"
            quality, subsampled, offset = round(_within(self.quality, next(u))), next(u) < 0.7, (next(u), next(u))
            if compressed:
                small = _saved(small, codec, quality, subsampled, offset)
                strengths.append(strength_of_quality(quality))
        return small.mul(255).round() / 255, together(strengths)


class _Round(NamedTuple):
    """The ranges of one round, whose parameters are drawn uniformly from them."""

    blur: Range  # deviations in pixels
    resize: Range  # times as large
    gaussian: Range  # deviations in grey levels
    poisson: Range  # strength
    quality: Range  # of JPEG


_ROUNDS = (
    _Round((0.2, 3.0), (0.15, 1.5), (1, 30), (0.05, 3.0), (30, 95)),
    _Round((0.2, 1.5), (0.3, 1.2), (1, 25), (0.05, 2.5), (30, 95)),
)
_EACH = 10  # uniform numbers of a round


class Heavy(Degradation):
    """Two rounds of a blur, a resize, noise and a JPEG file.

    Args:
        blur: the deviations of the blurs, in pixels; by default the paper's for each round, and so on.
        noise: the deviations of Gaussian noise, in grey levels.
        quality: of the JPEG files.
    """

    share = 0.75
    draws = _EACH * len(_ROUNDS)
    description = "strong blur, noise and JPEG compression, each twice"
    adjective = "degraded"
    method = "degraded (Real-ESRGAN's ways, without sinc filters)"

    def __init__(self, blur: Range | None = None, noise: Range | None = None, quality: Range | None = None) -> None:
        self.rounds = [
            ranges._replace(
                blur=blur or ranges.blur, gaussian=noise or ranges.gaussian, quality=quality or ranges.quality
            )
            for ranges in _ROUNDS
        ]

    def one(self, picture: Tensor, scale: int, draws: Sequence[float], noise: Tensor) -> tuple[Tensor, float]:
        """Always with the strength 1."""
        height, width = (side // scale for side in picture.shape[2:])
        sides, channels = (picture.shape[2], picture.shape[3]), picture.shape[1]
        for i, ranges in enumerate(self.rounds):
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
            if i == len(self.rounds) - 1:
                size = [height, width]
                picture = _resize(picture, size, "bicubic")
            picture = _saved(picture, "JPEG", round(_within(ranges.quality, quality)))
            sides = (height, width)
        return picture, 1.0


DEGRADATIONS: Mapping[str, type[Degradation]] = MappingProxyType({"everyday": Everyday, "heavy": Heavy})
"""The degradations by name."""


def _within(limits: Range, share: float) -> float:
    return limits[0] + share * (limits[1] - limits[0])


def _mode(draw: float) -> str:
    return "bicubic" if draw < 0.6 else "area" if draw < 0.8 else "bilinear"


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


def _saved(
    picture: Tensor, codec: str, quality: int, subsampled: bool = True, offset: tuple[float, float] = (0, 0)
) -> Tensor:
    """Compressed by a real encoder, on the CPU, and decoded again: (1, C, H, W), 8 bits deep.

    The blocks of JPEG begin `offset` (shares of a block) above and left of the picture: a crop lies anywhere in them.
    """
    top, left = (int(share * _GRID) for share in offset)
    if top or left:
        picture = pad(picture, (left, 0, top, 0), mode="replicate")
    options = {"subsampling": "4:2:0" if subsampled else "4:4:4"} if codec == "JPEG" else {"method": 2}
    with io.BytesIO() as file:
        to_image(picture[0].clamp(0, 1).cpu()).save(file, codec, quality=quality, **options)
        with Image.open(file) as read:
            saved = to_tensor(read if read.mode in ("L", "RGB") else read.convert("RGB"))
    saved = saved[: picture.shape[1], top:, left:]
    return saved[None].to(picture.device).float() / 255
