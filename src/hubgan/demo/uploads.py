"""Visitors' pictures: which are taken, how large, and how they are enlarged."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gradio.utils import get_upload_folder
from PIL import Image

from hubgan.demo import models, strings
from hubgan.demo.models import ModelRegistry
from hubgan.errors import ConfigError, HubganError, ImageError
from hubgan.media.images import identify, open_image

if TYPE_CHECKING:
    from hubgan import Upscaler

# What a free Space (two cores, 16 GB) finishes within a minute or two.
MAX_PIXELS_IN = 4_000_000
MAX_PIXELS_OUT = 64_000_000
# Of which a part is taken: what is decoded takes three or four bytes each.
MAX_PIXELS_OPENED = 64_000_000
EXAMPLES = Path(__file__).parent / "examples"


@dataclass(frozen=True)
class Limit:
    """How large a picture may be."""

    pixels: int

    @classmethod
    def of(cls, scale: int) -> Limit:
        return cls(min(MAX_PIXELS_IN, MAX_PIXELS_OUT // scale**2))

    @property
    def takes(self) -> str:
        return strings.TAKES.format(megapixels=self.pixels / 1e6)

    def part(self, width: int, height: int) -> tuple[int, int]:
        """The size of the largest part of the same shape."""
        shrink = min(1.0, math.sqrt(self.pixels / (width * height)))
        short = max(1, int(min(width, height) * shrink))
        long = min(max(width, height), self.pixels // short)
        return (long, short) if width >= height else (short, long)


@dataclass(frozen=True)
class Job:
    """An upscaler and what a visitor wants of it."""

    name: str
    fidelity: float
    scale: float
    limit: Limit

    @classmethod
    def of(cls, shelf: ModelRegistry[Upscaler], model: object, fidelity: object, scale: object) -> Job:
        """Raises ConfigError for what the model cannot do: Gradio has not looked at these."""
        label = shelf.label(model)
        if not isinstance(fidelity, int | float) or not 0 <= fidelity <= 1:
            raise ConfigError(strings.FIDELITY_RANGE)
        upscaler, name = shelf.get(label), shelf.names[label]
        if scale is not None and (not isinstance(scale, int | float) or not scale >= 1):
            raise ConfigError(strings.SCALE_RANGE)
        wanted = min(scale or upscaler.scale, upscaler.scale)
        return cls(name, fidelity if models.mixes(name) else 0.0, wanted, Limit.of(upscaler.scale))

    def enlarge(self, picture: Image.Image, tell: Callable[[float], None]) -> Image.Image:
        return models.enlarge(self.name, picture, self.fidelity, self.scale, tell)


def check_uploaded(picture: object) -> tuple[str, str]:
    """The path and the name of a picture that Gradio stored, or of an example.

    Raises ConfigError for anything else: a call of the API may name any file of the server.
    """
    path = picture.get("path") if isinstance(picture, dict) else None
    if not isinstance(path, str) or not path:
        raise ConfigError(strings.UPLOAD_FIRST)
    real = Path(path).resolve()
    if not any(real.is_relative_to(Path(place).resolve()) for place in (get_upload_folder(), EXAMPLES)):
        raise ConfigError(strings.UPLOADED_ONLY)
    name = picture.get("orig_name") if isinstance(picture, dict) else None
    return path, name if isinstance(name, str) and name else strings.THE_PICTURE


def read(path: str, name: str, limit: Limit, part: object = None) -> Image.Image:
    """The picture, or of one that is too large the part. Raises HubganError, by the name the visitor knows."""
    if part is not None and part not in strings.PARTS:
        raise ConfigError(strings.NO_PART.format(part=part, parts=", ".join(strings.PARTS)))
    most = limit.pixels if part is None else MAX_PIXELS_OPENED
    try:
        picture = open_image(path, max_pixels=most)
    except HubganError as error:
        advice = strings.SHRINK.format(takes=limit.takes) if isinstance(error, ImageError) else ""
        raise type(error)(f"{error} {advice}".replace(path, name).strip()) from error
    if picture.width * picture.height <= limit.pixels:
        return picture
    width, height = limit.part(*picture.size)
    left, top = picture.width - width, picture.height - height
    column = 0 if "left" in str(part) else left if "right" in str(part) else left // 2
    row = 0 if "top" in str(part) else top if "bottom" in str(part) else top // 2
    return picture.crop((column, row, column + width, row + height))


def oversize(picture: object, shelf: ModelRegistry[Upscaler], label: str) -> str | None:
    """What to say of a picture that is too large for that model, by its header; None of any other, or what is none."""
    try:
        path, name = check_uploaded(picture)
        with Path(path).open("rb") as file:
            width, height = identify(file, name).size
    except Exception:  # decoders raise nearly every kind on broken bytes; whoever wants it enlarged is told
        return None
    try:
        limit = Limit.of(shelf.get(label).scale)
    except HubganError:  # the tab tells
        return None
    if not limit.pixels < width * height <= MAX_PIXELS_OPENED:
        return None
    part_width, part_height = limit.part(width, height)
    return strings.TOO_LARGE.format(
        width=width,
        height=height,
        megapixels=limit.pixels / 1e6,
        part_width=part_width,
        part_height=part_height,
    )
