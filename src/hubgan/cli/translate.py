"""Turn sketches or photos into other pictures, with a translator.

  hubgan translate me/sketch-to-emoji cat.png        makes cat-translated.png
  hubgan translate me/sketch-to-emoji cat.png --seeds 4   makes four of them
  hubgan translate me/sketch-to-emoji drawings -o coloured
  hubgan translate me/sketch-to-emoji photo.jpg --prepare  draws it first
  hubgan translate me/photo-colorize old -o colours

The results of a folder keep the names of its pictures. Results are PNG.
Pictures that cannot be read are reported at the end, when the others are done.

A model that colours pictures keeps their size and brightness. A model that
fills holes fills the transparent parts. All other models scale a picture to the
size they were trained at, or to --size. The orientation is applied. The camera's
data (EXIF), resolution, XMP and IPTC are kept if size and content stay. Filled
pictures keep their profile, and all other results are sRGB.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from hubgan.cli.arguments import (
    add_device,
    add_model,
    announce,
    announce_torch,
    enough_memory,
    find_device,
    find_model,
    whole,
)
from hubgan.errors import ConfigError, ImageError
from hubgan.runtime.counting import counted

if TYPE_CHECKING:
    from hubgan.cli.inputs import UpscaleJob


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_model(parser, "the translator")
    parser.add_argument("inputs", metavar="INPUT", nargs="+", help="a picture, or a folder of them")
    parser.add_argument("-o", "--output", metavar="PLACE", type=Path, help="a folder, or a file for a single picture")
    parser.add_argument("--recursive", action="store_true", help="look into subfolders too")
    parser.add_argument(
        "--seed", metavar="N", type=whole(0, 2**64 - 1), help="the seed of another result than the most typical one"
    )
    parser.add_argument(
        "--seeds",
        metavar="N",
        type=whole(1, 10_000),
        help="make N results of each picture, with the seeds from --seed (or 0) on",
    )
    parser.add_argument(
        "--size", metavar="N", type=whole(16, 2048), help="the longer side in pixels at which the model works"
    )
    parser.add_argument(
        "--prepare", action="store_true", help="first turn a photo into the model's kind of input, such as a sketch"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace existing results")
    add_device(parser)


def run(args: argparse.Namespace) -> None:
    """Translate, and print where the results are."""
    find_model(args)
    announce_torch()
    from tqdm import tqdm

    from hubgan import Translator
    from hubgan.cli.inputs import find, how_to_tell_apart, is_file_name, plan
    from hubgan.media.writing import save_picture

    if args.output and args.output.suffix.lower() not in ("", ".png") and is_file_name(args.output):
        raise ConfigError(
            f"-o {args.output} must end in .png, because results are PNG", "Name a .png file, or a folder"
        )
    pictures = find([*map(Path, args.inputs)], recursive=args.recursive, leave_out=args.output)
    announce(f"Loading {args.model} ...")
    translator = Translator.from_pretrained(
        args.model, revision=args.revision, subfolder=args.subfolder, device=find_device(args.device)
    )
    jobs, clashes = plan(pictures, args.output, ".png", "-translated")
    work = [(job, seed, target) for job in jobs for seed, target in _targets(job, args.seed, args.seeds)]
    existing = [target for _, _, target in work if target.exists()]
    if existing and not args.overwrite:
        raise ConfigError(f"{existing[0]} already exists", "Pass another folder with -o, or use --overwrite")
    problems: dict[str, None] = {}
    done = []
    with enough_memory("Use a smaller --size"):
        for job, seed, target in tqdm(work, unit="picture", disable=None):
            try:
                picture = translator.translate(str(job.source), seed=seed, size=args.size, prepare=args.prepare)
                save_picture(picture, target)
            except ImageError as error:
                words = error.for_command_line()
                problems[words if str(job.source) in words else f"{job.source}: {words}"] = None
                continue
            done.append(target)
    if done:
        more = f" and {len(done) - 1:,} more" if len(done) > 1 else ""
        print(f"{done[0]}{more}")
    if problems or clashes:
        failed = len(problems) + sum(len(clash.sources) for clash in clashes)
        raise ImageError(
            f"{failed:,} of {counted(len(pictures), 'picture')} failed:\n  "
            + "\n  ".join([*problems, *map(str, clashes)]),
            how_to_tell_apart(clashes) if clashes else "",
        )


def _targets(job: "UpscaleJob", seed: int | None, seeds: int | None) -> list[tuple[int | None, Path]]:
    """The seeds of a picture's results, and their files."""
    if seeds is None:
        return [(seed, job.target)]
    numbers = range(seed or 0, (seed or 0) + seeds)
    return [(number, job.target.with_stem(f"{job.target.stem}-seed{number}")) for number in numbers]
