"""What the tasks share that translate from one set of pictures to another, without pairs."""

import logging
from typing import Annotated, Any, TypeVar

import torch
from PIL import Image
from pydantic import PositiveInt
from torch import Tensor

from hubgan.data import ImageSource, RawBatch, UnpairedSquares, load_domains
from hubgan.errors import ConfigError
from hubgan.evaluation import Reference, evaluate_unpaired
from hubgan.media.grid import ImageGrid
from hubgan.media.images import to_image
from hubgan.models import Discriminator, Translator
from hubgan.models.card import TrainingRun
from hubgan.models.figures import Result
from hubgan.networks import DISCRIMINATORS, TRANSLATORS
from hubgan.runtime.seeding import SharedRandom
from hubgan.training import describe
from hubgan.training.config import (
    Architectures,
    EvaluationOptions,
    NetworkConfig,
    NetworkOptions,
    TrainingConfig,
)
from hubgan.training.task import Batch, Models, OptimizerConfig, Part, Phase, Task
from hubgan.training.tasks.squares import SquareData, crops, warn_of_small_crops

logger = logging.getLogger(__name__)

_EXAMPLES = 24
_COLUMNS = 12  # at most, of the preview
_TRANSLATORS = {name: network for name, network in TRANSLATORS.items() if hasattr(network, "features")}
_SHARED = ("channels", "image_size", "classes", "condition_channels")


class UnpairedNetworks(NetworkOptions):
    """The translator and the discriminator."""

    translator: Annotated[NetworkConfig, Architectures(_TRANSLATORS, ("channels", "input_channels", "latent_dim"))] = (
        NetworkConfig(architecture="resnet")
    )
    """The translator's network."""
    discriminator: Annotated[NetworkConfig, Architectures(DISCRIMINATORS, _SHARED)] = NetworkConfig(
        architecture="patch"
    )
    """The discriminator's network: patch or unet, which judge parts of a picture."""


class UnpairedData(SquareData):
    """The two domains. Without a second data set they are two columns, or two subfolders of a folder."""

    image_size: PositiveInt = 256
    """Side of the images in pixels. Pictures are centre-cropped and resized to it, or to load_size."""
    target_dataset: str | None = None
    """The data set of the target domain: a Hub name, a folder of images, or a Parquet file. Without this option
    --dataset holds both domains: the columns imageA and imageB, the folders input and target, or those that
    --input_column and --image_column name."""


class UnpairedEvaluation(EvaluationOptions):
    """The two domains to measure on."""

    eval_target_dataset: str | None = None
    """The data set of the target domain to measure on, beside --eval_dataset."""


class UnpairedConfig(UnpairedEvaluation, UnpairedNetworks, UnpairedData, TrainingConfig):
    """The options that unpaired tasks share."""


C = TypeVar("C", bound=UnpairedConfig)


class Unpaired(Task[C]):
    """Pictures of a source domain to pictures that a discriminator takes for those of a target domain."""

    measures = "FD-ENL0 and the like to the target domain, and likeness to the input, of at most {samples:,} pictures"
    marks_training_images = True
    takes_pairs = True  # two columns of one data set
    transform: UnpairedSquares

    def __init__(self, config: C) -> None:
        super().__init__(config)
        c = config
        if c.eval_target_dataset and not c.eval_dataset:
            raise ConfigError(
                "eval_target_dataset needs the data set of the source domain too", "Pass it with --eval_dataset"
            )
        self.transform = UnpairedSquares(size=c.image_size, channels=c.channels, flip=c.flip, load_size=c.load_size)
        self._domains = ""
        self._examples: tuple[Tensor, Tensor] = torch.empty(0), torch.empty(0)

    @classmethod
    def load_images(cls, config: C, name: str, /, *, measured: bool = False, **options: Any) -> ImageSource:
        target = config.eval_target_dataset if measured else config.target_dataset
        return load_domains(name, target, **options)

    def make_translator(self) -> Translator:
        """A new translator.

        Raises:
            ConfigError: an option is out of bounds, or the images do not fit its grid.
        """
        c = self.config
        same = {"channels": c.channels, "input_channels": c.channels, "latent_dim": 0}
        translator = c.translator.build("translator", Translator, image_size=c.image_size, **same)
        multiple = int(translator.network.multiple)  # type: ignore[arg-type]
        if c.image_size % multiple:
            raise ConfigError(
                f"image_size is {c.image_size}, but it must be a multiple of {multiple}",
                f"Set --image_size {max(c.image_size // multiple, 2) * multiple}",
            )
        return translator

    def make_discriminator(self) -> Discriminator:
        """A new discriminator."""
        return self.config.discriminator.build("discriminator", Discriminator, channels=self.config.channels)

    def make_parts(self, discriminators: tuple[str, ...], generators: tuple[str, ...]) -> tuple[Part, ...]:
        """The parts of a run in which these networks are updated in turn."""
        c = self.config
        betas = (c.adam_beta1, c.adam_beta2)
        optimizer = OptimizerConfig("adam", c.discriminator_learning_rate, betas)
        judges = Phase("discriminator", discriminators, optimizer, c.discriminator_steps, detached=True)
        makers = Phase("generator", generators, OptimizerConfig(c.optimizer, c.learning_rate, betas))
        return (Part("training", (judges, makers)),)

    def setup_data(self, source: ImageSource) -> None:
        assert source.targets is not None
        self._domains = describe.domains(source)
        logger.info("Translating %s", self._domains)
        domains = (source, self.transform.inputs), (source.targets, self.transform.targets)
        warn_of_small_crops(self.config)
        inputs, targets = (
            transform.middle(torch.stack(each.examples(transform, _EXAMPLES))) for each, transform in domains
        )
        self._examples = inputs.float() / 255, targets.float() / 255

    def batch(self, raw: RawBatch, random: SharedRandom) -> Batch:
        target, given = (images.float() / 255 for images in self.transform.split(raw.images))
        return Batch({"input": given, "real": target})

    def preview(self, models: Models) -> Image.Image:
        inputs, _ = self._examples
        return side_by_side(as_bytes(inputs), translated(models, "translator", inputs))

    def evaluate(self, models: Models, reference: Reference, trained_on: Reference) -> list[Result]:
        translator = models["translator"]
        assert isinstance(translator, Translator)
        samples, seed = self.config.eval_samples, self.config.seed
        return evaluate_unpaired(translator, reference, samples=samples, seed=seed, progress=True)

    def augmentation(self) -> list[str]:
        return crops(self.config) + super().augmentation()

    def card(self) -> TrainingRun:
        return {"domains": self._domains}


def to_discriminator_input(images: Tensor) -> Tensor:
    """Images in [0, 1] as a discriminator takes them, in [-1, 1]."""
    return images * 2 - 1


def translated(models: Models, name: str, images: Tensor) -> Tensor:
    """What the translator of that name makes of images in [0, 1], as uint8."""
    translator = models[name]
    assert isinstance(translator, Translator)
    return translator.images_from(images)


def as_bytes(images: Tensor) -> Tensor:
    """Images in [0, 1] as uint8."""
    return images.mul(255).round().byte()


def side_by_side(*columns: Tensor) -> Image.Image:
    """Images, uint8 (N, channels, H, W), each beside those of the same number in the other columns."""
    height, width = columns[0].shape[2:]
    count = min(map(len, columns))
    grid = ImageGrid(len(columns) * count, (width, height), columns=_COLUMNS // len(columns) * len(columns))
    for row in zip(*(column[:count] for column in columns), strict=True):
        for image in row:
            grid.add(to_image(image))
    return grid.image
