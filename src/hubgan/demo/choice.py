"""Which models the demo shows: those that the caller or the environment names, or hubgan's own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

Kind = Literal["generators", "upscalers", "translators"]

OWNER = "YOU"  # stands for the user or organisation of the Hub that publishes hubgan's own models
OWN: dict[Kind, list[str]] = {
    "generators": ["cifar-r3gan", "cifar-dcgan"],
    "upscalers": ["photo-x4", "photo-x2", "photo-x4-restore"],
    "translators": ["sketch-to-emoji"],
}
_CARDS = Path(__file__).resolve().parents[3] / "model_cards"  # in a checkout


def variable_of(kind: Kind) -> str:
    """The environment variable that names models of a kind."""
    return f"HUBGAN_{kind.upper()}"


def chosen(kind: Kind, otherwise: Sequence[str] | None = None, *, beside: Path | None = None) -> list[str]:
    """The models of one kind that the environment names, or else other ones.

    Args:
        kind: HUBGAN_GENERATORS, HUBGAN_UPSCALERS or HUBGAN_TRANSLATORS names models of this kind: Hub names or
            folders, separated by commas.
        otherwise: the models if that variable is not set; None stands for hubgan's own. In a checkout these are
            folders in `model_cards`, elsewhere Hub names.
        beside: a folder; those of `otherwise` that are folders in it are meant.
    """
    variable = variable_of(kind)
    if variable in os.environ:
        return [name.strip() for name in os.environ[variable].split(",") if name.strip()]
    if otherwise is None:
        return [str(_CARDS / name) if _CARDS.is_dir() else f"{OWNER}/{name}" for name in OWN[kind]]
    return [str(beside / name) if beside and (beside / name).is_dir() else name for name in otherwise]
