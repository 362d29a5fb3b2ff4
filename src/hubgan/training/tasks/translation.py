"""The task of image translation: pairs of an input and a target, or inputs computed from the targets.

The losses are those of pix2pix (Isola et al. 2017, https://arxiv.org/abs/1611.07004) and a perceptual one: the
discriminator sees the input beside the output.
"""

from collections.abc import Sequence
from types import MappingProxyType
from typing import Annotated, Any, Literal

import torch
from PIL import Image
from pydantic import Field, NonNegativeFloat
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from hubgan.data import ImageSource, PairedSquares, RawBatch, Squares
from hubgan.errors import ConfigError
from hubgan.evaluation import Reference, evaluate_translator
from hubgan.media.derived import INPUTS, InputName
from hubgan.media.grid import ImageGrid
from hubgan.media.images import to_image
from hubgan.metrics import PerceptualDistance
from hubgan.models import Discriminator, Translator
from hubgan.models.card import TrainingRun
from hubgan.models.figures import Result
from hubgan.models.translator import HINT_COUNTS, HINTS
from hubgan.networks import DISCRIMINATORS, TRANSLATORS
from hubgan.runtime.seeding import SharedRandom
from hubgan.training.adversarial import AdversarialLoss
from hubgan.training.config import (
    Architectures,
    LossOptions,
    NetworkConfig,
    NetworkOptions,
    OptimisationOptions,
    TrainingConfig,
)
from hubgan.training.schedules import PositiveSchedule
from hubgan.training.task import Batch, Losses, Models, Networks, OptimizerConfig, Part, Phase, Task
from hubgan.training.tasks.squares import SquareData, crops, warn_of_small_crops

_SHIFT = 8  # pixels by which the discriminator's view is moved at random
_EXAMPLES = 24
_COLUMNS = 4  # of examples in the preview
_SHARED = ("channels", "image_size", "classes", "condition_channels")


class TranslationNetworks(NetworkOptions):
    """The translator and the discriminator."""

    translator: Annotated[NetworkConfig, Architectures(TRANSLATORS, ("channels", "input_channels"))] = NetworkConfig(
        architecture="unet"
    )
    """The translator's network."""
    discriminator: Annotated[NetworkConfig, Architectures(DISCRIMINATORS, _SHARED)] = NetworkConfig(
        architecture="patch"
    )
    """The discriminator's network: patch or unet, which see the input beside the output."""


class TranslationData(SquareData):
    """The pictures, and where the inputs come from."""

    dataset: str = ""
    """The data set: a Hub name, a folder of images, a Parquet file, or a local data set. A folder of pairs has the
    subfolders input and target. Recipes for a folder of yours name none."""
    input: InputName | None = None
    """Compute the inputs from the pictures: edges (sketches), grey, mask (holes) or small. Without this option the
    data set must hold pairs."""
    input_channels: Literal[1, 3] = 3
    """Channels of the inputs of pairs: 1 for grey images, 3 for colour."""
    colour_hints: bool = False
    """Give the network the mean colours of some targets in the first latents. Other seeds then give other colours."""


class TranslationLosses(LossOptions):
    """The losses of both parts of the training."""

    pixel_share: float = Field(0.1, ge=0, le=1)
    """The share of the budget before the discriminator is used."""
    pixel_weight: NonNegativeFloat = 1.0
    """Weight of the pixel loss (mean absolute error)."""
    perceptual_weight: NonNegativeFloat = 0.5
    """Weight of the perceptual loss (distance of EfficientNet-Lite0 features)."""
    adversarial_weight: NonNegativeFloat = 0.01
    """Weight of the adversarial loss."""


class TranslationOptimisation(OptimisationOptions):
    """The adversarial part has a learning rate of its own."""

    adversarial_learning_rate: PositiveSchedule = 2e-4
    """The translator's learning rate once the discriminator is used."""


class TranslationConfig(
    TranslationOptimisation, TranslationLosses, TranslationNetworks, TranslationData, TrainingConfig
):
    """Train an image translator."""

    task: Literal["translation"] = "translation"
    """The task of the recipe."""


class Translation(Task[TranslationConfig]):
    """Inputs to targets, from pairs, or from pictures whose inputs are computed."""

    config_class = TranslationConfig
    averaged = ("translator",)
    published = MappingProxyType({"translator": "", "discriminator": "discriminator"})
    measures = "PSNR, SSIM and the perceptual distance of at most {samples:,} pictures"
    caption = "Left to right, in groups of three: input, this model, the original"
    marks_training_images = True
    takes_pairs = True

    def __init__(self, config: TranslationConfig) -> None:
        super().__init__(config)
        c = config
        self.derived = INPUTS[c.input] if c.input else None
        if self.derived is not None and c.channels != 3:
            raise ConfigError(f"--input {c.input} needs colour pictures", "Set --channels 3")
        kind: Any = {"input": c.input} if c.input else {"input_channels": c.input_channels}
        kind |= {"channels": c.channels, "image_size": c.image_size, "colour_hints": c.colour_hints}
        translator = c.translator.build("translator", Translator, **kind)
        discriminator = c.discriminator.build(
            "discriminator", Discriminator, channels=c.channels, condition_channels=translator.input_channels
        )
        self.networks = {"translator": translator, "discriminator": discriminator}
        self._latent_dim = translator.latent_dim
        self._check_size(int(translator.network.multiple))  # type: ignore[arg-type]
        self.adversarial = AdversarialLoss(c)
        self.adversarial.check(discriminator)
        self.parts = _parts(c)
        square: Any = {"size": c.image_size, "channels": c.channels, "flip": c.flip, "load_size": c.load_size}
        self._pairs = None if self.derived else PairedSquares(**square, input_channels=c.input_channels)
        self.transform: Squares = self._pairs or Squares(**square)
        self.perceptual = _perceptual() if c.perceptual_weight else None
        self._columns = ""
        self._examples: tuple[Tensor, Tensor] = torch.empty(0), torch.empty(0)

    def _check_size(self, multiple: int) -> None:
        size = self.config.image_size
        smallest = 3 * _SHIFT
        if size % multiple or size < smallest:
            wanted = max(size // multiple * multiple, -(-smallest // multiple) * multiple)
            raise ConfigError(
                f"image_size is {size}, but it must be a multiple of {multiple} and at least {smallest}",
                f"Set --image_size {wanted}",
            )

    def setup_data(self, source: ImageSource) -> None:
        c = self.config
        if self._pairs is None and source.input_column:
            raise ConfigError(
                f"{source.name} holds pairs, but --input {c.input} computes the inputs",
                f"Remove --input, or train on the targets alone with --image_column {source.column}",
            )
        if self._pairs is not None and not source.input_column:
            raise ConfigError(
                f"{source.name} holds no pairs of an input and a target",
                "Pass two image columns with --input_column and --image_column, or compute the inputs with --input"
                f" {' or '.join(INPUTS)}",
            )
        self._columns = f"inputs in column `{source.input_column}`, targets in column `{source.column}`"
        warn_of_small_crops(c)
        examples = torch.stack(source.examples(self.transform, _EXAMPLES))
        self._examples = self._split(self.transform.middle(examples))

    def _split(self, prepared: Tensor) -> tuple[Tensor, Tensor]:
        """Prepared images, uint8, as targets and inputs in [0, 1]; computed ones are drawn by the seed."""
        if self._pairs is not None:
            target, given = (images.float() / 255 for images in self._pairs.split(prepared))
            return target, given
        assert self.derived is not None
        targets = prepared.float() / 255
        return targets, self.derived.by_seed(targets, self.config.seed)

    def batch(self, raw: RawBatch, random: SharedRandom) -> Batch:
        count, values = len(raw.images), {"offset": random.integers(2, _SHIFT + 1)}
        latents = random.normal(count, self._latent_dim)
        if self._pairs is not None:
            target, given = self._split(raw.images)
        else:
            assert self.derived is not None
            target = raw.images.float() / 255
            given = self.derived(target, random.uniform(count, self.derived.draws), random.normal(
                count, *self.derived.fields
            ))  # fmt: skip
        if self.config.colour_hints:
            latents = _with_hints(latents, target)
        return Batch({"latents": latents, "input": given, "real": target}, values=values)

    def losses(self, phase: Phase, networks: Networks, batch: Batch) -> Losses:
        c, real = self.config, batch["real"]
        fake = batch.fake("fake", lambda: networks["translator"](batch["input"], batch["latents"]))
        if phase.name == "discriminator":
            return self.adversarial.discriminator(
                networks["discriminator"], self._to_input(real, batch), self._to_input(fake, batch), batch
            )
        terms = {"pixel": c.pixel_weight * l1_loss(fake.float(), real)}
        if self.perceptual is not None:
            distances = self.perceptual(*(_inner(images.float(), batch) for images in (fake, real)))
            terms["perceptual"] = c.perceptual_weight * distances.mean()
        if phase.name == "generator":
            loss = self.adversarial.generator(
                networks["discriminator"], self._to_input(real, batch), self._to_input(fake, batch), batch
            )
            terms["adversarial"] = c.adversarial_weight * loss
        return Losses(terms)

    def _to_input(self, images: Tensor, batch: Batch) -> Tensor:
        """Images and their inputs as the discriminator takes them, in [-1, 1]."""
        return _inner(torch.cat([images, batch["input"].to(images.dtype)], 1), batch) * 2 - 1

    def frozen(self) -> list[nn.Module]:
        return [] if self.perceptual is None else [self.perceptual]

    def preview(self, models: Models) -> Image.Image:
        translator = models["translator"]
        assert isinstance(translator, Translator)
        targets, inputs = self._examples
        return compare(inputs, translator.images_from(inputs), targets)

    def evaluate(self, models: Models, reference: Reference, trained_on: Reference) -> list[Result]:
        translator = models["translator"]
        assert isinstance(translator, Translator)
        return evaluate_translator(
            translator,
            reference,
            samples=self.config.eval_samples,
            seed=self.config.seed,
            progress=True,
        )

    def describe(self) -> list[str]:
        c = self.config
        weights = (
            f"weights: pixel {c.pixel_weight:g}, perceptual {c.perceptual_weight:g},"
            f" adversarial {c.adversarial_weight:g}"
        )
        return [
            f"inputs: {self.derived.description if self.derived else self._columns or 'those of the pairs'}",
            weights,
        ]

    def augmentation(self) -> list[str]:
        return crops(self.config) + super().augmentation()

    def card(self) -> TrainingRun:
        return {} if self.derived else {"pairs": self._columns}


def _with_hints(latents: Tensor, targets: Tensor) -> Tensor:
    """Latents, of which some tell the target's mean colour, where the picture is not white.

    Without them the input nearly decides the result, and a network would learn to ignore its latents.
    """
    colours = targets.expand(-1, 3, -1, -1)
    shares = 1 - colours.amin(1, keepdim=True) + 1e-3
    means = (colours * shares).sum((2, 3)) / shares.sum((2, 3))
    hints = (means - 0.55) / 0.2  # about a standard normal, as latents are
    hinted = torch.where(latents[:, HINTS - 1 : HINTS] > HINT_COUNTS, hints, latents[:, : HINTS - 1])
    return torch.cat([hinted, latents[:, HINTS - 1 :]], 1)


def _inner(images: Tensor, batch: Batch) -> Tensor:
    """Images without a random part of their edges.

    The networks that judge look at every second pixel, every fourth, and so on, and the translator makes each place in
    a block of pixels by weights of its own. If the two grids were always in the same place, it would weave a pattern.
    """
    (top, left), (height, width) = batch.values["offset"], (side - _SHIFT for side in images.shape[2:])
    return images[:, :, top : top + height, left : left + width]


def _parts(c: TranslationConfig) -> tuple[Part, ...]:
    """The pixel and the perceptual loss alone, then all losses."""
    betas, share = (c.adam_beta1, c.adam_beta2), c.pixel_share
    pixel = Phase("pixel", ("translator",), OptimizerConfig(c.optimizer, c.learning_rate, betas), log_name="generator")
    discriminator = Phase(
        "discriminator",
        ("discriminator",),
        OptimizerConfig("adam", c.discriminator_learning_rate, betas),
        repeats=c.discriminator_steps,
        detached=True,
    )
    generator = Phase("generator", ("translator",), OptimizerConfig(c.optimizer, c.adversarial_learning_rate, betas))
    return (
        Part("pixel", (pixel,), 0.0, share, "without the discriminator"),
        Part("adversarial", (discriminator, generator), share, 1.0),
    )


def _perceptual() -> PerceptualDistance:
    try:
        return PerceptualDistance(lite=0)
    except ConfigError as error:
        raise error.with_context("the perceptual loss: ", "Or set --perceptual_weight 0") from error


def compare(inputs: Tensor, made: Tensor, targets: Tensor) -> Image.Image:
    """Input, result and original of each picture side by side.

    Args:
        inputs, targets: (N, channels, H, W) in [0, 1].
        made: uint8 (N, channels, H, W).
    """
    height, width = targets.shape[2:]
    grid = ImageGrid(3 * len(targets), (width, height), columns=3 * _COLUMNS)
    rows: Sequence[tuple[Tensor, ...]] = list(zip(_shown(inputs), made, _shown(targets), strict=True))
    for row in rows:
        for image in row:
            grid.add(to_image(image))
    return grid.image


def _shown(images: Tensor) -> Tensor:
    """Images in [0, 1] as uint8; of four channels the colours."""
    return images[:, :3].clamp(0, 1).mul(255).round().byte()
