"""Training: one loop for every task; a task is a small module."""

from hubgan.training.launch import plan, train
from hubgan.training.options import parse

__all__ = ["parse", "plan", "train"]
