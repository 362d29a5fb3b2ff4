"""Inputs computed from pictures."""

import pytest
import torch
from torch import Tensor

from hubgan.media.derived import INPUTS


@pytest.fixture
def discs() -> Tensor:
    """A red disc on white, and a pale one."""
    y, x = torch.meshgrid(torch.arange(48), torch.arange(48), indexing="ij")
    inside = ((x - 24) ** 2 + (y - 22) ** 2 < 15**2).float()
    colours = torch.tensor([[0.9, 0.1, 0.1], [0.8, 0.85, 0.9]])
    return 1 - inside * (1 - colours[:, :, None, None])


@pytest.mark.parametrize("name", INPUTS)
def test_an_input_depends_on_the_seed_alone(name: str, discs: Tensor) -> None:
    derived = INPUTS[name]
    given = derived.by_seed(discs, 3)
    assert given.shape == (2, derived.channels, 48, 48) and given.min() >= 0 and given.max() <= 1
    assert torch.equal(given, derived.by_seed(discs, 3))
    if derived.draws:
        assert not torch.equal(given, derived.by_seed(discs, 4))
    assert derived(*(torch.empty(2, *shape, device="meta") for shape in
                     ((3, 48, 48), (derived.draws,), derived.fields))).shape == given.shape  # fmt: skip


def test_a_sketch_follows_the_outline(discs: Tensor) -> None:
    y, x = torch.meshgrid(torch.arange(48), torch.arange(48), indexing="ij")
    distance = (((x - 24) ** 2 + (y - 22) ** 2).sqrt() - 15).abs()
    for seed in range(4):
        ink = 1 - INPUTS["edges"].by_seed(discs, seed)[0, 0]
        assert 0.02 < ink.mean() < 0.25
        assert distance[ink > 0.5].max() < 6
        assert (ink[distance < 3] > 0.3).float().mean() > 0.15


def test_sketches_differ_in_thickness_and_have_gaps(discs: Tensor) -> None:
    inks = torch.stack([(1 - INPUTS["edges"].by_seed(discs[:1], seed)).mean() for seed in range(12)])
    assert inks.max() > 1.8 * inks.min()


def test_holes_are_grey_and_marked_and_the_rest_is_kept(discs: Tensor) -> None:
    for seed in range(4):
        given = INPUTS["mask"].by_seed(discs, seed)
        colours, hole = given[:, :3], given[:, 3:]
        assert set(hole.unique().tolist()) <= {0.0, 1.0} and 0.01 < hole.mean() < 0.5
        assert torch.equal(colours * (1 - hole), discs * (1 - hole))
        assert (colours[hole.expand_as(colours) == 1] == 0.5).all()
