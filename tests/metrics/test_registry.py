"""The registry of metrics: a new metric is one file, and appears wherever figures do."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from helpers.common import SAMPLE
from helpers.features import Colours
from hubgan.cli import main
from hubgan.data import load_images
from hubgan.evaluation import Reference, evaluate_generator, evaluate_upscaler, table
from hubgan.metrics import FeatureSets, Figure, Measured, Pair, register_metric, registry
from hubgan.models import Generator, HubModel, Upscaler
from hubgan.models.figures import Result
from hubgan.training.measuring import brief
from hubgan.training.run.curves import panels


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it."""
    monkeypatch.setattr(registry, "_METRICS", dict(registry._METRICS))


def card_of(model: HubModel, results: list[Result], folder: Path) -> str:
    model.training_run = {"results": results}
    model.save_pretrained(folder)
    return (folder / "README.md").read_text()


# -- a new metric


def register_colour() -> None:
    @register_metric(
        "Mean colour",
        Figure("colour", "colour distance", "lower"),
        Figure("worst", "worst colour", "lower"),
        legend="The {colour} is that of mean colours, and the {worst} its largest channel.",
        needs={"features"},
        beside="floor",
    )
    def measure(sets: FeatureSets) -> dict[str, Measured]:
        def largest(real: Tensor, fake: Tensor) -> float:
            return float((real.mean(0) - fake.mean(0)).abs().max())

        # In another order than they were registered: figures go by their keys.
        return {"worst": sets.compare(largest), "colour": Measured(0.25, beside=0.125, settings={"space": "RGB"})}


def register_noise(devices: list[object]) -> None:
    @register_metric(
        "Noise",
        Figure("noise", "Noise", "closer to 1"),
        legend="Noise is that of the picture.",
        needs={"pairs"},
        beside="plain",
        network="a network of mine",
    )
    class Measure:
        def __init__(self, device: torch.device) -> None:
            devices.append(device)

        def __call__(self, pair: Pair) -> dict[str, Measured]:
            assert pair.enlarged.shape == pair.bicubic.shape == pair.original.shape
            return {"noise": Measured(pair.scale, beside=pair.border, settings={"kind": "white"})}


def test_a_new_metric_of_features_is_measured_and_told_everywhere(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    register_colour()
    generator = Generator(width=4)
    reference = Reference(load_images(str(SAMPLE)), "sample", "train")
    results = evaluate_generator(generator, reference, samples=12, extractor=Colours())
    colour, worst = (result for result in results if "colour" in result["metric"])
    assert (colour["metric"], colour["name"], colour["value"]) == ("colour-distance-rgb", "colour distance-RGB", 0.25)
    assert colour["settings"]["floor"] == 0.125 and colour["settings"]["space"] == "RGB"
    assert worst["metric"] == "worst-colour-rgb" and worst["value"] > worst["settings"]["floor"] > 0
    assert "space" not in worst["settings"] and worst["extractor"] == "mean colours"
    assert "colour distance-RGB" in table(results)

    card = card_of(generator, results, tmp_path / "model")
    assert "| colour distance-RGB | **0.25** | floor 0.125 |" in card
    assert card.count("The colour distance is that of mean colours, and the worst colour its largest channel.") == 1

    line = {"steps": 1, "images": 8, **brief(results)}
    (panel,) = [panel for panel in panels([line]) if "<h3>Mean colour</h3>" in panel]
    assert "colour distance-RGB <b>0.25</b>" in panel and "worst colour-RGB" in panel

    assert main(["evaluate", "--help"]) == 0
    assert "worst colour    Mean colour; lower is better" in capsys.readouterr().out


def test_a_new_metric_of_pairs_is_measured_and_told_everywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    devices: list[object] = []
    register_noise(devices)
    (tmp_path / "data").mkdir()
    for name in ("a", "b"):
        Image.effect_noise((48, 40), 40).convert("RGB").save(tmp_path / "data" / f"{name}.png")
    upscaler = Upscaler(scale=2, width=4, depth=1)
    reference = Reference(load_images(str(tmp_path / "data")), "data", "train")
    noise = evaluate_upscaler(upscaler, reference, border=3, suffix=" at fidelity 1")[-1]
    assert (noise["metric"], noise["name"], noise["value"]) == ("noise", "Noise at fidelity 1", 2)
    assert noise["settings"]["plain"] == 3 and noise["settings"]["kind"] == "white"
    assert noise["extractor"] == "a network of mine" and noise["samples"] == 2
    assert devices == [upscaler.device]  # created once, not for each picture

    card = card_of(upscaler, [noise], tmp_path / "model")
    assert "plain 3" in card and "Noise is that of the picture." in card
    assert "<h3>Noise</h3>" in panels([{"steps": 1, **brief([noise])}])[0]
    assert main(["evaluate", "--help"]) == 0
    assert "Noise           closer to 1 is better" in capsys.readouterr().out


def test_a_metric_whose_needs_are_not_met_is_not_measured(cache: Path) -> None:
    @register_metric(
        "Copying", Figure("copying", "copying", "lower"), legend="", needs={"training images"}, beside="real"
    )
    def measure(sets: FeatureSets) -> dict[str, Measured]:
        assert sets.training is not None
        return {"copying": Measured(len(sets.training.features), beside=sets.training.total)}

    parts = [
        Reference(load_images(str(SAMPLE), split=split), "sample", split) for split in ("train[:20]", "train[20:]")
    ]
    options = {"samples": 12, "extractor": Colours()}
    without = evaluate_generator(Generator(width=4), parts[0], **options)
    assert "copying-rgb" not in [result["metric"] for result in without]
    with_training = evaluate_generator(Generator(width=4), parts[0], trained_on=parts[1], **options)
    (copying,) = [result for result in with_training if result["metric"] == "copying-rgb"]
    assert copying["value"] == copying["settings"]["real"] == 480


def test_names_that_are_taken_are_refused() -> None:
    for title, key, name in (("Frechet distance", "mine", "mine"), ("Mine", "fd", "mine"), ("Mine", "mine", "FD")):
        with pytest.raises(ValueError, match="already registered"):
            register_metric(title, Figure(key, name, "lower"), legend="", needs={"pairs"}, beside="real")(dict)


# -- figures of too few images


def test_figures_of_too_few_images_are_marked_everywhere(tmp_path: Path) -> None:
    def result(metric: str, samples: int, reals: int) -> Result:
        match = registry.find(metric)
        assert match
        return Result(metric=metric, name=match.name, value=0.5, dataset="d", samples=samples,
                      settings={"reference_images": reals, "floor": 1, "real": 1})  # fmt: skip

    few = [result("fd-enl0", 2559, 5000), result("precision-enl0", 1000, 999), result("density-enl0", 250, 250)]
    enough = [result("fid", 4096, 4096), result("recall-enl0", 1000, 1000), result("kd-enl0", 1000, 1000)]
    words = (
        "Too few images: a reliable figure needs 2,560 for FD-ENL0; 1,000 for precision-ENL0, density-ENL0."
        " Figures of fewer images may be far off."
    )
    text = table([*few, *enough])
    assert text.count("0.5*") == 3 and text.endswith(f"\n* {words}")
    card = card_of(Generator(width=4), [*few, *enough], tmp_path)
    assert card.count(r"| **0.5** \* |") == 3 and f"\n\\* {words}\n" in card
    assert card.count("| **0.5** |") == 3

    page = "".join(panels([{"steps": 1, **brief(few)}]))
    assert "FD-ENL0 <b>0.5*</b>" in page and "density-ENL0 <b>0.5*</b>" in page
    assert "needs 2,560 for FD-ENL0." in page and "Measured images" not in page
    for sound in (table(enough), card_of(Generator(width=4), enough, tmp_path), "".join(panels([brief(enough[:1])]))):
        assert "Too few images" not in sound
    # Lines of runs that did not record the number.
    assert "Too few" not in "".join(panels([{"fd_enl0": 1.0}]))


@pytest.mark.parametrize(("samples", "recall", "shown"), [(5000, 0.24, True), (5000, 0.0, False), (40, 0.24, False)])
def test_a_card_does_not_praise_precision_without_recall_or_of_few_images(
    samples: int, recall: float, shown: bool, tmp_path: Path
) -> None:
    values = {"fd-enl0": 1138, "precision-enl0": 1.0, "recall-enl0": recall, "kd-enl0": 2.5}
    results = [
        Result(metric=metric, name=metric, value=value, dataset="d", samples=samples)
        for metric, value in values.items()
    ]
    words = card_of(Generator(width=4), results, tmp_path).split("## Limits")[0]
    assert ("Precision-enl0 100 %" in words) is shown
    assert "Fd-enl0 1,138" in words and "Recall-enl0" in words and "Kd-enl0 2.5" in words and "look real" not in words


def test_a_floor_of_too_few_images_is_marked_too(tmp_path: Path) -> None:
    result = Result(metric="fd-enl0", name="FD-ENL0", value=12.5, dataset="d", samples=3000,
                    settings={"floor": 1256, "floor_images": 1500, "reference_images": 3000})  # fmt: skip
    text, card = table([result]), card_of(Generator(width=4), [result], tmp_path)
    assert "12.5 " in text and "floor 1256*" in text and "\n* Too few images" in text
    assert "**FD-ENL0 12.5**:" in card and r"real against real 1,256 \*)" in card and r"floor 1256 \*" in card


def test_info_tells_of_too_few_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = [
        Result(metric="fd-enl0", name="FD-ENL0", value=1.5, dataset="d", samples=number) for number in (250, 2560)
    ]
    card_of(Generator(width=4), results, tmp_path)
    assert main(["info", str(tmp_path)]) == 0
    assert capsys.readouterr().out.count("too few images to be reliable") == 1


# -- the metrics that are registered


def test_results_are_found_by_their_names() -> None:
    for metric, key, name in (
        ("fd-enl0", "fd", "FD-ENL0"),
        ("fid", "fd", "FID"),
        ("kid", "kd", "KID"),
        ("is", "inception_score", "IS"),
        ("is-enl0", "inception_score", "IS-ENL0"),
        ("label-accuracy-enl0", "label_accuracy", "label accuracy-ENL0"),
        ("pd-enl2", "pd", "PD-ENL2"),
        ("psnr", "psnr", "PSNR"),
    ):
        match = registry.find(metric)
        assert match and (match.figure.key, match.name) == (key, name)
    assert registry.find("island") is registry.find("fidelity") is registry.find("lpips") is None


def test_legends_are_told_once_and_by_the_names_of_the_results() -> None:
    ours = (
        "FD is the Frechet distance from real images, and KD the kernel distance. Less is better, and the floor is the"
    )
    literature = ours.replace("FD", "FID").replace("KD", "KID")
    (one,) = registry.legends(["fd-enl0", "kd-enl0", "unknown"])
    assert one.startswith(ours)
    both = registry.legends(["psnr", "ssim", "kid", "precision", "coverage-enl0", "fid", "fd-enl0"])
    assert [text.partition(" ")[0] for text in both] == ["FD", "FID", "Precision", "PSNR"]
    assert both[1].startswith(literature)
    assert registry.comparisons() == ("floor", "real", "bicubic", "input")


def test_every_metric_has_a_legend_and_one_kind_of_input() -> None:
    for metric in registry.metrics():
        assert metric.needs <= registry.GENERATOR_NEEDS or metric.needs == registry.UPSCALER_NEEDS
        assert all(registry.legends([registry.metric_id(figure.full_name())]) for figure in metric.figures)
    of_generators = [metric.title for metric in registry.measurable(registry.GENERATOR_NEEDS)]
    assert of_generators[-2:] == ["Classification accuracy score", "Classes recognised"]  # those that need most
