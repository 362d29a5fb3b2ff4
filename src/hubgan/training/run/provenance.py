"""`run.json`: how a run was started and resumed, with options, versions and hardware.

It holds paths, so it never goes into a model's repository. --checkpoint_to pushes it to a private one. Tokens are
masked all the same.
"""

import json
import logging
import os
import platform
import re
import shlex
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil
import torch
from accelerate import Accelerator
from accelerate.utils import get_int_from_env

from hubgan.hub.download import RUN
from hubgan.runtime.counting import counted
from hubgan.runtime.devices import gpu_versions, gpus, name_of
from hubgan.runtime.files import write_text
from hubgan.runtime.names import existing, without_folders
from hubgan.training.config import JobOptions, TrainingConfig
from hubgan.training.describe import without_remark
from hubgan.version import __version__

logger = logging.getLogger(__name__)

_PACKAGES = (
    "torch", "torchvision", "accelerate", "datasets", "diffusers", "huggingface_hub", "safetensors", "numpy", "pillow",
    "pydantic", "torchmetrics",
)  # fmt: skip
_SECRET = re.compile(r"hf_[A-Za-z0-9]{8,}|(?<=://)[^/@\s]+@")
_LOCAL_PROCESSES = ["LOCAL_WORLD_SIZE", "MPI_LOCALNRANKS", "OMPI_COMM_WORLD_LOCAL_SIZE", "MV2_COMM_WORLD_LOCAL_SIZE"]
PATHS = (
    "dataset", "target_dataset", "eval_dataset", "eval_target_dataset", "pretrained_model", "pretrained_discriminator",
)  # fmt: skip
"""Options that may name something on this machine."""
_DATA = ("dataset", "target_dataset")
_BUDGET = {"max_images", "max_steps", "max_minutes"}
OF_A_START = {
    "config", "resume", "dry_run", "output_dir", "push_to_hub", "private", "checkpoint_to", *JobOptions.model_fields,
}  # fmt: skip
"""Options of one start of a run, which a recipe does not hold."""
# Options that a run may change when it resumes, as its weights do not depend on them.
_FREE = OF_A_START | {
    "dataset_name", "license", "notice", "num_workers", "decoded_gb", "log_every", "report_to", "sample_every",
    "checkpoint_every", "keep_checkpoints", "on_nonfinite", "eval_every", "eval_samples", "eval_dataset",
    "eval_target_dataset", "eval_split",
}  # fmt: skip


def describe_run(
    config: TrainingConfig,
    accelerator: Accelerator,
    *,
    fingerprint: str | None = None,
    columns: Sequence[str] = (),
    images: int | None = None,
    skipped: int | None = None,
) -> dict[str, Any]:
    """Everything to know about a run that begins: an id, its options, its data, and its first session.

    Args:
        config: the resolved options.
        accelerator: the run's.
        fingerprint: what tells this content of the data set from another.
        columns: the columns with images: that of the images, and in pairs that of the inputs after it.
        images: how many images are trained on, if that is known.
        skipped: how many could not be read, or were too small; None where that is not known, as of a stream.

    Returns:
        A dictionary that JSON can hold: `id`, `options`, `data`, `seed`, `sessions`.
    """
    data: dict[str, Any] = {"name": config.dataset, "config": config.dataset_config, "split": config.split}
    data |= {"fingerprint": fingerprint, "columns": list(columns), "images": images, "skipped": skipped}
    run: dict[str, Any] = _masked(
        {
            "id": uuid.uuid4().hex[:12],
            "options": config.model_dump(mode="json"),
            "data": data,
            "seed": config.seed,
            "sessions": [describe_session(accelerator)],
        }
    )
    return run


def describe_session(accelerator: Accelerator) -> dict[str, Any]:
    """One start of a run: when, how, on which machine, with which versions."""
    session: dict[str, Any] = _masked(
        {
            "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "command": shlex.join(sys.argv),
            "processes": accelerator.num_processes,
            "machines": _machines(accelerator),
            "precision": precision(accelerator),
            "hardware": hardware(accelerator),
            "versions": versions(),
            "git": git_revision(),
        }
    )
    return session


def record_run(folder: Path, run: dict[str, Any], checkpoint: Path | None = None) -> None:
    """Write `run.json`; a resumed run adds its session to those that are there, and changes nothing else.

    The session tells the checkpoint, and as `changed` the options that are others than those it was begun with.

    Args:
        folder: the run's.
        run: what `describe_run` returned.
        checkpoint: what the run resumes from, None when it begins.

    Raises:
        OSError: it cannot be written.
    """
    session = run["sessions"][-1] | {"checkpoint": _masked(str(checkpoint)) if checkpoint else None}
    before = read_run(folder) if checkpoint else None
    if before is None:
        written = run | {"sessions": [session]}
    else:
        options, sessions = before.get("options") or {}, before.get("sessions") or []
        session["changed"] = {name: value for name, value in run["options"].items() if options.get(name) != value}
        written = before | {"sessions": [*sessions, session]}
    write_text(folder / RUN, json.dumps(written, indent=2) + "\n")


def read_run(folder: Path) -> dict[str, Any] | None:
    """What `run.json` says; None if there is none, or it is not one."""
    try:
        run = json.loads((folder / RUN).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        logger.warning("%s cannot be read: %s", folder / RUN, error)
        return None
    return run if isinstance(run, dict) else None


def with_absolute_paths(config: TrainingConfig, folder: Path) -> TrainingConfig:
    """The options with the absolute paths of data sets and models on this machine, as `run.json` keeps them.

    If a run resumes from another working folder, a name that leads nowhere from there means what it meant before.

    Args:
        config: the options as they were given.
        folder: the run's.
    """
    names: dict[str, Any] = config.model_dump(include={*PATHS}, exclude_none=True)
    lost = {option: name for option, name in names.items() if not existing(name)}
    paths = {option: str(path.absolute()) for option, name in names.items() if (path := existing(name))}
    return config.model_copy(update=paths | (recorded_paths(lost, recorded_options(folder)) if config.resume else {}))


def recorded_options(folder: Path) -> dict[str, Any]:
    """The options in a folder's `run.json`; empty if there is none."""
    options = (read_run(folder) or {}).get("options")
    return options if isinstance(options, dict) else {}


def other_data(config: TrainingConfig, before: Mapping[str, Any]) -> dict[str, str]:
    """The data sets of a run, by option, where a configuration names others.

    A `dataset_name` that is the recorded one says that the data is the same, wherever it lies.

    Args:
        config: the options.
        before: those in the run's `run.json`; empty if it has none.
    """
    given = {option: name for option in _DATA if before.get(option) and (name := getattr(config, option, None))}
    if "dataset" in given and published(before) in (given["dataset"], without_remark(config.dataset_name or "")):
        del given["dataset"]
    return {option: str(before[option]) for option, name in given.items() if not _is_same(name, str(before[option]))}


def as_options(data: Mapping[str, str]) -> str:
    """Data sets by option as words of a command line, with short paths where they lie in the working folder."""
    return " ".join(f"--{option} {shlex.quote(name.removeprefix(f'{Path.cwd()}/'))}" for option, name in data.items())


def recorded_paths(names: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, str]:
    """What names of data sets and models meant when a run was begun: absolute paths, where there still is something.

    Args:
        names: options to names, such as those of the run's `recipe.yaml`, which holds no folders.
        before: the options in its `run.json`.
    """
    found: dict[str, str] = {}
    for option in PATHS:
        name, recorded = str(names.get(option)), str(before.get(option))
        if (
            Path(recorded).is_absolute()
            and existing(recorded)
            and (_means(name, recorded) or (option == "dataset" and name == published(before)))
        ):
            found[option] = recorded
            logger.info("%s: %s is used, the path from the start of the run", option, recorded)
    return found


def published(options: Mapping[str, Any]) -> str:
    """The name of a run's data set in its recipe: no path, and no remark."""
    return without_remark(options.get("dataset_name") or without_folders(options["dataset"]))


def _is_same(name: str, recorded: str) -> bool:
    """Whether a name leads to a recorded data set, or may do so if the data has been moved."""
    here, there = existing(name), existing(recorded)
    if here and there:
        return here.resolve() == there.resolve()
    return _means(name, recorded) or without_folders(name) == without_folders(recorded)


def _means(name: str, recorded: str) -> bool:
    """Whether a name may have led to a path: it is its end, or what a card calls it."""
    parts = [part for part in Path(name).parts if part != ".."]
    return name == without_folders(recorded) or (bool(parts) and list(Path(recorded).parts[-len(parts) :]) == parts)


def changed_options(old: dict[str, Any], new: TrainingConfig, *, scheduled: bool) -> dict[str, tuple[Any, Any]]:
    """Options that matter and are not those the run was begun with: name to (then, now).

    Options that touch no weights are left out, and so is the budget if nothing is `scheduled` by it.

    Args:
        old: the `options` of `run.json`.
        new: the options that the run continues with.
        scheduled: whether anything follows the budget.
    """
    free = _FREE - ({"num_workers"} if new.streaming else set()) | (set() if scheduled else _BUDGET)
    before = flat(old)
    return {
        name: (before[name], value)
        for name, value in flat(new.model_dump(mode="json")).items()
        if name in before
        and name not in free
        and before[name] != value
        # Runs of hubgan 0.1 hold the paths as they were given.
        and not (name in PATHS and _means(str(before[name]), str(value)))
    }


def flat(options: dict[str, Any]) -> dict[str, Any]:
    """Options with those of blocks by their names on the command line, such as `generator.width`."""
    found: dict[str, Any] = {}
    for name, value in options.items():
        inside = {f"{name}.{option}": each for option, each in value.items()} if isinstance(value, dict) else {}
        found |= inside or {name: value}
    return found


def precision(accelerator: Accelerator) -> str:
    """What the networks compute in, by its usual name."""
    mode: str = accelerator.mixed_precision
    return {"no": "float32"}.get(mode, mode)


def versions() -> dict[str, str]:
    """Of everything a result may depend on."""
    found = {"python": platform.python_version(), "hubgan": __version__}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found | gpu_versions() | {"os": platform.platform()}


def hardware(accelerator: Accelerator) -> dict[str, Any]:
    """The main process's machine: processor, cores, threads of a process, memory in GiB, GPUs."""
    return {
        "device": accelerator.device.type,
        "processor": processor(),
        "cores": psutil.cpu_count(logical=False),
        "usable_cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "gpus": gpus(),
    }


def hardware_line(accelerator: Accelerator) -> str:
    """What a run computes on, in a few words."""
    processes = accelerator.num_processes
    if gpu := name_of(accelerator.device):
        return f"{processes} x {gpu}"
    threads = torch.get_num_threads()
    each = f", {processes} processes" if processes > 1 else ""
    return f"{counted(threads, 'CPU thread')}{each} ({processor()}, {accelerator.device.type})"


def processor() -> str:
    """The processor's name."""
    if sys.platform == "linux" and os.access("/proc/cpuinfo", os.R_OK):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def git_revision() -> dict[str, Any] | None:
    """The revision of the checkout that hubgan runs from, and whether it was changed; None if it runs from none."""
    package = Path(__file__).resolve().parents[2]

    def git(*arguments: str) -> str:
        # Without locks, which a kill in this moment would leave in somebody's checkout.
        command = ["git", "--no-optional-locks", "-C", str(package), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", "version.py")  # an installed package may lie in somebody else's checkout
        return {"revision": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "--", ":/"))}
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None


def _machines(accelerator: Accelerator) -> int:
    processes: int = accelerator.num_processes
    here: int = get_int_from_env(_LOCAL_PROCESSES, processes)
    return max(1, processes // max(1, here))


def _masked(value: Any) -> Any:
    """The same with whatever looks like a token masked."""
    if isinstance(value, str):
        return _SECRET.sub("***", value)
    if isinstance(value, dict):
        return {key: _masked(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_masked(part) for part in value]
    return value
