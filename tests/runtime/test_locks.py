"""Locks: one process at a time, and none is left over."""

import multiprocessing
import os
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from filelock import Timeout

from hubgan.runtime.locks import locked


def hold(file: Path, pipe: Connection) -> None:
    with locked(file):
        pipe.send("held")
        pipe.recv()


@pytest.mark.skipif(os.name == "nt", reason="fork, SIGKILL")
def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    for killed in (True, False):
        ours, theirs = context.Pipe()
        child = context.Process(target=hold, args=(tmp_path / "lock", theirs))
        child.start()
        assert ours.recv() == "held"
        with pytest.raises(Timeout), locked(tmp_path / "lock", 0):
            pass
        if killed:
            os.kill(child.pid or 0, signal.SIGKILL)
        else:
            ours.send("leave")
        with locked(tmp_path / "lock", 5):
            assert (tmp_path / "lock").exists()
        child.join()
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="fork")
def test_a_lock_is_not_left_to_a_child(tmp_path: Path) -> None:
    """A worker process may outlive the process that held the lock when it was forked."""
    context = multiprocessing.get_context("fork")
    with locked(tmp_path / "lock"):
        child = context.Process(target=time.sleep, args=(60,))
        child.start()
    with locked(tmp_path / "lock", 0):
        pass
    child.kill()
    child.join()
