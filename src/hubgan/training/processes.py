"""Several processes, one decision: what one of them finds out, or fails at, all of them learn."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from accelerate.state import PartialState, is_initialized
from accelerate.utils import broadcast_object_list, gather_object
from safetensors import SafetensorError

from hubgan.errors import HubganError

T = TypeVar("T")


def decide(decision: Callable[[], T]) -> T:
    """Call `decision` on the main process alone; every process returns what it returned.

    Without an accelerator in this process it is simply called.

    Raises:
        HubganError: `decision` raised it; every process raises it, so that none waits for one that has ended.
    """
    if not is_initialized():
        return decision()
    outcome: list[Any] = [None, None]
    if PartialState().is_main_process:
        try:
            outcome[0] = decision()
        except HubganError as error:
            outcome[1] = error
    broadcast_object_list(outcome)
    if outcome[1] is not None:
        raise outcome[1]
    return outcome[0]


@contextmanager
def together(
    failure: type[HubganError],
    what: str,
    remedy: str = "",
    kinds: tuple[type[Exception], ...] = (OSError, RuntimeError, ValueError, SafetensorError),
) -> Iterator[None]:
    """A part that every process has a share in: all leave it when all have done theirs.

    Args:
        failure: what is raised, with the message `what: reason. remedy`.
        what: what could not be done.
        remedy: what to do about it.
        kinds: the errors that count; others are defects, and pass through.

    Raises:
        HubganError: `failure`, in every process, when one of them met such an error.
    """
    reasons: list[str] = []
    cause = None
    try:
        yield
    except kinds as error:
        cause = error
        reasons.append(" ".join(str(error).split())[:400] or type(error).__name__)
    if reasons := gather_object(reasons):
        raise failure(f"{what}: {reasons[0]}" + (f". {remedy}" if remedy else "")) from cause
