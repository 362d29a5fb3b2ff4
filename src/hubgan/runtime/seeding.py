"""Random numbers that depend on a seed and a place alone."""

from random import Random
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from accelerate import Accelerator


class SharedRandom:
    """Random numbers for the images of all processes, of which each process takes those of its own images.

    They depend on the seed and on the place in the run alone. So a resumed run draws the same ones with nothing to
    restore, and so do several processes and one, on the same kind of device.

    Args:
        seed: of the run.
        accelerator: tells the device, and which part is this process's.
        span: images of an update, of all processes and all batches whose gradients are added up.
    """

    def __init__(self, seed: int, accelerator: "Accelerator", span: int = 1) -> None:
        self._seed, self._source = seed, torch.Generator(accelerator.device)
        self._host, self._span = Random(), span
        self._rank, self._world = accelerator.process_index, accelerator.num_processes

    def seek(self, position: int, *use: int) -> None:
        """Go to the numbers of a place in the run: images drawn before it, and what they are for."""
        self._source.manual_seed(hash((self._seed, position, *use)) & (2**63 - 1))
        self._host.seed(hash((self._seed, position // self._span, *use)))

    def normal(self, n: int, *shape: int) -> Tensor:
        """(n, *shape) from a standard normal, for this process's `n` images."""
        return self._mine(torch.randn(self._world * n, *shape, generator=self._source, device=self._source.device), n)

    def uniform(self, n: int, *shape: int) -> Tensor:
        """(n, *shape) from [0, 1), for this process's `n` images."""
        return self._mine(torch.rand(self._world * n, *shape, generator=self._source, device=self._source.device), n)

    def integers(self, count: int, high: int) -> list[int]:
        """So many from 0 to high - 1, alike for all images of an update; drawn on the host."""
        return [self._host.randrange(high) for _ in range(count)]

    def _mine(self, numbers: Tensor, n: int) -> Tensor:
        return numbers[self._rank * n : (self._rank + 1) * n]
