"""Videos enlarged by `hubgan upscale`: frame by frame, with one strength, continued after an interruption."""

import argparse
import hashlib
import json
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import Timeout

from hubgan.cli.arguments import enough_memory, say
from hubgan.media.video import check_clip
from hubgan.runtime.counting import counted
from hubgan.runtime.files import fitting
from hubgan.runtime.locks import locked

if TYPE_CHECKING:
    from hubgan import Upscaler
    from hubgan.media.clip import Clip
    from hubgan.media.clip_writing import ClipWriter


def enlarge_clip(upscaler: "Upscaler", source: Path, target: Path, args: argparse.Namespace) -> tuple[int, int] | None:
    """Enlarge a video, and print to stderr what a person should know about the result.

    If another process is writing the same result, its end is awaited.

    Returns:
        Width and height of the result; None if another process has made it meanwhile.

    Raises:
        ImageError: the video cannot be read, or its result cannot be written.
        OSError: a file cannot be written. What is finished is kept, and the message says so.
    """
    check_clip(source)
    lock = fitting(target.parent, f".{target.stem}", f"{target.suffix}.lock")
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(lock, 0))
        except Timeout:
            say(f"{target}: another process is writing it; waiting for that process to end")
            stack.enter_context(locked(lock))
            if target.exists() and not args.overwrite:
                return None
        return _enlarge(upscaler, source, target, args)


def _enlarge(upscaler: "Upscaler", source: Path, target: Path, args: argparse.Namespace) -> tuple[int, int]:
    from tqdm import tqdm

    from hubgan.media.clip import Clip
    from hubgan.media.clip_writing import ClipWriter

    clip = Clip(source)
    scale = upscaler.checked_scale(args.scale)
    size, strength = clip.enlarged_size(scale), args.strength
    if strength is None:
        strength = upscaler.estimate_clip_strength(clip.samples()) if upscaler.has_strength else "auto"
    settings = {"model": _fingerprint(upscaler), "scale": scale, "strength": strength}
    writer = ClipWriter(clip, target, size, settings, resume=args.resume, steady=args.steady)
    enlarge = partial(upscaler.upscale, scale=args.scale, strength=strength, tile=args.tile)
    if writer.discarded:
        say(f"{target}: starting again, because its unfinished parts belong to another file or other settings")
    if writer.done:
        say(f"{target}: continuing after {_progress(writer, clip)}")
    said = len(clip.notes)
    for note in clip.notes:  # what is lost: before hours of work
        say(f"{source}: {note}")
    with (
        tqdm(
            total=clip.frame_count, initial=writer.done, desc=source.name, unit="frame", leave=False, disable=None
        ) as bar,
        enough_memory("Use a smaller --tile"),
    ):
        try:
            writer.write(partial(map, enlarge), bar.update)
        except KeyboardInterrupt:
            bar.close()
            say(f"{target}: interrupted. {_continues(writer, clip)}")
            raise
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror}. {_continues(writer, clip)}", str(target)) from error
    for note in clip.notes[said:]:
        say(f"{source}: {note}")
    return writer.size


def _fingerprint(upscaler: "Upscaler") -> str:
    """A checksum of the model's configuration and weights."""
    import torch

    digest = hashlib.sha256(json.dumps(upscaler.config, sort_keys=True, default=str).encode())
    for tensor in upscaler.state_dict().values():
        digest.update(tensor.cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _progress(writer: "ClipWriter", clip: "Clip") -> str:
    if not clip.frame_count:
        return counted(writer.done, "frame")
    return f"{min(writer.done, clip.frame_count):,} of {counted(clip.frame_count, 'frame')}"


def _continues(writer: "ClipWriter", clip: "Clip") -> str:
    return f"Run the same command again to continue after {_progress(writer, clip)}"
