"""What visitors wait for: they see how far it is, can stop it, and nothing takes for ever."""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any

import gradio as gr

from hubgan.demo import models, strings
from hubgan.errors import HubganError

MOST_MINUTES = 5.0

# By session and kind of work: set, the work ends at its next tile.
_running: dict[tuple[str, str], Event] = {}


class StoppedError(HubganError):
    """The work ended before it was done."""


@contextmanager
def watched(session: str | None, work: str, progress: gr.Progress) -> Iterator[Callable[[float], None]]:
    """What is to be called with the share of the work that is done: it tells the visitor, and ends it on request.

    Raises StoppedError inside when the visitor stops the work, or it takes more than `MOST_MINUTES`.
    """
    stopped, start = Event(), time.monotonic()
    key = session or secrets.token_hex(8), work
    _running[key] = stopped

    def tell(share: float) -> None:
        if stopped.is_set():
            raise StoppedError(strings.STOPPED)
        if time.monotonic() - start > 60 * MOST_MINUTES:
            raise StoppedError(strings.TOO_LONG.format(minutes=MOST_MINUTES))
        progress(share, desc=strings.ENLARGING)

    try:
        yield tell
    finally:
        if _running.get(key) is stopped:
            del _running[key]


def stoppable(
    start: gr.Button, stop: gr.Button, work: str, stopped: dict[gr.components.Component, Any], **call: Any
) -> gr.events.Dependency:
    """Work in the model's queue that `start` begins and `stop`, which is there meanwhile, ends.

    Args:
        work: its kind, by which `watched` knows it.
        stopped: what components are to show when it was stopped.
        call: what Gradio's events take, first of all `fn`, `inputs` and `outputs`.

    Returns:
        The event that does it.
    """
    silent: Any = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}

    def buttons(*, busy: bool) -> tuple[gr.Button, gr.Button]:
        return gr.Button(visible=not busy), gr.Button(visible=busy and models.SUPPORTS_PROGRESS)

    def end(request: gr.Request) -> tuple[Any, ...]:
        if running := _running.get((request.session_hash or "", work)):
            running.set()
        return *buttons(busy=False), *stopped.values()

    done = start.click(lambda: buttons(busy=True), None, [start, stop], **silent).then(
        **call, concurrency_id="model", concurrency_limit=1, preprocess=False
    )
    for ended in (done.success, done.failure):  # "then" is not called after an error
        ended(lambda: buttons(busy=False), None, [start, stop], **silent)
    # What still waits in the queue is cancelled; what runs already is told to end.
    stop.click(end, None, [start, stop, *stopped], cancels=done, **silent)
    return done
