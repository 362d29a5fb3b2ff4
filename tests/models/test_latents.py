"""Latents: the truncated normal's quantiles, what lies between and near latents."""

import math

import pytest
import torch

from hubgan.errors import ConfigError
from hubgan.models.latents import neighbours, positions, slerp, truncate, walk


def normal(x: torch.Tensor) -> torch.Tensor:
    """The probability below x."""
    return torch.erfc(-x / math.sqrt(2)) / 2


@pytest.mark.parametrize("threshold", [0.01, 0.5, 1, 2, 5])
def test_truncation_keeps_quantiles(threshold: float) -> None:
    latents = torch.linspace(-4, 4, 801, dtype=torch.float64)
    low, high = normal(torch.tensor([-threshold, threshold], dtype=torch.float64))
    quantiles = (normal(truncate(latents, threshold)) - low) / (high - low)
    torch.testing.assert_close(quantiles, normal(latents), rtol=0, atol=1e-12)


def test_truncation_is_symmetric_monotone_and_within_bounds_to_the_far_tails() -> None:
    latents = torch.cat([torch.linspace(-40, 40, 4001, dtype=torch.float64), torch.tensor([math.inf])])
    for threshold in (1e-6, 0.3, 1, 2.5, 8, 30):
        drawn = truncate(latents, threshold)
        assert (drawn.diff() >= 0).all() and drawn.abs().max() <= threshold
        assert (drawn.abs() <= latents.abs()).all()
        assert torch.equal(truncate(-latents, threshold), -drawn)
        assert drawn[-1].item() == pytest.approx(threshold)
        assert (drawn[:-1][latents[:-1].abs() < 4].diff() > 0).all()
    # Where the cut is beyond what is there, nothing changes; about 0 a number shrinks by a known factor.
    near = latents[latents.abs() < 37]
    torch.testing.assert_close(truncate(near, 1000), near, rtol=1e-14, atol=0)
    tiny = torch.tensor([1e-12, -1e-200], dtype=torch.float64)
    torch.testing.assert_close(truncate(tiny, 1), tiny * math.erf(1 / math.sqrt(2)), rtol=1e-12, atol=0)


def test_truncated_normals_have_the_right_spread_and_keep_shape_and_type() -> None:
    latents = torch.randn(1000, 100, generator=torch.Generator().manual_seed(0))
    density = math.exp(-0.5) / math.sqrt(2 * math.pi)
    variance = 1 - 2 * density / math.erf(1 / math.sqrt(2))  # of a normal truncated to [-1, 1]
    drawn = truncate(latents, 1)
    assert drawn.shape == latents.shape and drawn.dtype == torch.float32
    assert drawn.var().item() == pytest.approx(variance, rel=0.01)
    assert truncate(latents.bfloat16(), 1).dtype == torch.bfloat16
    # A lower threshold draws each number nearer to 0, and the distance from the first image never grows again.
    distances = [truncate(latents, threshold).norm().item() for threshold in (4, 2, 1, 0.5, 0.1)]
    assert distances == sorted(distances, reverse=True)


@pytest.mark.parametrize("threshold", [0, -1, math.nan])
def test_a_threshold_that_leaves_nothing_is_refused(threshold: float) -> None:
    with pytest.raises(ConfigError, match="truncation must be above 0"):
        truncate(torch.zeros(1), threshold)


def test_slerp_meets_its_ends_and_turns_evenly() -> None:
    start, end = torch.randn(2, 64, generator=torch.Generator().manual_seed(1))
    assert torch.equal(slerp(start, end, 0), start) and torch.equal(slerp(start, end, 1), end)
    way = torch.linspace(0, 1, 11)
    between = slerp(start.expand(11, -1), end.expand(11, -1), way).double()
    torch.testing.assert_close(between.norm(dim=1), torch.lerp(start.norm(), end.norm(), way).double())
    unit = between / between.norm(dim=1, keepdim=True)
    angles = torch.arccos((unit[1:] * unit[:-1]).sum(1))
    torch.testing.assert_close(angles, angles.mean().expand(10), rtol=1e-5, atol=0)
    torch.testing.assert_close(
        slerp(torch.tensor([2.0, 0]), torch.tensor([0, 2.0]), 0.5), torch.tensor([2.0, 2]).sqrt()
    )


@pytest.mark.parametrize(
    ("start", "end"), [([1.0, 1], [1.0, 1]), ([1.0, 0], [3.0, 0]), ([1.0, 0], [-1.0, 0]), ([0.0, 0], [0.0, 2])]
)
def test_slerp_is_linear_where_there_is_nothing_to_turn(start: list[float], end: list[float]) -> None:
    a, b = torch.tensor(start), torch.tensor(end)
    for way in (0, 0.25, 1):
        torch.testing.assert_close(slerp(a, b, way), torch.lerp(a, b, way))
    nearly = slerp(a, b + 1e-9, 0.5)
    torch.testing.assert_close(nearly, (a + b) / 2)


def test_a_walk_passes_through_all_its_points() -> None:
    points = torch.randn(3, 32, generator=torch.Generator().manual_seed(2))
    closed, opened = walk(points, 12, loop=True), walk(points, 9, loop=False)
    assert torch.equal(closed[::4], points) and torch.equal(opened[::4], points)
    assert torch.equal(closed[10], slerp(points[2], points[0], 0.5))
    assert positions(3, 6, loop=True).tolist() == [0, 0.5, 1, 1.5, 2, 2.5]
    assert torch.equal(walk(points, 1, loop=False), points[:1])
    assert torch.equal(walk(points[:1], 4, loop=True), points[:1].expand(4, -1))
    for latents, frames in ((points, 0), (points[0], 5), (points[:0], 5)):
        with pytest.raises(ConfigError):
            walk(latents, frames, loop=True)


def test_neighbours_are_as_near_as_asked_and_stay_normal() -> None:
    latent = torch.randn(16, 4096, generator=torch.Generator().manual_seed(3))[0]
    assert torch.equal(neighbours(latent, 3, spread=0, seed=3), latent.expand(3, -1))
    for spread in (0.1, 0.6, 1):
        near = neighbours(latent, 20, spread=spread, seed=3)  # of the seed that drew the latent
        correlations = torch.nn.functional.cosine_similarity(near, latent[None])
        assert correlations.mean().item() == pytest.approx(math.sqrt(1 - spread**2), abs=0.02)
        assert near.std().item() == pytest.approx(1, abs=0.03)
        assert torch.equal(neighbours(latent, 7, spread=spread, seed=3), near[:7])
    assert not torch.equal(neighbours(latent, 2, spread=1), neighbours(latent, 2, spread=1))
    assert torch.equal(neighbours(latent[:10], 20, spread=1, seed=1)[:3], neighbours(latent[:10], 3, spread=1, seed=1))


def test_neighbours_out_of_bounds_are_refused() -> None:
    for latent, n, spread in ((torch.zeros(4), 1, 1.1), (torch.zeros(4), 1, -0.1), (torch.zeros(4), 1, math.nan),
                              (torch.zeros(4), 0, 0.5), (torch.zeros(1, 4), 1, 0.5)):  # fmt: skip
        with pytest.raises(ConfigError):
            neighbours(latent, n, spread=spread)
