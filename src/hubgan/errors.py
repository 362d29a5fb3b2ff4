"""Errors whose message is meant for a person: what is wrong, with which thing, and what to do about it.

The command line prints them without a stack trace. Any other exception is a defect of hubgan.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import NamedTuple, TypeVar

Self = TypeVar("Self", bound="HubganError")


class Remedy(NamedTuple):
    """What to do about an error, where Python and the command line have different words for it."""

    python: str
    command_line: str


class HubganError(ValueError):
    """Base of the errors below; catching it catches every complaint hubgan has about its input.

    Args:
        message: what is wrong, and with which thing; no full stop at the end.
        remedy: what to do about it, as a sentence without its full stop. A `Remedy` has one wording for Python and
            one for the command line.

    `str()` gives the message and the remedy in Python's words; `for_command_line()` gives both as `hubgan` and
    `train.py` print them.
    """

    def __init__(self, message: str, remedy: str | Remedy = "") -> None:
        super().__init__(message, remedy)  # both are in `args`, so that the error can be pickled
        self.message = message
        self.remedy = remedy if isinstance(remedy, Remedy) else Remedy(remedy, remedy)

    def __str__(self) -> str:
        return _sentences(self.message, self.remedy.python)

    def for_command_line(self) -> str:
        """The message, and the remedy as an option or a command."""
        return _sentences(self.message, self.remedy.command_line)

    def with_context(self: Self, prefix: str = "", remedy: str | Remedy = "") -> Self:
        """The same error, with more to say about it.

        Args:
            prefix: stands in front of the message, such as "config.json: ".
            remedy: another sentence, after the error's own remedy.
        """
        python, command_line = remedy if isinstance(remedy, Remedy) else (remedy, remedy)
        both = Remedy(_sentences(self.remedy.python, python), _sentences(self.remedy.command_line, command_line))
        return type(self)(prefix + self.message, both)


class ConfigError(HubganError):
    """An option, a recipe or a `config.json` holds something that cannot be used."""


class DataError(HubganError):
    """A data set cannot be found, read, or used for training."""


class UnreachableError(DataError):
    """A data set is not on this machine, and the Hub gave none of its name: it may have no connection."""


class TrainingError(HubganError):
    """A run cannot continue: its numbers are no longer finite, or it cannot be saved."""


class ImageError(HubganError):
    """A picture cannot be read, is empty, or is too large."""


class ModelError(HubganError):
    """A model cannot be found, or its weights do not fit its network."""


def nearest(word: object, known: Iterable[str]) -> str:
    """The remedy for an unknown word: the known word that is most like it, or else all of them."""
    known = list(known)
    matches = get_close_matches(str(word), known, n=1)
    return f"Did you mean {matches[0]!r}?" if matches else f"Known: {', '.join(known)}"


def _sentences(*parts: str) -> str:
    """Sentences in a row, with full stops between those that end in no punctuation of their own."""
    text = ""
    for part in filter(None, parts):
        text += (" " if text.endswith(("?", "!", ".")) else ". ") * bool(text) + part
    return text
