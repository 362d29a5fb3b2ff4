"""Runs that are stopped, killed, and gone on with."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from helpers.common import ROOT
from helpers.forking import as_main, fork, free_port
from helpers.launching import (
    CLEAN,
    PHOTO,
    TINY,
    command,
    metrics,
    train_here,
)
from hubgan import Generator, Upscaler
from hubgan.errors import ConfigError, ModelError, TrainingError
from hubgan.runtime.files import sha256
from kill import kill_and_compare, train_forked


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return Generator.from_pretrained(folder).state_dict()


def assert_same_weights(one: Path, other: Path) -> None:
    expected = weights(one)
    for key, value in weights(other).items():
        assert torch.equal(value, expected[key]), key


@pytest.mark.slow
@pytest.mark.parametrize("task", ["generation", "upscaling"])
def test_runs_killed_at_random_moments_end_like_one_never_stopped(task: str) -> None:
    assert kill_and_compare(task, trials=1) > 0


@pytest.mark.slow
@pytest.mark.parametrize(("every", "steps", "optimizer"), [(10, 40, "adam"), (35, 40, "muon")])
def test_a_resumed_run_ends_like_one_never_stopped(every: int, steps: int, optimizer: str, tmp_path: Path) -> None:
    """Within an epoch of 31 steps, and past its end."""
    options = [*TINY, "--max_steps", str(steps), "--checkpoint_every", str(every), "--keep_checkpoints", "9",
               "--optimizer", optimizer]  # fmt: skip
    whole = train_here(*options, "--output_dir", str(tmp_path / "whole"))
    checkpoint = str(whole / "checkpoints" / f"step-{every:08d}")
    resumed = train_here(*options, "--output_dir", str(tmp_path / "resumed"), "--resume", checkpoint)
    assert metrics(resumed)[-1]["steps"] == steps
    assert_same_weights(whole, resumed)


@pytest.mark.slow
def test_a_stream_goes_on_where_it_was(tmp_path: Path) -> None:
    options = [*TINY, "--streaming", "True", "--shuffle_buffer", "100", "--max_steps", "40", "--checkpoint_every",
               "33", "--keep_checkpoints", "9"]  # fmt: skip
    whole = train_here(*options, "--output_dir", str(tmp_path / "whole"))
    checkpoint = str(whole / "checkpoints" / "step-00000033")
    workers = ["--num_workers", "1", "--resume", checkpoint]
    assert_same_weights(whole, train_here(*options, "--output_dir", str(tmp_path / "resumed"), *workers))


@pytest.mark.slow
def test_resume_auto_starts_or_goes_on(tmp_path: Path) -> None:
    options = [*TINY, "--output_dir", str(tmp_path / "run"), "--checkpoint_every", "3", "--resume", "auto"]
    train_here(*options, "--max_steps", "3")  # nothing to resume yet
    train_here(*options, "--max_steps", "6")
    assert [line["steps"] for line in metrics(tmp_path / "run")] == [3, 4, 6]


@pytest.mark.slow
def test_going_on_from_an_earlier_checkpoint_takes_back_what_came_after(tmp_path: Path) -> None:
    options = [*TINY, "--output_dir", str(tmp_path / "run"), "--checkpoint_every", "4", "--keep_checkpoints", "3"]
    run = train_here(*options, "--max_steps", "12")
    train_here(*options, "--max_steps", "8", "--resume", str(run / "checkpoints" / "step-00000004"))
    assert [line["steps"] for line in metrics(run)] == [4, 8]
    assert sorted(p.name for p in (run / "checkpoints").iterdir()) == ["step-00000004", "step-00000008"]


@pytest.mark.slow
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = [*TINY, "--output_dir", str(tmp_path / "run"), "--checkpoint_every", "4"]
    run = train_here(*options, "--max_steps", "8")
    whole = train_here(*TINY, "--output_dir", str(tmp_path / "whole"), "--max_steps", "12")
    last = run / "checkpoints" / "step-00000008"
    with (last / "optimizer.bin").open("r+b") as file:
        file.truncate(100)
    train_here(*options, "--max_steps", "12", "--resume", "auto")
    assert "step-00000008" in caplog.text and "optimizer.bin" in caplog.text
    assert [line["steps"] for line in metrics(run)] == [4, 8, 12]
    assert_same_weights(whole, run)
    for checkpoint in (run / "checkpoints").iterdir():
        (checkpoint / "model.safetensors").write_bytes(b"")
    with pytest.raises(TrainingError, match="step-00000012"):
        train_here(*options, "--max_steps", "16", "--resume", "auto")


def test_checkpoints_that_do_not_fit(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    options = [*TINY, "--output_dir", str(tmp_path / "run")]
    train_here(*options, "--max_steps", "2")
    with pytest.raises(ModelError, match=r"cannot resume from .*belongs to other networks or options"):
        train_here(*options, "--max_steps", "4", "--generator.width", "16", "--resume", "auto")
    assert "generator.width 16 (was 8)" in caplog.text


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_processes_or_batches(tmp_path: Path) -> None:
    """The global batch stays, and so do the weights within rounding: 8 x 1, then 2 x 2 on two processes, then 4 x 2.

    Without BatchNorm, which sees one batch of one process, and spectral normalisation, which changes at each use.
    """
    options = [*PHOTO, *CLEAN, "--pixel_share", "0", "--discriminator.norm", "none", "--checkpoint_every", "3",
               "--perceptual_weight", "0", "--learning_rate", "1e-4"]  # fmt: skip
    whole = train_here(*options, "--max_steps", "9", "--output_dir", str(tmp_path / "whole"))
    run, accumulated = tmp_path / "run", ["--gradient_accumulation_steps", "2", "--batch_size"]
    # Schedules go by the budget: so each part has that of the whole, and loses its later checkpoints.
    for step, processes, batch in ((3, 1, []), (6, 2, [*accumulated, "2"]), (9, 1, [*accumulated, "4"])):
        arguments = [*options, "--max_steps", "9", "--keep_checkpoints", "9", "--resume", "auto", *batch]
        log = tmp_path / "log"
        assert train_forked([*arguments, "--output_dir", str(run)], log, processes), log.read_text()[-3000:]
        for later in (run / "checkpoints").iterdir():
            if int(later.name[5:]) > step:
                shutil.rmtree(later)
    assert [line["images"] for line in metrics(run)] == [8 * step for step in range(1, 10)]
    expected = Upscaler.from_pretrained(whole).state_dict()
    for key, value in Upscaler.from_pretrained(run).state_dict().items():
        torch.testing.assert_close(value, expected[key], rtol=1e-2, atol=1e-5, msg=key)


@pytest.mark.slow
def test_another_runs_checkpoint_does_not_take_a_folder_that_holds_a_run(tmp_path: Path) -> None:
    options = [*TINY, "--max_steps", "2", "--output_dir"]
    one, other = (train_here(*options, str(tmp_path / name)) for name in ("one", "other"))
    with pytest.raises(ConfigError, match="holds another run"):
        train_here(*options, str(other), "--resume", str(one / "checkpoints" / "step-00000002"))
    assert (other / "checkpoints" / "step-00000002").exists()


def test_a_run_is_not_a_checkpoint(tmp_path: Path) -> None:
    run = train_here(*TINY, "--max_steps", "2", "--output_dir", str(tmp_path / "run"))
    with pytest.raises(ConfigError, match=r"is a run, not a checkpoint\. Did you mean .*step-00000002"):
        train_here(*TINY, "--output_dir", str(tmp_path / "other"), "--resume", str(run), "--max_steps", "3")


@pytest.mark.slow
def test_adaptive_augmentation_may_begin_when_a_run_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    options = [*TINY, "--output_dir", str(tmp_path / "run"), "--resume", "auto"]
    train_here(*options, "--max_steps", "4")
    train_here(*options, "--max_steps", "8", "--augment", "cutout", "--augment_target", "0.6")
    assert "augment_target 0.6 (was None)" in caplog.text
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert run["options"]["max_steps"] == 4
    assert run["sessions"][-1]["changed"] == {"max_steps": 8, "augment": ["cutout"], "augment_target": 0.6}
    assert "100%" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("machines", "processes", "number"), [(1, 1, signal.SIGTERM), (2, 2, signal.SIGTERM), (1, 2, signal.SIGINT)]
)
def test_a_signal_to_the_launcher_saves_before_the_run_leaves(
    machines: int, processes: int, number: int, launch_environment: dict[str, str], tmp_path: Path
) -> None:
    """SIGTERM comes to the launchers alone, as from a cluster; SIGINT to all processes, as from a terminal."""
    run = tmp_path / "run"
    meet = ["--main_process_ip", "127.0.0.1", "--main_process_port", str(free_port()), "--num_machines", str(machines)]
    launchers = [
        subprocess.Popen(
            command(processes, *ENDLESS, "--output_dir", str(run), machines=[*meet, "--machine_rank", str(rank)]),
            env=launch_environment, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )
        for rank in range(machines)
    ]  # fmt: skip
    await_file(run / "metrics.jsonl", lambda: launchers[0].poll() is None)
    for launcher in launchers:
        (os.kill if number == signal.SIGTERM else os.killpg)(launcher.pid, number)
    for launcher in launchers:
        launcher.communicate(timeout=60)
        assert launcher.returncode != 0
        await_gone(launcher.pid)
    assert_saved_and_goes_on(run, processes)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_before_the_run_leaves(number: int, tmp_path: Path) -> None:
    run, log = tmp_path / "run", tmp_path / "log"
    (child,) = fork(as_main, ROOT / "train.py", [*ENDLESS, "--output_dir", str(run)], tmp_path, log=log)
    await_file(run / "metrics.jsonl", child.is_alive)
    os.killpg(child.pid, number)
    child.join(60)
    assert child.exitcode not in (0, None), log.read_text()
    assert log.read_text().count("Stopped at step") == 1  # told once, above the progress bar
    assert_saved_and_goes_on(run, 1)


ENDLESS = [*TINY, "--max_steps", "100000", "--checkpoint_every", "100000"]


def assert_saved_and_goes_on(run: Path, processes: int) -> None:
    """Whether a run that a signal has ended left one checkpoint, from which it goes on."""
    checkpoints = list((run / "checkpoints").glob("step-*"))
    assert len(checkpoints) == 1
    steps, log = int(checkpoints[0].name[5:]), run.with_suffix(".log")
    options = [*ENDLESS, "--max_steps", str(steps + 2), "--resume", "auto", "--output_dir", str(run)]
    assert train_forked(options, log, processes), log.read_text()[-3000:]
    assert metrics(run)[-1]["steps"] == steps + 2


def await_file(file: Path, alive: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not (file.exists() and file.stat().st_size):
        assert alive() and time.monotonic() < deadline
        time.sleep(0.1)


def await_gone(group: int) -> None:
    """Wait until every process of a group has left: a launcher may leave before the one that saves."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    raise AssertionError("the run did not leave")


@pytest.mark.slow
@pytest.mark.parametrize("task", [TINY, PHOTO])
def test_a_run_that_has_ended_ends_again(task: Sequence[str], tmp_path: Path) -> None:
    options = [*task, "--max_steps", "2", "--output_dir", str(tmp_path / "run")]
    run = train_here(*options)
    before = (run / "model.safetensors").read_bytes()
    train_here(*options, "--resume", "auto")
    assert (run / "model.safetensors").read_bytes() == before


@pytest.mark.slow
def test_the_weights_that_a_part_begins_with_are_kept_once(tmp_path: Path) -> None:
    """A longer budget leads a finished run back into its pixel part, and into the adversarial part once more."""
    options = [*PHOTO, "--pixel_share", "0.5", "--perceptual_weight", "0", "--checkpoint_every", "2"]
    options += ["--output_dir", str(tmp_path / "run")]
    run = train_here(*options, "--max_steps", "4")
    pixel = (run / "pixel.safetensors").read_bytes()
    train_here(*options, "--max_steps", "16", "--resume")
    assert (run / "pixel.safetensors").read_bytes() == pixel


@pytest.mark.slow
def test_checkpoints_of_an_earlier_version_go_on(tmp_path: Path) -> None:
    """Their counters say nothing of phases, nor of the weights that were kept."""
    options = [*PHOTO, "--pixel_share", "0.5", "--perceptual_weight", "0", "--max_steps", "4"]
    options += ["--checkpoint_every", "2", "--keep_checkpoints", "9"]
    whole = train_here(*options, "--output_dir", str(tmp_path / "whole"))
    checkpoint = whole / "checkpoints" / "step-00000002"  # at the border between the parts
    file = next(file for file in checkpoint.glob("custom_checkpoint_*.pkl") if "by_phase" in torch.load(file))
    state = torch.load(file)
    torch.save({name: value for name, value in state.items() if name not in ("by_phase", "kept")}, file)
    sums = json.loads((checkpoint / "checksums.json").read_text())
    sums[file.name] = {"size": file.stat().st_size, "sha256": sha256(file)}
    (checkpoint / "checksums.json").write_text(json.dumps(sums))
    parts = train_here(*options, "--output_dir", str(tmp_path / "parts"), "--resume", str(checkpoint))
    for name in ("model.safetensors", "pixel.safetensors", "discriminator/model.safetensors"):
        assert (parts / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("share", ["0", "0.5"])
def test_a_pixel_run_goes_on_adversarially(share: str, tmp_path: Path) -> None:
    options = [*PHOTO, "--perceptual_weight", "0", "--output_dir", str(tmp_path / "run")]
    train_here(*options, "--pixel_share", "1", "--max_steps", "2")
    run = train_here(*options, "--pixel_share", share, "--max_steps", "6", "--resume")
    assert (run / "pixel.safetensors").is_file() and "discriminator" in metrics(run)[-1]
