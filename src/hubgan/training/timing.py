"""How long a run will take on this machine, by a few timed steps on images of noise."""

import copy
import logging
import time
from typing import Any

import psutil
import torch
from accelerate import Accelerator

from hubgan.data import RawBatch
from hubgan.runtime.processes import largest
from hubgan.training.config import TrainingConfig
from hubgan.training.step import Step
from hubgan.training.task import Part, Task

logger = logging.getLogger(__name__)

_STEPS, _SECONDS = 4, 5.0
_FASTER = 1.5


def seconds_a_step(task: Task[Any], config: TrainingConfig, accelerator: Accelerator) -> list[float]:
    """The seconds of a step in each of `task.active_parts`, without those spent waiting for data.

    Every process calls it. The first step of a part is not counted, unless it is slow. On several threads of a CPU a
    warning tells if one would be much faster.

    Args:
        task: its networks are copied; they are left unchanged.
        config: the run's options.
        accelerator: the run's. Nothing may be trained with it afterwards.
    """
    task = copy.deepcopy(task)
    step = Step(task, config, accelerator)
    images = torch.randint(256, (config.batch_size, *task.transform.shape), dtype=torch.uint8)
    labels = torch.zeros(len(images), dtype=torch.int64) if task.labelled else None
    raw = RawBatch(images.to(accelerator.device), None if labels is None else labels.to(accelerator.device))
    seconds = [_timed(step, part, raw, accelerator) for part in task.active_parts]
    if _uses_threads(accelerator):
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            alone = [_timed(step, part, raw, accelerator) for part in task.active_parts]
        finally:
            torch.set_num_threads(threads)
        if hint := thread_hint(sum(seconds) / sum(alone), threads):
            logger.warning("%s", hint)
    return seconds


def thread_hint(ratio: float, threads: int) -> str:
    """What to do if one thread is this many times as fast as several; "" for nothing."""
    if ratio < _FASTER:
        return ""
    return (
        f"one thread is {ratio:{'.0f' if ratio >= 10 else '.1f'}} times as fast as {threads}, as other work slows this"
        " machine down. Train with OMP_NUM_THREADS=1 hubgan train ..."
    )


def tell_of_other_work(accelerator: Accelerator) -> None:
    """Say at the beginning of a run if its threads will wait for other work on this machine's cores."""
    load, cores = psutil.getloadavg()[0], psutil.cpu_count() or 1
    if _uses_threads(accelerator) and load >= cores:
        logger.info(
            "Other work slows this machine down (load %.1f, %d cores). OMP_NUM_THREADS=1 hubgan train ... may be"
            " faster",
            load,
            cores,
        )


def _uses_threads(accelerator: Accelerator) -> bool:
    """Whether one process computes on several threads of the CPU, which wait for each other."""
    return accelerator.device.type == "cpu" and accelerator.num_processes == 1 and torch.get_num_threads() > 1


def _timed(step: Step, part: Part, raw: RawBatch, accelerator: Accelerator) -> float:
    """The seconds of a step in a part of the run."""
    step.set_progress(part.start)
    updates: dict[str, int] = {}
    times: list[float] = []
    while len(times) <= _STEPS and sum(times) < _SECONDS:
        begun = time.monotonic()
        figures = step.updates(part, lambda: step.batch(raw, 0), updates)
        step.finish(len(raw.images), len(raw.images))
        torch.stack([value.float() for value in figures.values()]).tolist()  # waits for the device
        times += largest((time.monotonic() - begun,), accelerator)
    counted = times[1:] or times
    return sum(counted) / len(counted)
