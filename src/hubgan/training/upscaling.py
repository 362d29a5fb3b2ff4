"""The task of super-resolution: a pixel loss first, then an adversarial and a perceptual loss with it."""

from collections.abc import Sequence

import torch
from diffusers.utils import make_image_grid
from PIL import Image
from torch import Tensor
from torch.nn.functional import l1_loss

from hubgan.data import Crops, ImageSource
from hubgan.errors import ConfigError
from hubgan.evaluation import Reference, evaluate_upscaler
from hubgan.images import to_image
from hubgan.metrics import shrink
from hubgan.models import Discriminator, Upscaler
from hubgan.models.card import Result
from hubgan.training.config import UpscalingConfig
from hubgan.training.machine import SharedRandom
from hubgan.training.penalties import Critic
from hubgan.training.perceptual import PerceptualLoss
from hubgan.training.task import Task

_SMALLEST_CROP = 16
_EXAMPLES = 4


class Upscaling(Task[UpscalingConfig]):
    """Small pictures to large ones. The small are made from the large by antialiased bicubic shrinking."""

    caption = "Left to right: bicubic, this model, the original; pictures of the training set"
    measures = "PSNR and SSIM of at most {samples:,} pictures"

    def __init__(self, config: UpscalingConfig) -> None:
        super().__init__(config)
        if config.crop_size % config.scale:
            raise ConfigError(f"crop_size ({config.crop_size}) must be a multiple of scale ({config.scale})")
        if config.crop_size < _SMALLEST_CROP:
            raise ConfigError(f"crop_size is {config.crop_size}; the discriminator needs {_SMALLEST_CROP} or more")
        c = config
        self.model = Upscaler(c.architecture, scale=c.scale, channels=c.channels, width=c.width, depth=c.depth)
        norm = {} if c.discriminator_norm is None else {"norm": c.discriminator_norm}
        self.discriminator = Discriminator(c.discriminator, channels=c.channels, width=c.discriminator_width, **norm)
        self.view = Crops(size=c.crop_size, channels=c.channels, flip=c.flip)
        wanted = c.perceptual_weight and c.pixel_share < 1
        self.perceptual = PerceptualLoss().to(memory_format=torch.channels_last) if wanted else None
        self._examples: Sequence[Tensor] = []

    def batch(self, images: Tensor, random: SharedRandom) -> tuple[Tensor, Tensor]:
        large = images.float() / 255
        return shrink(large, self.config.scale), large

    def adversarial(self, progress: float) -> bool:
        return progress >= self.config.pixel_share

    def phase(self, progress: float) -> float:
        share = self.config.pixel_share
        return (progress - share) / max(1 - share, 1e-9) if self.adversarial(progress) else progress / share

    def learning_rate(self, progress: float) -> float:
        c = self.config
        return self.scheduled(c.adversarial_learning_rate if self.adversarial(progress) else c.learning_rate, progress)

    def judged(self, images: Tensor) -> Tensor:
        return images * 2 - 1

    def generator_losses(self, critic: Critic | None, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        pixel = l1_loss(fake.float(), real)
        if critic is None:
            return {"pixel": pixel}
        losses = {
            "pixel": self.config.pixel_weight * pixel,
            "adversarial": self.config.adversarial_weight * self.adversarial_loss(critic, real, fake),
        }
        if self.perceptual is not None:
            self.perceptual.to(fake.device)
            losses["perceptual"] = self.config.perceptual_weight * self.perceptual(fake.float(), real)
        return losses

    def look_at(self, source: ImageSource) -> None:
        self._examples = source.examples(self.view, _EXAMPLES)

    def preview(self, model: Upscaler) -> Image.Image:
        return compare(model, self._examples)

    def measure(self, model: Upscaler, reference: Reference, trained_on: Reference) -> list[Result]:
        return evaluate_upscaler(
            model, reference, samples=self.config.eval_samples, seed=self.config.seed, progress=True
        )


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
