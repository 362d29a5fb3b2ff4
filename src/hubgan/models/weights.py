"""`model.safetensors`: read, compared with its network, and mixed with other weights."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from hubgan.errors import ModelError, Remedy
from hubgan.models.config import CONFIG

_COMPILED = "_orig_mod."  # in the names of what `torch.compile` wraps
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def read_weights(file: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, by their `plain_names`.

    Raises:
        ModelError: it is no whole safetensors file.
    """
    try:
        return plain_names(load_file(file))
    except (SafetensorError, OSError) as error:
        raise damaged(file, error) from error


def plain_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights by the names that they have without `torch.compile`."""
    return {name.replace(_COMPILED, ""): weight for name, weight in weights.items()}


def damaged(file: Path, error: Exception) -> ModelError:
    """The error for a file that is no whole safetensors file."""
    return ModelError(
        f"{file} is damaged or incomplete ({error})",
        Remedy(
            "Copy it again, or download it again with force_download=True",
            "Copy it again, or delete it to download it again",
        ),
    )


@torch.no_grad()
def mix(model: nn.Module, file: Path, share: float) -> None:
    """Move a model's weights towards those of a file, in place (network interpolation: Wang et al. 2018,
    https://arxiv.org/abs/1809.00219, section 3.4).

    Args:
        model: the model to change.
        file: weights of the same network.
        share: 0 keeps the model's weights, 1 replaces them by those of the file.

    Raises:
        ModelError: the file is damaged, or its weights do not fit.
    """
    others = read_weights(file)
    own = model.state_dict()
    check_fit(file, own, others, strict=True)
    for key, weight in own.items():
        weight.copy_(weight.lerp(others[key].to(weight), share) if weight.is_floating_point() else weight)


def check_fit(file: Path, wanted: Mapping[str, Tensor], found: Mapping[str, Tensor], strict: bool) -> None:
    """Raise a ModelError that lists every way in which weights do not fit a network; return if they fit."""
    complaints = []
    if strict and (missing := [key for key in wanted if key not in found]):
        complaints.append(f"missing {_few(missing)}")
    if strict and (extra := [key for key in found if key not in wanted]):
        complaints.append(f"unexpected {_few(extra)}")
    if len({tensor.dtype for key, tensor in found.items() if key in wanted and wanted[key].is_floating_point()}) > 1:
        complaints.append("their dtypes differ")
    unusable = {
        str(tensor.dtype) for key, tensor in found.items() if key in wanted and not _usable(tensor, wanted[key])
    }
    if unusable:
        complaints.append(f"they are {', '.join(sorted(unusable))}")
    shapes = [
        f"{key} is {tuple(found[key].shape)}, the network has {tuple(wanted[key].shape)}"
        for key in wanted
        if key in found and found[key].shape != wanted[key].shape
    ]
    if shapes:
        complaints.append(_few(shapes))
    if complaints:
        raise ModelError(
            f"the weights in {file} do not fit the network that {CONFIG} describes: {'; '.join(complaints)}"
        )


def _usable(tensor: Tensor, wanted: Tensor) -> bool:
    return tensor.dtype in _FLOATS if wanted.is_floating_point() else tensor.dtype == wanted.dtype


def _few(items: list[str]) -> str:
    return ", ".join(items[:4]) + (f" and {len(items) - 4} more" if len(items) > 4 else "")
