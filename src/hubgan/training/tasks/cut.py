"""The task of unpaired translation by contrast: CUT and FastCUT (Park et al. 2020, https://arxiv.org/abs/2007.15651).

A patch of the result must be more like the patch of the input at the same place than like other patches of that input.
The translator's own first layers, and a small network behind them, decide how alike two patches are.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import torch
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from hubgan.data import RawBatch
from hubgan.errors import ConfigError
from hubgan.models import HubModel, Translator
from hubgan.networks.projection import Projection
from hubgan.runtime.seeding import SharedRandom
from hubgan.training.adversarial import AdversarialLoss
from hubgan.training.config import LossOptions
from hubgan.training.task import Batch, Losses, Network, Networks, Phase
from hubgan.training.tasks.unpaired import Unpaired, UnpairedConfig, to_discriminator_input

_PLACES = 10  # what random numbers of a batch are drawn for


class CUTLosses(LossOptions):
    """The losses of CUT, whose numbers are the defaults. FastCUT is weight 10, no identity, and flip equivariance."""

    adversarial_weight: NonNegativeFloat = 1.0
    """Weight of the adversarial loss."""
    nce_weight: NonNegativeFloat = 1.0
    """Weight of the contrastive loss, PatchNCE: 1 in CUT, 10 in FastCUT."""
    nce_layers: tuple[NonNegativeInt, ...] = (0, 1, 2, 3, 7)
    """The layers of the translator whose patches are compared: 0 is the picture, 3 the first block."""
    nce_patches: PositiveInt = 256
    """Patches of a picture that are compared, at random places."""
    nce_temperature: PositiveFloat = 0.07
    """Temperature of the contrastive loss. A lower one punishes the most similar wrong patches more."""
    identity: bool = True
    """Translate pictures of the target domain too, which must stay the same: True in CUT, False in FastCUT."""
    flip_equivariance: bool = False
    """Mirror the input of half of the steps, and compare with the input before: False in CUT, True in FastCUT."""


class CUTConfig(CUTLosses, UnpairedConfig):
    """Train an image translator without pairs, by contrast (CUT)."""

    task: Literal["cut"] = "cut"
    """The task of the recipe."""


class PatchProjection(HubModel, tags=["gan"]):
    """The network behind the translator's layers. It is trained with them, and not published."""

    networks: ClassVar[Mapping[str, type[nn.Module]]] = MappingProxyType({"projection": Projection})
    description = "A projection of patches"

    def forward(self, patches: Sequence[Tensor]) -> list[Tensor]:
        vectors: list[Tensor] = self.network(patches)
        return vectors


class CUT(Unpaired[CUTConfig]):
    """One translator, whose patches keep what the input shows there."""

    config_class = CUTConfig
    averaged = ("translator",)
    published = MappingProxyType({"translator": "", "discriminator": "discriminator"})
    caption = "Input and this model's picture, in turn"

    def __init__(self, config: CUTConfig) -> None:
        super().__init__(config)
        translator, discriminator = self.make_translator(), self.make_discriminator()
        channels: tuple[int, ...] = translator.network.layer_channels  # type: ignore[assignment]
        self._layers = tuple(dict.fromkeys(config.nce_layers))
        if not self._layers or max(self._layers) >= len(channels):
            raise ConfigError(
                f"nce_layers is {' '.join(map(str, config.nce_layers)) or 'empty'}, but the translator has the layers"
                f" 0 to {len(channels) - 1}",
                "Pass some of them with --nce_layers, or raise --translator.depth",
            )
        projection = PatchProjection("projection", channels=tuple(channels[layer] for layer in self._layers))
        self.networks = {"translator": translator, "discriminator": discriminator, "projection": projection}
        self.adversarial = AdversarialLoss(config)
        self.adversarial.check(discriminator)
        self.parts = self.make_parts(("discriminator",), ("translator", "projection"))

    def batch(self, raw: RawBatch, random: SharedRandom) -> Batch:
        batch = super().batch(raw, random)
        (flipped,) = random.integers(1, 2)
        batch.values["flipped"] = self.config.flip_equivariance and bool(flipped)
        return batch

    def losses(self, phase: Phase, networks: Networks, batch: Batch) -> Losses:
        c, given, real, flipped = self.config, batch["input"], batch["real"], batch.values["flipped"]
        fake = batch.fake("fake", lambda: networks["translator"](given.flip(3) if flipped else given))
        judged = networks["discriminator"], to_discriminator_input(real), to_discriminator_input(fake), batch
        if phase.name == "discriminator":
            return self.adversarial.discriminator(*judged)
        weight = c.nce_weight / 2 if c.identity else c.nce_weight
        terms = {
            "adversarial": c.adversarial_weight * self.adversarial.generator(*judged),
            "contrastive": weight * self._contrast(networks, batch, given, fake, flipped=flipped),
        }
        if c.identity:
            same = networks["translator"](real)
            terms["identity"] = weight * self._contrast(networks, batch, real, same)
        return Losses(terms)

    def _contrast(
        self, networks: Networks, batch: Batch, given: Tensor, made: Tensor, *, flipped: bool = False
    ) -> Tensor:
        """PatchNCE: how badly the patches of a result are matched with those of its input at the same places."""
        translator, projection = networks["translator"], networks["projection"]
        with torch.no_grad():
            wanted = _features(translator, given, self._layers)
        found = _features(translator, made, self._layers)
        if flipped:
            found = [each.flip(3) for each in found]
        places = [self._places(batch, layer, each) for layer, each in zip(self._layers, found, strict=True)]
        queries: list[Tensor] = projection(list(map(_patches, found, places)))
        with torch.no_grad():
            keys: Any = projection.bare(list(map(_patches, wanted, places)))
        losses = [self._match(query, key) for query, key in zip(queries, keys, strict=True)]
        return torch.stack(losses).mean()

    def _places(self, batch: Batch, layer: int, features: Tensor) -> Tensor:
        """Random places of each picture in a layer, int64 (N, places); the same for all uses of a batch."""
        positions = features[0, 0].numel()
        numbers = batch.draw(_PLACES, layer).uniform(len(batch), positions)
        return numbers.topk(min(self.config.nce_patches, positions)).indices

    def _match(self, queries: Tensor, keys: Tensor) -> Tensor:
        """The cross-entropy of finding for each query the key of the same place, among those of the same picture."""
        logits = torch.bmm(queries, keys.transpose(1, 2)).float() / self.config.nce_temperature
        right = torch.arange(logits.shape[1], device=logits.device).expand(len(logits), -1)
        return cross_entropy(logits.flatten(0, 1), right.flatten())

    def describe(self) -> list[str]:
        c = self.config
        layers = ", ".join(map(str, self._layers))
        extras = [name for name in ("identity", "flip_equivariance") if getattr(c, name)]
        return [
            f"weights: adversarial {c.adversarial_weight:g}, contrastive {c.nce_weight:g}",
            f"contrast: {c.nce_patches} patches of the layers {layers}, temperature {c.nce_temperature:g}"
            + "".join(f", {name.replace('_', ' ')}" for name in extras),
        ]


def _features(translator: Network, images: Tensor, layers: Sequence[int]) -> list[Tensor]:
    """What layers make of images. The gradients of several processes come together after the backward pass."""
    assert isinstance(translator.bare, Translator)
    features: list[Tensor] = translator.bare.network.features(images, layers)  # type: ignore[operator]
    return features


def _patches(features: Tensor, places: Tensor) -> Tensor:
    """The features (N, channels, h, w) at places (N, P), as (N, P, channels)."""
    flat = features.flatten(2)
    return flat.gather(2, places[:, None].expand(-1, flat.shape[1], -1)).transpose(1, 2)
