"""Small pictures as cameras and web sites make them."""

import pytest
import torch
from torch import Tensor

from helpers.launching import PHOTO, train_here
from hubgan.data.degradation import DRAWS, degrade
from hubgan.metrics import psnr, shrink


def numbers(large: Tensor, seed: int = 0) -> tuple[Tensor, Tensor]:
    source = torch.Generator().manual_seed(seed)
    return torch.rand(len(large), DRAWS, generator=source), torch.randn(large.shape, generator=source)


@pytest.mark.parametrize(("channels", "height", "width", "scale"), [(3, 64, 48, 4), (1, 36, 60, 2), (3, 32, 32, 4)])
def test_degraded_pictures_are_small_and_eight_bits_deep(channels: int, height: int, width: int, scale: int) -> None:
    large = torch.rand(6, channels, height, width)
    small = degrade(large, scale, *numbers(large))
    assert small.shape == (6, channels, height // scale, width // scale)
    assert torch.equal(small, small.mul(255).round().div(255)) and small.min() >= 0 and small.max() <= 1


def test_every_path_can_be_taken() -> None:
    """At the ends of every range, one by one and together."""
    large = torch.rand(1, 3, 32, 32)
    for draws in [torch.zeros(1, DRAWS), torch.full((1, DRAWS), 0.999), *torch.eye(DRAWS).mul(0.999).split(1)]:
        assert degrade(large, 4, draws, torch.randn_like(large)).isfinite().all()


def test_a_picture_depends_on_its_own_numbers_alone() -> None:
    large = torch.rand(4, 3, 32, 32)
    draws, noise = numbers(large)
    together = degrade(large, 4, draws, noise)
    assert torch.equal(together[2:3], degrade(large[2:3], 4, draws[2:3], noise[2:3]))
    assert not torch.equal(together, degrade(large, 4, *numbers(large, seed=1)))


def test_degraded_pictures_are_still_of_the_same_thing() -> None:
    ramp = torch.linspace(0, 1, 64).expand(8, 3, 64, 64)
    small, wanted = (x.mul(255).byte() for x in (degrade(ramp, 4, *numbers(ramp)), shrink(ramp, 4)))
    assert 10 < psnr(small, wanted, border=0) < 45
    assert (small.float().mean((1, 2, 3)) - wanted.float().mean((1, 2, 3))).abs().max() < 12  # no shift of colour


@pytest.mark.slow
def test_a_run_on_degraded_pictures_shows_and_measures_them(tmp_path: object) -> None:
    options = ["--max_steps", "2", "--degraded", "0.5", "--pixel_share", "1", "--output_dir", f"{tmp_path}/run"]
    card = (train_here(*PHOTO, *options, "--eval_samples", "2") / "README.md").read_text()
    assert "![Left to right: degraded pictures enlarged by bicubic interpolation, this model" in card
    assert "It was trained to undo blur, noise and compression too" in card
    assert "| PSNR | " in card and "| PSNR of degraded pictures | " in card
