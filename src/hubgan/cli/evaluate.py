"""Measure a model on a data set, and write the figures into its card.

  hubgan evaluate runs/cifar-dcgan --dataset uoft-cs/cifar10 --split test \\
    --train-split train
  hubgan evaluate runs/photo-x4 --dataset ./my-photos
  hubgan evaluate me/photo-x4 --dataset ./my-photos
  hubgan evaluate runs/sketch-to-emoji --dataset ./my-pictures
  hubgan evaluate runs/horse2zebra-cut --dataset ./horses --target-dataset ./zebras
  accelerate launch -m hubgan evaluate me/cifar-r3gan --dataset ./my-photos

Generated images are compared with real ones by the features of a network.
Enlarged pictures are compared with their originals on the Y channel. Their
inputs are shrunk originals, or the small pictures of a data set of pairs.
Translated pictures are compared with their originals too. Their inputs are
computed as in the training, or those of a data set of pairs. Without pairs,
pictures are compared with those of the target domain, and with their inputs.
The metrics are listed below. Each figure is shown beside a reference: the figure
of other real images, of bicubic enlarging, or of the input.

The features of real images are cached. Processes started by `accelerate launch`
or `torchrun` share the work.

If the model is a folder, its figures are written into its config.json and
README.md. They replace older figures on the same data, also under another name.
--no-save only prints them, like the figures of a model on the Hub.
"""

import argparse
from collections import UserString
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

from hubgan.cli.arguments import (
    add_device,
    add_fidelity,
    add_model,
    add_strength,
    announce,
    announce_torch,
    card_name,
    enough_memory,
    find_data_set,
    find_model,
    load_model,
    packages_of,
    process_device,
    refuse_unused,
    strength_of,
    whole,
)
from hubgan.errors import ConfigError
from hubgan.runtime.counting import counted
from hubgan.runtime.names import without_folders

if TYPE_CHECKING:
    from hubgan.data import ImageSource
    from hubgan.evaluation import Reference
    from hubgan.metrics import FeatureExtractor
    from hubgan.models import Generator, Translator, Upscaler
    from hubgan.models.figures import Result

_SAMPLES, _BATCH = 10_000, 64
_GENERATORS = (
    "floor_split", "train_split", "reals", "extractor", "extractor_weights", "cas", "truncation", "neighbours",
    "batch_size"
)  # fmt: skip
_DOWNLOADED = ("inception", "dinov2")
_UPSCALERS = ("fidelity", "strength", "degraded")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_model(parser, "the model", elsewhere=True)
    data = parser.add_argument_group("data")
    data.add_argument("--dataset", metavar="DATA", required=True,
                      help="a Hub name, a folder of pictures, a Parquet file, or a local data set")  # fmt: skip
    data.add_argument(
        "--dataset-name",
        metavar="NAME",
        help="its name in the card (default: the same, or that of older figures on it)",
    )
    data.add_argument("--dataset-config", metavar="NAME", help="its configuration (subset), if there are several")
    data.add_argument("--target-dataset", metavar="DATA",
                      help="translators trained without pairs: the data set of the target domain. By default --dataset"
 " holds both, as two columns or two folders")  # fmt: skip
    data.add_argument("--split", default="train", help="its split to measure on (default: train)")
    data.add_argument(
        "--image-column",
        metavar="NAME",
        help="the column with the (large) pictures, or the targets; needed if there are several",
    )
    data.add_argument("--label-column", metavar="NAME", help="the column with the labels (default: the first)")
    data.add_argument("--classes", metavar="NAME", nargs="+", help="measure only on the images with these labels")
    data.add_argument("--small-column", "--input-column", metavar="NAME",
                      help="upscalers and translators: the column with the inputs (the small pictures). By default lr"
 " beside hr, or input beside target. If there is none, the inputs are made from the pictures")  # fmt: skip
    data.add_argument(
        "--degraded",
        nargs="?",
        const="heavy",
        choices=("everyday", "heavy"),
        help="upscalers: degrade the small pictures with blur, noise and compression, by --seed."
        " everyday is mild, and heavy is the default of --degraded alone. The names of the"
        " figures say so",
    )
    data.add_argument("--floor-split", metavar="SPLIT",
                      help="generators: the split whose distance from --split is the floor. By default"
 " --train-split, else other images of --split, else its two halves")  # fmt: skip
    data.add_argument("--train-split", metavar="SPLIT",
                      help="generators: the split that was trained on, for metrics that need training images. All of"
 " its images are used")  # fmt: skip
    data.add_argument("--reals", metavar="N", type=whole(12),
                      help="generators: how many images of --split are used for the Frechet and kernel distances"
 " (default: as many as samples)")  # fmt: skip
    see = parser.add_argument_group("features of generators' images")
    see.add_argument("--extractor", choices=("enl0", "c10", "inception", "dinov2"),
                     help="EfficientNet-Lite0 (enl0), or a small classifier of CIFAR-10 for pictures like those (c10)."
 " Their weights come with packages. Those of Inception and DINOv2 are downloaded (default: enl0)."
 " The literature reports figures by Inception, and lately by DINOv2")  # fmt: skip
    see.add_argument("--extractor-weights", "--inception-weights", metavar="FILE", type=Path,
                     help="the weight file of Inception or DINOv2, if it cannot be downloaded")  # fmt: skip
    see.add_argument("--cas", action="store_true",
                     help="with --train-split: also measure the classification accuracy score of a generator with"
 " classes. Two small classifiers are trained, which takes minutes")  # fmt: skip
    parser.add_argument("--truncation", metavar="T", type=float,
                        help="generators: as in `hubgan sample`. The figures are only printed")  # fmt: skip
    add_fidelity(parser)
    add_strength(parser)
    parser.add_argument("--neighbours", metavar="FILE", type=Path,
                        help="with --train-split: a .png file for a picture of the samples nearest to training images,"
 " side by side")  # fmt: skip
    parser.add_argument("--samples", metavar="N", type=whole(1),
                        help="the number of images (default: all; for generators as many as the data holds, at"
 f" most {_SAMPLES:,})")  # fmt: skip
    parser.add_argument(
        "--seed", type=whole(0, 2**63 - 1), default=0, help="seed of the samples and random choices (default: 0)"
    )
    parser.add_argument("--batch-size", metavar="N", type=whole(1),
                        help=f"generators: images generated at once (default: {_BATCH})")  # fmt: skip
    parser.add_argument(
        "--save",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="write the figures of a folder into its card, or only print them (default: write)",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="open the model and the data, print what would be measured, and stop"
    )
    add_device(parser)
    parser.epilog = cast(str, _MetricsHelp())


def run(args: argparse.Namespace) -> None:
    """Measure a model, print the figures, and write those of a folder into its card."""
    if args.neighbours and not args.train_split:
        raise ConfigError("--neighbours needs the training images", "Pass their split with --train-split")
    if args.cas and not args.train_split:
        raise ConfigError("--cas needs the training images", "Pass their split with --train-split")
    if args.neighbours and args.neighbours.exists():
        raise ConfigError(f"{args.neighbours} exists already", "Pass another file with --neighbours")
    find_model(args)
    for name in filter(None, (args.dataset, args.target_dataset)):
        find_data_set(name)
    announce_torch()
    with packages_of("train"):
        import torchmetrics  # noqa: F401, so that its absence is reported before the work

        from hubgan import Generator, Translator, evaluation
    from hubgan.runtime.processes import join_processes

    state = join_processes(cpu=args.device == "cpu")
    model, folder = load_model(args, process_device(args.device, state))
    _check_kind(args, model)
    announce(f"Opening the data set {args.dataset} ...")
    if _is_unpaired(args, model):
        source = _open_domains(args)
    else:
        pairs = not isinstance(model, Generator) and not (isinstance(model, Translator) and model.input)
        source = _open(args, args.split, pairs=pairs)
    reference = evaluation.Reference(source, args.dataset_name or without_folders(args.dataset), args.split)
    earlier = (model.training_run or {}).get("results", [])
    if not args.dataset_name:
        reference = evaluation.as_before(reference, earlier)
    folder = folder if args.save and args.truncation is None else None
    if args.dry_run:
        _print_plan(args, model, reference, folder)
        return
    with enough_memory("use fewer --samples, or for a generator a smaller --batch-size"):
        results = _measure(args, model, reference, state.is_main_process)
    if not state.is_main_process:
        return
    print(evaluation.table(results))
    if folder:
        saved = type(model).from_pretrained(folder) if args.fidelity else model  # weights are never saved mixed
        saved.training_run = {**(saved.training_run or {}), "results": evaluation.merge(earlier, results)}
        saved.save_pretrained(folder, model_card_kwargs=card_name(folder, args.subfolder))
        print(f"written into config.json and README.md of {folder}")


class _MetricsHelp(UserString):
    """The registered metrics, for the end of the help. They import torch, so only when the help is printed."""

    def __init__(self) -> None:
        pass

    @cached_property
    def data(self) -> str:  # type: ignore[override]
        from hubgan.metrics import registry

        groups = {
            "metrics of generators (the extractor's name follows, as in FD-ENL0)": registry.GENERATOR_NEEDS,
            "metrics of upscalers and translators (of those without pairs also FD and KD)": registry.UPSCALER_NEEDS,
        }
        lines = []
        for heading, needs in groups.items():
            lines.append(f"{heading}:")
            for metric in registry.measurable(needs):
                for figure in metric.figures:
                    names = " or ".join(filter(None, [figure.name, figure.literature_name]))
                    about = [] if names.lower() == metric.title.lower() else [metric.title]
                    about.append(f"{figure.better} is better")
                    about += ["needs --train-split"] if "training images" in metric.needs else []
                    about += ["needs --cas"] if "pixels" in metric.needs else []
                    about += ["of c10 and classes of CIFAR-10"] if "known classes" in metric.needs else []
                    lines.append(f"  {names:<16}{'; '.join(about)}")
            lines.append("")
        return "\n".join(lines)


def _check_kind(args: argparse.Namespace, model: "Generator | Upscaler | Translator") -> None:
    """Refuse options that the model does not use."""
    from hubgan.models import Generator, Translator

    kind: str = "an upscaler"
    wrong: tuple[str, ...] = ("target_dataset", *_GENERATORS)
    if isinstance(model, Generator):
        kind, wrong = "a generator", ("small_column", "target_dataset", *_UPSCALERS)
    elif isinstance(model, Translator):
        kind, wrong = "a translator", _GENERATORS + _UPSCALERS
        if model.input:
            refuse_unused(args, f"{args.model}, which computes its inputs ({model.input}),", "target_dataset")
    refuse_unused(args, f"{args.model} holds {kind}, which", *wrong)
    if args.extractor not in _DOWNLOADED:
        refuse_unused(args, f"--extractor {args.extractor or 'enl0'}", "extractor_weights")


def _print_plan(
    args: argparse.Namespace,
    model: "Generator | Upscaler | Translator",
    reference: "Reference",
    folder: Path | None,
) -> None:
    """Print what would be measured, on how many images, and what becomes of the figures."""
    from hubgan.metrics import EXTRACTORS, registry
    from hubgan.models import Generator

    suffix, labelled = "", isinstance(model, Generator) and model.labels
    size, available = reference.source.size, set(registry.UPSCALER_NEEDS)
    number = args.samples or size
    if isinstance(model, Generator):
        extractor = EXTRACTORS[args.extractor or "enl0"]
        suffix = "" if extractor.standard else f"-{extractor.name}"
        available, number = {"features"}, args.samples or _SAMPLES
        available |= {"probabilities"} if extractor.classifies else set()
        if labelled and set(model.labels) <= set(extractor.classes):
            available |= {"labels", "known classes"}
    if number and size and not args.reals:
        number = min(number, size)
    left_out = {"sharpness"} if getattr(model, "scale", 1) == 1 else set()  # the input holds detail of every size
    training: set[registry.Need] = {"training images", "labels"} if labelled else {"training images"}
    training |= {"pixels"} if args.cas else set()

    def names(needs: set[registry.Need]) -> list[str]:
        found = [(metric, figure) for metric in registry.measurable(needs) for figure in metric.figures]
        return [
            figure.full_name("" if metric.network else suffix)
            for metric, figure in found
            if figure.key not in left_out
        ]

    found = names(available | training if args.train_split else available)
    images = "some images" if size is None else counted(size, "image")
    if targets := reference.source.targets:
        images += f", to {counted(len(targets), 'image')} of the target domain"
    print(f"{type(model).__name__} {args.model}, against {reference} ({images})")
    print(f"metrics: {', '.join(found)}")
    print(f"samples: {f'{number:,}' if number else 'all'}")
    if isinstance(model, Generator) and not args.train_split:
        more = [name for name in names(available | training) if name not in found]
        print(f"--train-split would add: {', '.join(more)}")
    print(f"the figures would be {f'written into {folder}' if folder else 'printed'}")


def _open(args: argparse.Namespace, split: str, *, pairs: bool = False) -> "ImageSource":
    from hubgan.data import load_images

    return load_images(
        args.dataset,
        config=args.dataset_config,
        split=split,
        column=args.image_column,
        input_column=args.small_column,
        pairs=pairs,
        label_column=args.label_column,
        classes=tuple(args.classes or ()),
    )


def _is_unpaired(args: argparse.Namespace, model: "Generator | Upscaler | Translator") -> bool:
    """Whether a model is measured on two domains: it was trained without pairs, or the command asks for that."""
    from hubgan.models import Translator

    return isinstance(model, Translator) and bool(args.target_dataset or "domains" in (model.training_run or {}))


def _open_domains(args: argparse.Namespace) -> "ImageSource":
    from hubgan.data import load_domains

    return load_domains(
        args.dataset,
        args.target_dataset,
        config=args.dataset_config,
        split=args.split,
        column=args.image_column,
        input_column=args.small_column,
        label_column=args.label_column,
        classes=tuple(args.classes or ()),
    )


def _suffix(args: argparse.Namespace) -> str:
    """The end of the figures' names, where a fidelity or a strength was asked for."""
    settings = [f"fidelity {args.fidelity:g}"] if args.fidelity else []
    settings += [f"strength {args.strength:g}"] if args.strength is not None else []
    return f" at {' and '.join(settings)}" if settings else ""


def _extractor(args: argparse.Namespace) -> "FeatureExtractor":
    from hubgan.metrics import EXTRACTORS

    options = {"weights": args.extractor_weights} if args.extractor in _DOWNLOADED else {}
    return EXTRACTORS[args.extractor or "enl0"](**options)


def _measure(
    args: argparse.Namespace, model: "Generator | Upscaler | Translator", reference: "Reference", progress: bool
) -> "list[Result]":
    from hubgan.data.degradation import DEGRADATIONS
    from hubgan.evaluation import (
        Reference,
        evaluate_generator,
        evaluate_translator,
        evaluate_unpaired,
        evaluate_upscaler,
    )
    from hubgan.models import Generator, Translator

    if isinstance(model, Generator):
        floor, trained_on = (
            Reference(_open(args, split), reference.dataset, split) if split else None
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
            cas=args.cas,
            batch_size=args.batch_size or _BATCH,
            picture=args.neighbours,
            progress=progress,
        )
    if reference.source.targets is not None:
        assert isinstance(model, Translator)
        samples = args.samples or len(reference.source)
        return evaluate_unpaired(model, reference, samples=samples, seed=args.seed, progress=progress)
    if isinstance(model, Translator):
        return evaluate_translator(model, reference, samples=args.samples, seed=args.seed, progress=progress)
    return evaluate_upscaler(
        model,
        reference,
        samples=args.samples,
        seed=args.seed,
        degradation=DEGRADATIONS[args.degraded]() if args.degraded else None,
        strength=strength_of(args),
        suffix=_suffix(args),
        progress=progress,
    )
