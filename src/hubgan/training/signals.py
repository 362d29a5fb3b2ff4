"""SIGTERM and SIGINT: the trainer ends its step and saves before it stops."""

import os
import signal
import threading
from types import FrameType, TracebackType

import psutil


class StopSignal:
    """While it is entered, the first SIGTERM or SIGINT only sets `signal`; a second SIGINT interrupts at once.

    `accelerate launch` with one process does not hand on the SIGTERM that ends it, so the end of that launcher counts
    as one too.

    Attributes:
        signal: the number of the signal that came, 0 while none has.
        count: how many have come.
    """

    def __init__(self) -> None:
        self._signal = self._count = 0
        self._before: dict[int, object] = {}
        self._launcher = os.getppid() if _is_launcher(os.getppid()) else None

    @property
    def signal(self) -> int:
        if not self._signal and self._is_left_alone():
            self._signal = signal.SIGTERM
        return self._signal

    @property
    def count(self) -> int:
        return self._count + self._is_left_alone()

    def __enter__(self) -> "StopSignal":
        if threading.current_thread() is threading.main_thread():  # elsewhere Python takes no handlers
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._stop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _is_left_alone(self) -> bool:
        return self._launcher not in (None, os.getppid())

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._count += 1
        if number == signal.SIGINT and self._signal == signal.SIGINT:
            raise KeyboardInterrupt
        # Another signal may follow, from a launcher that ends its processes: the first one counts.
        self._signal = self._signal or number


def _is_launcher(process: int) -> bool:
    try:
        words = psutil.Process(process).cmdline()
    except psutil.Error:
        return False
    return any(os.path.basename(word).startswith("accelerate") for word in words[:3])  # noqa: PTH119


def leave(number: int) -> None:
    """End the process as one that a signal ended.

    Raises:
        KeyboardInterrupt: for SIGINT.
        SystemExit: with status 128 + number for another.
    """
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)
