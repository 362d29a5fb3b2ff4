"""Videos enlarged by `hubgan upscale`: frame by frame, with one strength, continued after an interruption."""

import argparse
import hashlib
import json
import sys
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from hubgan.cli.arguments import enough_memory
from hubgan.media.video import check_clip

if TYPE_CHECKING:
    from hubgan import Upscaler
    from hubgan.media.clip import Clip
    from hubgan.media.clip_writing import ClipWriter

_SEEN = 5  # frames by which the strength is chosen


def enlarge_clip(upscaler: "Upscaler", source: Path, target: Path, args: argparse.Namespace) -> tuple[int, int]:
    """Enlarge a video, and print to stderr what a person should know about the result.

    Returns:
        Width and height of the result.

    Raises:
        ImageError: the video cannot be read, or its result cannot be written.
        OSError: a file cannot be written. What is finished is kept, and the message says so.
    """
    check_clip(source)

    from tqdm import tqdm

    from hubgan.media.clip import Clip
    from hubgan.media.clip_writing import ClipWriter

    clip = Clip(source)
    scale = upscaler.checked_scale(args.scale)
    size = (max(round(clip.size[0] * scale), 1), max(round(clip.size[1] * scale), 1))
    strength = _strength(upscaler, clip, args.strength)
    settings = {"model": _fingerprint(upscaler), "scale": scale, "strength": strength, "tile": args.tile}
    writer = ClipWriter(clip, target, size, settings, resume=args.resume)
    enlarge = partial(
        upscaler.upscale, scale=args.scale, strength="auto" if strength is None else strength, tile=args.tile
    )
    if writer.discarded:
        _say(f"{target}: begins again, because its unfinished parts were made of another file or with other settings")
    if writer.done:
        _say(f"{target}: continues after {_progress(writer, clip)}")
    with (
        tqdm(
            total=clip.frame_count, initial=writer.done, desc=source.name, unit="frame", leave=False, disable=None
        ) as bar,
        enough_memory("Use a smaller --tile"),
    ):
        try:
            writer.write(enlarge, bar.update)
        except KeyboardInterrupt:
            bar.close()
            _say(f"{target}: interrupted. {_continues(writer, clip)}")
            raise
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror}. {_continues(writer, clip)}", str(target)) from error
    for note in clip.notes:
        _say(f"{source}: {note}")
    return (size[0] + size[0] % 2, size[1] + size[1] % 2)


def _strength(upscaler: "Upscaler", clip: "Clip", wanted: float | None) -> float | None:
    """One strength for all frames, because another one for each would flicker; None for a model that has none."""
    if wanted is not None or not upscaler.has_strength:
        return wanted
    return median(map(upscaler.estimate_strength, clip.samples(_SEEN)))


def _fingerprint(upscaler: "Upscaler") -> str:
    """A checksum of the model's configuration and weights."""
    import torch

    digest = hashlib.sha256(json.dumps(upscaler.config, sort_keys=True, default=str).encode())
    for tensor in upscaler.state_dict().values():
        digest.update(tensor.cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _progress(writer: "ClipWriter", clip: "Clip") -> str:
    if not clip.frame_count:
        return f"{writer.done:,} frames"
    return f"{min(writer.done, clip.frame_count):,} of {clip.frame_count:,} frames"


def _continues(writer: "ClipWriter", clip: "Clip") -> str:
    return f"The same command continues after {_progress(writer, clip)}"


def _say(text: str) -> None:
    from tqdm import tqdm

    tqdm.write(text, file=sys.stderr)
