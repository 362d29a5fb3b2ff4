"""Values that change in the course of a run, by the share of its budget that is used up and never by steps.

So a schedule means the same whatever the batch size and the number of processes. With a budget in images the share
is that of the images seen; with one in minutes it follows the clock.
"""

import math
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Probability = Annotated[float, Field(ge=0, le=1)]
Beta = Annotated[float, Field(ge=0, lt=1)]

# One number holds throughout; of two the first holds at the start and the second at the end.
PositiveSchedule: TypeAlias = Positive | tuple[Positive, NonNegative]
NonNegativeSchedule: TypeAlias = NonNegative | tuple[NonNegative, NonNegative]
ProbabilitySchedule: TypeAlias = Probability | tuple[Probability, Probability]
BetaSchedule: TypeAlias = Beta | tuple[Beta, Beta]
Schedule: TypeAlias = float | tuple[float, float]

Shape: TypeAlias = Literal["linear", "cosine"]


def value_at(schedule: Schedule, progress: float, shape: Shape) -> float:
    """What a schedule says at `progress`, from 0 (start) to 1 (end; held beyond it).

    Args:
        schedule: one number, or two of which the first is left and the second reached.
        progress: 0 to 1.
        shape: `linear`, or `cosine`: half a cosine wave, slow at both ends.
    """
    if not isinstance(schedule, tuple):
        return schedule
    start, end = schedule
    progress = min(max(progress, 0.0), 1.0)
    way = progress if shape == "linear" else (1 - math.cos(math.pi * progress)) / 2
    return start + (end - start) * way


def at_zero(schedule: Schedule) -> float:
    """Where a schedule begins."""
    return schedule[0] if isinstance(schedule, tuple) else schedule


def is_used(schedule: Schedule) -> bool:
    """Whether a schedule is ever other than 0."""
    return any(schedule) if isinstance(schedule, tuple) else bool(schedule)


def is_schedule(value: object) -> bool:
    """Whether a value is given as two numbers."""
    return isinstance(value, tuple) and len(value) == 2 and all(isinstance(part, float | int) for part in value)
