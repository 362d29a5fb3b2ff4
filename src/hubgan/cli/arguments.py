"""Options that several commands share."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hubgan.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from accelerate import PartialState
    from torch import Tensor

    from hubgan import Generator, Translator, Upscaler
    from hubgan.hub.upload import Pushed


def add_model(parser: argparse.ArgumentParser, kind: str, *, elsewhere: bool = False) -> None:
    """Add MODEL and the options that say where it is; with `elsewhere` also those for weights made elsewhere."""
    file = ", its weight file" if elsewhere else ""
    parser.add_argument(
        "model", metavar="MODEL", help=f"{kind}: its folder{file}, or its name on the Hub (user/model)"
    )
    group = parser.add_argument_group("version and location of the model")
    group.add_argument("--revision", metavar="NAME", help="branch, tag or commit on the Hub")
    group.add_argument(
        "--subfolder",
        metavar="FOLDER",
        help="subfolder that holds the model in its folder or repository (default: top)",
    )
    if elsewhere:
        group.add_argument("--weights-name", metavar="FILE", help="the weight file, if an upscaler has several")
        group.add_argument(
            "--allow-pickle",
            action="store_true",
            help="also read pickles (.pth), by spandrel's restricted unpickler",
        )


def add_shown_models(parser: argparse.ArgumentParser) -> None:
    """Add the options that name the models of a demo."""
    for kind in ("generator", "upscaler", "translator"):
        parser.add_argument(
            f"--{kind}",
            metavar="MODEL",
            default=[],
            nargs="+",
            help=f"image {kind}s: their folders, or their names on the Hub (user/model)",
        )


def print_pushed(pushed: "Pushed") -> None:
    """Print the address of a repository's page, and of the commit."""
    print(pushed.page)
    print(pushed.url if pushed.changed else f"Nothing has changed since {pushed.url}")


def find_model(args: argparse.Namespace) -> None:
    """Look MODEL up, which a command does before the imports that take seconds.

    Raises:
        ModelError: it is neither on this machine nor on the Hub, or the Hub cannot be reached.
        ConfigError: there is a --revision, and it is on this machine.
    """
    from hubgan.hub.download import look_up
    from hubgan.runtime.names import existing

    if existing(args.model):
        refuse_unused(args, f"{args.model}, which is on this machine,", "revision")
    look_up(args.model, args.revision)


def find_data_set(name: str) -> None:
    """Look a data set up, which a command does before the imports that take seconds.

    Raises:
        UnreachableError: it is neither on this machine nor in the cache, and the Hub cannot be reached.
    """
    from hubgan.runtime.names import check_data_set

    check_data_set(name)


def refuse_unused(args: argparse.Namespace, what: str, *options: str) -> None:
    """Refuse options that are on the command line and have no effect: they would be ignored silently.

    Args:
        args: the parsed command line.
        what: what does not use them, for the message.
        options: their names in `args`.

    Raises:
        ConfigError: one is there.
    """
    flags = {name: f"--{'no-' if getattr(args, name) is False else ''}{name.replace('_', '-')}" for name in options}
    if given := [flags[name] for name in options if name in args.typed]:
        raise ConfigError(f"{what} does not use {', '.join(given)}", f"Remove {', '.join(given)}")


def add_labels(parser: argparse.ArgumentParser, about: str) -> None:
    """Add --labels, which may also be spelt --label.

    Args:
        parser: the command's.
        about: the help.
    """
    parser.add_argument("--labels", metavar="NAME", nargs="+", help=about)
    parser.add_argument("--label", dest="labels", nargs="+", help=argparse.SUPPRESS)


def add_truncation(parser: argparse.ArgumentParser) -> None:
    """Add --truncation."""
    parser.add_argument(
        "--truncation",
        metavar="T",
        type=float,
        help="truncation of the latents, usually 1: smaller values give more typical, less varied images",
    )


def add_fidelity(parser: argparse.ArgumentParser) -> None:
    """Add --fidelity."""
    parser.add_argument(
        "--fidelity",
        metavar="F",
        type=float,
        help="0 gives the most detail, some of it invented (default). 1 gives smoother pictures, closest to the"
        " original. Only for models that hold both kinds of weights",
    )


def add_strength(parser: argparse.ArgumentParser) -> None:
    """Add --strength."""
    parser.add_argument(
        "--strength",
        metavar="S",
        type=_strength,
        help="how strongly to clean away noise and compression artefacts, from 0 (trust the pixels) to 1. auto"
        " estimates it from the picture and its JPEG file (default: auto). Only for models with a strength",
    )


def _strength(text: str) -> float | None:
    """None is auto."""
    if text == "auto":
        return None
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor auto") from None


def strength_of(args: argparse.Namespace) -> "float | Literal['auto']":
    """What --strength asks for, as upscalers take it."""
    return "auto" if args.strength is None else float(args.strength)


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add --device."""
    parser.add_argument(
        "--device",
        default="auto",
        help="device to compute on: cpu, cuda, cuda:1, mps, ...; auto uses a GPU if there is one (default: auto)",
    )


def whole(low: int, high: int | None = None) -> Callable[[str], int]:
    """The type of an option that takes a whole number, at least `low` and at most `high`."""

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = low - 1
        if number < low or (high is not None and number > high):
            bounds = f"from {low} to {high}" if high is not None else f"{low} or more"
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number {bounds}")
        return number

    return parse


def find_device(name: str) -> str:
    """The device called `name`, in PyTorch's words; "auto" is a GPU if there is one.

    Raises:
        ConfigError: this machine has no such device.
    """
    import torch

    from hubgan.runtime.devices import gpu_or_cpu

    if name == "auto":
        return gpu_or_cpu()
    try:
        torch.ones(1, device=name).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"this machine has no device {name} ({reason})", "Use --device cpu") from error
    return name


def process_device(name: str, state: "PartialState") -> str:
    """Like `find_device` for one of several processes: with "auto" each has a device of its own."""
    return str(state.device) if state.num_processes > 1 and name == "auto" else find_device(name)


def load_model(args: argparse.Namespace, device: str) -> "tuple[Generator | Upscaler | Translator, Path | None]":
    """The generator, upscaler or translator that MODEL and its options name.

    Returns:
        The model, and its folder on this machine if hubgan saved it there; else None.

    Raises:
        ConfigError: the model is of another kind.
        HubganError: as `from_pretrained`.
    """
    from hubgan import Generator, Translator, Upscaler
    from hubgan.hub.download import ModelSource
    from hubgan.models.config import CONFIG, read_config

    announce(f"Loading {args.model} ...")
    source, kind, folder = ModelSource(args.model, subfolder=args.subfolder, revision=args.revision), None, None
    foreign = {name: getattr(args, name, None) for name in ("weights_name", "allow_pickle")}
    if not Path(args.model).is_file() and CONFIG in source.files() and not foreign["weights_name"]:
        kind, folder = read_config(source.file(CONFIG)).kind, source.folder
    where = {"subfolder": args.subfolder, "revision": args.revision, "device": device}
    if kind == "Generator":
        return Generator.from_pretrained(args.model, **where), folder
    if kind == "Translator":
        return Translator.from_pretrained(args.model, **where), folder
    if kind not in (None, "Upscaler"):
        raise ConfigError(f"{args.model} holds a {kind}", "Pass a generator, an upscaler or a translator")
    known = {name: value for name, value in foreign.items() if value}
    return Upscaler.from_pretrained(args.model, fidelity=args.fidelity or 0.0, **where, **known), folder


def card_name(folder: Path, subfolder: str | None) -> dict[str, str]:
    """What a card keeps when a command saves its model: the name of a repository, if it has one."""
    from hubgan.models.card import named
    from hubgan.models.config import CARD

    card = folder / CARD
    name = named(card.read_text(encoding="utf-8", errors="replace")) if card.is_file() else None
    if name is None or name.startswith("./"):
        return {}
    return {"name": name, **({"subfolder": subfolder} if subfolder else {})}


def read_latents(files: list[Path], generator: "Generator") -> "tuple[Tensor, Tensor | None]":
    """The latents (n, latent_dim) of some files, and their labels (n,); None if the model has no classes.

    Raises:
        ConfigError: a file cannot be read, or its latents or labels are those of another kind of model.
    """
    import torch

    from hubgan.models.latents import load_latents

    found, labels = [], []
    for file in files:
        latents, numbers = load_latents(file)
        classes = len(generator.labels)
        fits = latents.shape[1] == generator.latent_dim and (numbers is not None) == bool(classes)
        if not fits or (numbers is not None and not 0 <= int(numbers.min()) <= int(numbers.max()) < classes):
            raise ConfigError(
                f"{file} was made for another model: its latents or labels do not fit",
                "Pass the model that the latents were found with",
            )
        found.append(latents)
        labels += [] if numbers is None else [numbers]
    return torch.cat(found), torch.cat(labels) if labels else None


def is_first_process() -> bool:
    """Whether this is the first of the processes that a launcher has started, or the only one."""
    return os.environ.get("RANK", "0") == "0"


def announce(text: str) -> None:
    """Say on a terminal what takes a while now. Nothing is written into a file or a pipe."""
    if is_first_process() and sys.stderr is not None and sys.stderr.isatty():
        print(text, file=sys.stderr, flush=True)


def announce_torch() -> None:
    """Say that PyTorch is being loaded, before the first import that does it."""
    if "torch" not in sys.modules:
        announce("Loading PyTorch ...")


def say(text: str) -> None:
    """Print to stderr, above a progress bar if one is shown."""
    from tqdm import tqdm

    tqdm.write(text, file=sys.stderr)


@contextmanager
def packages_of(extra: str) -> Iterator[None]:
    """Turn a failing import into a ConfigError that says how to install the packages of an extra of hubgan's."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        raise ConfigError(f"the package {package} is missing", f"Run: pip install 'hubgan[{extra}]'") from error


@contextmanager
def enough_memory(remedy: str) -> Iterator[None]:
    """Turn a lack of memory into a ModelError with this remedy."""
    import torch

    try:
        yield
    except (MemoryError, RuntimeError) as error:
        known = isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error)  # on a CPU
        if not known:
            raise
        raise ModelError("there is not enough memory", remedy) from error
