"""Animations in GIF, WebP, APNG and AVIF files: read frame by frame, and written with their times."""

import io
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from hubgan.errors import ImageError
from hubgan.media.colour import to_srgb
from hubgan.media.images import NUMBERS, check_size, colour_numbers, identify, open_image
from hubgan.media.metadata import save_options
from hubgan.media.png import read_chunks
from hubgan.runtime.files import atomic_write, new_folder

MAX_ENLARGED_PIXELS = 500_000_000
"""Of all frames of an enlarged animation together, because all of them are in memory."""
_FEW_PIXELS = 128 * 128  # for so few pixels a second pass over the palette takes no time
_MOVING = ("GIF", "WEBP", "PNG", "AVIF")
_MOST_PLAYS = 65_535
_VISIBLE = 128  # pixels with at least this alpha are opaque in a GIF, the others transparent


class Animation(NamedTuple):
    """A moving picture.

    Attributes:
        frames: RGB or RGBA, all of one size.
        durations: of the frames, in milliseconds.
        plays: how often the animation is shown; 0 is without end.
    """

    frames: Iterable[Image.Image]
    durations: list[int]
    plays: int = 0


def open_animation(path: str | Path) -> Animation | None:
    """The animation in a GIF, WebP, PNG or AVIF file; None if the file holds a still picture, or several pages.

    Each frame is decoded once before this returns, so that a damaged file is an error here. `frames` decodes them
    again, one at a time, as `hubgan.media.images.open_image` does.

    Raises:
        ImageError: the file cannot be read, or a frame has more than `hubgan.media.images.MAX_PIXELS` pixels.
    """
    try:
        with Path(path).open("rb") as file:
            image = identify(file, str(path))
            if not _is_animated(image):
                return None
            durations, size = [], image.size
            for frame in _decoded_frames(image):
                if frame.size != size:
                    raise ImageError(f"{path} cannot be read: its frames have different sizes")
                durations.append(round(frame.info.get("duration", 0)))
            loop = image.info.get("loop", 1 if image.format == "GIF" else 0)
    except ImageError:
        raise
    except Exception as error:  # decoders raise nearly every kind on broken bytes
        raise ImageError(
            f"{path} cannot be read ({error})", "Check that the file is complete, or save it as PNG"
        ) from error
    repeats = image.format == "GIF" and "loop" in image.info and loop  # a GIF counts the repetitions
    return Animation(_frames(path), durations, min(loop + 1, _MOST_PLAYS) if repeats else loop)


def save_animation(animation: Animation, path: Path, *, quality: int = 95) -> None:
    """Write an animation, in the format of `path`'s ending. Missing folders are made.

    All frames are in memory at once. In a GIF each frame has a palette of 256 colours, and each pixel is either opaque
    or transparent.

    Args:
        animation: one frame or more.
        path: ends in .gif, .webp or .png.
        quality: of WebP, 1 to 100.

    Raises:
        OSError: the file cannot be written.
    """
    frames, durations, plays = list(animation.frames), animation.durations, animation.plays
    grey = all(frame.mode in ("L", "LA") for frame in frames)
    mode = "RGBA" if any(map(_transparent, frames)) else "L" if grey else "RGB"
    frames = [frame if frame.mode == mode else frame.convert(mode) for frame in frames]
    kind = {".gif": "GIF", ".webp": "WEBP", ".png": "PNG"}[path.suffix.lower()]
    options: dict[str, Any] = {"loop": plays}
    if kind == "GIF":
        options = {} if plays == 1 else {"loop": max(plays - 1, 0)}
        frames = [in_palette(to_srgb(frame)) for frame in frames]
        options["disposal"] = 2 if any("transparency" in frame.info for frame in frames) else 1
        durations = _hundredths(durations)
    else:
        options |= save_options(kind, frames[0].info)
        options |= {"quality": quality} if kind == "WEBP" else {}
    with new_folder(path.parent), atomic_write(path) as file:
        save_frames(frames, file, kind, durations, options)


def _transparent(frame: Image.Image) -> bool:
    return "A" in frame.getbands() and frame.getchannel("A").getextrema() != (255, 255)


def _hundredths(durations: list[int]) -> list[int]:
    """Durations in milliseconds rounded for a GIF, which counts hundredths of a second.

    No frame begins off by more than half a hundredth. Each duration above 0 becomes at least two hundredths, because
    browsers slow down shorter ones, and at most the longest that a GIF can hold.
    """
    if all(duration % 10 == 0 for duration in durations):
        return [min(duration, 655_350) for duration in durations]
    found = rounded_times([Fraction(sum(durations[:count])) for count in range(len(durations) + 1)], 10)
    return [min(max(new, 20), 655_350) if old else 0 for old, new in zip(durations, found, strict=True)]


def is_animation(path: str | Path) -> bool:
    """Whether a file holds an animation, by its header; False if it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return _is_animated(identify(file, str(path)))
    except Exception:  # decoders raise nearly every kind on broken bytes
        return False


def _is_animated(image: Image.Image) -> bool:
    return image.format in _MOVING and getattr(image, "is_animated", False)


def _decoded_frames(image: Image.Image) -> Iterator[Image.Image]:
    """The opened animation, moved to each frame and decoded; the same object each time."""
    if numbers := colour_numbers(image, read_chunks(image)):  # from a frame the file cannot be reached
        image.info[NUMBERS] = numbers
    for number in range(int(getattr(image, "default_image", False)), image.n_frames):  # type: ignore[attr-defined]
        image.seek(number)
        check_size(image, "a frame")  # it may be larger than the first one
        image.load()
        yield image


def _frames(path: str | Path) -> Iterator[Image.Image]:
    with Path(path).open("rb") as file:
        yield from map(open_image, _decoded_frames(identify(file, str(path))))


def save_frames(
    frames: list[Image.Image], file: Path, kind: str, durations: list[int], options: dict[str, Any]
) -> None:
    # Pillow's writers take a list of durations for several frames, but a number for a single one.
    duration = durations if len(frames) > 1 else durations[0]
    encoded = io.BytesIO()  # into a file Pillow may write less, without an error
    frames[0].save(encoded, kind, save_all=True, append_images=frames[1:], duration=duration, **options)
    file.write_bytes(encoded.getbuffer())


def rounded_times(starts: list[Fraction], unit: int) -> list[int]:
    """The durations between `starts`, each rounded to the nearest multiple of `unit`."""
    rounded = [round(start / unit) * unit for start in starts]
    return [end - start for start, end in pairwise(rounded)]


def in_palette(frame: Image.Image) -> Image.Image:
    """A frame for a GIF: with a palette of its own, unless it is grey; each pixel either opaque or transparent.

    There is no dithering, because its dots would flicker from frame to frame.
    """
    if frame.mode == "L":
        return frame
    transparent = "A" in frame.getbands()
    hidden = frame.getchannel("A").point([255] * _VISIBLE + [0] * (256 - _VISIBLE)) if transparent else None
    colours = 256 if hidden is None else 255
    few = frame.width * frame.height <= _FEW_PIXELS
    result = frame.convert("RGB").quantize(
        colours, Image.Quantize.MEDIANCUT, kmeans=2 if few else 0, dither=Image.Dither.NONE
    )
    if hidden is not None:
        result.paste(colours, mask=hidden)
        result.info["transparency"] = colours
    return result
