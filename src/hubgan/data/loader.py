"""Batches on the device, from this process or from workers."""

import atexit
import os
import signal
from collections.abc import Callable, Generator, Iterator
from typing import Any
from weakref import WeakSet

import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset

from hubgan.data.decoded import DecodedImages
from hubgan.data.decoding import available_cpus
from hubgan.data.order import EndlessSampler, RawBatch
from hubgan.data.streamed import StreamedImages
from hubgan.errors import HubganError

# At its exit Python waits for workers, and would for ever for those that ignore its SIGTERM: so they are ended before.
_open: WeakSet[Generator[RawBatch, None, None]] = WeakSet()


def batches(
    images: DecodedImages | StreamedImages,
    *,
    batch_size: int,
    seed: int,
    position: int = 0,
    rank: int = 0,
    world: int = 1,
    num_workers: int | None = None,
    device: torch.device | str = "cpu",
) -> Iterator[RawBatch]:
    """Shuffled and augmented images without an end.

    They depend on the arguments up to `world` alone: batches from a later position are those that would have come
    there. All batches of the `world` processes, in the order of ranks, are one order that does not depend on their
    number or size.

    Args:
        images: the data.
        batch_size: images in a batch, for each process.
        seed: of the order and the augmentation.
        position: images drawn before, by all processes together.
        rank: which of the processes this is.
        world: the number of processes.
        num_workers: processes that prepare batches ahead. A stream has at most one, and images that are kept on a
            device have none. By default 1 for a stream, 0 when all images are decoded, else up to 4.
        device: where batches are wanted.

    Returns:
        An iterator of images, uint8 (batch_size, C, H, W), and labels, where the data have been opened with them,
        on `device`. Closing or dropping it ends its workers.

    Raises:
        DataError: while iterating, that the data cannot be read or used.
    """
    device = torch.device(device)
    options: dict[str, Any] = {"num_workers": _workers(images, num_workers)}
    if options["num_workers"]:
        options |= {"worker_init_fn": _start_worker, "prefetch_factor": 4}
    if isinstance(images, DecodedImages):
        options["batch_sampler"] = EndlessSampler(len(images), batch_size, seed, position, rank, world)
        dataset: Dataset = _Decoded(images, seed)
        pinned = images.device.type == "cpu"
    else:
        options["batch_size"] = None
        dataset = _Streamed(images, batch_size=batch_size, seed=seed, position=position, rank=rank, world=world)
        pinned = True
    loader = DataLoader(
        dataset,
        collate_fn=_identity,
        pin_memory=pinned and device.type == "cuda",
        generator=torch.Generator(),  # or the loader would draw from the state that the noise comes from
        **options,
    )
    iterator = _iterate(loader, device)
    _open.add(iterator)
    return iterator


def _iterate(loader: DataLoader, device: torch.device) -> Generator[RawBatch, None, None]:
    iterator = iter(loader)
    workers = getattr(iterator, "_workers", [])
    try:
        while True:
            batch = next(iterator)
            if isinstance(batch, HubganError):
                raise batch
            images, labels = batch
            images = images.to(device, non_blocking=True)
            yield RawBatch(images, None if labels is None else labels.to(device, non_blocking=True))
    finally:
        del iterator  # asks the workers to end
        for worker in workers:
            if worker.is_alive():  # it hangs, and ignores SIGTERM
                worker.kill()


@atexit.register
def _close() -> None:
    for iterator in list(_open):
        iterator.close()


def _workers(images: DecodedImages | StreamedImages, wanted: int | None) -> int:
    if isinstance(images, StreamedImages):
        return 1 if wanted is None else min(1, wanted)
    if images.device.type != "cpu":
        return 0
    if wanted is not None:
        return wanted
    if images.complete:
        return 0
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # of this machine, as launchers tell it
    return max(1, min(4, available_cpus() // processes))


def _start_worker(number: int) -> None:
    """A signal reaches all processes of a terminal or a job, but the main one wants its batches to the end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _identity(batch: Any) -> Any:
    return batch


class _Decoded(Dataset):
    """Batches by keys. An error for a person is returned as a value: raised in a worker it would lose its words."""

    def __init__(self, images: DecodedImages, seed: int) -> None:
        self.images, self.seed = images, seed

    def __getitems__(self, keys: list[int]) -> RawBatch | HubganError:
        return _result_or_error(lambda: RawBatch(self.images.batch(keys, self.seed), self.images.labels(keys)))


class _Streamed(IterableDataset):
    """Batches in order, errors as above."""

    def __init__(self, images: StreamedImages, **options: Any) -> None:
        self.images, self.options = images, options

    def __iter__(self) -> Iterator[RawBatch | HubganError]:
        stream = self.images.batches(**self.options)
        while True:
            batch = _result_or_error(lambda: next(stream))
            yield batch
            if isinstance(batch, HubganError):
                return


def _result_or_error(function: Callable[[], RawBatch]) -> RawBatch | HubganError:
    """What `function` returns, or the error that it raises."""
    try:
        return function()
    except HubganError as error:
        return error
