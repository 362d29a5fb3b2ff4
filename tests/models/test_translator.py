"""Translators: pictures in, pictures out."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from helpers.common import equal
from helpers.pictures import picture
from hubgan import Translator
from hubgan.errors import ConfigError, ImageError, ModelError
from hubgan.models.translator import HINT_COUNTS, HINTS

SMALL = {"width": 8, "depth": 1, "latent_dim": 4, "image_size": 32}


def drawing(width: int = 40, height: int = 24) -> Image.Image:
    image = Image.new("RGB", (width, height), "white")
    ImageDraw.Draw(image).ellipse((8, 4, 30, 20), outline="black", width=2)
    return image


@pytest.fixture(scope="module")
def translator() -> Translator:
    torch.manual_seed(0)
    model = Translator(input="edges", **SMALL).eval()
    for name, parameter in model.named_parameters():
        if "style" in name or "conv2" in name:  # they start at zero, and would hide what latents do
            torch.nn.init.normal_(parameter, 0, 0.2)
    return model


def test_a_picture_keeps_its_shape_and_gets_the_size_of_the_training(translator: Translator) -> None:
    assert translator.translate(drawing()).size == (32, 19)
    assert translator.translate(drawing(), size=64).size == (64, 38)
    assert translator.translate(drawing()).mode == "RGB"


def test_the_seed_chooses_among_the_results(translator: Translator) -> None:
    first, again, other = (translator.translate(drawing(), seed=seed).tobytes() for seed in (1, 1, 2))
    assert first == again != other
    assert translator.translate(drawing()).tobytes() not in (first, other)  # the most typical one
    assert translator.translate(drawing()).tobytes() == translator.translate(drawing()).tobytes()
    assert not torch.equal(translator.latents(2, seed=None), translator.latents(2, seed=None))
    assert torch.equal(translator.latents(5, seed=3)[:2], translator.latents(2, seed=3))


def test_a_sketch_may_come_in_any_mode(translator: Translator) -> None:
    wanted = translator.translate(drawing()).tobytes()
    grey = drawing().convert("L")
    ink = Image.new("RGBA", grey.size)
    ink.putalpha(grey.point(lambda value: 255 - value))  # black where it was drawn, else transparent
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    for same in (grey, ink, deep):
        assert translator.translate(same).tobytes() == wanted, same.mode


def test_a_photo_can_be_made_a_sketch_first(translator: Translator) -> None:
    photo = picture(64, 48)
    assert translator.translate(photo, prepare=True).size == (32, 24)
    assert translator.translate(photo, prepare=True).tobytes() != translator.translate(photo).tobytes()
    with pytest.raises(ImageError, match="no edges to draw"):
        translator.translate(Image.new("RGB", (30, 20), "teal"), prepare=True)


def test_a_colouriser_keeps_size_brightness_and_transparency() -> None:
    model = Translator(input="grey", **SMALL).eval()
    photo = picture(100, 70)
    photo.putalpha(128)
    made = model.translate(photo)
    assert made.size == (100, 70) and made.mode == "RGBA" and made.getchannel("A").getextrema() == (128, 128)
    flat = picture(100, 70)
    # With the strongest colours RGB cannot hold every brightness; an untrained network makes grey ones.
    lumas = [np.asarray(each.convert("L"), float) for each in (flat, model.translate(flat))]
    assert np.abs(lumas[0] - lumas[1]).mean() < 3


def test_a_filler_changes_only_what_was_erased() -> None:
    model = Translator(input="mask", **SMALL).eval()
    photo = picture(64, 48)
    with pytest.raises(ImageError, match="no transparent part"):
        model.translate(photo)
    alpha = Image.new("L", photo.size, 255)
    alpha.paste(0, (20, 10, 40, 30))
    photo.putalpha(alpha)
    made = model.translate(photo)
    assert made.size == (64, 48) and made.mode == "RGB"
    known = Image.composite(made, Image.new("RGB", made.size), alpha)
    assert known.tobytes() == Image.composite(photo.convert("RGB"), Image.new("RGB", made.size), alpha).tobytes()
    assert made.crop((20, 10, 40, 30)).tobytes() != photo.convert("RGB").crop((20, 10, 40, 30)).tobytes()


def test_it_is_saved_and_loaded(translator: Translator, tmp_path: Path) -> None:
    translator.save_pretrained(tmp_path / "mine")
    loaded = Translator.from_pretrained(tmp_path / "mine")
    assert equal(loaded, translator) and loaded.input == "edges" and loaded.image_size == 32
    assert loaded.translate(drawing()).tobytes() == translator.translate(drawing()).tobytes()
    card = (tmp_path / "mine" / "README.md").read_text()
    assert "Translator.from_pretrained(" in card and "image-translation" in card


def test_what_cannot_be_translated_is_an_error(translator: Translator) -> None:
    for blank in ("white", "black", "#f4f1ea", "#ffffff00"):  # of paper too, and with nothing on it
        with pytest.raises(ImageError, match=r"the drawing is blank.*dark lines on white"):
            translator.translate(Image.new("RGBA", (30, 30), blank))
    with pytest.raises(ImageError, match="blank"):
        translator.translate(Image.fromarray(np.full((30, 30), 65535, np.uint16)))
    for size in (8, 4096, 31.5, True):
        with pytest.raises(ConfigError, match="size is"):
            translator.translate(drawing(), size=size)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="nothing to prepare"):
        Translator(**SMALL).translate(drawing(), prepare=True)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"unknown input 'edge'.*edges"):
        Translator(input="edge")
    with pytest.raises(ConfigError, match="multiple of 8"):
        Translator(width=12)
    broken = Translator(input="edges", **SMALL).eval()  # type: ignore[arg-type]
    torch.nn.init.constant_(broken.network.last.bias, torch.nan)  # type: ignore[union-attr, arg-type]
    with pytest.raises(ModelError, match="NaN"):
        broken.translate(drawing())


def test_no_pattern_is_woven_at_the_start(translator: Translator) -> None:
    for layer, width in ((translator.network.finer, 8), (translator.network.finest, 4)):  # type: ignore[union-attr]
        without_input = torch.zeros(1, layer.beside.in_channels, 12, 12)  # type: ignore[union-attr]
        blocks = layer(torch.randn(1, width, 6, 6), without_input).unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)  # type: ignore[operator]
        torch.testing.assert_close(blocks, blocks[..., :1].expand_as(blocks))


def test_the_last_layer_leaves_no_frame_around_a_plain_background(translator: Translator) -> None:
    translator.network.finest.register_forward_hook(lambda *_: torch.full((1, 8, 32, 32), 0.7))  # type: ignore[union-attr]
    with torch.no_grad():
        made = translator(torch.ones(1, 1, 32, 32))
    torch.testing.assert_close(made, made[..., :1, :1].expand_as(made))


# -- resnet


def test_a_resnet_translates_any_size_without_latents(tmp_path: Path) -> None:
    model = Translator("resnet", width=8, depth=2, image_size=32).eval()
    model.save_pretrained(tmp_path)
    loaded = Translator.from_pretrained(tmp_path)
    photo = picture(40, 24)
    assert loaded.translate(photo).size == (32, 19)
    assert loaded.translate(photo, size=16).tobytes() == model.translate(photo, size=16).tobytes()
    with pytest.raises(ConfigError, match=r"takes no seed\. Leave out seed"):
        loaded.translate(photo, seed=1)
    with pytest.raises(ConfigError, match="multiple of 4"):
        Translator("resnet", width=10)


def test_a_residual_resnet_begins_with_unchanged_pictures() -> None:
    images = torch.rand(2, 3, 16, 24)
    network = Translator("resnet", width=8, depth=1, residual=True)
    assert torch.equal(network(images), images)
    loss = (network(images) - 0.5).square().mean()
    loss.backward()
    assert network.network.last.weight.grad.abs().sum() > 0  # white and black are no dead ends
    with pytest.raises(ConfigError, match=r"residual needs as many input_channels \(1\) as channels \(3\)"):
        Translator("resnet", width=8, depth=1, input_channels=1, residual=True)


def test_a_resnet_of_the_default_size_suits_a_cpu() -> None:
    with torch.device("meta"):
        assert 1e6 < Translator("resnet").num_parameters() < 3e6


def test_a_resnet_has_latents_if_asked() -> None:
    model = Translator("resnet", width=8, depth=2, latent_dim=4, image_size=32).eval()
    for name, parameter in model.named_parameters():
        if "style" in name:
            torch.nn.init.normal_(parameter)
    made = [model.translate(picture(32, 32), seed=seed).tobytes() for seed in (None, 1, 2)]
    assert len({*made}) == 3


def test_a_resnet_weaves_no_pattern_into_a_flat_picture() -> None:
    model = Translator("resnet", width=8, depth=2, image_size=32).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0, 0.3)
    with torch.no_grad():
        made = model(torch.full((1, 3, 32, 32), 0.3))
    assert made.std((2, 3)).max() < 1e-3


def test_features_are_those_of_the_chosen_layers() -> None:
    network = Translator("resnet", width=8, depth=2).network
    images = torch.rand(2, 3, 32, 16)
    found = network.features(images, (0, 3, 1))  # type: ignore[operator]
    assert [each.shape[1] for each in found] == [network.layer_channels[layer] for layer in (0, 3, 1)]  # type: ignore[index]
    assert [each.shape[2:] for each in found] == [(32, 16), (8, 4), (16, 8)]
    torch.testing.assert_close(found[0], images * 2 - 1)


def test_each_seed_gives_a_colour_if_there_are_hints() -> None:
    model = Translator(width=8, depth=1, image_size=32, input="edges", latent_dim=HINTS, colour_hints=True)
    latents = model.latents(20, seed=0)
    plain = Translator(width=8, depth=1, image_size=32, input="edges", latent_dim=HINTS).latents(20, seed=0)
    assert (latents[:, HINTS - 1] > HINT_COUNTS).all() and not (plain[:, HINTS - 1] > HINT_COUNTS).all()
    assert torch.equal(latents[:, : HINTS - 1], plain[:, : HINTS - 1])
    with pytest.raises(ConfigError, match="colour_hints needs 4 latents, but the translator has 3"):
        Translator(width=8, depth=1, input="edges", latent_dim=3, colour_hints=True)
