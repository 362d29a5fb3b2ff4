"""Change an image of a generator along directions that were found without labels.

  hubgan edit me/cifar-r3gan                          makes cifar-r3gan-edit.png
  hubgan edit me/cifar-r3gan --seed 7 --directions 0 3 --amounts -4 -2 0 2 4
  hubgan edit cat-inverted/model --latents cat-inverted/latents.safetensors
  hubgan edit runs/faces --name 0=brightness 3=smile  names directions

The result is one picture: a row for each direction, and a column for each
amount. Direction 0 changes images the most. What a direction means is for you to
see: it often changes several things at once. The names that you give with --name
are kept with the model. The demo shows them at its sliders.

The directions are those of SeFa, the principal ones of the network's first layer.
With --method ganspace they are those that change the images the most.
"""

import argparse
import secrets
from pathlib import Path
from typing import cast

from hubgan.cli.arguments import (
    add_device,
    add_labels,
    add_model,
    announce,
    announce_torch,
    card_name,
    enough_memory,
    find_device,
    find_model,
    read_latents,
    refuse_unused,
    whole,
)
from hubgan.errors import ConfigError, ImageError
from hubgan.runtime.counting import counted

_AMOUNTS = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
_DIRECTIONS = 5
_SIDE = 128  # pixels that are large enough to see


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_model(parser, "the generator")
    image = parser.add_mutually_exclusive_group()
    image.add_argument(
        "--seed", metavar="N", type=whole(0, 2**64 - 1), help="the image's seed (default: random, and printed)"
    )
    image.add_argument("--latents", metavar="FILE", type=Path, help="the latents that `hubgan invert` has found")
    add_labels(parser, "the image's class by name or number (default: that of the latents, or random)")
    parser.add_argument(
        "--directions",
        metavar="D",
        nargs="+",
        help=f"directions by number or name (default: the first {_DIRECTIONS})",
    )
    parser.add_argument("--direction", dest="directions", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument(
        "--name",
        metavar="D=NAME",
        dest="names",
        type=_named,
        nargs="+",
        help="name directions of a model in a folder, which is saved; D= takes a name away",
    )
    parser.add_argument(
        "--amounts",
        metavar="A",
        nargs="+",
        type=float,
        default=_AMOUNTS,
        help="how far, in standard deviations of the latents (default: -3 -2 -1 0 1 2 3)",
    )
    parser.add_argument("--amount", dest="amounts", nargs="+", type=float, help=argparse.SUPPRESS)
    parser.add_argument(
        "--method",
        choices=("sefa", "ganspace"),
        help="how directions are found (default: sefa, if the network has a first layer for it)",
    )
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
        help="the file to write, .png (default: MODEL-edit.png, in the current folder)",
    )
    add_device(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")


def _named(text: str) -> tuple[int, str]:
    number, equals, name = text.partition("=")
    if not equals or not number.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a direction and its name, such as 0=brightness")
    return int(number), name.strip()


def run(args: argparse.Namespace) -> None:
    """Write the picture, or the names, and print where it is."""
    if args.names:
        drawn = ("seed", "latents", "labels", "directions", "amounts", "method", "scale", "output", "overwrite")
        refuse_unused(args, "--name", *drawn)
        _name(args)
        return
    seed = secrets.randbelow(2**32) if args.seed is None else args.seed
    file: Path = args.output or Path(f"{Path(args.model).resolve().name}-edit.png")
    if file.suffix.lower() != ".png":
        raise ConfigError(f"-o {file} must end in .png", f"Pass -o {file.with_suffix('.png')}")
    if not args.overwrite and file.exists():
        raise ConfigError(f"{file} already exists", "Pass another file with -o, or replace it with --overwrite")

    find_model(args)
    announce_torch()
    from PIL import Image

    from hubgan import Generator
    from hubgan.media.grid import ImageGrid
    from hubgan.media.writing import save_picture

    announce(f"Loading {args.model} ...")
    generator = Generator.from_pretrained(
        args.model, revision=args.revision, subfolder=args.subfolder, device=find_device(args.device)
    )
    if args.latents:
        latents, labels = read_latents([args.latents], generator)
    else:
        latents, labels = generator.latents(1, seed=seed), None
    if args.labels or labels is None:
        labels = generator.label_ids(len(latents), args.labels, seed=seed)
    side = generator.image_size * (args.scale or max(1, _SIDE // generator.image_size))
    directions = args.directions or [*map(str, range(min(_DIRECTIONS, generator.latent_dim)))]
    rows = len(latents) * len(directions)
    try:
        grid = ImageGrid(rows * len(args.amounts), (side, side), len(args.amounts), directions * len(latents))
    except ImageError as error:
        raise error.with_context(remedy="Pass fewer --directions or --amounts, or a smaller --scale") from error
    with enough_memory("Pass fewer --amounts"):
        for number, latent in enumerate(latents):
            label = None if labels is None else labels[number].expand(len(args.amounts))
            for direction in directions:
                moved = generator.edit(latent, direction, args.amounts, method=args.method)
                for image in cast("list[Image.Image]", generator.images_from(moved, label)):
                    grid.add(image.resize((side, side), Image.Resampling.NEAREST))
    save_picture(grid.image, file)
    print(f"{file}: {counted(rows, 'row')} of {counted(len(args.amounts), 'image')}")
    if labels is not None:
        print(f"label: {', '.join(dict.fromkeys(generator.labels[each] for each in labels.tolist()))}")
    if args.seed is None and not args.latents:
        print(f"The seed is random. Pass --seed {seed} to edit the same image again.")


def _name(args: argparse.Namespace) -> None:
    """Write the names of directions into the model's folder."""
    find_model(args)
    folder = Path(args.model, args.subfolder or "")
    if not folder.is_dir():
        raise ConfigError(
            f"{args.model} is not a folder, so names cannot be saved",
            f"Download it first: hf download {args.model} --local-dir FOLDER",
        )
    announce_torch()
    from hubgan import Generator

    generator = Generator.from_pretrained(folder)
    given = [number for number, _ in args.names]
    if wrong := next((number for number in given if number >= generator.latent_dim), None):
        raise ConfigError(f"there is no direction {wrong}", f"Use a number from 0 to {generator.latent_dim - 1}")
    if double := next((number for number in given if given.count(number) > 1), None):
        raise ConfigError(f"direction {double} is named twice", "Pass each direction once")
    numbers = {number: name for name, number in generator.direction_names.items()} | dict(args.names)
    names = [name for name in numbers.values() if name]
    if double := next((name for name in names if names.count(name) > 1), ""):
        raise ConfigError(f"two directions would have the name {double!r}", "Pass different names")
    generator.name_directions({name: number for number, name in sorted(numbers.items()) if name})
    generator.save_pretrained(folder, model_card_kwargs=card_name(folder, args.subfolder))
    told = ", ".join(f"{number} {name}" for name, number in generator.direction_names.items())
    print(f"{folder}: directions {told}" if told else f"{folder}: no direction has a name")
