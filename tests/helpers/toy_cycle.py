"""A task of two generators and two discriminators: a toy CycleGAN between small images and their negatives."""

from types import MappingProxyType
from typing import Literal

from PIL import Image
from torch.nn.functional import l1_loss

from hubgan import Discriminator, Upscaler
from hubgan.data import RawBatch, Squares
from hubgan.evaluation import Reference
from hubgan.models.figures import Result
from hubgan.runtime.seeding import SharedRandom
from hubgan.training.adversarial import AdversarialLoss
from hubgan.training.config import TrainingConfig
from hubgan.training.task import Batch, Losses, Models, Networks, OptimizerConfig, Part, Phase, Task
from hubgan.training.tasks import TASKS


class CycleConfig(TrainingConfig):
    """Train two translators, each the other's inverse."""

    task: Literal["cycle"] = "cycle"
    """The task of the recipe."""
    cycle_weight: float = 10.0
    """Weight of the mean absolute error after both translations."""


class Cycle(Task[CycleConfig]):
    """Zhu et al. 2017, https://arxiv.org/abs/1703.10593, in 8 x 8 pixels."""

    config_class = CycleConfig
    averaged = ("to_b", "to_a")
    published = MappingProxyType({"to_b": "", "to_a": "reverse", "judge_a": "judge_a", "judge_b": "judge_b"})
    caption, measures = "Images and their translations", "nothing"

    def __init__(self, config: CycleConfig) -> None:
        super().__init__(config)
        self.transform = Squares(size=8, channels=3, flip=config.flip)
        self.networks = {name: Upscaler(scale=1, width=4, depth=1) for name in ("to_b", "to_a")}
        self.networks |= {name: Discriminator("patch", width=4, depth=1) for name in ("judge_a", "judge_b")}
        self.games = {name: AdversarialLoss(config, stream=number) for number, name in enumerate("ab")}
        optimizer = OptimizerConfig("adam", config.learning_rate, (config.adam_beta1, config.adam_beta2))
        judges = Phase("discriminator", ("judge_a", "judge_b"), optimizer, config.discriminator_steps, detached=True)
        self.parts = (Part("training", (judges, Phase("generator", ("to_b", "to_a"), optimizer))),)

    def batch(self, raw: RawBatch, random: SharedRandom) -> Batch:
        images = raw.images.float() / 255
        return Batch({"a": images, "b": 1 - images.flip(3)})

    def losses(self, phase: Phase, networks: Networks, batch: Batch) -> Losses:
        a, b = batch["a"], batch["b"]
        fakes = {"b": batch.fake("b", lambda: networks["to_b"](a)), "a": batch.fake("a", lambda: networks["to_a"](b))}
        sides = {name: (networks[f"judge_{name}"], batch[name], fakes[name], batch) for name in "ab"}
        if phase.name == "discriminator":
            of_a, of_b = (self.games[name].discriminator(*side).suffixed(name) for name, side in sides.items())
            return of_a | of_b
        terms = {f"adversarial_{name}": self.games[name].generator(*side) for name, side in sides.items()}
        cycle = l1_loss(networks["to_a"](fakes["b"]), a) + l1_loss(networks["to_b"](fakes["a"]), b)
        return Losses(terms | {"cycle": self.config.cycle_weight * cycle})

    def preview(self, models: Models) -> Image.Image:
        assert isinstance(models["to_b"], Upscaler)
        return models["to_b"].upscale(Image.new("RGB", (8, 8), (60, 120, 180)))

    def evaluate(self, models: Models, reference: Reference, trained_on: Reference) -> list[Result]:
        return []


def register() -> None:
    """Make the task known, as a line in `hubgan.training.tasks` would."""
    TASKS["cycle"] = Cycle
