"""The folder of a run: each has one of its own."""

import json
import os
from pathlib import Path

import pytest

from hubgan.errors import ConfigError
from hubgan.training import parse
from hubgan.training.run.folders import run_path, with_folder
from hubgan.training.run.lock import HOLDER

QUICK = ["--config", "quickstart"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def chosen(*options: str) -> str:
    return str(run_path(with_folder(parse([*QUICK, *options]))))


def leave_run(name: str, at: float) -> Path:
    """A folder in which a run has logged and saved, at this time."""
    checkpoint = Path(name, "checkpoints", "step-00000001")
    checkpoint.mkdir(parents=True)
    log = Path(name, "metrics.jsonl")
    log.write_text('{"steps": 1}\n')
    for path in (checkpoint, log):
        os.utime(path, (at, at))
    return checkpoint


def test_a_second_run_is_kept_beside_the_first() -> None:
    assert chosen() == "runs/quickstart"
    leave_run("runs/quickstart", at=1)
    second = chosen()
    assert second.startswith("runs/quickstart-20")
    Path(second).mkdir()
    assert chosen() == second  # nothing is in it yet
    (Path(second) / HOLDER).touch()  # a run has begun there
    assert chosen() == f"{second}-2"
    assert chosen("--output_dir", "runs/quickstart") == "runs/quickstart"  # which is refused later


def test_a_model_without_its_run_is_not_overwritten() -> None:
    Path("runs/quickstart").mkdir(parents=True)
    Path("runs/quickstart/config.json").touch()
    assert chosen() != "runs/quickstart"


def test_resume_goes_on_with_the_run_that_was_trained_last() -> None:
    assert chosen("--resume") == "runs/quickstart"  # none yet: the first begins
    first = leave_run("runs/quickstart", at=20)
    leave_run("runs/quickstart-2026-11-30-1412", at=30)
    leave_run("runs/quickstart-small", at=40)  # another recipe's
    assert chosen("--resume", "auto") == "runs/quickstart-2026-11-30-1412"
    os.utime("runs/quickstart/metrics.jsonl", (50, 50))
    assert chosen("--resume") == "runs/quickstart"
    assert chosen("--resume", str(first)) == "runs/quickstart"
    assert chosen("--resume", "runs/quickstart-2026-11-30-1412/checkpoints/x") == "runs/quickstart-2026-11-30-1412"
    other = leave_run("runs/other", at=60)
    assert chosen("--resume", str(other)).startswith("runs/quickstart-20")  # a new run from another one's checkpoint


def test_resume_goes_on_with_a_run_on_the_same_data() -> None:
    def leave_run_on(name: str, options: dict[str, str], at: float) -> None:
        leave_run(name, at)
        Path(name, "run.json").write_text(json.dumps({"options": options}))

    for name in ("my-photos", "other/my-photos"):
        Path(name).mkdir(parents=True)
    mine = "runs/quickstart-2026-11-30-1412"
    leave_run_on(mine, {"dataset": str(Path("my-photos").absolute())}, at=40)
    assert chosen("--dataset", "my-photos", "--resume") == mine
    words = r"no run on the data set cifar10-sample\. .*-1412, is on my-photos\..*--dataset my-photos --resume"
    with pytest.raises(ConfigError, match=words):
        chosen("--resume")
    with pytest.raises(ConfigError, match="no run on the data set my-photos"):
        chosen("--dataset", "other/my-photos", "--resume")  # another folder of that name
    assert chosen("--dataset", "other/my-photos", "--dataset_name", "my-photos", "--resume") == mine
    Path("my-photos").rmdir()
    assert chosen("--dataset", "other/my-photos", "--resume") == mine  # it may have been moved
    leave_run_on("runs/quickstart", {"dataset": parse(QUICK).dataset}, at=20)
    assert chosen("--resume") == "runs/quickstart"
    leave_run_on("runs/quickstart-2026-11-30-1500", {"dataset": "user/set", "dataset_name": "old/set (copy)"}, at=30)
    assert chosen("--dataset", "old/set", "--resume") == chosen("--dataset", "user/set", "--resume")


def test_a_recipe_in_a_runs_folder_is_called_like_the_run() -> None:
    for name in ("one", "two"):
        leave_run(f"runs/{name}", at=10)
        Path(f"runs/{name}/recipe.yaml").write_text("task: generation\ndataset: photos\nmax_steps: 1\n")
    recipe = ["--config", "runs/one/recipe.yaml"]
    assert chosen(*recipe, "--resume") == "runs/one"
    second = chosen(*recipe)
    assert second.startswith("runs/one-20")
    leave_run(second, at=20)
    assert chosen(*recipe, "--resume") == second
    assert chosen("--config", "runs/two/recipe.yaml", "--resume") == "runs/two"
    Path("recipe.yaml").write_text("task: generation\ndataset: photos\nmax_steps: 1\n")
    assert chosen("--config", "recipe.yaml") == "runs/recipe"
