"""The image generator and the discriminator it is trained against."""

from typing import Any, Literal, overload

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from hubgan.errors import ConfigError
from hubgan.images import to_image
from hubgan.models.base import HubModel
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
        """`n` latents (n, latent_dim) from a standard normal, drawn on the CPU: a seed means the same everywhere."""
        source = torch.Generator()
        if seed is None:
            source.seed()
        else:
            source.manual_seed(seed)
        return torch.randn(n, self.latent_dim, generator=source)

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
    @torch.no_grad()
    def sample(
        self,
        n: int = 1,
        *,
        seed: int | None = None,
        batch_size: int = 64,
        output_type: Literal["pil", "np", "pt"] = "pil",
    ) -> list[Image.Image] | np.ndarray | Tensor:
        """Make images.

        Args:
            n: how many, at least 1.
            seed: the same seed gives the same images on the same machine whatever `batch_size` is; None draws
                anew. The first images of a larger `n` are those of a smaller one.
            batch_size: at most so many images (rounded up to a multiple of 8) are on the device at once.
            output_type: "pil" for a list of PIL images, "np" for an array (n, size, size, channels) and "pt" for a
                tensor (n, channels, size, size) on the CPU, both float32 in [0, 1].

        Raises:
            ConfigError: `n` or `batch_size` below 1, or an unknown `output_type`.
        """
        if n < 1 or batch_size < 1:
            raise ConfigError(f"n and batch_size must be 1 or more, got {n} and {batch_size}")
        if output_type not in ("pil", "np", "pt"):
            raise ConfigError(f"unknown output_type {output_type!r}; it is 'pil', 'np' or 'pt'")
        was_training = self.training
        self.eval()
        try:
            latents = torch.nn.functional.pad(self.latents(n, seed=seed), (0, 0, 0, -n % _GROUP))
            images = torch.cat([self._make(batch) for batch in latents.split(-(-batch_size // _GROUP) * _GROUP)])[:n]
        finally:
            self.train(was_training)
        if output_type == "pil":
            return [to_image(image) for image in images]
        return images.permute(0, 2, 3, 1).numpy() if output_type == "np" else images

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
