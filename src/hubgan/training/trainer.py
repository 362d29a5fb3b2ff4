"""The training loop, the same for every task and every set-up that Accelerate knows."""

import copy
import logging
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from tqdm.auto import tqdm

from hubgan.data import DecodedImages, ImageSource, RawBatch, StreamedImages, UnpairedImages, batches
from hubgan.errors import TrainingError
from hubgan.runtime.counting import counted
from hubgan.runtime.devices import memory_for_data
from hubgan.runtime.processes import decide, largest
from hubgan.runtime.seeding import derive
from hubgan.training import describe
from hubgan.training.config import TrainingConfig
from hubgan.training.measuring import Measurement, brief
from hubgan.training.monitor import Meter, Monitor
from hubgan.training.run.checkpoints import discard_after, find_checkpoint, load_checkpoint, save_checkpoint
from hubgan.training.run.run_folder import RunFolder
from hubgan.training.signals import StopSignal
from hubgan.training.step import Figures, Step
from hubgan.training.task import Batch, Part, Task

logger = logging.getLogger(__name__)

_RETURNS = 3


class Counters:
    """What a run has used up so far, kept in its checkpoints.

    Attributes:
        steps: steps, each of which ends with one update of its last phase (the generator's).
        images: training images drawn, by all processes; the place in the data, and in all random numbers.
        updates: updates of the phases before the last one of a step (the discriminator's).
        by_phase: updates by the name of their phase.
        rollbacks: returns to a checkpoint; each changes the seed of what follows.
        seconds: time spent training.
        kept: the files of weights that were kept when a part of the run began; None in a checkpoint of an earlier
            version.
    """

    def __init__(self) -> None:
        self.steps = self.images = self.updates = self.rollbacks = 0
        self.seconds = 0.0
        self.by_phase: dict[str, int] = {}
        self.kept: list[str] | None = []

    def figures(self) -> dict[str, Any]:
        """What a line of the log says of them."""
        return {name: value for name, value in vars(self).items() if name not in ("by_phase", "kept")}

    def state_dict(self) -> dict[str, Any]:
        return copy.deepcopy(vars(self))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.by_phase, self.kept = {"discriminator": state["updates"]}, None  # as in earlier versions
        vars(self).update(state)

    def progress(self, config: TrainingConfig) -> float:
        """The share of the budget that is used up, 1 at the end. Of all limits the one nearest to its end counts."""
        used = [
            (self.images, config.max_images),
            (self.steps, config.max_steps),
            (self.seconds / 60, config.max_minutes),
        ]
        return max(amount / limit for amount, limit in used if limit)


class Trainer:
    """Trains a task, step after step, and writes what a run leaves on the way.

    Attributes:
        step: the networks, and how they are updated.
        counters: what the run has used up.
    """

    def __init__(
        self,
        task: Task[Any],
        config: TrainingConfig,
        accelerator: Accelerator,
        folder: RunFolder,
        source: ImageSource,
        measurement: Measurement | None = None,
    ) -> None:
        self.task, self.config, self.accelerator, self.folder, self.source = task, config, accelerator, folder, source
        self._measurement = measurement
        self.images = self._open_data()
        self.step = Step(task, config, accelerator)
        self.counters, self._meter = Counters(), Meter(accelerator)
        accelerator.register_for_checkpointing(self.counters, self._meter)
        self._monitor, self._returns = Monitor(config, scaled=accelerator.scaler is not None), Counter[Path]()
        self._logged, self._waited = (0, 0.0), 0.0
        self._global_batch = config.batch_size * accelerator.num_processes
        # Each process has global random states of its own; the weights above were drawn from one seed.
        set_seed(config.seed, device_specific=True)
        self._resume()

    def train(self, stop_signal: StopSignal) -> int:
        """Train to the end of the budget, or until a signal asks to stop.

        Returns:
            The number of the signal that has ended it before that, after a checkpoint was saved; else 0.
        """
        counters, config = self.counters, self.config
        if counters.progress(config) >= 1:
            logger.info(
                "The budget is already used up. To train longer, raise --max_images, --max_steps or --max_minutes"
            )
        self._begun, self._before, stop = time.monotonic(), counters.seconds, 0
        self._progress_before, self._estimated = counters.progress(config), False
        self._start()
        if self._resumed:
            self.folder.push_checkpoint(self._resumed, counters.kept or [], again=True)
        logger.info("Training in %s. Its report.html shows samples and curves ...", self.folder.path)
        bar = progress_bar(counters.progress(config), disable=not self.accelerator.is_main_process)
        with bar:
            while counters.progress(config) < 1:
                if stop := self._advance(stop_signal, bar):
                    logger.info(
                        "Stopped at step %d, after saving a checkpoint. Continue with the same command and --resume",
                        counters.steps,
                    )
                    break
        return stop

    def _advance(self, stop_signal: StopSignal, bar: "tqdm[NoReturn]") -> int:
        """A step, and what is due after it; returns the number of the signal that has ended the run, or 0."""
        counters, config, accelerator = self.counters, self.config, self.accelerator
        figures, shown = self._step()
        trouble = self._monitor.trouble(figures)
        seconds = self._before + time.monotonic() - self._begun
        counters.seconds, stop, troubled = largest((seconds, stop_signal.signal, bool(trouble)), accelerator)
        if troubled:
            self._go_back(trouble)
            return 0
        self._meter.add(figures)
        finished = counters.progress(config) >= 1
        if counters.steps % config.log_every == 0 or finished:
            bar.set_postfix_str(self._log(shown), refresh=False)
        if config.eval_every and counters.steps % config.eval_every == 0 and not finished and not stop:
            self._measure()
        bar.update(min(counters.progress(config), 1) - bar.n)
        if counters.steps % config.sample_every == 0 and accelerator.is_main_process:
            self.folder.preview(self.task, self.step.models, counters.steps)
        if counters.steps % config.checkpoint_every == 0 or finished or stop:
            if not self.step.are_finite():  # the update after sound gradients may have ruined them
                self._go_back("weights")
                return 0
            self._save()
        return 0 if finished else int(stop)

    def _step(self) -> tuple[Figures, dict[str, float]]:
        """One step: the updates of all phases of the present part."""
        counters, config, step = self.counters, self.config, self.step
        progress, images_before = counters.progress(config), counters.images
        shown = step.set_progress(progress)
        part = self.task.part(progress)
        self._keep_weights(part)
        monitor = (counters.steps + 1) % config.log_every == 0
        figures = step.updates(part, self._draw, counters.by_phase, monitor=monitor)
        step.finish(counters.images - images_before, counters.images)
        counters.steps += 1
        counters.updates += sum(phase.repeats for phase in part.phases[:-1])
        return figures, shown

    def _keep_weights(self, part: Part) -> None:
        """Keep the weights that a part begins with, once, if its task wants to publish them."""
        counters, file = self.counters, part.keep_weights
        if counters.kept is None:  # an earlier version kept them before the first update of a discriminator
            counters.kept = [file] if file and counters.updates else []
        if file is None or file in counters.kept:
            return
        counters.kept.append(file)
        if counters.images or self.config.pretrained_model:
            decide(lambda: self.folder.keep_weights(self.step.models[self.task.main], file))

    def _draw(self) -> Batch:
        begun = time.monotonic()
        raw = next(self._batches)
        self._waited += time.monotonic() - begun
        batch = self.step.batch(raw, self.counters.images)
        self.counters.images += self._global_batch
        return batch

    def _measure(self) -> None:
        """Log the figures of the present averages; the time they take does not count as training."""
        assert self._measurement is not None
        begun = time.monotonic()
        results = self._measurement.results(self.step.models)
        self.folder.log(self.counters.figures() | brief(results))
        pause = time.monotonic() - begun
        self._begun, self._logged = self._begun + pause, (self._logged[0], self._logged[1] + pause)

    def _log(self, shown: dict[str, float]) -> str:
        """Write a line to metrics.jsonl and the tracker; returns what the progress bar shows of it."""
        now, counters = time.monotonic(), self.counters
        images, then = self._logged
        images_per_second, data_wait = (counters.images - images) / (now - then), self._waited / (now - then)
        self._logged, self._waited = (counters.images, now), 0.0
        values = self._meter.means()
        self._estimate(now)
        self._monitor.warn_of_collapse(values, counters.progress(self.config))
        speed = {"images_per_second": round(images_per_second, 1), "data_wait": round(data_wait, 4)}
        replaced = self.accelerator.reduce(torch.tensor(self.images.replaced, device=self.accelerator.device), "sum")
        speed |= {"replaced_images": int(replaced)} if replaced else {}
        self.folder.log(counters.figures() | values | shown | speed)
        return ", ".join(filter(None, [_losses(values), f"{images_per_second:,.0f} images/s"]))

    def _estimate(self, now: float) -> None:
        """Say once how long the run will take, by the time of its first steps."""
        progress = self.counters.progress(self.config)
        done = progress - self._progress_before
        if self._estimated or progress >= 1 or done <= 0:
            return
        self._estimated = True
        left = (now - self._begun) * (1 - progress) / done
        logger.info("The run needs about %s more at this speed", describe.duration(left))

    # -- resuming, going back ----------------------------------------------------------------------------------

    def _save(self) -> None:
        self._meter.settle()
        checkpoint = save_checkpoint(
            self.accelerator, self.folder.checkpoints, self.counters.steps, keep=self.config.keep_checkpoints
        )
        self.folder.push_checkpoint(checkpoint, self.counters.kept or [])

    def _resume(self) -> None:
        checkpoint = None
        if self.config.resume:
            checkpoint = find_checkpoint(self.config.resume, self.folder.checkpoints)
        if checkpoint is not None:
            # First, as it may explain why the checkpoint does not fit.
            self.folder.compare(self.source.fingerprint, scheduled=self.task.follows_budget)
            load_checkpoint(self.accelerator, checkpoint)
            logger.info("Resuming from %s", checkpoint)
        elif self.config.resume:
            logger.info(
                "There is no checkpoint in %s yet, so the run starts from the beginning", self.folder.checkpoints
            )
        self._resumed = checkpoint
        self._settle_in(checkpoint)
        source, images = self.source, self.images
        used, skipped = (len(images), images.skipped) if isinstance(images, DecodedImages) else (source.size, None)
        if used and used < self._global_batch:
            logger.warning(
                "a batch of %d images holds each of the data set's %s more than once",
                self._global_batch,
                counted(used, "image"),
            )
        self.folder.begin(
            self.counters.steps,
            checkpoint,
            fingerprint=source.fingerprint,
            columns=source.columns,
            images=used,
            skipped=skipped,
        )

    def _settle_in(self, checkpoint: Path | None) -> None:
        """Forget what the run folder holds of the time after the checkpoint: it will be written again."""

        def forget() -> None:
            discard_after(self.folder.checkpoints, checkpoint)
            self.folder.resume_at(self.counters.steps)

        decide(forget)

    def _go_back(self, trouble: str) -> None:
        """Return to the last good checkpoint and draw other numbers from there, or end the run.

        Raises:
            TrainingError: the run is configured to stop, or there is no checkpoint to return to, or it did not help.
        """
        counters = self.counters
        what = f"step {counters.steps}: {trouble or 'a figure of another process'} not finite"
        checkpoint = find_checkpoint("auto", self.folder.checkpoints)
        where = f"--resume continues from {checkpoint}" if checkpoint else "there is no checkpoint yet"
        if self.config.on_nonfinite == "stop" or checkpoint is None:
            raise TrainingError(f"{what}; {where}", self._monitor.remedies)
        if self._returns[checkpoint] == _RETURNS:  # the trouble may lie in it: try the one before
            earlier = find_checkpoint("auto", self.folder.checkpoints, before=checkpoint)
            if earlier is None:
                raise TrainingError(f"{what}, {_RETURNS + 1} times after {checkpoint}", self._monitor.remedies)
            checkpoint = earlier
        self._returns[checkpoint] += 1
        rollbacks, seconds = counters.rollbacks + 1, counters.seconds
        load_checkpoint(self.accelerator, checkpoint)
        logger.warning(
            "%s. Going back to %s, with another seed. If it happens again: %s",
            what,
            checkpoint,
            self._monitor.remedies,
        )
        counters.rollbacks, counters.seconds = rollbacks, seconds
        self._settle_in(checkpoint)
        self._start()

    # -- data --------------------------------------------------------------------------------------------------

    def _open_data(self) -> DecodedImages | StreamedImages:
        """The images, decoded once on each machine, or as a stream."""
        if self.source.streaming:
            return StreamedImages(
                self.source, self.task.transform, buffer=self.config.shuffle_buffer, labelled=self.task.labelled
            )
        memory = int(self.config.decoded_gb * 1e9)
        kind = DecodedImages if self.source.targets is None else UnpairedImages
        with self.accelerator.local_main_process_first():
            images = kind(
                self.source,
                self.task.transform,
                memory=memory,
                progress=self.accelerator.is_local_main_process,
                labelled=self.task.labelled,
            )
        if limit := memory_for_data(self.accelerator.device):  # small sets need no loader there
            images.keep_on(self.accelerator.device, limit=limit)
        return images

    def _start(self) -> None:
        """Draw batches from the present position, by a seed that each rollback changes, with a fresh monitor."""
        self._logged, self._waited = (self.counters.images, time.monotonic()), 0.0
        self._monitor = Monitor(self.config, scaled=self.accelerator.scaler is not None)
        seed = derive(self.config.seed, "rollback", self.counters.rollbacks)
        self.step.reseed(seed)
        self._batches: Iterator[RawBatch] = batches(
            self.images,
            batch_size=self.config.batch_size,
            seed=seed,
            position=self.counters.images,
            rank=self.accelerator.process_index,
            world=self.accelerator.num_processes,
            num_workers=self.config.num_workers,
            device=self.accelerator.device,
        )


def progress_bar(done: float, *, disable: bool = False) -> "tqdm[NoReturn]":
    """The bar of a run, which fits a terminal of 80 columns: the share done (0 to 1), the time left, and a postfix.

    In a file it is a line a minute.
    """
    watched = sys.stderr.isatty()
    return tqdm(
        total=1.0,
        initial=min(done, 1),
        disable=disable,
        mininterval=0.1 if watched else 60,
        maxinterval=10 if watched else 60,
        bar_format="{percentage:3.0f}%|{bar}| {remaining} left{postfix}",
    )


def _losses(values: dict[str, float]) -> str:
    """The losses of a line of the log: the discriminator's and the generator's, or that of the pixels alone."""
    losses = [values[name] for name in ("discriminator", "adversarial") if name in values]
    losses = losses or [values[name] for name in ("pixel",) if name in values]
    return f"loss {' / '.join(f'{loss:.2g}' for loss in losses)}" if losses else ""
