"""Types of the networks' options, which a `config.json` is checked against, and the check of labels."""

from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field
from torch import Tensor


def _power_of_two(value: int) -> int:
    if value & (value - 1):
        lower = 1 << (value.bit_length() - 1)
        raise ValueError(f"must be a power of two; the nearest are {lower} and {2 * lower}")
    return value


ImageSize = Annotated[int, Field(ge=8, le=512), AfterValidator(_power_of_two)]
Channels = Literal[1, 3]
InputChannels = Annotated[int, Field(ge=1, le=8)]
ConditionChannels = Annotated[int, Field(ge=0, le=8)]
LatentDim = Annotated[int, Field(ge=1, le=4096)]
OptionalLatentDim = Annotated[int, Field(ge=0, le=4096)]
Width = Annotated[int, Field(ge=4, le=512)]
Depth = Annotated[int, Field(ge=1, le=64)]
Scale = Annotated[int, Field(ge=1, le=8)]
Stride = Annotated[int, Field(ge=1, le=4)]
GroupWidth = Annotated[int, Field(ge=1, le=512)]
Classes = Annotated[int, Field(ge=0, le=100_000)]

#: For `pydantic.validate_call` on a constructor: "64" and 64.0 are not accepted as sizes.
STRICT = ConfigDict(strict=True)


def check_labels(classes: int, labels: Tensor | None) -> None:
    """Check that labels are given if and only if a network has classes; their range is not checked.

    Raises:
        ValueError: labels are missing, or the network has no classes.
    """
    if classes and labels is None:
        raise ValueError(f"the network has {classes} classes, so it needs labels")
    if not classes and labels is not None:
        raise ValueError("the network has no classes, so it takes no labels")
