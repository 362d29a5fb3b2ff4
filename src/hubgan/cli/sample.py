"""Make images with a generator, as PNG files.

  hubgan sample me/cifar-dcgan
  hubgan sample runs/cifar-dcgan -n 64 --seed 7 --grid -o pictures
  hubgan sample me/cifar-r3gan -n 10 --labels horse ship --truncation 1

The file names hold the seed and a number: seed7-0000.png, seed7-0001.png, ...
The same seed makes the same images. A larger -n adds images to the same first
ones.
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
    whole,
)
from hubgan.errors import ConfigError, ImageError
from hubgan.runtime.counting import counted

if TYPE_CHECKING:
    from PIL import Image

    from hubgan import Generator


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_model(parser, "the generator")
    parser.add_argument(
        "-n", "--number", metavar="N", type=whole(1, 1_000_000), default=16, help="how many images (default: 16)"
    )
    add_labels(parser, "classes by name or number, for the images in turn (default: random)")
    add_truncation(parser)
    parser.add_argument(
        "--seed", type=whole(0, 2**64 - 1), help="the random seed, a whole number (default: random, and printed)"
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FOLDER",
        type=Path,
        help="the folder to write into (default: MODEL-samples, in the current folder)",
    )
    parser.add_argument("--grid", action="store_true", help="also write one grid of all images")
    parser.add_argument(
        "--batch-size", metavar="N", type=whole(1), default=64, help="images made at once (default: 64)"
    )
    add_device(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")


def run(args: argparse.Namespace) -> None:
    """Write the images, and print where they are."""
    seed = secrets.randbelow(2**32) if args.seed is None else args.seed
    folder: Path = args.output or Path(f"{Path(args.model).resolve().name}-samples")
    grid_file = folder / f"seed{seed}-grid.png"
    if not args.overwrite and (file := _in_the_way(folder, seed, args.number, args.grid)):
        raise ConfigError(
            f"{file} already exists",
            "Use another --seed, pass another folder with -o, or replace the file with --overwrite",
        )

    find_model(args)
    announce_torch()
    from tqdm import tqdm

    from hubgan import Generator
    from hubgan.media.grid import ImageGrid
    from hubgan.media.writing import save_picture

    announce(f"Loading {args.model} ...")
    generator = Generator.from_pretrained(
        args.model, revision=args.revision, subfolder=args.subfolder, device=find_device(args.device)
    )
    try:
        grid = ImageGrid(args.number, (generator.image_size,) * 2) if args.grid else None
    except ImageError as error:
        raise error.with_context("--grid: ") from error
    with enough_memory("Use a smaller --batch-size"):
        images = _images(generator, args.number, seed, args.batch_size, args.labels, args.truncation)
        for index, image in enumerate(tqdm(images, total=args.number, unit="image", disable=None)):
            save_picture(image, folder / _name(seed, index))
            if grid:
                grid.add(image)
    last = f" to {_name(seed, args.number - 1)}" if args.number > 1 else ""
    print(f"{counted(args.number, 'image')}: {folder / _name(seed, 0)}{last}")
    if grid:
        save_picture(grid.image, grid_file)
        print(f"in one grid: {grid_file}")
    if args.seed is None:
        print(f"The seed is random. Pass --seed {seed} to make the same images again.")


def _name(seed: int, index: int) -> str:
    return f"seed{seed}-{index:04d}.png"


def _in_the_way(folder: Path, seed: int, number: int, grid: bool) -> Path | None:
    """An existing file that would be replaced; None if there is none."""
    for file in sorted(folder.glob(f"seed{seed}-*.png")):
        index = file.stem.partition("-")[2]
        if (grid and index == "grid") or (index.isdecimal() and int(index) < number):
            return file
    return None


def _images(
    generator: "Generator",
    number: int,
    seed: int,
    batch_size: int,
    labels: list[str] | None,
    truncation: float | None,
) -> Iterator["Image.Image"]:
    """The images one after another: all at once may be more than fits into memory."""
    from hubgan.models.latents import truncate

    numbers, latents = generator.label_ids(number, labels, seed=seed), generator.latents(number, seed=seed)
    latents = latents if truncation is None else truncate(latents, truncation)
    for images in generator.parts(latents, numbers, batch_size=batch_size):
        yield from cast("list[Image.Image]", images)
