"""The benchmarks run, and write what they found with all that it depends on; what they found is not tested."""

import json
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from benchmarks import augmentation, common, history, labels, truncation
from conftest import SAMPLE
from hubgan import Generator
from hubgan.data import load_images
from hubgan.synthesis import synthesize
from launching import TINY, train_here

NAMES = load_images(str(SAMPLE)).classes


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(common, "RESULTS", tmp_path / "results")
    return tmp_path / "results"


def call(module: object, monkeypatch: pytest.MonkeyPatch, *options: str) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmark", *options])
    module.main()  # type: ignore[attr-defined]


def test_a_run_measured_at_its_checkpoints(
    results: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--max_steps", "4", "--checkpoint_every", "2", "--conditional", "True"]
    run = train_here(*TINY, *options, "--output_dir", str(tmp_path / "run"))
    options = ["--dataset", str(SAMPLE), "--split", "train", "--samples", "12", "--grids", str(tmp_path / "grids"),
               "--curves", str(tmp_path / "curves.png")]  # fmt: skip
    call(history, monkeypatch, f"tiny={run}", *options)
    table = json.loads((results / "history.json").read_text())["table"]
    assert [row["images"] for row in table] == [32, 64]
    assert {"FD-ENL0", "recall-ENL0"} <= set(table[0])
    assert Image.open(tmp_path / "grids" / "tiny-64.png").size == (256, 256)
    assert Image.open(tmp_path / "curves.png").size == (960, 288)
    # The last checkpoint's average is the model that was saved.
    saved, found = (
        Generator.from_pretrained(run),
        history._load(run, run / "checkpoints" / "step-00000004", str(SAMPLE)),
    )
    assert torch.equal(saved.sample(2, seed=0, output_type="pt"), found.sample(2, seed=0, output_type="pt"))


def test_truncation(results: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Generator(width=4).save_pretrained(tmp_path / "model")
    options = ["--dataset", str(SAMPLE), "--split", "train", "--samples", "12", "--thresholds", "1"]
    call(truncation, monkeypatch, str(tmp_path / "model"), *options)
    found = json.loads((results / "truncation.json").read_text())
    assert [row["truncation"] for row in found["table"]] == ["none", "1"]
    assert found["environment"]["torch"]


def test_augmentation(results: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synthesize(Generator(width=4, labels=NAMES), tmp_path / "fakes", 40)
    for split, rows in (("train", range(300)), ("test", range(300, 500))):
        (tmp_path / "real").mkdir(exist_ok=True)
        load_images(str(SAMPLE)).rows.select(rows).to_parquet(tmp_path / "real" / f"{split}.parquet")
    options = ["--dataset", str(tmp_path / "real"), "--synthetic", str(tmp_path / "fakes"), "--steps", "20"]
    call(augmentation, monkeypatch, *options, "--seeds", "0")
    found = json.loads((results / "augmentation.json").read_text())
    assert [row["trained on"] for row in found["means"]] == ["real", "real and synthetic", "synthetic"]
    assert found["real images"] == 30
    call(labels, monkeypatch, *options)
    assert len(json.loads((results / "labels.json").read_text())["table"]) == 2
