"""The image generator and the discriminator it is trained against."""

from typing import Any, Literal, overload

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from hubgan.errors import ConfigError
from hubgan.models.base import HubModel
from hubgan.models.pipeline import Images, OutputType, as_output, check_output_type, pipeline_output
from hubgan.networks import DISCRIMINATORS, GENERATORS

# The network always sees this many latents at once: kernels round differently for other batch sizes, and a seed must
# give the same images whatever the batch size.
_GROUP = 8


class Generator(HubModel, pipeline_tag="unconditional-image-generation", tags=["gan"]):
    """Latents to images.

    Args:
        architecture: the network, `dcgan` by default.
        **options: its options; for `dcgan` image_size (a power of two, 8 to 512, default 32), channels (1 or 3),
            latent_dim (100), width (64, channels at half the image's resolution) and norm ("batch" or "none").

    Raises:
        ConfigError: an unknown architecture or option, or a value out of bounds.
    """

    networks = GENERATORS
    description = "An image generator"

    def __init__(self, architecture: str = "dcgan", **options: Any) -> None:
        super().__init__(architecture, **options)
        self.image_size: int = self.config["image_size"]
        self.channels: int = self.config["channels"]
        self.latent_dim: int = self.config["latent_dim"]

    def forward(self, latents: Tensor) -> Tensor:
        """Latents (N, latent_dim), or (N, latent_dim, 1, 1), to images (N, channels, size, size) in [-1, 1]."""
        return self.network(latents.reshape(len(latents), self.latent_dim, 1, 1))

    def latents(self, n: int, *, seed: int | None = None) -> Tensor:
        """`n` latents (n, latent_dim) from a standard normal, drawn on the CPU: a seed means the same everywhere.

        The first latents of a larger `n` are those of a smaller one.
        """
        source = torch.Generator()
        if seed is None:
            source.seed()
        else:
            source.manual_seed(seed)
        return self._draw(n, source)

    def _draw(self, n: int, source: torch.Generator | None) -> Tensor:
        # Where the count is no multiple of 16 PyTorch draws the last 16 numbers twice, which would depend on n.
        rows = -(-n // 16) * 16
        device = source.device if source else "cpu"
        return torch.randn(rows, self.latent_dim, generator=source, device=device)[:n].cpu()

    @overload
    def sample(
        self,
        n: int = ...,
        *,
        seed: int | None = ...,
        batch_size: int = ...,
        output_type: Literal["pil"] = ...,
    ) -> list[Image.Image]: ...
    @overload
    def sample(
        self, n: int = ..., *, seed: int | None = ..., batch_size: int = ..., output_type: Literal["np"]
    ) -> np.ndarray: ...
    @overload
    def sample(
        self, n: int = ..., *, seed: int | None = ..., batch_size: int = ..., output_type: Literal["pt"]
    ) -> Tensor: ...
    def sample(
        self,
        n: int = 1,
        *,
        seed: int | None = None,
        batch_size: int = 64,
        output_type: OutputType = "pil",
    ) -> Images:
        """Make images.

        Args:
            n: how many, at least 1.
            seed: the same seed gives the same images on the same machine whatever `batch_size` is; None draws
                anew. The first images of a larger `n` are those of a smaller one.
            batch_size: at most so many images (rounded up to a multiple of 8) are on the device at once.
            output_type: as `images_from` takes it.

        Raises:
            ConfigError: `n` or `batch_size` below 1, or an unknown `output_type`.
        """
        if n < 1:
            raise ConfigError(f"n must be 1 or more, got {n}")
        return self.images_from(self.latents(n, seed=seed), batch_size=batch_size, output_type=output_type)

    @torch.no_grad()
    def images_from(self, latents: Tensor, *, batch_size: int = 64, output_type: OutputType = "pil") -> Images:
        """Latents (n, latent_dim) to n images.

        Args:
            latents: as `latents` draws them. An image depends on its latent alone; cut into parts at multiples of 8
                they give the same images, bit for bit, as at once.
            batch_size: at most so many images (rounded up to a multiple of 8) are on the device at once.
            output_type: "pil" for a list of PIL images, "np" for an array (n, size, size, channels) and "pt" for a
                tensor (n, channels, size, size) on the CPU, both float32 in [0, 1].

        Raises:
            ConfigError: latents of another shape, `batch_size` below 1, or an unknown `output_type`.
        """
        if latents.ndim != 2 or latents.shape[1] != self.latent_dim or not len(latents):
            raise ConfigError(f"latents must be (n, {self.latent_dim}), got {tuple(latents.shape)}")
        if batch_size < 1:
            raise ConfigError(f"batch_size must be 1 or more, got {batch_size}")
        check_output_type(output_type)
        was_training = self.training
        self.eval()
        try:
            padded = torch.nn.functional.pad(latents, (0, 0, 0, -len(latents) % _GROUP))
            batches = padded.split(-(-batch_size // _GROUP) * _GROUP)
            images = torch.cat([self._make(batch) for batch in batches])[: len(latents)]
        finally:
            self.train(was_training)
        return as_output(images, output_type)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        """Latents go through the network (`forward`); anything else is a call as `diffusers.DDPMPipeline` takes it.

        So code written for such a pipeline runs with a generator in its place. Its arguments, by position or name:
        `batch_size` (1), `generator` (a `torch.Generator`, or a list of one for each image, which seed the latents),
        `num_inference_steps` (accepted, without effect: a GAN makes an image in one step), `output_type` ("pil";
        "np" or "pt" as in `images_from`) and `return_dict` (True).

        Returns:
            `diffusers.ImagePipelineOutput`, whose `images` hold the result; a tuple of it where `return_dict` is
            False; or, for latents, the network's output in [-1, 1].

        Raises:
            ConfigError: a batch size below 1, or a list of generators of another length.
        """
        if "latents" in kwargs or (args and isinstance(args[0], Tensor)):
            return super().__call__(*args, **kwargs)
        return self._pipeline(*args, **kwargs)

    def _pipeline(
        self,
        batch_size: int = 1,
        generator: torch.Generator | list[torch.Generator] | None = None,
        num_inference_steps: int = 1,
        output_type: OutputType = "pil",
        return_dict: bool = True,
    ) -> Any:
        if batch_size < 1 or (isinstance(generator, list) and len(generator) != batch_size):
            raise ConfigError(f"batch_size is {batch_size}: give 1 or more, and no or one generator, or one an image")
        if isinstance(generator, list):
            latents = torch.cat([self._draw(1, source) for source in generator])
        else:
            latents = self._draw(batch_size, generator)
        return pipeline_output(self.images_from(latents, output_type=output_type), return_dict)

    def _make(self, latents: Tensor) -> Tensor:
        groups = latents.to(self.device, self.dtype).split(_GROUP)
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
            images = torch.cat([self(group) for group in groups])
        return images.float().add(1).div(2).clamp(0, 1).cpu()


class Discriminator(HubModel, tags=["gan", "discriminator"]):
    """Images in [-1, 1] to logits, positive for real: (N,) from `dcgan`, (N, h, w) from `patch`.

    Args:
        architecture: the network, `dcgan` (one logit an image) by default, or `patch` (one a patch, any image size).
        **options: its options; for `dcgan` image_size (32), channels (3), width (64) and norm ("batch", "spectral" or
            "none"); for `patch` channels (3), width (32), depth (3) and norm ("spectral" or "none").

    Raises:
        ConfigError: an unknown architecture or option, or a value out of bounds.
    """

    networks = DISCRIMINATORS
    description = "A discriminator (the opponent in a GAN's training)"

    def __init__(self, architecture: str = "dcgan", **options: Any) -> None:
        super().__init__(architecture, **options)

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, channels, H, W) in [-1, 1] to logits."""
        return self.network(images)
