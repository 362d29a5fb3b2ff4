"""What `hubgan edit` and `hubgan invert` write, and a walk through what was found."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.command_line import Run
from helpers.common import names
from hubgan import Generator
from hubgan.models.latents import load_latents, save_latents


@pytest.fixture
def generator(tmp_path: Path) -> Generator:
    """An untrained generator, saved in `gen`."""
    model = Generator(image_size=8, width=8, latent_dim=6, norm="none")
    model.name_directions({"light": 1})
    model.save_pretrained(tmp_path / "gen")
    return model.eval()


@pytest.fixture
def conditional(tmp_path: Path) -> Generator:
    """An untrained generator with classes, saved in `cond`."""
    model = Generator(image_size=8, width=8, latent_dim=4, norm="none", labels=["cat", "dog"])
    model.save_pretrained(tmp_path / "cond")
    return model.eval()


def test_an_edit_has_a_row_for_each_direction_and_a_column_for_each_amount(
    hubgan: Run, tmp_path: Path, generator: Generator
) -> None:
    words = ("edit", "gen", "--seed", 7, "--directions", 0, "light", "--amounts", -2, 0, 1.5, "--scale", 1)
    assert hubgan(*words) == (0, "gen-edit.png: 2 rows of 3 images\n", "")
    pixels = np.asarray(Image.open(tmp_path / "gen-edit.png"))
    patches = np.lib.stride_tricks.sliding_window_view(pixels, (8, 8, 3))[:, :, 0]
    latents = generator.latents(1, seed=7)
    for row, direction in enumerate((0, 1)):
        images = generator.images_from(generator.edit(latents, direction, [-2, 0, 1.5]))
        found = [np.argwhere((patches == np.asarray(image)).all((2, 3, 4))) for image in images]
        places = [place[-1] if row else place[0] for place in found]
        assert len({top for top, _ in places}) == 1 and np.diff([left for _, left in places]).tolist() == [10, 10]
    status, _, complained = hubgan(*words)
    assert status == 2 and "gen-edit.png already exists" in complained


def test_latents_of_a_file_are_edited_and_walked(hubgan: Run, tmp_path: Path, conditional: Generator) -> None:
    save_latents(tmp_path / "mine.safetensors", conditional.latents(1, seed=3), torch.tensor([1]))
    status, said, _ = hubgan("edit", "cond", "--latents", "mine.safetensors", "--direction", 0, "--amount", 0)
    assert status == 0 and said == "cond-edit.png: 1 row of 1 image\nlabel: dog\n"
    words = ("--latents", "mine.safetensors", "--seeds", 4, "--frames", 4, "--scale", 1, "-o")
    status, said, _ = hubgan("walk", "cond", *words, "a.webp", "--truncation", 0.1)
    assert status == 0 and "label: dog\n" in said
    with Image.open(tmp_path / "a.webp") as walk:
        shown = np.asarray(walk.convert("RGB"))
    assert np.array_equal(shown, np.asarray(conditional.sample(labels="dog", seed=3)[0]))
    status, said, _ = hubgan("walk", "cond", *words, "b.webp", "--labels", "cat", "dog", "--blend-labels")
    assert status == 0 and "label: cat, dog\n" in said


@pytest.mark.slow
def test_a_picture_is_inverted_tuned_and_edited(hubgan: Run, tmp_path: Path, conditional: Generator) -> None:
    conditional.sample(labels="dog", seed=5)[0].resize((30, 20)).save(tmp_path / "me.png")
    words = ("invert", "cond", "me.png", "--starts", 1, "--steps", 1)
    status, said, _ = hubgan(*words, "--label", "dog", "--tune", 1)
    assert status == 0 and "label dog\nEdit it: hubgan edit me-inverted/model --latents" in said
    folder = tmp_path / "me-inverted"
    model = {f"model/{name}" for name in ("config.json", "model.safetensors", "README.md")}
    assert names(folder) == {"latents.safetensors", "comparison.png"} | model
    assert Image.open(folder / "comparison.png").size == (2 * 130 + 2, 132)
    latents, labels = load_latents(folder / "latents.safetensors")
    assert latents.shape == (1, 4) and labels is not None and labels.tolist() == [1]
    assert hubgan(*said.split("Edit it: hubgan ")[1].split(), "--amounts", -1, 1)[0] == 0
    status, _, complained = hubgan(*words)
    assert status == 2 and "already exists" in complained
    status, _, complained = hubgan(*words, "--overwrite", "--json")
    assert status == 2 and "me-inverted/model is tuned to an earlier picture" in complained
    shutil.rmtree(folder / "model")
    status, said, _ = hubgan(*words, "--overwrite", "--json")
    assert status == 0 and {"psnr", "distance", "label", "latents"} <= json.loads(said).keys()


def test_directions_get_names_that_stay_with_the_model(hubgan: Run, tmp_path: Path, generator: Generator) -> None:
    weights = (tmp_path / "gen" / "model.safetensors").read_bytes()
    assert hubgan("edit", "gen", "--name", "0=dark side", "3=size")[:2] == (
        0,
        "gen: directions 0 dark side, 1 light, 3 size\n",
    )
    assert Generator.from_pretrained(tmp_path / "gen").direction_names == {"dark side": 0, "light": 1, "size": 3}
    assert hubgan("edit", "gen", "--name", "0=", "1=", "3=")[:2] == (0, "gen: no direction has a name\n")
    assert (tmp_path / "gen" / "model.safetensors").read_bytes() == weights
    assert "'size' is not a direction and its name, such as 0=brightness" in hubgan("edit", "gen", "--name", "size")[2]


def test_what_cannot_be_edited_or_inverted_is_told_in_a_line(
    hubgan: Run, tmp_path: Path, generator: Generator, conditional: Generator
) -> None:
    save_latents(tmp_path / "mine.safetensors", conditional.latents(1, seed=3), torch.tensor([1]))
    save_latents(tmp_path / "high.safetensors", conditional.latents(1, seed=3), torch.tensor([2]))
    (tmp_path / "text.png").write_text("no picture")
    before = names(tmp_path)
    for argv, words in {
        ("edit", "gen", "--directions", "lihgt"): "no direction 'lihgt'. Did you mean 'light'?",
        ("edit", "gen", "--directions", "6"): "there is no direction 6. Use a number from 0 to 5",
        ("edit", "gen", "--amounts", "nan"): "amount must be a finite number",
        ("edit", "gen", "--name", "9=size"): "there is no direction 9. Use a number from 0 to 5",
        ("edit", "gen", "--name", "0=light"): "two directions would have the name 'light'",
        ("edit", "gen", "-o", "a.gif"): "-o a.gif must end in .png. Pass -o a.png",
        ("edit", "gen", "--label", "dog"): "has no classes",
        ("edit", "gen", "--latents", "none"): "none is not a file",
        ("edit", "gen", "--latents", "mine.safetensors"): "was made for another model",
        ("edit", "cond", "--latents", "high.safetensors"): "was made for another model",
        ("walk", "cond", "--latents", "mine.safetensors"): "a walk needs at least two points",
        ("walk", "gen", "--seeds", "1", "2", "--blend-labels"): "Remove --blend-labels",
        ("invert", "gen", "text.png"): "text.png is not a picture",
        ("invert", "gen", "none.png"): "none.png does not exist",
    }.items():
        status, said, complained = hubgan(*argv)
        assert (status, said) == (2, ""), argv
        assert complained.startswith(f"hubgan {argv[0]}: error: ") and words in complained, complained
        assert complained.count("\n") == 1
    assert names(tmp_path) == before
