"""Checkpoints: whole or not there, found again when some are damaged, and never the last good one lost."""

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from torch import nn

from helpers.common import ROOT
from helpers.forking import run_script
from hubgan.errors import ConfigError, ModelError, TrainingError
from hubgan.training.run.checkpoints import CHECKSUMS, discard_after, find_checkpoint, load_checkpoint, save_checkpoint


class Counter:
    """Something registered for checkpointing."""

    steps = 0

    def state_dict(self) -> dict[str, int]:
        return {"steps": self.steps}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.steps = state["steps"]


class Run:
    """A model and its optimizer, as a loop has them."""

    def __init__(self, width: int = 3) -> None:
        self.accelerator = Accelerator(cpu=True)
        model = nn.Sequential(nn.Linear(width, width), nn.BatchNorm1d(width))
        self.model, self.optimizer = self.accelerator.prepare(model, torch.optim.Adam(model.parameters(), 0.1))
        self.counter = Counter()
        self.accelerator.register_for_checkpointing(self.counter)

    def step(self) -> None:
        self.optimizer.zero_grad()
        self.accelerator.backward(self.model(torch.randn(4, next(self.model.parameters()).shape[0])).square().sum())
        self.optimizer.step()
        self.counter.steps += 1

    def save(self, folder: Path, step: int, keep: int = 2) -> Path:
        return save_checkpoint(self.accelerator, folder, step, keep)


@pytest.fixture
def run() -> Run:
    return Run()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def cut(checkpoint: Path) -> None:
    file = checkpoint / "optimizer.bin"
    file.write_bytes(file.read_bytes()[:-7])


def alter(checkpoint: Path) -> None:
    file = checkpoint / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


DAMAGES: list[tuple[Callable[[Path], object], str]] = [
    (cut, r"optimizer.bin is incomplete \("),
    (alter, "model.safetensors is altered"),
    (lambda c: (c / "custom_checkpoint_0.pkl").unlink(), "custom_checkpoint_0.pkl is missing"),
    (lambda c: (c / CHECKSUMS).unlink(), "checksums.json is missing"),
    (lambda c: (c / CHECKSUMS).write_text('{"model'), "checksums.json cannot be read"),
    (lambda c: (c / CHECKSUMS).write_text("[1, 2]"), "checksums.json cannot be read"),
    (lambda c: (c / CHECKSUMS).write_text("{}"), "checksums.json lists no files"),
]


def test_a_run_goes_on_from_a_checkpoint_bit_for_bit(run: Run, tmp_path: Path) -> None:
    run.step()
    checkpoint = run.save(tmp_path, 1)
    run.step()
    expected = {key: value.clone() for key, value in run.model.state_dict().items()}
    load_checkpoint(run.accelerator, checkpoint)
    assert run.counter.steps == 1
    run.step()
    for key, value in run.model.state_dict().items():
        assert torch.equal(value, expected[key])


def test_every_file_is_summed_and_nothing_else_is_left(run: Run, tmp_path: Path) -> None:
    checkpoint = run.save(tmp_path / "made", 1234)
    assert names(tmp_path / "made") == ["step-00001234"]
    sums = json.loads((checkpoint / CHECKSUMS).read_text())
    assert sorted([*sums, CHECKSUMS]) == names(checkpoint)
    assert all(entry["size"] == (checkpoint / name).stat().st_size for name, entry in sums.items())
    assert all(len(entry["sha256"]) == 64 for entry in sums.values())


def test_the_last_checkpoints_are_kept(run: Run, tmp_path: Path) -> None:
    for step in (8, 9, 10, 100_000_000):
        run.save(tmp_path, step, keep=3)
    assert names(tmp_path) == ["step-00000009", "step-00000010", "step-100000000"]
    assert find_checkpoint("auto", tmp_path) == tmp_path / "step-100000000"
    run.save(tmp_path, 100_000_001, keep=1)
    assert names(tmp_path) == ["step-100000001"]


@pytest.mark.parametrize(("damage", "reason"), DAMAGES)
def test_a_damaged_checkpoint_is_told_of_and_the_one_before_is_used(
    damage: Callable[[Path], object], reason: str, run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good = run.save(tmp_path, 1)
    bad = run.save(tmp_path, 2)
    damage(bad)
    with caplog.at_level(logging.WARNING, "hubgan"):
        assert find_checkpoint("auto", tmp_path) == good
    (record,) = caplog.records
    with pytest.raises(AssertionError, match=rf"step-00000002, {reason}.*checkpoint before, step-00000001"):
        raise AssertionError(record.getMessage())
    with pytest.raises(ConfigError, match=f"step-00000002 is not a checkpoint.*{reason}"):
        find_checkpoint(str(bad), tmp_path)
    assert find_checkpoint(str(good), tmp_path) == good


def test_all_damaged_is_no_reason_to_start_afresh(run: Run, tmp_path: Path) -> None:
    cut(run.save(tmp_path, 1))
    alter(run.save(tmp_path, 2))
    words = (
        "every checkpoint .*step-00000002, model.safetensors is altered; step-00000001, optimizer.bin is incomplete"
    )
    with pytest.raises(TrainingError, match=words):
        find_checkpoint("auto", tmp_path)


def test_nothing_to_find(tmp_path: Path) -> None:
    assert find_checkpoint("auto", tmp_path) is None
    (tmp_path / "step-by-step").mkdir()
    (tmp_path / ".saving-00000001").mkdir()
    (tmp_path / "discarded-step-00000001").mkdir()
    assert find_checkpoint("auto", tmp_path) is None
    with pytest.raises(ConfigError, match="the folder does not exist"):
        find_checkpoint(str(tmp_path / "nowhere"), tmp_path)


# -- kills


def test_a_kill_while_saving(run: Run, tmp_path: Path) -> None:
    good = run.save(tmp_path, 1)
    partial = tmp_path / ".saving-00000002"
    shutil.copytree(good, partial, ignore=shutil.ignore_patterns(CHECKSUMS))
    assert find_checkpoint("auto", tmp_path) == good
    run.save(tmp_path, 3)
    assert names(tmp_path) == ["step-00000001", "step-00000003"]


def test_a_kill_before_the_last_rename(run: Run, tmp_path: Path) -> None:
    run.save(tmp_path, 1).rename(tmp_path / ".saving-00000001")  # whole, but its name does not count yet
    assert find_checkpoint("auto", tmp_path) == tmp_path / "step-00000001"


def test_a_kill_between_the_renames_of_a_checkpoint_that_is_saved_again(run: Run, tmp_path: Path) -> None:
    run.save(tmp_path, 1).rename(tmp_path / ".replaced-00000001")
    run.counter.steps = 7
    shutil.move(run.save(tmp_path / "other", 1), tmp_path / ".saving-00000001")
    shutil.rmtree(tmp_path / "other")
    found = find_checkpoint("auto", tmp_path)
    assert found == tmp_path / "step-00000001"
    load_checkpoint(run.accelerator, found)
    assert run.counter.steps == 7
    run.save(tmp_path, 2)
    assert names(tmp_path) == ["step-00000001", "step-00000002"]


def test_a_kill_after_the_old_one_was_moved_and_the_new_one_got_lost(run: Run, tmp_path: Path) -> None:
    run.save(tmp_path, 1).rename(tmp_path / ".replaced-00000001")
    assert find_checkpoint("auto", tmp_path) == tmp_path / "step-00000001"


def test_a_checkpoint_can_be_saved_again(run: Run, tmp_path: Path) -> None:
    run.save(tmp_path, 1)
    run.counter.steps = 5
    checkpoint = run.save(tmp_path, 1)
    run.counter.steps = 0
    load_checkpoint(run.accelerator, checkpoint)
    assert run.counter.steps == 5
    assert names(tmp_path) == ["step-00000001"]


class Code:
    """Runs a command where a pickle of it is read without limits."""

    def __init__(self, made: Path) -> None:
        self._made = made

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._made,)


def test_a_checkpoint_that_would_run_code_is_refused(run: Run, tmp_path: Path) -> None:
    checkpoint = run.save(tmp_path, 1)
    torch.save({"probability": Code(tmp_path / "ran")}, checkpoint / "custom_checkpoint_0.pkl")
    with pytest.raises(ModelError, match="holds more than tensors and numbers"):
        load_checkpoint(run.accelerator, checkpoint)
    assert not (tmp_path / "ran").exists()


# -- another future


def test_what_lies_after_the_checkpoint_gone_on_from_counts_no_longer(run: Run, tmp_path: Path) -> None:
    for step in (1, 2, 3, 4):
        run.save(tmp_path, step, keep=9)
    cut(tmp_path / "step-00000004")
    shutil.copytree(tmp_path / "step-00000003", tmp_path / ".saving-00000005")  # whole, and of the old future
    discard_after(tmp_path, tmp_path / "step-00000002")
    assert find_checkpoint("auto", tmp_path) == tmp_path / "step-00000002"
    assert "discarded-step-00000003" in names(tmp_path)
    run.save(tmp_path, 3, keep=2)
    assert names(tmp_path) == ["step-00000002", "step-00000003"]


def test_going_on_from_another_folder_discards_all(run: Run, tmp_path: Path) -> None:
    elsewhere = run.save(tmp_path / "elsewhere", 5)
    run.save(tmp_path / "here", 1)
    discard_after(tmp_path / "here", elsewhere)
    assert names(tmp_path / "here") == ["discarded-step-00000001"]
    assert names(tmp_path / "elsewhere") == ["step-00000005"]
    run.save(tmp_path / "here", 2)
    discard_after(tmp_path / "here", None)
    assert names(tmp_path / "here") == ["discarded-step-00000002"]


def test_a_later_checkpoint_of_an_old_future_is_not_kept_in_place_of_a_new_one(run: Run, tmp_path: Path) -> None:
    run.save(tmp_path, 9)
    assert run.save(tmp_path, 2, keep=1).is_dir()


# -- what cannot be done


def test_a_folder_that_cannot_be_written(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match=r"cannot save the checkpoint .*Earlier checkpoints are intact"):
        run.save(tmp_path / "file" / "checkpoints", 1)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("[enforce fail at write]")])
def test_a_full_disk_leaves_the_checkpoint_before(
    error: Exception, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = run.save(tmp_path, 1)

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(TrainingError, match=r"step-00000002: .*(No space|enforce).*--resume"):
        run.save(tmp_path, 2, keep=1)
    assert names(tmp_path) == ["step-00000001"]  # and the space is free again
    assert find_checkpoint("auto", tmp_path) == good


def test_a_rename_that_fails_leaves_the_old_one(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run.save(tmp_path, 1)
    rename = Path.rename

    def fail(path: Path, target: Path) -> Path:
        if path.name.startswith(".saving-"):
            raise OSError(5, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(TrainingError, match="Input/output error"):
        run.save(tmp_path, 1)
    assert find_checkpoint("auto", tmp_path) == tmp_path / "step-00000001"


def test_other_networks(run: Run, tmp_path: Path) -> None:
    checkpoint = run.save(tmp_path, 1)
    with pytest.raises(ModelError, match=r"cannot resume from .*belongs to other networks or options"):
        load_checkpoint(Run(width=5).accelerator, checkpoint)


# -- several processes

SCRIPT = """
import os, shutil, sys
from pathlib import Path
from typing import Any
import torch
from torch import nn
from accelerate import Accelerator
sys.path[:0] = {tests!r}
from test_checkpoints import Run
from hubgan.errors import HubganError
from hubgan.training.run.checkpoints import *

folder = Path(sys.argv[1])
run = Run()
accelerator = run.accelerator
said = []

def attempt(action):
    try:
        action()
        said.append("done")
    except HubganError as error:
        said.append(f"{{type(error).__name__}} {{error}}")

attempt(lambda: load_checkpoint(accelerator, find_checkpoint("auto", folder / "one")))
run.step()
attempt(lambda: run.save(folder / "two", 1))
attempt(lambda: load_checkpoint(accelerator, find_checkpoint("auto", folder / "two")))
attempt(lambda: run.save(folder / "file" / "checkpoints", 1))
attempt(lambda: find_checkpoint("auto", folder / "damaged"))
attempt(lambda: load_checkpoint(Run(width=5).accelerator, folder / "one" / "step-00000001"))
(folder / f"said-{{accelerator.process_index}}").write_text("\\n".join(said))
accelerator.end_training()
"""


@pytest.mark.slow
def test_two_processes(run: Run, tmp_path: Path) -> None:
    run.step()
    run.save(tmp_path / "one", 1)
    (tmp_path / "file").touch()
    cut(run.save(tmp_path / "damaged", 1))
    (tmp_path / "script.py").write_text(SCRIPT.format(tests=[str(Path(__file__).parent), str(ROOT / "tests")]))
    run_script(tmp_path / "script.py", str(tmp_path), folder=tmp_path, processes=2)
    first, second = ((tmp_path / f"said-{index}").read_text().splitlines() for index in range(2))
    assert first == second  # every process learns of an error on one
    assert first[:3] == ["done"] * 3  # one process's checkpoint, and their own
    assert [line.split()[0] for line in first[3:]] == ["TrainingError", "TrainingError", "ModelError"]
    assert "optimizer.bin is incomplete" in first[4]
    assert {"random_states_0.pkl", "random_states_1.pkl"} < set(names(tmp_path / "two" / "step-00000001"))
    load_checkpoint(run.accelerator, tmp_path / "two" / "step-00000001")  # theirs, on one process
    assert run.counter.steps == 2
