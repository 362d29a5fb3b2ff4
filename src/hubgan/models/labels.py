"""Classes of images: their names and numbers, and their weights if classes are mixed."""

import operator
from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from hubgan.errors import ConfigError, nearest

Labels: TypeAlias = int | str | Sequence[int | str]
"""Classes by number or name: one for all images, or several that are used in turn."""


def numbers_of(labels: Labels, n: int, names: Sequence[str]) -> Tensor:
    """The numbers of `n` images' classes, int64 (n,): `labels` in turn.

    Args:
        labels: names or numbers.
        n: the number of images.
        names: of the model's classes; empty for a model without classes.

    Raises:
        ConfigError: an unknown label, none, or labels for a model without classes.
    """
    if not names:
        raise ConfigError("this model has no classes", "Leave out labels")
    wanted = [labels] if isinstance(labels, int | str) else list(labels)
    if not wanted:
        raise ConfigError("labels is empty", "Pass at least one label, or leave out labels")
    numbers = torch.tensor([_number(label, names) for label in wanted])
    return numbers.repeat(-(-n // len(wanted)))[:n]


def check_labels(labels: Tensor | None, n: int, classes: int) -> None:
    """Check labels as a network takes them.

    Args:
        labels: numbers of classes, int64 (n,), or their weights, float (n, classes).
        n: the number of images.
        classes: how many classes the model has, 0 for none.

    Raises:
        ConfigError: labels of another kind or out of range; missing ones; or labels for a model without classes.
    """
    if (labels is not None) != bool(classes):
        if classes:
            raise ConfigError(f"this model has {classes} classes", "Pass labels, as label_ids makes them")
        raise ConfigError("this model has no classes", "Leave out labels")
    if labels is None:
        return
    if labels.is_floating_point() and labels.shape == (n, classes):
        if not bool(labels.isfinite().all()):
            raise ConfigError("weights of classes must be finite")
        return
    if labels.shape != (n,) or labels.dtype != torch.int64:
        raise ConfigError(
            f"labels must be int64 ({n},), or weights of the classes, float ({n}, {classes}); got {labels.dtype}"
            f" {tuple(labels.shape)}"
        )
    if not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise ConfigError(f"labels must be numbers from 0 to {classes - 1}")


def _number(label: int | str, names: Sequence[str]) -> int:
    if isinstance(label, str) and label in names:
        return names.index(label)
    if isinstance(label, str) and label.isdecimal():  # from a command line
        return _number(int(label), names)
    if not isinstance(label, str) and 0 <= (number := operator.index(label)) < len(names):
        return number
    if isinstance(label, str):
        raise ConfigError(f"the model has no class {label!r}", nearest(label, names))
    raise ConfigError(f"the model has no class {label!r}", f"Its classes are 0 to {len(names) - 1}")
