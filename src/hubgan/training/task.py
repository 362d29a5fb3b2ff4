"""What a task tells the loop: its networks, its batches, its losses, its preview."""

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

from PIL import Image
from torch import Tensor

from hubgan.data import ImageSource, Transform
from hubgan.evaluation import Reference
from hubgan.models import Discriminator, HubModel
from hubgan.models.card import Result
from hubgan.runtime.seeding import SharedRandom
from hubgan.training.config import TrainingConfig
from hubgan.training.losses import OBJECTIVES
from hubgan.training.penalties import Critic
from hubgan.training.schedules import Schedule, value_at

C = TypeVar("C", bound=TrainingConfig)


class Task(ABC, Generic[C]):
    """One kind of training.

    Attributes:
        model: what is trained and published.
        discriminator: its opponent.
        transform: what training sees of an image.
        labelled: whether the networks take the numbers of the images' classes too.
        caption: says what the preview shows.
        measures: says what `measure` measures, with `samples` for how many.
        before_adversarial: the file for the weights that an adversarial part begins with, where they are published.
    """

    model: HubModel
    discriminator: Discriminator
    transform: Transform
    labelled: bool = False
    caption: str
    measures: str
    before_adversarial: str | None = None

    def __init__(self, config: C) -> None:
        self.config = config
        self.objective = OBJECTIVES[config.objective]

    @abstractmethod
    def batch(self, images: Tensor, random: SharedRandom) -> tuple[Tensor, Tensor]:
        """uint8 images (N, channels, H, W) on the device to the model's input and the real images."""

    def pretrained(self, name: str) -> HubModel:
        """The published model called `name`, with the weights that this training begins with."""
        return type(self.model).from_pretrained(name)

    def adversarial(self, progress: float) -> bool:
        """Whether the discriminator takes part at this share (0 to 1) of the budget."""
        return True

    def phase(self, progress: float) -> float:
        """The share of the present part of the run, where it has several: values given as two numbers go by it."""
        return progress

    def learning_rate(self, progress: float) -> float:
        """The generator's learning rate at this share of the budget."""
        return self.scheduled(self.config.learning_rate, progress)

    def scheduled(self, schedule: Schedule, progress: float) -> float:
        """What a schedule says at this share of the budget."""
        return value_at(schedule, self.phase(progress) / self.config.schedule_share, self.config.schedule)

    def judged(self, images: Tensor) -> Tensor:
        """The model's output, or real images, as the discriminator wants them: in [-1, 1]."""
        return images

    def adversarial_loss(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        """The generator's adversarial loss by the logits that `critic` gives."""
        fake_logits = critic(self.judged(fake)).float()
        real_logits = critic(self.judged(real)).float() if self.objective.paired else fake_logits
        return self.objective.generator(real_logits, fake_logits)

    @abstractmethod
    def generator_losses(self, critic: Critic | None, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """The weighed terms of the generator's loss.

        Args:
            critic: the discriminator's logits of images in [-1, 1]; None while it takes no part.
            real: real images.
            fake: the model's output for the same batch.
        """

    def look_at(self, source: ImageSource) -> None:
        """Called once with the data set, before the networks are used: what a task wants to know of it."""

    @abstractmethod
    def preview(self, model: Any) -> Image.Image:
        """A picture of what `model` can do, on fixed inputs."""

    @abstractmethod
    def measure(self, model: Any, reference: Reference, trained_on: Reference) -> list[Result]:
        """The figures of `model`, by `eval_samples` images against a reference, given what it was trained on."""
