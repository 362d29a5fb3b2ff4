"""TensorBoard, Trackio or Weights & Biases, by Accelerate's trackers: the same run again when a run resumes."""

import importlib.util
import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import Accelerator
from PIL import Image

from hubgan.errors import ConfigError
from hubgan.runtime.processes import decide
from hubgan.training.config import TrainingConfig
from hubgan.training.run.provenance import flat, read_run

logger = logging.getLogger(__name__)

PROJECT = "hubgan"
FOLDER = "trackers"


def check_tracker(config: TrainingConfig) -> None:
    """See that the tracker asked for is installed.

    Raises:
        ConfigError: it is not; the message names the command that installs it.
    """
    if config.report_to != "none" and importlib.util.find_spec(config.report_to) is None:
        raise ConfigError(
            f"report_to is {config.report_to!r}, which is not installed",
            f"Run: pip install {config.report_to}, or choose another tracker with --report_to",
        )


def start_tracker(accelerator: Accelerator, config: TrainingConfig, folder: Path, step: int) -> None:
    """Begin to track a run, or resume it; called on every process, once `run.json` is written.

    What TensorBoard and Weights & Biases write lies in `folder/trackers`, what Trackio writes where Trackio keeps all
    its runs.

    Args:
        accelerator: made with `log_with=config.report_to`, and `project_dir=folder/trackers` for TensorBoard.
        config: the run's options; they are shown beside the curves.
        folder: the run's.
        step: where the run stands; what was tracked beyond it by an earlier session is hidden (TensorBoard).

    Raises:
        ConfigError: the tracker does not start.
    """
    if config.report_to == "none":
        return

    def start() -> None:
        directory = folder / FOLDER
        run_id = (read_run(folder) or {}).get("id") or folder.resolve().name
        name = f"{folder.resolve().name}-{run_id}"
        arguments: dict[str, Any] = {
            "tensorboard": {"purge_step": step + 1},
            "wandb": {"id": run_id, "name": name, "resume": "allow", "dir": str(directory)},
            "trackio": {"name": name, "resume": "allow"},
        }
        # TensorBoard would show every session's options as a run of its own.
        shown = None if config.report_to == "tensorboard" and step else _plain(config)
        try:
            if config.report_to != "trackio":
                directory.mkdir(parents=True, exist_ok=True)
            accelerator.init_trackers(PROJECT, config=shown, init_kwargs=arguments)
            if config.report_to == "wandb":
                # Its own steps never go back, as a run may; so the curves are drawn over the run's steps.
                accelerator.get_tracker("wandb", unwrap=True).define_metric("*", step_metric="steps")
        except Exception as error:  # each tracker has its own kinds
            reason = " ".join(str(error).split())[:300].rstrip(".")
            remedy = "Log in to it, or pass --report_to none"
            remedy += ". WANDB_MODE=offline needs no account" if config.report_to == "wandb" else ""
            raise ConfigError(f"the tracker {config.report_to} cannot start: {reason}", remedy) from error

    decide(start)


def track(accelerator: Accelerator, values: dict[str, Any], step: int) -> None:
    """Hand a line of figures to the tracker, if there is one (on the main process)."""
    finite = {name: value for name, value in values.items() if isinstance(value, int | float) and math.isfinite(value)}
    with _optional():
        for tracker in accelerator.trackers:
            tracker.log(finite | {"steps": step}, step=None if tracker.name == "wandb" else step)


def track_image(accelerator: Accelerator, image: Image.Image, step: int) -> None:
    """Hand a sample grid to the tracker, if there is one (on the main process)."""
    with _optional():
        for tracker in accelerator.trackers:
            if tracker.name == "tensorboard":
                tracker.log_images({"samples": np.asarray(image.convert("RGB"))[None]}, step=step, dataformats="NHWC")
            elif tracker.name == "wandb":
                import wandb

                tracker.log({"samples": wandb.Image(image), "steps": step})
            elif tracker.name == "trackio":
                import trackio

                tracker.log({"samples": trackio.Image(image)}, step=step)


@contextmanager
def _optional() -> Iterator[None]:
    """A tracker that fails is reported; the run continues, with its own metrics.jsonl."""
    try:
        yield
    except Exception as error:  # each tracker has its own kinds
        logger.warning("the tracker failed: %s", error)


def _plain(config: TrainingConfig) -> dict[str, Any]:
    """The options as trackers take them: plain values, no lists."""
    options = flat(config.model_dump(exclude_none=True))
    return {
        name: value if isinstance(value, str | int | float | bool) else ", ".join(map(str, value))
        for name, value in options.items()
    }
