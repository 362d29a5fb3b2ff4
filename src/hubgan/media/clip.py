"""Video files, read frame by frame with PyAV: upright and in RGB, with their times and their colour tags.

`hubgan.media.clip_writing` writes them enlarged.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple, cast

import av
import numpy as np
from av.codec.context import ThreadType
from av.container import InputContainer
from av.error import FFmpegError
from av.format import Flags
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from PIL import Image

from hubgan.errors import ImageError
from hubgan.media.images import MAX_PIXELS
from hubgan.media.video import BT709, LIMITED

PRECISE = 0x4 | 0x2000 | 0x4000 | 0x40000
"""A conversion between YUV and RGB that is as exact as swscale can: bicubic, full chroma in and out, rounded right."""
_FORMATS = "mov,mp4,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg"  # no playlist, which would open other files

# Colours as numbered by ITU-T H.273 and FFmpeg.
_BT470BG, _SMPTE170M, _UNSPECIFIED = 5, 6, 2
_MATRICES = (BT709, 4, _BT470BG, _SMPTE170M, 7, 9)  # that swscale converts
_HDR = {16: "PQ", 18: "HLG"}
_HD = (1280, 577)  # from this width or height on, players assume BT.709 where no colours are tagged

_SAMPLES = 5  # frames by which a whole clip is judged
_LOST = 1.0  # seconds that a file may end earlier than its header says
_JUMP = 1  # seconds by which a clock goes back where another recording begins
_T = Image.Transpose
# By the signs of the display matrix (a b; c d), which moves a pixel from (x, y) to (a x + c y, b x + d y).
_TURNS = {
    (1, 0, 0, 1): None,
    (0, 1, -1, 0): _T.ROTATE_270,
    (-1, 0, 0, -1): _T.ROTATE_180,
    (0, -1, 1, 0): _T.ROTATE_90,
    (-1, 0, 0, 1): _T.FLIP_LEFT_RIGHT,
    (1, 0, 0, -1): _T.FLIP_TOP_BOTTOM,
    (0, 1, 1, 0): _T.TRANSPOSE,
    (0, -1, -1, 0): _T.TRANSVERSE,
}
_SIDEWAYS = (_T.ROTATE_90, _T.ROTATE_270, _T.TRANSPOSE, _T.TRANSVERSE)


class Colours(NamedTuple):
    """How the numbers of a video stand for colours, as ITU-T H.273 and FFmpeg number it."""

    primaries: int
    transfer: int
    matrix: int
    range: int


class ClipFrame(NamedTuple):
    """A frame that is decoded, but not yet converted to RGB.

    Attributes:
        raw: PyAV's frame.
        start: when it appears, in units of `Clip.time_base`.
        end: when it disappears.
    """

    raw: VideoFrame
    start: int
    end: int


class Clip:
    """A video file; its first video stream is the one that is read.

    Attributes:
        path: of the file.
        size: width and height of the upright frames.
        time_base: the unit of times, in seconds.
        rate: frames a second, on average; 25 if that is unknown.
        frame_count: the number of frames by the header; None if unknown.
        end: when the last frame disappears, by the header and in units of `time_base`; None if unknown.
        seconds: its duration by the header, in seconds; 0 if unknown.
        colours: of the frames. A matrix that is not tagged is the one that players take.
        aspect: the width of an upright pixel over its height.
        shift: what `packets` takes from all times, in seconds.
        notes: what a person should know about the result: sentences about the file, without a full stop. `frames`
            adds what it finds.

    Raises:
        ImageError: the file holds no video, is damaged or encrypted, has no frame that can be decoded, or has too
            large ones.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self.open() as container:
            # In MPEG streams the clock begins anywhere.
            restarts = container.format.flags & Flags.ts_discont.value
            self.shift = Fraction(container.start_time or 0, 1_000_000) if restarts else Fraction(0)
            first = next(self._decode(container), None)
            if first is None:
                raise ImageError(f"{path} has no frames that can be decoded", "Check that the file is complete")
            stream = self.stream(container)
            self._reformatter = VideoReformatter()
            self._stored, self._turn = (first.width, first.height), _turn(first)
            sideways = self._turn in _SIDEWAYS
            self.size = (first.height, first.width) if sideways else self._stored
            self.time_base = stream.time_base or Fraction(1, 1_000_000)
            self.rate: Fraction = stream.average_rate or stream.guessed_rate or Fraction(25)
            self.seconds = (container.duration or 0) / 1_000_000
            self.frame_count: int | None = stream.frames or round(self.seconds * self.rate) or None
            self.colours = _colours(first, path)
            aspect = stream.sample_aspect_ratio or Fraction(1)
            self.aspect = 1 / aspect if sideways else aspect
            end = None if stream.duration is None else (stream.start_time or 0) + stream.duration
            self.end = None if end is None else end - round(self.shift / self.time_base)
            self.notes = [*_losses(first, stream, path)]

    def enlarged_size(self, scale: float) -> tuple[int, int]:
        """Width and height of the frames, enlarged."""
        return max(round(self.size[0] * scale), 1), max(round(self.size[1] * scale), 1)

    def open(self) -> InputContainer:
        """PyAV's container of the file, for a `with`.

        Raises:
            ImageError: it cannot be opened.
        """
        try:
            # An absolute path is none of FFmpeg's protocols.
            container = av.open(
                str(self.path.absolute()), metadata_errors="replace", container_options={"format_whitelist": _FORMATS}
            )
        except (FFmpegError, ValueError) as error:
            empty = not self.path.stat().st_size
            problem = "is empty" if empty else f"cannot be read as a video ({_reason(error)})"
            raise ImageError(f"{self.path} {problem}", "Check that the file is a complete video") from error
        for stream in container.streams.video:
            if stream.codec_context is not None:
                stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
                stream.thread_type = ThreadType.AUTO
        return container

    def stream(self, container: InputContainer) -> VideoStream:
        """The video stream of an opened container that is read.

        Raises:
            ImageError: there is none, or its codec or its size is out of reach.
        """
        found = [stream for stream in container.streams.video if not is_cover(stream)]
        if not found:
            raise ImageError(f"{self.path} has no video stream", "Pass a file with a video stream")
        stream = found[0]
        context = stream.codec_context
        if context is None:
            raise ImageError(f"{self.path} has a codec that this FFmpeg cannot decode", "Convert it to H.264 first")
        if context.width * context.height > MAX_PIXELS:
            raise ImageError(
                f"{self.path} has frames of {context.width} x {context.height} pixels",
                f"Pass a video of at most {MAX_PIXELS:,} pixels a frame",
            )
        return stream

    def frames(self) -> Iterator[ClipFrame]:
        """All frames, one after another; a frame that cannot be decoded is left out.

        Times grow from frame to frame: one that does not is moved by one unit.
        """
        last: ClipFrame | None = None
        with self.open() as container:
            for raw in self._decode(container, self.notes):
                start = raw.pts if raw.pts is not None else (last.end if last else 0)
                if last and start <= last.start:
                    start = last.start + 1
                last = ClipFrame(raw, start, start + (raw.duration or round(1 / (self.rate * self.time_base))))
                yield last

    def image(self, raw: VideoFrame) -> Image.Image:
        """A decoded frame, upright and in RGB."""
        rgb = self._reformatter.reformat(
            raw,
            *self._stored,
            format="rgb24",
            src_colorspace=swscale_matrix(self.colours.matrix),
            interpolation=PRECISE,
        )
        image = Image.fromarray(rgb.to_ndarray())
        return image if self._turn is None else image.transpose(self._turn)

    def samples(self, number: int = _SAMPLES) -> Iterator[Image.Image]:
        """Frames evenly spread over the clip; fewer, but at least the first, if it cannot be read from everywhere."""
        found = False
        for index in range(number):
            with self.open() as container:
                try:
                    begin = container.start_time or 0
                    container.seek(begin + int(self.seconds * 1_000_000 * (index + 0.5) / number))
                except FFmpegError:
                    break
                raw = next(self._decode(container), None)
            if raw is not None:
                found = True
                yield self.image(raw)
        if not found:
            yield self.image(next(self.frames()).raw)

    def packets(self, container: InputContainer) -> Iterator[Packet[Stream]]:
        """All packets of an opened container, with the times of the result.

        Recordings that were joined byte by byte have a clock that goes back: the later one then follows the earlier
        one. Its streams are moved by the same time, as each one gets there.
        """
        offsets, end = [-self.shift], -self.shift  # an offset for each recording
        recordings: dict[int, int] = {}
        last: dict[int, Fraction] = {}
        for packet in container.demux():
            index, unit = packet.stream.index, packet.stream.time_base or Fraction(1)
            recording = recordings.get(index, len(offsets) - 1)
            if packet.dts is not None and packet.stream.type in ("audio", "video"):
                now = packet.dts * unit + offsets[recording]
                if now < last.get(index, now) - _JUMP:
                    recording += 1
                    if recording == len(offsets):
                        offsets.append(offsets[-1] + end - now)
                    now += offsets[recording] - offsets[recording - 1]
                end = max(end, now + (packet.duration * unit if packet.duration else now - last.get(index, now)))
                recordings[index], last[index] = recording, now
            offset = round(offsets[recording] / unit)
            packet.pts = None if packet.pts is None else packet.pts + offset
            packet.dts = None if packet.dts is None else packet.dts + offset
            yield packet

    def _decode(self, container: InputContainer, notes: list[str] | None = None) -> Iterator[VideoFrame]:
        stream = self.stream(container)
        damaged, reached = 0, Fraction(0)
        try:
            for packet in self.packets(container):
                if packet.pts is not None:
                    reached = max(reached, (packet.pts + (packet.duration or 0)) * packet.time_base)
                if packet.stream is not stream:
                    continue
                if packet.has_sidedata("encryption_info"):
                    raise ImageError(f"{self.path} is encrypted", "Pass a video without copy protection")
                try:
                    decoded = stream.decode(packet)
                except FFmpegError:
                    damaged += 1
                    continue
                yield from decoded
        except FFmpegError:
            damaged += 1
        if notes is None:
            return
        if damaged:
            notes.append(f"{damaged:,} damaged places were skipped" if damaged > 1 else "a damaged place was skipped")
        end = ((container.start_time or 0) + (container.duration or 0)) / 1_000_000 - self.shift
        if reached < end - _LOST:
            notes.append(f"the file is cut off: it ends after {float(reached):.1f} of {float(end):.1f} seconds")


def is_cover(stream: Stream) -> bool:
    """Whether a stream is a still picture beside the video."""
    return bool(stream.disposition & Disposition.attached_pic)


def swscale_matrix(matrix: int) -> int:
    """A matrix as PyAV's converter takes it, which knows BT.601 by one of its two numbers."""
    return _BT470BG if matrix == _SMPTE170M else matrix


def _turn(frame: VideoFrame) -> Image.Transpose | None:
    found = frame.side_data.get("DISPLAYMATRIX")
    if found is None:
        return None
    a, b, _, c, d = np.frombuffer(cast(Any, found), np.int32)[:5]
    signs = tuple(int(np.sign(value)) if abs(value) > 1 << 8 else 0 for value in (a, b, c, d))
    return _TURNS.get(signs)  # type: ignore[arg-type]


def _colours(frame: VideoFrame, path: Path) -> Colours:
    matrix, depth = frame.colorspace, frame.color_range or LIMITED
    if frame.format.is_rgb or "gray" in frame.format.name:
        matrix, depth = _UNSPECIFIED, LIMITED
    if matrix == _UNSPECIFIED:
        large = frame.width >= _HD[0] or frame.height >= _HD[1]
        matrix = BT709 if large or frame.format.is_rgb else _SMPTE170M
    if matrix not in _MATRICES:
        raise ImageError(
            f"{path} has colours in an unsupported format (matrix {matrix})",
            f"Run: ffmpeg -i {path.name} -vf scale=out_color_matrix=bt709 -colorspace bt709 converted.mkv",
        )
    return Colours(frame.color_primaries, frame.color_trc, matrix, depth)


def _losses(first: VideoFrame, stream: Stream, path: Path) -> Iterator[str]:
    """What the enlarged clip will lack, seen in its first frame."""
    bits = max(component.bits for component in first.format.components)
    if bits > 8:
        hdr = f" of HDR ({_HDR[first.color_trc]})" if first.color_trc in _HDR else ""
        yield f"its {bits} bits a channel{hdr} are reduced to 8, so smooth areas may show bands"
    if any(component.is_alpha for component in first.format.components) or "alpha_mode" in stream.metadata:
        yield "its transparency is lost"
    if first.interlaced_frame:
        yield (f"it is interlaced, so movement shows combs. First run: ffmpeg -i {path.name} -vf bwdif smooth.mkv")
    if first.rotation % 90:
        yield f"its rotation by {first.rotation} degrees is ignored"


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
