"""The average of the weights over time, and of BatchNorm's statistics over processes."""

from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from helpers.forking import run_script
from hubgan import Generator
from hubgan.training.averaging import MovingAverage, average_buffers


@pytest.fixture
def accelerator() -> Accelerator:
    return Accelerator(cpu=True)


class Number(nn.Module):
    """One weight, one buffer, one counter."""

    def __init__(self, value: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([value], dtype=torch.float64))
        self.register_buffer("statistic", torch.tensor([value], dtype=torch.float32))
        self.register_buffer("counter", torch.tensor(int(value)))

    def set(self, value: float) -> "Number":
        self.load_state_dict({key: torch.full_like(tensor, value) for key, tensor in self.state_dict().items()})
        return self


def values(average: MovingAverage) -> list[float]:
    return [tensor.item() for tensor in average.module.state_dict().values()]


# -- over time


def test_the_average_follows_its_formula() -> None:
    model = Number()
    average = MovingAverage(model)
    expected = 0.0
    for step, value in enumerate((3.0, -1.0, 8.0), start=1):
        average.update(model.set(value), images=50, images_seen=50 * step, half_life=200)
        beta = 0.5 ** (50 / 200)
        expected = beta * expected + (1 - beta) * value
        assert values(average) == pytest.approx([expected, expected, int(value)])


def test_after_its_half_life_a_weight_counts_half() -> None:
    model = Number(1.0)
    average = MovingAverage(model)
    average.update(model.set(0.0), images=1000, images_seen=1000, half_life=1000)
    assert values(average)[0] == pytest.approx(0.5)


@pytest.mark.parametrize("rampup", [0.0, 10.0])
def test_the_batch_size_does_not_matter(rampup: float) -> None:
    model = Number(5.0)
    small, large = MovingAverage(model), MovingAverage(model)
    model.set(2.0)
    for _ in range(2):
        small.update(model, images=64, images_seen=256, half_life=1000, rampup=rampup)
    large.update(model, images=128, images_seen=256, half_life=1000, rampup=rampup)
    assert values(small) == pytest.approx(values(large))


def test_the_rampup_shortens_the_half_life_of_a_young_run() -> None:
    model = Number(1.0)
    average = MovingAverage(model)
    average.update(model.set(0.0), images=10, images_seen=100, half_life=1000, rampup=0.05)
    assert values(average)[0] == pytest.approx(0.5 ** (10 / 5))
    average = MovingAverage(model.set(1.0))
    average.update(model.set(0.0), images=10, images_seen=100_000, half_life=1000, rampup=0.05)
    assert values(average)[0] == pytest.approx(0.5 ** (10 / 1000))
    average = MovingAverage(model.set(1.0))
    average.update(model.set(0.0), images=10, images_seen=100, half_life=1000, rampup=0.0)
    assert values(average)[0] == pytest.approx(0.5 ** (10 / 1000))


@pytest.mark.parametrize(("half_life", "images_seen", "rampup"), [(0.0, 128, 0.05), (0.0, 128, 0.0), (90.0, 0, 0.05)])
def test_half_life_0_copies_the_last_weights(half_life: float, images_seen: int, rampup: float) -> None:
    model = Generator(width=8, latent_dim=16)
    average = MovingAverage(model)
    for tensor in model.state_dict().values():
        tensor.copy_(torch.rand(tensor.shape) * 10)
    average.update(model, images=64, images_seen=images_seen, half_life=half_life, rampup=rampup)
    assert all(torch.equal(tensor, average.module.state_dict()[key]) for key, tensor in model.state_dict().items())


def test_the_averaged_model_is_a_copy_in_evaluation_mode_without_gradients() -> None:
    model = Generator(width=8, latent_dim=16).to(memory_format=torch.channels_last)
    average = MovingAverage(model)
    assert model.training and not average.module.training
    assert isinstance(average.module, Generator) and average.module.config == model.config
    before = {key: tensor.clone() for key, tensor in average.module.state_dict().items()}
    for _ in range(2):  # BatchNorm's statistics and counter
        model(torch.randn(4, 16)).sum().backward()
    average.update(model, images=4, images_seen=8, half_life=4)
    for (name, old), new in zip(average.module.named_parameters(), model.parameters(), strict=True):
        assert not old.requires_grad and new.requires_grad and old.grad is None
        assert old.stride() == new.stride()
        assert torch.equal(old, before[name])
    found = average.module.state_dict()
    mean = "network.layers.1.running_mean"
    torch.testing.assert_close(found[mean], (before[mean] + model.state_dict()[mean]) / 2)
    assert found["network.layers.1.num_batches_tracked"] == 2
    assert len(average.module.sample(1, seed=0)) == 1


def test_the_average_resumes_through_a_checkpoint(tmp_path: Path, accelerator: Accelerator) -> None:
    def run(average: MovingAverage, model: Number, steps: range) -> None:
        for step in steps:
            average.update(model.set(float(step)), images=10, images_seen=10 * step, half_life=50, rampup=0.5)

    first, second = (MovingAverage(Number()) for _ in range(2))
    accelerator.register_for_checkpointing(first)
    run(first, Number(), range(1, 5))
    accelerator.save_state(str(tmp_path))
    expected = values(first)
    second.load_state_dict(torch.load(tmp_path / "custom_checkpoint_0.pkl", weights_only=True))
    assert values(second) == expected
    run(second, Number(), range(5, 9))
    first.module.set(0.0)
    accelerator.load_state(str(tmp_path))
    assert values(first) == expected
    run(first, Number(), range(5, 9))
    assert values(first) == values(second) != expected


# -- over processes


def test_one_process_keeps_its_own_statistics(accelerator: Accelerator) -> None:
    layer = nn.BatchNorm2d(3)
    layer(torch.randn(4, 3, 2, 2))
    before: dict[str, Tensor] = {key: tensor.clone() for key, tensor in layer.state_dict().items()}
    average_buffers(layer, accelerator)
    assert all(torch.equal(before[key], tensor) for key, tensor in layer.state_dict().items())


SCRIPT = """
from unittest.mock import patch

import torch
from accelerate import Accelerator
from torch import nn

from hubgan import Generator
from hubgan.training.averaging import MovingAverage, average_buffers

accelerator = Accelerator(cpu=True)
assert accelerator.num_processes == 2
rank, device = accelerator.process_index, accelerator.device


def batch(rank):
    return torch.randn(8, 16, generator=torch.Generator().manual_seed(rank))


torch.manual_seed(0)
model = Generator(width=8, latent_dim=16)
plain, synced, untracked = nn.BatchNorm1d(4), nn.SyncBatchNorm(4), nn.BatchNorm2d(4, track_running_stats=False)
module = nn.ModuleList([model, plain, synced, untracked])
copies = [Generator(width=8, latent_dim=16) for _ in range(2)]
for other, copy in enumerate(copies):
    copy.load_state_dict(model.state_dict())
    copy(batch(other))
model(batch(rank))
plain.running_mean.fill_(rank)
plain.running_var.fill_(2 + 4 * rank)
synced.running_mean.fill_(rank)

average = MovingAverage(model)
with patch.object(torch.distributed, "all_reduce", wraps=torch.distributed.all_reduce) as messages:
    average_buffers(module, accelerator)
    assert messages.call_count == 1
    average_buffers(nn.ModuleList([synced, untracked, nn.Conv2d(1, 1, 1)]), accelerator)
    assert messages.call_count == 1
for key, value in model.state_dict().items():
    states = [copy.state_dict()[key] for copy in copies]
    if "running" in key:
        assert not torch.equal(*states), key
        torch.testing.assert_close(value, (states[0] + states[1]) / 2)
    else:
        assert torch.equal(value, states[rank]), key
assert plain.running_mean.tolist() == [0.5] * 4 and plain.running_var.tolist() == [4.0] * 4
assert synced.running_mean.tolist() == [float(rank)] * 4

# From here on the processes' models are equal, and so must their averages be, to the last bit.
average = MovingAverage(model)
with torch.no_grad():
    for parameter in model.parameters():
        parameter.mul_(1.1)
average.update(model, images=16, images_seen=16, half_life=50, rampup=0.05)
flat = torch.cat([t.double().flatten() for t in average.state_dict().values()])
both = accelerator.gather(flat[None])
assert torch.equal(both[0], both[1])
accelerator.end_training()
"""


@pytest.mark.slow
def test_two_processes_agree_on_their_statistics(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    run_script(script, folder=tmp_path, processes=2)
