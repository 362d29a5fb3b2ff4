"""What visitors wait for: they see how far it is, can stop it, and nothing takes for ever."""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event

import gradio as gr

from hubgan.demo import models, words
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
            raise StoppedError(words.STOPPED)
        if time.monotonic() - start > 60 * MOST_MINUTES:
            raise StoppedError(words.TOO_LONG.format(minutes=MOST_MINUTES))
        progress(share, desc=words.ENLARGING)

    try:
        yield tell
    finally:
        if _running.get(key) is stopped:
            del _running[key]


def stop_work(session: str | None, work: str) -> None:
    """End that work of this visitor, if there is any."""
    if running := _running.get((session or "", work)):
        running.set()


def buttons(*, busy: bool) -> tuple[gr.Button, gr.Button]:
    """Of work that can be stopped: start and stop."""
    return gr.Button(visible=not busy), gr.Button(visible=busy and models.TELLS)
