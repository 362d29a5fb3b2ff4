"""Every number of a training run. The recipes in `hubgan/recipes` and the command line set them by these names."""

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

from hubgan.training.losses import OBJECTIVES

Objective = Literal["minimax", "non_saturating", "hinge", "least_squares", "relativistic"]
assert set(Objective.__args__) == set(OBJECTIVES)  # type: ignore[attr-defined]


class TrainingConfig(BaseModel):
    """What both tasks share."""

    model_config = ConfigDict(extra="forbid", validate_default=True)

    config: str = "cifar-dcgan"
    """The recipe that sets the defaults of all other options: a name in hubgan/recipes, or a YAML file of your own."""

    # -- data
    dataset: str
    """A Hub name, a folder of images, or a local data set."""
    dataset_name: str | None = None
    """What the card and the saved recipe call the data set; by default the Hub name, or the folder's own name."""
    dataset_config: str | None = None
    """The data set's configuration (subset), where it has several."""
    split: str = "train"
    """The data set's split to train on."""
    image_column: str | None = None
    """The column with the images; by default the first whose feature type is Image."""
    channels: Literal[1, 3] = 3
    """1 trains on grey, 3 on colour."""
    num_workers: NonNegativeInt = 0
    """Processes that prepare batches; 0 does it in the training process."""

    # -- result
    output_dir: str | None = None
    """The run's folder, which ends as a repository ready to push; runs/<recipe> by default."""
    push_to_hub: str | None = None
    """Push the run's folder to this Hub repository (user/name) at the end."""
    private: bool = False
    """Make the pushed repository private."""
    resume: str | None = None
    """A checkpoint folder to go on from, or "auto" for the last one of the output folder."""

    # -- budget: the run ends with the first that is used up
    max_images: PositiveInt | None = None
    """Stop after so many training images have been seen, by all processes together."""
    max_steps: PositiveInt | None = None
    """Stop after so many generator updates."""
    max_minutes: PositiveFloat | None = None
    """Stop after so many minutes of training; schedules then follow the clock."""

    # -- optimisation
    batch_size: PositiveInt = 128
    """Images a step and process."""
    objective: Objective = "non_saturating"
    """The adversarial loss."""
    learning_rate: PositiveFloat = 2e-4
    """Adam's learning rate for the generator."""
    discriminator_learning_rate: PositiveFloat = 2e-4
    """Adam's learning rate for the discriminator."""
    adam_beta1: float = Field(0.5, ge=0, lt=1)
    """Adam's first beta."""
    adam_beta2: float = Field(0.999, ge=0, lt=1)
    """Adam's second beta."""
    lr_schedule: Literal["constant", "linear", "cosine"] = "constant"
    """How the learning rates fall to zero over the budget."""
    clip_grad_norm: NonNegativeFloat = 0.0
    """Clip the norm of the gradients to this; 0 does not."""
    ema_decay: float = Field(0.999, ge=0, lt=1)
    """Decay a step of the average of the generator's weights that is saved; 0 saves the last weights."""
    flip: bool = True
    """Mirror images at random (super-resolution does it both ways)."""

    # -- the machine
    seed: int = Field(0, ge=0, lt=2**31)
    """Seeds weights, data order and noise."""
    mixed_precision: Literal["auto", "no", "bf16", "fp16"] = "auto"
    """auto takes what `accelerate launch` says, else bf16 where the hardware computes in it."""

    # -- on the way
    log_every: PositiveInt = 50
    """Steps between lines in metrics.jsonl."""
    sample_every: PositiveInt = 1000
    """Steps between sample grids on fixed inputs."""
    checkpoint_every: PositiveInt = 1000
    """Steps between checkpoints; the last two are kept."""

    # -- the card
    license: str | None = None
    """The licence the model card states for the weights."""
    notice: str | None = None
    """A paragraph for the model card, such as what the data's licence implies."""


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
    latent_dim: PositiveInt = 100
    """Numbers in a latent."""
    width: PositiveInt = 64
    """Channels at half the images' resolution, of both networks."""


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
    discriminator_width: PositiveInt = 32
    """Channels of the discriminator's first layer."""
    crop_size: PositiveInt = 128
    """Side in pixels of the crops of the large images."""
    pixel_share: float = Field(0.5, ge=0, le=1)
    """The part of the budget trained with the pixel loss alone, before the other losses join."""
    pixel_weight: NonNegativeFloat = 1.0
    """Weight of the pixel loss (mean absolute error) in the adversarial part."""
    perceptual_weight: NonNegativeFloat = 0.2
    """Weight of the perceptual loss (EfficientNet-Lite0 features)."""
    adversarial_weight: NonNegativeFloat = 0.02
    """Weight of the adversarial loss."""
    adversarial_learning_rate: PositiveFloat = 2e-4
    """The generator's learning rate where the adversarial part begins."""
