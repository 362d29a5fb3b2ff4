"""Training: one loop for every task; a task is a small module."""

from hubgan.training.launch import plan, train
from hubgan.training.options import parse, purpose

__all__ = ["parse", "plan", "purpose", "train"]
