"""The command line of a run on a rented machine: it asks, starts the job, and shows its log."""

import sys
from typing import TYPE_CHECKING

from hubgan.cli.arguments import say
from hubgan.errors import ConfigError

if TYPE_CHECKING:
    from hubgan.training.config import TrainingConfig


def train_rented(config: "TrainingConfig") -> str:
    """Train on a rented machine, or print the plan of a dry run; returns what to say at the end.

    Raises:
        HubganError: the job cannot be started, or has failed.
        KeyboardInterrupt: Ctrl-C while the log was shown.
    """
    from huggingface_hub import constants

    from hubgan.hub.upload import check_reachable
    from hubgan.training import plan
    from hubgan.training.job import cancel, check_job, check_names, check_success, follow, log_in, start, stop, watch
    from hubgan.training.rented import find_machine

    config = check_job(config)
    if not config.dry_run:
        check_reachable(str(config.push_to_hub))
        config = log_in(config)
    machine = find_machine(config)
    if config.dry_run:
        return plan(config, machine)
    check_names(config)
    say("\n".join(["Rented machine:", *(f"  {line}" for line in machine.describe())]))
    say(f"Checkpoints go to {config.checkpoint_to} (private). A run that has some there continues.")
    if not config.yes and not _agrees("Start the job?", "Pass --yes to start it, or --dry_run to see the plan"):
        return "Nothing was started."
    job = start(config, machine)
    say(f"The job {job.id} has started: {job.url}")
    say("Ctrl-C stops the log, not the job. Its first minutes install packages.")
    try:
        for line in follow(job):
            say(line.rstrip())
    except KeyboardInterrupt:
        say(f"\nThe job goes on, and costs money.\n  {watch(job)}  # watch it\n  {stop(job)}  # stop it")
        if _is_watched() and _agrees("Stop the job now?"):
            cancel(job)
            say("The job was stopped. The same command continues from the last checkpoint.")
        raise
    check_success(job)
    return (
        f"The model is at {constants.ENDPOINT}/{config.push_to_hub}\n"
        f"Its checkpoints stay in {config.checkpoint_to}. If you need them no longer: hf repos delete"
        f" {config.checkpoint_to}"
    )


def _agrees(question: str, remedy: str = "") -> bool:
    """Ask on a terminal.

    Raises:
        ConfigError: there is none.
    """
    if not _is_watched():
        raise ConfigError("the job costs money, and there is no terminal to ask on", remedy)
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _is_watched() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()
