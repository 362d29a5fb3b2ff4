"""The task of image generation."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from PIL import Image
from pydantic import PositiveInt

from hubgan.data import ImageSource, RawBatch, Squares
from hubgan.evaluation import Reference, evaluate_generator
from hubgan.media.grid import ImageGrid
from hubgan.models import Discriminator, Generator
from hubgan.models.config import without_memory
from hubgan.models.figures import Result
from hubgan.networks import DISCRIMINATORS, GENERATORS
from hubgan.runtime.seeding import SharedRandom
from hubgan.training.adversarial import AdversarialLoss
from hubgan.training.config import Architectures, NetworkConfig, NetworkOptions
from hubgan.training.sizing import SizedConfig, sized
from hubgan.training.task import Batch, Losses, Models, Networks, OptimizerConfig, Part, Phase, Task

_GRID = 8
_ROWS = 16  # of classes
_SHARED = ("image_size", "channels", "classes")


class GenerationNetworks(NetworkOptions):
    """The generator and the discriminator."""

    generator: Annotated[NetworkConfig, Architectures(GENERATORS, _SHARED)] = NetworkConfig(architecture="dcgan")
    """The generator's network."""
    discriminator: Annotated[NetworkConfig, Architectures(DISCRIMINATORS, _SHARED)] = NetworkConfig(
        architecture="dcgan"
    )
    """The discriminator's network."""
    image_size: PositiveInt = 32
    """Side of the images in pixels, a power of two. Images are centre-cropped and resized to it."""
    conditional: bool = False
    """Train with the classes of the data. The generator then makes images of a given class."""


class GenerationConfig(GenerationNetworks, SizedConfig):
    """Train an image generator."""

    moved: ClassVar[dict[str, tuple[str, ...]]] = {
        "architecture": ("generator.architecture",),
        "latent_dim": ("generator.latent_dim",),
        "generator_norm": ("generator.norm",),
        "width": ("generator.width", "discriminator.width"),
        "discriminator_width": ("discriminator.width",),
        "discriminator_norm": ("discriminator.norm",),
        "depth": ("generator.depth", "discriminator.depth"),
        "group_width": ("generator.group_width", "discriminator.group_width"),
        "patch": ("generator.patch", "discriminator.patch"),
    }

    task: Literal["generation"] = "generation"
    """The task of the recipe."""


class Generation(Task[GenerationConfig]):
    """Latents to images that a discriminator takes for real ones."""

    config_class = GenerationConfig
    averaged = ("generator",)
    published = MappingProxyType({"generator": "", "discriminator": "discriminator"})
    caption = "Samples, not selected: seed 0, the first 64"
    measures = "FD-ENL0, KD-ENL0 and the like of {samples:,} samples"

    def __init__(self, config: GenerationConfig) -> None:
        super().__init__(config)
        c = config
        self.labelled = c.conditional
        self.transform = Squares(size=c.image_size, channels=c.channels, flip=c.flip)
        self.adversarial = AdversarialLoss(c)
        betas = (c.adam_beta1, c.adam_beta2)
        self.parts = (
            Part(
                "training",
                (
                    Phase(
                        "discriminator",
                        ("discriminator",),
                        OptimizerConfig("adam", c.discriminator_learning_rate, betas),
                        repeats=c.discriminator_steps,
                        detached=True,
                    ),
                    Phase("generator", ("generator",), OptimizerConfig(c.optimizer, c.learning_rate, betas)),
                ),
            ),
        )
        with without_memory():  # finds wrong options before the data are opened
            self.setup_without_data()
        self.adversarial.check(self.networks["discriminator"])

    @classmethod
    def sized(cls, config: GenerationConfig, images: int | None, recorded: Mapping[str, Any]) -> GenerationConfig:
        return sized(config, images, recorded) if config.auto else config

    def setup_data(self, source: ImageSource) -> None:
        if self.config.conditional:
            source.check_labels()
        self._build(source.classes if self.config.conditional else ())

    def setup_without_data(self) -> None:
        self._build(("0", "1") if self.config.conditional else ())  # two classes stand in for those of the data

    def _build(self, labels: tuple[str, ...]) -> None:
        c = self.config
        shared = {"image_size": c.image_size, "channels": c.channels}
        classes = {"classes": len(labels)} if labels else {}
        if labels:
            which = "each class" if len(labels) <= _ROWS else f"each of the first {_ROWS} classes"
            self.caption = f"Samples, not selected: seed 0, {_GRID} of {which}"
        self.networks = {
            "generator": c.generator.build("generator", Generator, labels=labels, **shared),
            "discriminator": c.discriminator.build("discriminator", Discriminator, **shared, **classes),
        }

    def batch(self, raw: RawBatch, random: SharedRandom) -> Batch:
        generator = self.networks["generator"]
        latents = random.normal(len(raw.images), generator.config["latent_dim"])
        return Batch({"latents": latents, "real": raw.images.float().div(127.5).sub(1)}, raw.labels)

    def losses(self, phase: Phase, networks: Networks, batch: Batch) -> Losses:
        fake = batch.fake("fake", lambda: networks["generator"](batch["latents"], batch.labels))
        if phase.name == "discriminator":
            return self.adversarial.discriminator(networks["discriminator"], batch["real"], fake, batch)
        loss = self.adversarial.generator(networks["discriminator"], batch["real"], fake, batch)
        return Losses({"adversarial": loss})

    def preview(self, models: Models) -> Image.Image:
        generator = models["generator"]
        assert isinstance(generator, Generator)
        labels = generator.labels[:_ROWS]
        rows = len(labels) or _GRID
        images = generator.sample(rows * _GRID, seed=0, labels=labels or None)
        if labels:  # they are of the classes in turn: a row a class
            images = [image for row in range(rows) for image in images[row::rows]]
        grid = ImageGrid(len(images), images[0].size, _GRID, labels)
        for image in images:
            grid.add(image)
        return grid.image

    def evaluate(self, models: Models, reference: Reference, trained_on: Reference) -> list[Result]:
        generator = models["generator"]
        assert isinstance(generator, Generator)
        samples, seed = reference.at_most(self.config.eval_samples), self.config.seed
        return evaluate_generator(generator, reference, samples=samples, seed=seed, floor=trained_on, progress=True)
