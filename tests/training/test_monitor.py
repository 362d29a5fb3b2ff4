"""Figures that show trouble."""

import logging
import math

import pytest
import torch
from accelerate import Accelerator

from hubgan.training import parse
from hubgan.training.monitor import Meter, Monitor, overlap

CONFIG = parse(["--config", "quickstart"])


def test_overlap_is_the_correlation_of_neighbours() -> None:
    one, other = torch.tensor([1.0, 2, 3, 4]), torch.tensor([4.0, 2, 3, 1])
    images = torch.stack([one, other, other]).view(3, 1, 2, 2)
    expected = torch.corrcoef(torch.stack([one, other]))[0, 1]
    assert overlap(images) == pytest.approx((expected.item() + 1) / 2)
    assert overlap(images * 3 + 7) == pytest.approx(overlap(images).item())  # whatever the range


def test_overlap_tells_a_collapsed_generator_from_noise() -> None:
    assert overlap(torch.rand(1, 3, 8, 8).repeat(16, 1, 1, 1) + 0.01 * torch.rand(16, 3, 8, 8)) > 0.95
    assert abs(overlap(torch.rand(64, 3, 8, 8))) < 0.1
    assert overlap(torch.rand(1, 3, 8, 8)) == 0
    assert overlap(torch.zeros(4, 3, 8, 8)) == 0  # flat images have no correlation, and are no trouble of numbers


def test_the_meter_gives_means_of_what_is_finite_and_goes_on_from_a_checkpoint() -> None:
    meter, other = Meter(Accelerator(cpu=True)), Meter(Accelerator(cpu=True))
    for value in (1.0, 2.0, math.inf):
        meter.add({"loss": torch.tensor(value)})
    meter.settle()
    other.load_state_dict(meter.state_dict())
    for each in (meter, other):
        each.add({"loss": torch.tensor(6.0), "r1": torch.tensor(0.5)})
        assert each.means() == {"loss": 3.0, "r1": 0.5}
        assert each.means() == {}


def test_what_is_not_finite_is_named() -> None:
    figures = {"adversarial": torch.tensor(1.0), "generator_gradient_norm": torch.tensor(math.nan)}
    assert Monitor(CONFIG, scaled=False).trouble(figures) == "generator gradient norm"
    assert Monitor(CONFIG, scaled=False).trouble({"adversarial": torch.tensor(1.0)}) == ""


def test_under_fp16_an_overflow_is_trouble_only_when_it_goes_on() -> None:
    monitor = Monitor(CONFIG, scaled=True)
    overflow = {"adversarial": torch.tensor(1.0), "generator_gradient_norm": torch.tensor(math.inf)}
    assert not any(monitor.trouble(overflow) for _ in range(49))
    assert "in 50 steps in a row" in monitor.trouble(overflow)
    assert monitor.trouble({"adversarial": torch.tensor(math.nan)}) == "adversarial"


def test_fakes_that_look_alike_are_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    monitor, alike = Monitor(CONFIG, scaled=False), {"fake_overlap": 0.9, "real_overlap": 0.1}
    with caplog.at_level(logging.WARNING):
        for _ in range(9):
            monitor.warn_of_collapse(alike, progress=0.01)  # an untrained generator
        assert not caplog.records
        for _ in range(9):
            monitor.warn_of_collapse(alike, progress=0.5)
    assert [("may be collapsing" in record.message) for record in caplog.records] == [True]


@pytest.mark.parametrize(
    ("options", "tried"),
    [
        (["--config", "quickstart"], "the penalty --r1_weight 1 with --discriminator.norm spectral or"),
        (["--config", "cifar-dcgan-relativistic"], "a larger --r1_weight or"),
        (["--config", "photo-x4"], "the penalty --r1_weight 1 or"),
        (["--config", "quickstart", "--objective", "wasserstein"], "a larger --gradient_penalty_weight or"),
    ],
)
def test_the_advice_fits_the_run(options: list[str], tried: str, caplog: pytest.LogCaptureFixture) -> None:
    config = parse(options)
    monitor = Monitor(config, scaled=False)
    assert tried in monitor.remedies and "fp16" not in monitor.remedies
    for _ in range(3):
        monitor.warn_of_collapse({"fake_overlap": 0.9, "real_overlap": 0.1}, progress=0.5)
    assert tried in caplog.text and ("--augment" in caplog.text) is not bool(config.augment)
