"""The tasks, one file each, by the names that recipes call them."""

from typing import Any

from hubgan.training.task import Task
from hubgan.training.tasks.cut import CUT
from hubgan.training.tasks.cyclegan import CycleGAN
from hubgan.training.tasks.generation import Generation
from hubgan.training.tasks.translation import Translation
from hubgan.training.tasks.upscaling import Upscaling

TASKS: dict[str, type[Task[Any]]] = {
    "cut": CUT,
    "cyclegan": CycleGAN,
    "generation": Generation,
    "translation": Translation,
    "upscaling": Upscaling,
}
"""Add a task's class here, and recipes, the command line, the plan, the trainer and the card know it."""
