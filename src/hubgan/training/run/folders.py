"""Which folder a run is kept in: every run has one of its own."""

import logging
import re
from datetime import datetime
from itertools import chain, count
from pathlib import Path

from hubgan.errors import ConfigError
from hubgan.models.config import CONFIG
from hubgan.runtime.counting import counted
from hubgan.runtime.names import at_home, without_folders
from hubgan.training.config import TrainingConfig
from hubgan.training.run.lock import HOLDER
from hubgan.training.run.provenance import as_options, other_data, read_run, recorded_options

logger = logging.getLogger(__name__)

METRICS, CHECKPOINTS, RECIPE = "metrics.jsonl", "checkpoints", "recipe.yaml"
_DATE = re.compile(r"-\d{4}-\d\d-\d\d-\d{4}(-\d+)?$")


def run_path(config: TrainingConfig) -> Path:
    """Where the run that a configuration describes is kept."""
    return Path(config.output_dir or f"runs/{_name(Path(at_home(config.config)))}")


def _name(recipe: Path) -> str:
    """What a run is called: as its recipe, or as the run or model in whose folder the recipe lies."""
    is_of_run = recipe.name == RECIPE and _is_taken(recipe.parent)
    return recipe.resolve().parent.name if is_of_run else recipe.stem


def holds_run(folder: Path) -> bool:
    """Whether a run has left something in a folder that another one would overwrite."""
    return (folder / METRICS).exists() or any((folder / CHECKPOINTS).glob("step-*"))


def run_id(folder: Path) -> str | None:
    """The id of the run in a folder; None if there is none."""
    found = (read_run(folder) or {}).get("id")
    return None if found is None else str(found)


def with_folder(config: TrainingConfig, run: str | None = None) -> TrainingConfig:
    """The configuration with the run's folder, where it names none; called on the main process.

    A run that begins has `runs/<recipe>`, or `runs/<recipe>-2026-11-30-1412` if that one is taken. A recipe that lies
    in a run's folder has the name of that folder. A resumed run has the folder of its checkpoint; with "auto" that of
    the recipe's run on the same data set that was trained last, and with "hub" that of the run on the Hub.

    Args:
        config: the options.
        run: the id of the run on the Hub.

    Raises:
        ConfigError: with "auto", all runs of the recipe are on other data sets.
    """
    if config.output_dir is not None:
        return config
    first = run_path(config)
    dated = (folder for folder in first.parent.glob("*") if _DATE.sub("", folder.name) == first.name)
    runs = [folder for folder in {first, *dated} if holds_run(folder)]
    fitting = runs
    if config.resume == "hub":
        fitting = [folder for folder in runs if run and run_id(folder) == run]
    elif config.resume == "auto":
        fitting = [folder for folder in runs if not other_data(config, recorded_options(folder))]
    if config.resume == "auto" and runs and not fitting:
        raise _on_other_data(config, max(runs, key=_last_trained))
    chosen = _to_go_on(config.resume, fitting) if config.resume else None
    if chosen is None:
        chosen = _unused(first)
        if chosen != first:
            logger.info("%s holds another run. This run uses %s", first, chosen)
    elif config.resume == "auto" and len(fitting) > 1:
        runs_here = counted(len(fitting), "run")
        logger.info("This recipe has %s on this data set. The one trained last is resumed, %s", runs_here, chosen)
    return config.model_copy(update={"output_dir": str(chosen)})


def _to_go_on(resume: str, runs: list[Path]) -> Path | None:
    """The run to resume; None if it is none of these, so that another one begins."""
    if resume in ("auto", "hub"):
        return max(runs, key=_last_trained, default=None)
    checkpoints = Path(at_home(resume)).resolve().parent
    return next((run for run in runs if (run / CHECKPOINTS).resolve() == checkpoints), None)


def _on_other_data(config: TrainingConfig, run: Path) -> ConfigError:
    data = other_data(config, recorded_options(run))
    names = " and ".join(map(without_folders, data.values()))
    return ConfigError(
        f"the recipe has no run on the data set {without_folders(config.dataset)}. Its last run, {run}, is on {names}",
        f"Continue that one with {as_options(data)} --resume, or remove --resume to begin a new run",
    )


def _unused(first: Path) -> Path:
    """The folder, or one beside it that is named after the time, which no run has or is about to have."""
    dated = f"{first.name}-{datetime.now():%Y-%m-%d-%H%M}"
    names = chain([first.name, dated], (f"{dated}-{number}" for number in count(2)))
    return next(folder for folder in map(first.with_name, names) if not _is_taken(folder))


def _is_taken(folder: Path) -> bool:
    return holds_run(folder) or (folder / HOLDER).exists() or (folder / CONFIG).exists()


def _last_trained(folder: Path) -> float:
    """When a run last wrote a line of its log or a checkpoint."""
    files = [folder / METRICS, *(folder / CHECKPOINTS).glob("step-*")]
    return max(file.stat().st_mtime for file in files if file.exists())
