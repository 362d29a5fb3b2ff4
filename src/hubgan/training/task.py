"""What a task tells the trainer: its networks, the phases of a step, its batches and its losses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar

import torch
from PIL import Image
from torch import Tensor, nn

from hubgan.data import ImageSource, RawBatch, Transform, load_images
from hubgan.errors import ConfigError
from hubgan.evaluation import Reference
from hubgan.hub.download import ModelSource
from hubgan.models import HubModel
from hubgan.models.card import TrainingRun
from hubgan.models.config import CONFIG
from hubgan.models.figures import Result
from hubgan.runtime.seeding import SharedRandom
from hubgan.training.config import TrainingConfig
from hubgan.training.monitor import overlap
from hubgan.training.optimizers import Optimizer
from hubgan.training.schedules import Schedule, is_schedule, value_at

C = TypeVar("C", bound=TrainingConfig)
Models: TypeAlias = Mapping[str, HubModel]
"""A task's networks by name, as they are saved: the moving average of those that have one."""


@dataclass(frozen=True)
class OptimizerConfig:
    """How a phase's weights are updated. A schedule is evaluated by the share of the part that is done."""

    kind: Optimizer = "adam"
    learning_rate: Schedule = 2e-4
    betas: tuple[Schedule, Schedule] = (0.5, 0.999)


@dataclass(frozen=True)
class Phase:
    """One kind of update in a step.

    Attributes:
        name: `losses` tells phases apart by it.
        networks: the networks that are updated, together, by one optimizer. Phases of the same networks share it.
        optimizer: its settings in this phase.
        repeats: updates a step, each on images of its own.
        detached: the phase needs the generated images but not their graph, as a discriminator's does.
        log_name: what the log calls it; the name by default.
    """

    name: str
    networks: tuple[str, ...]
    optimizer: OptimizerConfig = OptimizerConfig()
    repeats: int = 1
    detached: bool = False
    log_name: str = ""

    @property
    def label(self) -> str:
        """Its name in logs and plans."""
        return self.log_name or self.name


@dataclass(frozen=True)
class Part:
    """A stretch of the run whose steps have the same phases. Schedules go from start to end in each part.

    Attributes:
        name: what plans call it.
        phases: the updates of a step, in order.
        start, end: shares of the budget, 0 to 1.
        description: what is special about it, as in "with the pixel loss alone".
        keep_weights: the file in which the published model's weights are kept when this part begins.
    """

    name: str
    phases: tuple[Phase, ...]
    start: float = 0.0
    end: float = 1.0
    description: str = ""
    keep_weights: str | None = None


@dataclass
class Batch:
    """What a process has on its device at once, and the place in the run that it belongs to.

    A task makes the first three; the trainer sets the rest before it asks for losses.

    Attributes:
        tensors: named tensors on the device, each with a row an image.
        labels: the classes of the images, int64 (N,), if the networks take them.
        values: what is the same for all images of the batch.
        position: the number of images that the run had drawn before it.
        random: the run's random numbers.
        update: how many updates of this phase the run had made before.
        schedule: evaluates a schedule at this place of the run.
        augment_probability: with which each operation of the augmentation is applied.
        with_graph: whether generated images carry their graph in this phase.
        cache: generated images by name, kept from phase to phase while their graph is.
    """

    tensors: dict[str, Tensor]
    labels: Tensor | None = None
    values: dict[str, Any] = field(default_factory=dict)
    position: int = 0
    random: SharedRandom = None  # type: ignore[assignment]
    update: int = 0
    schedule: Callable[[Schedule], float] = lambda schedule: value_at(schedule, 0.0, "linear")
    augment_probability: float = 1.0
    with_graph: bool = True
    cache: dict[str, Tensor] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def __len__(self) -> int:
        """The number of images."""
        return len(next(iter(self.tensors.values())))

    def draw(self, *use: int) -> SharedRandom:
        """The run's random numbers for one use of this batch; the same ones each time."""
        self.random.seek(self.position, *use)
        return self.random

    def fake(self, name: str, make: Callable[[], Tensor]) -> Tensor:
        """The generated images called `name`: made once, and again in a later phase if their graph was not kept."""
        if name not in self.cache:
            with torch.set_grad_enabled(self.with_graph):
                made = make()
            if not self.with_graph:
                return made
            self.cache[name] = made
        return self.cache[name]


@dataclass(frozen=True)
class Losses:
    """What a phase minimises: weighted terms by name. `figures` are logged beside them."""

    terms: dict[str, Tensor]
    figures: dict[str, Tensor] = field(default_factory=dict)

    def total(self) -> Tensor:
        """The sum of the terms, in float32."""
        return torch.stack([term.float() for term in self.terms.values()]).sum()

    def suffixed(self, suffix: str) -> Losses:
        """The same with a suffix on each name, to tell those of several discriminators apart."""
        return Losses(*({f"{name}_{suffix}": value for name, value in part.items()}
                        for part in (self.terms, self.figures)))  # fmt: skip

    def __or__(self, other: Losses) -> Losses:
        return Losses(self.terms | other.terms, self.figures | other.figures)


@dataclass(frozen=True)
class Network:
    """A network as a phase calls it.

    Attributes:
        module: called by a call; in several processes its wrapper, if the phase needs its gradients.
        bare: the network itself.
    """

    module: Callable[..., Any]
    bare: nn.Module

    def __call__(self, *inputs: Any) -> Any:
        return self.module(*inputs)

    def plain(self, *inputs: Any) -> Tensor:
        """The network past wrappers and compilation, which a second derivative needs."""
        output: Tensor = type(self.bare).forward(self.bare, *inputs)
        return output


Networks: TypeAlias = Mapping[str, Network]


class Task(ABC, Generic[C]):
    """One kind of training. A new task is one file: a configuration, and a class that fills in what follows.

    Attributes:
        config_class: its options.
        networks: everything that is trained, by name, in the order in which checkpoints keep them.
        averaged: the networks of which a moving average is kept, which is what is published.
        published: network to folder in the run's repository; "" is the repository itself, of the main network.
        parts: the stretches of the run, one after another.
        transform: what training sees of an image.
        labelled: whether the networks take the classes of the images.
        caption: what the preview shows.
        measures: what `evaluate` measures, with `{samples}` for the number of images.
        marks_training_images: whether figures on the images of the training must be marked as such.
        takes_pairs: whether it can learn from pairs of an input and a target, if the data set has them.
    """

    config_class: ClassVar[type[TrainingConfig]]
    networks: dict[str, HubModel]
    averaged: tuple[str, ...]
    published: Mapping[str, str]
    parts: tuple[Part, ...]
    transform: Transform
    labelled: bool = False
    caption: str
    measures: str
    marks_training_images: ClassVar[bool] = False
    takes_pairs: ClassVar[bool] = False

    def __init__(self, config: C) -> None:
        self.config = config

    @property
    def main(self) -> str:
        """The network that the run's repository is named after."""
        return next(name for name, folder in self.published.items() if not folder)

    # -- the course of a run

    def part(self, progress: float) -> Part:
        """The part of the run at this share (0 to 1) of the budget."""
        return next((part for part in self.parts if progress < part.end), self.parts[-1])

    @property
    def active_parts(self) -> tuple[Part, ...]:
        """The parts that take a share of the budget."""
        return tuple(part for part in self.parts if part.end > part.start)

    def scheduled(self, schedule: Schedule, progress: float) -> float:
        """A schedule's value at this share of the budget."""
        part = self.part(progress)
        done = (progress - part.start) / max(part.end - part.start, 1e-9)
        start, end = self.config.schedule_start, self.config.schedule_share
        return value_at(schedule, (done - start) / max(end - start, 1e-9), self.config.schedule)

    @property
    def follows_budget(self) -> bool:
        """Whether anything changes in the course of the run, so that another budget makes another run."""
        values = self.config.model_dump().values()
        return len(self.active_parts) > 1 or any(is_schedule(value) for value in values)

    # -- a step

    @abstractmethod
    def batch(self, raw: RawBatch, random: SharedRandom) -> Batch:
        """uint8 images (N, channels, H, W) and labels on the device to what the networks are given.

        Random numbers come from `random`, which stands at the batch's place in the run.
        """

    @abstractmethod
    def losses(self, phase: Phase, networks: Networks, batch: Batch) -> Losses:
        """What a phase minimises, as a function of its arguments alone. Called under autocast."""

    def monitor(self, batch: Batch) -> dict[str, Tensor]:
        """What is worth logging now and then of a batch that all phases have used: how alike its images are.

        Of a task that calls its generated images `fake` and the real ones `real`; of another one nothing.
        """
        if "fake" not in batch.cache or "real" not in batch.tensors:
            return {}
        return {"fake_overlap": overlap(batch.cache["fake"].detach()), "real_overlap": overlap(batch["real"])}

    def frozen(self) -> list[nn.Module]:
        """Networks that losses use and nothing trains. The trainer moves them to the device."""
        return []

    # -- before and after

    @classmethod
    def load_images(cls, config: C, name: str, /, *, measured: bool = False, **options: Any) -> ImageSource:
        """A data set to train or to measure on, opened as this task needs it.

        Args:
            config: the run's options.
            name: the data set.
            measured: it is `config.eval_dataset`.
            options: as `hubgan.data.load_images` takes them.

        Raises:
            DataError: it cannot be found or used.
        """
        return load_images(name, pairs=cls.takes_pairs, **options)

    @classmethod
    def sized(cls, config: C, images: int | None, recorded: Mapping[str, Any]) -> C:
        """The options with those that follow from the number of images; the same object if there are none.

        Args:
            config: the options as they were given.
            images: the number of images, if it is known.
            recorded: the options of the run that is resumed; empty for a new run.
        """
        return config

    def setup_data(self, source: ImageSource) -> None:
        """Called once with the data set, before the networks are used."""

    def setup_without_data(self) -> None:
        """Called in place of `setup_data` in a dry run whose data set cannot be reached."""

    def pretrained(self) -> dict[str, ModelSource]:
        """The published models that networks begin with.

        Raises:
            ConfigError: one is given for a network that the task does not have.
        """
        options = {self.main: self.config.pretrained_model, "discriminator": self.config.pretrained_discriminator}
        if self.config.pretrained_discriminator and "discriminator" not in self.networks:
            raise ConfigError("this task has no network called discriminator", "Remove --pretrained_discriminator")
        return {network: ModelSource(name) for network, name in options.items() if name}

    def load_pretrained(self, network: str, source: ModelSource) -> HubModel:
        """A published model, with the weights that `network` begins with.

        A network that has a folder of its own in a run's repository is found in there too.
        """
        folder = self.published.get(network)
        if folder and not source.subfolder and CONFIG in (inside := replace(source, subfolder=folder)).files():
            source = inside
        return type(self.networks[network]).from_pretrained(source.name, subfolder=source.subfolder)

    @abstractmethod
    def preview(self, models: Models) -> Image.Image:
        """A picture of what the models can do, on fixed inputs."""

    @abstractmethod
    def evaluate(self, models: Models, reference: Reference, trained_on: Reference) -> list[Result]:
        """The figures of the models, by `eval_samples` images against a reference, given what they were trained on."""

    def describe(self) -> list[str]:
        """Lines for the plan: what else the optimisation depends on."""
        return []

    def augmentation(self) -> list[str]:
        """What happens to the images at random before the networks see them, in words."""
        return ["mirrored left to right"] if self.config.flip else []

    def card(self) -> TrainingRun:
        """What the card's record of the run holds beside what all tasks have."""
        return {}
