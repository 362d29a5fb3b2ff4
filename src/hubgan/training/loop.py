"""The training loop, the same for every task and every set-up that Accelerate knows."""

import logging
import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias, cast

import torch
from accelerate import Accelerator, DataLoaderConfiguration
from accelerate.utils import (
    DistributedDataParallelKwargs,
    InitProcessGroupKwargs,
    broadcast,
    parse_flag_from_env,
    set_seed,
)
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from hubgan.data import Images, load_images
from hubgan.errors import ConfigError, DataError
from hubgan.models import HubModel
from hubgan.training.checkpoints import find_checkpoint, load_checkpoint, save_checkpoint
from hubgan.training.config import TrainingConfig
from hubgan.training.generation import Generation
from hubgan.training.run_folder import RunFolder
from hubgan.training.task import Task
from hubgan.training.upscaling import Upscaling

logger = logging.getLogger(__name__)

Tensors: TypeAlias = tuple[Tensor, ...] | list[Tensor]

TASKS: dict[str, type[Task[Any]]] = {"generation": Generation, "upscaling": Upscaling}


class Counters:
    """What a run has used up so far, kept in its checkpoints."""

    def __init__(self) -> None:
        self.steps = self.images = self.epoch = self.batches = 0
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
        ConfigError: options that do not fit each other or the folder.
        DataError: the data set cannot be found or used.
        ModelError: the checkpoint to go on from does not fit, or the result cannot be saved or pushed.
    """
    if not (config.max_images or config.max_steps or config.max_minutes):
        raise ConfigError("the run has no end: set --max_images, --max_steps or --max_minutes")
    accelerator = Accelerator(
        mixed_precision=_precision(config.mixed_precision),
        dataloader_config=DataLoaderConfiguration(use_seedable_sampler=True, data_seed=config.seed),
        # The discriminator runs twice a step; buffers broadcast in between would change under its first graph.
        kwargs_handlers=[
            DistributedDataParallelKwargs(broadcast_buffers=False),
            # The others wait while the first process downloads a data set, or pushes the result.
            InitProcessGroupKwargs(timeout=timedelta(hours=3)),
        ],
    )
    if accelerator.num_processes == 1 and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError(
            "several processes were started, but Accelerate sees one: launch with accelerate launch --cpu"
        )
    set_seed(config.seed)
    task = TASKS[config.task](config)  # type: ignore[attr-defined]
    folder = RunFolder(config, accelerator)
    dataset = _dataset(task, config, accelerator)
    loader = DataLoader(
        dataset,
        batch_size=config.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=config.num_workers,
        generator=torch.Generator(),  # or each epoch would draw from the state that the noise comes from
        pin_memory=accelerator.device.type == "cuda",
    )

    model, discriminator = (m.to(memory_format=torch.channels_last) for m in (task.model, task.discriminator))
    betas = (config.adam_beta1, config.adam_beta2)
    model_optimizer = torch.optim.Adam(model.parameters(), config.learning_rate, betas)
    opponent_optimizer = torch.optim.Adam(discriminator.parameters(), config.discriminator_learning_rate, betas)
    ema = _average(model.to(accelerator.device), config.ema_decay)
    model, discriminator, model_optimizer, opponent_optimizer, loader = accelerator.prepare(
        model, discriminator, model_optimizer, opponent_optimizer, loader
    )
    counters = Counters()
    accelerator.register_for_checkpointing(ema, counters)
    # Each process draws noise of its own; the weights above were drawn from one seed.
    set_seed(config.seed, device_specific=True)
    if config.resume and (checkpoint := find_checkpoint(config.resume, folder.checkpoints)):
        load_checkpoint(accelerator, checkpoint)
        logger.info("going on from %s", checkpoint)

    opponent, averaged = accelerator.unwrap_model(discriminator), cast(HubModel, ema.module)
    started, before = time.monotonic(), counters.seconds
    bar = tqdm(total=1.0, initial=counters.progress(config), disable=not accelerator.is_main_process,
               bar_format="{l_bar}{bar}| {elapsed}<{remaining}{postfix}")  # fmt: skip
    logged = (counters.images, time.monotonic())
    for images in _batches(loader, dataset, counters, accelerator):
        progress = counters.progress(config)
        if progress >= 1:
            break
        adversarial = task.adversarial(progress)
        _set_rate(model_optimizer, task.learning_rate(progress))
        _set_rate(opponent_optimizer, task.discriminator_learning_rate(progress))
        inputs, real = task.batch(images)
        inputs, real = (t.contiguous(memory_format=torch.channels_last) if t.ndim == 4 else t for t in (inputs, real))

        with accelerator.autocast():
            fake = model(inputs)
        losses: dict[str, Tensor] = {}
        if adversarial:
            opponent.requires_grad_(True)
            with accelerator.autocast():
                losses["discriminator"] = task.discriminator_loss(discriminator, real, fake)
            _update(accelerator, losses["discriminator"], discriminator, opponent_optimizer, config.clip_grad_norm)
            opponent.requires_grad_(False)
        with accelerator.autocast():
            # The bare discriminator: its gradients are off, so its wrapper would wait for none.
            terms = task.generator_losses(opponent if adversarial else None, real, fake)
        _update(
            accelerator,
            torch.stack(list(terms.values())).sum(),
            model,
            model_optimizer,
            config.clip_grad_norm,
        )
        ema.update_parameters(accelerator.unwrap_model(model))

        counters.steps += 1
        counters.batches += 1
        counters.images += len(images) * accelerator.num_processes
        counters.seconds = _agree(before + time.monotonic() - started, config, accelerator)
        finished = counters.progress(config) >= 1
        if counters.steps % config.log_every == 0 or finished:
            now = time.monotonic()
            rate = (counters.images - logged[0]) / (now - logged[1])
            logged = (counters.images, now)
            values = {name: value.item() for name, value in {**losses, **terms}.items()}
            folder.log(counters.state_dict() | values | {"images_per_second": round(rate, 1)})
            bar.set_postfix(values | {"img/s": f"{rate:.0f}"})
        if accelerator.is_main_process:
            bar.update(min(counters.progress(config), 1) - bar.n)
            if counters.steps % config.sample_every == 0:
                folder.preview(task, averaged, counters.steps)
        if counters.steps % config.checkpoint_every == 0 or finished:
            save_checkpoint(accelerator, folder.checkpoints, counters.steps)
    bar.close()
    if accelerator.is_main_process:
        folder.finish(task, averaged, opponent, counters.state_dict())
    accelerator.wait_for_everyone()
    accelerator.end_training()
    return folder.path


def _precision(wanted: str) -> str:
    """What "auto" means here: the launcher's word, else bf16 where the hardware computes in it, else float32."""
    if wanted != "auto":
        return wanted
    if (launched := os.environ.get("ACCELERATE_MIXED_PRECISION", "no")) != "no":
        return launched
    if torch.accelerator.is_available() and not parse_flag_from_env("ACCELERATE_USE_CPU"):
        native = torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    else:  # a CPU without these instructions emulates bf16, twenty times slower than float32
        native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16" if native else "no"


def _dataset(task: Task[Any], config: TrainingConfig, accelerator: Accelerator) -> Images:
    with accelerator.main_process_first():  # the first process fills the cache of `datasets`, the others read it
        source = load_images(
            config.dataset, config=config.dataset_config, split=config.split, column=config.image_column
        )
    dataset = task.dataset(source, accelerator.is_main_process)
    if len(dataset) < config.batch_size * accelerator.num_processes:
        raise DataError(
            f"{config.dataset} has {len(dataset)} usable images, fewer than one batch"
            f" ({config.batch_size} x {accelerator.num_processes} processes); set a smaller --batch_size"
        )
    return dataset


def _batches(loader: Any, images: Images, counters: Counters, accelerator: Accelerator) -> Iterator[Tensor]:
    """Epoch after epoch; after a resume from where the interrupted epoch stood."""
    while True:
        rest = accelerator.skip_first_batches(loader, counters.batches) if counters.batches else loader
        rest.set_epoch(counters.epoch)  # the order
        images.set_epoch(counters.epoch)  # the augmentation, which Accelerate forgets when it shards or skips
        yield from rest
        counters.epoch += 1
        counters.batches = 0


def _average(model: nn.Module, decay: float) -> AveragedModel:
    """The exponential moving average of weights and buffers (BatchNorm's statistics are half of a DCGAN).

    The decay grows with the steps taken, (1 + n) / (10 + n), so that a short run is not left with its first weights.
    """

    def average(old: Tensors, new: Tensors, steps: Tensor | int) -> None:
        n = int(steps)
        if old[0].is_floating_point():
            torch._foreach_lerp_(old, new, 1 - min(decay, (1 + n) / (10 + n)))
        else:
            torch._foreach_copy_(old, new)

    return AveragedModel(model, multi_avg_fn=average, use_buffers=True).eval().requires_grad_(False)


def _set_rate(optimizer: Any, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def _update(accelerator: Accelerator, loss: Tensor, model: nn.Module, optimizer: Any, clip: float) -> None:
    optimizer.zero_grad()
    accelerator.backward(loss)
    if clip:
        accelerator.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()


def _agree(seconds: float, config: TrainingConfig, accelerator: Accelerator) -> float:
    """The first process's clock, where a clock decides: all processes must stop at the same step."""
    if not config.max_minutes or accelerator.num_processes == 1:
        return seconds
    return broadcast(torch.tensor(seconds, device=accelerator.device, dtype=torch.float32)).item()
