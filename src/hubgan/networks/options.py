"""Types of the networks' options: what a `config.json` may ask for, checked before any memory is taken."""

from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field


def _power_of_two(value: int) -> int:
    if value & (value - 1):
        lower = 1 << (value.bit_length() - 1)
        raise ValueError(f"must be a power of two; the nearest are {lower} and {2 * lower}")
    return value


ImageSize = Annotated[int, Field(ge=8, le=512), AfterValidator(_power_of_two)]
Channels = Literal[1, 3]
LatentDim = Annotated[int, Field(ge=1, le=4096)]
Width = Annotated[int, Field(ge=4, le=512)]
Depth = Annotated[int, Field(ge=1, le=64)]
Scale = Annotated[int, Field(ge=1, le=8)]

#: For `pydantic.validate_call` on a constructor: "64" and 64.0 are not sizes.
STRICT = ConfigDict(strict=True)
