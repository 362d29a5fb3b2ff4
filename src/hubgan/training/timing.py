"""How long a run will take on this machine, by a few timed steps on images of noise."""

import copy
import time
from typing import Any

import torch
from accelerate import Accelerator

from hubgan.data import RawBatch
from hubgan.runtime.processes import largest
from hubgan.training.config import TrainingConfig
from hubgan.training.step import Step
from hubgan.training.task import Task

_STEPS, _SECONDS = 4, 5.0


def seconds_a_step(task: Task[Any], config: TrainingConfig, accelerator: Accelerator) -> list[float]:
    """The seconds of a step in each of `task.active_parts`, without those spent waiting for data.

    Every process calls it. The first step of a part is not counted, unless it is slow.

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
    seconds = []
    for part in task.active_parts:
        step.set_progress(part.start)
        updates: dict[str, int] = {}
        times: list[float] = []
        while len(times) <= _STEPS and sum(times) < _SECONDS:
            begun = time.monotonic()
            figures = step.updates(part, lambda: step.batch(raw, 0), updates)
            step.finish(len(images), len(images))
            torch.stack([value.float() for value in figures.values()]).tolist()  # waits for the device
            times += largest((time.monotonic() - begun,), accelerator)
        counted = times[1:] or times
        seconds.append(sum(counted) / len(counted))
    return seconds
