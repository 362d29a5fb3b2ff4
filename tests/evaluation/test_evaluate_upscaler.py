"""Models measured, at the end of a training run and by the command line."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import datasets
import pytest
import torch
import yaml
from huggingface_hub import HfApi, ModelCard
from PIL import Image
from safetensors.torch import save_file

from helpers.common import SAMPLE, forget_accelerator
from helpers.features import METRICS, Colours
from helpers.launching import PHOTO, TINY, train_here
from helpers.loopback_hub import LoopbackHub
from hubgan.cli import main
from hubgan.data import load_images
from hubgan.data.degradation import Heavy
from hubgan.errors import DataError
from hubgan.evaluation import Reference, evaluate_generator, evaluate_upscaler, merge, table
from hubgan.media.images import to_image, to_tensor
from hubgan.metrics import PerceptualDistance, psnr, sharpness_ratio, shrink, ssim
from hubgan.models import Discriminator, Generator, Upscaler
from hubgan.models.figures import Result
from hubgan.training import parse, plan
from hubgan.training.options import RECIPES


def sample(split: str = "train") -> Reference:
    """The 500 images that hubgan carries, or a part of them."""
    return Reference(load_images(str(SAMPLE), split=split), "cifar10-sample", split)


def measure(samples: int, reference: Reference | None = None, floor: Reference | None = None) -> list[Result]:
    """The two distances."""
    torch.manual_seed(0)
    generator = Generator(width=8, latent_dim=16)
    return evaluate_generator(generator, reference or sample(), samples=samples, floor=floor, extractor=Colours())[:2]


def pictures(folder: Path, *sizes: tuple[int, int]) -> Path:
    """A folder of pictures cut from a photograph-like one."""
    folder.mkdir(parents=True)
    large = to_image(torch.nn.functional.interpolate(torch.rand(1, 3, 9, 9), (90, 90), mode="bicubic")[0].clamp(0, 1))
    for number, (width, height) in enumerate(sizes):
        large.crop((0, 0, width, height)).save(folder / f"{number}.png")
    return folder


UPSCALING = ["psnr", "ssim", "pd-enl2", "sharpness"]

# -- generators


def test_a_generator_is_measured_with_all_that_is_needed_to_measure_it_again() -> None:
    frechet, kernel = measure(100)
    assert (frechet["metric"], frechet["name"], kernel["metric"]) == ("fd-rgb", "FD-RGB", "kd-rgb")
    assert frechet["value"] > frechet["settings"]["floor"] > 0
    assert frechet["dataset"] == "cifar10-sample" and frechet["split"] == "train" and frechet["samples"] == 100
    assert frechet["revision"] == sample().source.fingerprint and frechet["extractor"] == "mean colours"
    wanted = {"seed": 0, "reference_images": 100, "floor_images": 100}
    assert frechet["settings"] | wanted == frechet["settings"]
    assert {"torch", "torchmetrics"} <= frechet["settings"].keys()
    assert "other images" in str(frechet["settings"]["floor_between"])
    assert measure(100) == [frechet, kernel]
    json.dumps([frechet, kernel], allow_nan=False)


def test_the_floor_says_what_it_was_measured_between() -> None:
    halves, _ = measure(300)
    assert (
        halves["settings"]["floor_between"] == "two halves of reference" and halves["settings"]["floor_images"] == 150
    )
    other, _ = measure(100, sample("train[:100]"), floor=sample("train[100:]"))
    assert other["settings"]["floor_between"] == "cifar10-sample, split train[100:], and reference"
    assert other["settings"]["floor_images"] == 100


def test_as_many_samples_as_there_are_images(caplog: pytest.LogCaptureFixture) -> None:
    frechet, _ = measure(300, sample("train[:40]"))
    assert frechet["samples"] == frechet["settings"]["reference_images"] == 40
    assert "40 images, not 300" in caplog.text
    with pytest.raises(DataError, match="need at least 12 images, not 3"):
        measure(300, sample("train[:3]"))


def test_a_stream_is_measured_by_its_first_images() -> None:
    stream = Reference(load_images(str(SAMPLE), streaming=True), "sample", "train")
    frechet, _ = measure(20, stream)
    assert frechet["samples"] == 20 and frechet["revision"] == stream.source.fingerprint


def test_grey_images_and_broken_ones(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = pictures(tmp_path / "data", *[(40, 40)] * 12)
    (folder / "broken.png").write_bytes(b"no picture")
    generator = Generator(width=8, channels=1)
    reference = Reference(load_images(str(folder)), "data", "train")
    frechet = evaluate_generator(generator, reference, samples=13, extractor=Colours().float())[0]
    assert frechet["samples"] == 12 and "cannot be used and is ignored" in caplog.text


def test_the_revision_of_a_data_set_on_the_hub_is_its_commit(
    hub: LoopbackHub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    HfApi().create_repo("tester/pictures", repo_type="dataset")
    commit = HfApi().upload_file(path_or_fileobj=SAMPLE / "train.parquet", path_in_repo="data/train-0.parquet",
                                 repo_id="tester/pictures", repo_type="dataset").oid  # fmt: skip
    reference = Reference(load_images("tester/pictures"), "tester/pictures", "train")
    assert reference.revision == commit


# -- upscalers


def test_an_upscaler_is_measured_as_by_hand(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "data", (50, 42), (64, 64))
    upscaler = Upscaler(width=8, depth=1).eval()
    reference = Reference(load_images(str(folder)), "data", "train")
    by_hand, perceptual = [], PerceptualDistance(lite=2)
    for name, (width, height) in (("0.png", (48, 40)), ("1.png", (64, 64))):
        large = to_tensor(Image.open(folder / name).crop((0, 0, width, height)))[None]
        small = to_image(shrink(large.float() / 255, 4)[0])
        bicubic = to_tensor(small.resize((width, height), Image.Resampling.BICUBIC))[None]
        made = to_tensor(upscaler.upscale(small))[None]
        seen = [image[:, :, 4:-4, 4:-4].float() / 255 for image in (made, bicubic, large)]
        by_hand.append([metric(image, large, border=4) for metric in (psnr, ssim) for image in (made, bicubic)])
        by_hand[-1] += [perceptual(image, seen[2]).item() for image in seen[:2]]
        by_hand[-1] += [sharpness_ratio(image, large, scale=4, border=4) for image in (made, bicubic)]
    wanted = torch.tensor(by_hand, dtype=torch.float64).mean(0).tolist()
    results = evaluate_upscaler(upscaler, reference, suffix=" at fidelity 1")
    found = [figure for result in results for figure in (result["value"], result["settings"]["bicubic"])]
    assert found == pytest.approx(wanted, rel=1e-4)
    assert [result["metric"] for result in results] == UPSCALING
    assert results[0]["name"] == "PSNR at fidelity 1"
    one = evaluate_upscaler(upscaler, reference)[0]
    assert (one["metric"], one["samples"], one["settings"]["border"]) == ("psnr", 2, 4)
    assert "antialiased" in str(one["settings"]["small_pictures"])


@pytest.mark.slow
def test_degraded_pictures_are_the_same_each_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = pictures(tmp_path / "data", (50, 42), (64, 64))
    upscaler, reference = Upscaler(width=8, depth=1), Reference(load_images(str(folder)), "data", "train")
    plain, *damaged = (evaluate_upscaler(upscaler, reference, degradation=Heavy() if n else None, seed=n // 2)
                       for n in range(4))  # fmt: skip
    values = [[result["value"] for result in results] for results in damaged]
    assert values[1] == values[2] != values[0] and plain[0]["value"] > max(values[0][0], values[1][0])
    assert damaged[1][0]["settings"]["seed"] == 1
    upscaler.save_pretrained(tmp_path / "model")
    save_file(upscaler.state_dict(), tmp_path / "model" / "pixel.safetensors")
    before = (tmp_path / "model" / "model.safetensors").read_bytes()
    command = ["evaluate", str(tmp_path / "model"), "--dataset", str(folder), "--device", "cpu"]
    for options in ([], ["--degraded"], ["--fidelity", "1"]):
        assert main([*command, *options]) == 0
    run = Upscaler.from_pretrained(tmp_path / "model").training_run
    assert run and [result["metric"] for result in run["results"]] == UPSCALING * 3
    assert [r["name"] for r in run["results"][::4]] == ["PSNR", "PSNR of degraded pictures", "PSNR at fidelity 1"]
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == before
    capsys.readouterr()
    assert main([*command, "--small-column", "image"]) == 2
    assert (
        "column 'image' cannot hold both the inputs and the targets of pairs. Pass two different"
        in capsys.readouterr().err
    )
    for name in ("image", "small"):  # the same pictures in a second column
        Image.effect_noise((16, 12), 40).save(tmp_path / f"{name}.png")
    columns = {name: datasets.Image() for name in ("image", "small")}
    pairs = datasets.Dataset.from_dict({name: [str(tmp_path / f"{name}.png")] for name in columns})
    pairs.cast(datasets.Features(columns)).to_parquet(tmp_path / "pairs.parquet")
    both = [*command[:3], str(tmp_path / "pairs.parquet"), "--image-column", "image", "--small-column", "small"]
    assert main([*both, "--degraded"]) == 2
    assert "the data set holds the small pictures, so a degradation cannot be used. Remove --degraded" in (
        capsys.readouterr().err
    )


@pytest.mark.slow
def test_a_strength_is_told_beside_the_figures(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "data", (50, 42), (64, 64))
    Upscaler(width=4, depth=1, strength=True).save_pretrained(tmp_path / "model")
    command = ["evaluate", str(tmp_path / "model"), "--dataset", str(folder), "--device", "cpu"]
    for options in (["--degraded", "everyday"], ["--strength", "0"]):
        assert main([*command, *options]) == 0
    run = Upscaler.from_pretrained(tmp_path / "model").training_run
    assert run and [r["name"] for r in run["results"][::4]] == ["PSNR of everyday pictures", "PSNR at strength 0"]
    assert [r["settings"]["strength"] for r in run["results"][::4]] == ["auto", 0]


def test_a_grey_original_is_its_own_luma(tmp_path: Path) -> None:
    Image.effect_noise((64, 48), 40).save(tmp_path / "grey.png")
    upscaler, reference = Upscaler(width=8, depth=1), Reference(load_images(str(tmp_path)), "data", "train")
    large = to_tensor(Image.open(tmp_path / "grey.png"))[None]
    made = upscaler.upscale(to_image(shrink(large.float() / 255, 4)[0]))
    assert made.mode == "L"
    wanted = psnr(to_tensor(made)[None], large, border=4)
    assert evaluate_upscaler(upscaler, reference)[0]["value"] == pytest.approx(wanted, rel=1e-5)


def test_small_pictures_may_be_given(tmp_path: Path) -> None:
    folder, little = pictures(tmp_path / "hr", (50, 42), (64, 64)), tmp_path / "lr"
    little.mkdir()
    for file, size in (("0.png", (48, 40)), ("1.png", (64, 64))):
        large = to_tensor(Image.open(folder / file).crop((0, 0, *size)))[None]
        to_image(shrink(large.float() / 255, 4)[0]).save(little / file)
    upscaler, alone = Upscaler(width=8, depth=1), Reference(load_images(str(folder)), "data", "train")
    pairs = Reference(load_images(str(tmp_path), pairs=True), "data", "train")
    made, given = evaluate_upscaler(upscaler, alone), evaluate_upscaler(upscaler, pairs)
    assert [result["value"] for result in made] == [result["value"] for result in given]
    assert given[0]["settings"]["small_pictures"] == "given" != made[0]["settings"]["small_pictures"]
    for file in folder.iterdir():
        shutil.copy(file, little)
    with pytest.raises(
        DataError, match=r"none of its images can be used: a small picture has .* its large picture needs"
    ):
        evaluate_upscaler(upscaler, pairs)


def test_a_picture_too_small_to_measure_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    reference = Reference(load_images(str(pictures(tmp_path / "data", (18, 64), (64, 64)))), "data", "train")
    assert evaluate_upscaler(Upscaler(width=8, depth=1, channels=1), reference)[0]["samples"] == 1
    assert "too small to measure" in caplog.text


# -- results


def test_new_results_take_the_place_of_old_ones_on_the_same_data() -> None:
    old = [Result(metric="psnr", name="PSNR", value=1.0, dataset=name, split="x4") for name in ("Set5", "Set14")]
    new = Result(metric="psnr", name="PSNR", value=2.0, dataset="Set14", split="x4", settings={"bicubic": 0.5})
    assert merge(old, [new]) == [old[0], new]
    trained = Result(metric="psnr", name="PSNR", value=1.0, dataset="mine", split="train (trained on)", revision="1f")
    other = {**trained, "split": "test"}
    again = Result(metric="psnr", name="PSNR", value=3.0, dataset="photos", split="train", revision="1f")
    assert merge([old[0], trained, other, old[1]], [again]) == [old[0], again, other, old[1]]
    assert merge([trained, again], [again]) == [again]
    commits: list[Result] = [{**trained, "revision": "1f" * 20}, {**again, "revision": "1f" * 20}]
    assert merge(commits[:1], commits[1:]) == commits  # a commit does not say which rows
    row = table([new]).splitlines()[1]
    assert " ".join(row.split()) == "PSNR 2 higher bicubic 0.5 0 Set14, split x4"


# -- at the end of a run


@pytest.mark.slow
def test_a_run_ends_with_figures_in_its_card(tmp_path: Path) -> None:
    options = [*TINY, "--max_steps", "2", "--eval_samples", "12", "--output_dir", str(tmp_path / "run")]
    run = train_here(*options)
    results = json.loads((run / "config.json").read_text())["training_run"]["results"]
    assert [result["metric"] for result in results] == METRICS
    assert results[0]["samples"] == 12 and results[0]["dataset"] == "cifar10-sample"
    figures = ModelCard.load(run / "README.md").data.eval_results
    assert [figure.metric_value for figure in figures] == [result["value"] for result in results]
    assert "results" not in json.loads((run / "discriminator" / "config.json").read_text())["training_run"]
    before = (run / "model.safetensors").read_bytes()
    train_here(*options, "--resume", "auto")
    assert (run / "model.safetensors").read_bytes() == before
    assert json.loads((run / "config.json").read_text())["training_run"]["results"] == results


@pytest.mark.slow
def test_an_upscalers_run_says_whether_it_was_measured_on_what_it_was_trained_on(tmp_path: Path) -> None:
    options = [*PHOTO, "--max_steps", "1", "--pixel_share", "1", "--eval_samples", "3", "--output_dir"]
    own = ["--eval_dataset", "None", "--eval_split", "None"]
    trained = Upscaler.from_pretrained(train_here(*options, str(tmp_path / "one"), *own)).training_run
    assert trained and {result["split"] for result in trained["results"]} == {"train (trained on)"}
    measured = [(result["name"], result["split"]) for result in trained["results"]]
    data = PHOTO[PHOTO.index("--dataset") + 1]
    assert main(["evaluate", str(tmp_path / "one"), "--dataset", data, "--samples", "2", "--device", "cpu"]) == 0
    again = Upscaler.from_pretrained(tmp_path / "one").training_run
    assert again and [(result["name"], result["split"]) for result in again["results"]] == measured  # the mark stays
    assert {result["samples"] for result in again["results"]} == {2, 3}
    folder = pictures(tmp_path / "held-out", *[(40, 40)] * 4)
    other = ["--eval_dataset", str(folder), "--eval_split", "train"]
    run = train_here(*options, str(tmp_path / "two"), *other)
    held_out = Upscaler.from_pretrained(run).training_run
    assert held_out and [result["metric"] for result in held_out["results"]] == UPSCALING * 2  # clean and everyday
    assert {(r["dataset"], r["split"], r["samples"]) for r in held_out["results"]} == {("held-out", "train", 3)}
    assert str(tmp_path) not in (run / "recipe.yaml").read_text() + (run / "config.json").read_text()


def test_a_model_that_cannot_be_measured_is_saved_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "0.png").write_bytes(b"no picture")
    run = train_here(*TINY, "--max_steps", "1", "--eval_samples", "12", "--eval_dataset", str(tmp_path / "broken"),
                     "--output_dir", str(tmp_path / "run"))  # fmt: skip
    run_of = Generator.from_pretrained(run).training_run
    assert run_of and "results" not in run_of
    (warning,) = [record.message for record in caplog.records if "could not be measured" in record.message]
    assert "none of its images can be used" in warning and f"hubgan evaluate {run} --dataset" in warning


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--eval_split", "tset"], "tset"),
        (["--eval_dataset", "/no/such/folder"], "the folder /no/such/folder does not exist"),
    ],
)
def test_a_wrong_name_is_an_error_before_the_training(options: list[str], complaint: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"(?s)the data to measure on: .*{complaint}.*--eval_samples 0"):
        train_here(*TINY, "--max_steps", "1", "--eval_samples", "12", *options, "--output_dir", str(tmp_path / "run"))
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_where_the_recipes_own_choice_is_not_to_be_had_the_training_images_are_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copy(SAMPLE / "train.parquet", tmp_path)
    recipe = yaml.safe_load((RECIPES / "quickstart.yaml").read_text())
    mine = tmp_path / "mine.yaml"
    mine.write_text(yaml.safe_dump(recipe | {"dataset": "./", "eval_split": "test", "eval_samples": 9999}))
    options = parse(["--config", str(mine), "--max_steps", "1", "--dry_run", "True"])
    about = plan(options).partition("measured at the end")[2]
    assert "of 500 samples" in about and "split train" in about  # of as many as there are pictures
    assert "the recipe measures on another split, but " in caplog.text and "You can ignore this" in caplog.text
    forget_accelerator()
    mine.write_text(yaml.safe_dump(recipe | {"eval_dataset": "nobody/pictures", "eval_samples": 12}))
    plan(parse(["--config", str(mine), "--dataset", str(tmp_path), "--max_steps", "1"]))
    assert "the recipe measures on nobody/pictures, which cannot be reached. The training pictures" in caplog.text


def test_a_dry_run_tells_what_will_be_measured() -> None:
    assert "measured at the end: nothing" in plan(parse([*TINY, "--max_steps", "1"]))
    forget_accelerator()
    text = plan(parse([*TINY, "--max_steps", "1", "--eval_samples", "50", "--eval_split", "train[:50]"]))
    assert "measured at the end: FD-ENL0, KD-ENL0 and the like of 50 samples, cifar10-sample, split train[:50]" in text


# -- the command line


@pytest.mark.slow
def test_figures_of_a_folder_are_written_into_its_card(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Generator(width=8, latent_dim=16).save_pretrained(tmp_path / "model", repo_id="me/model")
    before = (tmp_path / "model" / "model.safetensors").read_bytes()
    command = ["evaluate", str(tmp_path / "model"), "--dataset", str(SAMPLE), "--device", "cpu", "--samples"]
    assert main([*command, "12", "--dry-run"]) == 0
    plan = capsys.readouterr().out
    assert "against cifar10-sample, split train (500 images)\nmetrics: FD-ENL0, KD-ENL0, precision-ENL0" in plan
    assert "samples: 12\n--train-split would add: nearness-ENL0, copies-ENL0\n" in plan
    assert main([*command, "12", "--no-save"]) == 0
    assert not Generator.from_pretrained(tmp_path / "model").training_run
    assert main([*command, "12"]) == main([*command, "13"]) == 0
    assert main([*command, "12", "--split", "train[:99]", "--floor-split", "train[100:]"]) == 0
    assert "FD-ENL0" in capsys.readouterr().out
    run = Generator.from_pretrained(tmp_path / "model").training_run
    expected = [(metric, *of) for of in ((13, "train"), (12, "train[:99]")) for metric in METRICS]
    assert run and [(r["metric"], r["samples"], r["split"]) for r in run["results"]] == expected
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == before
    card = ModelCard.load(tmp_path / "model" / "README.md")
    assert len(card.data.eval_results) == 2 * len(METRICS) and 'from_pretrained("me/model")' in card.text


def test_figures_of_a_model_on_the_hub_are_only_printed(
    hub: LoopbackHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Upscaler(width=8, depth=1).push_to_hub("tester/upscaler")
    head = HfApi().model_info("tester/upscaler").sha
    folder = pictures(tmp_path / "data", (40, 40), (48, 40))
    (folder / "a.txt").touch()
    assert main(["evaluate", "tester/upscaler", "--dataset", str(folder), "--device", "cpu"]) == 0
    out, err = capsys.readouterr()
    assert f"{folder}: 2 pictures; skipped: 1 .txt\n" in err
    assert "PSNR" in out and "bicubic" in out and "written" not in out
    assert HfApi().model_info("tester/upscaler").sha == head


def test_what_cannot_be_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Discriminator(width=8).save_pretrained(tmp_path / "model")
    assert main(["evaluate", str(tmp_path / "model"), "--dataset", str(SAMPLE)]) == 2
    assert "holds a Discriminator" in capsys.readouterr().err
    Generator(width=8).save_pretrained(tmp_path / "other")
    assert main(["evaluate", str(tmp_path / "other"), "--dataset", "/no/such/folder"]) == 2
    assert "the folder /no/such/folder does not exist" in capsys.readouterr().err
    assert main(["evaluate", str(tmp_path / "other"), "--dataset", str(SAMPLE), "--small-column", "small"]) == 2
    assert "holds a generator, which does not use --small-column. Remove" in capsys.readouterr().err
    options = ["--extractor-weights", "inception.pth"]
    assert main(["evaluate", str(tmp_path / "other"), "--dataset", str(SAMPLE), *options]) == 2
    assert "--extractor enl0 does not use --extractor-weights. Remove" in capsys.readouterr().err
    Upscaler(width=8, depth=1).save_pretrained(tmp_path / "third")
    options = ["--truncation", "1", "--reals", "20", "--extractor", "enl0", "--batch-size", "8"]
    assert main(["evaluate", str(tmp_path / "third"), "--dataset", str(SAMPLE), *options]) == 2
    assert (
        "holds an upscaler, which does not use --reals, --extractor, --truncation, --batch-size. Remove"
        in capsys.readouterr().err
    )


def test_without_the_train_extra_an_error_says_what_to_install(
    launch_environment: dict[str, str], tmp_path: Path
) -> None:
    code = "import sys; sys.modules['torchmetrics'] = None; from hubgan.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "evaluate", str(tmp_path), "--dataset", str(tmp_path)]
    done = subprocess.run(command, env=launch_environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert "the package torchmetrics is missing. Run: pip install 'hubgan[train]'" in done.stderr
