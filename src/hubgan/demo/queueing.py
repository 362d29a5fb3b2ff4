"""Long work in the queue: visitors see its progress and can stop it, and none takes longer than the limit."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any, Protocol

import gradio as gr

from hubgan.demo import models, strings
from hubgan.demo.events import MODEL_QUEUE, PRIVATE, SILENT, Updates
from hubgan.errors import HubganError

ENLARGED = 0.9
"""The share of the work that is done when the result only has to be written."""

# By session and kind of work. When one is set, its work stops after the current tile.
_stop_events: dict[tuple[str, str], Event] = {}


class StoppedError(HubganError):
    """The visitor stopped the work, or it took too long."""


class Report(Protocol):
    """A function to call with the share of the work that is done, and what is being done now.

    Raises StoppedError if the visitor has stopped the work, or it takes too long.
    """

    def __call__(self, share: float, doing: str = ...) -> None: ...


@contextmanager
def stoppable(session: str | None, work: str, progress: gr.Progress, minutes: float) -> Iterator[Report]:
    """A context for work that `add_stoppable_event` started.

    Args:
        session: the visitor's, from the request; None if a program calls.
        work: the kind of work.
        progress: Gradio's display.
        minutes: how long the work may take.
    """
    stop, start = Event(), time.monotonic()
    key = session or secrets.token_hex(8), work
    _stop_events[key] = stop

    def report(share: float, doing: str = strings.ENLARGING) -> None:
        if stop.is_set():
            raise StoppedError(strings.STOPPED)
        if time.monotonic() - start > 60 * minutes:
            raise StoppedError(*strings.fill(strings.TOO_LONG, minutes=minutes))
        progress(share, desc=doing)

    try:
        yield report
    finally:
        if _stop_events.get(key) is stop:
            del _stop_events[key]


def add_stoppable_event(
    start: gr.Button, stop: gr.Button, work: str, stopped: Updates, *triggers: Any, api_name: str, **event: Any
) -> list[gr.events.Dependency]:
    """Let `start` begin work in the model's queue, and `stop`, which is visible meanwhile, end it.

    Args:
        work: the kind of work, by which `stoppable` knows it.
        stopped: updates of components when it is stopped.
        triggers: what begins the work besides a click on `start`, such as `earlier_event.success`.
        api_name: the name of the endpoint.
        event: options of a Gradio event, among them `fn`, `inputs` and `outputs`.

    Returns:
        The event for each trigger, that of the click first.
    """

    def show_buttons(*, busy: bool) -> Updates:
        return {start: gr.Button(visible=not busy), stop: gr.Button(visible=busy and models.SUPPORTS_PROGRESS)}

    def stop_work(request: gr.Request) -> Updates:
        if running := _stop_events.get((request.session_hash or "", work)):
            running.set()
        return {**show_buttons(busy=False), **stopped}

    events = list[gr.events.Dependency]()
    for trigger in (start.click, *triggers):
        endpoint: dict[str, Any] = PRIVATE if events else {"api_name": api_name}
        begun = trigger(lambda: show_buttons(busy=True), None, [start, stop], **SILENT)
        events.append(begun.then(**event, **endpoint, **MODEL_QUEUE, preprocess=False))
        for ended in (events[-1].success, events[-1].failure):  # "then" is not called after an error
            ended(lambda: show_buttons(busy=False), None, [start, stop], **SILENT)
    # Gradio cancels what waits in the queue; what runs already stops by its event.
    stop.click(stop_work, None, [start, stop, *stopped], cancels=list[Any](events), **SILENT)
    return events
