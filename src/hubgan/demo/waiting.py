"""What visitors wait for: they see how far it is, can stop it, and nothing takes for ever."""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event

import gradio as gr

from hubgan.demo import words
from hubgan.errors import HubganError

MOST_MINUTES = 5.0

# By their sessions: set, the work ends at its next tile.
_running: dict[str, Event] = {}


class StoppedError(HubganError):
    """The work ended before it was done."""


@contextmanager
def watched(session: str | None, progress: gr.Progress) -> Iterator[Callable[[float], None]]:
    """What is to be called with the share that is done: it tells the visitor, and ends the work on request.

    Raises StoppedError inside when the visitor stops the work, or it takes more than `MOST_MINUTES`.
    """
    stopped, start = Event(), time.monotonic()
    key = session or secrets.token_hex(8)
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


def stop_session(session: str | None) -> None:
    """End what that visitor waits for, if anything."""
    if running := _running.get(session or ""):
        running.set()
