"""Adversarial objectives, as functions of a discriminator's logits (positive for real), each a mean over logits."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import relu, softplus


@dataclass(frozen=True)
class Objective:
    """One pair of losses: for the discriminator of (real, fake) logits, for the generator of (real, fake) logits.

    `paired` objectives compare real and fake logits; the others leave `real` unused in the generator's loss.
    `boundary` is the logit between the two, where the objective has one: what lies above is taken for real.
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor, Tensor], Tensor]
    paired: bool = False
    boundary: float | None = 0.0

    def margins(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """How far logits lie above what is taken for real; without a boundary it is halfway between the two means."""
        boundary = (real.mean() + fake.mean()) / 2 if self.boundary is None else self.boundary
        return real - boundary, fake - boundary


OBJECTIVES: dict[str, Objective] = {
    # Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661, equation 1: the generator minimises log(1 - D(G(z))).
    "minimax": Objective(
        lambda real, fake: softplus(-real).mean() + softplus(fake).mean(),
        lambda real, fake: -softplus(fake).mean(),
    ),
    # The same paper, end of section 3: the generator maximises log D(G(z)), whose gradient does not vanish.
    "non_saturating": Objective(
        lambda real, fake: softplus(-real).mean() + softplus(fake).mean(),
        lambda real, fake: softplus(-fake).mean(),
    ),
    # Lim and Ye 2017, https://arxiv.org/abs/1705.02894.
    "hinge": Objective(
        lambda real, fake: relu(1 - real).mean() + relu(1 + fake).mean(),
        lambda real, fake: -fake.mean(),
    ),
    # Mao et al. 2016, https://arxiv.org/abs/1611.04076, with targets 1 for real and 0 for fake.
    "least_squares": Objective(
        lambda real, fake: ((real - 1).square().mean() + fake.square().mean()) / 2,
        lambda real, fake: (fake - 1).square().mean() / 2,
        boundary=0.5,
    ),
    # Arjovsky et al. 2017, https://arxiv.org/abs/1701.07875; it needs a Lipschitz discriminator (see penalties.py).
    "wasserstein": Objective(
        lambda real, fake: fake.mean() - real.mean(),
        lambda real, fake: -fake.mean(),
        boundary=None,
    ),
    # Jolicoeur-Martineau 2018, https://arxiv.org/abs/1807.00734: each real is compared with one fake.
    "relativistic": Objective(
        lambda real, fake: softplus(fake - real).mean(),
        lambda real, fake: softplus(real - fake).mean(),
        paired=True,
        boundary=None,
    ),
}
