"""Adam and Muon."""

import sys

import pytest
import torch
from torch import Tensor, nn

from hubgan.errors import ConfigError
from hubgan.training.optimizers import kept_values, make_optimizer

RATE = 0.01


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(6, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 8, 1))


def moved(network: nn.Module, optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """By how much an update moves each weight."""
    before = [weight.detach().clone() for weight in network.parameters()]
    network(torch.randn(4, 6, 8, 8)).square().mean().backward()
    optimizer.step()
    return [after.detach() - old for old, after in zip(before, network.parameters(), strict=True)]


def test_muon_moves_in_all_directions_alike(network: nn.Module) -> None:
    kernel, bias, *_ = moved(network, make_optimizer("muon", network, RATE, (0.9, 0.99)))
    sizes = torch.linalg.svdvals(kernel.flatten(1))
    assert sizes.max() < 2 * sizes.min()
    assert kernel.square().mean().sqrt() == pytest.approx(0.2 * RATE, rel=0.3)
    assert bias.abs().max() < 2 * RATE


def test_adam_does_not(network: nn.Module) -> None:
    kernel, *_ = moved(network, make_optimizer("adam", network, RATE, (0.9, 0.99)))
    sizes = torch.linalg.svdvals(kernel.flatten(1))
    assert sizes.max() > 2 * sizes.min()


@pytest.mark.parametrize("name", ["adam", "muon"])
def test_what_it_keeps_is_foretold(name: str, network: nn.Module) -> None:
    optimizer = make_optimizer(name, network, RATE, (0.9, 0.99))  # type: ignore[arg-type]
    moved(network, optimizer)
    kept = [value for state in optimizer.state.values() for value in state.values()]
    tensors = [value.numel() for value in kept if isinstance(value, Tensor) and value.ndim]
    assert sum(tensors) == kept_values(name, network.parameters())  # type: ignore[arg-type]


def test_without_its_package_muon_says_what_to_install(network: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm.optim", None)
    with pytest.raises(ConfigError, match="pip install 'timm"):
        make_optimizer("muon", network, RATE, (0.9, 0.99))
