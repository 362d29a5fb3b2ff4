"""How much the demo takes: as much as the command line, unless the environment or a Space sets limits."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields

from hubgan.demo import strings
from hubgan.errors import ConfigError
from hubgan.media.images import MAX_PIXELS

_MOST = {"megapixels": MAX_PIXELS / 1e6}


@dataclass(frozen=True)
class Limit:
    """The number of pixels that a picture may have."""

    pixels: int

    @property
    def megapixels(self) -> float:
        return self.pixels / 1e6

    def part(self, width: int, height: int) -> tuple[int, int]:
        """The size of the largest allowed part of the same shape."""
        shrink = min(1.0, math.sqrt(self.pixels / (width * height)))
        short = max(1, int(min(width, height) * shrink))
        long = min(max(width, height), self.pixels // short)
        return (long, short) if width >= height else (short, long)


@dataclass(frozen=True)
class Limits:
    """What visitors may ask for. Infinity is no limit.

    An environment variable of the same name sets each: HUBGAN_MAX_MEGAPIXELS and so on.

    Attributes:
        megapixels: of a picture, at most 64.
        result_megapixels: of an enlarged picture, by the model's own scale.
        total_megapixels: of several pictures at once.
        pictures: the number of pictures at once.
        video_megapixels: of all frames of a video.
        minutes: the time that a request may take.
        upload_megabytes: the size of an uploaded file.
    """

    megapixels: float = MAX_PIXELS / 1e6
    result_megapixels: float = math.inf
    total_megapixels: float = math.inf
    pictures: float = math.inf
    video_megapixels: float = math.inf
    minutes: float = math.inf
    upload_megabytes: float = math.inf

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Limits:
        """The limits of this machine, or of this Space, with what the environment says.

        Raises:
            ConfigError: a variable does not hold a number in range.
        """
        default = _OF_A_SPACE if environment.get("SPACE_ID") else cls()
        names = {field.name: f"HUBGAN_MAX_{field.name.upper()}" for field in fields(cls)}
        given = {name: text for name, variable in names.items() if (text := environment.get(variable, "").strip())}
        numbers = {name: _number(names[name], text, _MOST.get(name, math.inf)) for name, text in given.items()}
        return cls(**{name: numbers.get(name, getattr(default, name)) for name in names})

    def for_scale(self, scale: int) -> Limit:
        """The limit of a model that enlarges by `scale`: both the picture and the result must be small enough."""
        return Limit(max(1, int(1e6 * min(self.megapixels, self.result_megapixels / scale**2))))


# A free Space (two cores, 16 GB) finishes these within a minute or two, and the video within its five.
_OF_A_SPACE = Limits(
    megapixels=4,
    result_megapixels=64,
    total_megapixels=8,
    pictures=20,
    video_megapixels=60,
    minutes=5,
    upload_megabytes=50,
)


def _number(variable: str, text: str, most: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number <= most:
        limit = strings.LIMIT_MOST.format(most=most) if math.isfinite(most) else strings.LIMIT
        raise ConfigError(strings.BAD_LIMIT.format(variable=variable, text=text), limit)
    return number
