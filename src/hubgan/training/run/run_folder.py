"""The folder of a run: what is written on the way, and the repository it ends as."""

import json
import logging
import math
import platform
import tempfile
import time
import uuid
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, cast

import torch
import yaml
from accelerate import Accelerator
from accelerate.utils import gather_object
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from safetensors import SafetensorError
from safetensors.torch import save

from hubgan.errors import ConfigError, ModelError, TrainingError
from hubgan.hub.upload import Repository
from hubgan.models import HubModel
from hubgan.models.card import TrainingRun, local_name
from hubgan.models.figures import Result
from hubgan.publish.folder import push_folder
from hubgan.runtime.files import atomic_write, remove_leftovers, write_text
from hubgan.runtime.names import at_home, without_folders
from hubgan.runtime.processes import decide
from hubgan.training import describe
from hubgan.training.config import TrainingConfig
from hubgan.training.run.folders import CHECKPOINTS, METRICS, RECIPE, holds_run, run_path
from hubgan.training.run.hub_checkpoints import CheckpointPusher, HubCheckpoints, shared_repository
from hubgan.training.run.provenance import (
    OF_A_START,
    PATHS,
    as_options,
    changed_options,
    describe_run,
    hardware_line,
    other_data,
    precision,
    read_run,
    record_run,
    recorded_options,
)
from hubgan.training.run.report import CAPTION, REPORT, SAMPLES, write_report
from hubgan.training.run.trackers import start_tracker, track, track_image
from hubgan.training.signals import StopSignal
from hubgan.training.task import Models, Task
from hubgan.version import __version__

logger = logging.getLogger(__name__)

_PATIENCE = 60  # seconds until every machine sees what one has written to a shared disk


class RunFolder:
    """`path/`: metrics.jsonl, samples/, checkpoints/, run.json, recipe.yaml and report.html on the way; at the end the
    model, its card and samples.png as well.

    Raises:
        ConfigError: the folder cannot be written, holds another run, or is not the same for all machines.
        ModelError: the repository to push to cannot be made.
    """

    def __init__(self, config: TrainingConfig, accelerator: Accelerator) -> None:
        self.config, self.accelerator = config, accelerator
        self.path = run_path(config)
        self.checkpoints = self.path / CHECKPOINTS
        self._metrics, self._samples = self.path / METRICS, self.path / SAMPLES
        self._pusher: CheckpointPusher | None = None
        decide(self._prepare)
        self._check_shared()

    def check_data(self, fingerprint: str) -> None:
        """Refuse to continue a run on another data set: neither the name nor the content is that of its beginning.

        Args:
            fingerprint: of the data set.

        Raises:
            ConfigError: it is another data set.
        """
        if not holds_run(self.path) or not (data := other_data(self.config, recorded_options(self.path))):
            return
        before = (read_run(self.path) or {}).get("data") or {}
        if before.get("fingerprint") != fingerprint:
            names = " and ".join(map(without_folders, data.values()))
            raise ConfigError(
                f"the run in {self.path} is on the data set {names}, not on {without_folders(self.config.dataset)}",
                f"Continue it with {as_options(data)}. To train on other data, pass another --output_dir without"
                f" --resume. --pretrained_model {self.path} begins with the weights of a finished run",
            )

    def compare(self, fingerprint: str, *, scheduled: bool) -> None:
        """Warn where options or data are others than those that the run was begun with (on the main process).

        Args:
            fingerprint: of the data set.
            scheduled: whether anything follows the budget, so that another budget changes it.
        """
        before = read_run(self.path) if self.accelerator.is_main_process else None
        if before and (changed := changed_options(before.get("options") or {}, self.config, scheduled=scheduled)):
            words = ", ".join(f"{name} {now} (was {then})" for name, (then, now) in changed.items())
            logger.warning("the run resumes with other options than it started with: %s", words)
        if before and (data := before.get("data") or {}).get("fingerprint") not in (None, fingerprint):
            logger.warning("the data set has changed since the run started (%s)", data.get("name"))

    def begin(
        self,
        step: int,
        checkpoint: Path | None,
        *,
        fingerprint: str | None = None,
        columns: Sequence[str] = (),
        images: int | None = None,
        skipped: int | None = None,
    ) -> None:
        """Write run.json and recipe.yaml, and start the tracker; called on every process before the first step.

        Args:
            step: where the run stands.
            checkpoint: what it resumes from, None when it begins.
            fingerprint, columns, images, skipped: as `describe_run` takes them.

        Raises:
            ConfigError: the tracker does not start.
            TrainingError: the folder cannot be written.
        """

        def write() -> None:
            run = describe_run(
                self.config,
                self.accelerator,
                fingerprint=fingerprint,
                columns=columns,
                images=images,
                skipped=skipped,
            )
            try:
                record_run(self.path, run, checkpoint)
                self._write_recipe()
            except OSError as error:
                raise TrainingError(f"the run's folder {self.path} cannot be written: {error}") from error

        decide(write)
        if self.accelerator.is_main_process:
            self._report()
        start_tracker(self.accelerator, self.config, self.path, step)

    def resume_at(self, step: int) -> None:
        """Forget what was logged after a step, and lines that a kill cut short (on the main process).

        Raises:
            TrainingError: the folder cannot be changed.
        """
        try:
            lines = self._metrics.read_text(encoding="utf-8", errors="replace").split("\n")
            kept = "".join(f"{line}\n" for line in lines if _steps(line) <= step)
            if kept:
                write_text(self._metrics, kept)
            else:
                self._metrics.unlink()
        except FileNotFoundError:
            pass
        except OSError as error:
            raise TrainingError(f"{self._metrics} cannot be cut off at step {step}: {error}") from error
        for sample in self._samples.glob("step-*.png"):
            number = sample.stem.removeprefix("step-")
            if number.isdigit() and int(number) > step:
                sample.unlink(missing_ok=True)

    def log(self, values: dict[str, Any]) -> None:
        """Add a line to metrics.jsonl and to the tracker (on the main process); NaN and infinity become null."""
        if not self.accelerator.is_main_process:
            return
        line = {name: value if not isinstance(value, float) or math.isfinite(value) else None
                for name, value in values.items()}  # fmt: skip
        try:
            with self._metrics.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, allow_nan=False) + "\n")
        except OSError as error:  # the next checkpoint will meet it too, and end the run on every process
            logger.warning("%s cannot be written: %s", self._metrics, error)
        track(self.accelerator, line, int(values["steps"]))

    def preview(self, task: Task[Any], models: Models, step: int) -> None:
        """Write samples/step-00001000.png, hand it to the tracker, renew report.html (on the main process)."""
        try:
            image = task.preview(models)
        except ModelError as error:  # the next checkpoint looks at the weights, and ends the run or goes back
            logger.warning("no samples were made at step %d: %s", step, error)
            return
        try:
            _save_image(image, self._samples / f"step-{step:08d}.png", task.caption)
        except OSError as error:
            logger.warning("the samples of step %d cannot be written: %s", step, error)
        track_image(self.accelerator, image, step)
        self._report()

    def keep_weights(self, model: HubModel, file: str) -> None:
        """Write the weights that a part of the run begins with into a file that is published too.

        Raises:
            TrainingError: they cannot be written.
        """
        try:
            with atomic_write(self.path / file) as unfinished:
                weights = {key: value.cpu().contiguous() for key, value in model.state_dict().items()}
                # The file that save_file makes could be read by its owner alone.
                unfinished.write_bytes(save(weights, metadata={"format": "pt"}))
        except (OSError, SafetensorError) as error:
            raise TrainingError(f"{self.path / file} cannot be written: {error}") from error

    def pushing(self, stop_signal: StopSignal) -> AbstractContextManager[None]:
        """A block that trains, at whose end the last checkpoint's push is waited for, until another signal comes."""
        return self._pusher.working(stop_signal) if self._pusher else nullcontext()

    def push_checkpoint(self, checkpoint: Path, kept: Sequence[str], *, again: bool = False) -> None:
        """Push a checkpoint in the background, if that was asked for (on the main process).

        Args:
            checkpoint: its folder.
            kept: the files of weights that were kept on the way.
            again: it was saved by an earlier session, and is pushed only if it is missing on the Hub.
        """
        if self._pusher and again:
            self._pusher.add_missing(checkpoint, kept)
        elif self._pusher:
            self._pusher.add(checkpoint, kept)

    def save(self, task: Task[Any], models: Models, counters: dict[str, Any]) -> None:
        """Turn the folder into a repository ready to push.

        Args:
            task: says where its models go, and draws the preview.
            models: to save.
            counters: where the run stands.

        Raises:
            ModelError: it cannot be saved.
        """
        run = self._record(counters, task)
        try:
            image = task.preview(models)
            for file in (self.path / "samples.png", self._samples / f"step-{counters['steps']:08d}.png"):
                _save_image(image, file, task.caption)
            self._write_recipe()
        except OSError as error:
            raise ModelError(f"cannot save the model in {self.path}: {error}") from error
        for name, folder in task.published.items():
            models[name].training_run = run
            subfolder = {"subfolder": folder} if folder else {}
            about = {"name": local_name(self.path), **subfolder}
            models[name].save_pretrained(self.path / folder, model_card_kwargs=about)

    def finish(self, model: HubModel, results: list[Result]) -> None:
        """Write figures into the card of the model that was saved, and push the folder when that was asked for.

        Raises:
            ModelError: it cannot be saved or pushed.
        """
        if results:
            model.training_run = cast(TrainingRun, {**(model.training_run or {}), "results": results})
            model.save_pretrained(self.path)
        self._report()
        if self.config.push_to_hub:
            push_folder(self.path, self.config.push_to_hub, private=self.config.private)

    # -- parts

    def _prepare(self) -> None:
        config = self.config
        if holds_run(self.path):
            if not config.resume:
                raise ConfigError(
                    f"{self.path} already holds a run",
                    "Continue it with --resume, or choose another folder with --output_dir",
                )
            resumed = Path(at_home(config.resume)).resolve()
            if (
                config.resume not in ("auto", "hub")
                and resumed.is_dir()
                and resumed.parent != self.checkpoints.resolve()
            ):
                raise ConfigError(
                    f"{self.path} holds another run, which the checkpoint {config.resume} does not belong to",
                    "Choose another folder with --output_dir",
                )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
            for folder in (self.path, self._samples):
                remove_leftovers(folder, age=0)  # no other run uses it, see `only_run`
        except OSError as error:
            raise ConfigError(
                f"the run's folder {self.path} cannot be written ({error.strerror})",
                "Choose another folder with --output_dir",
            ) from error
        if config.checkpoint_to:
            checkpoints = HubCheckpoints(config.checkpoint_to)
            checkpoints.check(self.path, config.resume)
            self._pusher = CheckpointPusher(checkpoints, self.path, config.keep_checkpoints)
        if config.push_to_hub:
            repository = Repository(config.push_to_hub, private=config.private)
            if self._pusher and repository.name == self._pusher.name:  # one of them was given without the user
                raise shared_repository(repository.name)

    def _check_shared(self) -> None:
        """Each machine must see what the main process writes: a folder of the same name is not enough."""
        if self.accelerator.num_processes == 1:
            return
        mark = self.path / decide(lambda: f".seen-{uuid.uuid4().hex}")
        if self.accelerator.is_main_process:
            mark.touch()
        deadline = time.monotonic() + _PATIENCE
        self.accelerator.wait_for_everyone()
        # Listing asks a network disk again, where looking for one name may be answered from memory.
        while not (seen := self.path.is_dir() and mark in self.path.iterdir()) and time.monotonic() < deadline:
            time.sleep(1)
        blind = gather_object([] if seen else [platform.node()])
        if self.accelerator.is_main_process:
            mark.unlink(missing_ok=True)
        if blind:
            raise ConfigError(
                f"output_dir must be on a disk that all machines share, but {', '.join(sorted(set(blind)))}"
                f" cannot see {self.path.resolve()} of the first machine"
            )

    def _report(self) -> None:
        try:
            write_report(self.path)
        except Exception as error:  # a picture of the run is never worth the run
            logger.warning("%s cannot be written: %s", self.path / REPORT, error)

    def _write_recipe(self) -> None:
        options = self.config.model_dump(mode="json", exclude=OF_A_START | {"dataset_name"}, exclude_none=True)
        recipe = options | {name: without_folders(options[name]) for name in PATHS if name in options}
        recipe["dataset"] = describe.without_remark(self._dataset_name())
        write_text(self.path / RECIPE, yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True))

    def _dataset_name(self) -> str:
        return self.config.dataset_name or without_folders(self.config.dataset)

    def _record(self, counters: dict[str, Any], task: Task[Any]) -> TrainingRun:
        """What the card says about the training."""
        config, accelerator = self.config, self.accelerator
        classes = f", classes {', '.join(config.classes)}" if config.classes else ""
        several = (
            f"{config.discriminator_steps} for one of the generator, each on images of its own"
            if config.discriminator_steps > 1
            else ""
        )
        begun = [without_folders(name) for name in (config.pretrained_model, config.pretrained_discriminator) if name]
        more = task.card()
        facts = {
            "data set": f"{self._dataset_name()}, split {config.split}{classes}",
            "pairs": more.get("pairs", ""),
            "domains": more.get("domains", ""),
            "images seen": f"{counters['images']:,}, in {counters['steps']:,} steps of"
            f" {describe.batch(config, accelerator)}",
            "began with": f"the weights of {' and '.join(begun)}" if begun else "",
            "frozen": describe.frozen(task),
            "time": f"{describe.duration(counters['seconds'])} on {hardware_line(accelerator)}",
            "precision": precision(accelerator),
            "objective": config.objective.replace("_", "-"),
            "optimizer": "Muon; Adam for the discriminator" if config.optimizer == "muon" else "",
            "discriminator updates": several,
            "penalties": describe.penalties(task),
            "augmentation": describe.augmentation(task),
            "averaging": describe.averaging(task),
            "recipe": "`recipe.yaml` beside this card: `hubgan train --config recipe.yaml`, with"
            " `--dataset` where the data lies elsewhere",
            "software": f"hubgan {__version__}, torch {torch.__version__}, Python {platform.python_version()}",
        }
        facts = {key: value for key, value in facts.items() if value}
        run: dict[str, object] = {"dataset": describe.without_remark(self._dataset_name()), "facts": facts}
        run |= {"picture_caption": task.caption, "license": config.license, "notice": config.notice, **more}
        return cast(TrainingRun, {key: value for key, value in run.items() if value})


def _steps(line: str) -> float:
    """The step that a line of metrics.jsonl belongs to; infinity for one that was cut short."""
    try:
        return float(json.loads(line)["steps"])
    except (ValueError, KeyError, TypeError):
        return math.inf


def _save_image(image: Image.Image, path: Path, caption: str) -> None:
    """Write a PNG file that says what it shows."""
    path.parent.mkdir(exist_ok=True)
    texts = PngInfo()
    texts.add_itxt(CAPTION, caption)
    with atomic_write(path) as file:
        image.save(file, "PNG", pnginfo=texts)
