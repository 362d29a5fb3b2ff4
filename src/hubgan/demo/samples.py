"""What visitors are shown of a generator: images, and all that makes more like them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hubgan.demo import files, models, strings
from hubgan.demo.models import ModelRegistry
from hubgan.errors import ConfigError

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from hubgan import Generator

MAX_IMAGES = 64
FIRST_IMAGES = 16  # where nobody says how many
MAX_SEED = 2**31 - 1
LEAST_VARIETY, MOST_VARIETY = 0.3, 4.0  # the truncation; beyond the latter it changes next to nothing


@dataclass(frozen=True)
class GenerationRequest:
    """Images before they are made.

    Attributes:
        model: the generator's label.
        latents: (n, latent_dim).
        labels: the numbers of their classes (n,), of a model that has some.
        origins: of each what makes it again.
        name: what the names of the files say of where the images come from.
    """

    model: str
    latents: Tensor
    labels: Tensor | None
    origins: list[dict[str, Any]]
    name: str


@dataclass(frozen=True)
class Shown:
    """Images as a visitor sees them.

    Attributes:
        drawn: what they were made of; each image's file holds its own origin.
        files: PNG files.
        archive: a ZIP of them and of the sheet.
        sheet: a PNG file of all.
    """

    drawn: GenerationRequest
    files: list[str]
    archive: str
    sheet: str

    def captioned(self) -> list[tuple[str, str]]:
        """The files with what to say of each."""
        return [(file, _caption(origin)) for file, origin in zip(self.files, self.drawn.origins, strict=True)]


def draw(
    shelf: ModelRegistry[Generator], model: str, count: int, seed: int, classes: Sequence[str], variety: float
) -> GenerationRequest:
    """Images of a seed. Raises ConfigError for what is out of range or a class that the model has not."""
    check_count(count)
    check_seed(seed)
    if not within(variety, LEAST_VARIETY, MOST_VARIETY):
        raise ConfigError(strings.VARIETY_RANGE.format(least=LEAST_VARIETY, most=MOST_VARIETY))
    from hubgan.models.latents import truncate

    count, seed, variety = int(count), int(seed), float(variety)
    generator = shelf.get(model)
    labels = generator.label_ids(count, list(classes) or None, seed=seed)
    latents, origin = generator.latents(count, seed=seed), {"model": model, "seed": seed}
    if variety < MOST_VARIETY:
        latents, origin = truncate(latents, variety), origin | {"truncation": variety}
    origins = [origin | {"index": index} for index in range(count)]
    if labels is not None:
        origins = [
            origin | {"class": generator.labels[number]}
            for origin, number in zip(origins, labels.tolist(), strict=True)
        ]
    return GenerationRequest(model, latents, labels, origins, f"{file_name(model)}-seed{seed}")


def similar_to(drawn: GenerationRequest, picked: int, difference: float, count: int) -> GenerationRequest:
    """An image and others like it, in front the same one. Raises ConfigError for what is out of range."""
    check_count(count)
    if not 0 <= picked < len(drawn.latents):
        raise ConfigError(strings.NO_IMAGE.format(count=len(drawn.latents), picked=picked))
    if not within(difference, 0, 1):
        raise ConfigError(strings.DIFFERENCE_RANGE)
    from hubgan.models.latents import neighbours

    count, noise = int(count), random.randint(0, MAX_SEED)
    latents = drawn.latents[[picked] * count]
    if count > 1:
        latents[1:] = neighbours(latents[0], count - 1, spread=difference, seed=noise)
    labels = None if drawn.labels is None else drawn.labels[[picked] * count]
    origin = drawn.origins[picked]
    steps = origin.get("similar", [])
    origins = [origin] + [
        origin | {"similar": [*steps, {"difference": difference, "seed": noise, "index": index}]}
        for index in range(count - 1)
    ]
    return GenerationRequest(
        drawn.model, latents, labels, origins, f"{file_name(drawn.model)}-seed{origin['seed']}-like{picked:02d}"
    )


def make(shelf: ModelRegistry[Generator], drawn: GenerationRequest) -> Shown:
    """The images, made and written."""
    return write(drawn, models.make(shelf.names[drawn.model], drawn.latents, drawn.labels))


def write(drawn: GenerationRequest, images: list[Image.Image]) -> Shown:
    """The images that were made of it, written."""
    return Shown(drawn, *files.save_samples(images, drawn.origins, drawn.name))


def within(number: object, least: float, most: float) -> bool:
    """Whether that is a number in this range: a field can be empty, and a program may send anything."""
    return isinstance(number, int | float) and least <= number <= most


def check_count(count: float | None) -> None:
    """Raise ConfigError where there cannot be so many images at once."""
    if count is None or not within(count, 1, MAX_IMAGES) or count != int(count):
        raise ConfigError(strings.COUNT_RANGE.format(most=MAX_IMAGES))


def check_seed(seed: float | None) -> None:
    """Raise ConfigError where that is no seed."""
    if not within(seed, 0, MAX_SEED):
        raise ConfigError(strings.SEED_RANGE.format(most=MAX_SEED))


def file_name(model: str) -> str:
    """What the names of files say of the model."""
    return files.clean(model, otherwise="model")


def _caption(origin: dict[str, Any]) -> str:
    where = {"index": origin["index"], "seed": origin["seed"]}
    form = strings.CAPTION_CLASS if "class" in origin else strings.CAPTION
    caption = form.format(name=origin.get("class"), **where)
    for step in origin.get("similar", []):
        caption = strings.CAPTION_SIMILAR.format(other=caption, number=step["index"] + 1)
    return caption
