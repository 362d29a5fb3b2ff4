"""A run goes on and its model loads from any working folder, and no folder of a disk is published."""

import json
import logging
import re
from pathlib import Path

import pytest
import yaml
from huggingface_hub import snapshot_download
from PIL import Image

from helpers.launching import PHOTO, train_here
from helpers.loopback_hub import LoopbackHub
from helpers.pictures import picture_file
from hubgan import Upscaler

SMALL = [*PHOTO, "--perceptual_weight", "0", "--crop_size", "24", "--batch_size", "4", "--max_steps", "2"]


def run_snippet(card: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", card.read_text(), re.DOTALL)
    exec(code, {})


@pytest.mark.slow
def test_paths_are_kept_for_the_run_and_not_published(
    hub: LoopbackHub, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    home = tmp_path / "of-jane-doe"
    for number in range(4):
        picture_file(home / "data" / "pics" / f"{number}.png", size=(28, 28))
        picture_file(home / "data" / "test" / f"{number}.png", size=(28, 28))
    monkeypatch.chdir(home)
    size = {"width": 8, "depth": 1, "scale": 4, "strength": True}
    Upscaler(**size).save_pretrained("models/first")
    given = ["--dataset", "data/pics", "--eval_dataset", "../of-jane-doe/data/test",
             "--eval_split", "train", "--pretrained_model", "models/first"]  # fmt: skip
    train_here(*SMALL, *given, "--eval_samples", "1", "--output_dir", "runs/mine", "--push_to_hub", "tester/mine")

    options = json.loads(Path("runs/mine/run.json").read_text())["options"]
    assert options["dataset"] == str(home / "data" / "pics")
    assert options["pretrained_model"] == str(home / "models" / "first")
    recipe = yaml.safe_load(Path("runs/mine/recipe.yaml").read_text())
    assert [recipe[name] for name in ("dataset", "eval_dataset", "pretrained_model")] == ["pics", "test", "first"]
    published = Path(snapshot_download("tester/mine", cache_dir=tmp_path / "published"))
    files = [path for path in published.rglob("*") if path.is_file()]
    assert {"README.md", "recipe.yaml", "config.json", "model.safetensors", "samples.png"} <= {f.name for f in files}
    for file in files:
        for private in (b"of-jane-doe", bytes(tmp_path), b"runs/mine", b"data/pics", b"models/first"):
            assert private not in file.read_bytes(), (file, private)

    Image.new("RGB", (5, 4), "teal").save("photo.jpg")
    for card in ("runs/mine/README.md", "runs/mine/discriminator/README.md"):
        assert "run it in the folder that holds `runs`" in Path(card).read_text()
        run_snippet(Path(card))  # here, in the folder that holds `runs`
    (elsewhere := tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(elsewhere)
    Image.new("RGB", (5, 4), "teal").save("photo.jpg")
    for card in ("README.md", "discriminator/README.md"):
        assert "`tester/mine` is this repository on the Hub" in (published / card).read_text()
        run_snippet(published / card)

    run = home / "runs" / "mine"
    again = ["--output_dir", str(run), "--resume", "--eval_samples", "0", "--max_steps"]
    with caplog.at_level(logging.INFO, "hubgan"):
        train_here(*SMALL, *given, *again, "3")
        train_here("--config", str(run / "recipe.yaml"), *again, "4")
    assert f"dataset: {home / 'data' / 'pics'} is used, the path from the start of the run" in caplog.text
    assert "the data set has changed" not in caplog.text
    assert not re.search(r"other options than .*(dataset|pretrained)", caplog.text)
