"""Errors whose message is meant for a person: what is wrong, with which thing, and what to do about it.

The command line prints them without a stack trace; everything else that is raised is a defect of hubgan.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class HubganError(ValueError):
    """Base of the errors below; catching it catches every complaint hubgan has about its input."""


class ConfigError(HubganError):
    """An option, a recipe or a `config.json` holds something that cannot be used."""


class DataError(HubganError):
    """A data set cannot be found, read, or used for training."""


class TrainingError(HubganError):
    """A run cannot go on: its numbers are no longer finite, or it cannot be saved."""


class ImageError(HubganError):
    """A picture cannot be read, is empty, or is too large."""


class ModelError(HubganError):
    """A model cannot be found, or its weights do not fit its network."""


def nearest(word: object, known: Iterable[str]) -> str:
    """The end of a message about an unknown word: the nearest known one, or all of them."""
    known = list(known)
    matches = get_close_matches(str(word), known, n=1)
    return f"; did you mean {matches[0]!r}?" if matches else f"; known: {', '.join(known)}"
