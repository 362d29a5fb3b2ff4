"""Make a data set of a generator's images, for `datasets.load_dataset` or the Hub.

  hubgan synthesize me/cifar-dcgan -n 50000 -o fakes
  hubgan synthesize me/cifar-sngan -n 10000 -o ships --labels ship --truncation 1
  accelerate launch -m hubgan synthesize me/cifar-sngan -n 50000 -o fakes
  torchrun --nproc-per-node 4 -m hubgan synthesize me/cifar-sngan -n 50000 -o fakes

It writes Parquet files of PNG images. If the model has classes, image i has
the label i modulo the number of classes. The first images of the data set are
therefore balanced, whatever their number. Several processes make the same files
as one. After an interruption the same command continues where it stopped.

It needs datasets and accelerate: pip install 'hubgan[train]'. Use torchrun for
processes without a GPU.
"""

import argparse
from pathlib import Path

from hubgan.cli.arguments import (
    add_device,
    add_labels,
    add_model,
    add_truncation,
    announce,
    announce_torch,
    enough_memory,
    find_model,
    packages_of,
    process_device,
    refuse_unused,
    whole,
)
from hubgan.runtime.counting import counted


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_model(parser, "the generator")
    parser.add_argument(
        "-n", "--number", metavar="N", type=whole(1, 10_000_000), required=True, help="how many images"
    )
    parser.add_argument("-o", "--output", metavar="FOLDER", type=Path, required=True, help="the folder to write into")
    parser.add_argument(
        "--seed", type=whole(0, 2**64 - 1), default=0, help="the random seed, a whole number (default: 0)"
    )
    add_labels(parser, "classes, for the images in turn (default: all classes of the model)")
    add_truncation(parser)
    parser.add_argument(
        "--batch-size", metavar="N", type=whole(1), default=64, help="images made at once (default: 64)"
    )
    parser.add_argument(
        "--shard-size", metavar="N", type=whole(1), default=5000, help="images in a file (default: 5000)"
    )
    parser.add_argument(
        "--image-column", metavar="NAME", default="img", help="name of the image column (default: img)"
    )
    parser.add_argument(
        "--label-column", metavar="NAME", default="label", help="name of the label column (default: label)"
    )
    add_device(parser)
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace another data set in the folder, or one made with other settings",
    )


def run(args: argparse.Namespace) -> None:
    """Write the data set, and print where it is."""
    find_model(args)
    announce_torch()
    with packages_of("train"):
        from hubgan.export.dataset import Origin, synthesize
    from hubgan import Generator
    from hubgan.runtime.processes import join_processes

    state = join_processes(cpu=args.device == "cpu")
    device = process_device(args.device, state)
    announce(f"Loading {args.model} ...")
    generator = Generator.from_pretrained(args.model, revision=args.revision, subfolder=args.subfolder, device=device)
    if not generator.labels:
        refuse_unused(args, f"{args.model} has no classes, and", "label_column")
    name = Path(args.model).resolve().name if Path(args.model).exists() else args.model
    with enough_memory("Use a smaller --batch-size"):
        shards = synthesize(
            generator,
            args.output,
            args.number,
            seed=args.seed,
            labels=args.labels,
            truncation=args.truncation,
            batch_size=args.batch_size,
            shard_size=args.shard_size,
            image_column=args.image_column,
            label_column=args.label_column,
            overwrite=args.overwrite,
            origin=Origin(name, args.revision, args.subfolder),
            progress=True,
        )
    if state.is_main_process:
        many = f"in {len(shards)} files" if len(shards) > 1 else "in one file"
        images = counted(args.number, "image")
        print(f'{args.output}: {images} {many}. Load them with datasets.load_dataset("{args.output}")')
    state.destroy_process_group()
