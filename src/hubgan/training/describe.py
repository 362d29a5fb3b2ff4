"""A configuration in words, for the model card and the plan."""

from typing import Any

from accelerate import Accelerator

from hubgan.data import ImageSource
from hubgan.runtime.counting import counted
from hubgan.runtime.names import without_folders
from hubgan.training.config import TrainingConfig
from hubgan.training.schedules import Schedule, is_used
from hubgan.training.task import Task


def without_remark(name: str) -> str:
    """A data set's name without the remark of "uoft-cs/cifar10 (JPEG copy)"."""
    return name.partition(" (")[0]


def domains(source: ImageSource) -> str:
    """Which domain is translated to which."""
    from_, to = (
        f"column {each.column!r} of {without_folders(each.name)} ({len(each):,} images)"
        for each in (source, source.targets)
        if each is not None
    )
    return f"from {from_} to {to}"


def number(value: float) -> str:
    """A number as a person writes it: 2e-4, 0.5, 90,000."""
    if value and abs(value) < 1e-3:
        mantissa, _, exponent = f"{value:.3e}".partition("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return f"{value:,.0f}" if abs(value) >= 1000 and float(value).is_integer() else f"{value:g}"


def duration(seconds: float) -> str:
    """A time as a person says it: 40 s, 12 min, 2 h 10 min, 26 h, 3 days 4 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 600:
        return f"{minutes // 60} h {minutes % 60} min"
    hours = round(minutes / 60)
    return f"{hours} h" if hours < 48 else f"{hours // 24} days {hours % 24} h"


def schedule(value: Schedule, task: Task[Any]) -> str:
    """A value that may change on the way: "2e-4", or "2e-4 to 5e-5, cosine, over 100 % of the run"."""
    if not isinstance(value, tuple):
        return number(value)
    config, each = task.config, "each part of " if len(task.active_parts) > 1 else ""
    share = f"{config.schedule_share * 100:g} % of {each}the run"
    begins = f"from {config.schedule_start * 100:g} % on, up to" if config.schedule_start else "over"
    return f"{number(value[0])} to {number(value[1])}, {config.schedule}, {begins} {share}"


def penalties(task: Task[Any]) -> str:
    """The penalties on the discriminator that are in use; "" for none."""
    config = task.config
    weights = {
        "R1, gamma": config.r1_weight,
        "R2, gamma": config.r2_weight,
        "WGAN-GP, lambda": config.gradient_penalty,
    }
    used = [f"{name} {schedule(weight, task)}" for name, weight in weights.items() if is_used(weight)]
    if not used:
        return ""
    every = f"; once in {config.penalty_every} discriminator steps, for all of them"
    return "; ".join(used) + (every if config.penalty_every > 1 else "")


def augmentation(task: Task[Any]) -> str:
    """What happens to the images at random; "" for nothing."""
    config, parts = task.config, list(task.augmentation())
    if config.augment:
        operations = f"DiffAugment of real and fake images ({', '.join(config.augment)})"
        if config.augment_target is None:
            parts.append(f"{operations} with probability {schedule(config.augment_probability, task)}")
        else:
            target = f"the mean sign of real logits at {config.augment_target:g}"
            parts.append(f"{operations} with a probability that keeps {target}")
    return "; ".join(parts)


def averaging(task: Task[Any]) -> str:
    """How the weights that are saved come from those that are trained."""
    config = task.config
    if not is_used(config.ema_half_life):
        return "none"
    half_life = schedule(config.ema_half_life, task)
    several = isinstance(config.ema_half_life, tuple)
    kept = f"half-life in images {half_life}" if several else f"half-life {half_life} images"
    ramp = f", and at most {config.ema_rampup * 100:g} % of the images seen" if config.ema_rampup else ""
    return f"exponential, {kept}{ramp}"


def frozen(task: Task[Any]) -> str:
    """What of the discriminator is not trained; "" for nothing."""
    blocks = task.config.freeze_discriminator
    return f"the first {counted(blocks, 'block')} of the discriminator (FreezeD)" if blocks else ""


def global_batch(config: TrainingConfig, accelerator: Accelerator) -> int:
    """Images behind one update, of all processes together."""
    processes: int = accelerator.num_processes
    return config.batch_size * config.gradient_accumulation_steps * processes


def batch(config: TrainingConfig, accelerator: Accelerator) -> str:
    """The global batch and what it is made of: "64 (16 x 2 accumulated x 2 processes)"."""
    accumulated, processes = config.gradient_accumulation_steps, accelerator.num_processes
    parts = [str(config.batch_size)]
    parts += [f"{accumulated} accumulated"] if accumulated > 1 else []
    parts += [f"{processes} processes"] if processes > 1 else []
    total = f"{global_batch(config, accelerator):,}"
    return f"{total} ({' x '.join(parts)})" if len(parts) > 1 else total
