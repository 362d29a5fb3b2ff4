"""The game between a generator and a discriminator, which tasks share: objective, penalties, augmentation."""

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from hubgan.errors import ConfigError
from hubgan.training.augmentation import DiffAugment
from hubgan.training.config import TrainingConfig
from hubgan.training.losses import OBJECTIVES
from hubgan.training.penalties import Discriminate, Penalties
from hubgan.training.schedules import is_used
from hubgan.training.task import Batch, Losses, Network

# What random numbers of a batch are drawn for.
_REAL, _FAKE, _GENERATOR, _MIX = 1, 2, 3, 4


class AdversarialLoss:
    """The losses of one discriminator and of what it is trained against.

    Args:
        config: the objective, the weights of the penalties and the augmentation.
        stream: another number for each discriminator of a task, so that they draw different augmentations.
    """

    def __init__(self, config: TrainingConfig, *, stream: int = 0) -> None:
        self.config, self.objective = config, OBJECTIVES[config.objective]
        self._augment = DiffAugment(config.augment) if config.augment else None
        self._stream = (stream,) if stream else ()

    def discriminator(self, network: Network, real: Tensor, fake: Tensor, batch: Batch) -> Losses:
        """The discriminator's loss and penalties; how often it is right.

        Args:
            network: the discriminator.
            real, fake: images (N, channels, H, W) in [-1, 1]; no gradient reaches what made the fakes.
            batch: that they belong to.
        """
        fake = fake.detach()
        real_logits = self._discriminate(network, batch, _REAL)(real).float()
        fake_logits = self._discriminate(network, batch, _FAKE)(fake).float()
        terms = {"discriminator": self.objective.discriminator(real_logits, fake_logits)}
        if batch.update % self.config.penalty_every == 0:
            terms |= self._penalties(network, real, fake, batch)
        real_margins, fake_margins = self.objective.margins(real_logits.detach(), fake_logits.detach())
        figures = {
            "real_accuracy": (real_margins > 0).float().mean(),
            "fake_accuracy": (fake_margins < 0).float().mean(),
            "real_sign": real_margins.sign().mean(),
        }
        return Losses(terms, figures)

    def generator(self, network: Network, real: Tensor, fake: Tensor, batch: Batch) -> Tensor:
        """The loss of what made the fakes, a scalar; arguments as above."""
        discriminate = self._discriminate(network, batch, _GENERATOR)
        fake_logits = discriminate(fake).float()
        real_logits = discriminate(real).float() if self.objective.paired else fake_logits
        return self.objective.generator(real_logits, fake_logits)

    def check(self, discriminator: nn.Module) -> None:
        """See that penalties can be right: BatchNorm mixes a batch, so that an image's gradient is not its own.

        Raises:
            ConfigError: penalties were asked for on a discriminator with BatchNorm.
        """
        c = self.config
        used = any(map(is_used, (c.r1_weight, c.r2_weight, c.gradient_penalty)))
        if used and any(isinstance(module, _BatchNorm) for module in discriminator.modules()):
            raise ConfigError(
                "a gradient penalty needs a discriminator without BatchNorm (Gulrajani et al. 2017, section 4)",
                "Use --discriminator.norm spectral or none",
            )

    def _discriminate(self, network: Network, batch: Batch, use: int, plain: bool = False) -> Discriminate:
        """The discriminator on augmented images; a use has random numbers of its own, the same for all its calls."""
        call = network.plain if plain else network
        if self._augment is None:
            return lambda images: call(images, batch.labels)
        augment, probability = self._augment, batch.augment_probability
        draws = batch.draw(use, *self._stream).uniform(len(batch), augment.draws)
        return lambda images: call(augment(images, draws, probability), batch.labels)

    def _penalties(self, network: Network, real: Tensor, fake: Tensor, batch: Batch) -> dict[str, Tensor]:
        c, at = self.config, batch.schedule
        penalties = Penalties(
            r1=at(c.r1_weight),
            r2=at(c.r2_weight),
            gradient_penalty=at(c.gradient_penalty),
            every=c.penalty_every,
        )
        discriminate = self._discriminate(network, batch, _REAL, plain=True)
        return penalties(discriminate, real, fake, batch.draw(_MIX, *self._stream).uniform(len(batch)))
