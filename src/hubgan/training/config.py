"""Every number of a training run. The recipes in `hubgan/recipes` and the command line set them by these names.

Where two numbers are allowed, the value goes from the first to the second in the course of the run.
"""

from typing import Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)

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


class TrainingConfig(BaseModel):
    """What both tasks share."""

    model_config = ConfigDict(extra="forbid", validate_default=True, use_attribute_docstrings=True)

    config: str = "cifar-dcgan"
    """The recipe that sets the defaults of all other options: a name in hubgan/recipes, or a YAML file of your own."""
    dry_run: bool = False
    """Print the plan (networks, memory, schedules, data) and stop."""

    # -- data
    dataset: str
    """A Hub name, a folder of images, a Parquet file, or a local data set."""
    dataset_name: str | None = None
    """What the card and the saved recipe call the data set; by default the Hub name, or the folder's own name. A
    remark in brackets, as in "uoft-cs/cifar10 (JPEG copy)", is told in the card alone."""
    dataset_config: str | None = None
    """The data set's configuration (subset), where it has several."""
    split: str = "train"
    """The data set's split to train on."""
    image_column: str | None = None
    """The column with the images; needed where several are of the feature type Image."""
    label_column: str | None = None
    """The column with the labels; by default the first whose feature type is ClassLabel."""
    classes: tuple[str, ...] = ()
    """Train on the images with these labels alone."""
    streaming: bool = False
    """Read the data set as it is needed, through a shuffled buffer, rather than download or decode it first."""
    shuffle_buffer: PositiveInt = 10_000
    """Images (still encoded) in the buffer that shuffles a stream."""
    channels: Literal[1, 3] = 3
    """1 trains on grey, 3 on colour."""
    num_workers: NonNegativeInt | None = None
    """Processes that prepare batches; by default none where all images are kept decoded, else up to 4."""
    decoded_gb: NonNegativeFloat = 8.0
    """So many GB of images are decoded once and kept, in a file that all processes share; workers decode the rest."""

    # -- where the weights begin
    pretrained_model: str | None = None
    """Begin with the weights of this model (a Hub name or a folder) instead of random ones."""
    pretrained_discriminator: str | None = None
    """Begin with the weights of this discriminator (a folder; of a training run, its folder discriminator)."""

    # -- result
    output_dir: str | None = None
    """The run's folder, which ends as a repository ready to push; runs/<recipe> by default."""
    push_to_hub: str | None = None
    """Push the run's folder to this Hub repository (user/name) at the end."""
    private: bool = False
    """Make the pushed repository private."""
    resume: str | None = None
    """A checkpoint folder to go on from, or "auto" for the last good one of the output folder."""

    # -- budget: the run ends with the first that is used up
    max_images: PositiveInt | None = None
    """Stop after so many training images have been seen, by all processes together."""
    max_steps: PositiveInt | None = None
    """Stop after so many generator updates."""
    max_minutes: PositiveFloat | None = None
    """Stop after so many minutes of training; schedules then follow the clock."""

    # -- optimisation
    batch_size: PositiveInt = 128
    """Images a process has on its device at once."""
    gradient_accumulation_steps: PositiveInt = 1
    """Batches whose gradients are added up before an update."""
    discriminator_steps: PositiveInt = 1
    """Updates of the discriminator, each on images of its own, for one of the generator."""
    objective: Objective = "non_saturating"
    """The adversarial loss."""
    optimizer: Optimizer = "adam"
    """The generator's: adam, or muon with Adam's learning rates."""
    learning_rate: PositiveSchedule = 2e-4
    """The learning rate of the generator."""
    discriminator_learning_rate: PositiveSchedule = 2e-4
    """The learning rate of the discriminator."""
    adam_beta1: BetaSchedule = 0.5
    """Adam's first beta."""
    adam_beta2: BetaSchedule = 0.999
    """Adam's second beta."""
    schedule: Shape = "cosine"
    """How a value that is given as two numbers goes from the first to the second."""
    schedule_share: float = Field(1.0, gt=0, le=1)
    """The share of the budget after which such a value has reached its second number."""
    clip_grad_norm: NonNegativeFloat = 0.0
    """Clip the norm of the gradients to this; 0 does not."""
    ema_half_life: NonNegativeSchedule = 90_000
    """Images after which a weight counts half in the average of the generator that is saved; 0 saves the last."""
    ema_rampup: NonNegativeFloat = 0.05
    """The half-life is at most this share of the images seen, so that a short run forgets its first weights."""

    # -- penalties on the discriminator
    r1_weight: NonNegativeSchedule = 0.0
    """Weight (gamma) of R1, the squared gradient at real images."""
    r2_weight: NonNegativeSchedule = 0.0
    """Weight (gamma) of R2, the squared gradient at fakes."""
    gradient_penalty_weight: NonNegativeSchedule | None = None
    """Weight (lambda) of WGAN-GP's penalty; 10 for the objective wasserstein, 0 for the others."""
    penalty_every: PositiveInt = 1
    """Discriminator steps from one penalty to the next, which counts for all of them."""
    discriminator_norm: str | None = None
    """The discriminator's normalisation: batch (dcgan only), spectral or none; by default its architecture's own."""

    # -- augmentation
    flip: bool = True
    """Mirror images at random (super-resolution does it both ways, and turns them too)."""
    augment: tuple[Operation, ...] = ()
    """DiffAugment on all that the discriminator sees, real and fake."""
    augment_probability: ProbabilitySchedule = 1.0
    """The probability of each of these operations."""
    augment_target: float | None = Field(None, gt=0, lt=1)
    """Adapt that probability from 0 on, so that the mean sign of the logits of real images stays here (ADA: 0.6)."""

    # -- the machine
    seed: int = Field(0, ge=0, lt=2**31)
    """Seeds weights, data order, augmentation and noise."""
    mixed_precision: Literal["auto", "no", "bf16", "fp16"] = "auto"
    """auto takes the half precision that `accelerate launch` asks for, else bf16 where the hardware computes in it."""
    compile: bool = False
    """Compile the networks with torch.compile."""

    # -- on the way
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

    # -- what the result is worth, measured at the end for the card
    eval_samples: NonNegativeInt = 0
    """Measure by so many images, generated against as many real ones, or enlarged at most; 0 measures nothing."""
    eval_every: NonNegativeInt = 0
    """Measure by them on the way too, so many steps apart; 0 measures at the end alone."""
    eval_dataset: str | None = None
    """The data set to measure on, where it is another one: a Hub name, a folder, a Parquet file."""
    eval_split: str | None = None
    """The split to measure on; by default the one trained on, or "train" of another data set."""

    # -- the card
    license: str | None = None
    """The licence the model card states for the weights."""
    notice: str | None = None
    """A paragraph for the model card, such as what the data's licence implies."""

    @property
    def gradient_penalty(self) -> NonNegativeSchedule:
        """The weight of WGAN-GP's penalty: what was asked for, else the paper's 10 for its own objective."""
        if self.gradient_penalty_weight is not None:
            return self.gradient_penalty_weight
        return 10.0 if self.objective == "wasserstein" else 0.0


class GenerationConfig(TrainingConfig):
    """Train an image generator."""

    task: Literal["generation"] = "generation"
    """The task of the recipe."""
    architecture: str = "dcgan"
    """The generator's network."""
    discriminator: str = "dcgan"
    """The discriminator's network."""
    image_size: PositiveInt = 32
    """Side of the images in pixels, a power of two; images are centre-cropped and resized to it."""
    latent_dim: PositiveInt | None = None
    """Numbers in a latent; by default the architecture's own."""
    width: PositiveInt | None = None
    """Channels of both networks, as their architectures count them (dcgan, r3gan: at half the images' resolution); by
    default each architecture's own."""
    discriminator_width: PositiveInt | None = None
    """The same of the discriminator, where it is another number."""
    depth: PositiveInt | None = None
    """Residual blocks of a stage, of each network that has them (r3gan)."""
    group_width: PositiveInt | None = None
    """Channels of a group of the convolutions, of each network that has them (r3gan)."""
    patch: PositiveInt | None = None
    """Pixels a side that the outermost layer takes at once, of each network that knows it: 1 or 2 (r3gan)."""
    conditional: bool = False
    """Learn the classes of the data: the generator can be asked for one, the discriminator judges by it."""
    generator_norm: str | None = None
    """The generator's normalisation: batch or none; by default its architecture's own."""


class UpscalingConfig(TrainingConfig):
    """Train an image upscaler."""

    task: Literal["upscaling"] = "upscaling"
    """The task of the recipe."""
    architecture: str = "edsr"
    """The upscaler's network."""
    discriminator: str = "patch"
    """The discriminator's network."""
    scale: PositiveInt = 4
    """How many times the network enlarges."""
    width: PositiveInt = 48
    """Channels of the upscaler."""
    depth: PositiveInt = 10
    """Blocks of the upscaler."""
    stride: int = Field(1, ge=1, le=4)
    """How many times coarser than the small picture the grid of the blocks is: 2 suits degraded pictures."""
    discriminator_width: PositiveInt = 32
    """Channels of the discriminator's first layer."""
    crop_size: PositiveInt = 128
    """Side in pixels of the crops of the large images."""
    reduce: float = Field(1.0, gt=0, le=1)
    """Make the large images so many times as large before they are cropped: below 1 hides the blocks of JPEGs."""
    degraded: float = Field(0.0, ge=0, le=1)
    """The probability that a small image is not just shrunk but blurred, resized, noisy and compressed as well."""
    pixel_share: float = Field(0.5, ge=0, le=1)
    """The part of the budget trained with the pixel loss alone, before the other losses join."""
    pixel_weight: NonNegativeFloat = 1.0
    """Weight of the pixel loss (mean absolute error) in the adversarial part."""
    luma_weight: NonNegativeFloat = 0.0
    """In the pixel loss, the weight of luma beside the three colours: of detail the eye sees mostly luma."""
    consistency_weight: NonNegativeFloat = 5.0
    """Weight of two mean absolute errors, in the adversarial part: of the result made small again, which keeps
    colours, and of local means of each place in the blocks that the network lays, which keeps patterns out."""
    perceptual_weight: NonNegativeFloat = 0.15
    """Weight of the perceptual loss (distance of EfficientNet-Lite0 features)."""
    adversarial_weight: NonNegativeFloat = 0.001
    """Weight of the adversarial loss."""
    adversarial_learning_rate: PositiveSchedule = 2e-4
    """The generator's learning rate where the adversarial part begins."""
