"""Enlarged video files, written in parts, so that an interruption loses a few frames and not the whole work.

The frames are encoded again; audio and subtitles are copied. Finished parts stand in a hidden folder beside the result
until all are done. Then their packets are joined, without being encoded again.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from heapq import merge
from itertools import chain, count, islice, takewhile
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, cast

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from PIL import Image

from hubgan.errors import ImageError, Remedy
from hubgan.media.clip import PRECISE, Clip, is_cover, swscale_matrix
from hubgan.media.steady import MEMORY, Steadier
from hubgan.media.video import WRITTEN_CLIPS, even
from hubgan.runtime.files import atomic_write, fitting, new_folder, sync

Enlarge: TypeAlias = Callable[[Iterator[Image.Image]], Iterable[Image.Image]]
"""Makes the enlarged frames of frames, one for each, in their order. It may take several before it gives the first."""
PART = 48
"""The number of frames of a part; each part begins with a keyframe."""
# Without B-frames packets are in the order of their times, so parts can be joined in any rhythm.
_H264 = ("libx264", {"crf": "17", "bf": "0", "g": str(PART)})  # visually lossless
_VP9 = ("libvpx-vp9", {"crf": "20", "b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1", "g": str(PART)})


class _Kind(NamedTuple):
    codec: tuple[str, dict[str, str]]
    longest_side: int
    options: dict[str, str]


_KINDS = {
    "mp4": _Kind(_H264, 16_384, {"movflags": "faststart"}),
    "mov": _Kind(_H264, 16_384, {"movflags": "faststart+use_metadata_tags"}),
    "matroska": _Kind(_H264, 16_384, {}),
    "webm": _Kind(_VP9, 65_535, {}),
}
_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}  # that numbers of channels usually stand for
_OF_STREAM = ("title", "language", "handler_name", "creation_time")  # what is kept of the metadata of the video stream
_OF_FILE = ("major_brand", "minor_version", "compatible_brands", "encoder")  # what is not kept of those of the file


class ClipWriter:
    """The enlarged video file of a clip, begun or continued.

    Args:
        clip: the video to enlarge. Its notes get what the result cannot hold.
        target: ends in one of `hubgan.media.video.WRITTEN_CLIPS`.
        size: width and height of the enlarged frames; an odd side gets one more row or column.
        settings: all that the enlarged frames depend on besides the clip, as JSON holds it. Parts that were made with
            other settings, or of another file, are not used, and are kept until the result is finished.
        resume: continue an interrupted work; if False its parts are deleted.
        steady: give each frame to `Steadier` before it is enlarged.

    Attributes:
        size: width and height of the result.
        done: the number of frames after which the work would continue if it were interrupted now.
        discarded: whether the only unfinished parts are of another file or were made with other settings.

    Raises:
        ImageError: a frame would be too large for the format, or the format cannot tell that pixels are not square.
    """

    def __init__(
        self,
        clip: Clip,
        target: Path,
        size: tuple[int, int],
        settings: dict[str, Any],
        *,
        resume: bool = True,
        steady: bool = True,
    ) -> None:
        self._clip, self._target, self._steady = clip, target, steady
        self._muxer = WRITTEN_CLIPS[target.suffix.lower()]
        self._kind = _KINDS[self._muxer]
        _check(clip, target, size, self._kind)
        self.size = (size[0] + size[0] % 2, size[1] + size[1] % 2)
        status = clip.path.stat()
        fingerprint = {"name": clip.path.name, "bytes": status.st_size, "time": status.st_mtime_ns}
        same_numbers = json.loads(json.dumps(settings), parse_int=float)  # 4 is 4.0
        key = json.dumps([self._kind.codec, fingerprint, size, steady, same_numbers], sort_keys=True)
        # The source's ending and not the target's: if an .mp4 cannot be joined, an .mkv is made of the same parts.
        parts = fitting(target.parent, f".{target.stem}", f"{clip.path.suffix}.parts")
        self._folder = parts / _short_hash(key)
        if not resume and self._folder.exists():
            shutil.rmtree(self._folder)
        with clip.open() as source:
            main, chapters = clip.stream(source), bool(source.chapters())
            self._copied = {
                stream.index for stream in source.streams if stream is not main and self._is_copied(stream, chapters)
            }
        self._parts = [*takewhile(_is_whole, map(self._part, count()))]
        self.done = len(self._parts) * PART
        self.discarded = resume and not self._parts and any(self._folder.parent.glob("*/*.nut"))

    def write(self, enlarge: Enlarge, progress: Callable[[int], object]) -> int:
        """Enlarge the frames that are left, and write the file.

        Args:
            enlarge: makes the enlarged frames of frames, which `Steadier` has gone over before; called for each part.
            progress: called with 1 after each frame that was enlarged.

        Returns:
            The number of frames.

        Raises:
            ImageError: the encoder or the container refuses it. Finished parts are kept.
            OSError: a file cannot be written, for example because the disk is full. Finished parts are kept.
        """
        number, end = 0, 0

        def left() -> Iterator[tuple[Image.Image, int]]:
            """The frames after the finished parts, with their times."""
            nonlocal number, end
            steadier, done = Steadier() if self._steady else None, self.done
            for number, frame in enumerate(self._clip.frames(), 1):
                end = min(frame.end, max(self._clip.end or frame.end, frame.start + 1))
                if number <= done - (MEMORY if steadier else 0):
                    continue
                image = self._clip.image(frame.raw)
                if steadier:
                    image = steadier(image)
                if number > done:
                    yield image, frame.start

        frames = left()
        with new_folder(self._folder):
            while (first := next(frames, None)) is not None:
                part = self._part(len(self._parts))
                with _translate_errors(part, self._target):
                    self._encode(part, chain([first], islice(frames, PART - 1)), enlarge, progress)
                self._parts.append(part)
                self.done = number - number % PART
            with _translate_errors(self._target, self._target):
                self._join(end)
            shutil.rmtree(self._folder.parent)
        return number

    def _part(self, number: int) -> Path:
        return self._folder / f"{number:06d}.nut"

    def _encode(
        self,
        part: Path,
        frames: Iterable[tuple[Image.Image, int]],
        enlarge: Enlarge,
        progress: Callable[[int], object],
    ) -> None:
        """Write one part. NUT holds times in any unit."""
        starts: deque[int] = deque()

        def images() -> Iterator[Image.Image]:
            for image, start in frames:
                starts.append(start)
                yield image

        reformatter, colours = VideoReformatter(), self._clip.colours
        name, options = self._kind.codec
        with _written(part, "nut", {}) as container:
            stream = cast(VideoStream, container.add_stream(name, rate=self._clip.rate, options=options))
            stream.pix_fmt, stream.codec_context.time_base = "yuv420p", self._clip.time_base
            self._describe(stream)
            for number, image in enumerate(enlarge(images())):
                pixels = even(np.asarray(image.convert("RGB")))
                picture = reformatter.reformat(
                    VideoFrame.from_ndarray(pixels, format="rgb24"),
                    format="yuv420p",
                    dst_colorspace=swscale_matrix(colours.matrix),
                    dst_color_range=colours.range,
                    interpolation=PRECISE,
                )
                if not number:
                    stream.height, stream.width = pixels.shape[:2]
                picture.pts, picture.time_base = starts.popleft(), self._clip.time_base
                container.mux(stream.encode(picture))
                progress(1)
            container.mux(stream.encode())

    def _describe(self, stream: VideoStream) -> None:
        """Colours, times and the shape of a pixel."""
        clip, context = self._clip, stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = clip.colours
        context.sample_aspect_ratio, context.framerate = clip.aspect, clip.rate
        stream.time_base = clip.time_base

    def _join(self, end: int) -> None:
        """Write the result from the parts and from the streams that are copied."""
        clip = self._clip
        with (
            clip.open() as source,
            _written(self._target, self._muxer, self._kind.options, self._folder.parent) as result,
            av.open(str(self._parts[0].absolute())) as first,
        ):
            main, chapters = clip.stream(source), source.chapters()
            stream = result.add_stream_from_template(first.streams.video[0], opaque=True)
            self._describe(stream)
            stream.metadata.update({key: main.metadata[key] for key in _OF_STREAM if key in main.metadata})
            copies: dict[int, Stream] = {}
            for other in source.streams:
                if other.index in self._copied:
                    copies[other.index] = copy = result.add_stream_from_template(other, opaque=True)
                    copy.metadata.update(other.metadata)
                    copy.disposition = other.disposition
                    if other.type == "audio":
                        _name_channels(copy)
            result.metadata.update({key: value for key, value in source.metadata.items() if key not in _OF_FILE})
            if chapters:
                result.set_chapters(chapters)
            for packet in merge(self._packets(stream, end), self._copied_packets(source, copies), key=_moment):
                result.mux(packet)

    def _is_copied(self, stream: Stream, chapters: bool) -> bool:
        """Whether a stream is copied. If it is not, a note says so."""
        if stream.type == "video" and not is_cover(stream):
            self._clip.notes.append("only the first of its video streams is enlarged, and the others are skipped")
        elif not _holds(self._muxer, stream) or (is_cover(stream) and self._muxer == "mov"):
            name = getattr(stream, "name", None) or "unknown"
            if name == "bin_data" and chapters:  # the titles of the chapters, which are rewritten
                return False
            what = "cover" if is_cover(stream) else f"{stream.type} stream {stream.index} ({name})"
            self._clip.notes.append(f"its {what} is skipped, because {self._target.suffix} cannot hold it")
        else:
            return True
        return False

    def _packets(self, stream: Stream, end: int) -> Iterator[Packet[Stream]]:
        """The packets of all parts. Each lasts until the next one, and the last until `end`."""
        held: Packet[Stream] | None = None
        for part in self._parts:
            with av.open(str(part.absolute())) as container:
                for packet in container.demux(container.streams.video[0]):
                    if packet.pts is None:  # after the last one
                        continue
                    packet.stream, packet.dts = stream, packet.pts
                    if held is not None:
                        held.duration = packet.pts - _pts(held)
                        yield held
                    held = packet
        if held is not None:
            held.duration = max(round(end * self._clip.time_base / held.time_base) - _pts(held), 0)
            yield held

    def _copied_packets(self, source: InputContainer, copies: dict[int, Stream]) -> Iterator[Packet[Stream]]:
        """The packets of the copied streams; the times of sound never go back."""
        last: dict[int, int] = {}
        if not copies:
            return
        with suppress(FFmpegError):  # of a damaged file; `Clip.frames` notes it
            for packet in self._clip.packets(source):
                index = packet.stream.index
                if index not in copies or not packet.size:
                    continue
                dts = packet.dts if packet.dts is not None else packet.pts
                if dts is None:  # of a cover
                    dts = packet.pts = last.get(index, 0)
                late = max(last.get(index, dts - 1) + 1 - dts, 0) if packet.stream.type == "audio" else 0
                if packet.pts is not None:
                    packet.pts += late
                packet.dts = last[index] = dts + late
                packet.stream = copies[index]
                yield packet


def _name_channels(stream: Stream) -> None:
    """Say which channels a sound has, where its file only counts them, because MP4 does not hold PCM otherwise."""
    context = cast(AudioCodecContext, stream.codec_context)
    if (layout := context.layout).name == f"{layout.nb_channels} channels" and layout.nb_channels in _LAYOUTS:
        context.layout = _LAYOUTS[layout.nb_channels]


@contextmanager
def _written(path: Path, muxer: str, options: dict[str, str], folder: Path | None = None) -> Iterator[OutputContainer]:
    """A container to write. It is on the disk before it has its name, so that a power cut leaves no part of it.

    Until then it is in `folder`, by default that of `path`.
    """
    with atomic_write(path, folder) as unfinished:
        with av.open(str(unfinished.absolute()), "w", format=muxer, options=options) as container:
            yield container
        sync(unfinished)
    sync(path.parent)


def _is_whole(part: Path) -> bool:
    """Whether a part can be read and is full. The last part of a clip may not be full; it is made again."""
    with suppress(FFmpegError), av.open(str(part.absolute())) as container:
        return len([packet for packet in container.demux(video=0) if packet.size]) == PART
    return False


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _pts(packet: Packet[Stream]) -> int:
    assert packet.pts is not None
    return packet.pts


def _moment(packet: Packet[Stream]) -> Fraction:
    return (packet.dts or 0) * packet.time_base


def _holds(muxer: str, stream: Stream) -> bool:
    """Whether a container holds a stream, by trial: libavformat finds out only when it writes the header."""
    held = False
    with suppress(FFmpegError, ValueError), av.open(io.BytesIO(), "w", format=muxer) as trial:
        copy = trial.add_stream_from_template(stream, opaque=True)
        if copy.type == "audio":
            _name_channels(copy)
        trial.start_encoding()
        held = True
    return held


def _check(clip: Clip, target: Path, size: tuple[int, int], kind: _Kind) -> None:
    if max(size) > kind.longest_side:
        raise ImageError(
            f"{clip.path}: its frames would have {size[0]} x {size[1]} pixels, but {target.suffix}"
            f" holds at most {kind.longest_side:,} a side",
            Remedy("Use a smaller scale, such as 2", "Use a smaller --scale, such as --scale 2"),
        )
    if kind is _KINDS["webm"] and clip.aspect != 1:
        raise ImageError(
            f"{clip.path}: its pixels are not square, but .webm needs square pixels", "Pass a .mkv with -o"
        )


@contextmanager
def _translate_errors(path: Path, target: Path) -> Iterator[None]:
    """Turn FFmpeg's errors into OSError, with its number and the path, or into ImageError."""
    try:
        yield
    except FFmpegError as error:
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(path)) from error
        other = target.with_suffix(".mkv")
        remedy = Remedy("Convert its sound to AAC first, or write a .mkv", f"Run it again with -o {other}")
        raise ImageError(f"{path} cannot be written ({error.strerror})", remedy) from error
