"""The order of the images and their random numbers: functions of the seed and the position, without any state.

So a run that continues from a position draws the same images and numbers as one that never stopped.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Sampler

_STEP = np.uint64(0x9E3779B97F4A7C15)  # SplitMix64's increment: 2**64 divided by the golden ratio, odd
_MASK = 2**64 - 1


class RawBatch(NamedTuple):
    """A batch: images, uint8 (N, C, H, W), and the numbers of their classes, int64 (N,), or None without labels."""

    images: Tensor
    labels: Tensor | None = None


def uniforms(seed: int, keys: Tensor, draws: int) -> Tensor:
    """Random numbers that depend only on the seed, the key and the column (SplitMix64).

    Args:
        seed: any whole number.
        keys: int64 (N,), such as positions.
        draws: the number of random numbers for each key.

    Returns:
        float32 (N, draws) in [0, 1), multiples of 2**-24, on the CPU.
    """
    places = np.arange(1, draws + 1, dtype=np.uint64) * _STEP
    starts = _mix(_mix(keys.cpu().numpy().astype(np.uint64) * _STEP + _STEP) ^ _scramble(seed))
    bits = _mix(starts[:, None] + places)
    return torch.from_numpy((bits >> np.uint64(40)).astype(np.float32) * np.float32(2**-24))


def epoch_seed(seed: int, epoch: int) -> int:
    """The seed, in [0, 2**63), of an epoch's shuffling."""
    state = _scramble(seed) ^ _mix(np.full(1, (epoch + 1) & _MASK, np.uint64) * _STEP)
    return int(_mix(state)[0]) >> 1


class EndlessSampler(Sampler[list[int]]):
    """Endless batches of keys for a map-style data set of `length` images.

    Position p of the order is image `permutation[p % length]` of epoch `p // length`, and its key is
    `epoch * length + image`. Each epoch has a permutation of its own. Batches go on across the end of an epoch, so no
    image is left out, and the order is the same for every batch size and every number of processes.

    Args:
        length: images of the data set.
        batch_size: keys in a batch.
        seed: of the order.
        position: the number of images drawn before, by all processes together.
        rank: the number of this process, 0 to `world` - 1. Of every `world` batches it gets the one at its rank.
        world: the number of processes.
    """

    def __init__(
        self, length: int, batch_size: int, seed: int, position: int = 0, rank: int = 0, world: int = 1
    ) -> None:
        if min(length, batch_size, world) < 1 or position < 0 or not 0 <= rank < world:
            raise ValueError(f"{length} images in batches of {batch_size} from {position}, process {rank} of {world}")
        self.length, self.batch_size, self.seed = length, batch_size, seed
        self.position, self.rank, self.world = position, rank, world

    def __iter__(self) -> Iterator[list[int]]:
        epoch, order = -1, torch.empty(0)
        position = self.position + self.rank * self.batch_size
        while True:
            keys: list[int] = []
            while len(keys) < self.batch_size:
                at, offset = divmod(position + len(keys), self.length)
                if at != epoch:
                    epoch, order = at, self._permutation(at)
                taken = order[offset : offset + self.batch_size - len(keys)]
                keys += (taken + epoch * self.length).tolist()
            yield keys
            position += self.batch_size * self.world

    def _permutation(self, epoch: int) -> Tensor:
        generator = torch.Generator().manual_seed(epoch_seed(self.seed, epoch))
        return torch.randperm(self.length, generator=generator)


def _scramble(seed: int) -> np.ndarray:
    return _mix(np.full(1, seed & _MASK, np.uint64) + _STEP)


def _mix(x: np.ndarray) -> np.ndarray:
    """SplitMix64's output function: every bit of the result depends on every bit of `x` (uint64, wraps around)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
