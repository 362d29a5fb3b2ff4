"""Training of translators without pairs: CUT and CycleGAN."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from helpers.launching import metrics, train_here, train_in_two
from hubgan import Discriminator, Translator
from hubgan.errors import ConfigError, DataError
from hubgan.runtime.seeding import SharedRandom
from hubgan.training import parse, plan
from hubgan.training.task import Batch, Network
from hubgan.training.tasks.cut import CUT as CUTTask
from hubgan.training.tasks.cyclegan import CycleGAN as CycleGANTask

pytestmark = pytest.mark.usefixtures("cache")

SMALL = ["--image_size", "16", "--load_size", "18", "--translator.width", "8", "--translator.depth", "1",
         "--discriminator.width", "4", "--discriminator.depth", "2", "--batch_size", "4", "--max_images", "None",
         "--log_every", "1", "--eval_samples", "0", "--max_steps", "4"]  # fmt: skip
CUT = ["--config", "horse2zebra-cut", *SMALL, "--nce_layers", "0", "2", "3", "--nce_patches", "8"]
CYCLEGAN = ["--config", "horse2zebra-cyclegan", *SMALL]
TASKS = {"cut": CUT, "cyclegan": CYCLEGAN}
FOLDERS = {"cut": {"", "discriminator"}, "cyclegan": {"", "backward", "discriminator", "backward_discriminator"}}
TERMS = {"cut": {"contrastive", "identity"}, "cyclegan": {"cycle", "identity", "adversarial_backward"}}


def domain(folder: Path, count: int, colour: Sequence[int]) -> Path:
    """Noise of one colour."""
    folder.mkdir(parents=True)
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 128, (16, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels + np.array(colour, dtype=np.uint8)).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def domains(tmp_path: Path) -> list[str]:
    """The options of two folders of unequal sizes."""
    source, target = domain(tmp_path / "red", 7, (120, 0, 0)), domain(tmp_path / "blue", 5, (0, 0, 120))
    return ["--dataset", str(source), "--target_dataset", str(target)]


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_a_run_goes_on_where_it_was(task: str, domains: list[str], tmp_path: Path) -> None:
    options = [*TASKS[task], *domains, "--checkpoint_every", "2", "--keep_checkpoints", "9"]
    whole = train_here(*options, "--output_dir", str(tmp_path / "whole"))
    going_on = ["--resume", str(whole / "checkpoints" / "step-00000002"), "--output_dir", str(tmp_path / "resumed")]
    resumed = train_here(*options, *going_on)
    for folder in FOLDERS[task]:
        weights, others = (load_file(run / folder / "model.safetensors") for run in (whole, resumed))
        for key, value in weights.items():
            assert torch.equal(value, others[key]), (folder, key)
    assert {path.parent.relative_to(whole).as_posix().strip(".") for path in whole.glob("**/config.json")} == FOLDERS[
        task
    ]
    assert {"discriminator", "adversarial", *TERMS[task]} <= metrics(whole)[-1].keys()
    assert [line["learning_rate"] for line in metrics(whole)] == pytest.approx([2e-4, 2e-4, 2e-4, 1e-4])
    for folder in FOLDERS[task]:
        if "discriminator" in folder:
            assert Discriminator.from_pretrained(whole, subfolder=folder).config["architecture"] == "patch"
        else:
            translator = Translator.from_pretrained(whole, subfolder=folder or None)
            assert translator.translate(Image.new("RGB", (20, 16))).size == (16, 13)
    card = (whole / "README.md").read_text()
    assert "from column 'image' of red (7 images) to column 'image' of blue (5 images)" in card
    assert ('subfolder="backward")  # the other way' in card) == (task == "cyclegan")


@pytest.mark.slow
def test_a_cyclegan_begins_with_all_networks_of_another(domains: list[str], tmp_path: Path) -> None:
    before = {name: tmp_path / "before" / folder for name, folder in CycleGANTask.published.items()}
    for name, network in CycleGANTask(parse([*CYCLEGAN, *domains, "--seed", "5"])).networks.items():
        torch.nn.init.constant_(next(network.parameters()), len(name))
        network.save_pretrained(before[name])
    still = ["--learning_rate", "1e-12", "--discriminator_learning_rate", "1e-12", "--max_steps", "1"]
    begin = ["--pretrained_model", str(tmp_path / "before"), *still]
    run = train_here(*CYCLEGAN, *domains, *begin, "--output_dir", str(tmp_path / "run"))
    for name, folder in before.items():
        kind = Discriminator if "discriminator" in name else Translator
        made, given = (kind.from_pretrained(each) for each in (run / CycleGANTask.published[name], folder))
        torch.testing.assert_close([*made.parameters()], [*given.parameters()])
    shutil.rmtree(before["backward"])
    task = CycleGANTask(parse([*CYCLEGAN, *domains, *begin, "--pretrained_discriminator", "mine"]))
    found = task.pretrained()
    assert found.keys() == {"translator", "discriminator", "backward_discriminator"}
    assert found["discriminator"].name == "mine"


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_two_processes_learn_what_one_does(task: str, domains: list[str], tmp_path: Path) -> None:
    options = [*TASKS[task], *domains, "--mixed_precision", "no", "--max_steps", "2"]
    one = train_here(*options, "--output_dir", str(tmp_path / "one"))
    train_in_two(tmp_path / "two", *options, "--batch_size", "2")
    for name in ("adversarial", "discriminator", *TERMS[task]):
        losses = [[line[name] for line in metrics(run)] for run in (one, tmp_path / "two")]
        assert losses[0] == pytest.approx(losses[1], rel=1e-4), name
    for folder in FOLDERS[task]:
        weights, others = (load_file(tmp_path / run / folder / "model.safetensors") for run in ("one", "two"))
        for key, value in weights.items():
            torch.testing.assert_close(value, others[key], rtol=1e-2, atol=2e-5, msg=key)


@pytest.mark.parametrize("flipped", [False, True])
def test_the_contrast_finds_the_same_places_in_a_mirrored_input(flipped: bool, domains: list[str]) -> None:
    task = CUTTask(parse([*CUT, *domains, "--nce_layers", "0"]))
    random = SharedRandom(0, SimpleNamespace(device=torch.device("cpu"), process_index=0, num_processes=1))  # type: ignore[arg-type]
    networks = {name: Network(network, network) for name, network in task.networks.items()}
    given = torch.rand(2, 3, 16, 16)
    batch = Batch({"input": given}, random=random)
    right = task._contrast(networks, batch, given, given)
    made = given.flip(3) if flipped else given
    torch.testing.assert_close(task._contrast(networks, batch, given, made, flipped=flipped), right)
    assert task._contrast(networks, batch, given, made, flipped=not flipped) > right


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ([*CUT, "--target_dataset", "None"], r"holds one domain of images.*--target-dataset"),
        ([*CUT, "--image_size", "20", "--load_size", "None"], r"must be a multiple of 8\. Set --image_size 16"),
        ([*CUT, "--nce_layers", "0", "9"], r"nce_layers is 0 9, but the translator has the layers 0 to 3"),
        ([*CUT, "--load_size", "15"], r"load_size is 15, but a crop has 16 pixels.*--load_size to 16 or more"),
        ([*CUT, "--streaming"], r"cannot be streamed.*Remove --streaming"),
        ([*CUT, "--translator.architecture", "unet"], r"translator.architecture is 'unet'"),
        ([*CUT, "--schedule_share", "0.4"], r"Set --schedule_start below"),
        ([*CYCLEGAN, "--eval_target_dataset", "x"], r"Pass it with --eval_dataset"),
        ([*CYCLEGAN, "--input_column", "imageA"], r"no image column 'imageA'"),
    ],
)
def test_wrong_options_are_refused(options: list[str], complaint: str, domains: list[str], tmp_path: Path) -> None:
    with pytest.raises((ConfigError, DataError)) as caught:
        plan(parse([*domains, *options, "--output_dir", str(tmp_path / "run")]))
    assert re.search(complaint, caught.value.for_command_line())


def test_a_plan_says_what_is_translated_to_what(domains: list[str], tmp_path: Path) -> None:
    text = plan(parse([*CUT, *domains, "--output_dir", str(tmp_path / "run")]))
    assert "from column 'image' of red (7 images) to column 'image' of blue (5 images)" in text
    assert "projection: PatchProjection" in text and "contrast: 8 patches of the layers 0, 2, 3" in text
    assert "2e-4 to 0, linear, from 50 % on, up to 100 % of the run" in text
    assert "random crops of pictures of 18 pixels; mirrored" in text
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_crops_of_small_parts_are_warned_of(
    domains: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = [*CUT, *domains, "--output_dir", str(tmp_path / "run")]
    plan(parse(options))
    assert "show small parts" not in caplog.text
    plan(parse([*options, "--load_size", "286"]))
    assert "16 pixels show small parts of pictures of 286 pixels. For larger parts set --load_size 18" in caplog.text


@pytest.mark.slow
def test_a_run_measures_the_distance_to_the_target_and_what_is_left_of_the_input(tmp_path: Path) -> None:
    source, target = domain(tmp_path / "red", 12, (120, 0, 0)), domain(tmp_path / "blue", 13, (0, 0, 120))
    options = [*CUT, "--dataset", str(source), "--target_dataset", str(target), "--eval_split", "None"]
    options += ["--eval_samples", "99", "--eval_every", "2", "--max_steps", "3"]
    run = train_here(*options, "--output_dir", str(tmp_path / "run"))
    measured = [line for line in metrics(run) if {"fd_enl0", "kd_enl0", "ssim", "pd_enl2"} <= line.keys()]
    assert [line["steps"] for line in measured] == [2, 3]
    model = Translator.from_pretrained(run)
    results = {result["name"]: result for result in model.training_run["results"]}  # type: ignore[index]
    distance, likeness = results["FD-ENL0"], results["SSIM to the input"]
    assert distance["samples"] == 12 and distance["settings"]["input"] > 0
    assert distance["settings"]["from"] == "image of red" and distance["settings"]["to"] == "image of blue"
    assert -1 <= likeness["value"] <= 1 and likeness["settings"]["real"] < 0.5
    card = (run / "README.md").read_text()
    assert "**FD-ENL0 " in card and "the input " in card and "**SSIM to the input " in card
    assert "SSIM to the input" in (run / "report.html").read_text()
