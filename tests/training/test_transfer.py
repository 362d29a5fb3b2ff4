"""Runs that begin with another run's networks: other classes, and frozen blocks of the discriminator."""

import logging
import re
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from huggingface_hub import HfApi
from safetensors.torch import load_file

from helpers.common import equal
from helpers.launching import TINY, metrics, train_here, train_in_two
from helpers.loopback_hub import LoopbackHub
from hubgan import Discriminator, Generator
from hubgan.errors import ConfigError
from hubgan.training import parse
from hubgan.training.memory import estimate
from hubgan.training.plan import describe_plan
from hubgan.training.pretrained import find_pretrained, load_pretrained
from hubgan.training.tasks.generation import Generation

SMALL = [*TINY, "--generator.width", "4", "--discriminator.width", "4", "--image_size", "16", "--batch_size", "8",
         "--mixed_precision", "no"]  # fmt: skip
NETWORKS = {
    "dcgan": ["--discriminator.norm", "none"],
    "r3gan": ["--generator.depth", "1", "--discriminator.depth", "1"],
    "sngan": ["--discriminator.norm", "none"],  # spectral normalisation takes seconds to plan
}


def options(architecture: str) -> list[str]:
    named = [f"--{network}.architecture={architecture}" for network in ("generator", "discriminator")]
    return [*SMALL, *named, *NETWORKS[architecture]]


def build(*arguments: str, labels: tuple[str, ...] = ()) -> Generation:
    """The task with new networks, as for a data set with these classes."""
    task = Generation(parse([*arguments, "--conditional", str(bool(labels))]))  # type: ignore[arg-type]
    task._build(labels)
    return task


def saved(folder: Path, *arguments: str, labels: tuple[str, ...] = ()) -> list[str]:
    """Networks as a run leaves them; the options that begin with them."""
    for name, network in build(*arguments, labels=labels).networks.items():
        network.save_pretrained(folder / Generation.published[name])
    return ["--pretrained_model", str(folder), "--pretrained_discriminator", str(folder)]


# -- other classes


@pytest.mark.parametrize("architecture", NETWORKS)
@pytest.mark.parametrize(
    ("before", "after"), [(("a", "b"), ("c", "d")), (("a", "b"), ("a", "b", "c")), ((), ("a", "b")), (("a", "b"), ())]
)
def test_other_classes_keep_all_but_the_weights_of_labels(
    architecture: str,
    before: tuple[str, ...],
    after: tuple[str, ...],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    begin = saved(tmp_path, *options(architecture), labels=before)
    task = build(*options(architecture), *begin, labels=after)
    new = {name: {key: value.clone() for key, value in network.state_dict().items()}
           for name, network in task.networks.items()}  # fmt: skip
    with caplog.at_level(logging.INFO, "hubgan"):
        load_pretrained(task, Accelerator(cpu=True))
    assert caplog.text.count("has other classes, so these start from random values") <= 2
    for name, network in task.networks.items():
        old = load_file(tmp_path / Generation.published[name] / "model.safetensors")
        for key, value in network.state_dict().items():
            if "embedding" in key or key not in old or (name == "discriminator" and value.shape != old[key].shape):
                assert torch.equal(value, new[name][key]), key
            elif value.shape == old[key].shape:
                assert torch.equal(value, old[key]), key
            else:  # the first layer: the weights of the latents
                latents = task.networks["generator"].config["latent_dim"]
                axis = 0 if architecture == "dcgan" else 1
                assert torch.equal(value.narrow(axis, 0, latents), old[key].narrow(axis, 0, latents)), key
                rest = value.shape[axis] - latents
                assert torch.equal(value.narrow(axis, latents, rest), new[name][key].narrow(axis, latents, rest)), key


def test_the_same_classes_keep_everything(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    begin = saved(tmp_path, *options("r3gan"), labels=("a", "b"))
    task = build(*options("r3gan"), *begin, labels=("a", "b"))
    with caplog.at_level(logging.INFO, "hubgan"):
        load_pretrained(task, Accelerator(cpu=True))
    assert "random values" not in caplog.text
    for name, kind in (("generator", Generator), ("discriminator", Discriminator)):
        expected = kind.from_pretrained(tmp_path / Generation.published[name]).state_dict()
        assert all(torch.equal(value, expected[key]) for key, value in task.networks[name].state_dict().items())


def test_a_discriminator_is_found_in_a_model_on_the_hub(hub: LoopbackHub, tmp_path: Path) -> None:
    saved(tmp_path, *options("dcgan"))
    HfApi().create_repo("tester/before")
    HfApi().upload_folder(repo_id="tester/before", folder_path=tmp_path)
    task = build(*options("dcgan"), "--pretrained_discriminator", "tester/before")
    find_pretrained(task)
    load_pretrained(task, Accelerator(cpu=True))
    assert equal(task.networks["discriminator"], Discriminator.from_pretrained(tmp_path / "discriminator"))


def test_another_number_of_channels_names_the_options(tmp_path: Path) -> None:
    begin = saved(tmp_path, *options("dcgan"))
    task = build(*options("dcgan"), *begin, "--channels", "1", "--generator.width", "8")
    with pytest.raises(ConfigError, match=r"It has channels 3 instead of 1; width 4 instead of 8") as error:
        load_pretrained(task, Accelerator(cpu=True))
    assert error.value.remedy.command_line == "Pass --channels 3 --generator.width 4"


# -- frozen blocks

FREEZE = ["--freeze_discriminator", "2"]


@pytest.mark.parametrize("architecture", NETWORKS)
def test_more_blocks_than_there_are(architecture: str) -> None:
    blocks = {"dcgan": 2, "r3gan": 3, "sngan": 3}[architecture]
    find_pretrained(build(*options(architecture), "--freeze_discriminator", str(blocks)))
    with pytest.raises(ConfigError, match=f"this {architecture} discriminator has {blocks} blocks"):
        find_pretrained(build(*options(architecture), "--freeze_discriminator", str(blocks + 1)))


def test_frozen_blocks_of_random_weights_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    begin = saved(tmp_path, *options("r3gan"))
    find_pretrained(build(*options("r3gan"), *begin, *FREEZE))
    assert not caplog.text
    find_pretrained(build(*options("r3gan"), *FREEZE))
    assert "keep their random weights" in caplog.text


def test_blocks_without_an_order() -> None:
    discriminator = Discriminator("patch", width=4, depth=1, norm="none")
    discriminator.network = torch.nn.Identity()  # as unet, which takes seconds to make
    discriminator.freeze(0)
    with pytest.raises(ConfigError, match="the blocks of patch have no order"):
        discriminator.freeze(1)


def test_the_plan_counts_what_is_trained(tmp_path: Path) -> None:
    begin = saved(tmp_path, *options("r3gan"))

    def parts(*more: str) -> dict[str, int]:
        task = build(*options("r3gan"), *begin, *more)
        load_pretrained(task, Accelerator(cpu=True))
        assert (
            "frozen: the first 2 blocks of the discriminator"
            in describe_plan(task, task.config, Accelerator(cpu=True))
            or not more
        )
        return estimate(task, task.config, "no", 1)

    all_, some = parts(), parts(*FREEZE)
    discriminator = Discriminator.from_pretrained(tmp_path / "discriminator")
    frozen = sum(weight.numel() for block in discriminator.network.stages[:2] for weight in block.parameters())  # type: ignore[union-attr, index]
    assert all_["gradients"] - some["gradients"] == 4 * frozen
    assert all_["optimizers"] - some["optimizers"] == 2 * 4 * frozen
    assert all_["weights"] == some["weights"] and all_["activations"] > some["activations"]


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("before")
    penalties = ["--objective", "relativistic", "--r1_weight", "1", "--r2_weight", "1", "--penalty_every", "2"]
    return [*options("r3gan"), *saved(folder, *options("r3gan")), *FREEZE, *penalties, "--log_every", "1"]


@pytest.mark.slow
def test_frozen_blocks_stay_and_the_run_resumes_bit_for_bit(begun: list[str], tmp_path: Path) -> None:
    run = [*begun, "--max_steps", "4", "--checkpoint_every", "2", "--keep_checkpoints", "9"]
    whole = train_here(*run, "--output_dir", str(tmp_path / "whole"))
    resumed = train_here(*run, "--resume", str(whole / "checkpoints" / "step-00000002"),
                         "--output_dir", str(tmp_path / "resumed"))  # fmt: skip
    before = load_file(Path(begun[begun.index("--pretrained_model") + 1]) / "discriminator" / "model.safetensors")
    one, other = (load_file(folder / "discriminator" / "model.safetensors") for folder in (whole, resumed))
    same = {key for key, value in one.items() if torch.equal(value, before[key])}
    assert same == {key for key in one if re.match(r"network\.layers\.[0-3]\.", key)}  # two resolutions of two layers
    assert all(torch.equal(value, other[key]) for key, value in one.items())
    card = (whole / "README.md").read_text()
    assert (
        "the first 2 blocks of the discriminator (FreezeD)" in card
        and "freeze_discriminator: 2" in (whole / "recipe.yaml").read_text()
    )


@pytest.mark.slow
def test_frozen_blocks_in_two_processes(begun: list[str], tmp_path: Path) -> None:
    run = [*begun, "--max_steps", "3"]
    train_here(*run, "--output_dir", str(tmp_path / "one"))
    train_in_two(tmp_path / "two", *run, "--batch_size", "4")
    names = ("images", "discriminator", "adversarial", "r1", "r2", "discriminator_gradient_norm")
    one, two = (torch.tensor([[line.get(name, 0) for name in names] for line in metrics(tmp_path / folder)])
                for folder in ("one", "two"))  # fmt: skip
    torch.testing.assert_close(one, two, rtol=2e-3, atol=1e-5)
