"""Generators measured in all figures: what is kept, what several processes compute, what is found."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from helpers.command_line import hubgan
from helpers.common import SAMPLE
from helpers.features import METRICS, Colours
from helpers.forking import finish, fork
from helpers.launching import TINY, metrics, train_here, train_in_two
from hubgan.cli import main
from hubgan.data import Squares, load_images
from hubgan.errors import ConfigError
from hubgan.evaluation import Reference, evaluate_generator
from hubgan.evaluation.extraction import generate_samples, real_features
from hubgan.metrics import EfficientNetLite0, FeatureExtractor
from hubgan.models import Generator
from hubgan.models.figures import Result
from hubgan.training import parse, plan

pytestmark = pytest.mark.usefixtures("cache")
NAMES = load_images(str(SAMPLE)).classes


def part(split: str) -> Reference:
    return Reference(load_images(str(SAMPLE), split=split), "cifar10-sample", split)


def by_name(results: list[Result]) -> dict[str, Result]:
    return {result["metric"]: result for result in results}


class Memory(Generator):
    """A generator that has learned its training images by heart: each latent gives one of them, shuffled."""

    def __init__(self, source: Reference) -> None:
        super().__init__(width=4, latent_dim=8, labels=NAMES)
        rows = source.source
        transform = Squares(size=32, channels=3, flip=False)
        self._images = torch.stack([transform.prepare(rows.image(row)) for row in range(len(rows))])
        self._of_class = [(rows.labels() == label).nonzero()[:, 0] for label in range(len(NAMES))]

    def images_from(self, latents: Tensor, labels: Tensor, **options: object) -> Tensor:  # type: ignore[override]
        chosen = [self._of_class[label][int(latent[0].abs() * 1000) % len(self._of_class[label])]
                  for latent, label in zip(latents, labels, strict=True)]  # fmt: skip
        return self._images[torch.stack(chosen)].float() / 255


@pytest.mark.slow
def test_a_generator_that_knows_its_training_images_by_heart_is_found_out(tmp_path: Path) -> None:
    trained, held_out = part("train[:150]"), part("train[400:]")
    extractor = EfficientNetLite0()
    options = {"samples": 100, "floor": trained, "trained_on": trained, "extractor": extractor}
    picture = tmp_path / "neighbours.png"
    found = by_name(evaluate_generator(Memory(trained), held_out, picture=picture, **options))
    assert found["nearness-enl0"]["value"] == 1 and found["nearness-enl0"]["settings"]["real"] == 0.5
    assert found["copies-enl0"]["value"] == 1 and found["copies-enl0"]["settings"]["real"] == 0.01
    assert found["copies-enl0"]["settings"]["training_images"] == 150
    assert found["label-accuracy-enl0"]["value"] > 0.95 > 0.3 < found["label-accuracy-enl0"]["settings"]["real"]
    assert found["fd-enl0"]["value"] < 2 * found["fd-enl0"]["settings"]["floor"]
    pairs = Image.open(picture)
    left, right = pairs.crop((2, 2, 66, 66)), pairs.crop((66, 2, 130, 66))
    assert left.tobytes() == right.tobytes()

    # Other real images are no copies; an untrained generator reaches nothing.
    options |= {"trained_on": part("train[:75]")}
    other = by_name(evaluate_generator(Memory(part("train[75:150]")), held_out, **options))
    assert 0.3 < other["nearness-enl0"]["value"] < 0.7 and other["copies-enl0"]["value"] < 0.1
    torch.manual_seed(0)
    untrained = by_name(evaluate_generator(Generator(width=4, labels=NAMES), held_out, **options))
    assert untrained["label-accuracy-enl0"]["value"] < 0.3
    for metric in ("recall-enl0", "coverage-enl0"):
        assert untrained[metric]["value"] < 0.5 * untrained[metric]["settings"]["real"] < found[metric]["value"]


def test_labels_of_other_data_are_not_judged(caplog: pytest.LogCaptureFixture) -> None:
    options = {"samples": 12, "extractor": Colours(), "trained_on": part("train[:100]")}
    found = by_name(evaluate_generator(Generator(width=4, labels=["a", "b"]), part("train[100:]"), **options))
    assert "nearness-rgb" in found and not any("label" in name for name in found)
    assert "has other classes than the generator" in caplog.text


@pytest.mark.slow
def test_classes_are_made_in_turn_and_may_be_in_another_order() -> None:
    generator = Generator(width=4, labels=["ship", "cat"])
    assert generate_samples(generator, Colours(), 5, seed=0).labels.tolist() == [0, 1, 0, 1, 0]
    trained = Reference(load_images(str(SAMPLE), classes=("cat", "ship"), split="train[:300]"), "some", "a")
    held_out = Reference(load_images(str(SAMPLE), classes=("ship", "cat"), split="train[300:]"), "some", "b")
    found = by_name(evaluate_generator(generator, held_out, trained_on=trained, samples=12))
    assert found["label-accuracy-enl0"]["settings"]["real"] > 0.8


def test_a_generator_without_classes_asks_for_no_labels(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    load_images(str(SAMPLE)).rows.remove_columns("label").save_to_disk(tmp_path / "plain")
    plain = load_images(str(tmp_path / "plain"))
    halves = [Reference(replace(plain, rows=plain.rows.select(rows), fingerprint=name, size=len(rows)), "plain", name)
              for name, rows in (("a", range(200)), ("b", range(200, 500)))]  # fmt: skip
    found = evaluate_generator(Generator(width=4), halves[0], trained_on=halves[1], samples=12, extractor=Colours())
    assert [result["metric"] for result in found][-2:] == ["nearness-rgb", "copies-rgb"] and not caplog.records
    asked = Generator(width=4, labels=["a", "b"])
    found = evaluate_generator(asked, halves[0], trained_on=halves[1], samples=12, extractor=Colours())
    assert "is not measured" in caplog.text and len(found) == 9


def test_a_broken_picture_leaves_the_floor_where_it_was_asked_for(tmp_path: Path) -> None:
    source = load_images(str(SAMPLE))
    for row in range(30):
        source.image(row).save(tmp_path / f"{row}.png")
    (tmp_path / "7.png").write_bytes(b"no picture")
    floor = Reference(load_images(str(tmp_path)), "floor", "train")
    found = evaluate_generator(Generator(width=4), part("train"), floor=floor, samples=30, extractor=Colours())
    assert found[0]["settings"]["floor_between"] == "floor, split train, and reference"
    assert found[0]["settings"]["floor_images"] == 29


def test_what_cannot_be_measured_is_told_before_the_work(tmp_path: Path) -> None:
    same, stream = part("train"), Reference(load_images(str(SAMPLE), streaming=True), "stream", "train")
    for options, words in (
        ({"trained_on": same}, "holds the training images"),
        ({"trained_on": stream}, "is a stream"),
        ({"truncation": 0.0}, "truncation must be above 0"),
        ({"trained_on": part("train[:9]"), "picture": tmp_path / "x.jpg"}, "needs a .png file"),
    ):
        extractor = Counting()
        with pytest.raises(ConfigError, match=words):
            evaluate_generator(Generator(width=4), same, samples=12, extractor=extractor, **options)
        assert not extractor.seen


def test_truncation_is_told(tmp_path: Path) -> None:
    found = evaluate_generator(Generator(width=4), part("train"), samples=12, truncation=0.5, extractor=Colours())
    assert {result["settings"]["truncation"] for result in found} == {0.5}


class Counting(Colours):
    """Counts the images that it sees."""

    seen = 0

    def forward(self, images: Tensor) -> Tensor:
        self.seen += len(images)
        return super().forward(images)


def test_what_is_seen_in_real_images_is_kept(cache: Path) -> None:
    def look(extractor: FeatureExtractor, positions: range, seed: int = 0, size: int = 32) -> Tensor:
        transform = Squares(size=size, channels=3, flip=False)
        return real_features(part("train"), transform, extractor, positions, seed=seed, device=torch.device("cpu"),
                           progress=False).features  # fmt: skip

    extractor = Counting()
    first = look(extractor, range(50))
    assert extractor.seen == 50
    assert torch.equal(look(extractor, range(50)), first)
    assert extractor.seen == 50
    for other in ({"positions": range(49)}, {"seed": 1}, {"size": 16}):  # nothing of another question is taken
        before = extractor.seen
        look(extractor, **{"positions": range(50), **other})
        assert extractor.seen > before
    (file,) = (cache / "hubgan").glob("*-32-3-rgb-1-cpu-0-0-50.safetensors")
    file.write_bytes(file.read_bytes()[:-9])  # damaged: made again
    assert torch.equal(look(extractor, range(50)), first)
    other_version = Counting()
    other_version.version = "2"
    look(other_version, range(50))
    assert other_version.seen == 50


@pytest.mark.slow
def test_two_processes_measure_what_one_does(tmp_path: Path) -> None:
    found = []
    for processes in (1, 2):
        folder, log = tmp_path / str(processes), tmp_path / f"{processes}.log"
        torch.manual_seed(0)
        Generator(width=4, labels=NAMES).save_pretrained(folder / "model")
        command = ["evaluate", "model", "--dataset", str(SAMPLE), "--split", "train[:50]", "--train-split",
                   "train[460:]", "--samples", "40", "--device", "cpu"]  # fmt: skip
        assert finish(fork(hubgan, command, folder, log=log, processes=processes)), log.read_text()[-3000:]
        assert log.read_text().count("written into config.json") == 1
        config = json.loads((folder / "model" / "config.json").read_text())
        found.append(config["training_run"]["results"])
    assert found[0] == found[1]
    assert [result["metric"] for result in found[0]] == [
        *METRICS, "nearness-enl0", "copies-enl0", "label-accuracy-enl0"]  # fmt: skip


# -- extractors that know the classes, or none


class Knowing(Colours):
    """A classifier of the classes, in another order than the generator's, which takes all images for the last one."""

    name, classes = "Knowing", tuple(reversed(NAMES))

    def probabilities(self, features: Tensor) -> Tensor:
        return torch.eye(len(NAMES))[-1].expand(len(features), -1)


class Silent(Colours):
    name, classifies = "Silent", False


def test_a_classifier_of_the_classes_needs_no_training_images() -> None:
    options = {"samples": 20, "extractor": Knowing()}
    found = by_name(evaluate_generator(Generator(width=4, labels=NAMES), part("train[:100]"), **options))
    assert found["recognised-knowing"]["value"] == 0.1  # all samples are taken for the first class
    assert not any("label" in name for name in found)
    others = by_name(evaluate_generator(Generator(width=4, labels=["a", "b"]), part("train[:100]"), **options))
    assert not any("recognised" in name for name in others)


def test_features_without_a_classifier_have_no_inception_score() -> None:
    found = by_name(evaluate_generator(Generator(width=4), part("train"), samples=12, extractor=Silent()))
    assert "fd-silent" in found and not any(name.startswith("is") for name in found)


@pytest.mark.slow
def test_the_classification_accuracy_score(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hubgan.metrics.classifier._FEWEST_STEPS", 1)
    options = {"samples": 12, "extractor": Colours(), "trained_on": part("train[100:]"), "cas": True}
    results = evaluate_generator(Generator(width=4, labels=NAMES), part("train[:20]"), **options)
    cas = by_name(results)["cas"]
    assert cas["name"] == "CAS" and 0 <= cas["value"] <= 1 and 0 <= cas["settings"]["real"] <= 1
    assert cas["settings"]["cas_training_images"] == 12 and "small classifier" in cas["extractor"]


def test_a_classification_accuracy_score_that_cannot_be_measured() -> None:
    trained, extractor = part("train[100:]"), Counting()
    for labels, trained_on, words in (
        ([], trained, "has no classes"),
        (NAMES, None, "needs the training images"),
        (["a", "b"], trained, "has other classes than the generator"),
    ):
        generator = Generator(width=4, labels=labels)
        with pytest.raises(ConfigError, match=words):
            evaluate_generator(
                generator, part("train[:20]"), samples=12, extractor=extractor, trained_on=trained_on, cas=True
            )
    assert not extractor.seen


# -- on the way


@pytest.mark.slow
def test_figures_on_the_way(tmp_path: Path) -> None:
    options = [*TINY, "--max_steps", "4", "--eval_every", "2", "--eval_samples", "12", "--log_every", "4"]
    run = train_here(*options, "--output_dir", str(tmp_path / "run"))
    lines = [line for line in metrics(run) if "fd_enl0" in line]
    assert [line["steps"] for line in lines] == [2, 4]
    final = Generator.from_pretrained(run).training_run
    assert final and lines[-1]["fd_enl0"] == final["results"][0]["value"]
    assert "Frechet distance" in (run / "report.html").read_text()


@pytest.mark.slow
def test_two_processes_measure_on_the_way(tmp_path: Path) -> None:
    options = [*TINY, "--max_steps", "2", "--eval_every", "1", "--eval_samples", "40"]
    train_in_two(tmp_path / "two", *options)
    lines = [line for line in metrics(tmp_path / "two") if "fd_enl0" in line]
    assert [line["steps"] for line in lines] == [1, 2]


def test_figures_on_the_way_need_a_number_of_images() -> None:
    with pytest.raises(ConfigError, match="Set --eval_samples"):
        plan(parse([*TINY, "--max_steps", "1", "--eval_every", "5"]))


# -- the command


@pytest.mark.slow
def test_options_of_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Generator(width=4).save_pretrained(tmp_path / "model")
    command = ["evaluate", str(tmp_path / "model"), "--dataset", str(SAMPLE), "--device", "cpu", "--samples", "12"]
    assert main([*command, "--neighbours", "x.png"]) == 2
    assert "--train-split" in capsys.readouterr().err
    assert main([*command, "--cas"]) == 2
    assert "--cas needs the training images. Pass" in capsys.readouterr().err
    assert main([*command, "--extractor", "inception", "--extractor-weights", str(tmp_path / "none.pth")]) == 2
    assert "none.pth" in capsys.readouterr().err
    assert main([*command, "--truncation", "0.5"]) == 0
    assert "written" not in capsys.readouterr().out
    picture = tmp_path / "pairs.png"
    split = ["--split", "train[:20]", "--train-split", "train[20:60]", "--neighbours", str(picture), "--reals", "20"]
    assert main([*command, *split]) == 0
    out = capsys.readouterr().out
    assert "nearness-ENL0" in out and "copies-ENL0" in out
    assert Image.open(picture).size[0] > 200
    assert EfficientNetLite0.name in out
