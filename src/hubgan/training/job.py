"""A run as a job on a rented machine of the Hub (Hugging Face Jobs), with the code that runs here.

The repository of the checkpoints carries that code, its requirements and the recipe in `job/`. The job resumes from
the checkpoints there. So a job that was stopped continues when the same one is started again.
"""

import os
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from inspect import signature
from pathlib import Path

import yaml
from huggingface_hub import HfApi, JobInfo, JobStage, constants, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError

from hubgan.errors import ConfigError, TrainingError
from hubgan.hub.download import check_token, in_one_line
from hubgan.publish.package import package_files, place_in_package, requirements
from hubgan.runtime.names import existing, is_path, without_folders
from hubgan.training.config import TrainingConfig
from hubgan.training.launch import check_options
from hubgan.training.rented import Rented, in_seconds
from hubgan.training.run.hub_checkpoints import HubCheckpoints
from hubgan.training.run.provenance import OF_A_START, PATHS, other_data, published
from hubgan.training.tasks import TASKS

_IMAGE = "ghcr.io/astral-sh/uv:python3.12-bookworm"
_FOLDER, _RECIPE, _REQUIREMENTS = "job", "recipe.yaml", "requirements.txt"
_LABEL = "hubgan"
_ENDED = {JobStage.COMPLETED, JobStage.CANCELED, JobStage.ERROR, JobStage.DELETED}
_REFUSALS = {
    401: ("you are not logged in", "Log in (hf auth login), or set HF_TOKEN"),
    402: ("your account has no credit for it", f"Add credit: {constants.ENDPOINT}/settings/billing"),
    403: ("your access token does not allow it", "Log in with a token that may write and run jobs: hf auth login"),
}


def check_job(config: TrainingConfig) -> TrainingConfig:
    """The options of a run that another machine can do, with the repository of its checkpoints.

    Raises:
        ConfigError: options that do not fit each other, or that name something on this machine.
    """
    check_options(config)
    if "labels" not in signature(HfApi.list_jobs).parameters:
        raise ConfigError("this version of huggingface_hub is too old for jobs", "Run: pip install -U huggingface_hub")
    TASKS[config.task](config)  # checks the networks' options
    if not config.push_to_hub:
        raise ConfigError("a job leaves its model on the Hub", "Pass the model's name with --push_to_hub")
    if config.resume not in (None, "auto", "hub"):
        raise ConfigError(f"a job cannot read {config.resume}, which is on this machine", "Pass --resume hub")
    if config.output_dir:
        raise ConfigError("a job has a folder of its own", "Remove --output_dir")
    if config.report_to != "none":
        raise ConfigError(f"a job cannot report to {config.report_to}", "Remove --report_to")
    if not config.dataset:
        raise ConfigError(f"the recipe {config.config} names no data set", "Pass one of the Hub with --dataset")
    for option, name in _names(config).items():
        if (existing(name) or is_path(name)) and not _travels(option, name):
            raise ConfigError(f"a job cannot read {name}, which is on this machine", _remedy(option, name))
    return config.model_copy(update={"checkpoint_to": config.checkpoint_to or f"{config.push_to_hub}-checkpoints"})


def log_in(config: TrainingConfig) -> TrainingConfig:
    """The options with the user in front of bare names on the Hub.

    Raises:
        ConfigError: the access token expires before a job would end; or two names are the same.
        TrainingError: not logged in, or the Hub does not answer.
    """
    permanent = f"Create a permanent token ({constants.ENDPOINT}/settings/tokens), and set HF_TOKEN to it"
    if os.environ.get("HF_OIDC_RESOURCE"):
        raise ConfigError("HF_OIDC_RESOURCE gives a token that expires soon", f"Unset it. {permanent}")
    _token()
    with _translate_errors("the job cannot be started"):
        user = HfApi().whoami()
    expires = (user.get("auth") or {}).get("expiresAt")
    end = datetime.now(timezone.utc) + timedelta(seconds=in_seconds(config.timeout))
    if expires and datetime.fromisoformat(expires.replace("Z", "+00:00")) < end:
        raise ConfigError(f"your access token expires at {expires}, before a job of {config.timeout} ends", permanent)
    names = {option: str(getattr(config, option)) for option in ("push_to_hub", "checkpoint_to")}
    whole = {option: name if "/" in name else f"{user['name']}/{name}" for option, name in names.items()}
    config = config.model_copy(update=whole)
    check_options(config)
    return config


def check_names(config: TrainingConfig) -> None:
    """Look for the data sets and models on the Hub, before a job is paid that cannot find them.

    Raises:
        ConfigError: the Hub shows none of that name.
        TrainingError: the Hub does not answer.
    """
    for option, name in _names(config).items():
        if existing(name) or "://" in name:
            continue
        kind = "dataset" if option.endswith("dataset") else "model"
        with _translate_errors(f"{name} cannot be looked up"):
            try:
                found = HfApi().repo_exists(name, repo_type=kind)
            except HFValidationError:
                found = False
        if not found:
            raise ConfigError(f"the Hub has no {kind} {name!r} that you may read", f"Correct --{option}")


def start(config: TrainingConfig, machine: Rented) -> JobInfo:
    """Start a job. Its code and its recipe are put into the private repository of its checkpoints.

    Args:
        config: what `check_job` returned.
        machine: where it runs.

    Raises:
        ConfigError: hubgan's requirements are unknown, a job trains this run already, or it is on other data.
        ModelError: the repository cannot be used.
        TrainingError: the Hub does not start the job.
    """
    token = _token()
    needed = "\n".join([*requirements("train"), ""])
    checkpoints = HubCheckpoints(str(config.checkpoint_to))
    _check_data(config, checkpoints)
    labels = {_LABEL: re.sub(r"[^\w.-]", "--", checkpoints.name)}
    with _translate_errors("the job cannot be started"):
        for other in HfApi().list_jobs(labels=labels):
            if other.status.stage not in _ENDED:
                raise ConfigError(
                    f"the job {other.id} trains this run already", f"Watch it: {watch(other)}. Stop it: {stop(other)}"
                )
    files: dict[str, Path | bytes] = dict(package_files(_FOLDER))
    files |= {f"{_FOLDER}/{_RECIPE}": _recipe(config).encode(), f"{_FOLDER}/{_REQUIREMENTS}": needed.encode()}
    pushed = checkpoints.repository.commit(files, message="Code and recipe of a job", delete_patterns=[f"{_FOLDER}/*"])
    with _translate_errors("the job cannot be started"):
        return HfApi().run_job(
            image=_IMAGE,
            command=["bash", "-c", _script(config, checkpoints.name, pushed.commit, machine.gpus)],
            secrets={"HF_TOKEN": token},
            flavor=machine.flavor,
            timeout=machine.timeout,
            labels=labels,
        )


def follow(job: JobInfo) -> Iterator[str]:
    """The lines of a job's log, until it ends. A connection that is lost is made again.

    Raises:
        TrainingError: the log cannot be read; the job may still run.
    """
    with _translate_errors("the log cannot be read, and the job may still run", f"Watch it: {watch(job)}"):
        yield from HfApi().fetch_job_logs(job_id=job.id, namespace=job.owner.name, follow=True)


def check_success(job: JobInfo) -> None:
    """Look how a job has ended.

    Raises:
        TrainingError: it has failed, was stopped or still runs, or the Hub does not say.
    """
    with _translate_errors(f"it is unknown how the job {job.id} ended", f"See {job.url}"):
        status = HfApi().inspect_job(job_id=job.id, namespace=job.owner.name).status
    if status.stage not in _ENDED:
        raise TrainingError(
            f"the log has ended, but the job {job.id} goes on, and costs money",
            f"Watch it: {watch(job)}. Stop it: {stop(job)}",
        )
    if status.stage != JobStage.COMPLETED:
        message = f" ({status.message})" if status.message else ""
        raise TrainingError(
            f"the job {job.id} ended as {status.stage.lower()}{message}",
            "Run the same command again: it continues from the last checkpoint on the Hub."
            " If the time was too short, raise --timeout",
        )


def cancel(job: JobInfo) -> None:
    """Stop a job.

    Raises:
        TrainingError: the Hub does not do it.
    """
    with _translate_errors(f"the job {job.id} cannot be stopped", f"Stop it at {job.url}"):
        HfApi().cancel_job(job_id=job.id, namespace=job.owner.name)


def watch(job: JobInfo) -> str:
    """The command that shows a job's log."""
    return f"hf jobs logs --follow {job.owner.name}/{job.id}"


def stop(job: JobInfo) -> str:
    """The command that stops a job."""
    return f"hf jobs cancel {job.owner.name}/{job.id}"


def _token() -> str:
    check_token(None)
    if token := get_token():
        return token
    reason, remedy = _REFUSALS[401]
    raise TrainingError(f"the job cannot be started: {reason}", remedy)


def _check_data(config: TrainingConfig, checkpoints: HubCheckpoints) -> None:
    """Refuse a run that continues on another data set, which the job would do only once it is paid."""
    before = checkpoints.run.get("options") or {}
    if data := other_data(config, before):
        same = f"If both hold the same pictures, pass --dataset_name {shlex.quote(published(before))}. "
        raise ConfigError(
            f"the run in {checkpoints.name} is on the data set {' and '.join(map(without_folders, data.values()))},"
            f" not on {without_folders(str(config.dataset))}",
            f"{same if 'dataset' in data else ''}For a new run, pass another --checkpoint_to",
        )


def _names(config: TrainingConfig) -> dict[str, str]:
    """The data sets and models that a configuration names."""
    names: dict[str, str] = config.model_dump(include={*PATHS}, exclude_none=True)
    return {option: name for option, name in names.items() if name}


def _travels(option: str, name: str) -> bool:
    """Whether a data set on this machine belongs to the package, which the job has too."""
    return option in ("dataset", "eval_dataset") and place_in_package(Path(name)) is not None


def _remedy(option: str, name: str) -> str:
    command = f"hubgan push {shlex.quote(name)} USER/NAME --private"
    if option.endswith("dataset"):
        command = f"hf upload USER/NAME {shlex.quote(name)} --repo-type dataset --private"
    return f"Push it first: {command}. Then pass --{option} USER/NAME"


def _recipe(config: TrainingConfig) -> str:
    """All options of the run, but those of the job's command."""
    options = config.model_dump(mode="json", exclude=OF_A_START, exclude_none=True)
    for option, name in _names(config).items():
        if existing(name):
            options[option] = f"./{place_in_package(Path(name))}"  # beside the recipe, as the package is
    text: str = yaml.safe_dump(options, sort_keys=False, allow_unicode=True)
    return text


def _script(config: TrainingConfig, repository: str, commit: str, gpus: int | None) -> str:
    """What the job runs. The access token comes as a secret, in HF_TOKEN. It counts GPUs whose number is unknown."""
    fetch = ["uvx", "--from", "huggingface_hub", "hf", "download", repository, "--revision", commit]
    fetch += ["--include", f"{_FOLDER}/*", "--local-dir", "."]
    install = ["uv", "run", "--no-project", "--with-requirements", _REQUIREMENTS]
    launch = "accelerate launch --multi_gpu --num_processes="
    count, python = "", f"{launch}{gpus}" if gpus and gpus > 1 else "python"
    if gpus is None:
        count = " && gpus=$(nvidia-smi -L 2>/dev/null | wc -l)"
        python = f'$([ "$gpus" -gt 1 ] && echo {launch}$gpus || echo python)'
    train = ["-m", "hubgan", "train", "--config", _RECIPE, "--output_dir", "run", "--resume", "hub"]
    train += ["--checkpoint_to", repository]
    train += ["--push_to_hub", str(config.push_to_hub), *(["--private"] if config.private else [])]
    # By default the launcher kills processes 30 seconds after a stop, which may cut the last save or push.
    variables = "PYTHONPATH=. TORCH_ELASTIC_SHUTDOWN_TIMEOUT=110"
    command = f"{variables} {shlex.join(install)} {python} {shlex.join(train)}"
    return f"{shlex.join(fetch)} && cd {_FOLDER}{count} && {command}"


@contextmanager
def _translate_errors(what: str, remedy: str = "") -> Iterator[None]:
    try:
        yield
    except (HTTPError, OSError) as error:
        status = error.response.status_code if isinstance(error, HfHubHTTPError) else 0
        reason, first = _REFUSALS.get(status, (in_one_line(error), ""))
        raise TrainingError(f"{what}: {reason}", first).with_context(remedy=remedy) from error
