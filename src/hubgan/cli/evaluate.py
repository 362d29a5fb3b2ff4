"""Measure a model on a data set, and write the figures into its card.

  hubgan evaluate runs/cifar-dcgan --dataset uoft-cs/cifar10 --split test \\
    --train-split train
  hubgan evaluate runs/photo-x4 --dataset my-photos
  hubgan evaluate me/photo-x4 --dataset my-photos
  accelerate launch -m hubgan evaluate me/cifar-r3gan --dataset my-photos

Generators: the Frechet and the kernel distance of their images from real ones
(FD-ENL0, KD-ENL0: by the features of EfficientNet-Lite0; FID and KID by those
of Inception), precision and recall, density and coverage, the Inception score.
With --train-split also how close they are to single training images, and
whether they show the classes that were asked for. Upscalers: PSNR and
SSIM on the Y channel, the perceptual distance by EfficientNet-Lite2 (PD-ENL2),
the sharpness. Each figure comes with the one to compare it
with: that of other real images, or that of bicubic enlarging.

The features of real images are cached for the next time. Processes that
`accelerate launch` or `torchrun` has started share the work.

If the model is a folder, its figures are written into its config.json and
README.md, where they replace older ones on the same data. For a model on the
Hub they are only printed.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from hubgan.cli.arguments import (
    add_device,
    add_fidelity,
    add_model,
    enough_memory,
    load_model,
    process_device,
    training_packages,
    whole,
)
from hubgan.errors import ConfigError

if TYPE_CHECKING:
    from hubgan.data import ImageSource
    from hubgan.evaluation import Reference
    from hubgan.metrics import FeatureExtractor
    from hubgan.models import Generator, Upscaler
    from hubgan.models.card import Result

_SAMPLES, _BATCH = 10_000, 64
_GENERATORS = (
    "floor_split", "train_split", "reals", "extractor", "inception_weights", "truncation", "neighbours", "batch_size"
)  # fmt: skip
_UPSCALERS = ("small_column", "fidelity", "degraded")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_model(parser, "the model", elsewhere=True)
    data = parser.add_argument_group("data")
    data.add_argument("--dataset", metavar="DATA", required=True,
                      help="a Hub name, a folder of pictures, a Parquet file, or a local data set")  # fmt: skip
    data.add_argument("--dataset-name", metavar="NAME", help="the data set's name in the card (default: DATA)")
    data.add_argument("--dataset-config", metavar="NAME", help="its configuration (subset), if it has several")
    data.add_argument("--split", default="train", help="its split to measure on (default: train)")
    data.add_argument(
        "--image-column", metavar="NAME", help="the column with the (large) pictures, if there are several"
    )
    data.add_argument(
        "--label-column", metavar="NAME", help="the column with the labels (default: the first ClassLabel)"
    )
    data.add_argument("--classes", metavar="NAME", nargs="+", help="measure only on images with these labels")
    data.add_argument("--small-column", metavar="NAME",
                      help="upscalers: the column with the small pictures (default: they are made from the large"
                      " ones, as in training)")  # fmt: skip
    data.add_argument("--degraded", action="store_true", default=None,
                      help="upscalers: make the small pictures blurred, noisy and compressed, by --seed; the names"
                      " of the figures say so")  # fmt: skip
    data.add_argument("--floor-split", metavar="SPLIT",
                      help="generators: the split whose distance from --split is the floor (default: other images"
                      " of --split, or its two halves)")  # fmt: skip
    data.add_argument("--train-split", metavar="SPLIT",
                      help="generators: the split that was trained on, to measure how close the samples are to it;"
                      " all of it is read; it also gives the floor, unless --floor-split names another")  # fmt: skip
    data.add_argument("--reals", metavar="N", type=whole(12),
                      help="generators: the number of real images that the distances are measured from (default: as"
                      " many as samples)")  # fmt: skip
    features = parser.add_argument_group("features of generators' images")
    features.add_argument("--extractor", choices=("enl0", "inception"),
                          help="EfficientNet-Lite0, which comes with a package, or Inception, whose weights are"
                          " downloaded (default: enl0)")  # fmt: skip
    features.add_argument("--inception-weights", metavar="FILE", type=Path,
                          help="the file of Inception's weights, if they cannot be downloaded")  # fmt: skip
    parser.add_argument("--truncation", metavar="T", type=float,
                        help="generators: as in `hubgan sample`; the figures are only printed")  # fmt: skip
    add_fidelity(parser)
    parser.add_argument("--neighbours", metavar="FILE", type=Path,
                        help="with --train-split: write a .png of the samples that are closest to a training image,"
                        " each beside that image")  # fmt: skip
    parser.add_argument("--samples", metavar="N", type=whole(1),
                        help="how many images (default: all of the data, for generators at most"
                        f" {_SAMPLES:,})")  # fmt: skip
    parser.add_argument("--seed", type=whole(0, 2**63 - 1), default=0, help="of samples and choices (default: 0)")
    parser.add_argument("--batch-size", metavar="N", type=whole(1),
                        help=f"generators: images made at once (default: {_BATCH})")  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="open model and data, say what would be measured, stop")
    add_device(parser)


def run(args: argparse.Namespace) -> None:
    """Measure, print the figures, and write those of a folder into its card."""
    with training_packages():
        import torchmetrics  # noqa: F401, so that its absence is reported before the work

        from hubgan import evaluation
    from hubgan.runtime.processes import join_processes

    if args.neighbours and not args.train_split:
        raise ConfigError("--neighbours needs the training images", "Name their split with --train-split")
    if args.neighbours and args.neighbours.exists():
        raise ConfigError(f"{args.neighbours} already exists", "Name another file with --neighbours")
    state = join_processes(cpu=args.device == "cpu")
    model, folder = load_model(args, process_device(args.device, state))
    _check_kind(args, model)
    reference = evaluation.Reference(_open(args, args.split, args.image_column), _name(args), args.split)
    if args.dry_run:
        where = f"written into {folder}" if folder else "printed"
        size = f"{reference.source.size:,}" if reference.source.size is not None else "some"
        print(
            f"{type(model).__name__} {args.model}, against {reference} ({size} images); the figures would be {where}"
        )
        return
    with enough_memory("Use fewer --samples, or for a generator a smaller --batch-size"):
        results = _measure(args, model, reference, state.is_main_process)
    if not state.is_main_process:
        return
    print(evaluation.table(results))
    if folder and args.truncation is None:
        saved = type(model).from_pretrained(folder) if args.fidelity else model  # weights are never saved mixed
        saved.training_run = {**(saved.training_run or {}), "results": evaluation.merge(
            (saved.training_run or {}).get("results", []), results)}  # fmt: skip
        saved.save_pretrained(folder)
        print(f"written into config.json and README.md of {folder}")


def _check_kind(args: argparse.Namespace, model: "Generator | Upscaler") -> None:
    """Refuse options that have no meaning for the model, rather than ignore them."""
    from hubgan.models import Generator

    kind, wrong = ("a generator", _UPSCALERS) if isinstance(model, Generator) else ("an upscaler", _GENERATORS)
    given = ", ".join(f"--{name.replace('_', '-')}" for name in wrong if getattr(args, name) is not None)
    if given:
        raise ConfigError(f"{args.model} holds {kind}, to which {given} cannot be applied", f"Leave out {given}")


def _open(args: argparse.Namespace, split: str, column: str | None) -> "ImageSource":
    from hubgan.data import load_images

    return load_images(args.dataset, config=args.dataset_config, split=split, column=column,
                       label_column=args.label_column, classes=tuple(args.classes or ()))  # fmt: skip


def _name(args: argparse.Namespace) -> str:
    """The data set's name in the figures; of a path only the last part."""
    path = Path(args.dataset).expanduser()
    return args.dataset_name or (path.resolve().name if path.exists() else args.dataset)


def _extractor(args: argparse.Namespace) -> "FeatureExtractor":
    from hubgan.metrics import EfficientNetLite0, InceptionV3

    return InceptionV3(args.inception_weights) if args.extractor == "inception" else EfficientNetLite0()


def _measure(
    args: argparse.Namespace, model: "Generator | Upscaler", reference: "Reference", progress: bool
) -> "list[Result]":
    from hubgan.evaluation import Reference, evaluate_generator, evaluate_upscaler
    from hubgan.models import Generator

    if isinstance(model, Generator):
        floor, trained_on = (
            Reference(_open(args, split, args.image_column), reference.dataset, split) if split else None
            for split in (args.floor_split or args.train_split, args.train_split)
        )
        samples = args.samples or min(_SAMPLES, reference.source.size or _SAMPLES)
        return evaluate_generator(
            model,
            reference,
            samples=samples,
            seed=args.seed,
            floor=floor,
            trained_on=trained_on,
            reals=args.reals,
            truncation=args.truncation,
            extractor=_extractor(args),
            batch_size=args.batch_size or _BATCH,
            picture=args.neighbours,
            progress=progress,
        )
    if args.small_column == reference.source.column:
        raise ConfigError(
            f"--small-column {args.small_column} is also the column of the large pictures",
            "Name two different columns with --small-column and --image-column",
        )
    small = _open(args, args.split, args.small_column) if args.small_column else None
    if args.degraded and small:
        raise ConfigError(
            "--degraded makes the small pictures, but --small-column names existing ones", "Leave one of the two out"
        )
    return evaluate_upscaler(
        model,
        reference,
        small=small,
        samples=args.samples,
        seed=args.seed,
        degraded=bool(args.degraded),
        suffix=f" at fidelity {args.fidelity:g}" if args.fidelity else "",
        progress=progress,
    )
