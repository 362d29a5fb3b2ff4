"""Work and decisions shared by several processes. If one of them fails, all of them raise its error."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from accelerate.state import PartialState
from accelerate.utils import broadcast_object_list, gather_object
from safetensors import SafetensorError
from torch import Tensor

from hubgan.errors import HubganError, Remedy
from hubgan.runtime.devices import gpu_or_cpu

if TYPE_CHECKING:
    from accelerate import Accelerator

T = TypeVar("T")


def join_processes(*, cpu: bool) -> PartialState:
    """Join the processes that `accelerate launch` or `torchrun` has started. A second call changes nothing.

    Args:
        cpu: compute on the CPU, even if there is a GPU.
    """
    cpu = cpu or gpu_or_cpu() == "cpu"  # or Accelerate finds no processes on a machine without GPU
    # One process may have much more work left than another, which waits for it.
    return PartialState(cpu=cpu, timeout=timedelta(days=7))


def share_out(work: Callable[[range], tuple[Tensor, ...]], items: range, multiple: int) -> tuple[Tensor, ...]:
    """The result of `work` for all `items`, of which each process does a part. All processes get the whole result.

    Args:
        work: maps some items to tensors on the CPU, with a row for each item or none.
        items: the numbers of the items.
        multiple: each part is a multiple of this number of items, for results that depend on how items are grouped.

    Raises:
        HubganError: on every process, if one of them met an error.
    """
    if not _joined():
        return work(items)
    state = PartialState()
    each = -(-len(items) // (state.num_processes * multiple)) * multiple
    outcomes = gather(lambda: work(items[state.process_index * each : (state.process_index + 1) * each]))
    return tuple(torch.cat(parts) for parts in zip(*outcomes, strict=True))


def gather(work: Callable[[], T]) -> list[T]:
    """The results of `work` from all processes, in the order of their ranks, on every process.

    Raises:
        HubganError: on every process, if one of them met an error.
    """
    if not _joined():
        return [work()]
    outcome: Any
    try:
        outcome = work()
    except Exception as error:  # the others would wait without end
        outcome = _translated(error)
    outcomes: list[Any] = gather_object([outcome])
    for each in outcomes:
        if isinstance(each, Exception):
            raise each
    return outcomes


def decide(decision: Callable[[], T]) -> T:
    """Call `decision` on the main process only; every process returns its result.

    If no processes have been joined, `decision` is simply called.

    Raises:
        HubganError: on every process, if `decision` raised an error, so that none waits for one that has ended.
    """
    if not _joined():
        return decision()
    outcome: list[Any] = [None, None]
    cause = None
    if PartialState().is_main_process:
        try:
            outcome[0] = decision()
        except Exception as error:
            outcome[1], cause = _translated(error), error
    broadcast_object_list(outcome)
    if outcome[1] is not None:
        raise outcome[1] from cause
    decided: T = outcome[0]
    return decided


@contextmanager
def together(
    failure: type[HubganError],
    what: str,
    remedy: str | Remedy = "",
    kinds: tuple[type[Exception], ...] = (OSError, RuntimeError, ValueError, SafetensorError),
) -> Iterator[None]:
    """A block that every process runs: no process leaves it before all of them have finished it.

    Args:
        failure: what is raised, with the message `what: reason`.
        what: what could not be done.
        remedy: what to do about it; it follows the remedy of the error that was met, if that has one.
        kinds: the errors to translate; all others are defects, and are raised unchanged.

    Raises:
        HubganError: `failure`, on every process, if one of them met such an error.
    """
    met: list[tuple[str, str | Remedy]] = []
    cause = None
    try:
        yield
    except kinds as error:
        cause = error
        if isinstance(error, HubganError):
            met.append((error.message, error.remedy))
        else:
            met.append((" ".join(str(error).split())[:400] or type(error).__name__, ""))
    if met := gather_object(met):
        raise failure(*met[0]).with_context(f"{what}: ", remedy) from cause


def largest(values: tuple[float, ...], accelerator: "Accelerator") -> tuple[float, ...]:
    """The largest value of each number among the processes, so that all of them decide alike."""
    if accelerator.num_processes == 1:
        return values
    # MPS has no float64, but it never runs several processes.
    shared = torch.tensor(values, dtype=torch.float64, device=accelerator.device)
    torch.distributed.all_reduce(shared, torch.distributed.ReduceOp.MAX)
    return tuple(shared.tolist())


def is_main() -> bool:
    """Whether this is the main process, or the only one."""
    return not _joined() or PartialState().is_main_process


def _joined() -> bool:
    """Whether this process has joined others."""
    return bool(PartialState._shared_state) and PartialState().num_processes > 1


def _translated(error: Exception) -> HubganError:
    """The error as one that other processes can raise too."""
    if isinstance(error, HubganError):
        return error
    return HubganError(f"{type(error).__name__}: {' '.join(str(error).split())[:400]}")
