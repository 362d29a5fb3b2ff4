"""Checkpoints: written beside and renamed, so that one is either whole or not there."""

import logging
import shutil
from pathlib import Path

from accelerate import Accelerator

from hubgan.errors import ConfigError, ModelError

logger = logging.getLogger(__name__)

_KEPT = 2


def save_checkpoint(accelerator: Accelerator, folder: Path, step: int) -> Path:
    """Save everything the accelerator prepared or was told of as `folder/step-00001234`; keep the last two."""
    final, beside = folder / f"step-{step:08d}", folder / f".saving-{step:08d}"
    if accelerator.is_main_process:
        for unfinished in folder.glob(".saving-*"):  # what a kill has left
            shutil.rmtree(unfinished, ignore_errors=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(beside))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        shutil.rmtree(final, ignore_errors=True)
        beside.rename(final)
        for old in _checkpoints(folder)[:-_KEPT]:
            shutil.rmtree(old)
    accelerator.wait_for_everyone()
    return final


def find_checkpoint(resume: str, folder: Path) -> Path | None:
    """The checkpoint that `--resume` means; None when it says "auto" and there is none yet.

    Raises:
        ConfigError: the folder named is no checkpoint.
    """
    if resume == "auto":
        return next(iter(reversed(_checkpoints(folder))), None)
    if not (Path(resume) / "random_states_0.pkl").exists():
        raise ConfigError(
            f"--resume: {resume} is not a checkpoint; one is a folder like RUN/checkpoints/step-00001000"
        )
    return Path(resume)


def load_checkpoint(accelerator: Accelerator, checkpoint: Path) -> None:
    """Restore a checkpoint into what the accelerator prepared.

    Raises:
        ModelError: it is damaged, or belongs to other networks.
    """
    try:
        accelerator.load_state(str(checkpoint))
    except Exception as error:  # torch, safetensors and pickle each have their own kinds
        reason = " ".join(str(error).split())[:400]
        raise ModelError(
            f"cannot go on from {checkpoint}: {reason}. It is damaged, or was made with other options; pass the"
            " options of its run, or an earlier checkpoint with --resume"
        ) from error


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("step-*") if path.is_dir())
