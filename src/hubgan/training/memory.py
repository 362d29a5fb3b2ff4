"""How much memory a run will take on its device, found out without taking it: the step runs on the meta device."""

import copy
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from hubgan.training.config import TrainingConfig
from hubgan.training.optimizers import kept_values
from hubgan.training.schedules import is_used
from hubgan.training.task import Task

_META = torch.device("meta")


def estimate(task: Task[Any], config: TrainingConfig, precision: str, processes: int) -> dict[str, int]:
    """Bytes that each part of a run takes on a process's device.

    Left out are the convolutions' working space, augmentation, torch itself (on a GPU some hundred MiB), and the data.

    Args:
        task: its networks are copied to the meta device; they are left as they are.
        config: the run's options.
        precision: `no` or `float32`, `bf16`, `fp16`.
        processes: of the run; several keep a second copy of the gradients, to exchange them.
    """
    task = copy.deepcopy(task)
    networks: list[nn.Module] = [task.model, task.discriminator]
    learned = sum(_size(network.parameters()) for network in networks)
    optimizers = zip((config.optimizer, "adam"), networks, strict=True)
    kept = 4 * sum(kept_values(name, network.parameters()) for name, network in optimizers)  # in float32
    constant = [module for module in vars(task).values() if isinstance(module, nn.Module) and module not in networks]
    inputs, real = _batch(task, config)
    labels = torch.zeros(len(real), dtype=torch.int64, device=_META) if task.labelled else None
    half = precision in ("bf16", "fp16")
    activations = activation_bytes(
        training_step(task, config, inputs, real, labels),
        (tensor for network in [*networks, *constant] for tensor in [*network.parameters(), *network.buffers()]),
    )
    parts = {
        "weights": learned + sum(_size(network.buffers()) for network in networks),
        "gradients": learned * (2 if processes > 1 else 1),
        "optimizers": kept,
        "average": _size(task.model.parameters()) + _size(task.model.buffers()),
        "other networks": sum(_size([*module.parameters(), *module.buffers()]) for module in constant),
        # Autocast keeps nearly all of them in half precision, and a copy of the weights too.
        "activations": activations // 2 if half else activations,
        "weights in half precision": learned // 2 if half else 0,
        "batch": _size([inputs, real]),
    }
    return {name: size for name, size in parts.items() if size}


def activation_bytes(step: Callable[[], object], constant: Iterable[Tensor] = ()) -> int:
    """The most bytes that autograd holds at once in a step, each storage counted once, and gradients on their way.

    The latter are taken to be two tensors of the largest size: one that comes out of a layer and one that goes in.

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


def training_step(
    task: Task[Any], config: TrainingConfig, inputs: Tensor, real: Tensor, labels: Tensor | None = None
) -> Callable[[], None]:
    """One update of the discriminator and one of the generator as the loop does them, without the optimizers.

    Args:
        task: its networks are moved to the device of `inputs`.
        config: the run's options.
        inputs: what the model is given.
        real: the real images of that batch.
        labels: the numbers of their classes, where the networks take them.
    """
    condition = () if labels is None else (labels,)
    networks = task.model.to(inputs.device).train(), task.discriminator.to(inputs.device).train()
    model, judge = (partial(_call, network, condition) for network in networks)
    opponent = networks[1]
    keep = config.gradient_accumulation_steps == 1
    penalties = sum(map(is_used, (config.r1_weight, config.r2_weight, config.gradient_penalty)))

    def step() -> None:
        with torch.set_grad_enabled(keep):
            fake = model(inputs)
        judged = task.judged(real), task.judged(fake.detach())
        loss = task.objective.discriminator(*map(judge, judged))
        for _ in range(penalties):
            images = judged[0].detach().requires_grad_()
            (gradient,) = torch.autograd.grad(judge(images).sum(), images, create_graph=True)
            loss = loss + gradient.square().sum()
        loss.backward()
        del loss
        opponent.requires_grad_(False)
        terms = task.generator_losses(judge, real, fake if keep else model(inputs))
        torch.stack(list(terms.values())).sum().backward()
        opponent.requires_grad_(True)

    return step


def _call(network: nn.Module, condition: tuple[Tensor, ...], inputs: Tensor) -> Tensor:
    return network(inputs, *condition)


class _Noise:
    """Stands in for the run's random numbers where only shapes matter."""

    def normal(self, n: int, *shape: int) -> Tensor:
        return torch.zeros(n, *shape)

    uniform = normal

    def integers(self, count: int, high: int) -> list[int]:
        return [0] * count


def _batch(task: Task[Any], config: TrainingConfig) -> tuple[Tensor, Tensor]:
    """A batch on the meta device; its shapes are those of a batch of one."""
    image = torch.zeros(1, config.channels, task.transform.size, task.transform.size, dtype=torch.uint8)
    one: tuple[Tensor, Tensor] = task.batch(image, _Noise())  # type: ignore[arg-type]
    inputs, real = (torch.empty(config.batch_size, *t.shape[1:], dtype=t.dtype, device=_META) for t in one)
    return inputs, real


def _size(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
