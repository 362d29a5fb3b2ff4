"""The folder of a run: what is written on the way, and the repository it ends as."""

import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
import yaml
from accelerate import Accelerator
from PIL import Image

from hubgan.errors import ConfigError, ModelError
from hubgan.models import Discriminator, HubModel
from hubgan.models.card import TrainingRun
from hubgan.publish import make_repository, push_folder
from hubgan.training.config import TrainingConfig
from hubgan.training.task import Task
from hubgan.version import __version__


class RunFolder:
    """`path/`: metrics.jsonl, samples/, checkpoints/ on the way; at the end model, card, samples.png, recipe.yaml.

    Raises:
        ConfigError: the folder cannot be written, or holds another run.
    """

    def __init__(self, config: TrainingConfig, accelerator: Accelerator) -> None:
        self.config, self.accelerator = config, accelerator
        self.path = Path(config.output_dir or f"runs/{Path(config.config).stem}")
        self.checkpoints = self.path / "checkpoints"
        self._metrics = self.path / "metrics.jsonl"
        if accelerator.is_main_process:
            if self._metrics.exists() and not config.resume:
                raise ConfigError(
                    f"{self.path} already holds a run; go on with it by --resume auto, or name another folder"
                    " with --output_dir"
                )
            try:
                (self.path / "samples").mkdir(parents=True, exist_ok=True)
                self.checkpoints.mkdir(exist_ok=True)
                with tempfile.TemporaryFile(dir=self.path):
                    pass
            except OSError as error:
                raise ConfigError(f"the run's folder {self.path} cannot be written: {error}") from error
            if config.push_to_hub:
                make_repository(config.push_to_hub, private=config.private)
        accelerator.wait_for_everyone()

    def log(self, values: dict[str, Any]) -> None:
        """Add a line to metrics.jsonl (on the main process)."""
        if self.accelerator.is_main_process:
            with self._metrics.open("a", encoding="utf-8") as file:
                file.write(json.dumps(values) + "\n")

    def preview(self, task: Task[Any], model: HubModel, step: int) -> None:
        """Write samples/step-00001000.png."""
        _save_image(task.preview(model), self.path / "samples" / f"step-{step:08d}.png")

    def finish(self, task: Task[Any], model: HubModel, discriminator: Discriminator, counters: dict[str, Any]) -> None:
        """Turn the folder into a repository ready to push, and push it when that was asked for.

        Raises:
            ModelError: it cannot be saved or pushed.
        """
        name = self.config.push_to_hub or self.path.resolve().name
        model.training_run = discriminator.training_run = self._record(counters, task)
        left_out = {"config", "resume", "push_to_hub", "output_dir", "dataset_name"}
        recipe = self.config.model_dump(exclude=left_out, exclude_none=True) | {"dataset": self._dataset_name()}
        try:
            _save_image(task.preview(model), self.path / "samples.png")
            with _beside(self.path / "recipe.yaml") as file:
                file.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
        except OSError as error:
            raise ModelError(f"cannot save the model in {self.path}: {error}") from error
        model.save_pretrained(self.path, model_card_kwargs={"name": name, "picture": "samples.png"})
        card = {"name": name, "subfolder": "discriminator"}
        discriminator.save_pretrained(self.path / "discriminator", model_card_kwargs=card)
        if self.config.push_to_hub:
            push_folder(self.path, self.config.push_to_hub)

    def _dataset_name(self) -> str:
        """A path says where a data set lies on this machine, which is nobody's business: only its end is told."""
        path = Path(self.config.dataset).expanduser()
        return self.config.dataset_name or (path.resolve().name if path.exists() else self.config.dataset)

    def _record(self, counters: dict[str, Any], task: Task[Any]) -> TrainingRun:
        """What the card says about the training."""
        config, accelerator = self.config, self.accelerator
        facts = {
            "data set": f"{self._dataset_name()}, split {config.split}",
            "images seen": f"{counters['images']:,}, in {counters['steps']:,} steps of"
            f" {config.batch_size * accelerator.num_processes}",
            "time": f"{counters['seconds'] / 60:.0f} minutes on {_hardware(accelerator)}",
            "precision": {"no": "float32"}.get(accelerator.mixed_precision, accelerator.mixed_precision),
            "objective": config.objective.replace("_", "-"),
            "averaging": f"exponential, decay {config.ema_decay} a step" if config.ema_decay else "none",
            "recipe": "`recipe.yaml` beside this card: `accelerate launch train.py --config recipe.yaml`, with"
            " `--dataset` where the data lies elsewhere",
            "software": f"hubgan {__version__}, torch {torch.__version__}, Python {platform.python_version()}",
        }
        run: dict[str, object] = {"dataset": self._dataset_name(), "facts": facts, "picture_caption": task.caption}
        run |= {"license": config.license, "notice": config.notice}
        return cast(TrainingRun, {key: value for key, value in run.items() if value})


def _hardware(accelerator: Accelerator) -> str:
    if accelerator.device.type == "cuda":
        return f"{accelerator.num_processes} x {torch.cuda.get_device_name()}"
    threads = torch.get_num_threads()
    each = f", {accelerator.num_processes} processes" if accelerator.num_processes > 1 else ""
    return f"{threads} CPU thread{'s' if threads > 1 else ''}{each} ({_processor()}, {accelerator.device.type})"


def _processor() -> str:
    if sys.platform == "linux" and os.access("/proc/cpuinfo", os.R_OK):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _save_image(image: Image.Image, path: Path) -> None:
    with _beside(path) as file:
        image.save(file, "PNG")


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A file to write, renamed to `path` once it is whole."""
    beside = path.with_name(f".{path.name}")
    yield beside
    beside.replace(path)
