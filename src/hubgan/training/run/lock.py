"""One run at a time in a folder."""

import json
import os
import platform
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

from filelock import Timeout

from hubgan.errors import ConfigError
from hubgan.runtime.files import write_text
from hubgan.runtime.locks import locked
from hubgan.runtime.processes import decide

LOCK, HOLDER = ".running.lock", ".running.json"
_PATIENCE = 5.0  # seconds: so long the worker processes of a killed run may outlive it


@contextmanager
def only_run(folder: Path) -> Iterator[None]:
    """A block in which no other run uses the folder, called on every process: the main one holds the lock for all.

    A run that was killed holds no lock, see `hubgan.runtime.locks`. A run that has written nothing leaves no folder.

    Raises:
        ConfigError: another run uses it, or it cannot be written.
    """
    with ExitStack() as stack:
        decide(lambda: _take(folder, stack))
        yield


def _take(folder: Path, stack: ExitStack) -> None:
    try:
        stack.enter_context(locked(folder / LOCK, _PATIENCE))
        holder = {
            "process": os.getpid(),
            "host": platform.node(),
            "started": datetime.now().astimezone().isoformat(" ", "seconds"),
        }
        write_text(folder / HOLDER, json.dumps(holder) + "\n")
        stack.callback((folder / HOLDER).unlink, missing_ok=True)
    except Timeout as error:
        raise _refusal(folder) from error
    except OSError as error:
        raise ConfigError(
            f"the run's folder {folder} cannot be written ({error.strerror})",
            "Choose another folder with --output_dir",
        ) from error


def _refusal(folder: Path) -> ConfigError:
    """What to say while another process holds the lock."""
    try:
        holder = json.loads((folder / HOLDER).read_text(encoding="utf-8"))
        process, host, started = (holder[name] for name in ("process", "host", "started"))
    except (OSError, ValueError, TypeError, KeyError):  # it is starting this very moment
        return ConfigError(f"another process is training in {folder}", "Choose another folder with --output_dir")
    here = host == platform.node()
    stop = f"Stop it with `kill {process}`{'' if here else f' on {host}'}, which saves a checkpoint"
    gone = "" if here else f". If {host} is switched off, delete {folder / LOCK}"
    return ConfigError(
        f"process {process} on {host} has been training in {folder} since {started}",
        f"{stop}, or choose another folder with --output_dir{gone}",
    )
