"""What `--dry_run` prints: everything that a run is going to do, before it does it."""

from collections.abc import Sequence
from typing import Any

from accelerate import Accelerator

from hubgan.data import ImageSource
from hubgan.errors import DataError
from hubgan.runtime.counting import counted
from hubgan.training import describe
from hubgan.training.config import TrainingConfig
from hubgan.training.measuring import Measurement
from hubgan.training.memory import estimate
from hubgan.training.rented import Rented
from hubgan.training.run.folders import run_path
from hubgan.training.run.provenance import hardware_line, precision
from hubgan.training.schedules import is_used
from hubgan.training.task import Part, Task

_EXAMPLES = 16


def describe_plan(
    task: Task[Any],
    config: TrainingConfig,
    accelerator: Accelerator,
    source: ImageSource | None = None,
    measurement: Measurement | None = None,
    *,
    missing: str = "",
    seconds: Sequence[float] = (),
    rented: Rented | None = None,
) -> str:
    """The plan of a run in lines of text; nothing is written, and no network is changed.

    Args:
        task: the task, with its networks.
        config: the run's options.
        accelerator: tells processes, device and precision.
        source: the data set, if it has been opened.
        measurement: what is measured at the end, if anything is.
        missing: why the data set has not been opened.
        seconds: of a step in each part of the run, if steps have been timed.
        rented: the machine that the run is for, if it is not this one.
    """
    wanted = task.measures.format(samples=config.eval_samples) if config.eval_samples and source is None else "nothing"
    here = "this machine, where steps are timed" if rented else "machine"
    sections = {
        "networks": _networks(task),
        "memory": _memory(task, config, accelerator),
        "budget": _budget(task, config, accelerator, source, seconds, rented),
        "optimisation": _optimisation(task, config),
        "data": _data(task, config, source, missing),
        here: [hardware_line(accelerator), f"precision {precision(accelerator)}"]
        + (["networks compiled"] if config.compile else []),
        "result": [*_result(config), f"measured at the end: {measurement or wanted}"],
    }
    if rented:
        sections["rented machine"] = rented.describe()
    lines = [f"Plan of the recipe {config.config} ({config.task}). Nothing was started."]
    for name, parts in sections.items():
        lines += [f"\n{name}", *(f"  {part}" for part in parts)]
    return "\n".join(lines)


def size(count: float) -> str:
    """Bytes in MiB or GiB."""
    return f"{count / 2**30:,.1f} GiB" if count >= 2**30 else f"{count / 2**20:,.0f} MiB"


def _networks(task: Task[Any]) -> list[str]:
    return [
        f"{name}: {type(network).__name__} {network.config['architecture']}: {network.num_parameters():,} parameters ("
        + ", ".join(f"{key} {value}" for key, value in network.config.items() if key != "architecture")
        + ")"
        for name, network in task.networks.items()
    ]


def _memory(task: Task[Any], config: TrainingConfig, accelerator: Accelerator) -> list[str]:
    parts = estimate(task, config, precision(accelerator), accelerator.num_processes)
    return [
        f"estimated at about {size(sum(parts.values()))} on the device of each process:",
        ", ".join(f"{name} {size(count)}" for name, count in parts.items()),
        "not included: working memory of convolutions, torch itself, the data",
    ]


def _budget(
    task: Task[Any],
    config: TrainingConfig,
    accelerator: Accelerator,
    source: ImageSource | None,
    seconds: Sequence[float],
    rented: Rented | None = None,
) -> list[str]:
    limits = {
        "images": config.max_images and f"{config.max_images:,}",
        "steps": config.max_steps and f"{config.max_steps:,}",
        "minutes": config.max_minutes and f"{config.max_minutes:g}",
    }
    given = [f"{limit} {name}" for name, limit in limits.items() if limit]
    lines = [
        " or ".join(given) + (", whichever comes first" if len(given) > 1 else "") or "none: the run has no budget"
    ]
    parts, batch = task.active_parts, describe.global_batch(config, accelerator)
    images_a_step = [batch * _batches_a_step(part) for part in parts]
    shares = [part.end - part.start for part in parts]
    if config.max_steps:  # the parts of a run that ends by steps share them
        limited = round(
            sum(config.max_steps * share * drawn for share, drawn in zip(shares, images_a_step, strict=True))
        )
    else:
        limited = 0
    images = min((limit for limit in (config.max_images, limited) if limit), default=None)
    if images:
        steps = sum(-(-round(images * share) // drawn) for share, drawn in zip(shares, images_a_step, strict=True))
        if config.max_steps:
            steps = min(steps, config.max_steps)
        meant = f"{images:,} images are {steps:,} steps"
        if source is not None and source.size:
            meant += f" and {images / source.size:,.1f} epochs"
        lines.append(f"at most {meant}" if config.max_minutes else meant)
    lines.append(f"global batch {describe.batch(config, accelerator)}")
    if seconds:
        speeds = [drawn / each for drawn, each in zip(images_a_step, seconds, strict=True)]
        lines.append(_time(config, images, shares, speeds))
        lines += rented.estimate(_seconds(config, images, shares, speeds)) if rented else []
    for part in parts:
        lines += [
            (f"{phase.repeats} updates of the {phase.label} in each step, on {batch * phase.repeats:,} images")
            for phase in part.phases
            if phase.repeats > 1
        ]
    for part in parts:
        if part.description:
            where = "the first" if not part.start else f"from {part.start:.0%} on"
            lines.append(f"{where} {part.end - part.start:.0%} {part.description}")
    return lines


def _time(config: TrainingConfig, images: int | None, shares: Sequence[float], speeds: Sequence[float]) -> str:
    """The time of the run, or the images it will see, given the images a second of each part."""
    how = "estimated by a few timed steps, without measuring and waiting for data"
    minutes, taken = config.max_minutes, _seconds(config, images, shares, speeds)
    if images and not (minutes and minutes * 60 <= taken):
        return f"about {describe.duration(taken)} for {images:,} images on this machine, {how}"
    assert minutes
    seen = sum(60 * minutes * share * speed for share, speed in zip(shares, speeds, strict=True))
    return f"about {float(f'{seen:.2g}'):,.0f} images in {minutes:g} minutes on this machine, {how}"


def _seconds(config: TrainingConfig, images: int | None, shares: Sequence[float], speeds: Sequence[float]) -> float:
    """The time of the run at these speeds."""
    limits = [config.max_minutes * 60] if config.max_minutes else []
    if images:
        limits.append(sum(images * share / speed for share, speed in zip(shares, speeds, strict=True)))
    return min(limits)


def _batches_a_step(part: Part) -> int:
    """How many batches a step draws: a phase begins with the last one of the phase before."""
    return sum(phase.repeats for phase in part.phases) - (len(part.phases) - 1)


def _optimisation(task: Task[Any], config: TrainingConfig) -> list[str]:
    lines = []
    for part in task.active_parts:
        which = f", {part.name} part" if len(task.active_parts) > 1 else ""
        for phase in part.phases:
            rate = describe.schedule(phase.optimizer.learning_rate, task)
            kind = f" ({phase.optimizer.kind.capitalize()})"
            lines.append(f"learning rate of the {phase.label}{which}: {rate}{kind}")
    lines.append(f"Adam beta 1: {describe.schedule(config.adam_beta1, task)}")
    lines.append(f"Adam beta 2: {describe.schedule(config.adam_beta2, task)}")
    lines.append(f"objective: {config.objective.replace('_', '-')}")
    lines += task.describe()
    lines.append(f"penalties: {describe.penalties(task) or 'none'}")
    if config.clip_grad_norm:
        lines.append(f"gradients clipped to norm {config.clip_grad_norm:g}")
    if frozen := describe.frozen(task):
        lines.append(f"frozen: {frozen}")
    lines.append(f"averaging: {describe.averaging(task)}")
    lines.append(f"augmentation: {describe.augmentation(task) or 'none'}")
    if config.augment and is_used(config.augment_probability) and config.augment_target is not None:
        lines.append("  the probability starts at 0")
    return lines


def _data(task: Task[Any], config: TrainingConfig, source: ImageSource | None, missing: str) -> list[str]:
    lines = [f"{config.dataset}{f', {config.dataset_config}' if config.dataset_config else ''}, split {config.split}"]
    if source is None:
        stand_ins = ["two classes are assumed in place of the real ones"] if task.labelled else []
        return [*lines, f"not opened: {missing}" if missing else "not opened", *stand_ins]
    if source.targets is not None:
        lines.append(describe.domains(source))
    number = counted(source.size, "image") if source.size is not None else "an unknown number of images"
    if source.streaming:
        how = f"streamed through a buffer of {config.shuffle_buffer:,}"
    else:
        how = f"decoded once, and up to {config.decoded_gb:g} GB kept"
    columns = f"column {source.column!r}"
    if source.input_column:
        columns = f"pairs: inputs in column {source.input_column!r}, targets in {source.column!r}"
    lines.append(f"{number}, {columns}, {how}")
    if source.label_column:
        names = source.label_names
        labels = counted(len(names), "label") if names else "labels"
        chosen = f"; only {', '.join(config.classes)}" if config.classes else ""
        lines.append(f"{labels} in column {source.label_column!r}{chosen}")
    lines.append(f"fingerprint {source.fingerprint}")
    if not source.streaming and source.size:
        try:
            examples = source.examples(task.transform, _EXAMPLES)
        except DataError as error:
            return [*lines, str(error)]
        mean = sum(example.numel() for example in examples) / len(examples)
        total = source.size + (len(source.targets) if source.targets else 0)
        lines.append(f"about {size(mean * total)} decoded, estimated from {len(examples)} of them")
    return lines


def _result(config: TrainingConfig) -> list[str]:
    lines = [] if config.on else [f"folder {run_path(config)}"]
    lines += [
        f"a checkpoint every {config.checkpoint_every:,} steps, the last {config.keep_checkpoints} kept;"
        f" samples every {config.sample_every:,}, figures every {config.log_every:,}",
    ]
    if config.checkpoint_to:
        lines.append(f"checkpoints pushed to {config.checkpoint_to}, private, the last {config.keep_checkpoints} kept")
    if config.report_to != "none":
        lines.append(f"also shown by {config.report_to}")
    if config.resume:
        place = {"auto": "there", "hub": f"in {config.checkpoint_to}"}.get(config.resume)
        where = f"the last checkpoint {place}, if there is one" if place else config.resume
        lines.append(f"resumes from {where}")
    if config.push_to_hub:
        lines.append(f"pushed to {config.push_to_hub}{', private' if config.private else ''} at the end")
    return lines
