"""Several processes, one piece of work, one decision: what one of them finds out, or fails at, all of them learn."""

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

if TYPE_CHECKING:
    from accelerate import Accelerator

T = TypeVar("T")


def join_processes(*, cpu: bool) -> PartialState:
    """This process among those that `accelerate launch` or `torchrun` has started; calling it again changes nothing.

    Args:
        cpu: they compute on the CPU, though there may be a GPU.
    """
    cpu = cpu or not torch.accelerator.is_available()  # said so, Accelerate finds processes without GPUs too
    # One may have much more left to do than another, which waits for it.
    return PartialState(cpu=cpu, timeout=timedelta(days=7))


def share_out(work: Callable[[range], tuple[Tensor, ...]], items: range, multiple: int) -> tuple[Tensor, ...]:
    """What `work` makes of `items`, each process doing a part of them: on all processes the same as on one.

    Args:
        work: makes tensors on the CPU, with a row for an item or none, of a part of the items.
        items: their numbers.
        multiple: a part has so many items, or a multiple of it, wherever the result depends on how they are grouped.

    Raises:
        HubganError: on every process, when one of them met an error.
    """
    if not _joined():
        return work(items)
    state = PartialState()
    each = -(-len(items) // (state.num_processes * multiple)) * multiple
    outcomes = gather(lambda: work(items[state.process_index * each : (state.process_index + 1) * each]))
    return tuple(torch.cat(parts) for parts in zip(*outcomes, strict=True))


def gather(work: Callable[[], T]) -> list[T]:
    """What `work` returns on each process, in their order, on all of them.

    Raises:
        HubganError: on every process, when one of them met an error.
    """
    if not _joined():
        return [work()]
    outcome: Any
    try:
        outcome = work()
    except Exception as error:  # the others would wait for ever
        outcome = _translated(error)
    outcomes = gather_object([outcome])
    for each in outcomes:
        if isinstance(each, Exception):
            raise each
    return outcomes


def decide(decision: Callable[[], T]) -> T:
    """Call `decision` on the main process alone; every process returns what it returned.

    Where no processes have been joined it is simply called.

    Raises:
        HubganError: `decision` raised it, or another error that is told in its words; every process raises it, so that
            none waits for one that has ended.
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
    return outcome[0]


@contextmanager
def together(
    failure: type[HubganError],
    what: str,
    remedy: str | Remedy = "",
    kinds: tuple[type[Exception], ...] = (OSError, RuntimeError, ValueError, SafetensorError),
) -> Iterator[None]:
    """A part that every process has a share in: all leave it when all have done theirs.

    Args:
        failure: what is raised, with the message `what: reason`.
        what: what could not be done.
        remedy: what to do about it; it follows the remedy of the error that was met, if that has one.
        kinds: the errors that count; others are defects, and pass through.

    Raises:
        HubganError: `failure`, in every process, when one of them met such an error.
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
    """Each number's largest value among the processes, so that all of them decide alike."""
    if accelerator.num_processes == 1:
        return values
    # MPS has no doubles, but no several processes either.
    shared = torch.tensor(values, dtype=torch.float64, device=accelerator.device)
    torch.distributed.all_reduce(shared, torch.distributed.ReduceOp.MAX)
    return tuple(shared.tolist())


def is_main() -> bool:
    """Whether this is the main process, or the only one."""
    return not _joined() or PartialState().is_main_process


def _joined() -> bool:
    """Whether there are other processes, which this one has joined."""
    return bool(PartialState._shared_state) and PartialState().num_processes > 1


def _translated(error: Exception) -> HubganError:
    """An error that another process can raise, too."""
    if isinstance(error, HubganError):
        return error
    return HubganError(f"{type(error).__name__}: {' '.join(str(error).split())[:400]}")
