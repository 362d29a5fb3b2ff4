"""Numbers that are NaN or infinite: they must not become a picture, a file or a figure."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from hubgan.errors import ModelError, Remedy

if TYPE_CHECKING:
    from hubgan.models.base import HubModel


def is_finite(output: Tensor) -> bool:
    """Whether a network's output holds neither NaN nor infinity."""
    # NaN and infinity survive a sum, which takes a tenth of the time of `isfinite` for each number.
    return bool(output.sum(dtype=torch.float32).isfinite())


def check_weights(model: "HubModel") -> None:
    """Raise a ModelError that names the model if its weights hold NaN or infinity."""
    if not all(bool(weight.isfinite().all()) for weight in model.state_dict().values()):
        raise ModelError(
            f"the weights of {_name(model)} hold NaN or infinity, so its pictures would be wrong",
            "Use an earlier checkpoint of the model, or download it again",
        )


def not_finite(model: "HubModel") -> ModelError:
    """The error for a model whose output is not finite: it names the model, and says whether its weights are."""
    try:
        check_weights(model)
    except ModelError as error:
        return error
    message = f"{_name(model)} computes NaN or infinity in {str(model.dtype).removeprefix('torch.')}"
    if model.dtype.itemsize >= torch.float32.itemsize:
        return ModelError(f"{message}, so there is no picture", "Use other weights")
    kind, name = model._kind(), model.loaded_from
    command = f"import torch, hubgan; model = hubgan.{kind}.from_pretrained({name!r}, dtype=torch.float32)"
    return ModelError(
        f"{message}, so there is no picture",
        Remedy(
            "Load it with dtype=torch.float32",
            f"Save it in float32, and use that: python -c \"{command}; model.save_pretrained('float32')\"",
        ),
    )


def _name(model: "HubModel") -> str:
    return model.loaded_from or f"this {model._kind()}"
