"""How much memory a run will take on its device, without taking it: a step's losses run on the meta device."""

import copy
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from hubgan.data import RawBatch
from hubgan.runtime.seeding import SharedRandom
from hubgan.training.config import TrainingConfig
from hubgan.training.optimizers import kept_values
from hubgan.training.step import keeps_graph, optimizers_of, set_trainable
from hubgan.training.task import Batch, Network, Task

_META = torch.device("meta")


def estimate(task: Task[Any], config: TrainingConfig, precision: str, processes: int) -> dict[str, int]:
    """Bytes that each part of a run takes on a process's device.

    Left out are the convolutions' working space, torch itself (on a GPU some hundred MiB), and the data.

    Args:
        task: its networks are copied to the meta device; they are left unchanged.
        config: the run's options.
        precision: `no` or `float32`, `bf16`, `fp16`.
        processes: of the run; several keep a second copy of the gradients, to exchange them.
    """
    task = copy.deepcopy(task)
    networks: dict[str, nn.Module] = {name: network.to(_META).train() for name, network in task.networks.items()}
    learned = sum(_size(network.parameters()) for network in networks.values())
    trained = sum(_size(_trained(network)) for network in networks.values())
    kept = 4 * sum(  # in float32
        kept_values(optimizer.kind, _trained(networks[name]))
        for names, optimizer in optimizers_of(task).items()
        for name in names
    )
    averaged = [networks[name] for name in task.averaged]
    constant = [module.to(_META) for module in task.frozen()]
    batch = _batch(task, config)
    half = precision in ("bf16", "fp16")
    everything = [*networks.values(), *constant]
    activations = activation_bytes(
        partial(_step, task, config, networks, batch),
        (tensor for network in everything for tensor in [*network.parameters(), *network.buffers()]),
    )
    parts = {
        "weights": learned + sum(_size(network.buffers()) for network in networks.values()),
        "gradients": trained * (2 if processes > 1 else 1),
        "optimizers": kept,
        "average": sum(_size([*network.parameters(), *network.buffers()]) for network in averaged),
        "other networks": sum(_size([*module.parameters(), *module.buffers()]) for module in constant),
        # Autocast keeps nearly all of them in half precision, and a copy of the weights too.
        "activations": activations // 2 if half else activations,
        "weights in half precision": learned // 2 if half else 0,
        "batch": _size(batch.tensors.values()),
    }
    return {name: size for name, size in parts.items() if size}


def activation_bytes(step: Callable[[], object], constant: Iterable[Tensor] = ()) -> int:
    """The most bytes that autograd holds at once in a step, each storage counted once, and gradients on their way.

    These gradients are estimated as two tensors of the largest size: one out of a layer, and one into it.

    Args:
        step: runs forward and backward passes, on any device; on the meta device it takes no memory.
        constant: tensors that do not count, such as weights.
    """
    left_out = {tensor.untyped_storage()._cdata for tensor in constant}
    held: dict[int, int] = {}  # how many saved tensors share a storage
    now = most = largest = 0

    class Saved:
        """A tensor as autograd holds it, until it lets go."""

        def __init__(self, tensor: Tensor) -> None:
            nonlocal now, most, largest
            self.tensor, storage = tensor, tensor.untyped_storage()
            self.key, self.size = storage._cdata, storage.nbytes()
            if self.key not in left_out:
                held[self.key] = held.get(self.key, 0) + 1
                now += self.size if held[self.key] == 1 else 0
                most, largest = max(most, now), max(largest, self.size)

        def __del__(self) -> None:
            nonlocal now
            if self.key in held:
                held[self.key] -= 1
                if not held[self.key]:
                    del held[self.key]
                    now -= self.size

    with saved_tensors_hooks(Saved, lambda saved: saved.tensor):
        step()
    return most + 2 * largest


def _step(task: Task[Any], config: TrainingConfig, networks: Mapping[str, nn.Module], batch: Batch) -> None:
    """The phases of the last part's step, as the trainer goes through them, without the optimizers."""
    part = task.active_parts[-1]
    callable_networks = {name: Network(network, network) for name, network in networks.items()}
    for phase in part.phases:
        keep_graph = keeps_graph(part, phase, config)
        set_trainable(networks, part, phase, keep_graph)
        batch.with_graph = keep_graph or not phase.detached
        task.losses(phase, callable_networks, batch).total().backward()
        if not keep_graph:
            batch.cache.clear()


class _NoRandom(SharedRandom):
    """Stands in for the run's random numbers where only shapes matter."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def seek(self, position: int, *use: int) -> None:
        pass

    def normal(self, n: int, *shape: int) -> Tensor:
        return torch.zeros(n, *shape, device=self._device)

    uniform = normal

    def integers(self, count: int, high: int) -> list[int]:
        return [0] * count


def _batch(task: Task[Any], config: TrainingConfig) -> Batch:
    """A batch on the meta device, with the shapes that a batch of one image has."""
    image = torch.zeros(1, *task.transform.shape, dtype=torch.uint8)
    labels = torch.zeros(1, dtype=torch.int64) if task.labelled else None
    batch = task.batch(RawBatch(image, labels), _NoRandom(torch.device("cpu")))
    many = config.batch_size
    batch.tensors = {name: t.new_empty(many, *t.shape[1:], device=_META) for name, t in batch.tensors.items()}
    batch.labels = None if labels is None else labels.new_empty(many, device=_META)
    batch.random = _NoRandom(_META)
    batch.schedule = lambda schedule: max(schedule) if isinstance(schedule, tuple) else schedule
    return batch


def _trained(network: nn.Module) -> list[Tensor]:
    """The weights of a network but those of frozen blocks."""
    return [weight for weight in network.parameters() if weight.requires_grad]


def _size(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
