"""Every option of a training run. The recipes in `hubgan/recipes` and the command line set them by these names.

A value given as two numbers goes from the first to the second in the course of the run. The classes below are the
groups in which `--help` shows the options; a task's own configuration adds to them.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import (
    AfterValidator,
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

_GROUPS = ("data", "networks", "optimisation", "losses", "run", "rented", "evaluation", "card")


def _time(text: str) -> str:
    """A time such as 90m, as the Hub takes it."""
    if not re.fullmatch(r"\d+(\.\d+)?[smhd]", text) or not float(text[:-1]):
        raise ValueError("it must be a number above 0 with s, m, h or d, such as 90m or 6h")
    return text


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

    dataset: str = ""
    """The data set: a Hub name, a folder of images, a Parquet file, or a local data set. A folder of pairs has the
    subfolders lr and hr. Recipes for a folder of yours name none."""
    dataset_name: str | None = None
    """The data set's name in the card and in the saved recipe. By default the Hub name, or the folder's own name.
    A remark in brackets, as in "uoft-cs/cifar10 (JPEG copy)", appears in the card only."""
    dataset_config: str | None = None
    """The data set's configuration (subset), if there are several."""
    split: str = "train"
    """The data set's split to train on."""
    image_column: str | None = None
    """The column with the images, or with the targets of pairs. It is needed if several columns hold images."""
    input_column: str | None = None
    """The column with the inputs, in a data set of pairs for super-resolution or translation. By default lr beside hr,
    or input beside target. If there is none, an upscaler's small images are made from the large ones."""
    label_column: str | None = None
    """The column with the labels. By default the first of the feature type ClassLabel."""
    classes: tuple[str, ...] = ()
    """Train only on images with these labels."""
    streaming: bool = False
    """Read images when they are needed, through a shuffled buffer. Otherwise all are downloaded and decoded first."""
    shuffle_buffer: PositiveInt = 10_000
    """Size of the buffer that shuffles a stream, in encoded images."""
    channels: Literal[1, 3] = 3
    """1 for grey images, 3 for colour."""
    num_workers: NonNegativeInt | None = None
    """Processes that prepare batches. By default 0 if all images are kept decoded, else up to 4."""
    decoded_gb: NonNegativeFloat = 8.0
    """Decode up to this many GB of images once and keep them in a file that all processes share."""


class NetworkOptions(OptionGroup):
    """The networks, and the weights they begin with."""

    group: ClassVar[str] = "networks"

    pretrained_model: str | None = None
    """Begin with the weights of this model (a Hub name or a folder) instead of random ones."""
    pretrained_discriminator: str | None = None
    """Begin with the weights of this discriminator, for example RUN/discriminator of an earlier run, or of the
    discriminator that this model was published with."""
    freeze_discriminator: NonNegativeInt = 0
    """Do not train this number of the discriminator's blocks, from the image side on (FreezeD). The block is a
    resolution in r3gan, and a convolution in dcgan and patch. It goes with --pretrained_discriminator."""


class OptimisationOptions(OptionGroup):
    """The budget and the optimizers. The run ends with the first budget that is used up."""

    group: ClassVar[str] = "optimisation"

    max_images: PositiveInt | None = None
    """Stop after this number of training images, counted over all processes."""
    max_steps: PositiveInt | None = None
    """Stop after this number of steps (updates of the generator)."""
    max_minutes: PositiveFloat | None = None
    """Stop after this number of minutes of training. Schedules then follow the clock."""
    batch_size: PositiveInt = 128
    """Batch size of each process, in images."""
    gradient_accumulation_steps: PositiveInt = 1
    """Batches whose gradients are accumulated before an update."""
    discriminator_steps: PositiveInt = 1
    """Updates of the discriminator in each step, each on new images."""
    optimizer: Optimizer = "adam"
    """The generator's optimizer: adam or muon. Both take the same learning rates."""
    learning_rate: PositiveSchedule = 2e-4
    """The learning rate of the generator."""
    discriminator_learning_rate: PositiveSchedule = 2e-4
    """The learning rate of the discriminator."""
    adam_beta1: BetaSchedule = 0.5
    """Adam's first beta."""
    adam_beta2: BetaSchedule = 0.999
    """Adam's second beta."""
    schedule: Shape = "cosine"
    """The schedule of values that are given as two numbers: how they change from the first to the second."""
    schedule_share: float = Field(1.0, gt=0, le=1)
    """The share of the budget after which a schedule has reached its second number."""
    schedule_start: float = Field(0.0, ge=0, lt=1)
    """The share of the budget up to which a schedule stays at its first number."""
    clip_grad_norm: NonNegativeFloat = 0.0
    """Clip the norm of the gradients to this value. 0 means no clipping."""
    ema_half_life: NonNegativeSchedule = 90_000
    """Half-life of the moving average of the generator's weights, in images. The average is saved, or with 0 the last
    weights."""
    ema_rampup: NonNegativeFloat = 0.05
    """Upper limit of the half-life, as a share of the images seen. Short runs then forget their first weights."""


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
    """Weight (lambda) of WGAN-GP's penalty. By default 10 for the objective wasserstein, and 0 for the others."""
    penalty_every: PositiveInt = 1
    """Discriminator updates from one penalty to the next. Each penalty is multiplied by this number."""
    flip: bool = True
    """Mirror images at random. Super-resolution also flips them upside down and turns them."""
    augment: tuple[Operation, ...] = ()
    """DiffAugment operations on all real and fake images that the discriminator sees."""
    augment_probability: ProbabilitySchedule = 1.0
    """The probability of each of these operations."""
    augment_target: float | None = Field(None, gt=0, lt=1)
    """Adapt the probability, from 0 on, to keep the mean sign of real images' logits at this value (ADA: 0.6)."""


class RunOptions(OptionGroup):
    """The run: where it is kept, what is logged, and the machine."""

    group: ClassVar[str] = "run"

    config: str = "cifar-dcgan"
    """The recipe: a name from the list above, or a YAML file. It sets the defaults of all other options."""
    dry_run: bool = False
    """Print the plan (networks, memory, time, schedules, data) and stop. A data set of the Hub need not be reachable,
    but a path must exist."""
    output_dir: str | None = None
    """The run's folder. At the end it is a repository, ready to push. By default runs/<recipe>. If that holds a run,
    date and time are added to the name."""
    push_to_hub: str | None = None
    """Push the run's folder to this Hub repository (user/name) at the end."""
    private: bool = False
    """Make the pushed repository private."""
    resume: str | None = None
    """A checkpoint folder to resume from, or "auto" for the last good one of the output folder. Without --output_dir,
    "auto" resumes the recipe's last run on the same data set. "hub" resumes from the last one in --checkpoint_to, on
    any machine."""
    checkpoint_to: str | None = None
    """Push the checkpoints to this private Hub repository (user/name) while the run trains. It keeps
    --keep_checkpoints of them."""
    seed: int = Field(0, ge=0, lt=2**31)
    """The random seed of weights, data order, augmentation and noise."""
    mixed_precision: Literal["auto", "no", "bf16", "fp16"] = "auto"
    """auto uses the half precision that `accelerate launch` asks for, else bf16 if the hardware supports it."""
    compile: bool = False
    """Compile the networks with torch.compile."""
    deterministic: bool = False
    """On a CUDA GPU, use kernels whose results repeat, so that equal runs end bit for bit alike. This is slower. A
    CPU repeats them anyway."""
    log_every: PositiveInt = 50
    """Steps between lines in metrics.jsonl."""
    report_to: Literal["none", "tensorboard", "trackio", "wandb"] = "none"
    """A tracker that receives the figures too."""
    sample_every: PositiveInt = 1000
    """Steps between sample grids on fixed inputs."""
    checkpoint_every: PositiveInt = 1000
    """Steps between checkpoints."""
    keep_checkpoints: PositiveInt = 2
    """How many of the last checkpoints are kept."""
    on_nonfinite: Literal["stop", "rollback"] = "stop"
    """If a loss or gradient is not finite: stop, or return to the last checkpoint with other random numbers."""


class JobOptions(OptionGroup):
    """A rented GPU: the run is a job on the Hub, and needs --push_to_hub."""

    group: ClassVar[str] = "rented"

    on: Literal["hf-jobs"] | None = None
    """hf-jobs trains on a machine of the Hub (Hugging Face Jobs), which costs money. Without it the run trains
    here."""
    flavor: str | None = None
    """The machine to rent, for example a10g-small. A wrong name shows all, with prices."""
    timeout: Annotated[str, AfterValidator(_time)] = "3h"
    """Stop the job after this time (90m, 3h, 1d), which limits what it costs. The same command continues the run."""
    yes: bool = False
    """Start the job without asking."""


class EvaluationOptions(OptionGroup):
    """What the result is worth, measured at the end for the card."""

    group: ClassVar[str] = "evaluation"

    eval_samples: NonNegativeInt = 0
    """Number of images to measure: generated images, or at most this number of pictures. 0 measures nothing."""
    eval_every: NonNegativeInt = 0
    """Steps between measurements during the training. 0 measures at the end only."""
    eval_dataset: str | None = None
    """The data set to measure on: a Hub name, a folder, or a Parquet file. By default the one trained on. None
    without --eval_split or --eval_samples measures nothing."""
    eval_split: str | None = None
    """The split to measure on. By default the one trained on, or "train" of another data set."""


class CardOptions(OptionGroup):
    """What the model card states."""

    group: ClassVar[str] = "card"

    license: str | None = None
    """The licence the model card states for the weights."""
    notice: str | None = None
    """A paragraph for the model card, such as what the data's licence implies."""


class TrainingConfig(
    RunOptions,
    JobOptions,
    CardOptions,
    EvaluationOptions,
    LossOptions,
    OptimisationOptions,
    NetworkOptions,
    DataOptions,
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
