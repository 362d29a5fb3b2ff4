"""Visitors' pictures: which are accepted, how large they may be, and how they are enlarged."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gradio.utils import get_upload_folder
from PIL import Image

from hubgan.demo import models, strings
from hubgan.demo.errors import without_path
from hubgan.demo.models import ModelRegistry
from hubgan.errors import ConfigError, HubganError, ImageError
from hubgan.media.images import identify, open_image

if TYPE_CHECKING:
    from hubgan import Upscaler

# A free Space (two cores, 16 GB) finishes these within a minute or two.
MAX_PIXELS_IN = 4_000_000
MAX_PIXELS_OUT = 64_000_000
# For a picture of which a part is enlarged. Decoded, it takes three or four bytes a pixel.
MAX_PIXELS_OPENED = 64_000_000
EXAMPLES = Path(__file__).parent / "examples"


@dataclass(frozen=True)
class Limit:
    """The number of pixels that a picture may have."""

    pixels: int

    @classmethod
    def for_scale(cls, scale: int) -> Limit:
        """The limit of a model that enlarges by `scale`: both the picture and the result must be small enough."""
        return cls(min(MAX_PIXELS_IN, MAX_PIXELS_OUT // scale**2))

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
class UpscaleRequest:
    """An upscaler and its settings, which are checked.

    Attributes:
        label: the upscaler's label.
        name: its Hub name or folder.
        fidelity: 0 to 1.
        scale: 1 up to the scale of the model.
        strength: 0 to 1, or "auto".
        limit: how large a picture may be.
    """

    label: str
    name: str
    fidelity: float
    scale: float
    strength: float | Literal["auto"]
    limit: Limit

    @classmethod
    def from_settings(
        cls,
        registry: ModelRegistry[Upscaler],
        model: object,
        fidelity: object,
        scale: object,
        strength: object = None,
        automatic: object = None,
    ) -> UpscaleRequest:
        """Check the settings, which may be anything that a program sends.

        A fidelity is ignored if the model has only one, a strength if it has none, and a scale above the model's is
        lowered to it. The strength is "auto" if `automatic` says so, or if both are None.

        Raises ConfigError for settings of the wrong type or out of range, ModelError for a model that cannot be
        loaded.
        """
        label = registry.label(model)
        if not isinstance(fidelity, int | float) or not 0 <= fidelity <= 1:
            raise ConfigError(strings.FIDELITY_RANGE)
        upscaler, name = registry.get(label), registry.names[label]
        if scale is not None and (not isinstance(scale, int | float) or not scale >= 1):
            raise ConfigError(strings.SCALE_RANGE)
        if strength is not None and (not isinstance(strength, int | float) or not 0 <= strength <= 1):
            raise ConfigError(strings.STRENGTH_RANGE)
        by_hand = strength is not None and not automatic and upscaler.has_strength
        return cls(
            label=label,
            name=name,
            fidelity=fidelity if models.has_fidelity(name) else 0.0,
            scale=min(scale or upscaler.scale, upscaler.scale),
            strength=float(strength) if by_hand and strength is not None else "auto",
            limit=Limit.for_scale(upscaler.scale),
        )

    def run(self, picture: Image.Image, progress: Callable[[float], None]) -> Image.Image:
        """The enlarged picture."""
        return models.enlarge(self.name, picture, self.fidelity, self.scale, self.strength, progress)


def check_uploaded(picture: object) -> tuple[str, str]:
    """The path of an uploaded picture or an example, and the name that the visitor knows it by.

    Raises ConfigError for anything else: a call of an endpoint may name any file of the server.
    """
    path = picture.get("path") if isinstance(picture, dict) else None
    if not isinstance(path, str) or not path:
        raise ConfigError(*strings.NO_PICTURE)
    real = Path(path).resolve()
    if not any(real.is_relative_to(Path(place).resolve()) for place in (get_upload_folder(), EXAMPLES)):
        raise ConfigError(*strings.NOT_UPLOADED)
    name = picture.get("orig_name") if isinstance(picture, dict) else None
    return path, name if isinstance(name, str) and name else strings.THE_PICTURE


def open_upload(path: str, name: str, limit: Limit, part: object = None) -> Image.Image:
    """Open a picture as `Upscaler.upscale` does: RGB, RGBA, or 16-bit grey (mode I;16).

    Args:
        path: the file.
        name: the name that the visitor knows it by.
        limit: how large the picture may be.
        part: one of `strings.PARTS`: which part to cut out of a picture that is too large.

    Raises:
        ConfigError: there is no such part.
        ImageError: the picture cannot be read, or is too large.
    """
    if part is not None and part not in strings.PARTS:
        raise ConfigError(*strings.fill(strings.NO_PART, part=part, parts=", ".join(strings.PARTS)))
    max_pixels = limit.pixels if part is None else MAX_PIXELS_OPENED
    try:
        picture = open_image(path, max_pixels=max_pixels, deep=True)
    except ImageError as error:
        width, height = _size(path, name) or (0, 0)
        if width * height <= max_pixels:
            raise without_path(error, path, name) from error
        megapixels = max_pixels / 1e6
        message = strings.TOO_LARGE.format(name=name, width=width, height=height, megapixels=megapixels)
        can_crop = part is None and width * height <= MAX_PIXELS_OPENED
        raise ImageError(message, strings.SHRINK_OR_CROP if can_crop else strings.SHRINK) from error
    if picture.width * picture.height <= limit.pixels:
        return picture
    width, height = limit.part(*picture.size)
    right, bottom = picture.width - width, picture.height - height
    left = 0 if "left" in str(part) else right if "right" in str(part) else right // 2
    top = 0 if "top" in str(part) else bottom if "bottom" in str(part) else bottom // 2
    return picture.crop((left, top, left + width, top + height))


def offer_part(picture: object, registry: ModelRegistry[Upscaler], label: str) -> str | None:
    """Markdown that offers to enlarge a part of an upload, if it is too large for that model and can be opened."""
    try:
        size = _size(*check_uploaded(picture))
        limit = Limit.for_scale(registry.get(label).scale)
    except HubganError:  # there is no upload yet, or the tab already says that the model cannot be used
        return None
    if size is None or not limit.pixels < size[0] * size[1] <= MAX_PIXELS_OPENED:
        return None
    part_width, part_height = limit.part(*size)
    return strings.OFFER_PART.format(
        width=size[0],
        height=size[1],
        megapixels=limit.megapixels,
        part_width=part_width,
        part_height=part_height,
    )


def _size(path: str, name: str) -> tuple[int, int] | None:
    """The size of a picture by its header alone; None if it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return identify(file, name).size
    except Exception:  # decoders raise errors of nearly every kind for broken files
        return None
