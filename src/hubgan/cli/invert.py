"""Find your own picture among those that a generator can make, to walk and edit it.

  hubgan invert me/cifar-r3gan cat.jpg                makes the folder cat-inverted
  hubgan invert me/cifar-r3gan cat.jpg --label cat -o mine
  hubgan invert me/cifar-r3gan cat.jpg --tune 100     also tunes a copy of the model

The folder gets latents.safetensors, and comparison.png with the picture at the
left and the model's closest image at the right. `hubgan edit` and `hubgan walk`
take the latents. The same --seed finds the same latents.

A model can only show what is like its training images. So the image may differ
a lot, above all if the picture shows something else. --tune then changes the
weights of a copy until its image is the picture. The folder gets it as model.
"""

import argparse
import json
from pathlib import Path

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
from hubgan.errors import ConfigError

_SIDE = 128  # pixels that are large enough to see


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_model(parser, "the generator")
    parser.add_argument("picture", metavar="PICTURE", help="the picture; its centred square is used")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FOLDER",
        type=Path,
        help="the folder to write into (default: PICTURE-inverted, in the current folder)",
    )
    parser.add_argument("--label", metavar="NAME", help="its class by name or number (default: one is found)")
    parser.add_argument(
        "--seed", metavar="N", type=whole(0, 2**64 - 1), default=0, help="of the latents that are tried (default: 0)"
    )
    parser.add_argument(
        "--starts",
        metavar="N",
        type=whole(1, 1024),
        default=8,
        help="how many latents are optimised; more take longer, and may find a better image (default: 8)",
    )
    parser.add_argument(
        "--steps",
        metavar="N",
        type=whole(1, 100_000),
        default=150,
        help="steps of optimising the latents (default: 150)",
    )
    parser.add_argument(
        "--tune",
        metavar="N",
        type=whole(0, 100_000),
        default=0,
        help="also tune a copy of the model to the picture, by N steps; 100 are usual (default: 0)",
    )
    add_device(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def run(args: argparse.Namespace) -> None:
    """Write the folder, and print how near the image is."""
    folder: Path = args.output or Path(f"{Path(args.picture).stem}-inverted")
    latents_file, comparison, model = folder / "latents.safetensors", folder / "comparison.png", folder / "model"
    for file in (latents_file, comparison, *([model] if args.tune else [])):
        if file.exists() and not args.overwrite:
            raise ConfigError(f"{file} already exists", "Pass another folder with -o, or replace it with --overwrite")
    if model.exists() and not args.tune:
        raise ConfigError(
            f"{model} is tuned to an earlier picture", f"Pass another folder with -o, or delete it: rm -r {model}"
        )

    from hubgan.media.images import open_image

    open_image(args.picture)  # before what takes a while
    find_model(args)
    announce_torch()
    from PIL import Image
    from tqdm import tqdm

    from hubgan import Generator
    from hubgan.media.grid import ImageGrid
    from hubgan.media.writing import save_picture
    from hubgan.models.latents import save_latents

    announce(f"Loading {args.model} ...")
    generator = Generator.from_pretrained(
        args.model, revision=args.revision, subfolder=args.subfolder, device=find_device(args.device)
    )
    total = args.steps + args.tune
    with tqdm(total=total, unit="step", disable=None) as bar, enough_memory("Use fewer --starts"):

        def show(share: float) -> None:
            bar.update(round(share * total) - bar.n)

        found = generator.invert(
            args.picture,
            label=args.label,
            seed=args.seed,
            starts=args.starts,
            steps=args.steps,
            tuning_steps=args.tune,
            progress=show,
        )
    side = generator.image_size * max(1, _SIDE // generator.image_size)
    grid = ImageGrid(2, (side, side), 2)
    for image in (found.picture, found.image):
        grid.add(image.resize((side, side), Image.Resampling.NEAREST))
    save_picture(grid.image, comparison)
    if args.tune:
        found.generator.save_pretrained(model)
    save_latents(latents_file, found.latents, found.labels)
    label = None if found.labels is None else generator.labels[int(found.labels)]
    used = str(model) if args.tune else args.model
    if args.json:
        about = {"latents": str(latents_file), "comparison": str(comparison), "model": used, "label": label}
        print(json.dumps(about | {"psnr": found.psnr, "distance": found.distance}, indent=2))
        return
    print(f"{latents_file}, {comparison}{f', {model}' if args.tune else ''}")
    print(f"PSNR {found.psnr:.1f} dB, perceptual distance {found.distance:.2f}{f', label {label}' if label else ''}")
    print(f"Edit it: hubgan edit {used} --latents {latents_file}")
