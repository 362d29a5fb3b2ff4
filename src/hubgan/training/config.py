"""Every option of a training run. The recipes in `hubgan/recipes` and the command line set them by these names.

A value given as two numbers goes from the first to the second in the course of the run. The classes below are the
groups in which `--help` shows the options; a task's own configuration adds to them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)
from torch import nn

from hubgan.errors import ConfigError
from hubgan.training.augmentation import Operation
from hubgan.training.losses import OBJECTIVES
from hubgan.training.optimizers import Optimizer
from hubgan.training.schedules import (
    BetaSchedule,
    NonNegativeSchedule,
    PositiveSchedule,
    ProbabilitySchedule,
    Shape,
)

Objective = Literal["minimax", "non_saturating", "hinge", "least_squares", "wasserstein", "relativistic"]
assert set(Objective.__args__) == set(OBJECTIVES)  # type: ignore[attr-defined]

Model = TypeVar("Model", bound=nn.Module)

_GROUPS = ("data", "networks", "optimisation", "losses", "run", "evaluation", "card")


class OptionGroup(BaseModel):
    """Options that `--help` shows together."""

    model_config = ConfigDict(extra="forbid", validate_default=True, use_attribute_docstrings=True)
    group: ClassVar[str] = ""


class NetworkConfig(BaseModel):
    """A block of a recipe: an architecture, and options that its own signature checks."""

    model_config = ConfigDict(extra="allow", frozen=True)
    architecture: str

    @property
    def options(self) -> dict[str, Any]:
        """The options beside the architecture."""
        return dict(self.model_extra or {})

    def build(self, name: str, kind: Callable[..., Model], **given: Any) -> Model:
        """The model that the block called `name` describes, of a class, with the options that the task sets.

        Raises:
            ConfigError: a value is out of bounds; the message names the block.
        """
        try:
            return kind(self.architecture, **given, **self.options)
        except ConfigError as error:
            raise error.with_context(f"{name}: ") from error


@dataclass(frozen=True)
class Architectures:
    """Marks an option as a block of a network: `Annotated[NetworkConfig, Architectures(GENERATORS, ...)]`.

    Attributes:
        networks: the architectures to choose from.
        given: options of theirs that are not the block's, as the task sets them.
    """

    networks: Mapping[str, type[nn.Module]]
    given: tuple[str, ...] = ()


class DataOptions(OptionGroup):
    """The images to train on."""

    group: ClassVar[str] = "data"

    dataset: str
    """A Hub name, a folder of images or of pairs (subfolders lr and hr), a Parquet file, or a local data set."""
    dataset_name: str | None = None
    """The data set's name in the card and in the saved recipe; by default the Hub name, or the folder's own name.
    A remark in brackets, as in "uoft-cs/cifar10 (JPEG copy)", appears in the card only."""
    dataset_config: str | None = None
    """The data set's configuration (subset), if it has several."""
    split: str = "train"
    """The data set's split to train on."""
    image_column: str | None = None
    """The column with the images; needed if there are several of the feature type Image. In pairs the targets."""
    input_column: str | None = None
    """The column with the inputs, in a data set of pairs for super-resolution or translation. By default lr beside hr,
    or input beside target; else an upscaler's small images are made from the large ones."""
    label_column: str | None = None
    """The column with the labels; by default the first whose feature type is ClassLabel."""
    classes: tuple[str, ...] = ()
    """Train only on images with these labels."""
    streaming: bool = False
    """Read images when they are needed, through a shuffled buffer, instead of downloading and decoding all first."""
    shuffle_buffer: PositiveInt = 10_000
    """Images (still encoded) in the buffer that shuffles a stream."""
    channels: Literal[1, 3] = 3
    """1 for grey images, 3 for colour."""
    num_workers: NonNegativeInt | None = None
    """Processes that prepare batches; by default 0 if all images are kept decoded, else up to 4."""
    decoded_gb: NonNegativeFloat = 8.0
    """Decode up to this many GB of images once and keep them in a file that all processes share."""


class NetworkOptions(OptionGroup):
    """The networks, and the weights they begin with."""

    group: ClassVar[str] = "networks"

    pretrained_model: str | None = None
    """Begin with the weights of this model (a Hub name or a folder) instead of random ones."""
    pretrained_discriminator: str | None = None
    """Begin with the weights of this discriminator, for example RUN/discriminator of an earlier run."""


class OptimisationOptions(OptionGroup):
    """The budget and the optimizers. The run ends with the first budget that is used up."""

    group: ClassVar[str] = "optimisation"

    max_images: PositiveInt | None = None
    """Stop after this number of training images, counted over all processes."""
    max_steps: PositiveInt | None = None
    """Stop after this number of steps (updates of the generator)."""
    max_minutes: PositiveFloat | None = None
    """Stop after this number of minutes of training; schedules then follow the clock."""
    batch_size: PositiveInt = 128
    """Images a process has on its device at once."""
    gradient_accumulation_steps: PositiveInt = 1
    """Batches whose gradients are added up before an update."""
    discriminator_steps: PositiveInt = 1
    """Updates of the discriminator a step, each on images of its own."""
    optimizer: Optimizer = "adam"
    """The generator's optimizer: adam, or muon, which takes Adam's learning rates."""
    learning_rate: PositiveSchedule = 2e-4
    """The learning rate of the generator."""
    discriminator_learning_rate: PositiveSchedule = 2e-4
    """The learning rate of the discriminator."""
    adam_beta1: BetaSchedule = 0.5
    """Adam's first beta."""
    adam_beta2: BetaSchedule = 0.999
    """Adam's second beta."""
    schedule: Shape = "cosine"
    """How a value given as two numbers goes from the first to the second."""
    schedule_share: float = Field(1.0, gt=0, le=1)
    """The share of the budget after which a value given as two numbers has reached the second."""
    clip_grad_norm: NonNegativeFloat = 0.0
    """Clip the norm of the gradients to this; 0 does not."""
    ema_half_life: NonNegativeSchedule = 90_000
    """Images after which a weight counts half in the average of the generator that is saved; 0 saves the last."""
    ema_rampup: NonNegativeFloat = 0.05
    """The half-life is at most this share of the images seen, so that a short run forgets its first weights."""


class LossOptions(OptionGroup):
    """Losses, penalties on the discriminator, and augmentation."""

    group: ClassVar[str] = "losses"

    objective: Objective = "non_saturating"
    """The adversarial loss."""
    r1_weight: NonNegativeSchedule = 0.0
    """Weight (gamma) of R1, the squared gradient at real images."""
    r2_weight: NonNegativeSchedule = 0.0
    """Weight (gamma) of R2, the squared gradient at fakes."""
    gradient_penalty_weight: NonNegativeSchedule | None = None
    """Weight (lambda) of WGAN-GP's penalty; 10 for the objective wasserstein, 0 for the others."""
    penalty_every: PositiveInt = 1
    """Discriminator updates from one penalty to the next; each penalty is weighted by this number."""
    flip: bool = True
    """Mirror images at random; super-resolution also flips them upside down and turns them."""
    augment: tuple[Operation, ...] = ()
    """DiffAugment operations on all images that the discriminator sees, real and fake."""
    augment_probability: ProbabilitySchedule = 1.0
    """The probability of each of these operations."""
    augment_target: float | None = Field(None, gt=0, lt=1)
    """Adapt that probability from 0 on, so that the mean sign of the logits of real images stays here (ADA: 0.6)."""


class RunOptions(OptionGroup):
    """The run: where it is kept, what is logged, and the machine."""

    group: ClassVar[str] = "run"

    config: str = "cifar-dcgan"
    """The recipe, which sets the defaults of all other options: a name from the list above, or a YAML file."""
    dry_run: bool = False
    """Print the plan (networks, memory, time, schedules, data) and stop. It needs no data set."""
    output_dir: str | None = None
    """The run's folder, which ends as a repository ready to push. By default runs/<recipe>; if that holds a run, the
    name is followed by the date and time."""
    push_to_hub: str | None = None
    """Push the run's folder to this Hub repository (user/name) at the end."""
    private: bool = False
    """Make the pushed repository private."""
    resume: str | None = None
    """A checkpoint folder to go on from, or "auto" for the last good one of the output folder. Without --output_dir
    that is the folder of the recipe that was trained last."""
    seed: int = Field(0, ge=0, lt=2**31)
    """Seeds weights, data order, augmentation and noise."""
    mixed_precision: Literal["auto", "no", "bf16", "fp16"] = "auto"
    """auto takes the half precision that `accelerate launch` asks for, else bf16 where the hardware computes in it."""
    compile: bool = False
    """Compile the networks with torch.compile."""
    log_every: PositiveInt = 50
    """Steps between lines in metrics.jsonl."""
    report_to: Literal["none", "tensorboard", "trackio", "wandb"] = "none"
    """A tracker that shows the figures as well."""
    sample_every: PositiveInt = 1000
    """Steps between sample grids on fixed inputs."""
    checkpoint_every: PositiveInt = 1000
    """Steps between checkpoints."""
    keep_checkpoints: PositiveInt = 2
    """How many checkpoints are kept, the last ones."""
    on_nonfinite: Literal["stop", "rollback"] = "stop"
    """When a loss or a gradient is not finite: stop, or go back to the last checkpoint and draw other numbers."""


class EvaluationOptions(OptionGroup):
    """What the result is worth, measured at the end for the card."""

    group: ClassVar[str] = "evaluation"

    eval_samples: NonNegativeInt = 0
    """Number of images to measure by: generated ones, or pictures to enlarge at most; 0 measures nothing."""
    eval_every: NonNegativeInt = 0
    """Steps between measurements during the training; 0 measures at the end only."""
    eval_dataset: str | None = None
    """The data set to measure on, if it is not the one trained on: a Hub name, a folder, a Parquet file. None
    without --eval_split or --eval_samples measures nothing."""
    eval_split: str | None = None
    """The split to measure on; by default the one trained on, or "train" of another data set."""


class CardOptions(OptionGroup):
    """What the model card states."""

    group: ClassVar[str] = "card"

    license: str | None = None
    """The licence the model card states for the weights."""
    notice: str | None = None
    """A paragraph for the model card, such as what the data's licence implies."""


class TrainingConfig(
    RunOptions, CardOptions, EvaluationOptions, LossOptions, OptimisationOptions, NetworkOptions, DataOptions
):
    """The options that all tasks share."""

    group: ClassVar[str] = ""
    moved: ClassVar[dict[str, tuple[str, ...]]] = {}
    """Options of earlier versions, and the ones that have taken their place."""

    task: str
    """The task of the recipe."""

    @classmethod
    def groups(cls) -> dict[str, list[str]]:
        """The options by the names of their groups, in the order of `--help`."""
        names: dict[str, list[str]] = {name: [] for name in _GROUPS}
        for option in cls.model_fields:
            names[cls._group_of(option)].append(option)
        return names

    @classmethod
    def _group_of(cls, option: str) -> str:
        owners = [base for base in cls.__mro__ if option in vars(base).get("__annotations__", {})]
        return next((base.group for base in owners if issubclass(base, OptionGroup) and base.group), "run")

    @property
    def gradient_penalty(self) -> NonNegativeSchedule:
        """The weight of WGAN-GP's penalty: what was asked for, else the paper's 10 for its own objective."""
        if self.gradient_penalty_weight is not None:
            return self.gradient_penalty_weight
        return 10.0 if self.objective == "wasserstein" else 0.0
