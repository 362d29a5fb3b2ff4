"""Training: one loop for every task; a task is a small module."""

from hubgan.training.options import parse
from hubgan.training.trainer import plan, train

__all__ = ["parse", "plan", "train"]
