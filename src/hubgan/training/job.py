"""A run as a job on a rented machine of the Hub (Hugging Face Jobs), with the code that runs here.

The repository of the checkpoints carries that code, its requirements and the recipe in `job/`. The job resumes from
the checkpoints there. So a job that was stopped continues when the same one is started again.
"""

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature
from pathlib import Path

import yaml
from huggingface_hub import HfApi, JobInfo, JobStage, constants, get_token
from huggingface_hub.errors import HfHubHTTPError, HTTPError

from hubgan.errors import ConfigError, TrainingError
from hubgan.hub.download import check_token, in_one_line
from hubgan.publish.package import package_files, place_in_package, requirements
from hubgan.runtime.names import existing, is_path
from hubgan.training.config import TrainingConfig
from hubgan.training.launch import check_options
from hubgan.training.rented import Rented
from hubgan.training.run.hub_checkpoints import HubCheckpoints
from hubgan.training.run.provenance import PATHS
from hubgan.training.run.run_folder import NOT_OF_A_RECIPE
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
            if not HfApi().repo_exists(name, repo_type=kind):
                raise ConfigError(f"the Hub has no {kind} {name!r} that you may read", f"Correct --{option}")


def start(config: TrainingConfig, machine: Rented) -> JobInfo:
    """Start a job. Its code and its recipe are put into the private repository of its checkpoints.

    Args:
        config: what `check_job` returned.
        machine: where it runs.

    Raises:
        ConfigError: hubgan's requirements are unknown, or a job trains this run already.
        ModelError: the repository cannot be used.
        TrainingError: the Hub does not start the job.
    """
    check_token(None)
    token = get_token()
    if not token:
        reason, remedy = _REFUSALS[401]
        raise TrainingError(f"the job cannot be started: {reason}", remedy)
    needed = "\n".join([*requirements("train"), ""])
    checkpoints = HubCheckpoints(str(config.checkpoint_to))
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
        TrainingError: it has failed or was stopped, or the Hub does not say.
    """
    with _translate_errors(f"it is unknown how the job {job.id} ended", f"See {job.url}"):
        status = HfApi().inspect_job(job_id=job.id, namespace=job.owner.name).status
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
    options = config.model_dump(mode="json", exclude=NOT_OF_A_RECIPE, exclude_none=True)
    for option, name in _names(config).items():
        if existing(name):
            options[option] = f"./{place_in_package(Path(name))}"  # beside the recipe, as the package is
    text: str = yaml.safe_dump(options, sort_keys=False, allow_unicode=True)
    return text


def _script(config: TrainingConfig, repository: str, commit: str, gpus: int) -> str:
    """What the job runs. The access token comes as a secret, in HF_TOKEN."""
    fetch = ["uvx", "--from", "huggingface_hub", "hf", "download", repository, "--revision", commit]
    fetch += ["--include", f"{_FOLDER}/*", "--local-dir", "."]
    python = ["accelerate", "launch", "--multi_gpu", f"--num_processes={gpus}"] if gpus > 1 else ["python"]
    train = ["uv", "run", "--no-project", "--with-requirements", _REQUIREMENTS, *python, "-m", "hubgan", "train"]
    train += ["--config", _RECIPE, "--output_dir", "run", "--resume", "hub", "--checkpoint_to", repository]
    train += ["--push_to_hub", str(config.push_to_hub), *(["--private"] if config.private else [])]
    return f"{shlex.join(fetch)} && cd {_FOLDER} && PYTHONPATH=. {shlex.join(train)}"


@contextmanager
def _translate_errors(what: str, remedy: str = "") -> Iterator[None]:
    try:
        yield
    except (HTTPError, OSError) as error:
        status = error.response.status_code if isinstance(error, HfHubHTTPError) else 0
        reason, first = _REFUSALS.get(status, (in_one_line(error), ""))
        raise TrainingError(f"{what}: {reason}", first).with_context(remedy=remedy) from error
