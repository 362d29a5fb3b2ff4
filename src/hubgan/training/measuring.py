"""The data that a run is measured on. It is opened before the training, so that a wrong name is found at once."""

import logging
import shlex
from dataclasses import dataclass
from typing import Any

from accelerate import Accelerator

from hubgan.data import ImageSource
from hubgan.errors import DataError, UnreachableError
from hubgan.evaluation import Reference, table
from hubgan.models.figures import Result, images_of
from hubgan.runtime.names import without_folders
from hubgan.training.config import TrainingConfig
from hubgan.training.options import load_recipe
from hubgan.training.run.curves import MEASURED_IMAGES
from hubgan.training.run.folders import run_path
from hubgan.training.task import Models, Task

logger = logging.getLogger(__name__)

_SEEN = " (trained on)"


@dataclass(frozen=True)
class Measurement:
    """What is measured of a model, and on what.

    Attributes:
        task: knows how.
        reference: the images to measure against.
        trained_on: those of the training.
    """

    task: Task[Any]
    reference: Reference
    trained_on: Reference

    def __str__(self) -> str:
        samples = self.reference.at_most(self.task.config.eval_samples)
        return f"{self.task.measures.format(samples=samples)}, {self.reference}"

    def results(self, models: Models) -> list[Result]:
        """The figures; none, with a warning, if anything goes wrong: a model is not lost for want of figures.

        Every process of the run must call it, and does a part of the work.
        """
        logger.info("Measuring %s ...", self)
        try:
            results = self.task.evaluate(models, self.reference, self.trained_on)
        except Exception as error:  # out of memory, a data set that is gone, a defect of hubgan
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            logger.warning("the model could not be measured: %s. Once it is saved, measure it with: %s", reason,
                           self._remedy())  # fmt: skip
            return []
        logger.info("Measured:\n%s", table(results))
        return results

    def _remedy(self) -> str:
        config, split = self.task.config, self.reference.split.removesuffix(_SEEN)
        words = [
            "hubgan",
            "evaluate",
            str(run_path(config)),
            "--dataset",
            self.reference.source.name,
            "--split",
            split,
        ]
        words += ["--samples", str(config.eval_samples)]
        for option in ("dataset_config", "image_column", "input_column", "label_column"):
            value = getattr(config, option)
            words += [f"--{option.replace('_', '-')}", value] if value else []
        words += ["--classes", *config.classes] if config.classes else []
        return shlex.join(words)


def brief(results: list[Result]) -> dict[str, float]:
    """Figures for a line of the log, by names in machines' words, and the number of images that they are of."""
    images = {MEASURED_IMAGES: min(map(images_of, results))} if results else {}
    return {result["metric"].replace("-", "_"): result["value"] for result in results} | images


def open_measurement(task: Task[Any], accelerator: Accelerator, source: ImageSource) -> Measurement | None:
    """What the configuration wants measured; None for nothing.

    Args:
        task: with the run's configuration.
        accelerator: the run's.
        source: the images that are trained on.

    Raises:
        DataError: the data set to measure on cannot be found or used, or has no pairs although the training is on
            pairs; and it was not merely the recipe's choice.
    """
    config: TrainingConfig = task.config
    if not config.eval_samples:
        return None
    name = config.dataset_name or without_folders(config.dataset)
    trained_on = Reference(source, name, config.split)
    seen = f"{config.split}{_SEEN}" if task.marks_training_images else config.split
    on_training_images = Measurement(task, Reference(source, name, seen), trained_on)
    if config.eval_dataset is None and config.eval_split in (None, config.split):
        return on_training_images
    try:
        with accelerator.main_process_first():
            return Measurement(task, _open(task, paired=source.input_column is not None), trained_on)
    except DataError as error:
        recipe = load_recipe(config.config)
        if (config.eval_dataset, config.eval_split) == (recipe.eval_dataset, recipe.eval_split):
            lost = isinstance(error, UnreachableError)
            wanted = without_folders(config.eval_dataset) if config.eval_dataset else "another split"
            logger.warning(
                "the recipe measures on %s, %s. The training pictures are used instead. You can ignore this for a"
                " first try. Later, choose other data with --eval_dataset and --eval_split",
                wanted,
                "which cannot be reached" if lost else f"but {error.message}",
            )
            return on_training_images
        remedy = "Choose other data with --eval_dataset and --eval_split, or pass --eval_samples 0"
        raise error.with_context("the data to measure on: ", remedy) from error


def _open(task: Task[Any], *, paired: bool) -> Reference:
    config: TrainingConfig = task.config
    if config.eval_dataset is not None:
        split = config.eval_split or "train"
        found = task.load_images(
            config,
            config.eval_dataset,
            measured=True,
            split=split,
            column=config.image_column if config.input_column else None,
            input_column=config.input_column,
        )
        if paired and found.input_column is None:
            raise DataError(f"{config.eval_dataset} has no pairs, but the training data has")
        return Reference(found, without_folders(config.eval_dataset), split)
    assert config.eval_split is not None
    source = task.load_images(
        config,
        config.dataset,
        config=config.dataset_config,
        split=config.eval_split,
        column=config.image_column,
        input_column=config.input_column,
        label_column=config.label_column,
        classes=config.classes,
        streaming=config.streaming,
    )
    return Reference(source, config.dataset_name or without_folders(config.dataset), config.eval_split)
