"""What a task tells the loop: its networks, its batches, its losses, its preview."""

import math
from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

from PIL import Image
from torch import Tensor, nn

from hubgan.data import Images, ImageSource
from hubgan.models import Discriminator, HubModel
from hubgan.training.config import TrainingConfig
from hubgan.training.losses import OBJECTIVES

C = TypeVar("C", bound=TrainingConfig)


def decay(schedule: str, progress: float) -> float:
    """A learning rate's factor, from 1 at progress 0 to 0 (linear, cosine) or 1 (constant) at progress 1."""
    return {"constant": 1.0, "linear": 1 - progress, "cosine": (1 + math.cos(math.pi * progress)) / 2}[schedule]


class Task(ABC, Generic[C]):
    """One kind of training.

    Attributes:
        model: what is trained and published.
        discriminator: its opponent.
        caption: says what the preview shows.
    """

    model: HubModel
    discriminator: Discriminator
    caption: str

    def __init__(self, config: C) -> None:
        self.config = config
        self.objective = OBJECTIVES[config.objective]

    @abstractmethod
    def dataset(self, source: ImageSource, progress: bool) -> Images:
        """The training items: uint8 tensors (channels, H, W)."""

    @abstractmethod
    def batch(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 images (N, channels, H, W) on the device to the model's input and the real images."""

    def adversarial(self, progress: float) -> bool:
        """Whether the discriminator takes part at this share (0 to 1) of the budget."""
        return True

    def learning_rate(self, progress: float) -> float:
        """The generator's learning rate at this share of the budget."""
        return self.config.learning_rate * decay(self.config.lr_schedule, progress)

    def discriminator_learning_rate(self, progress: float) -> float:
        """The discriminator's learning rate at this share of the budget."""
        return self.config.discriminator_learning_rate * decay(self.config.lr_schedule, progress)

    def judged(self, images: Tensor) -> Tensor:
        """The model's output, or real images, as the discriminator wants them: in [-1, 1]."""
        return images

    def discriminator_loss(self, discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        """The discriminator's loss on real images and detached fakes."""
        real_logits, fake_logits = discriminator(self.judged(real)), discriminator(self.judged(fake.detach()))
        return self.objective.discriminator(real_logits.float(), fake_logits.float())

    def adversarial_loss(self, discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        """The generator's adversarial loss; `discriminator` has its gradients off."""
        fake_logits = discriminator(self.judged(fake)).float()
        real_logits = discriminator(self.judged(real)).float() if self.objective.paired else fake_logits
        return self.objective.generator(real_logits, fake_logits)

    @abstractmethod
    def generator_losses(self, discriminator: nn.Module | None, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """The weighed terms of the generator's loss; `discriminator` is None while it takes no part."""

    @abstractmethod
    def preview(self, model: Any) -> Image.Image:
        """A picture of what `model` can do, on fixed inputs."""
