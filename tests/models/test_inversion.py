"""Pictures brought into a generator's latent space, and models tuned to them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hubgan import Generator
from hubgan.errors import ConfigError, ImageError
from hubgan.models.latents import load_latents, save_latents


@pytest.fixture(scope="module")
def generator() -> Generator:
    torch.manual_seed(0)
    model = Generator(image_size=8, width=16, latent_dim=4, norm="none", labels=["cat", "dog"]).eval()
    model.training_run = {"dataset": "mine", "results": [], "facts": {"time": "an hour"}}
    return model


@pytest.fixture(scope="module")
def picture(generator: Generator) -> Image.Image:
    """One that the model can make, of the second class."""
    return generator.sample(labels="dog", seed=9)[0]


@pytest.mark.slow
def test_a_picture_of_the_models_own_is_found_again(generator: Generator, picture: Image.Image) -> None:
    shares: list[float] = []
    found = generator.invert(picture, label="dog", starts=1, steps=30, progress=shares.append)
    assert found.latents.shape == (1, 4) and found.labels is not None and found.labels.tolist() == [1]
    assert found.psnr > 30 and found.distance < 0.1 and found.generator is generator
    assert found.picture == picture
    assert generator.images_from(found.latents, found.labels) == [found.image]
    assert shares == pytest.approx([(step + 1) / 30 for step in range(30)])
    first, again = (generator.invert(picture, starts=1, steps=1) for _ in range(2))
    assert torch.equal(first.latents, again.latents) and first.labels is not None
    assert not any(parameter.grad is not None for parameter in generator.parameters())


@pytest.mark.slow
def test_tuning_makes_a_copy_that_shows_the_picture(
    generator: Generator, picture: Image.Image, tmp_path: Path
) -> None:
    other = Image.fromarray(np.asarray(picture)[::-1].copy())
    before = {name: weight.clone() for name, weight in generator.state_dict().items()}
    plain, tuned = (generator.invert(other, starts=1, steps=1, tuning_steps=steps) for steps in (0, 40))
    assert tuned.psnr > plain.psnr + 1 and torch.equal(tuned.latents, plain.latents)
    assert all(torch.equal(weight, before[name]) for name, weight in generator.state_dict().items())
    tuned.generator.save_pretrained(tmp_path)
    again = Generator.from_pretrained(tmp_path)
    assert again.images_from(tuned.latents, tuned.labels) == [tuned.image]
    assert again.training_run == {
        "dataset": "mine",
        "results": [],
        "facts": {"time": "an hour", "tuned": "to one picture, 40 steps (pivotal tuning)"},
    }
    one, two = (model.sample(16, seed=5, output_type="pt") for model in (generator, again))
    assert (one - two).square().mean().sqrt() < 0.1


def test_any_picture_is_cropped_and_scaled_as_in_the_training(generator: Generator) -> None:
    wide = Image.new("RGBA", (40, 20), (255, 0, 0, 0))  # transparent becomes white
    found = generator.invert(wide, starts=1, steps=1)
    assert found.picture.size == (8, 8) and found.picture.getpixel((4, 4)) == (255, 255, 255)
    grey = Generator(image_size=8, width=4, latent_dim=4, channels=1).invert(wide, starts=1, steps=1)
    assert grey.picture.mode == grey.image.mode == "L" and grey.labels is None


def test_what_cannot_be_inverted_is_refused(generator: Generator) -> None:
    for image, words in ((np.full((8, 8, 3), np.nan), "without NaN"), ("none.png", "none.png does not exist")):
        with pytest.raises(ImageError, match=words):
            generator.invert(image)
    grey = Image.new("L", (8, 8))
    for options, words in (
        ({"label": "cow"}, "no class 'cow'"),
        ({"steps": 0}, "steps must be 1 or more"),
        ({"starts": 1.5}, "starts must be a whole number"),
        ({"tuning_steps": -1}, "tuning_steps must be a whole number of 0 or more"),
    ):
        with pytest.raises(ConfigError, match=words):
            generator.invert(grey, **options)


def test_latents_are_kept_in_files(tmp_path: Path) -> None:
    latents, labels = torch.randn(2, 4), torch.tensor([1, 0])
    save_latents(tmp_path / "new" / "a.safetensors", latents, labels)
    read = load_latents(tmp_path / "new" / "a.safetensors")
    assert torch.equal(read[0], latents) and torch.equal(read[1], labels)
    save_latents(tmp_path / "b.safetensors", latents)
    assert load_latents(tmp_path / "b.safetensors")[1] is None
    (tmp_path / "c.safetensors").write_bytes(b"nothing")
    save_latents(tmp_path / "d.safetensors", latents * float("nan"))
    save_latents(tmp_path / "e.safetensors", latents, labels[:1])
    for name, words in {
        "c": "no whole safetensors",
        "d": "no latents",
        "e": "labels that do not fit",
        "f": "not a",
    }.items():
        with pytest.raises(ConfigError, match=words):
            load_latents(tmp_path / f"{name}.safetensors")
