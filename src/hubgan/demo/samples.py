"""From settings to images: what a visitor asks for, what the generator makes of it, and the files."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hubgan.demo import files, models, strings
from hubgan.demo.models import ModelRegistry
from hubgan.errors import ConfigError
from hubgan.runtime.counting import counted

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from hubgan import Generator

MAX_IMAGES = 64
DEFAULT_IMAGES = 16
MAX_SEED = 2**31 - 1
MIN_VARIETY, MAX_VARIETY = 0.3, 4.0  # the truncation; above 4 it changes next to nothing


@dataclass(frozen=True)
class GenerationSettings:
    """The settings that determine images.

    Attributes:
        model: the generator's label.
        count: the number of images, 1 to 64.
        seed: 0 to 2147483647.
        classes: names of classes that the images take in turn; if there are none, the seed draws them.
        variety: the truncation, 0.3 to 4; at 4 there is none.

    Raises:
        ConfigError: a number is out of range. `GenerationRequest.from_settings` checks the model and the classes.
    """

    model: str
    count: int = DEFAULT_IMAGES
    seed: int = 0
    classes: Sequence[str] = ()
    variety: float = MAX_VARIETY

    def __post_init__(self) -> None:
        check_count(self.count)
        check_seed(self.seed)
        if not in_range(self.variety, MIN_VARIETY, MAX_VARIETY):
            raise ConfigError(strings.VARIETY_RANGE.format(minimum=MIN_VARIETY, maximum=MAX_VARIETY))


@dataclass(frozen=True)
class GenerationRequest:
    """The input of a generator for some images, and how it came about.

    Attributes:
        model: the generator's label.
        latents: (n, latent_dim).
        labels: the numbers of the classes (n,), or None for a model without classes.
        origins: for each image the settings that make it again; they are stored in its file.
        name: the first part of the files' names.
    """

    model: str
    latents: Tensor
    labels: Tensor | None
    origins: list[dict[str, Any]]
    name: str

    @classmethod
    def from_settings(cls, registry: ModelRegistry[Generator], settings: GenerationSettings) -> GenerationRequest:
        """The images of a seed. Raises HubganError for an unknown model or class, or a model that cannot be loaded."""
        from hubgan.models.latents import truncate

        # Gradio, and programs even more, may send whole numbers as floats.
        model, count, seed = settings.model, int(settings.count), int(settings.seed)
        generator = registry.get(model)
        labels = generator.label_ids(count, list(settings.classes) or None, seed=seed)
        latents, origin = generator.latents(count, seed=seed), {"model": model, "seed": seed}
        if settings.variety < MAX_VARIETY:
            variety = float(settings.variety)
            latents, origin = truncate(latents, variety), origin | {"truncation": variety}
        origins = [origin | {"index": index} for index in range(count)]
        if labels is not None:
            for origin, number in zip(origins, labels.tolist(), strict=True):
                origin["class"] = generator.labels[number]
        return cls(model, latents, labels, origins, f"{file_name(model)}-seed{seed}")

    def similar(self, index: int, difference: float, count: int) -> GenerationRequest:
        """The image of that index, and `count` - 1 that are like it.

        Args:
            index: from 0.
            difference: from 0, the same image, to 1, unrelated ones.
            count: the number of images, 1 to 64.

        Raises:
            ConfigError: one of them is out of range.
        """
        from hubgan.models.latents import neighbours

        check_count(count)
        if not 0 <= index < len(self.latents):
            raise ConfigError(*strings.fill(strings.NO_IMAGE, index=index, images=counted(len(self.latents), "image")))
        if not in_range(difference, 0, 1):
            raise ConfigError(strings.DIFFERENCE_RANGE)
        count, seed = int(count), random_seed()
        latents = self.latents[[index] * count]
        if count > 1:
            latents[1:] = neighbours(latents[0], count - 1, spread=difference, seed=seed)
        labels = None if self.labels is None else self.labels[[index] * count]
        origin = self.origins[index]
        steps = origin.get("similar", [])
        variations = [
            origin | {"similar": [*steps, {"difference": difference, "seed": seed, "index": number}]}
            for number in range(count - 1)
        ]
        ancestors = [origin["index"], *(step["index"] + 1 for step in steps)]
        name = f"{file_name(self.model)}-seed{origin['seed']}" + "".join(f"-like{number:02d}" for number in ancestors)
        return GenerationRequest(self.model, latents, labels, [origin, *variations], name)


@dataclass(frozen=True)
class GeneratedImages:
    """Images as a visitor gets them.

    Attributes:
        request: the input that they were made from.
        files: PNG files.
        archive: a ZIP of them and of the grid.
        grid: a PNG file of all.
    """

    request: GenerationRequest
    files: list[str]
    archive: str
    grid: str

    @property
    def captions(self) -> list[str]:
        """What each image is, with the numbers that are in its file's name."""
        return [_caption(origin) for origin in self.request.origins]


def generate(registry: ModelRegistry[Generator], request: GenerationRequest) -> GeneratedImages:
    """Make the images, and save them."""
    return save(request, models.make(registry.names[request.model], request.latents, request.labels))


def save(request: GenerationRequest, images: Sequence[Image.Image]) -> GeneratedImages:
    """Save images that were made from that request."""
    return GeneratedImages(request, *files.save_samples(images, request.origins, request.name))


def random_seed() -> int:
    return random.randint(0, MAX_SEED)


def in_range(number: object, minimum: float, maximum: float) -> bool:
    """Whether that is a number in this range: a field can be empty, and a program may send anything."""
    return isinstance(number, int | float) and minimum <= number <= maximum


def check_count(count: object) -> None:
    """Raise ConfigError unless that is a possible number of images."""
    if not in_range(count, 1, MAX_IMAGES) or count != int(count):  # type: ignore[call-overload]
        raise ConfigError(strings.COUNT_RANGE.format(maximum=MAX_IMAGES))


def check_seed(seed: object) -> None:
    """Raise ConfigError unless that is a seed."""
    if not in_range(seed, 0, MAX_SEED):
        raise ConfigError(strings.SEED_RANGE.format(maximum=MAX_SEED))


def file_name(model: str) -> str:
    """The model's label as a part of a file's name."""
    return files.clean(model, default="model")


def _caption(origin: dict[str, Any]) -> str:
    form = strings.CAPTION_CLASS if "class" in origin else strings.CAPTION
    caption = form.format(name=origin.get("class"), index=origin["index"], seed=origin["seed"])
    for step in origin.get("similar", []):
        caption = strings.CAPTION_SIMILAR.format(original=caption, number=step["index"] + 1)
    return caption
