"""The benchmarks run, and write what they found with all that it depends on; what they found is not tested."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import datasets
import pytest
import torch
from PIL import Image

from benchmarks import (
    augmentation,
    cold_start,
    common,
    crops,
    end_to_end,
    everyday,
    flicker,
    history,
    labels,
    sampling,
    sizes,
    training,
    truncation,
    upscaling,
    upscaling_speed,
)
from benchmarks.peers import Peer
from helpers.common import SAMPLE
from helpers.forking import as_module, finish, fork
from helpers.launching import TINY, train_here
from hubgan import Generator, Upscaler
from hubgan.data import load_images
from hubgan.export.dataset import synthesize
from hubgan.training.run.provenance import git_revision

SCRIPTS = [file for file in Path(common.__file__).parent.glob("*.py") if "def main()" in file.read_text()]
NAMES = load_images(str(SAMPLE)).classes


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(common, "RESULTS", tmp_path / "results")
    return tmp_path / "results"


@pytest.fixture
def forked_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m module` in a process that has imported hubgan; other programs start as ever."""
    run = subprocess.run

    def start(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        if command[:2] != [sys.executable, "-m"]:
            return run(command, **options)
        log = tmp_path / "log"
        done = finish(fork(as_module, command[2], command[3:], options["cwd"], log=log))
        said = log.read_text()
        log.unlink()
        return subprocess.CompletedProcess(command, 0 if done else 1, said, said)

    monkeypatch.setattr(subprocess, "run", start)


def call(module: ModuleType, monkeypatch: pytest.MonkeyPatch, *options: str) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmark", *options])
    monkeypatch.setattr(sys, "orig_argv", [sys.executable, "-m", module.__name__, *options])
    module.main()


@pytest.mark.slow
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


@pytest.mark.slow
def test_truncation(results: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = str(tmp_path / "model")
    Generator(width=4).save_pretrained(model)
    options = ["--dataset", str(SAMPLE), "--split", "train", "--samples", "12", "--thresholds", "1"]
    call(truncation, monkeypatch, model, *options)
    found = json.loads((results / "truncation.json").read_text())
    assert [row["truncation"] for row in found["table"]] == ["none", "1"]
    environment = found["environment"]
    assert environment["torch"]
    assert environment["command"] == shlex.join(["python", "-m", "benchmarks.truncation", model, *options])
    if git := git_revision():  # None where the tests run from no checkout
        assert environment["git"]["revision"] == git["revision"] and environment["git"]["dirty"] in (True, False)


@pytest.mark.slow
def test_flicker(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Upscaler(width=4, depth=1, strength=True).save_pretrained(tmp_path / "model")
    call(flicker, monkeypatch, "--model", str(tmp_path / "model"), "--side", "32", "--frames", "26")
    table = json.loads((results / "flicker.json").read_text())["table"]
    assert [row["clip"] for row in table] == [*flicker.CLIPS]
    assert all(row["steadied"] < row["enlarged one by one"] and 0 <= row["strength"] <= 1 for row in table[:3])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_every_benchmark_writes_its_results_with_their_environment(script: Path) -> None:
    source = script.read_text()
    assert "write_text" not in source
    assert re.search(r"^ +write\(", source, re.MULTILINE) or script.name == "crops.py"  # which draws a picture


@pytest.mark.slow
def test_augmentation(results: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synthesize(Generator(width=4, labels=NAMES), tmp_path / "fakes", 40)
    for split, rows in (("train", range(300)), ("test", range(300, 500))):
        (tmp_path / "real").mkdir(exist_ok=True)
        load_images(str(SAMPLE)).rows.select(rows).to_parquet(tmp_path / "real" / f"{split}.parquet")
    options = ["--dataset", str(tmp_path / "real"), "--synthetic", str(tmp_path / "fakes"), "--steps", "4"]
    call(augmentation, monkeypatch, *options, "--seeds", "0")
    found = json.loads((results / "augmentation.json").read_text())
    assert [row["trained on"] for row in found["means"]] == ["real", "real and synthetic", "synthetic"]
    assert found["real images"] == 30
    call(labels, monkeypatch, *options)
    assert len(json.loads((results / "labels.json").read_text())["table"]) == 2


# As the programs in benchmarks/peers are called.
PEER = """
import json, sys
from pathlib import Path
from PIL import Image
name, scale, source, target, threads, repetitions = sys.argv[1:]
if name == "broken":
    sys.exit("it has no weights")
for file in Path(source).iterdir():
    picture = Image.open(file)
    size = (picture.width * int(scale), picture.height * int(scale))
    picture.resize(size, Image.Resampling.NEAREST).save(Path(target) / file.name)
seconds = {file.name: [0.5] * int(repetitions) for file in Path(source).iterdir()}
print(json.dumps({"seconds": seconds, "parameters": 7, "backend": "Pillow", "weights": "none"}))
"""


@pytest.fixture
def sr_eval(tmp_path: Path) -> str:
    """The standard benchmarks' layout, with noise for pictures."""
    configs = "".join(f"- config_name: {name}\n  data_files: [{{split: x4, path: {name}/x4-*}}]\n"
                      for name in ("Set5", "Set14", "B100"))  # fmt: skip
    for name in ("Set5", "Set14", "B100"):
        pictures = [Image.effect_noise((65, 50), 50), Image.effect_noise((48, 48), 50).convert("RGB")]
        pictures += [Image.effect_noise((240, 208), 50)] if name == "Set5" else []
        rows = [{"lr": large.resize((large.width // 4, large.height // 4)), "hr": large, "name": "noise"}
                for large in pictures]  # fmt: skip
        (tmp_path / "data" / name).mkdir(parents=True)
        datasets.Dataset.from_list(rows).to_parquet(tmp_path / "data" / name / "x4-00000-of-00001.parquet")
    (tmp_path / "data" / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    return str(tmp_path / "data")


@pytest.mark.slow
def test_upscalers_side_by_side(
    results: Path, cache: Path, sr_eval: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Upscaler(width=4, depth=1).save_pretrained(tmp_path / "model")
    shutil.copy(tmp_path / "model" / "model.safetensors", tmp_path / "model" / "pixel.safetensors")
    peers = {name: Peer(name, lambda folder: [sys.executable, "-c", PEER]) for name in ("nearest", "broken")}
    peers["absent"] = Peer("absent", lambda folder: [str(folder / "no-such-program")])
    monkeypatch.setattr(upscaling, "PEERS", peers)
    monkeypatch.setattr(upscaling, "_TIMED", 32)
    threads = torch.get_num_threads()
    options = ["--sr-eval", sr_eval, "--model", str(tmp_path / "model"), "--limit", "1"]
    try:
        call(upscaling, monkeypatch, *options)
    finally:
        torch.set_num_threads(threads)
    found = json.loads((results / "upscaling.json").read_text())
    table = {row["upscaler"]: row for row in found["table"]}
    models = [f"hubgan model, fidelity {fidelity}" for fidelity in ("0", "0.5", "1")]
    assert [*table] == ["bicubic", "Lanczos", *models, "nearest"]
    assert table[models[0]]["speed"] == 1
    assert table["nearest"]["parameters"] == 7
    assert table["nearest"]["ms/megapixel"] == round(500 / (32 * 32 / 1e6))
    assert all(0 < row["PD-ENL2 degraded"] < 4 for row in table.values())
    assert all(0 < row["PD-ENL2 Set14"] < 4 and row["PSNR B100"] > 0 for row in table.values())
    assert found["methods"]["broken"] == {"not measured": "it has no weights"}
    assert "No such file" in found["methods"]["absent"]["not measured"]


@pytest.mark.slow
@pytest.mark.parametrize("scale", [4, 2])
def test_everyday_pictures(
    results: Path, sr_eval: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scale: int
) -> None:
    Upscaler(scale=scale, width=4, depth=1, strength=True).save_pretrained(tmp_path / "model")
    peers = {"nearest": Peer("nearest", lambda folder: [sys.executable, "-c", PEER], (2, 4))}
    peers["absent"] = Peer("absent", lambda folder: [str(folder / "no-such-program")])
    for module in (everyday, upscaling):
        monkeypatch.setattr(module, "PEERS", peers)
    monkeypatch.setattr(everyday, "WAYS", {way: everyday.WAYS[way] for way in ("clean", "JPEG 40", "web")})
    monkeypatch.setattr(everyday, "_DETAILS", [(0, 2, 3), (1, 0, 0)])
    photos = [tmp_path / f"{number}.jpg" for number in range(2)]
    for photo in photos:
        Image.effect_noise((80, 70), 40).convert("RGB").save(photo, quality=70)
    data = datasets.Dataset.from_dict({"image": [*map(str, photos)]}).cast_column("image", datasets.Image())
    (tmp_path / "photos").mkdir()
    data.to_parquet(tmp_path / "photos" / "train.parquet")
    options = ["--sr-eval", sr_eval, "--model", str(tmp_path / "model"), "--limit", "1", "--threads", "1"]
    options += ["--photos", str(tmp_path / "photos"), "--sheet", str(tmp_path / "sheet.png"), "--scale", str(scale)]
    call(everyday, monkeypatch, *options)
    found = json.loads((results / "everyday.json").read_text())
    assert [row["upscaler"] for row in found["table"]] == ["bicubic", "Lanczos", "hubgan model", "nearest"]
    clean, compressed = (found["ways"][way]["bicubic"] for way in ("clean", "JPEG 40"))
    assert clean["PSNR"] > compressed["PSNR"] and clean["PD-ENL2"] < compressed["PD-ENL2"]
    if scale == 4:
        assert "No such file" in found["left_out"]["absent"]
    else:
        assert not found["left_out"]  # it has no weights for this scale
    assert Image.open(tmp_path / "sheet.png").size == (3 * 192, 18 + 2 * 192)


def test_everyday_pictures_by_a_model_of_another_scale(
    sr_eval: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Upscaler(scale=2, width=4, depth=1).save_pretrained(tmp_path / "model")
    with pytest.raises(SystemExit):
        call(everyday, monkeypatch, "--sr-eval", sr_eval, "--model", str(tmp_path / "model"))
    assert "model enlarges 2 times: pass --scale 2, or another --model" in capsys.readouterr().err


@pytest.mark.parametrize(("scale", "options"), [(4, ["--fidelity", "0", "1"]), (4, ["--degraded"]), (2, [])])
def test_details_side_by_side(
    sr_eval: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scale: int, options: list[str]
) -> None:
    Upscaler(scale=scale, width=4, depth=1).save_pretrained(tmp_path / "model")
    shutil.copy(tmp_path / "model" / "model.safetensors", tmp_path / "model" / "pixel.safetensors")
    command = [sys.executable, "-c", PEER]
    monkeypatch.setattr(crops, "PEERS", {"nearest": Peer("nearest", lambda folder: command, (2, 4))})
    file = tmp_path / "details.png"
    given = [str(tmp_path / "model"), "--sr-eval", sr_eval, "--peers", "nearest", "-o", str(file), *options]
    call(crops, monkeypatch, *given)
    sheet = Image.open(file)
    assert sheet.size == ((4 + ("--fidelity" in options)) * 160, 18 + 112)  # a single picture is there
    assert len({sheet.crop((160 * n, 18, 160 * n + 160, 130)).tobytes() for n in range(sheet.width // 160)}) == 4


def test_details_of_a_scale_that_a_peer_has_not(
    sr_eval: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Upscaler(scale=2, width=4, depth=1).save_pretrained(tmp_path / "model")
    with pytest.raises(SystemExit):
        call(crops, monkeypatch, str(tmp_path / "model"), "--sr-eval", sr_eval, "-o", str(tmp_path / "details.png"))
    assert "realesrgan-x4plus does not enlarge 2 times: name others (--peers)" in capsys.readouterr().err


def test_sizes(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "_SIZES", [(4, 4, 1, 1), (1, 8, 1, 2)])
    threads = torch.get_num_threads()
    try:
        call(sizes, monkeypatch, "--repetitions", "1")
    finally:
        torch.set_num_threads(threads)
    table = json.loads((results / "sizes.json").read_text())["table"]
    assert [row["scale"] for row in table] == [4, 1] and all(row["CPU ms/megapixel"] > 0 for row in table)


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.usefixtures("forked_modules")
def test_training_side_by_side(results: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "_LOOPS", {"plain loop": "plain"})
    monkeypatch.setattr(training, "_RECIPES", {"generation": ("cifar-dcgan", 16)})
    options = ["--dataset", str(SAMPLE), "--images", "64", "--repetitions", "1", "--threads", "1"]
    call(training, monkeypatch, "generation", *options)
    found = json.loads((results / "training-generation.json").read_text())
    assert [row["training"] for row in found["table"]] == ["hubgan", "plain loop"]
    assert found["table"][1]["times the plain loop"] == 1
    assert all(row["images/s"] > 0 and row["memory MB"] > 100 for row in found["table"])


@pytest.mark.slow
def test_sampling_side_by_side(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Generator(width=4).save_pretrained(tmp_path / "model")
    threads = torch.get_num_threads()
    try:
        call(sampling, monkeypatch, str(tmp_path / "model"), "--numbers", "3", "--steps", "1", "--repetitions", "1")
    finally:
        torch.set_num_threads(threads)
    table = {row["way"]: row for row in json.loads((results / "sampling.json").read_text())["table"]}
    assert table["bare network"]["times the bare network's"] == 1
    assert table["DDPM, 1,000 steps"]["seconds"] > table["hubgan, PIL images"]["seconds"]


@pytest.mark.e2e
@pytest.mark.slow
def test_speed_of_upscalers(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ["--sides", "16", "--threads", "1", "--repetitions", "1", "--peers"]
    measured = {"upscaler": "hubgan photo-x4, fidelity 0", "PSNR Set14": 28, "PD-ENL2 Set14": 0.4, "parameters": 7}
    results.mkdir()
    (results / "upscaling.json").write_text(json.dumps({"table": [measured]}))
    call(upscaling_speed, monkeypatch, *options)
    table = json.loads((results / "upscaling_speed.json").read_text())["table"]
    assert [row["upscaler"] for row in table] == ["bicubic", "hubgan", "hubgan, whole"]
    assert all(row["memory MB"] > 20 for row in table)
    assert [row.get("PSNR Set14") for row in table] == [None, 28, 28]


@pytest.mark.e2e
@pytest.mark.slow
def test_where_the_time_goes(results: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ["--photos", str(SAMPLE), "--row", "0", "--megapixels", "0.001", "--repetitions", "1"]
    call(end_to_end, monkeypatch, *options)
    table = json.loads((results / "end_to_end.json").read_text())["table"]
    assert [row["picture"] for row in table] == ["32 x 32, png", "32 x 32, jpg"]
    assert all(row["start-up"] > row["reading"] >= 0 and row["network"] > 0 and row["MB"] > 0 for row in table)


@pytest.mark.e2e
@pytest.mark.slow
def test_cold_start(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cold_start, "_COMMANDS", {"hubgan --help": cold_start._COMMANDS["hubgan --help"]})
    call(cold_start, monkeypatch, "--repetitions", "1", "--warm-ups", "0")
    seconds = {row["what"]: row["seconds"] for row in json.loads((results / "cold_start.json").read_text())["table"]}
    assert 0 < seconds["hubgan --help"] < seconds["app.py: the page answers"]
    assert seconds["app.py: the page answers"] < seconds["app.py: the first images are there"]
