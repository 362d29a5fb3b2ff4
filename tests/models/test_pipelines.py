"""Code written for a pipeline of diffusers, run with that pipeline and with a generator in its place."""

import inspect
import sys
import typing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDPMPipeline, DDPMScheduler, ImagePipelineOutput, UNet2DModel
from diffusers.utils import make_image_grid
from PIL import Image

from helpers import pictures
from hubgan import Generator, Translator, Upscaler
from hubgan.errors import ConfigError, ImageError


@pytest.fixture
def folders(tmp_path: Path) -> dict[type, str]:
    """A pipeline of random weights, and a generator of the same image size."""
    unet = UNet2DModel(
        32, 3, 3, block_out_channels=(8, 8), norm_num_groups=4,
        down_block_types=("DownBlock2D",) * 2, up_block_types=("UpBlock2D",) * 2, layers_per_block=1,
    )  # fmt: skip
    DDPMPipeline(unet, DDPMScheduler()).save_pretrained(tmp_path / "ddpm")
    Generator(width=8, latent_dim=16).save_pretrained(tmp_path / "gan")
    return {DDPMPipeline: str(tmp_path / "ddpm"), Generator: str(tmp_path / "gan")}


def script(pipeline: Any, folder: Path) -> tuple[Any, ...]:
    """What users of DDPMPipeline write: diffusers' unconditional example and its documentation."""
    pipeline = pipeline.to("cpu")
    seeded = torch.Generator(device="cpu").manual_seed(0)
    images = pipeline(batch_size=4, generator=seeded, num_inference_steps=2).images
    make_image_grid(images, rows=2, cols=2).save(folder / "grid.png")
    arrays = pipeline(generator=torch.manual_seed(1), batch_size=2, num_inference_steps=2, output_type="np").images
    processed = (arrays * 255).round().astype("uint8")
    output = pipeline(1, None, 2, "pil", True)
    (tuples,) = pipeline(batch_size=3, num_inference_steps=2, return_dict=False)
    each = pipeline(
        batch_size=2, generator=[torch.Generator().manual_seed(i) for i in range(2)], num_inference_steps=2
    )
    return type(output), len(tuples), processed.shape, images[0].size, output["images"][0].mode, len(each[0])


@pytest.mark.parametrize("kind", [DDPMPipeline, Generator])
def test_a_ddpm_users_script_runs_with_one_line_changed(
    folders: dict[type, str], tmp_path: Path, kind: type[Any]
) -> None:
    pipeline = kind.from_pretrained(folders[kind], torch_dtype=torch.float32)
    found = script(pipeline, tmp_path)
    assert found == (ImagePipelineOutput, 3, (2, 32, 32, 3), (32, 32), "RGB", 2)
    assert (tmp_path / "grid.png").is_file()


def test_a_call_gives_the_images_of_the_same_seed(folders: dict[type, str]) -> None:
    model = Generator.from_pretrained(folders[Generator])
    called = model(batch_size=3, generator=torch.Generator().manual_seed(7), output_type="np").images
    assert np.array_equal(called, model.sample(3, seed=7, output_type="np"))
    one_each = model(batch_size=2, generator=[torch.Generator().manual_seed(7)] * 2, output_type="pt").images
    assert not torch.equal(one_each[0], one_each[1])  # the same generator drew twice


def test_latents_still_go_through_the_network(folders: dict[type, str]) -> None:
    model = Generator.from_pretrained(folders[Generator])
    seen: list[Any] = []
    model.register_forward_hook(lambda module, inputs, output: seen.append(output))
    latents = torch.randn(2, 16)
    assert torch.equal(model(latents), model(latents=latents))
    assert len(seen) == 2
    assert torch.compile(model, backend="eager", fullgraph=True)(latents).shape == (2, 3, 32, 32)


def test_labels_have_their_usual_name() -> None:
    model = Generator(width=4, latent_dim=4, image_size=8, labels=["cat", "dog"])
    seeded = {"generator": torch.Generator().manual_seed(7), "output_type": "pt"}
    one = model(labels="dog", **seeded).images
    assert torch.equal(one, model.sample(labels="dog", seed=7, output_type="pt"))
    assert len(model(labels=["dog", 0]).images) == 2
    with pytest.raises(ConfigError, match="are the same argument"):
        model(labels="dog", class_labels=1)


def test_an_upscaler_takes_a_picture_by_position(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    model = Upscaler(scale=2, width=4, depth=1)
    picture = Image.new("RGB", (6, 4), (200, 100, 50))
    picture.save(tmp_path / "picture.png")
    wanted = np.asarray(model.upscale(picture))
    array = np.asarray(picture)
    for given in (picture, str(tmp_path / "picture.png"), array, torch.from_numpy(array.copy()).permute(2, 0, 1)):
        assert np.array_equal(np.asarray(model(given).images[0]), wanted)
    assert model([picture, picture], output_type="np").images.shape == (2, 8, 12, 3)
    assert not caplog.records  # it was not taken for a prompt
    assert model(torch.rand(1, 3, 4, 6)).shape == (1, 3, 8, 12)  # a batch goes through the network
    with pytest.raises(ImageError, match="there is no picture"):
        model(prompt="a cat")


def test_a_translator_is_called_with_a_picture(tmp_path: Path) -> None:
    model = Translator("resnet", width=4, depth=1, latent_dim=2, image_size=16).eval()
    for name, parameter in model.named_parameters():
        if "style" in name:  # they start at zero, and would hide what latents do
            torch.nn.init.normal_(parameter)
    picture = pictures.picture(6, 4)
    picture.save(tmp_path / "picture.png")
    array = np.asarray(picture)
    for seed in (None, 1):
        wanted = model.translate(picture, seed=seed)
        for given in (picture, str(tmp_path / "picture.png"), torch.from_numpy(array.copy()).permute(2, 0, 1)):
            assert model(given, seed=seed).images[0].tobytes() == wanted.tobytes()
    assert model(picture, seed=1).images[0].tobytes() != model(picture).images[0].tobytes()
    assert model([picture, picture], size=24, output_type="np").images.shape == (2, 16, 24, 3)
    (made,) = model(np.stack([array, array]), return_dict=False)
    assert [each.size for each in made] == [(16, 11)] * 2
    assert model(torch.rand(1, 3, 8, 16)).shape == (1, 3, 8, 16)  # a batch goes through the network
    with pytest.raises(ImageError, match="there is no picture"):
        model([])
    with pytest.raises(ConfigError, match="output_type"):
        model(picture, output_type="latent")  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="strength"):
        model(picture, strength=1)  # type: ignore[call-overload]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="typing.get_overloads")
@pytest.mark.parametrize("kind", [Generator, Upscaler, Translator])
def test_editors_know_what_a_call_returns(kind: type[Any]) -> None:
    found = [inspect.signature(each).return_annotation for each in typing.get_overloads(kind.__call__)]
    types = ["list[Image.Image]", "np.ndarray", "Tensor"]
    assert found[1:] == [f"{form}[{each}]" for form in ("PipelineOutput", "tuple") for each in types]


def test_calls_that_cannot_be(folders: dict[type, str]) -> None:
    model = Generator.from_pretrained(folders[Generator])
    with pytest.raises(ConfigError, match="batch_size is 0"):
        model(batch_size=0)
    with pytest.raises(ConfigError, match="one for each image"):
        model(batch_size=3, generator=[torch.Generator()])
    with pytest.raises(ConfigError, match="output_type"):
        model(output_type="latent")
    with pytest.raises(TypeError, match="guidance"):
        model(guidance=3)
