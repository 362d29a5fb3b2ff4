"""Batches on the device, from this process or from workers."""

import atexit
import os
import signal
from collections.abc import Callable, Generator, Iterator
from typing import Any, TypeAlias
from weakref import WeakSet

import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset

from hubgan.data.decoded import DecodedImages
from hubgan.data.decoding import available_cpus
from hubgan.data.order import EndlessSampler, RawBatch
from hubgan.data.streamed import StreamedImages
from hubgan.errors import HubganError
from hubgan.runtime.devices import copies_from_pinned_memory

_Outcome: TypeAlias = RawBatch | HubganError

# At exit Python waits for workers, even for those that ignore SIGTERM. So they are closed first.
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
    """Endless batches of shuffled and augmented images.

    They depend only on the arguments up to `world`: from a later position the batches are the same as in a run that
    began earlier. The batches of all `world` processes, in the order of their ranks, form one order of images, which
    does not depend on the number of processes or the batch size.

    Args:
        images: the data.
        batch_size: images in a batch, for each process.
        seed: of the order and the augmentation.
        position: images drawn before, by all processes together.
        rank: the number of this process.
        world: the number of processes.
        num_workers: processes that prepare batches ahead. A stream has at most one, and images that are kept on a
            device have none. By default 1 for a stream, 0 when all images are decoded, else up to 4.
        device: the device of the batches.

    Returns:
        An iterator of images, uint8 (batch_size, C, H, W), and labels, if the data were opened with them, on `device`.
        Closing or dropping it ends its workers.

    Raises:
        DataError: while iterating, if the data cannot be read or used.
    """
    device = torch.device(device)
    options: dict[str, Any] = {"num_workers": _workers(images, num_workers)}
    if options["num_workers"]:
        options |= {"worker_init_fn": _start_worker, "prefetch_factor": 4}
    if isinstance(images, DecodedImages):
        options["batch_sampler"] = EndlessSampler(len(images), batch_size, seed, position, rank, world)
        dataset: Dataset[_Outcome] = _Decoded(images, seed)
        pinned = images.device.type == "cpu"
    else:
        options["batch_size"] = None
        dataset = _Streamed(images, batch_size=batch_size, seed=seed, position=position, rank=rank, world=world)
        pinned = True
    loader = DataLoader(
        dataset,
        collate_fn=_identity,
        pin_memory=pinned and copies_from_pinned_memory(device),
        generator=torch.Generator(),  # or the loader would use the global generator, from which the noise is drawn
        **options,
    )
    iterator = _iterate(loader, device)
    _open.add(iterator)
    return iterator


def _iterate(loader: DataLoader[_Outcome], device: torch.device) -> Generator[RawBatch, None, None]:
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
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # processes on this machine, set by launchers
    return max(1, min(4, available_cpus() // processes))


def _start_worker(number: int) -> None:
    """Ignore signals, which reach all processes of a terminal or a job: the main process still needs its batches."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _identity(batch: Any) -> Any:
    return batch


class _Decoded(Dataset[_Outcome]):
    """Batches by keys. A HubganError is returned as a value: PyTorch changes the message of one raised in a worker."""

    def __init__(self, images: DecodedImages, seed: int) -> None:
        self.images, self.seed = images, seed

    def __getitems__(self, keys: list[int]) -> _Outcome:
        return _result_or_error(lambda: RawBatch(self.images.batch(keys, self.seed), self.images.labels(keys)))


class _Streamed(IterableDataset[_Outcome]):
    """Batches in order, with errors returned as values too."""

    def __init__(self, images: StreamedImages, **options: Any) -> None:
        self.images, self.options = images, options

    def __iter__(self) -> Iterator[_Outcome]:
        stream = self.images.batches(**self.options)
        while True:
            batch = _result_or_error(lambda: next(stream))
            yield batch
            if isinstance(batch, HubganError):
                return


def _result_or_error(function: Callable[[], RawBatch]) -> _Outcome:
    """What `function` returns, or the error that it raises."""
    try:
        return function()
    except HubganError as error:
        return error
