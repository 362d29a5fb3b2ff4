"""A generator's images as a data set: read back by `datasets`, made by one process or several, gone on with."""

import json
import os
import shutil
from functools import partial
from pathlib import Path

import datasets
import pyarrow.parquet as pq
import pytest
from huggingface_hub import DatasetCard
from PIL import Image

from helpers.command_line import Run, hubgan
from helpers.common import ROOT
from helpers.forking import finish, fork
from helpers.pictures import same
from hubgan import Generator
from hubgan.data import load_images
from hubgan.errors import ConfigError
from hubgan.export.dataset import synthesize

CIFAR = ROOT / "model_cards" / "cifar-dcgan"
CLASSES = ["cat", "dog", "cow"]


@pytest.fixture(autouse=True)
def alone(cache: Path) -> None:
    """A cache for each test."""


@pytest.fixture
def run(request: pytest.FixtureRequest) -> Run:
    """Run `hubgan synthesize`."""
    return partial(request.getfixturevalue("hubgan"), "synthesize")


@pytest.fixture
def generator(tmp_path: Path) -> Generator:
    """An untrained generator, saved in `gen`."""
    model = Generator(image_size=16, width=4, latent_dim=16).eval()
    model.save_pretrained(tmp_path / "gen")
    return model


@pytest.fixture
def conditional(tmp_path: Path) -> Generator:
    """An untrained generator with classes, saved in `cond`."""
    model = Generator(image_size=16, width=4, latent_dim=16, labels=CLASSES).eval()
    model.training_run = {"dataset": "tester/animals", "license": "mit"}
    model.save_pretrained(tmp_path / "cond")
    return model


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def read(folder: Path) -> datasets.Dataset:
    return datasets.load_dataset(str(folder), split="train")


def all_same(images: list[Image.Image], others: list[Image.Image]) -> bool:
    return len(images) == len(others) and all(map(same, images, others))


def test_classes_read_back_whole_whatever_they_are_called(tmp_path: Path) -> None:
    """Names of splits and pairs, such as no folder may have, and such as become the same in other spellings."""
    names = ["train", "test", "Test", "lr", "hr", "a/b", "a_b", "..", ".x", "-x", "x", " x", "\u00e4", "a\u0308"]
    model = Generator(image_size=16, width=4, latent_dim=16, labels=names).eval()
    synthesize(model, tmp_path / "out", 17, shard_size=9)
    source = load_images(str(tmp_path / "out"))
    assert source.classes == model.labels and source.labels().tolist() == [*range(14), 0, 1, 2]
    assert read(tmp_path / "out").features["label"].names == names


def test_a_shipped_models_images_are_read_back(run: Run, tmp_path: Path) -> None:
    status, said, complained = run(CIFAR, "-n", 50, "-o", "out/fakes", "--seed", 3, "--truncation", 1.5,
                                   "--shard-size", 20, "--batch-size", 10)  # fmt: skip
    assert (status, complained) == (0, "")
    assert said == 'out/fakes: 50 images in 3 files. Load them with datasets.load_dataset("out/fakes")\n'
    rows = read(tmp_path / "out" / "fakes")
    assert rows.features == datasets.Features({"img": datasets.Image()})
    assert all_same(rows["img"][:], Generator.from_pretrained(CIFAR).sample(50, seed=3, truncation=1.5))
    card = DatasetCard.load(tmp_path / "out" / "fakes" / "README.md")
    assert card.data.to_dict()["license"] == "other" and "synthetic" in card.data.tags
    assert "\n50 synthetic images of 32 x 32 pixels, made by the GAN `cifar-dcgan`" in card.text
    assert "generator.sample(50, seed=3, truncation=1.5)[i]" in card.text
    command = card.text.split("```console\nhubgan ")[1].split("\n```")[0].split()
    command[1], command[command.index("FOLDER")] = str(CIFAR), "out/again"
    assert run(*command[1:])[0] == 0
    here, there = contents(tmp_path / "out" / "fakes"), contents(tmp_path / "out" / "again")
    assert {**here, "README.md": b""} == {**there, "README.md": b""}
    assert list(here) and sorted(here) == ["README.md", *(f"data/train-0000{k}-of-00003.parquet" for k in range(3)),
                                           "synthesis.json"]  # fmt: skip


def test_labels_are_balanced_at_every_length(run: Run, tmp_path: Path, conditional: Generator) -> None:
    assert run("cond", "-n", 10, "-o", "all", "--shard-size", 4)[0] == 0
    rows = read(tmp_path / "all")
    assert rows.features == datasets.Features({"img": datasets.Image(), "label": datasets.ClassLabel(names=CLASSES)})
    assert rows["label"][:] == [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]
    assert all_same(rows["img"][:], conditional.sample(10, labels=CLASSES, seed=0))
    card = DatasetCard.load(tmp_path / "all" / "README.md")
    assert "| cat | 0 | 4 |\n| dog | 1 | 3 |\n| cow | 2 | 3 |" in card.text
    assert "sample(10, labels=generator.labels, seed=0)[i]" in card.text and "--labels" not in card.text
    assert card.data.license == "mit" and card.data.to_dict()["dataset_info"]["splits"][0]["num_examples"] == 10
    assert run("cond", "-n", 4, "-o", "some", "--labels", "cow", "cat", "--image-column", "image",
               "--label-column", "kind")[0] == 0  # fmt: skip
    rows = read(tmp_path / "some")
    assert list(rows.features) == ["image", "kind"] and rows["kind"][:] == [2, 0, 2, 0]
    assert all_same(rows["image"][:], conditional.sample(4, labels=["cow", "cat"], seed=0))
    assert "--labels cow cat" in (tmp_path / "some" / "README.md").read_text()
    assert run(".", "--subfolder", "cond", "-n", 4, "-o", "part")[0] == 0
    card = (tmp_path / "part" / "README.md").read_text()
    assert "--subfolder=cond -n 4" in card and 'subfolder="cond")' in card


@pytest.mark.slow
def test_two_processes_make_the_files_of_one(run: Run, tmp_path: Path, conditional: Generator) -> None:
    """With the variables that torchrun sets."""
    words, log = ["cond", "-n", "70", "--shard-size", "30", "--seed", "1"], tmp_path / "log"
    assert run(*words, "-o", "one/x")[0] == 0
    argv = ["synthesize", *words, "-o", "two/x", "--device", "cpu"]
    assert finish(fork(hubgan, argv, tmp_path, True, log=log, processes=2)), log.read_text()[-3000:]
    assert log.read_text().count("70 images in 3 files") == 1
    assert contents(tmp_path / "one" / "x") == contents(tmp_path / "two" / "x")


@pytest.mark.slow
def test_processes_of_accelerate_make_the_same_files(run: Run, tmp_path: Path, generator: Generator) -> None:
    """With the variables that its launcher sets; `test_processes_share_a_folder` starts the launcher itself."""
    words, log = ["gen", "-n", "9", "--shard-size", "5"], tmp_path / "log"
    assert run(*words, "-o", "one/x")[0] == 0
    children = fork(hubgan, ["synthesize", *words, "-o", "two/x"], tmp_path, log=log, processes=2)
    assert finish(children), log.read_text()[-3000:]
    assert contents(tmp_path / "one" / "x") == contents(tmp_path / "two" / "x")


def test_what_is_missing_is_made_and_what_is_there_is_kept(run: Run, tmp_path: Path, generator: Generator) -> None:
    words = ("gen", "-n", 35, "--shard-size", 10, "-o", "out")
    assert run(*words)[0] == 0
    folder = tmp_path / "out"
    whole = contents(folder)
    shards = sorted((folder / "data").iterdir())
    times = {shard: shard.stat().st_mtime_ns for shard in shards}
    # As an interruption leaves it: neither card nor record, shards missing, and one that was not finished.
    for file in (folder / "README.md", folder / "synthesis.json", shards[1], shards[3]):
        file.unlink()
    (unfinished := folder / "data" / ".hubgan-0123").write_bytes(b"half")
    os.utime(unfinished, (0, 0))
    assert run(*words)[0] == 0
    assert contents(folder) == whole
    assert [shards[k].stat().st_mtime_ns == times[shards[k]] for k in range(4)] == [True, False, True, False]
    # A card that a person has edited stays.
    card = folder / "README.md"
    card.write_text(card.read_text() + "Mine.\n")
    shards[0].unlink()
    assert run(*words)[0] == 0
    assert card.read_text().endswith("Mine.\n") and contents(folder)["data/" + shards[0].name] == whole[
        "data/" + shards[0].name]  # fmt: skip


def test_other_settings_are_refused_unless_they_may_be_overwritten(
    run: Run, tmp_path: Path, generator: Generator
) -> None:
    words = ("-n", 30, "--shard-size", 10, "-o", "out")
    assert run("gen", *words)[0] == 0
    before = contents(tmp_path / "out")
    Generator(image_size=16, width=4, latent_dim=16).save_pretrained(tmp_path / "other")
    for argv, difference in {
        ("gen", *words, "--seed", 1): "seed is 0 instead of 1",
        ("gen", *words, "--truncation", 1): "truncation is null instead of 1.0",
        ("gen", "-n", 20, "-o", "out"): "n is 30 instead of 20, shard_size is 10 instead of 5000",
        ("other", *words): 'fingerprint is "',
    }.items():
        status, said, complained = run(*argv)
        assert (status, said) == (2, "")
        assert "out/data/train-00000-of-00003.parquet cannot be continued: " in complained and difference in complained
        assert "Pass another folder with -o, or replace the data set in this one with --overwrite" in complained
        assert contents(tmp_path / "out") == before
    shutil.rmtree(tmp_path / "out" / "data")
    assert "out/synthesis.json cannot be continued: seed is 0" in run("gen", *words, "--seed", 1)[2]
    assert run("gen", *words)[0] == 0 and contents(tmp_path / "out") == before
    assert run("gen", "-n", 20, "--shard-size", 10, "-o", "out", "--overwrite")[0] == 0
    assert len(read(tmp_path / "out")) == 20
    assert json.loads((tmp_path / "out" / "synthesis.json").read_text())["n"] == 20
    assert "\n20 synthetic images" in (tmp_path / "out" / "README.md").read_text()


def test_what_is_not_hubgans_is_not_replaced(run: Run, tmp_path: Path, generator: Generator) -> None:
    card = (tmp_path / "gen" / "README.md").read_text()
    status, _, complained = run("gen", "-n", 4, "-o", "gen")
    assert status == 2 and "gen/README.md already exists, and is not a data set that hubgan made" in complained
    assert (tmp_path / "gen" / "README.md").read_text() == card
    (tmp_path / "out" / "data").mkdir(parents=True)
    foreign = tmp_path / "out" / "data" / "train-00000-of-00001.parquet"
    datasets.Dataset.from_dict({"a": [1]}).to_parquet(foreign)
    for broken in (foreign.read_bytes(), b"PAR1", b""):
        foreign.write_bytes(broken)
        status, _, complained = run("gen", "-n", 4, "-o", "out")
        assert (
            status == 2
            and "train-00000-of-00001.parquet cannot be continued: it is not a data set that hubgan made" in complained
        )
        assert foreign.read_bytes() == broken
    assert run("gen", "-n", 4, "-o", "out", "--overwrite")[0] == 0
    assert len(read(tmp_path / "out")) == 4


def test_shards_are_cut_anywhere_and_read_in_groups(tmp_path: Path, generator: Generator) -> None:
    shards = synthesize(generator, tmp_path / "out", 400, shard_size=301, batch_size=50)
    assert [pq.read_metadata(shard).num_row_groups for shard in shards] == [3, 1]
    rows = read(tmp_path / "out")
    assert all_same(rows["img"][:], generator.sample(400, seed=0))
    assert [cell["path"] for cell in rows.cast_column("img", datasets.Image(decode=False))["img"][299:302]] == [
        "00000299.png", "00000300.png", "00000301.png"]  # fmt: skip
    half = Generator(image_size=16, width=4, latent_dim=16, channels=1).bfloat16().eval()
    synthesize(half, tmp_path / "grey", 3)
    assert all_same(read(tmp_path / "grey")["img"][:], half.sample(3, seed=0))


def test_what_cannot_be_made_is_told(run: Run, tmp_path: Path, generator: Generator, conditional: Generator) -> None:
    for argv, words in {
        ("gen", "-n", 4, "-o", "out", "--labels", "cat"): "has no classes",
        ("cond", "-n", 4, "-o", "out", "--labels", "cta"): "no class 'cta'. Did you mean 'cat'?",
        ("gen", "-n", 4, "-o", "out", "--truncation", "-1"): "truncation must be above 0",
        ("gen", "-n", 4, "-o", "out", "--image-column", "label"): "the columns need two different names",
        ("gen", "-n", 4, "-o", "gen/config.json"): "gen/config.json",
    }.items():
        status, said, complained = run(*argv)
        assert (status, said) == (2, "")
        assert complained.startswith("hubgan synthesize: error: ") and words in complained
    assert "required: -n/--number, -o/--output" in run("gen")[2]
    assert not (tmp_path / "out").exists()
    with pytest.raises(ConfigError, match="each must be 1 or more"):
        synthesize(generator, tmp_path / "out", 0)
