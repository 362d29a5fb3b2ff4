"""Gradient penalties on the discriminator: how steep its logits are in the pixels.

They are computed in float32 at least, whatever autocast says: a squared gradient leaves the range of half precision.
The discriminator must be differentiable twice: pass the plain network, not a wrapper that compiles it or casts its
input.
SyncBatchNorm is not (https://github.com/pytorch/pytorch/issues/61222).
Where the discriminator has BatchNorm an image's gradient includes its influence on the batch's other logits.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

Discriminate: TypeAlias = Callable[[Tensor], Tensor]
"""Images (N, channels, H, W) to logits, (N,) or (N, h, w)."""

# Keeps the slope of the square root finite where a discriminator is flat; 1e-6 of a norm that is to be 1.
_EPSILON = 1e-12


def zero_centred(discriminate: Discriminate, images: Tensor) -> Tensor:
    """R1 at real images, R2 at fakes (Mescheder et al. 2018, https://arxiv.org/abs/1801.04406, equation 9).

    Args:
        discriminate: the discriminator; an image's logits are summed.
        images: (N, channels, H, W), detached here.

    Returns:
        The mean over images of the gradient's squared norm, a scalar of 0 or more, without the weight gamma/2.
    """
    return _squared_norms(discriminate, images).mean()


def interpolated(discriminate: Discriminate, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """WGAN-GP's penalty (Gulrajani et al. 2017, https://arxiv.org/abs/1704.00028, equation 3).

    Args:
        discriminate: the discriminator; an image's logits are summed.
        real: (N, channels, H, W), detached here.
        fake: as many, of the same size, detached here.
        mix: (N,) in [0, 1], the share of the real image in each mixture.

    Returns:
        The mean over mixtures of (norm of the gradient - 1)^2, a scalar of 0 or more, without the weight lambda.
    """
    share = _upcast(mix).view(-1, 1, 1, 1)
    images = share * _upcast(real) + (1 - share) * _upcast(fake)
    return (_squared_norms(discriminate, images).add(_EPSILON).sqrt() - 1).square().mean()


@dataclass(frozen=True)
class Penalties:
    """The penalties of one discriminator step, weighted.

    Penalties may be taken at every `every`-th step only, and then count `every` times ("lazy regularization", Karras
    et al. 2020, https://arxiv.org/abs/1912.04958, appendix B). The caller chooses the steps.

    Attributes:
        r1: R1's weight gamma; the term is gamma/2 times the penalty at real images.
        r2: R2's weight gamma; the same at fakes.
        gradient_penalty: WGAN-GP's weight lambda, at mixtures of the two.
        every: steps that one penalty stands for, at least 1.
    """

    r1: float = 0.0
    r2: float = 0.0
    gradient_penalty: float = 0.0
    every: int = 1

    def __call__(self, discriminate: Discriminate, real: Tensor, fake: Tensor, mix: Tensor) -> dict[str, Tensor]:
        """The terms to add to the discriminator's loss, by the names above; those of weight 0 are left out.

        Args:
            discriminate, real, fake, mix: as `interpolated` takes them.
        """
        terms: dict[str, Tensor] = {}
        if self.r1:
            terms["r1"] = self.r1 / 2 * self.every * zero_centred(discriminate, real)
        if self.r2:
            terms["r2"] = self.r2 / 2 * self.every * zero_centred(discriminate, fake)
        if self.gradient_penalty:
            terms["gradient_penalty"] = (
                self.gradient_penalty * self.every * interpolated(discriminate, real, fake, mix)
            )
        return terms


def _squared_norms(discriminate: Discriminate, images: Tensor) -> Tensor:
    """The squared norm (N,) of each image's gradient, with the graph that leads to the discriminator's weights."""
    device = images.device.type if torch.amp.is_autocast_available(images.device.type) else "cpu"  # "meta" has none
    with torch.enable_grad(), torch.autocast(device, enabled=False):
        images = _upcast(images).detach().requires_grad_()
        (gradient,) = torch.autograd.grad(_upcast(discriminate(images)).sum(), images, create_graph=True)
        return gradient.square().sum((1, 2, 3))


def _upcast(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype == torch.float64 else tensor.float()
