"""Small videos to test with, and what is in one."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import pytest

RHYTHM = [0, 500, 1300, 2000, 2012, 4000, 4700, 5000, 8000, 9000, 11000, 12000]
"""Times of frames in 12000ths of a second, as a telephone writes them: at no fixed rate."""
BT709, BT601 = (1, 1, 1, 1), (6, 6, 6, 1)
_UNIT = Fraction(1, 12_000)


class Played(NamedTuple):
    """What a player finds in a video."""

    times: list[Fraction]
    duration: float
    size: tuple[int, int]
    colours: tuple[int, int, int, int]
    codec: str
    pixels: list[np.ndarray]
    copied: dict[str, list[bytes]]


def drawn(number: int, width: int = 32, height: int = 24) -> np.ndarray:
    """A frame whose corners differ, and which becomes redder from frame to frame."""
    pixels = np.full((height, width, 3), (15 * number % 256, 60, 120), np.uint8)
    pixels[: height // 2, : width // 2] = (220, 200, 40)
    return pixels


def clip(
    path: Path,
    *,
    codec: str = "libx264",
    times: Sequence[int] = RHYTHM,
    sound: str | None = "aac",
    colours: tuple[int, int, int, int] = BT709,
    format: str = "yuv420p",
    size: tuple[int, int] = (32, 24),
    turn: int = 0,
    aspect: Fraction = Fraction(1),
    options: dict[str, str] | None = None,
    **container_options: str,
) -> Path:
    """Write a video with a second of sound."""
    if codec not in av.codec.codecs_available:
        pytest.skip(f"this PyAV has no {codec}")
    with av.open(str(path), "w", container_options=container_options) as container:
        stream: Any = container.add_stream(codec, rate=12, options=options)
        stream.width, stream.height, stream.pix_fmt = *size, format
        stream.codec_context.time_base, stream.codec_context.sample_aspect_ratio = _UNIT, aspect
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = colours
        if turn:
            stream.set_display_rotation(turn)
        audio: Any = container.add_stream(sound, rate=48_000) if sound else None
        container.metadata["title"] = "a clip"
        packets: list[Any] = []
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(drawn(number, *size), format="rgb24")
            matrix = 5 if colours[2] == 6 else colours[2]
            frame = frame.reformat(format=format, dst_colorspace=matrix, dst_color_range=colours[3])
            frame.pts, frame.time_base = time, _UNIT
            packets += stream.encode(frame)
        for packet in [*packets, *stream.encode()]:
            packet.duration = 1000
            container.mux(packet)
        if audio:
            noise = np.random.default_rng(0).normal(0, 0.1, (48, 2, 1024)).astype(np.float32)
            for number, samples in enumerate(noise):
                piece = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
                piece.rate, piece.pts = 48_000, number * 1024
                container.mux(audio.encode(piece))
            container.mux(audio.encode())
    return path


def with_subtitles(path: Path, into: Path, end: int = 1) -> Path:
    """A copy of a video with a chapter, and with subtitles that end after a number of seconds."""
    srt = path.with_suffix(".srt")
    srt.write_text(f"1\n00:00:00,100 --> 00:00:00,700\nHello\n\n2\n00:00:00,800 --> 00:00:{end:02},000\nthere\n")
    with av.open(str(path)) as source, av.open(str(srt)) as words, av.open(str(into), "w") as result:
        streams = [*source.streams, *words.streams]
        copies: dict[Any, Any] = {stream: result.add_stream_from_template(stream, opaque=True) for stream in streams}
        copies[words.streams[0]].metadata["language"] = "eng"
        chapter = {"id": 1, "start": 0, "end": 500, "time_base": Fraction(1, 1000), "metadata": {"title": "one"}}
        result.set_chapters([chapter])
        for container in (source, words):
            for packet in container.demux():
                if packet.size:
                    packet.stream = copies[packet.stream]
                    result.mux(packet)
    return into


def play(path: Path) -> Played:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        context = stream.codec_context
        colours = (context.color_primaries, context.color_trc, context.colorspace, context.color_range)
        duration = (container.duration or 0) / 1_000_000
    with av.open(str(path)) as container:
        copied: dict[str, list[bytes]] = {}
        for packet in container.demux():
            if packet.size and packet.stream.type != "video":
                copied.setdefault(packet.stream.type, []).append(bytes(packet))
    assert all(frame.rotation == 0 for frame in frames) or frames[0].rotation
    return Played(
        [frame.pts * frame.time_base for frame in frames],
        duration,
        (frames[0].width, frames[0].height),
        colours,
        context.name,
        [frame.to_ndarray(format="rgb24") for frame in frames],
        copied,
    )


def alike(some: list[np.ndarray], others: list[np.ndarray]) -> bool:
    """Whether frames are the same up to the encoder, which does not make the same bytes each time."""
    return all(np.abs(one.astype(int) - other).mean() < 2 for one, other in zip(some, others, strict=True))
