"""Translators measured by the command line, as at the end of a training run."""

from pathlib import Path

import pytest

from helpers.command_line import Run
from helpers.pictures import noise, pairs, picture
from hubgan import Translator
from hubgan.data import load_images
from hubgan.evaluation import Reference, evaluate_translator

pytestmark = pytest.mark.usefixtures("cache")

SMALL = {"width": 8, "depth": 1, "latent_dim": 4, "image_size": 32}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    for number in range(3):
        noise(40, 36 + number).save(tmp_path / "data" / f"{number}.png")
    return tmp_path / "data"


@pytest.mark.slow
def test_the_figures_of_a_folder_go_into_its_card(hubgan: Run, pictures: Path, tmp_path: Path) -> None:
    model = Translator(input="edges", **SMALL)  # type: ignore[arg-type]
    model.save_pretrained(tmp_path / "model")
    command = ["evaluate", "model", "--dataset", "data", "--device", "cpu"]
    status, out, _ = hubgan(*command, "--dry-run")
    assert status == 0 and "Translator model, against data, split train (3 images)" in out
    assert "metrics: PSNR, SSIM, PD-ENL2\nsamples: 3\nthe figures would be written" in out
    status, out, _ = hubgan(*command)
    assert status == 0 and "written into config.json and README.md of model" in out and "input " in out
    saved = Translator.from_pretrained(tmp_path / "model")
    results = saved.training_run["results"]  # type: ignore[index]
    assert results == evaluate_translator(saved, Reference(load_images(str(pictures)), "data", "train"))
    assert {result["name"] for result in results} == {"PSNR", "SSIM", "PD-ENL2"}
    assert {result["samples"] for result in results} == {3}
    card = (tmp_path / "model" / "README.md").read_text()
    assert "Measured on data, split train, 3 pictures." in card and "inputs sketches, by an edge detector" in card
    assert "PSNR" in hubgan("info", "model")[1]
    hubgan(*command, "--samples", "2", "--seed", "1")  # replaces the older figures
    results = Translator.from_pretrained(tmp_path / "model").training_run["results"]  # type: ignore[index]
    assert [(result["samples"], result["settings"]["seed"]) for result in results] == [(2, 1)] * 3


@pytest.mark.slow
def test_a_model_of_pairs_is_measured_on_pairs(hubgan: Run, pictures: Path, tmp_path: Path) -> None:
    Translator(input_channels=3, **SMALL).save_pretrained(tmp_path / "model")  # type: ignore[arg-type]
    for folder, names, count in (("known", ("input", "target"), 2), ("named", ("map", "photo"), 1)):
        made = pairs(tmp_path / folder, *[(32, 32)] * count, scale=1, names=names)
        for file in (made / names[0]).iterdir():
            picture(32, 32).save(file)
    command = ["evaluate", "model", "--device", "cpu", "--dataset"]
    assert hubgan(*command, "known")[0] == 0
    assert hubgan(*command, "named", "--input-column", "map", "--image-column", "photo")[0] == 0
    results = Translator.from_pretrained(tmp_path / "model").training_run["results"]  # type: ignore[index]
    assert {(result["dataset"], result["samples"]) for result in results} == {("known", 2), ("named", 1)}
    assert {result["settings"]["inputs"] for result in results} == {"given"}
    status, _, said = hubgan(*command, "data")
    assert (
        status == 2 and "no pairs of an input and a target" in said and "Pass two columns with --input-column" in said
    )


@pytest.mark.slow
def test_a_model_without_pairs_is_measured_on_two_domains(hubgan: Run, tmp_path: Path) -> None:
    model = Translator("resnet", width=4, depth=1, image_size=32)
    model.save_pretrained(tmp_path / "unknown")
    model.training_run = {"domains": "from horses to zebras"}
    model.save_pretrained(tmp_path / "model")
    for folder in ("both/input", "both/target", "alone"):
        (tmp_path / folder).mkdir(parents=True)
        for number in range(12):
            noise(40, 36 + number).rotate(len(folder)).save(tmp_path / folder / f"{number}.png")
    data = ["--dataset", "both/input", "--target-dataset", "both/target"]
    assert "(12 images, to 12 images of the target domain)" in hubgan("evaluate", "model", *data, "--dry-run")[1]
    assert hubgan("evaluate", "unknown", *data, "--device", "cpu")[0] == 0
    assert hubgan("evaluate", "model", "--dataset", "both", "--device", "cpu")[0] == 0
    measured = [Translator.from_pretrained(tmp_path / name).training_run["results"] for name in ("unknown", "model")]  # type: ignore[index]
    assert {"FD-ENL0", "KD-ENL0", "SSIM to the input", "PD-ENL2 to the input"} <= {
        each["name"] for each in measured[0]
    }
    assert [each["value"] for each in measured[0]] == [each["value"] for each in measured[1]]
    status, _, said = hubgan("evaluate", "model", "--dataset", "alone")
    assert status == 2 and "holds one domain of images" in said and "--target-dataset" in said
    status, _, said = hubgan("evaluate", "unknown", "--dataset", "alone")
    assert status == 2 and "For a model trained without pairs pass the target domain with --target-dataset" in said


def test_what_does_not_go_with_a_translator(hubgan: Run, pictures: Path, tmp_path: Path) -> None:
    Translator(input="grey", **SMALL).save_pretrained(tmp_path / "model")  # type: ignore[arg-type]
    pairs(tmp_path / "known", (32, 32), scale=1, names=("input", "target"))
    command = ["evaluate", "model", "--device", "cpu", "--dataset"]
    status, _, said = hubgan(*command, "data", "--reals", "20", "--degraded", "--fidelity", "1")
    assert status == 2
    assert "holds a translator, which does not use --reals, --fidelity, --degraded. Remove" in " ".join(said.split())
    status, _, said = hubgan(*command, "known", "--input-column", "input")
    assert status == 2 and "computes its inputs (grey)" in said and "Remove --input-column" in said
    assert "several image columns: input, target" in hubgan(*command, "known")[2]
    status, _, said = hubgan(*command, "data", "--target-dataset", "known")
    assert status == 2 and "computes its inputs (grey), does not use --target-dataset" in said
    said = hubgan("export", "model", "--fidelity", "1")[2]
    assert "holds a translator, which does not use --fidelity. Remove --fidelity" in said
