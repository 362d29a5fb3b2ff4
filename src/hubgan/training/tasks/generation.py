"""The task of image generation."""

from collections.abc import Mapping
from typing import Any

from PIL import Image
from torch import Tensor, nn

from hubgan.data import ImageSource, Squares
from hubgan.evaluation import Reference, evaluate_generator
from hubgan.media.grid import ImageGrid
from hubgan.models import Discriminator, Generator
from hubgan.models.card import Result
from hubgan.models.config import network_options
from hubgan.networks import DISCRIMINATORS, GENERATORS
from hubgan.runtime.seeding import SharedRandom
from hubgan.training.config import GenerationConfig
from hubgan.training.penalties import Critic
from hubgan.training.task import Task

_GRID = 8


class Generation(Task[GenerationConfig]):
    """Latents to images that a discriminator takes for real ones."""

    model: Generator
    caption = "Samples, not selected: seed 0, the first 64"
    measures = "FD-ENL0, KD-ENL0 and the like of {samples:,} samples"

    def __init__(self, config: GenerationConfig) -> None:
        super().__init__(config)
        self.labelled = config.conditional
        self.transform = Squares(size=config.image_size, channels=config.channels, flip=config.flip)
        self._build(("0", "1") if config.conditional else ())  # to find wrong options before the data are looked at

    def look_at(self, source: ImageSource) -> None:
        if self.config.conditional:
            source.check_labels()
            self._build(source.classes)

    def _build(self, classes: tuple[str, ...]) -> None:
        c = self.config
        both = {"image_size": c.image_size, "channels": c.channels}
        generator = _given(latent_dim=c.latent_dim, width=c.width, norm=c.generator_norm)
        judge = _given(width=c.discriminator_width or c.width, norm=c.discriminator_norm, classes=len(classes) or None)
        for name, value in _given(depth=c.depth, group_width=c.group_width, patch=c.patch).items():
            judges = _knows(DISCRIMINATORS, c.discriminator, name)
            if judges:
                judge[name] = value
            if _knows(GENERATORS, c.architecture, name) or not judges:  # or none of them, which is an error there
                generator[name] = value
        self.model = Generator(c.architecture, labels=classes, **both, **generator)
        self.discriminator = Discriminator(c.discriminator, **both, **judge)

    def batch(self, images: Tensor, random: SharedRandom) -> tuple[Tensor, Tensor]:
        return random.normal(len(images), self.model.latent_dim), images.float().div(127.5).sub(1)

    def generator_losses(self, critic: Critic | None, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        assert critic is not None
        return {"adversarial": self.adversarial_loss(critic, real, fake)}

    def preview(self, model: Generator) -> Image.Image:
        sheet = ImageGrid(_GRID**2, (model.image_size,) * 2)
        for image in model.sample(_GRID**2, seed=0, labels=model.labels or None):
            sheet.add(image)
        return sheet.image

    def measure(self, model: Generator, reference: Reference, trained_on: Reference) -> list[Result]:
        samples, seed = self.config.eval_samples, self.config.seed
        return evaluate_generator(model, reference, samples=samples, seed=seed, floor=trained_on, progress=True)


def _given(**options: Any) -> dict[str, Any]:
    """The options that are not None: for the others an architecture has values of its own, or does not know them."""
    return {name: value for name, value in options.items() if value is not None}


def _knows(networks: Mapping[str, type[nn.Module]], architecture: str, option: str) -> bool:
    return architecture in networks and option in network_options(networks, architecture)
