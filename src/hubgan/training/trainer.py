"""The training loop, the same for every task and every set-up that Accelerate knows."""

import logging
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from tqdm.auto import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from hubgan.data import DecodedImages, ImageSource, RawBatch, StreamedImages, batches, load_images
from hubgan.errors import ConfigError, TrainingError
from hubgan.runtime.processes import decide, largest
from hubgan.training.accelerator import make_accelerator
from hubgan.training.config import TrainingConfig
from hubgan.training.measuring import Measurement, brief, open_measurement
from hubgan.training.monitor import REMEDIES, Meter, Watch
from hubgan.training.plan import describe_plan
from hubgan.training.pretrained import load_pretrained
from hubgan.training.run.checkpoints import discard_after, find_checkpoint, load_checkpoint, save_checkpoint
from hubgan.training.run.run_folder import RunFolder, run_path
from hubgan.training.run.trackers import FOLDER
from hubgan.training.signals import StopSignal, leave
from hubgan.training.task import Task
from hubgan.training.tasks.generation import Generation
from hubgan.training.tasks.upscaling import Upscaling
from hubgan.training.updates import Batch, Figures, Updates, check_penalties, means

logger = logging.getLogger(__name__)

TASKS: dict[str, type[Task[Any]]] = {"generation": Generation, "upscaling": Upscaling}

_RETURNS = 3


class Counters:
    """What a run has used up so far, kept in its checkpoints.

    Attributes:
        steps: updates of the generator.
        images: training images drawn, by all processes; the place in the data, and in all random numbers.
        updates: updates of the discriminator.
        rollbacks: returns to a checkpoint; each changes the seed of what follows.
        seconds: time spent training.
    """

    def __init__(self) -> None:
        self.steps = self.images = self.updates = self.rollbacks = 0
        self.seconds = 0.0

    def state_dict(self) -> dict[str, Any]:
        return dict(vars(self))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        vars(self).update(state)

    def progress(self, config: TrainingConfig) -> float:
        """The share of the budget used up, 1 at the end; of several budgets the one nearest to its end counts."""
        used = [
            (self.images, config.max_images),
            (self.steps, config.max_steps),
            (self.seconds / 60, config.max_minutes),
        ]
        return max(amount / limit for amount, limit in used if limit)


def train(config: TrainingConfig) -> Path:
    """Run the training that a configuration describes, on as many processes as it was launched with.

    Returns:
        The run's folder, ready to push: the averaged model, the discriminator in `discriminator/`, the card, a
        preview, the recipe.

    Raises:
        ConfigError: options that do not fit each other, the machine or the folder.
        DataError: the data set cannot be found or used.
        ModelError: the checkpoint to go on from does not fit, or the result cannot be saved or pushed.
        TrainingError: the numbers are no longer finite, or no checkpoint is whole.
        KeyboardInterrupt, SystemExit: SIGINT or SIGTERM came; a checkpoint was saved.
    """
    accelerator, task = _set_up(config)
    folder = RunFolder(config, accelerator)
    source = open_source(config, accelerator)
    task.look_at(source)
    load_pretrained(task, config, accelerator)
    measurement = open_measurement(task, accelerator, source)
    run = Run(task, config, accelerator, folder, source, measurement)
    with StopSignal() as wish:
        run.go(wish)
    updates, counters = run.updates, run.counters.state_dict()
    decide(lambda: folder.save(task, updates.averaged, updates.opponent, counters))
    results = measurement.results(updates.averaged) if measurement else []
    if results and config.eval_every:
        folder.log(counters | brief(results))
    decide(lambda: folder.finish(updates.averaged, results))
    logger.info("done: %s holds the model, samples.png and report.html", folder.path)
    accelerator.end_training()
    return folder.path


def plan(config: TrainingConfig) -> str:
    """What `train` would do, in words, found out without doing it: networks, memory, budget, schedules, data.

    Raises:
        ConfigError, DataError: as `train` does.
    """
    accelerator, task = _set_up(config)
    source = open_source(config, accelerator)
    task.look_at(source)
    load_pretrained(task, config, accelerator)
    return describe_plan(task, config, accelerator, source, open_measurement(task, accelerator, source))


def _set_up(config: TrainingConfig) -> tuple[Accelerator, Task[Any]]:
    if not (config.max_images or config.max_steps or config.max_minutes):
        raise ConfigError("the run has no end: set --max_images, --max_steps or --max_minutes")
    if config.eval_every and not config.eval_samples:
        raise ConfigError("eval_every needs images to measure by: set --eval_samples, such as 10000")
    if not config.augment and (config.augment_target is not None or config.augment_probability != 1):
        raise ConfigError("augment_target and augment_probability need operations: --augment color translation cutout")
    accelerator = make_accelerator(config, project_dir=str(run_path(config) / FOLDER))
    set_seed(config.seed)
    task = TASKS[config.task](config)  # type: ignore[attr-defined]
    check_penalties(config, task.discriminator)
    return accelerator, task


def open_source(config: TrainingConfig, accelerator: Accelerator) -> ImageSource:
    """The data set that a configuration names.

    Raises:
        DataError: it cannot be found or used.
    """
    with accelerator.main_process_first():  # the first process fills the cache of `datasets`, the others read it
        return load_images(
            config.dataset,
            config=config.dataset_config,
            split=config.split,
            column=config.image_column,
            label_column=config.label_column,
            classes=config.classes,
            streaming=config.streaming,
        )


class Run:
    """A run in the making: what changes from step to step, and what is written on the way."""

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
        self.updates = Updates(task, config, accelerator)
        self.counters, self._meter = Counters(), Meter(accelerator)
        accelerator.register_for_checkpointing(self.counters, self._meter)
        self._watch, self._returns = Watch(scaled=accelerator.scaler is not None), Counter[Path]()
        self._logged, self._waited = (0, 0.0), 0.0
        self._global_batch = config.batch_size * accelerator.num_processes
        # Each process has global random states of its own; the weights above were drawn from one seed.
        set_seed(config.seed, device_specific=True)
        self._resume()

    def go(self, wish: StopSignal) -> None:
        """Step after step, to the end of the budget or a wish to stop."""
        counters, config = self.counters, self.config
        if counters.progress(config) >= 1:
            logger.info("the budget is used up already: to train on, raise --max_images, --max_steps or --max_minutes")
        self._begun, self._before, stop = time.monotonic(), counters.seconds, 0
        self._start()
        bar = tqdm(total=1.0, initial=min(counters.progress(config), 1), disable=not self.accelerator.is_main_process,
                   bar_format="{l_bar}{bar}| {elapsed}<{remaining}{postfix}")  # fmt: skip
        with bar, logging_redirect_tqdm([logging.getLogger("hubgan")]):
            while counters.progress(config) < 1:
                if stop := self._advance(wish, bar):
                    logger.warning("stopped by a signal at step %d, saved; go on with --resume auto", counters.steps)
                    break
        if stop:
            self.accelerator.end_training()
            leave(stop)

    def _advance(self, wish: StopSignal, bar: tqdm) -> int:
        """A step, and what is due after it; returns the number of the signal that has ended the run, or 0."""
        counters, config, accelerator = self.counters, self.config, self.accelerator
        figures, shown = self._step()
        trouble = self._watch.trouble(figures)
        seconds = self._before + time.monotonic() - self._begun
        counters.seconds, stop, troubled = largest((seconds, wish.signal, bool(trouble)), accelerator)
        if troubled:
            self._go_back(trouble)
            return 0
        self._meter.add(figures)
        finished = counters.progress(config) >= 1
        if counters.steps % config.log_every == 0 or finished:
            bar.set_postfix(self._log(shown))
        if config.eval_every and counters.steps % config.eval_every == 0 and not finished and not stop:
            self._measure()
        bar.update(min(counters.progress(config), 1) - bar.n)
        if counters.steps % config.sample_every == 0 and accelerator.is_main_process:
            self.folder.preview(self.task, self.updates.averaged, counters.steps)
        if counters.steps % config.checkpoint_every == 0 or finished or stop:
            if not self.updates.are_finite():  # the update after sound gradients may have ruined them
                self._go_back("weights")
                return 0
            self._save()
        return 0 if finished else int(stop)

    def _step(self) -> tuple[Figures, dict[str, float]]:
        """One update of the generator, after those of the discriminator that belong to it."""
        counters, config, updates = self.counters, self.config, self.updates
        progress, images_before = counters.progress(config), counters.images
        shown = updates.go_to(progress)
        adversarial = self.task.adversarial(progress)
        if adversarial and not counters.updates and (counters.images or config.pretrained_model):
            decide(lambda: self.folder.keep_before_adversarial(self.task, updates.averaged))
        judged: list[Figures] = []
        parts = config.gradient_accumulation_steps
        for left in reversed(range(config.discriminator_steps if adversarial else 1)):
            drawn = [self._draw() for _ in range(parts)]
            if adversarial:
                # With several batches to add up their graphs would not fit together, so the fakes are made again.
                judged.append(updates.update_discriminator(drawn, counters.updates, keep=parts == 1 and left == 0))
                counters.updates += 1
                updates.adapt(judged[-1].pop("real_sign"), images=parts * self._global_batch)
        watch = (counters.steps + 1) % config.log_every == 0
        images = counters.images - images_before
        figures = updates.update_generator(drawn, adversarial, images, counters.images, watch)
        counters.steps += 1
        return means(judged) | figures, shown if adversarial else {"learning_rate": shown["learning_rate"]}

    def _draw(self) -> Batch:
        begun = time.monotonic()
        drawn = next(self._batches)
        self._waited += time.monotonic() - begun
        batch = self.updates.batch(drawn, self.counters.images)
        self.counters.images += self._global_batch
        return batch

    def _measure(self) -> None:
        """Log the figures of the average as it is now; the time they take does not count as training."""
        assert self._measurement is not None
        begun = time.monotonic()
        results = self._measurement.results(self.updates.averaged)
        self.folder.log(self.counters.state_dict() | brief(results))
        pause = time.monotonic() - begun
        self._begun, self._logged = self._begun + pause, (self._logged[0], self._logged[1] + pause)

    def _log(self, shown: dict[str, float]) -> dict[str, Any]:
        """Write a line to metrics.jsonl and the tracker; returns what the progress bar shows of it."""
        now, counters = time.monotonic(), self.counters
        images, then = self._logged
        images_per_second, data_wait = (counters.images - images) / (now - then), self._waited / (now - then)
        self._logged, self._waited = (counters.images, now), 0.0
        values = self._meter.means()
        self._watch.complain(values, counters.progress(self.config))
        speed = {"images_per_second": round(images_per_second, 1), "data_wait": round(data_wait, 4)}
        replaced = self.accelerator.reduce(torch.tensor(self.images.replaced, device=self.accelerator.device), "sum")
        speed |= {"replaced_images": int(replaced)} if replaced else {}
        self.folder.log(counters.state_dict() | values | shown | speed)
        return _brief(values) | {"img/s": f"{images_per_second:.0f}", "data": f"{data_wait:.0%}"}

    # -- going on, going back ----------------------------------------------------------------------------------

    def _save(self) -> None:
        self._meter.settle()
        save_checkpoint(
            self.accelerator, self.folder.checkpoints, self.counters.steps, keep=self.config.keep_checkpoints
        )

    def _resume(self) -> None:
        checkpoint = None
        if self.config.resume:
            checkpoint = find_checkpoint(self.config.resume, self.folder.checkpoints)
        if checkpoint is not None:
            self.folder.compare(self.source.fingerprint)  # first, as it may explain why the checkpoint does not fit
            load_checkpoint(self.accelerator, checkpoint)
            logger.info("going on from %s", checkpoint)
        elif self.config.resume:
            logger.info("there is no checkpoint in %s yet: starting anew", self.folder.checkpoints)
        self._settle_in(checkpoint)
        source, images = self.source, self.images
        used, skipped = (len(images), images.skipped) if isinstance(images, DecodedImages) else (source.size, None)
        if used and used < self._global_batch:
            logger.warning("a batch (%d) holds every one of the %d images more than once", self._global_batch, used)
        self.folder.begin(
            self.counters.steps, checkpoint, fingerprint=source.fingerprint, images=used, skipped=skipped
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
            TrainingError: told to stop, nowhere to return to, or returned there too often.
        """
        counters = self.counters
        what = f"step {counters.steps}: {trouble or 'a figure of another process'} not finite"
        checkpoint = find_checkpoint("auto", self.folder.checkpoints)
        where = f"--resume auto goes on from {checkpoint}" if checkpoint else "there is no checkpoint yet"
        if self.config.on_nonfinite == "stop" or checkpoint is None:
            raise TrainingError(f"{what}; {where}; {REMEDIES}")
        if self._returns[checkpoint] == _RETURNS:  # the trouble may lie in it: try the one before
            earlier = find_checkpoint("auto", self.folder.checkpoints, before=checkpoint)
            if earlier is None:
                raise TrainingError(f"{what}, {_RETURNS + 1} times after {checkpoint}; {REMEDIES}")
            checkpoint = earlier
        self._returns[checkpoint] += 1
        rollbacks, seconds = counters.rollbacks + 1, counters.seconds
        load_checkpoint(self.accelerator, checkpoint)
        logger.warning("%s; back to %s with another seed. If it comes again, %s", what, checkpoint, REMEDIES)
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
        with self.accelerator.local_main_process_first():
            images = DecodedImages(
                self.source,
                self.task.transform,
                memory=memory,
                progress=self.accelerator.is_local_main_process,
                labelled=self.task.labelled,
            )
        if (device := self.accelerator.device).type == "cuda":  # small sets need no loader there
            images.keep_on(device, limit=torch.cuda.mem_get_info(device)[0] / 8)
        return images

    def _start(self) -> None:
        """From where the run stands: batches by a seed that is another after each return, and a fresh watch."""
        self._logged, self._waited = (self.counters.images, time.monotonic()), 0.0
        self._watch = Watch(scaled=self.accelerator.scaler is not None)
        seed = self.config.seed + (self.counters.rollbacks << 31)
        self.updates.reseed(seed)
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


def _brief(values: dict[str, float]) -> dict[str, str]:
    """The figures as the progress bar has room for: of pairs the discriminator's, or the fakes', first."""
    pairs = {
        "loss": ("discriminator", "adversarial"),
        "accuracy": ("fake_accuracy", "real_accuracy"),
        "gradient": ("discriminator_gradient_norm", "generator_gradient_norm"),
        "overlap": ("fake_overlap", "real_overlap"),
    }
    told = {name: "/".join(f"{values[key]:.2g}" for key in keys if key in values) for name, keys in pairs.items()}
    told |= {name: f"{values[name]:.2g}" for name in ("pixel", "perceptual") if name in values}
    return {name: text for name, text in told.items() if text}
