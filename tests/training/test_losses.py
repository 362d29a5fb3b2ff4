"""The adversarial objectives against their formulas, on numbers one can check by hand."""

import math

import pytest
import torch
from torch import Tensor

from hubgan.training.losses import OBJECTIVES

REAL, FAKE = [2.0, -1.0], [0.5, -3.0]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def mean(*values: float) -> float:
    return sum(values) / len(values)


EXPECTED = {
    "minimax": (
        -mean(*(math.log(sigmoid(r)) for r in REAL)) - mean(*(math.log(1 - sigmoid(f)) for f in FAKE)),
        mean(*(math.log(1 - sigmoid(f)) for f in FAKE)),
    ),
    "non_saturating": (
        -mean(*(math.log(sigmoid(r)) for r in REAL)) - mean(*(math.log(1 - sigmoid(f)) for f in FAKE)),
        -mean(*(math.log(sigmoid(f)) for f in FAKE)),
    ),
    "hinge": (mean(0, 2) + mean(1.5, 0), -mean(0.5, -3)),
    "least_squares": ((mean(1, 4) + mean(0.25, 9)) / 2, mean(0.25, 16) / 2),
    "wasserstein": (mean(0.5, -3) - mean(2, -1), -mean(0.5, -3)),
    "relativistic": (
        -mean(*(math.log(sigmoid(r - f)) for r, f in zip(REAL, FAKE, strict=True))),
        -mean(*(math.log(sigmoid(f - r)) for r, f in zip(REAL, FAKE, strict=True))),
    ),
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_objectives_follow_their_formulas(name: str) -> None:
    real, fake = (torch.tensor(values, dtype=torch.float64) for values in (REAL, FAKE))
    objective, (discriminator, generator) = OBJECTIVES[name], EXPECTED[name]
    assert objective.discriminator(real, fake).ndim == objective.generator(real, fake).ndim == 0
    assert objective.discriminator(real, fake).item() == pytest.approx(discriminator)
    assert objective.generator(real, fake).item() == pytest.approx(generator)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_only_paired_objectives_need_real_logits_for_the_generator(name: str) -> None:
    fake, loss = torch.tensor(FAKE), OBJECTIVES[name].generator
    same = torch.equal(loss(torch.tensor(REAL), fake), loss(torch.tensor(REAL) + 1, fake))
    assert same is not OBJECTIVES[name].paired


@pytest.mark.parametrize("name", OBJECTIVES)
def test_objectives_push_logits_the_right_way_and_stay_finite(name: str) -> None:
    def slope(loss: Tensor, at: Tensor) -> float:
        return torch.autograd.grad(loss, at)[0].item()

    for value in (-200.0, 0.3, 200.0):
        real, fake = torch.tensor([0.2], requires_grad=True), torch.tensor([value], requires_grad=True)
        loss = OBJECTIVES[name].discriminator(real, fake)
        assert loss.isfinite() and OBJECTIVES[name].generator(real, fake).isfinite()
    real, fake = (torch.tensor([v], requires_grad=True) for v in (0.2, 0.1))
    assert slope(OBJECTIVES[name].discriminator(real, fake), real) < 0
    assert slope(OBJECTIVES[name].discriminator(real, fake), fake) > 0
    assert slope(OBJECTIVES[name].generator(real, fake), fake) < 0


@pytest.mark.parametrize(
    ("name", "real", "fake"),
    [("hinge", [0.1, 1.0], [-0.1, -2.0]), ("least_squares", [0.6, 1.0], [0.4, 0.0]),
     ("wasserstein", [7.0, 8.0], [5.0, 5.5]), ("relativistic", [-3.0, -2.0], [-5.0, -4.0])],
)  # fmt: skip
def test_a_discriminator_that_is_right_is_said_to_be(name: str, real: list[float], fake: list[float]) -> None:
    """Whatever logit lies between real and fake for an objective: 0, 0.5, or none in particular."""
    real_margins, fake_margins = OBJECTIVES[name].margins(torch.tensor(real), torch.tensor(fake))
    assert (real_margins > 0).all() and (fake_margins < 0).all()
    real_margins, fake_margins = OBJECTIVES[name].margins(torch.tensor(fake), torch.tensor(real))
    assert (real_margins < 0).all() and (fake_margins > 0).all()
