"""The task of image generation."""

from typing import Any

import torch
from diffusers.utils import make_image_grid
from PIL import Image
from torch import Tensor, nn

from hubgan.data import Images, ImageSource, SquareImages
from hubgan.models import Discriminator, Generator
from hubgan.training.config import GenerationConfig
from hubgan.training.task import Task

_GRID = 8


class Generation(Task[GenerationConfig]):
    """Latents to images that a discriminator takes for real ones."""

    caption = "Samples, not selected: seed 0, the first 64"

    def __init__(self, config: GenerationConfig) -> None:
        super().__init__(config)
        shape = {"image_size": config.image_size, "channels": config.channels, "width": config.width}
        self.model = Generator(config.architecture, latent_dim=config.latent_dim, **shape)
        self.discriminator = Discriminator(config.discriminator, **shape)

    def dataset(self, source: ImageSource, progress: bool) -> Images:
        c = self.config
        options: dict[str, Any] = {"channels": c.channels, "flip": c.flip, "seed": c.seed, "progress": progress}
        return SquareImages(source, size=c.image_size, **options)

    def batch(self, images: Tensor) -> tuple[Tensor, Tensor]:
        latents = torch.randn(len(images), self.config.latent_dim, device=images.device)
        return latents, images.float().div(127.5).sub(1)

    def generator_losses(self, discriminator: nn.Module | None, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        assert discriminator is not None
        return {"adversarial": self.adversarial_loss(discriminator, real, fake)}

    def preview(self, model: Generator) -> Image.Image:
        return make_image_grid(model.sample(_GRID**2, seed=0), _GRID, _GRID)
