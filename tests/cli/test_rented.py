"""`hubgan train --on hf-jobs`, against a Hub whose jobs are processes on this machine."""

import io
import json
import os
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import yaml
from huggingface_hub import HfApi

from helpers.command_line import Run
from helpers.common import SAMPLE
from helpers.launching import TINY
from helpers.loopback_hub import WRITE_TOKEN, Fault
from helpers.loopback_jobs import JobsHub
from hubgan import Generator
from hubgan.publish.package import package_files
from hubgan.training import job as jobs
from hubgan.training import parse
from hubgan.training.rented import find_machine

PORT = int(os.environ["HF_ENDPOINT"].rpartition(":")[2])
MODEL, STATES = "tester/model", "tester/model-checkpoints"
RENT = ["train", *TINY, "--max_steps", 4, "--checkpoint_every", 2, "--on", "hf-jobs", "--push_to_hub", MODEL]
START = [*RENT, "--flavor", "a10g-small", "--yes"]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[JobsHub]:
    """An empty Hub that runs jobs."""
    with JobsHub(tmp_path / "hub", PORT) as hub:
        yield hub
        assert not hub.errors


@pytest.fixture
def run(hubgan: Run, hub: JobsHub) -> Run:
    """Run `hubgan`."""
    return hubgan


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.slow
@pytest.mark.e2e
def test_a_job_trains_with_this_code_and_leaves_a_model(run: Run, hub: JobsHub) -> None:
    """The job's own command runs, as a process of this machine. The connection to its log is lost once."""
    hub.inject(Fault("GET", "/logs", cut=True))
    status, said, complained = run(*START, "--private")
    assert status == 0, complained
    assert hub.requests.count(("GET", "/api/jobs/tester/job1/logs")) > 1
    assert f"The model is at {hub.url}/{MODEL}" in said and f"hf repos delete {STATES}" in said
    for words in ("a10g-small (Nvidia A10G - small): $1.00 an hour", "at most $3.00", "The job job1 has started",
                  "Training in run", "Next steps:"):  # fmt: skip
        assert words in complained, words
    assert Generator.from_pretrained(MODEL).latent_dim
    assert HfApi().model_info(MODEL).private and HfApi().model_info(STATES).private

    (job,) = hub.jobs.values()
    assert job.spec["secrets"] == {"HF_TOKEN": WRITE_TOKEN} and job.spec["timeoutSeconds"] == 3 * 3600
    assert WRITE_TOKEN not in str({**job.spec, "secrets": {}})
    folder = job.log.parent / "job"
    for name, file in package_files("job").items():
        assert (job.log.parent / name).read_bytes() == file.read_bytes()
    assert list((folder / "hubgan" / "training" / "__pycache__").glob("trainer.*"))  # this copy was imported
    assert yaml.safe_load((folder / "recipe.yaml").read_text())["dataset"] == "./hubgan/recipes/cifar10-sample"
    assert {"checkpoints/step-00000004/checksums.json", "job/requirements.txt"} <= set(HfApi().list_repo_files(STATES))


def test_a_job_that_fails_says_how_to_continue(run: Run, hub: JobsHub) -> None:
    hub.instead = ["sh", "-c", "echo out of memory; exit 3"]
    status, _, complained = run(*START)
    assert status == 2 and "out of memory" in complained
    assert "the job job1 ended as error (exit code 3). Run the same command again: it continues" in complained


@pytest.mark.parametrize(
    ("status", "words"),
    [(402, "your account has no credit for it. Add credit: http"), (403, "your access token does not allow it")],
)
def test_a_start_that_is_refused(run: Run, hub: JobsHub, status: int, words: str) -> None:
    hub.inject(Fault("POST", "/api/jobs/", status=status))
    ended, _, complained = run(*START)
    assert ended == 2 and f"the job cannot be started: {words}" in complained
    assert not hub.jobs


def test_ctrl_c_leaves_the_job_running_or_stops_it(run: Run, hub: JobsHub, monkeypatch: pytest.MonkeyPatch) -> None:
    def follow(job: object) -> Iterator[str]:
        yield "a line"
        raise KeyboardInterrupt

    hub.instead = ["sleep", "60"]
    monkeypatch.setattr(jobs, "follow", follow)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    status, _, complained = run(*START)
    assert status == 130 and "The job goes on, and costs money." in complained
    for command in ("hf jobs logs --follow tester/job1  # watch it", "hf jobs cancel tester/job1  # stop it"):
        assert command in complained
    assert hub.jobs["job1"].stage == "RUNNING"

    status, _, complained = run(*START)
    assert status == 2 and "the job job1 trains this run already. Watch it: hf jobs logs" in complained
    hub.jobs["job1"].cancelled = True

    monkeypatch.setattr("sys.stdin", Terminal("y\ny\n"))
    status, _, complained = run(*START[:-1])
    assert status == 130 and "Start the job? [y/N]" in complained and "The job was stopped." in complained
    assert hub.jobs["job2"].stage == "CANCELED"


def test_nothing_is_spent_without_a_yes(run: Run, hub: JobsHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    status, _, complained = run(*START[:-1])
    assert status == 2 and "there is no terminal to ask on. Pass --yes to start it" in complained
    monkeypatch.setattr("sys.stdin", Terminal("\n"))
    assert run(*START[:-1])[:2] == (0, "Nothing was started.\n")
    assert not hub.jobs and not HfApi().repo_exists(STATES)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--flavor", "a10g-smal"], "no machine 'a10g-smal'. Did you mean 'a10g-small'? Machines: cpu-basic ($0.01"),
        ([], "the job needs a machine. Pass its name with --flavor. Machines: cpu-basic ($0.01 an hour), a10g-small"),
        (["--dataset", "./photos"], "a job cannot read ./photos, which is on this machine. Push it first: hf upload"
         " USER/NAME ./photos --repo-type dataset --private. Then pass --dataset USER/NAME"),
        (["--pretrained_model", "./m"], "cannot read ./m, which is on this machine. Push it first: hubgan push ./m"),
        (["--push_to_hub", "None"], "a job leaves its model on the Hub. Pass the model's name with --push_to_hub"),
        (["--dataset", "nobody/photos", "--flavor", "a10g-small"], "the Hub has no dataset 'nobody/photos' that you"),
        (["--output_dir", "here"], "a job has a folder of its own. Remove --output_dir"),
        (["--resume", "runs/x/checkpoints/step-00000001"], "a job cannot read runs/x/checkpoints/step-00000001"),
        (["--report_to", "wandb"], "a job cannot report to wandb. Remove --report_to"),
        (["--timeout", "3"], "timeout is '3'"),
        (["--timeout", "0s"], "timeout is '0s'"),
        (["--timeout", "0.00h"], "timeout is '0.00h'"),
        (["--dataset", "my photos", "--flavor", "a10g-small"], "the Hub has no dataset 'my photos' that you may read."
         " Correct --dataset"),
        (["--checkpoint_to", "model"], "tester/model cannot hold both the model and its checkpoints"),
        (["--checkpoint_to", MODEL], "tester/model cannot hold both the model and its checkpoints"),
        (["--on", "None", "--yes"], "yes applies to a rented machine. Pass --on hf-jobs, or remove --yes"),
        (["--config", "folder-64"], "the recipe folder-64 names no data set. Pass one of the Hub with --dataset"),
    ],
)  # fmt: skip
def test_what_a_job_cannot_do_is_refused(run: Run, hub: JobsHub, options: list[str], words: str) -> None:
    Path("photos").mkdir()
    status, _, complained = run(*RENT, *options)
    assert status == 2 and words in " ".join(complained.split()), complained
    assert not hub.jobs


def test_a_token_outlives_the_job_and_tells_the_user(run: Run, hub: JobsHub, monkeypatch: pytest.MonkeyPatch) -> None:
    user = HfApi().whoami()
    user["auth"]["expiresAt"] = (datetime.now(timezone.utc) + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    monkeypatch.setattr(HfApi, "whoami", lambda self, token=None: user)
    status, _, complained = run(*START)
    assert status == 2 and ", before a job of 3h ends. Create a permanent token (http" in complained
    hub.instead = ["true"]
    status, said, complained = run(*START, "--timeout", "1h", "--push_to_hub", "model")  # a bare name is the user's
    assert status == 0 and f"The model is at {hub.url}/{MODEL}\n" in said and f"hf repos delete {STATES}" in said
    assert f"Checkpoints go to {STATES} (private)" in complained
    monkeypatch.setenv("HF_OIDC_RESOURCE", MODEL)
    status, _, complained = run(*START)
    assert status == 2 and "HF_OIDC_RESOURCE gives a token that expires soon. Unset it" in complained
    assert len(hub.jobs) == 1


def test_a_log_that_ends_early_does_not_end_the_job(run: Run, hub: JobsHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.instead = ["sleep", "60"]
    monkeypatch.setattr(jobs, "follow", lambda job: [])
    status, _, complained = run(*START)
    assert status == 2 and "the job job1 goes on, and costs money. Watch it: hf jobs logs --follow" in complained
    assert "Stop it: hf jobs cancel tester/job1" in complained


def test_a_run_on_other_data_is_refused_before_it_is_paid(run: Run, hub: JobsHub) -> None:
    HfApi().create_repo(STATES, private=True)
    for name, content in (
        ("step-00000004/checksums.json", {}),
        ("run/run.json", {"id": "1", "options": {"dataset": "/home/me/photos", "dataset_name": None}}),
    ):
        data = json.dumps(content).encode()
        HfApi().upload_file(repo_id=STATES, path_or_fileobj=data, path_in_repo=f"checkpoints/{name}")
    status, _, complained = run(*START)
    words = f"the run in {STATES} is on the data set photos, not on "
    assert status == 2 and words in complained and "pass --dataset_name photos. For a new run, pass" in complained
    hub.instead = ["true"]
    assert run(*START, "--dataset_name", "photos")[0] == 0 and len(hub.jobs) == 1


@pytest.mark.skipif(os.name == "nt", reason="sh")
@pytest.mark.parametrize(
    ("gpus", "launched"), [(0, "python"), (1, "python"), (4, "accelerate launch --multi_gpu --num_processes=4")]
)
def test_a_job_counts_gpus_of_an_unknown_machine(
    hub: JobsHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpus: int, launched: str
) -> None:
    hub.inject(Fault("GET", "/hardware", status=404))
    config = parse([*map(str, RENT[1:]), "--flavor", "b300"])
    machine = find_machine(config)
    assert machine.gpus is None
    for name, script in {"uvx": "mkdir job", "uv": 'echo "$@"', "nvidia-smi": f"seq {gpus}"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    if not gpus:
        (tmp_path / "nvidia-smi").unlink()
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    script = jobs._script(config, "a/c", "0" * 40, machine.gpus)
    said = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert f"requirements.txt {launched} -m hubgan train --config recipe.yaml" in said


@pytest.mark.slow
def test_the_plan_of_a_job_says_what_it_costs(run: Run, hub: JobsHub) -> None:
    status, said, complained = run(*RENT, "--flavor", "a10g-small", "--timeout", "30m", "--dry_run")
    assert status == 0, complained
    assert "this machine, where steps are timed" in said and "folder runs/" not in said
    assert "a10g-small (Nvidia A10G - small): $1.00 an hour" in said
    assert "at most $0.50, as --timeout stops it after 30m" in said
    assert "$0.00 on a10g-small at the speed of this machine. The speed of a10g-small cannot be timed here" in said
    assert f"checkpoints pushed to {STATES}, private" in said and not hub.jobs
    hub.inject(Fault("GET", "/hardware", status=404))
    unknown = find_machine(parse([*map(str, RENT[1:]), "--flavor", "b300"]))
    assert unknown.describe() == [
        "b300: its price is unknown, as the Hub names none or cannot be reached",
        "stopped after 3h",
    ]


def test_minutes_of_training_have_a_price(hub: JobsHub) -> None:
    options = ["--config", "quickstart", "--dataset", str(SAMPLE), "--max_minutes", "90", "--flavor", "a10g-largex4"]
    machine = find_machine(parse(options))
    assert machine.gpus == 4 and "about $7.50 for" in machine.describe()[-1]
    script = jobs._script(parse([*options, "--push_to_hub", "a/b"]), "a/c", "0" * 40, machine.gpus)
    assert "accelerate launch --multi_gpu --num_processes=4 -m hubgan train --config recipe.yaml" in script
