"""Small pictures as cameras, phones and web sites make them."""

import pytest
import torch
from torch import Tensor

from helpers.launching import PHOTO, train_here
from hubgan.data.degradation import Degradation, Everyday, Heavy
from hubgan.errors import ConfigError
from hubgan.metrics import psnr, shrink
from hubgan.training import parse

BOTH = pytest.mark.parametrize("degradation", [Everyday(), Heavy()], ids=lambda d: d.adjective)


def numbers(degradation: Degradation, large: Tensor, seed: int = 0) -> tuple[Tensor, Tensor]:
    source = torch.Generator().manual_seed(seed)
    return torch.rand(len(large), degradation.draws, generator=source), torch.randn(large.shape, generator=source)


@BOTH
@pytest.mark.parametrize(("channels", "height", "width", "scale"), [(3, 64, 48, 4), (1, 36, 60, 2), (3, 32, 32, 4)])
def test_degraded_pictures_are_small_and_eight_bits_deep(
    degradation: Degradation, channels: int, height: int, width: int, scale: int
) -> None:
    large = torch.rand(12, channels, height, width)
    small, strength = degradation(large, scale, *numbers(degradation, large))
    assert small.shape == (12, channels, height // scale, width // scale)
    assert torch.equal(small, small.mul(255).round().div(255)) and small.min() >= 0 and small.max() <= 1
    assert strength.shape == (12,) and strength.min() >= 0 and strength.max() <= 1


@BOTH
def test_every_path_can_be_taken(degradation: Degradation) -> None:
    """At the ends of every range, one by one and together."""
    large, n = torch.rand(1, 3, 32, 32), degradation.draws
    for draws in [torch.zeros(1, n), torch.full((1, n), 0.999), *torch.eye(n).mul(0.999).split(1)]:
        assert degradation(large, 4, draws, torch.randn_like(large))[0].isfinite().all()


@BOTH
def test_a_picture_depends_on_its_own_numbers_alone(degradation: Degradation) -> None:
    large = torch.rand(4, 3, 32, 32)
    draws, noise = numbers(degradation, large)
    together = degradation(large, 4, draws, noise)[0]
    assert torch.equal(together[2:3], degradation(large[2:3], 4, draws[2:3], noise[2:3])[0])
    assert not torch.equal(together, degradation(large, 4, *numbers(degradation, large, seed=1))[0])


@BOTH
def test_degraded_pictures_are_still_of_the_same_thing(degradation: Degradation) -> None:
    ramp = torch.linspace(0, 1, 64).expand(8, 3, 64, 64)
    made = degradation(ramp, 4, *numbers(degradation, ramp))[0]
    small, wanted = (x.mul(255).byte() for x in (made, shrink(ramp, 4)))
    assert 10 < psnr(small, wanted, border=0) < 60
    assert (small.float().mean((1, 2, 3)) - wanted.float().mean((1, 2, 3))).abs().max() < 12  # no shift of colour


def test_the_strength_follows_the_damage() -> None:
    """What has lost more to noise and files wants to be cleaned more; what is only blurred, not at all."""
    large = torch.rand(64, 3, 32, 32)
    mild, strong = (Everyday(noise=(level,) * 2, quality=(quality,) * 2) for level, quality in ((0.5, 96), (6, 30)))
    (_, low), (small, high) = (each(large, 4, *numbers(each, large)) for each in (mild, strong))
    assert (low <= high).all() and high.mean() > 2 * low.mean() > 0
    losses = (small - shrink(large, 4)).abs().mean((1, 2, 3))
    assert losses[high > 0.8].mean() > losses[high == 0].mean()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--degraded", "0.5"], "degraded is set, but there is no degradation. Set --degradation everyday, or heavy"),
        (["--degraded_quality", "30", "90"], "degraded_quality is set, but there is no degradation"),
        (["--degradation", "everyday", "--degraded_noise", "6", "1"], "degraded_noise is 6 1. Pass two numbers"),
        (["--degradation", "heavy", "--degraded_quality", "50", "101"], "degraded_quality is 50 101"),
    ],
)
def test_degradations_that_cannot_be(options: list[str], complaint: str, tmp_path: object) -> None:
    base = [*PHOTO, "--degradation", "none", "--max_steps", "1", "--output_dir", f"{tmp_path}/run"]
    with pytest.raises(ConfigError, match=complaint):
        train_here(*base, *options)


def test_a_recipe_has_ranges_of_its_own() -> None:
    config = parse([*PHOTO, "--degradation", "everyday", "--degraded", "0.3", "--degraded_blur", "0.5", "1"])
    assert (config.degraded, config.degraded_blur, config.degraded_noise) == (0.3, (0.5, 1), None)  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.usefixtures("hub")  # which answers at once that it has no data set to measure on
def test_a_run_on_degraded_pictures_shows_and_measures_them(tmp_path: object) -> None:
    options = ["--max_steps", "2", "--degradation", "heavy", "--upscaler.strength", "False", "--pixel_share", "1",
               "--output_dir", f"{tmp_path}/run"]  # fmt: skip
    card = (train_here(*PHOTO, *options, "--eval_samples", "2") / "README.md").read_text()
    assert "![Left to right: degraded pictures enlarged by bicubic interpolation, this model" in card
    assert "It was trained to remove blur, noise and compression." in card
    assert "| PSNR | " in card and "| PSNR of degraded pictures | " in card
