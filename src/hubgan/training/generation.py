"""The task of image generation."""

from typing import Any

from diffusers.utils import make_image_grid
from PIL import Image
from torch import Tensor

from hubgan.data import Squares
from hubgan.evaluation import Reference, evaluate_generator
from hubgan.models import Discriminator, Generator
from hubgan.models.card import Result
from hubgan.training.config import GenerationConfig
from hubgan.training.machine import SharedRandom
from hubgan.training.penalties import Critic
from hubgan.training.task import Task

_GRID = 8


class Generation(Task[GenerationConfig]):
    """Latents to images that a discriminator takes for real ones."""

    caption = "Samples, not selected: seed 0, the first 64"
    measures = "FD-ENL0 and KD-ENL0 of {samples:,} samples"

    def __init__(self, config: GenerationConfig) -> None:
        super().__init__(config)
        c = config
        shape: dict[str, Any] = {"image_size": c.image_size, "channels": c.channels, "width": c.width}
        self.model = Generator(c.architecture, latent_dim=c.latent_dim, **shape, **_norm(c.generator_norm))
        self.discriminator = Discriminator(c.discriminator, **shape, **_norm(c.discriminator_norm))
        self.view = Squares(size=c.image_size, channels=c.channels, flip=c.flip)

    def batch(self, images: Tensor, random: SharedRandom) -> tuple[Tensor, Tensor]:
        return random.normal(len(images), self.config.latent_dim), images.float().div(127.5).sub(1)

    def generator_losses(self, critic: Critic | None, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        assert critic is not None
        return {"adversarial": self.adversarial_loss(critic, real, fake)}

    def preview(self, model: Generator) -> Image.Image:
        return make_image_grid(model.sample(_GRID**2, seed=0), _GRID, _GRID)

    def measure(self, model: Generator, reference: Reference, trained_on: Reference) -> list[Result]:
        samples, seed = self.config.eval_samples, self.config.seed
        return evaluate_generator(model, reference, samples=samples, seed=seed, floor=trained_on, progress=True)


def _norm(norm: str | None) -> dict[str, str]:
    return {} if norm is None else {"norm": norm}
