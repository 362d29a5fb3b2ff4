"""What one step does, on what Accelerate prepared: the phases' updates, averages, and what follows a schedule."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias, cast

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from hubgan.data import RawBatch
from hubgan.models import HubModel
from hubgan.runtime.devices import synchronises_norms
from hubgan.runtime.seeding import SharedRandom
from hubgan.training.augmentation import AdaptiveProbability
from hubgan.training.averaging import MovingAverage, average_buffers
from hubgan.training.config import TrainingConfig
from hubgan.training.optimizers import make_optimizer
from hubgan.training.schedules import at_zero
from hubgan.training.task import Batch, Network, OptimizerConfig, Part, Phase, Task

Figures: TypeAlias = dict[str, Tensor]
_SIGN = "real_sign"


class Step:
    """A task's networks, their optimizers and averages, and how they are updated.

    Attributes:
        models: the networks as they are saved: the averages of those that have one, the bare networks of the others.
    """

    def __init__(self, task: Task[Any], config: TrainingConfig, accelerator: Accelerator) -> None:
        self.task, self.config, self.accelerator = task, config, accelerator
        networks: dict[str, nn.Module] = {
            name: network.to(memory_format=torch.channels_last) for name, network in task.networks.items()
        }
        self._averages = {name: MovingAverage(networks[name].to(accelerator.device)) for name in task.averaged}
        for network in networks.values():
            network.to(accelerator.device)
            if config.compile:
                network.compile()
        if synchronises_norms(accelerator.device, accelerator.num_processes):
            networks = {name: nn.SyncBatchNorm.convert_sync_batchnorm(n) for name, n in networks.items()}
        found = optimizers_of(task)
        optimizers = [
            make_optimizer(
                c.kind,
                nn.ModuleList(networks[name] for name in names),
                at_zero(c.learning_rate),
                (at_zero(c.betas[0]), at_zero(c.betas[1])),
            )
            for names, c in found.items()
        ]
        prepared = accelerator.prepare(*networks.values(), *optimizers)
        self._wrapped: dict[str, Any] = dict(zip(networks, prepared, strict=False))
        self._optimizers: dict[tuple[str, ...], Any] = dict(zip(found, prepared[len(networks) :], strict=True))
        self._bare = {name: cast(HubModel, accelerator.unwrap_model(n)) for name, n in self._wrapped.items()}
        averages = {name: cast(HubModel, average.module) for name, average in self._averages.items()}
        self.models: dict[str, HubModel] = self._bare | averages
        for module in task.frozen():
            module.to(accelerator.device)
        self._adaptive = AdaptiveProbability(config.augment_target or 0.0)
        accelerator.register_for_checkpointing(*self._averages.values(), self._adaptive)
        self.reseed(config.seed)
        self.set_progress(0.0)

    def reseed(self, seed: int) -> None:
        """Draw noise and augmentation by another seed from now on."""
        config = self.config
        span = config.batch_size * config.gradient_accumulation_steps * self.accelerator.num_processes
        self.random = SharedRandom(seed, self.accelerator, span)

    def set_progress(self, progress: float) -> dict[str, float]:
        """Set all that follows a schedule to this share of the budget; returns what is worth showing of it."""
        self._progress, self._part = progress, self.task.part(progress)
        shown = {}
        for phase in self._part.phases:
            rate = self._at(phase.optimizer.learning_rate)
            betas = tuple(map(self._at, phase.optimizer.betas))
            for group in self._optimizers[phase.networks].param_groups:
                group["lr"], group["betas"] = rate, betas
            last = phase is self._part.phases[-1]
            shown["learning_rate" if last else f"{phase.label}_learning_rate"] = rate
        self._half_life = self._at(self.config.ema_half_life)
        adapts = self.config.augment_target is not None
        self._probability = self._adaptive.probability if adapts else self._at(self.config.augment_probability)
        augments = self.config.augment and any(phase.detached for phase in self._part.phases)
        return shown | ({"augment_probability": self._probability} if augments else {})

    def _at(self, schedule: Any) -> float:
        return self.task.scheduled(schedule, self._progress)

    def batch(self, raw: RawBatch, position: int) -> Batch:
        """Images and labels on the device as what the networks are given.

        Args:
            raw: what the loader gave.
            position: how many images the run had drawn before.
        """
        self.random.seek(position)
        batch = self.task.batch(raw, self.random)
        for name, tensor in batch.tensors.items():
            if tensor.ndim == 4:
                batch.tensors[name] = tensor.contiguous(memory_format=torch.channels_last)
        batch.position, batch.random, batch.schedule = position, self.random, self._at
        batch.augment_probability = self._probability
        return batch

    def updates(
        self, part: Part, draw: Callable[[], Batch], by_phase: dict[str, int], *, monitor: bool = False
    ) -> Figures:
        """All updates of a step.

        Args:
            part: the present part of the run.
            draw: gives the next batch.
            by_phase: the updates of each phase so far; they are counted on.
            monitor: add the figures that are logged now and then.
        """
        figures: Figures = {}
        drawn: list[Batch] = []
        for phase in part.phases:
            last, repeated = phase is part.phases[-1], list[Figures]()
            for left in reversed(range(phase.repeats)):
                if repeated or not drawn:  # a phase begins with the images that the one before has ended with
                    drawn = [draw() for _ in range(self.config.gradient_accumulation_steps)]
                found = self.update(
                    phase,
                    drawn,
                    number=by_phase.get(phase.name, 0),
                    keep_graph=left == 0 and keeps_graph(part, phase, self.config),
                    monitor=last and monitor,
                )
                by_phase[phase.name] = by_phase.get(phase.name, 0) + 1
                self.adapt(found, images=len(drawn) * self.config.batch_size * self.accelerator.num_processes)
                repeated.append(found)
            figures |= means(repeated)
        return figures

    def update(
        self, phase: Phase, batches: list[Batch], *, number: int, keep_graph: bool = False, monitor: bool = False
    ) -> Figures:
        """Update a phase's networks on batches whose gradients are added up.

        Args:
            phase: of the present part of the run.
            batches: as many as the accelerator accumulates.
            number: how many updates of the phase there were before.
            keep_graph: keep the graph of the generated images for the phases that follow.
            monitor: add the figures that are logged now and then.
        """
        set_trainable(self._bare, self._part, phase, keep_graph)
        networks = {
            name: Network(wrapped if keep_graph or name in phase.networks else self._bare[name], self._bare[name])
            for name, wrapped in self._wrapped.items()
        }
        figures: list[Figures] = []
        for batch in batches:
            batch.update, batch.with_graph = number, keep_graph or not phase.detached
            with self.accelerator.accumulate(*(self._wrapped[name] for name in phase.networks)):
                with self.accelerator.autocast():
                    losses = self.task.losses(phase, networks, batch)
                self.accelerator.backward(losses.total())
                norm = self._optimize(phase)
            figures.append({name: value.detach() for name, value in (losses.terms | losses.figures).items()})
            if monitor:
                figures[-1] |= self.task.monitor(batch)
            if not keep_graph:
                batch.cache.clear()
        return means(figures) | ({} if norm is None else {f"{phase.label}_gradient_norm": norm})

    def finish(self, images: int, images_seen: int) -> None:
        """End a step: bring the processes' statistics together, and update the averages.

        Args:
            images: images that the run has drawn in this step.
            images_seen: images that the run has drawn in all.
        """
        for network in self._bare.values():
            average_buffers(network, self.accelerator)
        for name, average in self._averages.items():
            average.update(self._bare[name], images, images_seen, self._half_life, self.config.ema_rampup)

    def adapt(self, figures: Figures, images: int) -> None:
        """Let the probability of augmentation follow the discriminators, if the configuration asks for it.

        Args:
            figures: of an update of discriminators; the mean signs of the logits of real images are taken out.
            images: images that they have seen since the last call.
        """
        signs = [figures.pop(name) for name in list(figures) if name.startswith(_SIGN)]
        if self.config.augment_target is not None and signs:
            sign = torch.stack(signs).mean()
            self._adaptive.update(self.accelerator.reduce(sign, "mean").item(), images)

    @torch.no_grad()
    def are_finite(self) -> bool:
        """Whether all weights are."""
        networks = [*self._bare.values(), *(average.module for average in self._averages.values())]
        return bool(nn.utils.get_total_norm([p for network in networks for p in network.parameters()]).isfinite())

    def _optimize(self, phase: Phase) -> Tensor | None:
        """Let the optimizer make its step if the gradients are complete; returns their norm before clipping."""
        optimizer, norm = self._optimizers[phase.networks], None
        if self.accelerator.sync_gradients:
            self.accelerator.unscale_gradients(optimizer)
            parameters = [p for name in phase.networks for p in self._bare[name].parameters() if p.grad is not None]
            norm = nn.utils.get_total_norm([cast(Tensor, p.grad) for p in parameters])
            if self.config.clip_grad_norm:
                nn.utils.clip_grads_with_norm_(parameters, self.config.clip_grad_norm, norm)
        optimizer.step()
        optimizer.zero_grad()
        return norm


def optimizers_of(task: Task[Any]) -> dict[tuple[str, ...], OptimizerConfig]:
    """The optimizers of a task by the networks that they update, in the order of the task's networks."""
    found: dict[tuple[str, ...], OptimizerConfig] = {}
    for part in task.parts:
        for phase in part.phases:
            found.setdefault(phase.networks, phase.optimizer)
    order = list(task.networks)
    return dict(sorted(found.items(), key=lambda item: order.index(item[0][0])))


def set_trainable(networks: Mapping[str, nn.Module], part: Part, phase: Phase, keep_graph: bool) -> None:
    """Let gradients reach the weights of a phase's networks alone.

    While a graph is kept for the phases that follow, gradients must be able to reach their networks too.
    """
    earlier = {name for before in part.phases[: part.phases.index(phase)] for name in before.networks}
    for name, network in networks.items():
        network.requires_grad_(name in phase.networks or (keep_graph and name not in earlier))


def keeps_graph(part: Part, phase: Phase, config: TrainingConfig) -> bool:
    """Whether the graph of the images generated in a phase's last update serves the phases that follow.

    The graphs of several batches whose gradients are added up would not fit into memory together.
    """
    return phase.detached and phase is not part.phases[-1] and config.gradient_accumulation_steps == 1


def means(figures: Iterable[Figures]) -> Figures:
    """The mean of each figure over those that have it."""
    figures = list(figures)
    names = dict.fromkeys(name for each in figures for name in each)
    return {name: torch.stack([each[name] for each in figures if name in each]).mean() for name in names}
