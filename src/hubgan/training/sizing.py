"""Options of a generator's training that follow from the number of images: `--auto`."""

import logging
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypeVar

from hubgan.errors import ConfigError
from hubgan.runtime.counting import counted
from hubgan.training.config import OptimisationOptions, TrainingConfig
from hubgan.training.describe import number

logger = logging.getLogger(__name__)

Auto = Literal["batch_size", "augment_probability", "max_images", "ema_half_life"]
_PROBABILITY = "augment_probability"
_AVERAGED = 0.02  # the half-life of the average, as a share of the budget


class _Sizing(NamedTuple):
    """What suits a data set from a number of images on."""

    fewest: int
    batch_size: int
    augment_probability: float
    max_images: int


# Rules of thumb. DiffAugment (Zhao et al. 2020, https://arxiv.org/abs/2006.10738) has probability 1 for a hundred
# images. ADA (Karras et al. 2020, https://arxiv.org/abs/2006.06676) starts at 0 and needs half a million images to
# reach 1, which is longer than these runs.
_SIZINGS = (
    _Sizing(1, 8, 1.0, 100_000),
    _Sizing(300, 16, 1.0, 200_000),
    _Sizing(1_000, 16, 0.7, 400_000),
    _Sizing(5_000, 32, 0.4, 800_000),
    _Sizing(20_000, 64, 0.2, 2_000_000),
)


class SizedOptions(OptimisationOptions):
    """The budget and the optimizers, some of them by the number of images."""

    auto: tuple[Auto, ...] = ()
    """Choose these options by the number of images: batch_size, augment_probability, max_images, ema_half_life. An
    option that is given too keeps its value. The plan and the saved recipe hold the numbers."""


class SizedConfig(SizedOptions, TrainingConfig):
    """Options of which some may follow from the number of images."""


C = TypeVar("C", bound=SizedConfig)


def sized(config: C, images: int | None, recorded: Mapping[str, Any]) -> C:
    """The options with those of `auto` chosen, each reported with its reason.

    Args:
        config: the options as they were given.
        images: the number of images; None if it is unknown, so that the recipe's own values hold.
        recorded: the options of the run that is resumed, which hold as they were chosen then; empty for a new run.

    Raises:
        ConfigError: a probability of augmentation is asked for without operations to apply.
    """
    if config.augment_target is not None:  # which sets the probability itself
        config = config.model_copy(update={"auto": tuple(each for each in config.auto if each != _PROBABILITY)})
    if _PROBABILITY in config.auto and not config.augment:
        raise ConfigError(
            "auto chooses augment_probability, but there is no augmentation",
            "Pass --augment color translation cutout, or --augment_probability 1",
        )
    chosen: dict[str, Any] = {}
    if recorded:
        chosen = {name: recorded[name] for name in config.auto if name in recorded}
    elif images is None:
        logger.info("The number of images is unknown, so these keep the recipe's values: %s", ", ".join(config.auto))
    else:
        chosen = _chosen(config, images)
    return config.model_copy(update=chosen | {"auto": ()})


def _chosen(config: SizedConfig, images: int) -> dict[str, Any]:
    sizing = next(each for each in reversed(_SIZINGS) if images >= each.fewest or each is _SIZINGS[0])
    budget = sizing.max_images if "max_images" in config.auto else config.max_images or sizing.max_images
    pictures = counted(images, "image")
    choices: dict[str, tuple[float, str]] = {
        "batch_size": (sizing.batch_size, f"small batches make more updates of {pictures}"),
        "augment_probability": (
            sizing.augment_probability,
            f"the discriminator would soon know {pictures} by heart without augmentation",
        ),
        "max_images": (budget, f"each of {pictures} is seen about {number(round(budget / max(images, 1)))} times"),
        "ema_half_life": (round(budget * _AVERAGED), f"{_AVERAGED:.0%} of the budget"),
    }
    for name in config.auto:
        logger.info("Chosen: %s %s, as %s", name, number(choices[name][0]), choices[name][1])
    return {name: choices[name][0] for name in config.auto}
