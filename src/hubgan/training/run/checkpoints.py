"""Checkpoints: written under another name, given checksums and renamed, so that each is whole or is not one.

In a run's `checkpoints/` a `step-00001234` is a checkpoint. Its `checksums.json`, written last, names every file with
its size and SHA-256. Other names count for nothing: `.saving-...` is being written, `.replaced-...` made room for a
newer one of the same step, `discarded-...` belongs to a future that the run has left; the next save removes them.
"""

import json
import logging
import re
import shutil
from pathlib import Path, PurePath
from pickle import UnpicklingError
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn

from hubgan.errors import ConfigError, ModelError, TrainingError
from hubgan.runtime.counting import counted
from hubgan.runtime.files import sha256, sync
from hubgan.runtime.names import at_home
from hubgan.runtime.processes import decide, together

logger = logging.getLogger(__name__)
_CUSTOM = "custom_checkpoint_*.pkl"  # what Accelerate calls the states that were registered for checkpoints

CHECKSUMS = "checksums.json"
_NAME = re.compile(r"step-(\d+)")
_UNFINISHED = (".saving-", ".replaced-")
_DISCARDED = "discarded-"


def save_checkpoint(accelerator: Accelerator, folder: Path, step: int, keep: int) -> Path:
    """Save everything that the accelerator has prepared or registered as `folder/step-00001234`, on every process.

    Args:
        accelerator: what was prepared with it is saved.
        folder: where the checkpoints lie; made when missing.
        step: the number in the name.
        keep: how many checkpoints are kept, the last ones; the older are removed once the new one is in place.

    Raises:
        TrainingError: it cannot be written, in every process; earlier checkpoints are as they were.
    """
    final, partial = folder / name_of(step), folder / f".saving-{step:08d}"
    failed = (
        TrainingError,
        f"cannot save the checkpoint {final}",
        "Earlier checkpoints are intact. Free some space, or make the folder writable, and continue with --resume",
    )
    hook = accelerator.register_save_state_pre_hook(_without_wrappers(accelerator))
    try:
        with together(*failed):
            if accelerator.is_main_process:
                _remove_unfinished(folder)
                partial.mkdir(parents=True)
        # It counts batches to accumulate, of which none is half done; their number may be another in the next session.
        accelerator.step = 0
        with together(*failed):
            accelerator.save_state(str(partial))
        with together(*failed):
            if accelerator.is_main_process:
                _seal(partial)
                _put_in_place(partial, final)
                _prune(folder, step, keep)
    except TrainingError:
        if accelerator.is_main_process:
            shutil.rmtree(partial, ignore_errors=True)  # what is left of it fills the disk
        raise
    finally:
        hook.remove()
    return final


def find_checkpoint(resume: str, folder: Path, before: Path | None = None) -> Path | None:
    """The checkpoint that `--resume` means; None when it says "auto" and there is none yet.

    Damaged ones are skipped with a warning. The main process decides for all.

    Args:
        resume: a checkpoint's folder, or "auto" for the newest good one in `folder`; "hub" too, as it was fetched.
        folder: where the run's checkpoints lie.
        before: with "auto", look at checkpoints of earlier steps than this one only.

    Raises:
        ConfigError: the folder named is no checkpoint, or is damaged.
        TrainingError: there are checkpoints, but all are damaged.
    """

    def decision() -> Path | None:
        if resume in ("auto", "hub"):
            return _newest(folder, before)
        checkpoint = Path(at_home(resume))
        if runs := _checkpoints(checkpoint / "checkpoints"):
            raise ConfigError(f"--resume: {resume} is a run, not a checkpoint", f"Did you mean {runs[-1]}?")
        if reason := problem(checkpoint):
            raise ConfigError(
                f"--resume: {resume} is not a checkpoint: {reason}", "Pass a folder like RUN/checkpoints/step-00001000"
            )
        return checkpoint

    return decide(decision)


def discard_after(folder: Path, checkpoint: Path | None) -> None:
    """Make what lies beyond `checkpoint` count no longer: damaged checkpoints, and those of a future left behind.

    They are renamed to `discarded-...`, and removed by the next save. When `checkpoint` lies in another folder, or the
    run resumes from none, all checkpoints in this one belong to another past and are removed. Call it on the main
    process.

    Raises:
        TrainingError: the folder cannot be changed.
    """
    try:
        for name in _UNFINISHED:
            for unfinished in folder.glob(f"{name}*"):
                _discard(unfinished)
        others = _checkpoints(folder)
        last = max((step_of(other) for other in others if checkpoint and other.samefile(checkpoint)), default=-1)
        beyond = [other for other in others if step_of(other) > last]
        for other in beyond:
            _discard(other)
        if beyond:
            logger.info("Ignored, and removed by the next save: %s", ", ".join(other.name for other in beyond))
    except OSError as error:
        raise TrainingError(f"cannot resume in {folder}: {error}") from error


def load_checkpoint(accelerator: Accelerator, checkpoint: Path) -> None:
    """Restore a checkpoint into what the accelerator prepared, on every process.

    The number of processes may be another than when it was saved; those without a random state of their own keep
    the one they have.

    Raises:
        ModelError: it is damaged, or belongs to other networks.
    """
    remedy = (
        "It belongs to other networks or options. Pass those of its run, or start a new run with another --output_dir"
    )
    hook = accelerator.register_load_state_pre_hook(_without_wrappers(accelerator))
    try:
        # torch, safetensors and pickle each have their own kinds of errors.
        with together(ModelError, f"cannot resume from {checkpoint}", remedy, (Exception,)):
            for file in sorted(checkpoint.glob(_CUSTOM)):
                _check_pickle(file)
            accelerator.load_state(str(checkpoint))
    finally:
        hook.remove()
    saved = len(list(checkpoint.glob("random_states_*.pkl")))
    if saved != accelerator.num_processes and accelerator.is_main_process:
        logger.info(
            "%s was saved by %s, and %d resume from it",
            checkpoint,
            counted(saved, "process"),
            accelerator.num_processes,
        )


def _check_pickle(file: Path) -> None:
    """Read a state with nothing but tensors and numbers, as it must be: Accelerate then reads it without that limit.

    Raises:
        ModelError: it holds something else, such as code that would run.
    """
    try:
        torch.load(file, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise ModelError(
            f"{file.name} is not one that hubgan saved: it holds more than tensors and numbers",
            "Resume only from checkpoints that you trust",
        ) from error


def problem(checkpoint: Path) -> str | None:
    """What is wrong with a checkpoint, in words that name the file; None if its checksums hold."""
    if not checkpoint.is_dir():
        return "the folder does not exist"
    try:
        sums = json.loads((checkpoint / CHECKSUMS).read_text(encoding="utf-8"))
        wanted = {name: (int(entry["size"]), str(entry["sha256"])) for name, entry in sums.items()}
    except FileNotFoundError:
        return f"{CHECKSUMS} is missing"
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        return f"{CHECKSUMS} cannot be read ({type(error).__name__})"
    if not wanted:
        return f"{CHECKSUMS} lists no files"
    try:
        for name, (size, _) in wanted.items():  # cheap, so first
            if not (checkpoint / name).is_file():
                return f"{name} is missing"
            if (found := (checkpoint / name).stat().st_size) != size:
                return f"{name} is {'incomplete' if found < size else 'altered'} ({found:,} of {size:,} bytes)"
        for name, (_, digest) in wanted.items():
            if sha256(checkpoint / name) != digest:
                return f"{name} is altered"
    except OSError as error:
        return f"it cannot be read: {error}"
    return None


def newest_step(folder: Path) -> int:
    """The step of the last good checkpoint in a folder; -1 if there is none."""
    _finish_interrupted(folder)
    good = (step_of(checkpoint) for checkpoint in reversed(_checkpoints(folder)) if not problem(checkpoint))
    return next(good, -1)


# -- names


def name_of(step: int) -> str:
    """The name of a step's checkpoint."""
    return f"step-{step:08d}"


def step_of(checkpoint: PurePath) -> int:
    """The step in a checkpoint's name; -1 for other names."""
    match = _NAME.fullmatch(checkpoint.name)
    return int(match[1]) if match else -1


def _checkpoints(folder: Path) -> list[Path]:
    return sorted((path for path in folder.glob("step-*") if path.is_dir() and step_of(path) >= 0), key=step_of)


def _newest(folder: Path, before: Path | None) -> Path | None:
    _finish_interrupted(folder)
    damaged: list[str] = []
    for checkpoint in reversed(_checkpoints(folder)):
        if before and step_of(checkpoint) >= step_of(before):
            continue
        if not (reason := problem(checkpoint)):
            if damaged:
                logger.warning(
                    "damaged: %s. Resuming from the checkpoint before, %s", "; ".join(damaged), checkpoint.name
                )
            return checkpoint
        damaged.append(f"{checkpoint.name}, {reason}")
    if damaged:
        raise TrainingError(
            f"every checkpoint in {folder} is damaged: {'; '.join(damaged)}",
            "Restore a checkpoint from a copy, or start a new run with another --output_dir",
        )
    return None


def _finish_interrupted(folder: Path) -> None:
    """A kill between two renames leaves a whole checkpoint under a name that does not count: give it its own."""
    for prefix in _UNFINISHED:
        for unfinished in sorted(folder.glob(f"{prefix}*")):
            final = folder / f"step-{unfinished.name.removeprefix(prefix)}"
            if not final.exists() and step_of(final) >= 0 and not problem(unfinished):
                unfinished.rename(final)
                logger.info("%s is complete, although its save was interrupted", final)


# -- writing


def _seal(folder: Path) -> None:
    """Write the checksums, and make sure that all of the folder is on the disk."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sums = {
        path.relative_to(folder).as_posix(): {"size": path.stat().st_size, "sha256": sha256(path)} for path in files
    }
    for path in files:
        sync(path)
    (folder / CHECKSUMS).write_text(json.dumps(sums, indent=1) + "\n", encoding="utf-8")
    sync(folder / CHECKSUMS)
    sync(folder)


def _put_in_place(partial: Path, final: Path) -> None:
    """Rename; one of the same name is moved away first, and lost only after."""
    replaced = final.with_name(f".replaced-{final.name.removeprefix('step-')}")
    if final.exists():
        final.rename(replaced)
    try:
        partial.rename(final)
    except OSError:
        if replaced.exists():
            replaced.rename(final)
        raise
    sync(final.parent)
    shutil.rmtree(replaced, ignore_errors=True)


def _prune(folder: Path, step: int, keep: int) -> None:
    """Remove all but the last `keep` checkpoints up to `step`, and what was discarded. A failure is only a warning.

    A checkpoint is renamed before it is removed: a kill in between leaves none that looks damaged.
    """
    try:
        for old in [path for path in _checkpoints(folder) if step_of(path) <= step][:-keep]:
            _discard(old)
        for discarded in folder.glob(f"{_DISCARDED}*"):
            shutil.rmtree(discarded)
    except OSError as error:
        logger.warning("an old checkpoint cannot be removed: %s", error)


def _discard(path: Path) -> None:
    target = path.with_name(_DISCARDED + path.name.lstrip("."))
    if target.exists():
        shutil.rmtree(target)
    path.rename(target)


def _remove_unfinished(folder: Path) -> None:
    for name in _UNFINISHED:
        for path in folder.glob(f"{name}*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _without_wrappers(accelerator: Accelerator) -> Any:
    """A hook for saving and for loading: the bare networks, whose keys are the same for any number of processes."""

    def hook(models: list[nn.Module], *rest: Any) -> None:
        bare = [accelerator.unwrap_model(model, keep_torch_compile=False) for model in models]
        if isinstance(rest[0], list):  # saving: (models, weights, folder)
            rest[0][:] = [accelerator.get_state_dict(model, unwrap=False) for model in bare]
        else:  # loading: (models, folder)
            models[:] = bare

    return hook
