"""The order of the images: a function of the seed and the position, without any state.

So a run that continues from a position draws the same images and numbers as one that never stopped.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Sampler

from hubgan.runtime.seeding import permutation


class RawBatch(NamedTuple):
    """A batch: images, uint8 (N, C, H, W), and the numbers of their classes, int64 (N,), or None without labels.

    An image is what the transform makes of a row; `PairedCrops.split` takes the two pictures of a pair out of it.
    """

    images: Tensor
    labels: Tensor | None = None


class EndlessSampler(Sampler[list[int]]):
    """Endless batches of keys for a map-style data set of `length` images.

    Position p of the order is image `permutation[p % length]` of epoch `p // length`, and its key is
    `epoch * length + image`. Each epoch has its own permutation. A batch may hold images of two epochs, so
    no image is skipped, and the order is the same for every batch size and every number of processes.

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
                    epoch, order = at, permutation(self.length, self.seed, "epoch", at)
                taken = order[offset : offset + self.batch_size - len(keys)]
                keys += (taken + epoch * self.length).tolist()
            yield keys
            position += self.batch_size * self.world
