"""Two runs never use one folder at once, and a killed run stands in no one's way."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from helpers.forking import fork
from helpers.launching import TINY, metrics, train_here
from hubgan.errors import ConfigError
from hubgan.training.run import lock
from hubgan.training.run.lock import only_run
from kill import _train


def refusal(folder: Path) -> ConfigError:
    with pytest.raises(ConfigError) as refused, only_run(folder):
        pass
    return refused.value


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_a_second_start_is_refused_and_a_killed_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of two processes, which belong to one lock."""
    run, log = tmp_path / "run", tmp_path / "log"
    options = [*TINY, "--output_dir", str(run), "--checkpoint_every", "4", "--resume", "auto"]
    first = fork(_train, [*options, "--max_steps", "100000"], int, log=log, processes=2)
    deadline = time.monotonic() + 120
    while not list(run.glob("checkpoints/step-*")):
        assert all(child.is_alive() for child in first) and time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(0.05)
    monkeypatch.setattr(lock, "_PATIENCE", 0.1)
    for again in (options, options[:-2]):
        with pytest.raises(ConfigError, match=rf"process {first[0].pid} on .* has been training in .*run since 2"):
            train_here(*again, "--max_steps", "6")
    assert all(child.is_alive() for child in first)
    for child in first:
        os.kill(child.pid or 0, signal.SIGKILL)
    monkeypatch.undo()
    for child in first:
        child.join()
    steps = max(int(path.name[5:]) for path in run.glob("checkpoints/step-*"))
    train_here(*options, "--max_steps", str(steps + 4))
    logged = [line["steps"] for line in metrics(run)]
    assert logged == sorted(set(logged)) and logged[-1] == steps + 4
    assert not list(run.glob(".running*"))


def test_a_refusal_names_the_run_and_how_to_stop_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_PATIENCE", 0)
    with only_run(tmp_path):
        here = refusal(tmp_path)
        holder = json.loads((tmp_path / lock.HOLDER).read_text())
        assert (holder["process"], holder["host"]) == (os.getpid(), os.uname().nodename)
        assert f"process {os.getpid()} on {holder['host']} has been training in {tmp_path} since 20" in here.message
        assert here.remedy.command_line == (
            f"Stop it with `kill {os.getpid()}`, which saves a checkpoint, or choose another folder with --output_dir"
        )
        (tmp_path / lock.HOLDER).write_text(json.dumps(holder | {"host": "node7"}))
        assert "on node7, which saves" in str(away := refusal(tmp_path))
        assert f"If node7 is switched off, delete {tmp_path / lock.LOCK}" in str(away)
        (tmp_path / lock.HOLDER).write_text("{")
        assert f"another process is training in {tmp_path}" in str(refusal(tmp_path))
    with only_run(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_what_another_run_has_left_of_its_name_does_not_count(tmp_path: Path) -> None:
    """The record of a run that was killed stays; the lock alone counts."""
    (tmp_path / lock.LOCK).touch()
    (tmp_path / lock.HOLDER).write_text(json.dumps({"process": os.getpid(), "host": "elsewhere", "started": "now"}))
    with only_run(tmp_path):
        assert json.loads((tmp_path / lock.HOLDER).read_text())["host"] != "elsewhere"
