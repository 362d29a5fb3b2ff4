"""The task of unpaired translation in both directions: CycleGAN (Zhu et al. 2017, https://arxiv.org/abs/1703.10593).

A picture that is translated to the other domain and back must be the same again. The paper's pool of earlier fakes for
the discriminators is left out: a resumed run would have to keep these images too.
"""

from dataclasses import replace
from types import MappingProxyType
from typing import Literal

from PIL import Image
from pydantic import NonNegativeFloat
from torch import Tensor
from torch.nn.functional import l1_loss

from hubgan.hub.download import ModelSource
from hubgan.models.card import TrainingRun
from hubgan.models.config import CONFIG
from hubgan.runtime.processes import decide
from hubgan.training.adversarial import AdversarialLoss
from hubgan.training.config import LossOptions
from hubgan.training.task import Batch, Losses, Models, Networks, Phase
from hubgan.training.tasks.unpaired import (
    Unpaired,
    UnpairedConfig,
    as_bytes,
    side_by_side,
    to_discriminator_input,
    translated,
)


class CycleGANLosses(LossOptions):
    """The losses of CycleGAN, whose numbers are the defaults."""

    adversarial_weight: NonNegativeFloat = 1.0
    """Weight of the adversarial loss of each direction."""
    cycle_weight: NonNegativeFloat = 10.0
    """Weight of the mean absolute error after both translations, of values from -1 to 1."""
    identity_weight: NonNegativeFloat = 5.0
    """Weight of the mean absolute error of pictures that are of the translator's target domain already."""


class CycleGANConfig(CycleGANLosses, UnpairedConfig):
    """Train two image translators without pairs, each the other's inverse (CycleGAN)."""

    task: Literal["cyclegan"] = "cyclegan"
    """The task of the recipe."""


class CycleGAN(Unpaired[CycleGANConfig]):
    """A translator to the target domain, and one back, each with a discriminator of its results."""

    config_class = CycleGANConfig
    averaged = ("translator", "backward")
    published = MappingProxyType(
        {
            "translator": "",
            "backward": "backward",
            "discriminator": "discriminator",
            "backward_discriminator": "backward_discriminator",
        }
    )
    caption = "Input, this model's picture, and that translated back; then a target, translated back, and forth again"

    def __init__(self, config: CycleGANConfig) -> None:
        super().__init__(config)
        self.networks = {
            "translator": self.make_translator(),
            "backward": self.make_translator(),
            "discriminator": self.make_discriminator(),
            "backward_discriminator": self.make_discriminator(),
        }
        self.adversarial, self.backward_adversarial = (AdversarialLoss(config, stream=stream) for stream in (0, 1))
        self.adversarial.check(self.networks["discriminator"])
        self.parts = self.make_parts(("discriminator", "backward_discriminator"), ("translator", "backward"))

    def pretrained(self) -> dict[str, ModelSource]:
        """Those of all four networks, if the published model holds them: one direction is half of a cycle."""
        given = super().pretrained()
        if main := given.get(self.main):
            for network, folder in self.published.items():
                source = replace(main, subfolder=folder)
                if network not in given and CONFIG in decide(source.files):
                    given[network] = source
        return given

    def losses(self, phase: Phase, networks: Networks, batch: Batch) -> Losses:
        c, given, real = self.config, batch["input"], batch["real"]
        translator, backward = networks["translator"], networks["backward"]
        fake = batch.fake("fake", lambda: translator(given))
        fake_input = batch.fake("fake_input", lambda: backward(real))
        given_, real_, fake_, fake_input_ = map(to_discriminator_input, (given, real, fake, fake_input))
        forth = networks["discriminator"], real_, fake_, batch
        back = networks["backward_discriminator"], given_, fake_input_, batch
        if phase.name == "discriminator":
            backwards = self.backward_adversarial.discriminator(*back).suffixed("backward")
            return self.adversarial.discriminator(*forth) | backwards
        terms = {
            "adversarial": c.adversarial_weight * self.adversarial.generator(*forth),
            "adversarial_backward": c.adversarial_weight * self.backward_adversarial.generator(*back),
            "cycle": c.cycle_weight * (_error(backward(fake), given) + _error(translator(fake_input), real)),
        }
        if c.identity_weight:
            terms["identity"] = c.identity_weight * (_error(translator(real), real) + _error(backward(given), given))
        return Losses(terms)

    def preview(self, models: Models) -> Image.Image:
        inputs, targets = self._examples
        made, made_inputs = translated(models, "translator", inputs), translated(models, "backward", targets)
        back, forth = (
            translated(models, name, images.float() / 255)
            for name, images in (("backward", made), ("translator", made_inputs))
        )
        return side_by_side(as_bytes(inputs), made, back, as_bytes(targets), made_inputs, forth)

    def describe(self) -> list[str]:
        c = self.config
        return [
            f"weights: adversarial {c.adversarial_weight:g}, cycle {c.cycle_weight:g}, identity {c.identity_weight:g}"
        ]

    def card(self) -> TrainingRun:
        folder = self.published["backward"]
        return {"domains": f"{self._domains}; the model in `{folder}` translates the other way", "backward": folder}


def _error(images: Tensor, wanted: Tensor) -> Tensor:
    """The mean absolute error of images in [0, 1], as those in [-1, 1] have it."""
    return 2 * l1_loss(images.float(), wanted)
