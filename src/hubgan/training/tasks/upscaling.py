"""The task of super-resolution: a pixel loss first, then an adversarial and a perceptual loss with it."""

from collections.abc import Sequence
from functools import partial
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal

from PIL import Image
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, l1_loss, mse_loss, pixel_unshuffle

from hubgan.data import Crops, ImageSource, PairedCrops, RawBatch, Transform
from hubgan.data.degradation import DEGRADATIONS, Degradation, DegradationName, Range
from hubgan.errors import ConfigError
from hubgan.evaluation import Reference, evaluate_upscaler
from hubgan.hub.download import ModelSource
from hubgan.media.grid import ImageGrid
from hubgan.media.images import LUMA, to_image
from hubgan.metrics import PerceptualDistance, reduced, shrink
from hubgan.models import Discriminator, HubModel, Upscaler
from hubgan.models.card import TrainingRun
from hubgan.models.config import PIXEL_WEIGHTS
from hubgan.models.figures import Result
from hubgan.networks import DISCRIMINATORS, UPSCALERS
from hubgan.runtime.seeding import SharedRandom
from hubgan.training.adversarial import AdversarialLoss
from hubgan.training.config import (
    Architectures,
    DataOptions,
    LossOptions,
    NetworkConfig,
    NetworkOptions,
    OptimisationOptions,
    TrainingConfig,
)
from hubgan.training.schedules import PositiveSchedule
from hubgan.training.task import Batch, Losses, Models, Networks, OptimizerConfig, Part, Phase, Task

_SMALLEST = 16  # a side, by the discriminators
_GRID = 8  # what the discriminators want sides to be multiples of
_EXAMPLES = 4
_BLOCKS = 4  # a side, of a local mean
_COLOURS = 32  # a side of the blocks whose mean colours are compared
_UNSURE = 0.05  # deviation of the strength that the upscaler is given, from the true one


class UpscalingNetworks(NetworkOptions):
    """The upscaler and the discriminator."""

    upscaler: Annotated[NetworkConfig, Architectures(UPSCALERS, ("channels",))] = NetworkConfig(architecture="edsr")
    """The upscaler's network."""
    discriminator: Annotated[NetworkConfig, Architectures(DISCRIMINATORS, ("channels", "image_size", "classes"))] = (
        NetworkConfig(architecture="patch")
    )
    """The discriminator's network: patch or unet, which take images of any size."""


class UpscalingData(DataOptions):
    """The crops, and how the small pictures are made of them."""

    crop_size: PositiveInt = 128
    """Side in pixels of the crops of the large images."""
    reduce: float = Field(1.0, gt=0, le=1)
    """Shrink the large images to this share of their size before cropping. Below 1 this hides the blocks of JPEGs."""
    degradation: DegradationName = "none"
    """The degradation of the small images. everyday adds slight blur, noise and JPEG or WebP compression. heavy is
    Real-ESRGAN's. none only shrinks them."""
    degraded: float | None = Field(None, ge=0, le=1)
    """The share of the small images that are degraded. By default three quarters."""
    degraded_blur: Range | None = None
    """Limits of the blur's standard deviation in pixels of the large image. By default those of the degradation."""
    degraded_noise: Range | None = None
    """Limits of the noise's standard deviation in grey levels. By default those of the degradation."""
    degraded_quality: Range | None = None
    """Limits of the quality of JPEG and WebP files, 1 to 100. By default those of the degradation."""


class UpscalingLosses(LossOptions):
    """The losses of both parts of the training."""

    pixel_share: float = Field(0.5, ge=0, le=1)
    """The share of the budget with the pixel loss alone, before the other losses are added."""
    pixel_weight: NonNegativeFloat = 1.0
    """Weight of the pixel loss (mean absolute error) in the adversarial part."""
    luma_weight: NonNegativeFloat = 0.0
    """Weight of luma in the pixel loss, in addition to the three colours. The eye sees detail mostly in luma."""
    colour_weight: NonNegativeFloat = 0.0
    """Weight of the mean absolute error of the mean colours of 32-pixel blocks, in both parts. It keeps colours where
    damage is cleaned away."""
    consistency_weight: NonNegativeFloat = 5.0
    """Weight of two mean absolute errors in the adversarial part. One compares the result, made small again, with the
    input; it keeps colours (not at scale 1). The other compares local means at each position in the blocks of pixels
    that the network makes; it prevents patterns."""
    perceptual_weight: NonNegativeFloat = 0.15
    """Weight of the perceptual loss (distance of EfficientNet-Lite0 features)."""
    adversarial_weight: NonNegativeFloat = 0.001
    """Weight of the adversarial loss."""
    strength_weight: NonNegativeFloat = 0.02
    """Weight of the squared error of the estimated strength, for an upscaler that has a strength."""


class UpscalingOptimisation(OptimisationOptions):
    """The adversarial part has a learning rate of its own."""

    adversarial_learning_rate: PositiveSchedule = 2e-4
    """The generator's learning rate where the adversarial part begins."""


class UpscalingConfig(UpscalingOptimisation, UpscalingLosses, UpscalingNetworks, UpscalingData, TrainingConfig):
    """Train an image upscaler."""

    moved: ClassVar[dict[str, tuple[str, ...]]] = {
        "architecture": ("upscaler.architecture",),
        "scale": ("upscaler.scale",),
        "width": ("upscaler.width",),
        "depth": ("upscaler.depth",),
        "stride": ("upscaler.stride",),
        "discriminator_width": ("discriminator.width",),
        "discriminator_norm": ("discriminator.norm",),
    }

    task: Literal["upscaling"] = "upscaling"
    """The task of the recipe."""


class Upscaling(Task[UpscalingConfig]):
    """Small pictures to large ones. The data set holds both, or the small are made from the large: shrunk (antialiased
    bicubic), or degraded. At scale 1 pictures are only restored.
    """

    config_class = UpscalingConfig
    averaged = ("upscaler",)
    published = MappingProxyType({"upscaler": "", "discriminator": "discriminator"})
    measures = "PSNR and SSIM of at most {samples:,} pictures"
    marks_training_images = True
    takes_pairs = True

    def __init__(self, config: UpscalingConfig) -> None:
        super().__init__(config)
        c = config
        self.degradation, self.degraded = _degradation(c)
        upscaler = c.upscaler.build("upscaler", Upscaler, channels=c.channels)
        self.has_strength = upscaler.has_strength
        self.scale, self._block = upscaler.scale, upscaler.scale * int(upscaler.config.get("stride", 1))
        self._shift = -(-self._block // _GRID) * _GRID
        self._check_crops()
        discriminator = c.discriminator.build("discriminator", Discriminator, channels=c.channels)
        self.networks = {"upscaler": upscaler, "discriminator": discriminator}
        self.parts = _parts(c)
        self.adversarial = AdversarialLoss(c)
        self.adversarial.check(discriminator)
        self.transform: Transform = Crops(size=c.crop_size, channels=c.channels, flip=c.flip, reduce=c.reduce)
        self._pairs: PairedCrops | None = None
        self._columns = ""
        self.perceptual = _perceptual() if c.perceptual_weight and c.pixel_share < 1 else None
        self.caption = self._caption("degraded pictures" if self.degradation else "")
        self._examples: Sequence[Tensor] = []

    def _check_crops(self) -> None:
        size = self.config.crop_size
        if size % self._block:
            raise ConfigError(
                f"crop_size ({size}) must be a multiple of {self._block}, the upscaler's scale x stride",
                f"Set --crop_size {max(size // self._block, 1) * self._block}",
            )
        if self.config.discriminator.architecture == "unet" and size % _GRID:
            raise ConfigError(
                f"crop_size ({size}) must be a multiple of {_GRID} for the discriminator unet",
                f"Set --crop_size {max(size // _GRID, 1) * _GRID}",
            )
        if size < (smallest := max(_SMALLEST + self._shift, _BLOCKS * self._block)):
            raise ConfigError(
                f"crop_size is {size}, but the losses need at least {smallest}", f"Set --crop_size {smallest}"
            )

    def _caption(self, before: str) -> str:
        if self.scale > 1:
            before = f"{before} enlarged by bicubic interpolation" if before else "bicubic"
        return f"Left to right: {before}, this model, the original; pictures of the training set"

    def load_pretrained(self, network: str, source: ModelSource) -> HubModel:
        """With the weights of the pixel part, if the model has them and this training has such a part."""
        if network != "upscaler":
            return super().load_pretrained(network, source)
        pixel = self.config.pixel_share > 0 and Upscaler.has_fidelity(source.name)
        return Upscaler.from_pretrained(source.name, fidelity=float(pixel))

    def batch(self, raw: RawBatch, random: SharedRandom) -> Batch:
        offset = random.integers(2, self._shift + 1)
        if self._pairs is not None:
            large, small = (images.float() / 255 for images in self._pairs.split(raw.images))
            return Batch({"small": small, "real": large}, values={"offset": offset})
        large = raw.images.float() / 255
        small, strength = shrink(large, self.scale), large.new_zeros(len(large))
        if self.degradation is not None:
            chosen = random.uniform(len(large)) < self.degraded
            draws, noise = random.uniform(len(large), self.degradation.draws), random.normal(*large.shape)
            if chosen.any():
                small[chosen], strength[chosen] = self.degradation(
                    large[chosen], self.scale, draws[chosen], noise[chosen]
                )
        tensors = {"small": small, "real": large, "strength": strength}
        if self.has_strength:  # given inexactly, because nobody knows it exactly in use
            tensors["given"] = (strength + _UNSURE * random.normal(len(large))).clamp(0, 1)
        return Batch(tensors, values={"offset": offset})

    def losses(self, phase: Phase, networks: Networks, batch: Batch) -> Losses:
        real, fake = batch["real"], batch.fake("fake", lambda: self._enlarge(networks, batch))
        if phase.name == "pixel":
            return Losses({"pixel": self._pixel_loss(real, fake), **self._other_losses(real, fake, batch)})
        c, discriminator = self.config, networks["discriminator"]
        inner = partial(self._inner, offset=batch.values["offset"])
        to_input = partial(self._to_discriminator_input, offset=batch.values["offset"])
        if phase.name == "discriminator":
            return self.adversarial.discriminator(discriminator, to_input(real), to_input(fake), batch)
        terms = {"pixel": c.pixel_weight * self._pixel_loss(real, fake)}
        loss = self.adversarial.generator(discriminator, to_input(real), to_input(fake), batch)
        terms["adversarial"] = c.adversarial_weight * loss
        if weight := c.consistency_weight:
            terms["consistency"] = weight * self._consistency_loss(real, fake)
        if self.perceptual is not None:
            distances = self.perceptual(inner(fake.float()), inner(real))
            terms["perceptual"] = c.perceptual_weight * distances.mean()
        return Losses(terms | self._other_losses(real, fake, batch))

    def _enlarge(self, networks: Networks, batch: Batch) -> Tensor:
        """The enlarged pictures; those of a network with a strength by the given one, and its estimate on the way."""
        if not self.has_strength:
            plain: Tensor = networks["upscaler"](batch["small"])
            return plain
        large: Tensor
        large, batch.cache["estimate"] = networks["upscaler"](batch["small"], batch["given"], True)
        return large

    def _other_losses(self, real: Tensor, fake: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Those of both parts, beside the pixel loss."""
        losses = {}
        if weight := self.config.colour_weight:
            means = avg_pool2d(fake.float() - real, min(_COLOURS, *real.shape[2:]))
            losses["colour"] = weight * means.abs().mean()
        if self.has_strength:
            error = mse_loss(batch.cache["estimate"].float(), batch["strength"])
            losses["strength"] = self.config.strength_weight * error
        return losses

    def _pixel_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        loss = l1_loss(fake.float(), real)
        if (weight := self.config.luma_weight) and self.config.channels == 3:
            share = real.new_tensor(LUMA).view(1, -1, 1, 1)
            loss = loss + weight * ((fake.float() - real) * share).sum(1).abs().mean()
        return loss

    def _consistency_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        places = l1_loss(_places(fake.float(), self._block), _places(real, self._block))
        if self.scale == 1:  # the other would be the pixel loss once more
            return places
        return l1_loss(reduced(fake.float(), self.scale), reduced(real, self.scale)) + places

    def _to_discriminator_input(self, images: Tensor, offset: Sequence[int]) -> Tensor:
        """Images in [0, 1] as discriminators take them, in [-1, 1]."""
        return self._inner(images, offset) * 2 - 1

    def _inner(self, images: Tensor, offset: Sequence[int]) -> Tensor:
        """Images without a random part of their edges, `offset` (rows, columns) of up to a block a side.

        The networks that judge look at every second pixel, every fourth, and so on, and the upscaler makes each place
        in a block of pixels by weights of its own. If the two grids were always in the same place, the upscaler would
        learn to weave a pattern.
        """
        (top, left), (height, width) = offset, (side - self._shift for side in images.shape[2:])
        return images[:, :, top : top + height, left : left + width]

    def frozen(self) -> list[nn.Module]:
        return [] if self.perceptual is None else [self.perceptual]

    def setup_data(self, source: ImageSource) -> None:
        if source.input_column:
            self._use_pairs(source)
        elif self.scale == 1 and self.degradation is None:
            raise ConfigError(
                "the upscaler's scale is 1, so its inputs would equal the targets",
                "Set --degradation everyday or heavy, or pass the inputs of pairs with --input_column",
            )
        self._examples = source.examples(self.transform, _EXAMPLES)

    def _use_pairs(self, source: ImageSource) -> None:
        """Take the small pictures from the data set."""
        c = self.config
        unfit = {"--degradation none": c.degradation != "none", "--reduce 1": c.reduce < 1}
        unfit["--upscaler.strength False"] = self.has_strength
        if options := [option for option, is_unfit in unfit.items() if is_unfit]:
            unknown = ", and their strengths are unknown" if self.has_strength else ""
            raise ConfigError(
                f"{source.name} holds pairs, so the small pictures in column {source.input_column} are"
                f" used unchanged{unknown}",
                f"Pass {' '.join(options)}, or train on the large pictures alone with --image_column {source.column}",
            )
        self.transform = self._pairs = PairedCrops(
            size=c.crop_size, channels=c.channels, flip=c.flip, scale=self.scale
        )
        self.caption = self._caption("inputs of the data set")
        self._columns = f"inputs in column `{source.input_column}`, targets in column `{source.column}`"

    def preview(self, models: Models) -> Image.Image:
        upscaler = models["upscaler"]
        assert isinstance(upscaler, Upscaler)
        if self._pairs is None:
            return compare(upscaler, self._examples, seed=self.config.seed, degradation=self.degradation)
        large, small = zip(*map(self._pairs.split, self._examples), strict=True)
        return compare(upscaler, large, small=small)

    def evaluate(self, models: Models, reference: Reference, trained_on: Reference) -> list[Result]:
        upscaler = models["upscaler"]
        assert isinstance(upscaler, Upscaler)
        kinds: list[Degradation | None] = [None]
        if self.degradation and not reference.source.input_column:
            kinds = [None, self.degradation] if self.scale > 1 else [self.degradation]
        return [
            figure
            for degradation in kinds
            for figure in evaluate_upscaler(
                upscaler,
                reference,
                samples=self.config.eval_samples,
                seed=self.config.seed,
                degradation=degradation,
                progress=True,
            )
        ]

    def describe(self) -> list[str]:
        c = self.config
        return [
            f"weights: pixel {c.pixel_weight:g} (luma {c.luma_weight:g}), perceptual {c.perceptual_weight:g},"
            f" adversarial {c.adversarial_weight:g}, consistency {c.consistency_weight:g}"
            + (f", colour {c.colour_weight:g}" if c.colour_weight else "")
        ]

    def augmentation(self) -> list[str]:
        c = self.config
        turned = ", mirrored both ways and turned" if c.flip else ""
        reduced = f" of pictures made {c.reduce:g} times as large" if c.reduce < 1 else ""
        how = f" ({self.degradation.description})" if self.degradation else ""
        which = "small images" if self.scale > 1 else "inputs"
        degraded = [f"{self.degraded:.0%} of the {which} degraded{how}"] if self.degradation else []
        return [f"random crops of {c.crop_size} pixels{reduced}{turned}", *degraded]

    def card(self) -> TrainingRun:
        if self._pairs is not None:
            return {"pairs": self._columns}
        return {"degraded": self.degraded, "degradation": self.config.degradation} if self.degradation else {}


def _degradation(c: UpscalingConfig) -> tuple[Degradation | None, float]:
    """The degradation of a run, and the share of the small pictures that it makes."""
    given = {name: value for name in ("blur", "noise", "quality") if (value := getattr(c, f"degraded_{name}"))}
    if c.degradation == "none":
        if c.degraded or given:
            name = f"degraded_{next(iter(given))}" if given else "degraded"
            raise ConfigError(f"{name} is set, but there is no degradation", "Set --degradation everyday, or heavy")
        return None, 0.0
    for name, (low, high) in given.items():
        if not 0 <= low <= high <= (100 if name == "quality" else 255):
            raise ConfigError(f"degraded_{name} is {low:g} {high:g}", "Pass two numbers, the smaller first")
    degradation = DEGRADATIONS[c.degradation](**given)
    share = degradation.share if c.degraded is None else c.degraded
    return (degradation, share) if share else (None, 0.0)


def _parts(c: UpscalingConfig) -> tuple[Part, ...]:
    """The pixel loss alone, then all losses."""
    betas, share = (c.adam_beta1, c.adam_beta2), c.pixel_share
    pixel = Phase("pixel", ("upscaler",), OptimizerConfig(c.optimizer, c.learning_rate, betas), log_name="generator")
    discriminator = Phase(
        "discriminator",
        ("discriminator",),
        OptimizerConfig("adam", c.discriminator_learning_rate, betas),
        repeats=c.discriminator_steps,
        detached=True,
    )
    generator = Phase("generator", ("upscaler",), OptimizerConfig(c.optimizer, c.adversarial_learning_rate, betas))
    return (
        Part("pixel", (pixel,), 0.0, share, "with the pixel loss alone"),
        Part("adversarial", (discriminator, generator), share, 1.0, keep_weights=PIXEL_WEIGHTS),
    )


def _places(images: Tensor, side: int) -> Tensor:
    """Local means of each place in the blocks of `side` pixels that the upscaler lays, (N, channels * side^2, h, w).

    Where real ones hardly differ, those of a woven pattern do: it is the same in every block.
    """
    return avg_pool2d(pixel_unshuffle(images, side), _BLOCKS, 1)


def _perceptual() -> PerceptualDistance:
    try:
        return PerceptualDistance(lite=0)
    except ConfigError as error:
        raise error.with_context("the perceptual loss: ", "Or set --perceptual_weight 0") from error


def compare(
    model: Upscaler,
    pictures: Sequence[Tensor],
    side: int = 192,
    *,
    small: Sequence[Tensor] | None = None,
    seed: int = 0,
    degradation: Degradation | None = None,
) -> Image.Image:
    """Rows of bicubic, model, original for the middle of pictures (uint8, channels x H x W), `side` pixels wide.

    Args:
        model: the upscaler.
        pictures: the large pictures.
        side: of the part that is shown, in pixels.
        small: the small pictures; by default they are made from the large ones.
        seed: of the degradation.
        degradation: with which they are made, if there is one.
    """
    side = min(side, *(min(picture.shape[1:]) for picture in pictures))
    scale = model.scale
    side -= side % scale
    grid = ImageGrid(3 * len(pictures), (side, side), columns=3)
    for number, picture in enumerate(pictures):
        top, left = ((length - side) // (2 * scale) for length in picture.shape[1:])
        large = picture[:, top * scale : top * scale + side, left * scale : left * scale + side]
        if small is None:
            whole = large[None].float() / 255
            made = degradation.by_seed(whole, scale, seed, number)[0] if degradation else shrink(whole, scale)
            given = to_image(made[0])
        else:
            given = to_image(small[number][:, top : top + side // scale, left : left + side // scale])
        for image in (given.resize((side, side), Image.Resampling.BICUBIC), model.upscale(given), to_image(large)):
            grid.add(image)
    return grid.image
