"""One update of the discriminator, one of the generator: the mathematics of a step, on what Accelerate prepared."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, cast

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from hubgan.data import RawBatch
from hubgan.errors import ConfigError
from hubgan.models import Discriminator, HubModel
from hubgan.runtime.seeding import SharedRandom
from hubgan.training.augmentation import AdaptiveProbability, DiffAugment
from hubgan.training.averaging import MovingAverage, average_buffers
from hubgan.training.config import TrainingConfig
from hubgan.training.monitor import overlap
from hubgan.training.optimizers import make_optimizer
from hubgan.training.penalties import Critic, Penalties
from hubgan.training.schedules import at_zero, is_used
from hubgan.training.task import Task

Figures: TypeAlias = dict[str, Tensor]

# What random numbers are drawn for, besides the batch itself.
_REAL, _FAKE, _GENERATOR, _MIX = 1, 2, 3, 4


@dataclass
class Batch:
    """What one process has on its device at once.

    Attributes:
        position: how many images the run had drawn before it.
        inputs: what the model is given.
        real: the real images (N, channels, H, W).
        condition: the numbers of their classes (N,), where the networks take them: of the fakes, too.
        fake: what the model made of the inputs, with its graph, where that was kept.
    """

    position: int
    inputs: Tensor
    real: Tensor
    condition: tuple[Tensor, ...] = ()
    fake: Tensor | None = None


class Updates:
    """The two networks, their optimizers and the average, and how they are updated.

    Attributes:
        averaged: the generator's average, on every process the same.
        opponent: the bare discriminator.
    """

    def __init__(self, task: Task[Any], config: TrainingConfig, accelerator: Accelerator) -> None:
        self.task, self.config, self.accelerator = task, config, accelerator
        model, discriminator = (m.to(memory_format=torch.channels_last) for m in (task.model, task.discriminator))
        self._average = MovingAverage(model.to(accelerator.device))
        self.averaged = cast(HubModel, self._average.module)
        if config.compile:
            model.compile()
            discriminator.compile()
        if accelerator.num_processes > 1 and accelerator.device.type == "cuda":
            model, discriminator = (nn.SyncBatchNorm.convert_sync_batchnorm(m) for m in (model, discriminator))
        betas = (at_zero(config.adam_beta1), at_zero(config.adam_beta2))
        discriminator.to(accelerator.device)
        self._model_optimizer = make_optimizer(config.optimizer, model, at_zero(config.learning_rate), betas)
        self._opponent_optimizer = make_optimizer(
            "adam", discriminator, at_zero(config.discriminator_learning_rate), betas
        )
        self._model, self._discriminator, self._model_optimizer, self._opponent_optimizer = accelerator.prepare(
            model, discriminator, self._model_optimizer, self._opponent_optimizer
        )
        self._bare_model = accelerator.unwrap_model(self._model)
        self.opponent: Discriminator = accelerator.unwrap_model(self._discriminator)
        self._augment = DiffAugment(config.augment) if config.augment else None
        self._adaptive = AdaptiveProbability(config.augment_target or 0.0)
        accelerator.register_for_checkpointing(self._average, self._adaptive)
        self.reseed(config.seed)
        self.go_to(0.0)

    def reseed(self, seed: int) -> None:
        """Draw noise and augmentation by another seed from now on."""
        config = self.config
        span = config.batch_size * config.gradient_accumulation_steps * self.accelerator.num_processes
        self.random = SharedRandom(seed, self.accelerator, span)

    def go_to(self, progress: float) -> dict[str, float]:
        """Set everything that follows a schedule to this share of the budget; returns what is worth showing."""
        c, at = self.config, lambda schedule: self.task.scheduled(schedule, progress)
        self._betas = (at(c.adam_beta1), at(c.adam_beta2))
        rates = {
            "learning_rate": self.task.learning_rate(progress),
            "discriminator_learning_rate": at(c.discriminator_learning_rate),
        }
        for optimizer, rate in zip((self._model_optimizer, self._opponent_optimizer), rates.values(), strict=True):
            for group in optimizer.param_groups:
                group["lr"], group["betas"] = rate, self._betas
        self._penalties = Penalties(
            r1=at(c.r1_weight), r2=at(c.r2_weight), gradient_penalty=at(c.gradient_penalty), every=c.penalty_every
        )
        self._half_life = at(c.ema_half_life)
        adapts = c.augment_target is not None
        self._probability = self._adaptive.probability if adapts else at(c.augment_probability)
        return rates | ({"augment_probability": self._probability} if self._augment else {})

    def batch(self, drawn: RawBatch, position: int) -> Batch:
        """Images and labels on the device as what the two networks are given."""
        self.random.seek(position)
        tensors = self.task.batch(drawn.images, self.random)
        inputs, real = (t.contiguous(memory_format=torch.channels_last) if t.ndim == 4 else t for t in tensors)
        return Batch(position, inputs, real, () if drawn.labels is None else (drawn.labels,))

    def update_discriminator(self, batches: list[Batch], update: int, keep: bool) -> Figures:
        """Update the discriminator on batches whose gradients are added up.

        Args:
            batches: as many as the accelerator accumulates.
            update: this update's number, counted from 0: a lazy penalty is due at every `penalty_every`-th.
            keep: keep the graph of the fakes for the generator's update that follows.
        """
        self.opponent.requires_grad_(True)
        figures: list[Figures] = []
        for batch in batches:
            with self.accelerator.accumulate(self._discriminator):
                with self.accelerator.autocast():
                    fake = self._fake(batch, keep)
                    judged = self.task.judged(batch.real), self.task.judged(fake.detach())
                    real_logits, fake_logits = (
                        self._critic(batch, use, self._discriminator)(images).float()
                        for use, images in zip((_REAL, _FAKE), judged, strict=True)
                    )
                loss = self.task.objective.discriminator(real_logits, fake_logits)
                terms = {"discriminator": loss}
                if update % self.config.penalty_every == 0:
                    terms |= self._penalise(batch, *judged)
                self.accelerator.backward(torch.stack(list(terms.values())).sum())
                norm = self._step(self._discriminator, self._opponent_optimizer)
            real_margins, fake_margins = self.task.objective.margins(real_logits.detach(), fake_logits.detach())
            figures.append(
                {name: term.detach() for name, term in terms.items()}
                | {
                    "real_accuracy": (real_margins > 0).float().mean(),
                    "fake_accuracy": (fake_margins < 0).float().mean(),
                    "real_sign": real_margins.sign().mean(),
                }
            )
        self.opponent.requires_grad_(False)
        return means(figures) | ({} if norm is None else {"discriminator_gradient_norm": norm})

    def update_generator(
        self, batches: list[Batch], adversarial: bool, images: int, images_seen: int, watch: bool
    ) -> Figures:
        """Update the generator and its average on batches whose gradients are added up.

        Args:
            batches: as many as the accelerator accumulates.
            adversarial: whether the discriminator takes part.
            images: images that the run has drawn since the update before.
            images_seen: images that the run has drawn in all.
            watch: measure the overlap of pairs of images too.
        """
        figures: list[Figures] = []
        for batch in batches:
            with self.accelerator.accumulate(self._model):
                with self.accelerator.autocast():
                    fake = self._model(batch.inputs, *batch.condition) if batch.fake is None else batch.fake
                    # The bare discriminator: its gradients are off, so its wrapper would wait for none.
                    critic = self._critic(batch, _GENERATOR, self.opponent) if adversarial else None
                    terms = self.task.generator_losses(critic, batch.real, fake)
                self.accelerator.backward(torch.stack([term.float() for term in terms.values()]).sum())
                norm = self._step(self._model, self._model_optimizer)
            figures.append({name: term.detach() for name, term in terms.items()})
            if watch:
                figures[-1] |= {"fake_overlap": overlap(fake.detach()), "real_overlap": overlap(batch.real)}
            batch.fake = None
        for network in (self._bare_model, self.opponent):  # now, as the generator's losses used both once more
            average_buffers(network, self.accelerator)
        self._average.update(self._bare_model, images, images_seen, self._half_life, self.config.ema_rampup)
        return means(figures) | ({} if norm is None else {"generator_gradient_norm": norm})

    def adapt(self, sign: Tensor, images: int) -> None:
        """Let the probability of augmentation follow the discriminator, where that was asked for.

        Args:
            sign: the mean sign of the logits of this process's real images.
            images: images that the discriminator has seen since the last call.
        """
        if self.config.augment_target is not None:
            self._adaptive.update(self.accelerator.reduce(sign, "mean").item(), images)

    @torch.no_grad()
    def are_finite(self) -> bool:
        """Whether all weights are."""
        networks = (self._bare_model, self.opponent, self.averaged)
        return bool(nn.utils.get_total_norm([p for network in networks for p in network.parameters()]).isfinite())

    def _fake(self, batch: Batch, keep: bool) -> Tensor:
        if keep:
            batch.fake = self._model(batch.inputs, *batch.condition)
            return batch.fake
        with torch.no_grad():
            return self._bare_model(batch.inputs, *batch.condition)

    def _critic(self, batch: Batch, use: int, discriminator: Callable[..., Tensor]) -> Critic:
        """The discriminator on images in its range, augmented by random numbers that belong to this use."""
        if self._augment is None:
            return lambda images: discriminator(images, *batch.condition)
        self.random.seek(batch.position, use)
        augment, draws = self._augment, self.random.uniform(len(batch.real), self._augment.draws)
        return lambda images: discriminator(augment(images, draws, self._probability), *batch.condition)

    def _penalise(self, batch: Batch, real: Tensor, fake: Tensor) -> Figures:
        # Past DDP, autocast and torch.compile: a second derivative needs the plain network, in float32 at least.
        critic = self._critic(batch, _REAL, partial(type(self.opponent).forward, self.opponent))
        self.random.seek(batch.position, _MIX)
        return self._penalties(critic, real, fake, self.random.uniform(len(real)))

    def _step(self, model: nn.Module, optimizer: Any) -> Tensor | None:
        """Let the optimizer make its step where the gradients are complete; returns their norm before clipping."""
        norm = None
        if self.accelerator.sync_gradients:
            self.accelerator.unscale_gradients(optimizer)
            parameters = [p for p in model.parameters() if p.grad is not None]
            norm = nn.utils.get_total_norm([cast(Tensor, p.grad) for p in parameters])
            if self.config.clip_grad_norm:
                nn.utils.clip_grads_with_norm_(parameters, self.config.clip_grad_norm, norm)
        optimizer.step()
        optimizer.zero_grad()
        return norm


def check_penalties(config: TrainingConfig, discriminator: nn.Module) -> None:
    """See that penalties can be right: BatchNorm mixes the images of a batch, so that a gradient is not one's own.

    Raises:
        ConfigError: penalties were asked for on a discriminator with BatchNorm.
    """
    penalties = (config.r1_weight, config.r2_weight, config.gradient_penalty)
    if any(map(is_used, penalties)) and any(isinstance(m, _BatchNorm) for m in discriminator.modules()):
        raise ConfigError(
            "a gradient penalty needs a discriminator without BatchNorm (Gulrajani et al. 2017, section 4):"
            " use --discriminator_norm spectral or none"
        )


def means(figures: list[Figures]) -> Figures:
    """The mean of each figure over those that have it."""
    names = dict.fromkeys(name for each in figures for name in each)
    return {name: torch.stack([each[name] for each in figures if name in each]).mean() for name in names}
