"""What commands say while they run: the messages of the package's log, on stderr."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from hubgan.cli.arguments import is_first_process, say


class _Messages(logging.Handler):
    """Messages above a progress bar; those of level INFO are shown without their level."""

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        say(text if record.levelno == logging.INFO else f"{record.levelname.lower()}: {text}")


@contextmanager
def messages_shown() -> Iterator[None]:
    """A block whose messages are shown on stderr. If there are several processes, only the first shows INFO."""
    logger, messages = logging.getLogger("hubgan"), _Messages()
    before = logger.level
    logger.addHandler(messages)
    logger.setLevel(logging.INFO if is_first_process() else logging.WARNING)
    try:
        yield
    finally:
        logger.removeHandler(messages)
        logger.setLevel(before)
