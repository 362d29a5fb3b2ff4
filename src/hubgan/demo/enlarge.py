"""A picture or an animation enlarged: the settings, the result, and its file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from PIL import Image

from hubgan.demo import models, strings
from hubgan.demo.errors import without_path
from hubgan.demo.limits import Limit, Limits
from hubgan.demo.models import ModelRegistry
from hubgan.demo.uploads import Header, open_upload, read_header
from hubgan.errors import ConfigError, HubganError, ImageError
from hubgan.media.animation import MAX_ENLARGED_PIXELS, Animation, open_animation, save_animation
from hubgan.media.writing import WRITTEN, obstacle, save_picture

if TYPE_CHECKING:
    from hubgan import Upscaler

_ENDINGS = {"JPEG": ".jpg", "MPO": ".jpg", "WEBP": ".webp"}  # of formats that are kept, besides PNG


class Opened(NamedTuple):
    """A picture, or the frames of an animation.

    Attributes:
        pictures: one, or all frames.
        header: that of the file.
        animation: the animation in the file, if all its frames are to be enlarged.
    """

    pictures: list[Image.Image]
    header: Header
    animation: Animation | None = None

    @property
    def pixels(self) -> int:
        return sum(picture.width * picture.height for picture in self.pictures)


@dataclass(frozen=True)
class Enlarged:
    """A result, and how it came about.

    Attributes:
        before: the picture, or the first frame.
        after: the same, enlarged.
        animation: all enlarged frames, if there are several.
        ending: of the result's file, such as ".png".
        remarks: sentences on what the visitor might miss in the result.
    """

    before: Image.Image
    after: Image.Image
    animation: Animation | None
    ending: str
    remarks: list[str]

    def save(self, target: Path) -> str:
        """Write the result, and return its path. `target` has the ending.

        Raises:
            ImageError: it cannot be written in this format.
        """
        try:
            if self.animation is None:
                save_picture(self.after, target)
            else:
                save_animation(self.animation, target)
        except (HubganError, OSError, MemoryError):
            raise
        except Exception as error:  # encoders raise nearly every kind
            raise ImageError(*strings.fill(strings.NOT_WRITTEN, kind=WRITTEN[self.ending])) from error
        return str(target)


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
        format: of the results, a key of `strings.FORMATS`.
    """

    label: str
    name: str
    fidelity: float
    scale: float
    strength: float | Literal["auto"]
    limit: Limit
    format: str = "same"

    @classmethod
    def from_settings(
        cls,
        registry: ModelRegistry[Upscaler],
        limits: Limits,
        model: object = None,
        fidelity: object = 0.0,
        scale: object = None,
        strength: object = None,
        automatic: object = None,
        format: object = None,
    ) -> UpscaleRequest:
        """Check the settings, which may be anything that a program sends.

        A fidelity is ignored if the model has only one, and a scale above the model's is lowered to it. The strength
        is "auto" if `automatic` says so, or if both are None.

        Raises ConfigError for settings of the wrong type or out of range, and for a strength if the model has none;
        ModelError for a model that cannot be loaded.
        """
        label = registry.label(model)
        if not isinstance(fidelity, int | float) or not 0 <= fidelity <= 1:
            raise ConfigError(strings.FIDELITY_RANGE)
        upscaler, name = registry.get(label), registry.names[label]
        if scale is not None and (not isinstance(scale, int | float) or not scale >= 1):
            raise ConfigError(strings.SCALE_RANGE)
        if strength is not None and (not isinstance(strength, int | float) or not 0 <= strength <= 1):
            raise ConfigError(strings.STRENGTH_RANGE)
        by_hand = strength is not None and not automatic
        if by_hand and not upscaler.has_strength:
            raise ConfigError(*strings.fill(strings.NO_STRENGTH, model=label))
        if format is not None and str(format) not in strings.FORMATS:
            raise ConfigError(*strings.fill(strings.NO_FORMAT, format=format, formats=", ".join(strings.FORMATS)))
        return cls(
            label=label,
            name=name,
            fidelity=fidelity if models.has_fidelity(name) else 0.0,
            scale=min(scale or upscaler.scale, upscaler.scale),
            strength=float(strength) if by_hand and strength is not None else "auto",
            limit=limits.for_scale(upscaler.scale),
            format=str(format or "same"),
        )

    def open(self, path: str, name: str, part: object = None) -> Opened:
        """Open a picture; of an animation all frames, or the first if all are too many.

        Args:
            path, name, part: as in `open_upload`.

        Raises:
            ConfigError: there is no such part.
            ImageError: the picture cannot be read, or is too large.
        """
        first = open_upload(path, name, self.limit, part)
        header = read_header(path, name)
        if header.frames * header.pixels > min(self.limit.pixels, MAX_ENLARGED_PIXELS / self.scale**2):
            return Opened([first], header)
        try:
            animation = open_animation(path)
            return Opened([first] if animation is None else list(animation.frames), header, animation)
        except ImageError as error:
            raise without_path(error, path, name) from error

    def enlarge(self, pictures: list[Image.Image], progress: Callable[[float], None]) -> list[Image.Image]:
        """The pictures, enlarged; `progress` as in `run`."""
        return models.enlarge(self.name, pictures, self.fidelity, self.scale, self.strength, progress)

    def run(self, opened: Opened, progress: Callable[[float], None]) -> Enlarged:
        """Enlarge what was opened.

        `progress` is called with the share that is done; an exception that it raises ends the work.
        """
        pictures, header, animation = opened
        frames = self.enlarge(pictures, progress)
        remarks, moving = [], animation is not None
        if animation is not None:
            animation = animation._replace(frames=frames)
            remarks = [strings.FRAMES.format(count=len(frames))]
        elif header.frames > 1:
            remarks = [strings.FIRST_FRAME.format(count=header.frames)]
        elif header.pages > 1:
            remarks = [strings.FIRST_PAGE.format(count=header.pages)]
        if header.damage:
            remarks.append(strings.DAMAGED.format(parts=header.damage))
        ending = f".{self.format}"
        if self.format == "same":
            ending = ".gif" if header.kind == "GIF" and moving else _ENDINGS.get(header.kind, ".png")
        if reason := obstacle(frames[0], Path(f"result{ending}"), 1, moving=moving):
            ending = ".png"
            remarks.append(strings.AS_PNG.format(reason=reason))
        return Enlarged(pictures[0], frames[0], animation, ending, remarks)
