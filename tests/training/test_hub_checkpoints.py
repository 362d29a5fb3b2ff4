"""Runs whose checkpoints are on the Hub, and which continue in an empty folder."""

import errno
import json
import logging
import os
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest
from huggingface_hub import HfApi

from helpers.common import names
from helpers.forking import fork
from helpers.launching import TINY, metrics, train_here
from helpers.loopback_hub import Fault, LoopbackHub
from hubgan.errors import ConfigError, ModelError, TrainingError
from hubgan.training import parse
from hubgan.training.plan import _result
from hubgan.training.run.checkpoints import problem
from hubgan.training.run.hub_checkpoints import CheckpointPusher, HubCheckpoints
from hubgan.training.signals import StopSignal
from hubgan.training.trainer import Trainer
from kill import TASKS, _train, fingerprint, train_forked

REPO = "tester/states"
PUSHED = [*TINY, "--checkpoint_every", "2", "--checkpoint_to", REPO, "--output_dir"]


def steps() -> list[str]:
    files = HfApi().list_repo_files(REPO)
    return sorted(name.split("/")[1] for name in files if name.endswith("checksums.json"))


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_a_killed_run_continues_on_another_machine_bit_for_bit(hub: LoopbackHub, tmp_path: Path) -> None:
    """Each machine is a folder. The second one meets a torn download, a damaged one, and a push that fails."""
    options = [*TASKS["upscaling"], "--checkpoint_every", "4", "--log_every", "3", "--sample_every", "3",
               "--eval_samples", "0", "--perceptual_weight", "0"]  # fmt: skip
    whole = train_here(*options, "--output_dir", str(tmp_path / "whole"))

    pushed = [*options, "--checkpoint_to", REPO, "--resume", "hub", "--output_dir"]
    hub.inject(Fault("POST", "/commit/main"))  # the first push is left alone
    hub.inject(Fault("POST", "/commit/main", count=99, delay=60))
    (first,) = fork(_train, [*pushed, str(tmp_path / "one")], int, log=tmp_path / "log")
    deadline = time.monotonic() + 60
    while not (HfApi().repo_exists(REPO) and steps()):
        assert first.is_alive() and time.monotonic() < deadline, (tmp_path / "log").read_text()[-3000:]
        time.sleep(0.05)
    os.kill(first.pid or 0, signal.SIGKILL)
    first.join()
    hub.clear_faults()
    assert steps() == ["step-00000004"]

    for fault in (Fault("GET", "resolve/.*/model.safetensors", cut=True), Fault("GET", "optimizer.bin", corrupt=True),
                  Fault("POST", "/commit/main", status=500)):  # fmt: skip
        hub.inject(fault)
    other = train_here(*pushed, str(tmp_path / "other"))
    assert fingerprint(other) == fingerprint(whole)
    assert len(json.loads((other / "run.json").read_text())["sessions"]) == 2
    assert steps()[-1] == "step-00000010" and len(steps()) == 2
    assert {name for name in names(other) if name.startswith("samples")} == {
        name for name in names(whole) if name.startswith("samples")
    }
    assert HfApi().model_info(REPO).private

    # Two processes, one of which fetches: the budget is used up, so the result is the same.
    log = tmp_path / "two.log"
    assert train_forked([*pushed, str(tmp_path / "two")], log, processes=2), log.read_text()[-3000:]
    for name in ("model.safetensors", "pixel.safetensors"):
        assert (tmp_path / "two" / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.slow
def test_a_push_that_fails_is_a_warning_and_is_made_up_for(
    hub: LoopbackHub, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run, options = tmp_path / "run", [*PUSHED, str(tmp_path / "run")]
    HfApi().create_repo(REPO, private=True)
    refusing = hub.inject(Fault("POST", "/commit/main", count=99, status=500))
    train_here(*options, "--max_steps", "2")
    assert (run / "model.safetensors").is_file() and not steps()
    assert "The checkpoint of step 2 was not pushed: cannot push to tester/states" in caplog.text
    assert f"The last checkpoint (step 2) is not on the Hub: cannot push to {REPO}" in caplog.text
    assert refusing.count == 97 and not (run / ".pushing").exists()
    hub.clear_faults()
    train_here(*options, "--max_steps", "2", "--resume")
    assert steps() == ["step-00000002"]


@pytest.mark.slow
def test_the_checkpoints_of_two_runs_do_not_mix(
    hub: LoopbackHub, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    options = [*PUSHED, str(tmp_path / "run"), "--max_steps", "4"]
    train_here(*options, "--resume", "hub")
    assert f"There is no checkpoint in {REPO} yet" in caplog.text and steps()[-1] == "step-00000004"
    with pytest.raises(ConfigError, match=r"states holds the checkpoints of another run\. .*--resume hub, or"):
        train_here(*PUSHED, str(tmp_path / "other"), "--max_steps", "4", "--resume")
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "step-00000004")
    with pytest.raises(ConfigError, match=r"holds a newer checkpoint \(step 4\) than .*run\. .*--resume hub"):
        train_here(*options, "--resume")
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "metrics.jsonl").touch()
    with pytest.raises(ConfigError, match=rf"foreign holds another run than {REPO}\. .*--output_dir"):
        HubCheckpoints(REPO).fetch(foreign)

    # The last one on the Hub is damaged there: the one before it is used.
    data = {"path_or_fileobj": b"damaged", "path_in_repo": "checkpoints/step-00000004/optimizer.bin"}
    HfApi().upload_file(repo_id=REPO, **data)
    again = train_here(*PUSHED, str(tmp_path / "again"), "--max_steps", "4", "--resume", "hub")
    assert "step-00000004 of tester/states is damaged: optimizer.bin is incomplete" in caplog.text
    assert [line["steps"] for line in metrics(again)] == [4]
    assert (again / "model.safetensors").read_bytes() == (tmp_path / "run" / "model.safetensors").read_bytes()
    HubCheckpoints(REPO).fetch(tmp_path / "mended")
    assert not problem(tmp_path / "mended" / "checkpoints" / "step-00000004")


def test_checkpoints_stay_private(hub: LoopbackHub, tmp_path: Path) -> None:
    HfApi().create_repo(REPO, private=False)
    with pytest.raises(ModelError, match=r"states already exists and is public\. Checkpoints are kept private"):
        train_here(*PUSHED, str(tmp_path / "run"), "--max_steps", "1")
    with pytest.raises(ConfigError, match=r"resume hub needs the repository .*--checkpoint_to"):
        train_here(*TINY, "--max_steps", "1", "--resume", "hub")


@pytest.mark.parametrize("model", ["tester/states", "states"])
def test_checkpoints_and_model_have_a_repository_each(hub: LoopbackHub, tmp_path: Path, model: str) -> None:
    words = r"states cannot hold both the model and its checkpoints.*--checkpoint_to, for example tester/states-check"
    with pytest.raises(ConfigError, match=words):
        train_here(*PUSHED, str(tmp_path / "run"), "--max_steps", "1", "--push_to_hub", model)


def test_damaged_checkpoints_alone_are_an_error(hub: LoopbackHub, tmp_path: Path) -> None:
    HfApi().create_repo(REPO, private=True)
    for name in ("step-00000004/checksums.json", "run/run.json"):
        HfApi().upload_file(repo_id=REPO, path_or_fileobj=b'{"id": "1"}', path_in_repo=f"checkpoints/{name}")
    with pytest.raises(TrainingError, match=r"every checkpoint in tester/states is damaged: step-00000004, checksums"):
        HubCheckpoints(REPO).fetch(tmp_path / "run")
    assert not names(tmp_path / "run")


def test_a_full_disk_is_no_fault_of_the_hub(
    hub: LoopbackHub, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    HfApi().create_repo(REPO, private=True)
    HfApi().upload_file(repo_id=REPO, path_or_fileobj=b"{}", path_in_repo="checkpoints/step-00000004/checksums.json")
    checkpoints = HubCheckpoints(REPO)
    hub.inject(Fault(path="/resolve/", status=404, count=9))
    with pytest.raises(ModelError, match="resume from tester/states: cannot download from tester/stat"):
        checkpoints.fetch(tmp_path / "run")
    caplog.clear()

    def fill(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("hubgan.hub.upload.hf_hub_download", fill)
    with pytest.raises(TrainingError, match=r"run: .*No space left"):
        checkpoints.fetch(tmp_path / "run")
    assert "downloaded again" not in caplog.text


def test_training_does_not_wait_for_a_push(hub: LoopbackHub, tmp_path: Path) -> None:
    """Of the checkpoints that come while one is being pushed, the last one is pushed, even if it was removed."""
    checkpoints = HubCheckpoints(REPO)
    hub.inject(Fault("POST", "/commit/main", delay=0.5))
    pusher = CheckpointPusher(checkpoints, tmp_path, keep=5)
    (tmp_path / "run.json").write_text('{"id": "1"}')
    begun = time.monotonic()
    with pusher.working(StopSignal()):
        for step in range(1, 5):
            checkpoint = tmp_path / "checkpoints" / f"step-{step:08d}"
            checkpoint.mkdir(parents=True)
            (checkpoint / "checksums.json").write_text(str(step))
            pusher.add(checkpoint, ["pixel.safetensors"])
            (checkpoint / "checksums.json").unlink()
            if step == 1:
                while ("POST", f"/api/models/{REPO}/commit/main") not in hub.requests:
                    time.sleep(0.01)
        assert time.monotonic() - begun < 0.5
    assert steps() == ["step-00000001", "step-00000004"]


@pytest.mark.skipif(os.name == "nt", reason="SIGTERM")
@pytest.mark.parametrize(("before", "during"), [([], signal.SIGTERM), ([signal.SIGINT], signal.SIGINT)])
def test_a_signal_ends_the_wait_for_the_last_push(
    hub: LoopbackHub,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    before: list[int],
    during: int,
) -> None:
    """The run is not measured then, but its model was saved; or the signal before was the one that has ended it."""
    run, train, never = tmp_path / "run", Trainer.train, threading.Event()

    def hang(self: HubCheckpoints, *arguments: object) -> None:
        while "Waiting until" not in caplog.text:
            time.sleep(0.01)
        os.kill(os.getpid(), during)
        never.wait()

    caplog.set_level(logging.INFO)

    def train_on(self: Trainer, stop: StopSignal) -> int:
        for number in before:
            os.kill(os.getpid(), number)
        return train(self, stop)

    monkeypatch.setattr(HubCheckpoints, "push", hang)
    monkeypatch.setattr(Trainer, "train", train_on)
    with pytest.raises(KeyboardInterrupt if before else SystemExit):
        train_here(*PUSHED, str(run), "--max_steps", "2" if before else "1")
    never.set()
    assert "The last checkpoint (step 1) is not on the Hub: a signal has ended the wait" in caplog.text
    assert (run / "checkpoints" / "step-00000001").is_dir()
    assert before or (run / "model.safetensors").is_file()


def test_another_session_keeps_its_checkpoints(
    hub: LoopbackHub, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Both have resumed from one step. A session may go back to an older step on purpose, as it saw the newer ones."""

    def session(name: str, *starts: str) -> CheckpointPusher:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "run.json").write_text(json.dumps({"id": "1", "sessions": [{"started": each} for each in starts]}))
        return CheckpointPusher(HubCheckpoints(REPO), folder, keep=2)

    def push(pusher: CheckpointPusher, step: int) -> None:
        checkpoint = pusher._folder / "checkpoints" / f"step-{step:08d}"
        checkpoint.mkdir(parents=True, exist_ok=True)
        (checkpoint / "checksums.json").write_text(str(pusher._folder))
        with pusher.working(StopSignal()):
            pusher.add(checkpoint, [])

    push(session("one", "10:00"), 1)
    one, two = session("one", "10:00", "11:00"), session("two", "10:00", "12:00")
    push(one, 3)
    push(two, 2)
    push(two, 4)
    assert steps() == ["step-00000001", "step-00000003"]
    warning = "another session of this run, started at 11:00, has pushed step 3 to tester/states"
    assert caplog.text.count(warning) == 1
    push(one, 5)
    assert steps() == ["step-00000003", "step-00000005"]
    push(session("two", "10:00", "12:00", "13:00"), 4)
    assert steps() == ["step-00000003", "step-00000004"]


def test_the_plan_names_the_checkpoints() -> None:
    lines = _result(parse([*PUSHED, "runs/x", "--resume", "hub"]))
    assert f"checkpoints pushed to {REPO}, private, the last 2 kept" in lines
    assert f"resumes from the last checkpoint in {REPO}, if there is one" in lines
