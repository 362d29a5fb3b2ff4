"""The folder of a run: what it says of itself, and what is left of it when a run goes on."""

import json
import logging
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from accelerate import Accelerator
from PIL import Image

from helpers.common import SAMPLE, forget_accelerator
from helpers.forking import run_script
from hubgan.data import load_images
from hubgan.errors import ConfigError, DataError, ModelError, TrainingError
from hubgan.models import Discriminator, Generator
from hubgan.training import describe, plan, train
from hubgan.training.config import TrainingConfig
from hubgan.training.describe import without_remark
from hubgan.training.memory import activation_bytes, estimate
from hubgan.training.options import parse
from hubgan.training.plan import _budget, describe_plan
from hubgan.training.run.curves import panels
from hubgan.training.run.provenance import changed_options, describe_run, read_run, record_run
from hubgan.training.run.report import write_report
from hubgan.training.run.run_folder import RunFolder
from hubgan.training.tasks.generation import Generation
from hubgan.training.tasks.upscaling import Upscaling
from hubgan.training.timing import seconds_a_step, tell_of_other_work, thread_hint

TINY = ["--config", "quickstart", "--generator.width", "8", "--discriminator.width", "8", "--batch_size", "16"]
TASK: Any = SimpleNamespace(preview=lambda models: Image.new("RGB", (64, 64), "red"), caption="")


def configure(folder: Path, *options: str) -> TrainingConfig:
    return parse([*TINY, "--output_dir", str(folder), *options])


def open_folder(folder: Path, *options: str) -> RunFolder:
    config = configure(folder, *options)
    tracker = None if config.report_to == "none" else config.report_to
    accelerator = Accelerator(cpu=True, log_with=tracker, project_dir=str(folder / "trackers"))
    return RunFolder(config, accelerator)


def log(folder: RunFolder, *steps: int, **values: float) -> None:
    for step in steps:
        folder.log({"steps": step, "images": step * 16, "seconds": step / 2, "discriminator": 1 / step, **values})


def lines(folder: RunFolder) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder.path / "metrics.jsonl").read_text().splitlines()]


# -- metrics and samples


def test_what_comes_after_the_checkpoint_is_forgotten(tmp_path: Path) -> None:
    folder = open_folder(tmp_path)
    log(folder, 10, 20, 30)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"steps": 15, "ima')  # cut short by a kill
    for step in (10, 20, 30):
        folder.preview(TASK, {}, step)
    folder.resume_at(20)
    assert [line["steps"] for line in lines(folder)] == [10, 20]
    assert sorted(p.name for p in (tmp_path / "samples").iterdir()) == ["step-00000010.png", "step-00000020.png"]
    log(folder, 30)
    assert [line["steps"] for line in lines(folder)] == [10, 20, 30]
    folder.resume_at(0)
    assert not (tmp_path / "metrics.jsonl").exists()
    folder.resume_at(0)


def test_numbers_that_are_not_finite_are_valid_json(tmp_path: Path) -> None:
    folder = open_folder(tmp_path)
    log(folder, 1, adversarial=float("nan"), r1=float("inf"))

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    line = json.loads((tmp_path / "metrics.jsonl").read_text(), parse_constant=refuse)
    assert line["adversarial"] is None and line["r1"] is None and line["discriminator"] == 1


def test_a_full_disk_stops_no_figures(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = open_folder(tmp_path)
    (tmp_path / "metrics.jsonl").mkdir()
    (tmp_path / "samples").touch()
    with caplog.at_level(logging.WARNING, "hubgan"):
        log(folder, 1)
        folder.preview(TASK, {}, 1)
    assert "metrics.jsonl cannot be written" in caplog.text and "samples of step 1 cannot be written" in caplog.text
    with pytest.raises(TrainingError, match="cannot be cut"):
        folder.resume_at(1)


def test_samples_of_broken_weights_do_not_end_the_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder, generator = open_folder(tmp_path), Generator(width=4)
    torch.nn.init.constant_(next(generator.parameters()), float("nan"))
    task: Any = SimpleNamespace(preview=lambda models: models["generator"].sample()[0], caption="")
    with caplog.at_level(logging.WARNING, "hubgan"):
        folder.preview(task, {"generator": generator}, 1)
    assert "no samples were made at step 1: the weights of this Generator hold NaN" in caplog.text
    assert not (tmp_path / "samples").exists()


# -- run.json


def test_a_run_tells_of_its_beginning_and_of_every_time_it_went_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", "--notice", "hf_abcdefghijkl of mine", "https://me:secret@host/x"])
    open_folder(tmp_path, "--batch_size", "8").begin(0, None, fingerprint="f00", images=500, skipped=2)
    first = json.loads((tmp_path / "run.json").read_text())
    assert first["data"] | {"fingerprint": "f00", "images": 500, "skipped": 2} == first["data"]
    assert (first["seed"], first["options"]["batch_size"], first["options"]["learning_rate"]) == (0, 8, 2e-4)
    (session,) = first["sessions"]
    assert session["command"] == "train.py --notice '*** of mine' https://***host/x"
    assert session["started"].endswith("+00:00") and session["checkpoint"] is None
    assert session["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert session["hardware"]["memory_gib"] > 0 and session["hardware"]["gpus"] == []
    assert (session["processes"], session["machines"]) == (1, 1)
    assert session["git"] is None or len(session["git"]["revision"]) == 40
    checkpoint = tmp_path / "checkpoints" / "step-00000004"
    with caplog.at_level(logging.WARNING, "hubgan"):
        folder = open_folder(tmp_path, "--batch_size", "4", "--resume", "auto")
        folder.compare("f00", scheduled=False)
        folder.begin(4, checkpoint)
    assert "batch_size 4 (was 8)" in caplog.text
    run = read_run(tmp_path)
    assert run is not None and run | {"sessions": [session]} == first
    assert [s["checkpoint"] for s in run["sessions"]] == [None, str(checkpoint)]


def test_a_run_goes_on_with_its_own_data(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    open_folder(tmp_path, "--dataset", "user/photos").begin(0, None, fingerprint="f00")
    (tmp_path / "metrics.jsonl").touch()
    other = open_folder(tmp_path, "--dataset", "user/drawings", "--resume", "auto")
    other.check_data("f00")  # the same under another name
    with pytest.raises(ConfigError, match=r"is on the data set user/photos, not .*drawings\. .*--dataset user/photos"):
        other.check_data("f11")
    same = open_folder(tmp_path, "--dataset", "user/photos", "--resume", "auto")
    same.check_data("f11")
    same.compare("f11", scheduled=False)
    assert "the data set has changed since the run started (user/photos)" in caplog.text


def test_a_damaged_record_is_written_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "run.json").write_text('{"opt')
    accelerator = Accelerator(cpu=True)
    record_run(tmp_path, describe_run(configure(tmp_path), accelerator), tmp_path / "step-00000001")
    run = read_run(tmp_path)
    assert run is not None and len(run["sessions"]) == 1
    assert "run.json cannot be read" in caplog.text


def test_options_that_matter_and_differ(tmp_path: Path) -> None:
    old = configure(tmp_path).model_dump(mode="json")
    same = ["--resume", "auto", "--log_every", "3", "--num_workers", "1", "--max_minutes", "9", "--report_to", "wandb"]
    assert changed_options(old, configure(tmp_path / "other", *same), scheduled=False) == {}
    for given, absolute, means in (("./pics", "/a/pics", True), ("pics", "/b/photos", False), ("/b/x", "/a/x", False)):
        new = configure(tmp_path, "--dataset", absolute)
        assert ("dataset" in changed_options(old | {"dataset": given}, new, scheduled=False)) != means
    new = configure(tmp_path, "--max_minutes", "9", "--learning_rate", "2e-4", "1e-4", "--augment", "color")
    assert Generation(new).follows_budget and not Generation(configure(tmp_path)).follows_budget  # type: ignore[arg-type]
    assert changed_options(old, new, scheduled=True) == {
        "max_minutes": (2.0, 9.0),  # which matters where a schedule follows it
        "learning_rate": (2e-4, [2e-4, 1e-4]),
        "augment": ([], ["color"]),
    }
    assert changed_options({}, new, scheduled=True) == {}


# -- the folder


def test_the_recipe_is_there_from_the_start_without_private_paths(tmp_path: Path) -> None:
    open_folder(tmp_path / "run", "--augment", "color", "--learning_rate", "1e-3", "0").begin(0, None)
    text = (tmp_path / "run" / "recipe.yaml").read_text()
    recipe = yaml.safe_load(text)
    assert recipe["dataset"] == SAMPLE.name and recipe["learning_rate"] == [1e-3, 0] and recipe["augment"] == ["color"]
    assert str(tmp_path) not in text and "resume" not in recipe
    assert parse(["--config", str(tmp_path / "run" / "recipe.yaml")]).learning_rate == (1e-3, 0)


@pytest.mark.parametrize("name", [None, "user/pictures (JPEG copy)"])
def test_a_recipe_in_a_runs_folder_finds_the_data_again(
    name: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies there by the same name is other data, and a recipe that was moved or pushed names no folder."""
    data, run = tmp_path / "disk" / "data", tmp_path / "run"
    for folder in (data, tmp_path / "data"):
        folder.mkdir(parents=True)
    open_folder(run, "--dataset", str(data), "--license", "mit", *(["--dataset_name", name] if name else [])).begin(
        0, None
    )
    monkeypatch.chdir(tmp_path)
    again = parse(["--config", "run/recipe.yaml"])
    assert (again.dataset, again.dataset_name, again.license) == (str(data), name, "mit")
    other = parse(["--config", "run/recipe.yaml", "--dataset", "data"])
    assert (other.dataset, other.dataset_name, other.license) == ("data", None, None)
    (run / "recipe.yaml").rename("moved.yaml")
    assert parse(["--config", "moved.yaml"]).dataset == (without_remark(name) if name else "data")


def test_a_remark_on_the_data_set_is_not_in_the_recipe(tmp_path: Path) -> None:
    open_folder(tmp_path / "run", "--dataset_name", "user/pictures (JPEG copy)").begin(0, None)
    assert yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text())["dataset"] == "user/pictures"


def test_a_folder_that_holds_a_run(tmp_path: Path) -> None:
    (tmp_path / "checkpoints" / "step-00000001").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"already holds a run.*--resume"):
        open_folder(tmp_path)
    (tmp_path / ".hubgan-0123").touch()  # left over by a kill
    open_folder(tmp_path, "--resume", "auto")
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoints"}


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        (("--dataset", "./nowhere"), DataError, "the folder ./nowhere does not exist"),
        (("--pretrained_model", "./nowhere", "--dataset", "./neither"), ModelError, "./nowhere does not exist"),
    ],
)
def test_a_run_that_cannot_begin_leaves_nothing_behind(
    options: tuple[str, ...], kind: type[Exception], words: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=words):
        train(configure(tmp_path / "runs" / "new", "--max_steps", "1", *options))
    assert not list(tmp_path.iterdir())
    (tmp_path / "runs" / "old" / "mine").mkdir(parents=True)
    with pytest.raises(kind, match=words):
        train(configure(tmp_path / "runs" / "old", "--max_steps", "1", *options))
    assert [path.name for path in tmp_path.rglob("*")] == ["runs", "old", "mine"]


def test_a_tracker_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for use in (plan, train):
        with pytest.raises(ConfigError, match="pip install trackio"):
            use(configure(tmp_path / "run", "--report_to", "trackio"))
    assert not (tmp_path / "run").exists()


SCRIPT = """
import os, sys
from pathlib import Path
from accelerate import Accelerator
from hubgan.errors import HubganError
from hubgan.training.run import run_folder
from hubgan.training.options import parse

run_folder._PATIENCE = 1
accelerator = Accelerator(cpu=True)
said = []

def attempt(*options):
    try:
        run_folder.RunFolder(parse(["--config", "quickstart", *options]), accelerator)
        said.append("done")
    except HubganError as error:
        said.append(str(error))

here = Path.cwd()
attempt("--output_dir", str(here / "shared"))
attempt("--output_dir", str(here / "file" / "run"))
folder = here / str(accelerator.process_index)
(folder / "run").mkdir(parents=True)
os.chdir(folder)  # as on another machine, where the same path is another folder
attempt("--output_dir", "run")
(here / f"said-{accelerator.process_index}").write_text("\\n".join(said))
accelerator.end_training()
"""


@pytest.mark.slow
def test_every_machine_must_see_the_folder(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "file").touch()
    run_script(tmp_path / "script.py", folder=tmp_path, processes=2)
    first, second = ((tmp_path / f"said-{index}").read_text().splitlines() for index in range(2))
    assert first[0] == second[0] == "done"
    assert "cannot be written" in first[1] and first[1] == second[1]
    assert "disk that all machines share" in first[2] and "disk that all machines share" in second[2]
    assert not list((tmp_path / "shared").glob(".seen-*"))


# -- trackers


def test_tensorboard_shows_one_run_though_it_was_gone_on_with(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = open_folder(tmp_path, "--report_to", "tensorboard", "--learning_rate", "2e-4", "1e-4")
    folder.begin(0, None)
    log(folder, 1, 2, 3, 4, adversarial=float("nan"))
    folder.preview(TASK, {}, 4)
    folder.accelerator.end_training()
    forget_accelerator()
    folder = open_folder(tmp_path, "--report_to", "tensorboard", "--resume", "auto")
    folder.begin(2, tmp_path / "checkpoints" / "step-00000002")
    log(folder, 3, 5)
    folder.preview(TASK, {}, 5)
    folder.accelerator.end_training()
    events = EventAccumulator(str(tmp_path / "trackers" / "hubgan"))
    events.Reload()
    assert [event.step for event in events.Scalars("discriminator")] == [1, 2, 3, 5]  # what came after 2 is hidden
    assert [event.value for event in events.Scalars("discriminator")] == pytest.approx([1, 1 / 2, 1 / 3, 1 / 5])
    assert "adversarial" not in events.Tags()["scalars"]
    (image,) = events.Images("samples")
    assert (image.step, image.width, image.height) == (5, 64, 64)


# -- the report


def test_the_report_holds_all_of_a_run(tmp_path: Path) -> None:
    folder = open_folder(tmp_path / "my <run>", "--r1_weight", "1")
    folder.begin(0, None, fingerprint="f00", images=500)
    (folder.path / "samples").mkdir()
    for step in range(1, 31):
        log(folder, step, r1=0.1, something_new=step, generator_gradient_norm=10.0**step, images_per_second=1234.0)
        image = Image.new("RGB", (64, 64), (8 * step, 0, 0))
        image.save(folder.path / "samples" / f"step-{step:08d}.png")
    write_report(folder.path)
    page = (folder.path / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 12 and page.count("<svg ") == 5
    for words in ("my &lt;run&gt;", "480 images<", "16 images<", "Losses", "Something new", "R1 <b>0.1</b>",
                  "r1_weight", "1,234", "quickstart", "480", "f00", "Gradient norms", "torch"):  # fmt: skip
        assert words in page, words
    assert "http://" not in page.replace("http://www.w3.org", "") and "<script" not in page and 'src="/' not in page
    assert len(page) < 1_000_000


def test_samples_and_curves_count_images(tmp_path: Path) -> None:
    """Samples stand between two lines of the log, or after the last one."""
    folder = open_folder(tmp_path)
    log(folder, 4, 8)
    (tmp_path / "samples").mkdir()
    for step in (6, 10):
        Image.new("RGB", (8, 8)).save(tmp_path / "samples" / f"step-{step:08d}.png")
    write_report(tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "96 images<" in page and "160 images<" in page and "images seen" in page


def test_the_report_reads_the_final_figures(tmp_path: Path) -> None:
    model = Generator(image_size=8, width=4, latent_dim=4)
    about = {"dataset": "tester/shapes", "split": "test", "samples": 500}
    model.training_run = {"results": [
        {"metric": "fd-enl0", "name": "FD-ENL0", "value": 43.21, "settings": {"floor": 12.5}, **about},
        {"metric": "precision-enl0", "name": "precision-ENL0", "value": 0.5, "settings": {"real": 0.75}, **about},
    ]}  # fmt: skip
    model.save_pretrained(tmp_path)
    write_report(tmp_path)
    page = (tmp_path / "report.html").read_text()
    for words in ("43.21*", "Lower is better; the floor, real images against real images, is 12.5",
                  "Higher is better; other real images have 0.75", "FD is the Frechet distance", "Too few images",
                  "tester/shapes, split test"):  # fmt: skip
        assert words in page, words


def test_a_report_of_nearly_nothing(tmp_path: Path) -> None:
    write_report(tmp_path)
    (tmp_path / "metrics.jsonl").write_text('{"steps": 1, "images": 2, "discriminator": null, "adversarial": 3}\n{"st')
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "step-00000001.png").write_bytes(b"no picture")
    write_report(tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "Losses" in page and "cannot be read" in page


def test_many_lines_make_a_small_curve() -> None:
    (svg,) = panels([{"steps": i, "images": i, "pixel": i % 7} for i in range(1, 50_000)])
    assert len(svg) < 60_000


# -- the plan


def test_the_plan_says_everything_and_leaves_the_networks_alone(tmp_path: Path) -> None:
    options = ["--max_minutes", "None", "--max_images", "16000", "--learning_rate", "2e-4", "5e-5", "--augment",
               "cutout", "--r1_weight", "1", "--discriminator.norm", "none", "--penalty_every", "4",
               "--gradient_accumulation_steps", "2",
               "--discriminator_steps", "5", "--classes", "cat", "dog"]  # fmt: skip
    config = configure(tmp_path / "run", *options)
    task = Generation(config)  # type: ignore[arg-type]
    source = load_images(str(SAMPLE))
    task.setup_data(source)
    generator = task.networks["generator"]
    before = generator.state_dict()
    plan = describe_plan(task, config, Accelerator(cpu=True), source)
    for words in (
        f"Generator dcgan: {generator.num_parameters():,} parameters", "Discriminator dcgan", "image_size 32", "MiB",
        "16,000 images are 100 steps and 32.0 epochs", "global batch 32 (16 x 2 accumulated)",
        "2e-4 to 5e-5, cosine, over 100 % of the run", "objective: non-saturating", "R1, gamma 1", "once in 4",
        "500 images, column 'img'", "10 labels", "only cat, dog", "split train", "fingerprint ", "1 MiB decoded",
        "DiffAugment", "(cutout)", str(tmp_path / "run"), "the last 2 kept", "float32", "half-life",
    ):  # fmt: skip
        assert words in plan, words
    assert all(value.device.type == "cpu" and torch.equal(value, before[key])
               for key, value in generator.state_dict().items())  # fmt: skip
    assert not (tmp_path / "run").exists()


def test_the_plan_of_an_upscaler(tmp_path: Path) -> None:
    options = ["--config", "photo-x4", "--dataset", str(SAMPLE), "--crop_size", "32"]
    options += ["--upscaler.depth", "1", "--upscaler.width", "8"]
    config = parse(options)
    plan = describe_plan(Upscaling(config), config, Accelerator(cpu=True))  # type: ignore[arg-type]
    for words in ("Upscaler edsr", "Discriminator patch", "the first 75% with the pixel loss alone", "other networks",
                  "adversarial part: 5e-5", "random crops of 32 pixels", "not opened", "(luma 0)"):  # fmt: skip
        assert words in plan, words


def test_what_autograd_holds_is_counted_once() -> None:
    layer = torch.nn.Linear(8, 8, bias=False, device="meta")
    images = torch.empty(4, 8, device="meta")

    def step() -> None:
        hidden = layer(images)  # holds the images
        (hidden.tanh() + hidden.sin()).sum().backward()  # hold the tanh, and what goes into the sine

    each = 4 * 8 * 4
    assert activation_bytes(step, layer.parameters()) == (3 + 2) * each
    assert activation_bytes(lambda: layer(images), layer.parameters()) == (1 + 2) * each


def test_the_estimate_grows_with_what_is_asked_for(tmp_path: Path) -> None:
    def parts(*options: str, precision: str = "no", processes: int = 1) -> dict[str, int]:
        config = configure(tmp_path, *options)
        return estimate(Generation(config), config, precision, processes)  # type: ignore[arg-type]

    plain = parts()
    assert parts("--batch_size", "32")["activations"] == pytest.approx(2 * plain["activations"], rel=0.05)
    plain_none = parts("--discriminator.norm", "none")
    penalised = parts("--discriminator.norm", "none", "--r1_weight", "1")
    assert penalised["activations"] > 1.2 * plain_none["activations"]
    assert parts(precision="bf16")["activations"] == plain["activations"] // 2
    assert parts(processes=2)["gradients"] == 2 * plain["gradients"]
    learned = sum(m.num_parameters() for m in (Generator("dcgan", width=8), Discriminator("dcgan", width=8)))
    assert plain["optimizers"] == 2 * 4 * learned and plain["gradients"] == 4 * learned


# -- words


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "exponential, half-life 2,000 images, and at most 5 % of the images seen"),
        (["--ema_rampup", "0", "--ema_half_life", "0", "500"],
         "exponential, half-life in images 0 to 500, cosine, over 100 % of the run"),
        (["--ema_half_life", "0"], "none"),
    ],
)  # fmt: skip
def test_averaging_in_words(options: list[str], words: str, tmp_path: Path) -> None:
    task = Generation(configure(tmp_path, *options))  # type: ignore[arg-type]
    assert describe.averaging(task) == words


def test_the_card_says_only_what_is_true(tmp_path: Path) -> None:
    counters = {"images": 192, "steps": 12, "seconds": 60.0}

    def record(name: str, *options: str) -> dict[str, str]:
        folder = open_folder(tmp_path / name, *options)
        return folder._record(counters, Generation(folder.config))["facts"]  # type: ignore[arg-type]

    facts = record("a", "--flip", "False")
    assert facts["images seen"] == "192, in 12 steps of 16"
    assert not {"penalties", "augmentation", "optimizer", "discriminator updates"} & set(facts)
    options = ["--objective", "wasserstein", "--gradient_accumulation_steps", "2", "--discriminator_steps", "5",
               "--discriminator.norm", "none", "--augment", "color", "translation", "--augment_target", "0.6",
               "--optimizer", "muon"]  # fmt: skip
    facts = record("b", *options)
    assert facts["images seen"] == "192, in 12 steps of 32 (16 x 2 accumulated)"
    assert facts["penalties"] == "WGAN-GP, lambda 10"
    assert "keeps the mean sign of real logits at 0.6" in facts["augmentation"]
    assert facts["discriminator updates"].startswith("5 for one")
    assert facts["optimizer"].startswith("Muon")


@pytest.mark.parametrize(
    ("value", "words"),
    [(2e-4, "2e-4"), (1.25e-5, "1.25e-5"), (0, "0"), (0.5, "0.5"), (90_000, "90,000"), (1e-3, "0.001")],
)
def test_numbers_in_words(value: float, words: str) -> None:
    assert describe.number(value) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (40, "40 s"),
        (720, "12 min"),
        (3599, "1 h 0 min"),
        (7800, "2 h 10 min"),
        (93_600, "26 h"),
        (273_600, "3 days 4 h"),
    ],
)
def test_times_in_words(seconds: float, words: str) -> None:
    assert describe.duration(seconds) == words


def test_threads_that_wait_for_other_work_are_told_of() -> None:
    assert thread_hint(1.2, 2) == ""
    assert thread_hint(104.2, 2).startswith("one thread is 104 times as fast as 2")
    assert thread_hint(1.62, 2).startswith("one thread is 1.6 times as fast as 2")


@pytest.mark.slow
def test_steps_are_timed_on_one_thread_too(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    task = Generation(parse(["--config", "quickstart", "--batch_size", "2", "--generator.width", "4"]))  # type: ignore[arg-type]
    task.setup_without_data()
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert len(seconds_a_step(task, task.config, Accelerator(cpu=True))) == 1
        assert torch.get_num_threads() == 2
        monkeypatch.setattr("psutil.getloadavg", lambda: (9999.0, 0.0, 0.0))
        with caplog.at_level(logging.INFO, "hubgan"):
            tell_of_other_work(Accelerator(cpu=True))
        assert "Other work slows this machine down (load 9999.0" in caplog.text
    finally:
        torch.set_num_threads(threads)


def test_the_plan_estimates_the_time() -> None:
    options = ["--config", "photo-x4", "--dataset", str(SAMPLE), "--crop_size", "32", "--upscaler.depth", "1",
               "--upscaler.width", "4", "--perceptual_weight", "0", "--batch_size", "4", "--discriminator_steps", "1",
               "--max_images", "4000"]  # fmt: skip
    config = parse(options)
    task = Upscaling(config)  # type: ignore[arg-type]

    def time(minutes: float | None) -> str:
        limited = config.model_copy(update={"max_minutes": minutes})
        return _budget(task, limited, Accelerator(cpu=True), None, seconds=(1, 9))[3]

    # Three quarters of 1,000 steps take a second each, the last quarter nine.
    assert time(None).startswith("about 50 min for 4,000 images on this machine, estimated by a few timed steps")
    assert time(90).startswith("about 50 min for 4,000 images")
    assert time(10).startswith("about 1,900 images in 10 minutes on this machine")
