"""Random numbers that depend only on a seed and a position; `derive` gives each use a stream of its own."""

import operator
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hubgan.errors import ConfigError

if TYPE_CHECKING:
    from accelerate import Accelerator

_BLOCK = 16  # PyTorch fills a tensor with normals in blocks of this size
_STEP = np.uint64(0x9E3779B97F4A7C15)  # SplitMix64's increment: 2**64 divided by the golden ratio, odd
_MASK = 2**64 - 1


def derive(seed: int, *path: str | int) -> int:
    """The seed of one stream of random numbers, from the seed that a user gives.

    Published images and recorded runs depend on these rules, so none may change. The named streams are older than this
    function. A new use takes the last rule, with a number of its own in its path.

    Args:
        seed: any whole number.
        *path: which stream: nothing for the seed itself; "labels"; "neighbours"; "epoch" and its number; "rollback"
            and the number of rollbacks; "update" and whole numbers; or whole numbers alone, such as the place in a run
            and what is drawn there.

    Raises:
        LookupError: the path is no such stream.
    """
    match path:
        case ():
            return seed
        case ("labels",):  # classes of generated images
            return seed ^ 0x5DEECE66D
        case ("neighbours",):  # latents near a latent, which may itself be the first one of this seed
            return seed ^ 0x9E3779B9
        case ("rollback", int(count)):  # a run after this number of returns to a checkpoint
            return seed + (count << 31)
        case ("epoch", int(epoch)):  # the order of the training images in an epoch, in [0, 2**63)
            return int(_mix(_scramble(seed) ^ _mix(np.full(1, (epoch + 1) & _MASK, np.uint64) * _STEP))[0]) >> 1
        case ("update", *numbers) if _whole(numbers):  # what all images of an update share, in [0, 2**63]
            return abs(hash((seed, *numbers)))
        case _ if _whole(path):  # everything else, in [0, 2**63); `hash` of whole numbers is fixed
            return hash((seed, *path)) & (2**63 - 1)
    raise LookupError(f"no stream of random numbers has the path {path!r}")


def torch_generator(seed: int | None = None, *path: str | int) -> torch.Generator:
    """A source of random numbers on the CPU, so that a seed means the same on every machine.

    Args:
        seed: a whole number of at most 64 bits; None takes one from the operating system.
        *path: which stream of the seed, as `derive` takes it.

    Raises:
        ConfigError: the seed is no such number.
    """
    generator = torch.Generator()
    if seed is None:
        generator.seed()
        return generator
    try:
        return generator.manual_seed(derive(operator.index(seed), *path))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"seed must be a whole number of at most 64 bits, not {seed!r}") from error


def normals(generator: torch.Generator | None, n: int, dim: int) -> Tensor:
    """(n, dim) from a standard normal, float32 on the CPU; the first rows of a larger `n` are those of a smaller one.

    Args:
        generator: on any device; None is PyTorch's own.
        n: rows.
        dim: numbers in a row.
    """
    # If the count is not a multiple of 16, PyTorch draws the last 16 numbers again, so they would depend on n.
    rows = -(-n // _BLOCK) * _BLOCK
    device = generator.device if generator else "cpu"
    return torch.randn(rows, dim, generator=generator, device=device)[:n].cpu()


def permutation(length: int, seed: int, *path: str | int) -> Tensor:
    """The numbers 0 to length - 1 in random order, int64 on the CPU, by a stream of the seed as `derive` takes it."""
    return torch.randperm(length, generator=torch_generator(seed, *path))


def uniforms(seed: int, keys: Tensor, draws: int) -> Tensor:
    """Random numbers that depend on the seed, the key and the column alone (SplitMix64, Steele et al. 2014).

    Args:
        seed: any whole number.
        keys: int64 (N,), such as positions.
        draws: how many numbers for each key.

    Returns:
        float32 (N, draws) in [0, 1), multiples of 2**-24, on the CPU.
    """
    places = np.arange(1, draws + 1, dtype=np.uint64) * _STEP
    starts = _mix(_mix(keys.cpu().numpy().astype(np.uint64) * _STEP + _STEP) ^ _scramble(seed))
    bits = _mix(starts[:, None] + places)
    return torch.from_numpy((bits >> np.uint64(40)).astype(np.float32) * np.float32(2**-24))


class SharedRandom:
    """Random numbers for the images of all processes, of which each process takes those of its own images.

    They depend on the seed and on the place in the run alone. So a resumed run draws the same numbers with nothing to
    restore, and several processes draw the same as one, on the same kind of device.

    Args:
        seed: of the run.
        accelerator: its device, and which of its processes this is.
        span: images of an update, of all processes and all batches whose gradients are added up.
    """

    def __init__(self, seed: int, accelerator: "Accelerator", span: int = 1) -> None:
        self._seed, self._source = seed, torch.Generator(accelerator.device)
        self._host, self._span = Random(), span
        self._rank, self._world = accelerator.process_index, accelerator.num_processes

    def seek(self, position: int, *use: int) -> None:
        """Go to the numbers of a place in the run: images drawn before it, and what they are for."""
        self._source.manual_seed(derive(self._seed, position, *use))
        self._host.seed(derive(self._seed, "update", position // self._span, *use))

    def normal(self, n: int, *shape: int) -> Tensor:
        """(n, *shape) from a standard normal, for this process's `n` images."""
        return self._mine(torch.randn(self._world * n, *shape, generator=self._source, device=self._source.device), n)

    def uniform(self, n: int, *shape: int) -> Tensor:
        """(n, *shape) from [0, 1), for this process's `n` images."""
        return self._mine(torch.rand(self._world * n, *shape, generator=self._source, device=self._source.device), n)

    def integers(self, count: int, high: int) -> list[int]:
        """`count` numbers from 0 to high - 1, the same for all images of an update; drawn on the host."""
        return [self._host.randrange(high) for _ in range(count)]

    def _mine(self, numbers: Tensor, n: int) -> Tensor:
        return numbers[self._rank * n : (self._rank + 1) * n]


def _whole(path: list[str | int] | tuple[str | int, ...]) -> bool:
    return all(isinstance(step, int) for step in path)


def _scramble(seed: int) -> NDArray[np.uint64]:
    return _mix(np.full(1, seed & _MASK, np.uint64) + _STEP)


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's output function: every bit of the result depends on every bit of `x` (wraps around)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x = x ^ (x >> np.uint64(31))
    return x
