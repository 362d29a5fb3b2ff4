"""Training as users start it, for the tests: `accelerate launch train.py` in processes of its own."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from helpers.common import ROOT, SAMPLE, forget_accelerator
from hubgan.training import parse, train
from hubgan.training.trainer import Trainer
from kill import train_forked

TINY = ["--config", "quickstart", "--generator.width", "8", "--discriminator.width", "8", "--batch_size", "16",
        "--max_minutes", "None", "--log_every", "4", "--eval_samples", "0"]  # fmt: skip
PHOTO = ["--config", "photo-x4", "--dataset", str(SAMPLE), "--upscaler.width", "8", "--upscaler.depth", "1",
         "--crop_size", "32", "--discriminator.width", "4", "--discriminator_steps", "1", "--batch_size", "8",
         "--log_every", "1", "--max_images", "None", "--eval_samples", "0"]  # fmt: skip

# Without random damage, whose numbers belong to the batches of a process, and without a strength.
CLEAN = ["--degradation", "none", "--upscaler.strength", "False"]


def command(processes: int, *options: str, machines: Sequence[str] = ()) -> list[str]:
    """`accelerate launch --cpu train.py` with these options, and those that tell the machines."""
    return ["accelerate", "launch", "--cpu", "--num_processes", str(processes), *(machines or ["--num_machines", "1"]),
            "--mixed_precision", "no", "--dynamo_backend", "no", str(ROOT / "train.py"), *options]  # fmt: skip


def train_here(*options: str) -> Path:
    """Train in this process, which can train again."""
    try:
        return train(parse(options))
    finally:
        forget_accelerator()


def train_in_two(run: Path, *options: str, before: Callable[[], object] = int) -> None:
    """Train in two processes."""
    log = run.with_suffix(".log")
    assert train_forked([*options, "--output_dir", str(run)], log, 2, before=before), log.read_text()[-3000:]


def keep_averages() -> None:
    """Have each process write its average beside the checkpoint."""
    save = Trainer._save

    def save_more(self: Trainer) -> None:
        torch.save(self.step.models["generator"].state_dict(), self.folder.path / f"average-{os.environ['RANK']}.pt")
        save(self)

    Trainer._save = save_more  # type: ignore[method-assign]


def metrics(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def state(checkpoint: Path, number: int) -> dict[str, Any]:
    """What the n-th object that keeps a state has put into a checkpoint."""
    return torch.load(checkpoint / f"custom_checkpoint_{number}.pkl", weights_only=False)
