"""The task of super-resolution: a pixel loss first, then an adversarial and a perceptual loss with it."""

from collections.abc import Sequence
from typing import Any

import torch
from diffusers.utils import make_image_grid
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import interpolate, l1_loss

from hubgan.data import Images, ImageSource, RandomCrops
from hubgan.errors import ConfigError
from hubgan.images import to_image
from hubgan.models import Discriminator, Upscaler
from hubgan.training.config import UpscalingConfig
from hubgan.training.perceptual import PerceptualLoss
from hubgan.training.task import Task, decay

_SMALLEST_CROP = 16


class Upscaling(Task[UpscalingConfig]):
    """Small pictures to large ones. The small are made from the large by antialiased bicubic shrinking."""

    caption = "Left to right: bicubic, this model, the original; pictures of the training set"

    def __init__(self, config: UpscalingConfig) -> None:
        super().__init__(config)
        if config.crop_size % config.scale:
            raise ConfigError(f"crop_size ({config.crop_size}) must be a multiple of scale ({config.scale})")
        if config.crop_size < _SMALLEST_CROP:
            raise ConfigError(f"crop_size is {config.crop_size}; the discriminator needs {_SMALLEST_CROP} or more")
        c = config
        self.model = Upscaler(c.architecture, scale=c.scale, channels=c.channels, width=c.width, depth=c.depth)
        self.discriminator = Discriminator(c.discriminator, channels=c.channels, width=c.discriminator_width)
        wanted = c.perceptual_weight and c.pixel_share < 1
        self.perceptual = PerceptualLoss().to(memory_format=torch.channels_last) if wanted else None
        self._examples: Sequence[Tensor] = []

    def dataset(self, source: ImageSource, progress: bool) -> Images:
        c = self.config
        options: dict[str, Any] = {"channels": c.channels, "flip": c.flip, "seed": c.seed, "progress": progress}
        crops = RandomCrops(source, size=c.crop_size, **options)
        self._examples = [crops.whole(i) for i in range(0, len(crops), max(1, len(crops) // 4))][:4]
        return crops

    def batch(self, images: Tensor) -> tuple[Tensor, Tensor]:
        large = images.float() / 255
        return shrink(large, self.config.scale), large

    def adversarial(self, progress: float) -> bool:
        return progress >= self.config.pixel_share

    def learning_rate(self, progress: float) -> float:
        c, share = self.config, self.config.pixel_share
        if not self.adversarial(progress):
            return c.learning_rate * decay(c.lr_schedule, progress / share)
        return c.adversarial_learning_rate * decay(c.lr_schedule, self._adversarial_progress(progress))

    def discriminator_learning_rate(self, progress: float) -> float:
        return self.config.discriminator_learning_rate * decay(
            self.config.lr_schedule, max(0.0, self._adversarial_progress(progress))
        )

    def _adversarial_progress(self, progress: float) -> float:
        return (progress - self.config.pixel_share) / max(1 - self.config.pixel_share, 1e-9)

    def judged(self, images: Tensor) -> Tensor:
        return images * 2 - 1

    def generator_losses(self, discriminator: nn.Module | None, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        pixel = l1_loss(fake.float(), real)
        if discriminator is None:
            return {"pixel": pixel}
        losses = {
            "pixel": self.config.pixel_weight * pixel,
            "adversarial": self.config.adversarial_weight * self.adversarial_loss(discriminator, real, fake),
        }
        if self.perceptual is not None:
            self.perceptual.to(fake.device)
            losses["perceptual"] = self.config.perceptual_weight * self.perceptual(fake.float(), real)
        return losses

    def preview(self, model: Upscaler) -> Image.Image:
        return compare(model, self._examples)


def shrink(large: Tensor, scale: int) -> Tensor:
    """Images (N, channels, H, W) in [0, 1] to (N, channels, H/scale, W/scale), antialiased bicubic, 8 bits deep."""
    small = interpolate(large, scale_factor=1 / scale, mode="bicubic", antialias=True)
    return small.clamp(0, 1).mul(255).round().div(255)


def compare(model: Upscaler, pictures: Sequence[Tensor], side: int = 192) -> Image.Image:
    """Rows of bicubic, model, original for the middle of pictures (uint8, channels x H x W), `side` pixels wide."""
    side = min(side, *(min(picture.shape[1:]) for picture in pictures))
    side -= side % model.scale
    cells = []
    for picture in pictures:
        top, left = ((length - side) // 2 for length in picture.shape[1:])
        large = picture[:, top : top + side, left : left + side]
        small = to_image(shrink(large[None].float() / 255, model.scale)[0])
        cells += [small.resize((side, side), Image.Resampling.BICUBIC), model.upscale(small), to_image(large)]
    return make_image_grid(cells, len(pictures), 3)
