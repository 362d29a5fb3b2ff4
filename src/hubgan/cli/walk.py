"""Make an animation of a walk through a generator's latents: GIF, WebP or MP4.

  hubgan walk me/cifar-dcgan                          makes cifar-dcgan-walk.gif
  hubgan walk me/cifar-dcgan --seeds 3 14 15 -o walk.mp4
  hubgan walk me/cifar-sngan --seeds 3 14 --labels horse --seconds 8
  hubgan walk me/cifar-r3gan --latents cat-inverted/latents.safetensors --seeds 3

The walk leads from the first image of each seed to that of the next seed. Unless
--no-loop is given, it also leads back from the last seed to the first one. The
same seeds make the same walk. A model with classes shows one label. If --labels
has several, each seed gets one in turn, and the label changes half way between
two seeds. With --blend-labels it changes steadily. Latents that `hubgan invert`
has found come before the seeds, with their own labels.

GIF has 256 colours a picture. WebP is lossless. MP4 is the smallest and plays
everywhere, but needs the package av: pip install 'hubgan[video]'.
"""

import argparse
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

from hubgan.cli.arguments import (
    add_device,
    add_labels,
    add_model,
    add_truncation,
    announce,
    announce_torch,
    enough_memory,
    find_device,
    find_model,
    read_latents,
    whole,
)
from hubgan.errors import ConfigError
from hubgan.runtime.counting import counted

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from hubgan import Generator
    from hubgan.models.labels import Labels

_SEEDS = 4  # drawn at random if none are given
_SECONDS = 2.0  # from a seed to the next
_SIDE = 128  # pixels that are large enough to see
_MOST = 100_000  # frames


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_model(parser, "the generator")
    parser.add_argument(
        "--seeds",
        metavar="SEED",
        nargs="+",
        type=whole(0, 2**64 - 1),
        help=f"two or more whole numbers (default: {_SEEDS} random ones, which are printed)",
    )
    parser.add_argument(
        "--latents",
        metavar="FILE",
        nargs="+",
        type=Path,
        default=[],
        help="latents that `hubgan invert` has found, in place of seeds or before them",
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--frames", metavar="N", type=whole(1, _MOST), help="number of frames")
    length.add_argument(
        "--seconds",
        metavar="S",
        type=float,
        help=f"length of the walk in seconds (default: {_SECONDS:g} from a seed to the next)",
    )
    parser.add_argument(
        "--fps", metavar="N", type=whole(1, 240), default=30, help="frames a second, at most 50 in a GIF (default: 30)"
    )
    add_labels(
        parser,
        "for a model with classes: one label, or several for the seeds in turn. By default the first seed chooses one",
    )
    parser.add_argument(
        "--blend-labels", action="store_true", help="change several labels steadily, not half way between two seeds"
    )
    parser.add_argument(
        "--loop",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="end where the walk began, and repeat without end (default: yes)",
    )
    add_truncation(parser)
    parser.add_argument(
        "--scale",
        metavar="N",
        type=whole(1, 64),
        help=f"enlarge each pixel to N by N (default: until a side has at least {_SIDE})",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=Path,
        help="the file to write: .gif, .webp or .mp4 (default: MODEL-walk.gif, in the current folder)",
    )
    add_device(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")


def run(args: argparse.Namespace) -> None:
    """Write the moving picture, and print where it is."""
    seeds: list[int] = args.seeds or ([] if args.latents else [secrets.randbelow(2**32) for _ in range(_SEEDS)])
    if len(seeds) < 2 and not args.latents:
        raise ConfigError("a walk needs at least two seeds", "Pass two --seeds or more")
    file: Path = args.output or Path(f"{Path(args.model).resolve().name}-walk.gif")
    if not args.overwrite and file.exists():
        raise ConfigError(f"{file} already exists", "Pass another file with -o, or replace it with --overwrite")

    announce_torch()
    from hubgan.media.video import check_video

    check_video(file, args.fps)
    if not args.latents:
        _frames(args, len(seeds))

    find_model(args)
    from tqdm import tqdm

    from hubgan import Generator
    from hubgan.media.video import save_video

    announce(f"Loading {args.model} ...")
    generator = Generator.from_pretrained(
        args.model, revision=args.revision, subfolder=args.subfolder, device=find_device(args.device)
    )
    points, wanted = _points(args, seeds, generator)
    count = _frames(args, len(points))
    latents, labels = generator.walk(
        points,
        count,
        labels=wanted,
        truncation=None if args.latents else args.truncation,
        loop=args.loop,
        blend_labels=args.blend_labels,
    )
    scale = args.scale or max(1, _SIDE // generator.image_size)
    with enough_memory("Use fewer --frames, a smaller --scale, or .mp4, which keeps one frame at a time in memory"):
        images = tqdm(_images(generator, latents, labels), total=count, unit="frame", disable=None)
        save_video(images, file, fps=args.fps, scale=scale, loop=args.loop)
    side = generator.image_size * scale
    print(f"{file}: {side} x {side} pixels, {counted(count, 'frame')}, {count / args.fps:.3g} seconds")
    if labels is not None:
        strongest = labels if labels.ndim == 1 else labels.argmax(1)
        names = dict.fromkeys(generator.labels[number] for number in strongest.tolist())
        print(f"label: {', '.join(names)}")
    if args.seeds is None and seeds:
        print(f"The seeds are random. Pass --seeds {' '.join(map(str, seeds))} to make the same walk again.")


def _points(
    args: argparse.Namespace, seeds: list[int], generator: "Generator"
) -> "tuple[list[int] | Tensor, Labels | None]":
    """What the walk leads through, seeds or latents, and their labels. A seed has those of the first latents."""
    if not args.latents:
        return seeds, args.labels
    import torch

    from hubgan.models.latents import truncate

    latents, labels = read_latents(args.latents, generator)
    if len(latents) + len(seeds) < 2:
        raise ConfigError("a walk needs at least two points", "Pass a second file with --latents, or one of --seeds")
    known = None if labels is None else [*labels.tolist(), *[int(labels[0])] * len(seeds)]
    drawn = [generator.latents(1, seed=seed) for seed in seeds]
    if args.truncation is not None:  # not of latents that were found, whose image would change
        drawn = [truncate(each, args.truncation) for each in drawn]
    return torch.cat([latents, *drawn]), args.labels or known


def _frames(args: argparse.Namespace, seeds: int) -> int:
    frames: int | None = args.frames
    if frames:
        return frames
    seconds = args.seconds if args.seconds is not None else _SECONDS * (seeds if args.loop else seeds - 1)
    wanted: float = seconds * args.fps
    if not 0.5 <= wanted <= _MOST:  # nor is NaN
        raise ConfigError(
            f"--seconds {seconds:g} at {args.fps} frames a second must make 1 to {_MOST:,} frames",
            "Pass another --seconds or --fps, or the number of frames with --frames",
        )
    return max(1, round(wanted))


def _images(generator: "Generator", latents: "Tensor", labels: "Tensor | None") -> "Iterator[Image.Image]":
    """The images one after another: all of them together may not fit into memory."""
    for images in generator.parts(latents, labels):
        yield from cast("list[Image.Image]", images)
