"""From a configuration to a run: everything is set up and checked, then the trainer trains."""

import logging
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.utils import ProjectConfiguration, set_seed

from hubgan.data import ImageSource
from hubgan.errors import ConfigError, UnreachableError
from hubgan.runtime.processes import decide, largest
from hubgan.training.accelerator import make_accelerator
from hubgan.training.config import JobOptions, TrainingConfig
from hubgan.training.measuring import brief, open_measurement
from hubgan.training.plan import describe_plan
from hubgan.training.pretrained import find_pretrained, load_pretrained
from hubgan.training.rented import Rented
from hubgan.training.run.folders import run_path, with_folder
from hubgan.training.run.hub_checkpoints import HubCheckpoints, shared_repository
from hubgan.training.run.lock import only_run
from hubgan.training.run.provenance import recorded_options, with_absolute_paths
from hubgan.training.run.run_folder import RunFolder
from hubgan.training.run.trackers import FOLDER, check_tracker
from hubgan.training.signals import StopSignal, leave
from hubgan.training.task import Task
from hubgan.training.tasks import TASKS
from hubgan.training.timing import seconds_a_step, tell_of_other_work
from hubgan.training.trainer import Trainer

logger = logging.getLogger(__name__)


def train(config: TrainingConfig) -> Path:
    """Run the training that a configuration describes, on as many processes as it was launched with.

    Returns:
        The run's folder, ready to push: the averaged model, the other networks in folders of it, the card, a
        preview, the recipe.

    Raises:
        ConfigError: options that do not fit each other, the machine or the folder; or another run uses the folder.
        DataError: the data set cannot be found or used.
        ModelError: the model to begin with cannot be found, the checkpoint to resume from does not fit, or the result
            cannot be saved or pushed.
        TrainingError: the numbers are no longer finite, or no checkpoint is whole.
        KeyboardInterrupt, SystemExit: SIGINT or SIGTERM came; a checkpoint was saved.
    """
    accelerator, task = _set_up(config, fetch=True)
    with only_run(run_path(task.config)):
        return _train(task, accelerator)


def _train(task: Task[Any], accelerator: Accelerator) -> Path:
    config: TrainingConfig = task.config
    folder = RunFolder(config, accelerator)
    source = open_source(config, accelerator)
    decide(lambda: folder.check_data(source.fingerprint))
    task = _sized(task, source.size)
    config = folder.config = task.config
    logger.info("Building the networks ...")
    task.setup_data(source)
    load_pretrained(task, accelerator)
    measurement = open_measurement(task, accelerator, source)
    logger.info("Preparing the images ...")
    trainer = Trainer(task, config, accelerator, folder, source, measurement)
    tell_of_other_work(accelerator)
    models = trainer.step.models
    with StopSignal() as stop:
        with folder.pushing(stop):
            stopped = trainer.train(stop)
            counters = trainer.counters.figures()
            if not stopped:
                decide(lambda: folder.save(task, models, counters))
        # The others wait here for the last push: a launcher kills all processes soon after the first has left.
        (number,) = largest((stop.signal,), accelerator)
    if number:
        if not stopped:
            logger.info("Stopped after saving the model. The same command with --resume measures and pushes it")
        accelerator.end_training()
        leave(int(number))
    results = measurement.results(models) if measurement else []
    if results and config.eval_every:
        folder.log(counters | brief(results))
    decide(lambda: folder.finish(models[task.main], results))
    logger.info("Done: %s holds the model, samples.png and report.html", folder.path)
    accelerator.end_training()
    return folder.path


def plan(config: TrainingConfig, rented: Rented | None = None) -> str:
    """What `train` would do, in words, found out without doing it: networks, memory, time, schedules, data.

    The time is an estimate by a few steps, of which nothing is kept.

    Args:
        config: the options.
        rented: the machine that the run is for, if it is not this one.

    Raises:
        ConfigError, DataError, ModelError: as `train` does. A data set that cannot be reached is only reported.
    """
    accelerator, task = _set_up(config, fetch=False)
    config, source, missing = task.config, None, ""
    try:
        source = open_source(config, accelerator)
        task = _sized(task, source.size)
        task.setup_data(source)
    except UnreachableError as error:
        missing = error.message
        task = _sized(task, None)
        task.setup_without_data()
    config = task.config
    load_pretrained(task, accelerator)
    measurement = open_measurement(task, accelerator, source) if source else None
    logger.info("Timing a few steps ...")
    try:
        seconds = seconds_a_step(task, config, accelerator)
    except (MemoryError, RuntimeError) as error:  # out of memory
        logger.warning("the steps could not be timed: %s", str(error).partition("\n")[0])
        seconds = []
    return describe_plan(
        task, config, accelerator, source, measurement, missing=missing, seconds=seconds, rented=rented
    )


def check_options(config: TrainingConfig) -> None:
    """Refuse options that do not fit each other.

    Raises:
        ConfigError: two of them do not.
    """
    if not (config.max_images or config.max_steps or config.max_minutes):
        raise ConfigError("the run has no budget", "Set --max_images, --max_steps or --max_minutes")
    if config.schedule_start >= config.schedule_share:
        raise ConfigError(
            f"schedule_start is {config.schedule_start:g}, but schedule_share is {config.schedule_share:g}",
            "Set --schedule_start below --schedule_share",
        )
    if config.eval_every and not config.eval_samples:
        raise ConfigError("eval_every needs a number of images to measure", "Set --eval_samples, for example to 10000")
    if not config.augment and (config.augment_target is not None or config.augment_probability != 1):
        raise ConfigError(
            "augment_target and augment_probability need augmentation operations",
            "Pass --augment color translation cutout",
        )
    if config.resume == "hub" and not config.checkpoint_to:
        raise ConfigError(
            "resume hub needs the repository that holds the checkpoints", "Pass its name with --checkpoint_to"
        )
    if config.checkpoint_to and config.checkpoint_to == config.push_to_hub:
        raise shared_repository(config.checkpoint_to)
    if config.private and not config.push_to_hub:
        raise ConfigError(
            "private applies to a repository, but no repository is pushed", "Pass its name with --push_to_hub"
        )
    if not config.on:
        for option in JobOptions.model_fields:
            if getattr(config, option) != JobOptions.model_fields[option].default:
                raise ConfigError(f"{option} applies to a rented machine", f"Pass --on hf-jobs, or remove --{option}")
    if config.input_column and not TASKS[config.task].takes_pairs:
        raise ConfigError(f"the task {config.task} cannot train on pairs", "Remove --input_column")


def _set_up(config: TrainingConfig, *, fetch: bool) -> tuple[Accelerator, Task[Any]]:
    """The processes of a run, and its task, whose options name its folder.

    Args:
        config: the options.
        fetch: with --resume hub, bring the checkpoint from the Hub into that folder.
    """
    check_options(config)
    accelerator, given, fetch = make_accelerator(config), config, fetch and config.resume == "hub"
    config = decide(lambda: with_folder(given, _hub_checkpoints(given).run_id() if fetch else None))
    accelerator.project_configuration = ProjectConfiguration(str(run_path(config) / FOLDER))
    decide(lambda: check_tracker(config))
    if fetch:
        with only_run(run_path(config)):
            decide(lambda: _hub_checkpoints(config).fetch(run_path(config)))
    set_seed(config.seed)
    task = TASKS[config.task](with_absolute_paths(config, run_path(config)))
    find_pretrained(task)
    return accelerator, task


def _hub_checkpoints(config: TrainingConfig) -> HubCheckpoints:
    return HubCheckpoints(str(config.checkpoint_to))


def _sized(task: Task[Any], images: int | None) -> Task[Any]:
    """The task with the options that follow from the number of images."""
    config = task.config
    recorded = recorded_options(run_path(config)) if config.resume else {}
    resolved = task.sized(config, images, recorded)
    if resolved is config:
        return task
    set_seed(config.seed)  # the same weights as by a recipe with these numbers
    return TASKS[config.task](resolved)


def open_source(config: TrainingConfig, accelerator: Accelerator) -> ImageSource:
    """The data set that a configuration names.

    Raises:
        UnreachableError: it names none, as some recipes for a folder of one's own.
        DataError: it cannot be found or used.
    """
    if not config.dataset:
        raise UnreachableError(
            f"the recipe {config.config} names no data set",
            "Pass a folder of your pictures with --dataset. docs/training.md and docs/translation.md show examples",
        )
    logger.info("Opening the data set %s ...", config.dataset)
    with accelerator.main_process_first():  # the first process fills the cache of `datasets`, the others read it
        return TASKS[config.task].load_images(
            config,
            config.dataset,
            config=config.dataset_config,
            split=config.split,
            column=config.image_column,
            input_column=config.input_column,
            label_column=config.label_column,
            classes=config.classes,
            streaming=config.streaming,
        )
