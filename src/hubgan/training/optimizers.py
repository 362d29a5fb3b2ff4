"""The optimizers by their names, with what they keep of each weight."""

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor, nn

from hubgan.errors import ConfigError
from hubgan.runtime.devices import has_fused_adam

Optimizer = Literal["adam", "muon"]


def make_optimizer(
    name: Optimizer, network: nn.Module, rate: float, betas: tuple[float, float]
) -> torch.optim.Optimizer:
    """An optimizer of all weights of a network on its device.

    `muon` (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/) makes each update of a matrix orthogonal,
    of a convolution's kernel as the matrix (out, in x height x width), and as large as Adam's would be (Liu et al.
    2025, https://arxiv.org/abs/2502.16982), so that Adam's learning rates serve; the other weights are left to NAdam.
    Its momentum is 0.95; the betas are those of NAdam.

    Raises:
        ConfigError: `muon` without the package timm.
    """
    if name == "adam":
        fused = has_fused_adam(next(network.parameters()).device)
        return torch.optim.Adam(network.parameters(), rate, betas, fused=fused)
    try:
        from timm.optim import Muon
    except ImportError as error:
        raise ConfigError("--optimizer muon needs the package timm", "Run: pip install 'timm>=1.0.22'") from error
    return Muon(network.parameters(), rate, betas=betas, nesterov=True)


def kept_values(name: Optimizer, parameters: Iterable[Tensor]) -> int:
    """How many numbers the optimizer keeps of these weights."""
    return sum(weight.numel() * (1 if name == "muon" and weight.ndim > 1 else 2) for weight in parameters)
