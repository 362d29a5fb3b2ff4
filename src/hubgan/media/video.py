"""Moving pictures written from frames: GIF and WebP by Pillow, MP4 by PyAV (the package `av`, which has FFmpeg)."""

from collections.abc import Callable, Iterable
from fractions import Fraction
from importlib.metadata import version
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import numpy as np
from packaging.version import Version
from PIL import Image

from hubgan.errors import ConfigError, HubganError, ImageError
from hubgan.media.animation import in_palette, rounded_times, save_frames
from hubgan.runtime.files import atomic_write, new_folder

CLIP_ENDINGS = (".3g2", ".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts",
                ".ogv", ".vob", ".webm", ".wmv")  # fmt: skip
"""The endings of video files, which `hubgan.media.clip` reads."""
WRITTEN_CLIPS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
"""The endings of those that `hubgan.media.clip_writing` writes, and what FFmpeg calls the container."""
_AV = "17.1"  # as the extra `video` in pyproject.toml
_FASTEST_GIF = 50  # a GIF counts hundredths of a second, and browsers slow down frames of a single hundredth
BT709, LIMITED = 1, 1  # the colours of HD video in 16 to 235, as numbered by ITU-T H.273 and FFmpeg


def check_video(path: Path, fps: int) -> None:
    """Raise ConfigError if `save_video` could not write the file: before the work rather than after it.

    Args:
        path: ends in .gif, .webp or .mp4.
        fps: pictures a second, 1 or more; at most 50 in a GIF.
    """
    ending = path.suffix.lower()
    if ending not in _WRITERS:
        raise ConfigError(f"{path} has no extension of an animation format", f"Use one of {', '.join(_WRITERS)}")
    if fps < 1 or (ending == ".gif" and fps > _FASTEST_GIF):
        bounds = f"1 to {_FASTEST_GIF} in a GIF" if ending == ".gif" else "1 or more"
        raise ConfigError(f"fps must be {bounds}, got {fps}")
    if ending == ".mp4":
        _check_av(ConfigError, "MP4", ", or write a .gif or .webp")


def is_clip(path: Path) -> bool:
    """Whether a file is a video, by its ending."""
    return path.suffix.lower() in CLIP_ENDINGS


def check_clip(path: Path) -> None:
    """Raise ImageError if the package is missing or too old with which `hubgan.media.clip` reads a video file."""
    _check_av(ImageError, f"{path} is a video, which", "")


def save_video(frames: Iterable[Image.Image], path: Path, *, fps: int, scale: int = 1, loop: bool = True) -> None:
    """Write pictures as a moving one, in the format of `path`'s ending. Missing folders are made.

    A GIF has at most 256 colours a picture. Each picture has a palette of its own, which is closer to it and flickers
    less than one palette for all. WebP is lossless. MP4 is H.264 with 4:2:0 chroma, which plays everywhere; an odd
    side gets one more row or column. The same frames give the same bytes, for MP4 with the same version of FFmpeg.

    Args:
        frames: one picture or more, RGB or L, all of one size.
        path: ends in .gif, .webp or .mp4.
        fps: pictures a second; each is shown to the next hundredth (GIF) or thousandth (WebP) of a second.
        scale: each pixel becomes a square of this side.
        loop: repeat a GIF or a WebP without end. An MP4 does not hold this; its player decides.

    Raises:
        ConfigError: as `check_video`, or there are no frames.
        OSError: the file cannot be written.
    """
    check_video(path, fps)
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        raise ConfigError(f"{path}: there are no frames to write")
    with new_folder(path.parent), atomic_write(path) as file:
        _WRITERS[path.suffix.lower()](chain([first], frames), file, fps, scale, loop)


def _save_gif(frames: Iterable[Image.Image], file: Path, fps: int, scale: int, loop: bool) -> None:
    few = [_enlarged(in_palette(frame), scale) for frame in frames]
    save_frames(few, file, "GIF", _durations(len(few), fps, 10), {"loop": 0} if loop else {})


def _save_webp(frames: Iterable[Image.Image], file: Path, fps: int, scale: int, loop: bool) -> None:
    large = [_enlarged(frame.convert("RGB"), scale) for frame in frames]
    save_frames(large, file, "WEBP", _durations(len(large), fps, 1), {"loop": 0 if loop else 1, "lossless": True})


def _save_mp4(frames: Iterable[Image.Image], file: Path, fps: int, scale: int, loop: bool) -> None:
    import av

    with av.open(str(file), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "16"})  # visually lossless
        stream.pix_fmt = "yuv420p"
        # Stated in the file, because players would otherwise guess them from the picture's size.
        context, colour = stream.codec_context, {"dst_colorspace": BT709, "dst_color_range": LIMITED}
        context.colorspace = context.color_primaries = context.color_trc = BT709
        context.color_range = LIMITED
        context.thread_count = 1  # the bytes depend on it
        for number, frame in enumerate(frames):
            pixels = even(np.asarray(_enlarged(frame.convert("RGB"), scale)))
            picture = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p", **colour)
            if not number:
                stream.height, stream.width = pixels.shape[:2]
            picture.pts, picture.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


_WRITERS: dict[str, Callable[[Iterable[Image.Image], Path, int, int, bool], None]] = {
    ".gif": _save_gif,
    ".webp": _save_webp,
    ".mp4": _save_mp4,
}


def _durations(frames: int, fps: int, unit: int) -> list[int]:
    """The durations of frames in milliseconds, multiples of `unit`: no frame begins off by more than half a unit."""
    return rounded_times([Fraction(1000 * number, fps) for number in range(frames + 1)], unit)


def _enlarged(frame: Image.Image, scale: int) -> Image.Image:
    return frame.resize((frame.width * scale, frame.height * scale), Image.Resampling.NEAREST)


def even(pixels: np.ndarray) -> np.ndarray:
    """H x W x 3 with even sides, because chroma is stored for 2x2 pixels: the last line of an odd side is repeated."""
    height, width, _ = pixels.shape
    return np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def _check_av(kind: type[HubganError], subject: str, alternative: str) -> None:
    if find_spec("av") is None:
        raise kind(f"{subject} needs the package av", f"Run: pip install 'hubgan[video]'{alternative}")
    found = version("av")
    if Version(found) < Version(_AV):
        remedy = f"Run: pip install -U 'hubgan[video]'{alternative}"
        raise kind(f"{subject} needs av {_AV} or newer, but {found} is installed", remedy)
