"""What most tests share: where things lie, and small comparisons."""

from pathlib import Path

import torch
from accelerate.state import AcceleratorState, GradientState, PartialState

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "src" / "hubgan" / "recipes" / "cifar10-sample"


def names(folder: Path) -> set[str]:
    """The files in a folder and below, as paths in it."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def equal(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    """Whether two networks hold the same tensors by the same names, bit for bit."""
    left, right = a.state_dict(), b.state_dict()
    return left.keys() == right.keys() and all(
        left[k].dtype == right[k].dtype and torch.equal(left[k], right[k]) for k in left
    )


def forget_accelerator() -> None:
    """Accelerate keeps its state in singletons."""
    for state in (AcceleratorState, GradientState, PartialState):
        state._reset_state()
