"""The command line. Each command is a module of this package, imported only when it runs."""

import argparse
import importlib
import os
import re
import sys

from hubgan.errors import HubganError, nearest
from hubgan.version import __version__

# A command's module has `configure(parser)` and `run(args)`; its docstring is the top of its help. That of train has
# `run_words(words)`, because its options depend on the recipe.
COMMANDS = {
    "train": ("hubgan.cli.train", "train a model by a recipe, on one process or several"),
    "sample": ("hubgan.cli.sample", "make images with a generator"),
    "walk": ("hubgan.cli.walk", "make an animation of a walk through a generator's latents"),
    "edit": ("hubgan.cli.edit", "change an image along directions found without labels"),
    "invert": ("hubgan.cli.invert", "find your own picture in a generator's latent space"),
    "synthesize": ("hubgan.cli.synthesize", "make a data set of a generator's images"),
    "upscale": ("hubgan.cli.upscale", "enlarge pictures and videos, or whole folders of them"),
    "translate": ("hubgan.cli.translate", "turn sketches or photos into other pictures"),
    "info": ("hubgan.cli.info", "show what a model is, how it was trained and how good it is"),
    "evaluate": ("hubgan.cli.evaluate", "measure a model and write the figures into its card"),
    "export": ("hubgan.cli.export", "write a model as ONNX, for other runtimes"),
    "demo": ("hubgan.cli.demo", "show models in a browser, on this machine"),
    "push": ("hubgan.cli.push", "push a trained model to the Hub"),
    "space": ("hubgan.cli.space", "publish the demo as a Space on the Hub"),
    "web": ("hubgan.cli.web", "write a page on which models run in the visitor's browser"),
}

_ABOUT = f"""\
Train, use and share GANs that make images, enlarge them or translate them.

commands:
{chr(10).join(f"  {name:<12}{line}" for name, (_, line) in COMMANDS.items())}

A model is named by its folder, or by its name on the Hub (user/model).
"""
_MORE = "`hubgan COMMAND --help` explains a command."


def main(argv: list[str] | None = None) -> int:
    """Run one command, `sys.argv` by default, and return its exit status.

    Returns:
        0 for success; 2 after an error, which is printed to stderr; 130 after Ctrl-C; 141 if the reader of the output
        has closed it.
    """
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file name may hold bytes that are not text
    status = _run(sys.argv[1:] if argv is None else argv)
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        # The rest of the buffer is discarded; otherwise Python would report the same error again when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = status or _failed("hubgan", error)
    return status


def _run(argv: list[str]) -> int:
    name = "hubgan"
    try:
        if argv[:1] == ["help"]:
            argv = [*argv[1:2], "--help"]
        if not argv:
            _parser(name).print_help(sys.stderr)
            return 2
        if argv[0] not in COMMANDS:
            _parse_without_command(argv)
        name = f"hubgan {argv[0]}"
        _run_command(name, argv)
        return 0
    except SystemExit as end:  # argparse's way out, after --help and wrong usage
        return int(end.code or 0)
    except KeyboardInterrupt:
        return 130
    except (HubganError, OSError) as error:
        return _failed(name, error)


def _run_command(name: str, argv: list[str]) -> None:
    from hubgan.cli.messages import messages_shown  # `hubgan --help` needs no logging

    command = importlib.import_module(COMMANDS[argv[0]][0])
    with messages_shown():
        if hasattr(command, "run_words"):
            command.run_words(argv[1:])
            return
        parser = _parser(name, command.__doc__)
        command.configure(parser)
        words = _plain(argv[1:])
        args, left = parser.parse_known_intermixed_args(words)
        if left:
            _refuse(parser, left)
        args.typed = _typed(parser, words, args)
        command.run(args)


def _typed(parser: argparse.ArgumentParser, words: list[str], args: argparse.Namespace) -> set[str]:
    """The options on the command line. A value is no evidence, as it may be the default."""
    untouched = object()
    again, _ = parser.parse_known_intermixed_args(words, argparse.Namespace(**dict.fromkeys(vars(args), untouched)))
    return {name for name, value in vars(again).items() if value is not untouched}


def _plain(words: list[str]) -> list[str]:
    """The words without "--". argparse loses it between options and names, so a name after it becomes "./-name"."""
    if "--" not in words:
        return words
    cut = words.index("--")
    return [*words[:cut], *(f"./{word}" if word.startswith("-") else word for word in words[cut + 1 :])]


def _parser(name: str, about: str | None = None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        name,
        usage=None if about else "hubgan COMMAND ...",
        description=about or _ABOUT,
        epilog=None if about else _MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    if not about:
        parser.add_argument("--version", action="version", version=f"hubgan {__version__}")
    return parser


def _parse_without_command(argv: list[str]) -> None:
    """Answer --help and --version, and refuse the rest; never returns."""
    parser = _parser("hubgan")
    _, left = parser.parse_known_args(argv)
    if left[0].startswith("-"):
        _refuse(parser, left)
    parser.error(f"unknown command {left[0]!r}. {nearest(left[0], COMMANDS)}")


def _refuse(parser: argparse.ArgumentParser, words: list[str]) -> None:
    option = next((word.partition("=")[0] for word in words if word.startswith("-")), None)
    if option is None:
        parser.error(f"unexpected argument: {' '.join(words)}")
    known = dict.fromkeys(re.findall(r"(?<![\w-])--\w[\w-]*", parser.format_help()))
    parser.error(f"unknown option {option}. {nearest(option, known)}")


def _failed(name: str, error: Exception) -> int:
    """Print an error to stderr, and return the exit status."""
    if isinstance(error, BrokenPipeError):
        return 141  # as a shell reports SIGPIPE, which Python does not let through
    if isinstance(error, OSError):
        from hubgan.runtime.files import told  # `hubgan --help` reads no files

        error = told(error)
    text = error.for_command_line() if isinstance(error, HubganError) else str(error)
    print(f"{name}: error: {text}", file=sys.stderr)
    return 2
