"""Processes forked from one that has imported hubgan: they start in no time, where a new one takes seconds."""

import atexit
import multiprocessing
import os
import runpy
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path

_LONGEST = 120.0
# The others are imported by every training.
_PRELOADED = ["hubgan.training", "torch._dynamo", "matplotlib.figure", "scipy.io"]


def fork(work: Callable[..., object], *arguments: object, log: Path, processes: int = 1) -> list[BaseProcess]:
    """Call a function of a module in processes of its own, with ranks and a port to meet at, as torchrun sets them.

    Each process leads a group, to which its own children belong.

    Args:
        work: the function.
        arguments: its arguments.
        log: takes what the processes print.
        processes: how many.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    environment = {"WORLD_SIZE": str(processes), "LOCAL_WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1",
                   "MASTER_PORT": str(free_port())}  # fmt: skip
    ranks = [{"RANK": str(rank), "LOCAL_RANK": str(rank), **environment} if processes > 1 else {}
             for rank in range(processes)]  # fmt: skip
    children = [context.Process(target=_begin, args=(work, arguments, log, rank)) for rank in ranks]
    for child in children:
        child.start()
    return list(children)


def _begin(work: Callable[..., object], arguments: Sequence[object], log: Path, environment: dict[str, str]) -> None:
    os.setpgid(0, 0)
    with log.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    os.environ |= {"ACCELERATE_USE_CPU": os.environ.get("ACCELERATE_USE_CPU", "true"), **environment}
    import torch

    torch.set_num_threads(1)
    try:
        work(*arguments)
    finally:
        atexit._run_exitfuncs()  # as any program does; a process of `multiprocessing` leaves them out


def finish(children: Sequence[BaseProcess], kill_after: float = float("inf"), first: int = 0) -> bool:
    """Wait until all have ended, or one has failed; then none is left. Whether all came to a good end.

    Args:
        children: the processes.
        kill_after: seconds, from which on they are killed with SIGKILL.
        first: the process that is killed first, the others a little later, as launchers do.
    """
    deadline = time.monotonic() + min(kill_after, _LONGEST)
    while any(child.is_alive() for child in children) and not any(child.exitcode for child in children):
        if (left := deadline - time.monotonic()) <= 0:
            break
        # A sentinel stays open as long as any process that the child has started, so it is not waited for alone.
        wait([child.sentinel for child in children if child.is_alive()], timeout=min(left, 0.5))
    for child in [*children[first:], *children[:first]]:
        if child.is_alive():
            _kill(child.pid)
            time.sleep(0.02)
    for child in children:
        child.join()
    return all(child.exitcode == 0 for child in children)


def _kill(process: int | None) -> None:
    assert process is not None
    try:
        os.killpg(process, signal.SIGKILL)
    except ProcessLookupError:  # killed before it had a group of its own
        os.kill(process, signal.SIGKILL)


def run_script(script: Path, *arguments: str, folder: Path, processes: int = 1) -> str:
    """Run a Python program in a folder, in forked processes, to a good end; what they printed."""
    log = folder / f"{script.stem}.log"
    assert finish(fork(as_main, script, arguments, folder, log=log, processes=processes)), log.read_text()[-3000:]
    return log.read_text()


def as_main(script: Path, arguments: Sequence[str], folder: Path) -> None:
    """Run a file in this process, as `python script` does."""
    os.chdir(folder)
    sys.argv = [str(script), *arguments]
    runpy.run_path(str(script), run_name="__main__")


def as_module(module: str, arguments: Sequence[str], folder: Path) -> None:
    """Run a module in this process, as `python -m module` does."""
    os.chdir(folder)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
