"""Other people's upscalers, and the call that diffusers' users know."""

import copy
import json
import logging
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import ImageCms
from safetensors.torch import load_file, save_file
from torch import nn

spandrel = pytest.importorskip("spandrel")
from diffusers import ImagePipelineOutput
from huggingface_hub import HfApi, constants
from spandrel.architectures.Compact import Compact
from spandrel.architectures.DnCNN import DnCNN
from spandrel.architectures.ESRGAN import ESRGAN
from spandrel.architectures.SPAN import SPAN
from spandrel.architectures.SwinIR import SwinIR

from helpers.loopback_hub import LoopbackHub
from helpers.pictures import noise
from hubgan import Upscaler
from hubgan.errors import ConfigError, ImageError, ModelError
from hubgan.models.upscale_pipeline import _warn_of_prompt


def esrgan(**options: int) -> nn.Module:
    return ESRGAN(**{"num_filters": 8, "num_blocks": 1, "scale": 4, **options})


def compact(scale: int = 2) -> nn.Module:
    return Compact(num_feat=8, num_conv=1, upscale=scale)


def span() -> nn.Module:
    return SPAN(num_in_ch=3, num_out_ch=3, feature_channels=8, upscale=2)


def swinir() -> nn.Module:
    sizes = {"img_size": 16, "window_size": 8, "embed_dim": 8, "depths": [2], "num_heads": [2], "mlp_ratio": 2.0}
    return SwinIR(**sizes, upsampler="pixelshuffledirect", upscale=2)


NETWORKS = [(esrgan, "ESRGAN", 4), (compact, "Compact", 2), (span, "SPAN", 2), (swinir, "SwinIR", 2)]


def store(network: nn.Module, file: Path, dtype: torch.dtype = torch.float32) -> Path:
    """Weights as their authors publish them: safetensors, or a pickle inside a dictionary."""
    file.parent.mkdir(parents=True, exist_ok=True)
    weights = {key: value.to(dtype) if value.is_floating_point() else value.clone()
               for key, value in network.state_dict().items()}  # fmt: skip
    if file.suffix == ".safetensors":
        save_file(weights, file)
    else:
        torch.save({"params_ema": weights}, file)
    return file


# -- loading


@pytest.mark.parametrize(("make", "name", "scale"), NETWORKS)
def test_weights_made_elsewhere_enlarge_as_their_own_network_does(
    make: Callable[[], nn.Module], name: str, scale: int, tmp_path: Path
) -> None:
    network = make().eval()
    model = Upscaler.from_pretrained(store(network, tmp_path / "weights.safetensors"))
    assert (model.config["architecture"], model.config["network"]) == ("community", name)
    assert (model.scale, model.channels, model.dtype) == (scale, 3, torch.float32)
    assert model.num_parameters() == sum(p.numel() for p in network.parameters())
    assert not model.training
    images = torch.rand(2, 3, 24, 16)
    with torch.no_grad():
        torch.testing.assert_close(model(images), network(images).clamp(0, 1))


@pytest.mark.parametrize("make", [make for make, *_ in NETWORKS] + [lambda: esrgan(in_nc=12, shuffle_factor=2)])
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (33, 18)])
def test_a_picture_of_any_size_is_enlarged(
    make: Callable[[], nn.Module], size: tuple[int, int], tmp_path: Path
) -> None:
    model = Upscaler.from_pretrained(store(make(), tmp_path / "weights.safetensors"))
    assert model.upscale(noise(*size)).size == (size[0] * model.scale, size[1] * model.scale)


@pytest.mark.parametrize("make", [esrgan, compact, span, lambda: esrgan(in_nc=12, shuffle_factor=2)])
def test_tiles_equal_the_whole_picture(make: Callable[[], nn.Module], tmp_path: Path) -> None:
    model = Upscaler.from_pretrained(store(make(), tmp_path / "weights.safetensors"))
    whole, tiled = (np.asarray(model.upscale(noise(90, 45), tile=tile), int) for tile in (0, 16))
    assert len(np.unique(whole)) > 2
    assert np.abs(whole - tiled).max() <= 1


def test_a_network_that_judges_the_whole_picture_gets_it_whole_unless_asked(tmp_path: Path) -> None:
    model = Upscaler.from_pretrained(store(swinir(), tmp_path / "weights.safetensors"))
    seen: list[tuple[int, ...]] = []
    model.network.register_forward_hook(lambda module, args, output: seen.append(tuple(args[0].shape[2:])))
    model.upscale(noise(300, 20))
    model.upscale(noise(300, 20), tile=150)
    assert seen == [(20, 300), (20, 184), (20, 184)]


def test_transparency_and_profile_are_kept(tmp_path: Path) -> None:
    model = Upscaler.from_pretrained(store(compact(), tmp_path / "weights.safetensors"))
    image = noise(12, 10, "RGBA")
    image.info["icc_profile"] = profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    large = model.upscale(image)
    assert (large.mode, large.size, large.info["icc_profile"]) == ("RGBA", (24, 20), profile)


def test_alpha_stays_what_it_is_if_nothing_is_enlarged(tmp_path: Path) -> None:
    model = Upscaler.from_pretrained(store(DnCNN(in_nc=3, out_nc=3, nc=8, nb=5), tmp_path / "weights.safetensors"))
    image = noise(12, 10, "RGBA")
    assert model.upscale(image).getchannel("A").tobytes() == image.getchannel("A").tobytes()


def test_a_grey_network_restores_without_enlarging(tmp_path: Path) -> None:
    network = DnCNN(in_nc=1, out_nc=1, nc=8, nb=5)
    model = Upscaler.from_pretrained(store(network, tmp_path / "weights.safetensors"))
    large = model.upscale(noise(12, 10))
    assert (model.scale, model.channels, large.mode, large.size) == (1, 1, "L", (12, 10))


def test_float16_is_kept_where_the_architecture_can(tmp_path: Path) -> None:
    half, unable = (store(make(), tmp_path / make.__name__ / "w.safetensors", torch.float16)
                    for make in (esrgan, swinir))  # fmt: skip
    assert Upscaler.from_pretrained(half).dtype == torch.float16
    assert Upscaler.from_pretrained(half, torch_dtype=torch.float32).dtype == torch.float32
    assert Upscaler.from_pretrained(unable).dtype == torch.float32
    brain = store(swinir(), tmp_path / "bfloat16.safetensors", torch.bfloat16)
    assert Upscaler.from_pretrained(brain).dtype == torch.float32
    assert Upscaler.from_pretrained(half).upscale(noise(20, 20)).size == (80, 80)
    with pytest.raises(ModelError, match=r"SwinIR does not compute in torch\.float16"):
        Upscaler.from_pretrained(unable, torch_dtype=torch.float16)


def test_a_copied_model_has_its_own_weights(tmp_path: Path) -> None:
    model = Upscaler.from_pretrained(store(compact(), tmp_path / "weights.safetensors"))
    twin = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert twin.upscale(noise(8, 8)).tobytes() != model.upscale(noise(8, 8)).tobytes()


# -- which file


def test_the_only_safetensors_of_a_folder_is_taken_whatever_else_lies_there(tmp_path: Path) -> None:
    store(esrgan(), tmp_path / "4x_mine.safetensors")
    store(compact(), tmp_path / "old.pth")
    store(compact(), tmp_path / "older" / "2x.safetensors")
    (tmp_path / "config.json").write_text('{"model_type": "swin2sr", "architecture": "ESRGAN"}')
    assert Upscaler.from_pretrained(tmp_path).scale == 4
    assert Upscaler.from_pretrained(tmp_path, subfolder="older").scale == 2
    assert Upscaler.from_pretrained(tmp_path, weights_name="old.pth", allow_pickle=True).scale == 2


def test_one_of_several_files_must_be_named(tmp_path: Path) -> None:
    store(esrgan(), tmp_path / "a.safetensors")
    store(compact(), tmp_path / "b.safetensors")
    told = r"several models: a\.safetensors, b\.safetensors\. Select one with weights_name="
    with pytest.raises(ModelError, match=told):
        Upscaler.from_pretrained(tmp_path)
    assert Upscaler.from_pretrained(tmp_path, weights_name="b.safetensors").scale == 2
    with pytest.raises(ModelError, match=r"has no c\.safetensors"):
        Upscaler.from_pretrained(tmp_path, weights_name="c.safetensors")
    with pytest.raises(ModelError, match=r"notes\.txt is not a weight file"):
        Upscaler.from_pretrained(tmp_path, weights_name="notes.txt")


def test_a_folder_without_weights_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no config\.json"):
        Upscaler.from_pretrained(tmp_path)


def test_a_damaged_config_of_hubgans_is_not_passed_over(tmp_path: Path) -> None:
    Upscaler(width=8, depth=1).save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ConfigError, match="not valid JSON"):
        Upscaler.from_pretrained(tmp_path)


# -- pickles


@pytest.mark.parametrize("suffix", [".pth", ".ckpt"])
def test_a_pickle_is_read_only_when_that_is_allowed(suffix: str, tmp_path: Path) -> None:
    file = store(compact(), tmp_path / f"2x{suffix}")
    for name in (file, tmp_path):
        with pytest.raises(ModelError, match=r"is a pickle, which can run any code .* allow_pickle=True"):
            Upscaler.from_pretrained(name)
        assert Upscaler.from_pretrained(name, allow_pickle=True).scale == 2


@pytest.mark.parametrize("suffix", [".pt", ".bin", ".pkl"])
def test_pickles_that_the_restricted_unpickler_does_not_read_are_refused(suffix: str, tmp_path: Path) -> None:
    file = store(compact(), tmp_path / f"2x{suffix}")
    with pytest.raises(ModelError, match=r"is a pickle, .* can be read are \.pth and \.ckpt"):
        Upscaler.from_pretrained(file, allow_pickle=True)


class Payload:
    """What runs when it is unpickled without care."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("suffix", [".pth", ".ckpt"])
def test_a_pickle_that_holds_code_is_refused_and_not_run(suffix: str, tmp_path: Path) -> None:
    file, ran = tmp_path / f"evil{suffix}", tmp_path / "ran"
    evil = {"params": {"x": Payload(ran)}}
    torch.save(evil, file)
    with pytest.raises(ModelError, match=r"'\w+\.mkdir' is forbidden\)"):
        Upscaler.from_pretrained(file, allow_pickle=True)
    for protocol in (2, 4):
        file.write_bytes(pickle.dumps(evil, protocol))
        with pytest.raises(ModelError, match="not weights alone"):
            Upscaler.from_pretrained(file, allow_pickle=True)
    assert not ran.exists()
    pickle.loads(file.read_bytes())
    assert ran.exists()  # the payload was a live one


@pytest.mark.parametrize("suffix", [".pth", ".ckpt"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_program_is_refused(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.jit.trace(compact(), torch.rand(1, 3, 8, 8)).save(str(tmp_path / "traced"))
    file = (tmp_path / "traced").rename(tmp_path / f"traced{suffix}")
    monkeypatch.setattr(torch.jit, "load", lambda *args, **options: pytest.fail("the program was run"))
    whole = file.read_bytes()
    for disguise in (whole, whole + b"PK\x05\x06", whole[:-40]):  # what else reads archives may not see one there
        file.write_bytes(disguise)
        with pytest.raises(ModelError, match=r"TorchScript|not weights alone"):
            Upscaler.from_pretrained(file, allow_pickle=True)


# -- what hubgan cannot run


def test_damaged_and_foreign_weights_are_named(tmp_path: Path) -> None:
    file = store(compact(), tmp_path / "weights.safetensors")
    whole = file.read_bytes()
    file.write_bytes(whole[:-50])
    with pytest.raises(ModelError, match=r"weights\.safetensors is damaged or incomplete"):
        Upscaler.from_pretrained(file)
    save_file({"decoder.weight": torch.zeros(3)}, file)
    with pytest.raises(ModelError, match=r"weights\.safetensors: spandrel .* knows no architecture"):
        Upscaler.from_pretrained(file)
    state = compact().state_dict()
    save_file({**state, "body.2.weight": torch.zeros(5)}, file)
    with pytest.raises(ModelError, match=r"weights\.safetensors: the weights do not fit"):
        Upscaler.from_pretrained(file)
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ModelError, match=r"list\.pth is damaged, or not weights alone"):
        Upscaler.from_pretrained(tmp_path / "list.pth", allow_pickle=True)


@pytest.mark.parametrize(("purpose", "words"), [("FaceSR", "faces only"), ("Inpainting", "filling holes")])
def test_networks_for_something_else_are_refused(
    purpose: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GFPGAN and LaMa are too large for a test: only what spandrel says of the network is another's.
    monkeypatch.setattr(spandrel.ImageModelDescriptor, "purpose", purpose)
    with pytest.raises(ModelError, match=f"for {words}"):
        Upscaler.from_pretrained(store(compact(), tmp_path / "weights.safetensors"))


@pytest.mark.parametrize("network", [esrgan(in_nc=4, out_nc=4), esrgan(scale=16)])
def test_other_channels_and_scales_are_refused(network: nn.Module, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="hubgan needs 1 or 3 channels"):
        Upscaler.from_pretrained(store(network, tmp_path / "weights.safetensors"))


def test_without_spandrel_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = store(compact(), tmp_path / "weights.safetensors")
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(ModelError, match=r"pip install 'hubgan\[community\]'"):
        Upscaler.from_pretrained(file)
    Upscaler(width=8, depth=1).save_pretrained(tmp_path / "own")
    Upscaler.from_pretrained(tmp_path / "own")


# -- saving, and the Hub


@pytest.mark.parametrize("make", [make for make, *_ in NETWORKS])
def test_a_saved_model_keeps_its_names_and_says_where_it_is_from(
    make: Callable[[], nn.Module], tmp_path: Path
) -> None:
    network = make()
    model = Upscaler.from_pretrained(store(network, tmp_path / "4x_mine.safetensors"))
    model.save_pretrained(tmp_path / "saved")
    assert load_file(tmp_path / "saved" / "model.safetensors").keys() == network.state_dict().keys()
    config = json.loads((tmp_path / "saved" / "config.json").read_text())
    assert (config["architecture"], config["source"]) == ("community", "4x_mine.safetensors")
    card = (tmp_path / "saved" / "README.md").read_text()
    assert "made elsewhere" in card
    assert "made with hubgan" not in card
    assert model.config["network"] in card
    assert "was not trained" not in card
    loaded = Upscaler.from_pretrained(tmp_path / "saved")
    assert loaded.config == model.config
    assert loaded.upscale(noise(9, 7)).tobytes() == model.upscale(noise(9, 7)).tobytes()


def test_saved_weights_that_are_another_network_are_refused(tmp_path: Path) -> None:
    Upscaler.from_pretrained(store(compact(), tmp_path / "a.safetensors")).save_pretrained(tmp_path / "saved")
    store(esrgan(), tmp_path / "saved" / "model.safetensors")
    with pytest.raises(ModelError, match=r"holds .*ESRGAN.* says .*Compact"):
        Upscaler.from_pretrained(tmp_path / "saved")


def test_a_repository_that_holds_one_file_is_loaded_and_pushed_on(
    hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("2x_theirs.safetensors", "theirs.pth"):
        HfApi().create_repo("tester/theirs", exist_ok=True)
        file = store(compact(), tmp_path / name)
        HfApi().upload_file(path_or_fileobj=file, path_in_repo=name, repo_id="tester/theirs")
    model = Upscaler.from_pretrained("tester/theirs", cache_dir=tmp_path / "cache")
    assert model.config["source"] == "tester/theirs/2x_theirs.safetensors"
    expected = model.upscale(noise(9, 7)).tobytes()
    model.push_to_hub("tester/mine")
    again = Upscaler.from_pretrained("tester/mine", cache_dir=tmp_path / "cache")
    assert (again.config, again.upscale(noise(9, 7)).tobytes()) == (model.config, expected)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert Upscaler.from_pretrained("tester/theirs", cache_dir=tmp_path / "cache").scale == 2
    with pytest.raises(ModelError, match="cannot be reached"):
        Upscaler.from_pretrained("tester/nothing", cache_dir=tmp_path / "cache")


def test_a_repository_of_pickles_is_refused(hub: LoopbackHub, tmp_path: Path) -> None:
    HfApi().create_repo("tester/pickles")
    for name in ("a.pth", "b.pth"):
        file = store(compact(), tmp_path / name)
        HfApi().upload_file(path_or_fileobj=file, path_in_repo=name, repo_id="tester/pickles")
    with pytest.raises(ModelError, match=r"several models: a\.pth, b\.pth"):
        Upscaler.from_pretrained("tester/pickles", allow_pickle=True, cache_dir=tmp_path / "cache")
    with pytest.raises(ModelError, match="is a pickle"):
        Upscaler.from_pretrained("tester/pickles", weights_name="a.pth", cache_dir=tmp_path / "cache")
    options = {"weights_name": "a.pth", "allow_pickle": True}
    assert Upscaler.from_pretrained("tester/pickles", cache_dir=tmp_path / "cache", **options).scale == 2


# -- the call that diffusers' users know


@pytest.fixture
def pipeline() -> Upscaler:
    return Upscaler(width=8, depth=1, scale=2).eval()


def test_code_for_diffusers_runs_with_one_line_changed(pipeline: Upscaler, caplog: pytest.LogCaptureFixture) -> None:
    _warn_of_prompt.cache_clear()
    pipeline = pipeline.to("cpu")
    generator = torch.Generator("cpu").manual_seed(0)
    for _ in range(2):
        output = pipeline(
            prompt="a white cat",
            image=noise(16, 12),
            num_inference_steps=20,
            guidance_scale=0,
            noise_level=20,
            negative_prompt="blurry",
            eta=0.0,
            generator=generator,
            callback_steps=1,
        )
    assert isinstance(output, ImagePipelineOutput)
    assert output.images[0].tobytes() == pipeline.upscale(noise(16, 12)).tobytes()
    assert [record.levelno for record in caplog.records if "prompt" in record.message] == [logging.WARNING]


def test_arrays_tensors_and_tuples_come_out_as_asked(pipeline: Upscaler) -> None:
    two = [noise(16, 12), noise(16, 12)]
    array = pipeline(image=two, output_type="np").images
    tensor = pipeline("", two, output_type="pt", return_dict=False)[0]
    assert (array.shape, array.dtype) == ((2, 24, 32, 3), np.float32)
    assert (tensor.shape, tensor.dtype) == ((2, 3, 24, 32), torch.float32)
    assert np.array_equal(array, tensor.permute(0, 2, 3, 1).numpy())
    assert 0 <= array.min() <= array.max() <= 1
    grey = Upscaler(channels=1, width=8, depth=1)(image=two[0], output_type="np").images
    assert grey.shape == (1, 48, 64, 1)


def test_pictures_come_in_any_form(pipeline: Upscaler, tmp_path: Path) -> None:
    image = noise(16, 12)
    image.save(tmp_path / "picture.png")
    array = np.asarray(image)
    tensor = torch.from_numpy(array.copy()).permute(2, 0, 1) / 255
    expected = pipeline.upscale(image).tobytes()
    forms = [image, str(tmp_path / "picture.png"), array, array[None], tensor, tensor[None], [image], [tensor[None]]]
    for form in forms:
        images = pipeline(image=form).images
        assert [each.tobytes() for each in images] == [expected]
    assert len(pipeline(image=torch.cat([tensor[None]] * 3)).images) == 3


def test_each_result_is_repeated_as_often_as_asked(pipeline: Upscaler) -> None:
    first, second = noise(4, 4), noise(6, 4)
    images = pipeline(image=[first, second], num_images_per_prompt=2).images
    assert [image.width for image in images] == [8, 8, 12, 12]
    assert images[0] is not images[1]


def test_calls_that_cannot_be_served(pipeline: Upscaler) -> None:
    different = [noise(4, 4), noise(6, 4)]
    with pytest.raises(ImageError, match=r"different shapes \(12 x 8 RGB, 8 x 8 RGB\)"):
        pipeline(image=different, output_type="np")
    for options in ({}, {"prompt": "a cat"}, {"image": []}):
        with pytest.raises(ImageError, match="image="):
            pipeline(**options)
    with pytest.raises(ConfigError, match="output_type"):
        pipeline(image=different, output_type="latent")
    with pytest.raises(ConfigError, match="num_images_per_prompt"):
        pipeline(image=different, num_images_per_prompt=0)
    with pytest.raises(TypeError, match="no argument mask_image"):
        pipeline(image=different, mask_image=different)


def test_a_tensor_goes_through_the_network_as_in_any_module(pipeline: Upscaler) -> None:
    calls: list[tuple[int, ...]] = []
    pipeline.register_forward_hook(lambda module, args, output: calls.append(tuple(output.shape)))
    images = torch.rand(2, 3, 8, 8)
    pipeline.train()(images).sum().backward()
    assert calls == [(2, 3, 16, 16)]
    assert all(parameter.grad is not None for parameter in pipeline.parameters())
    torch.testing.assert_close(pipeline(images=images), pipeline(images))
    torch.testing.assert_close(torch.compile(pipeline, backend="eager")(images), pipeline(images))


@pytest.mark.parametrize(
    "weights",
    [
        {"conv_first.weight": torch.empty(12_000, 3, 0, 0)},
        {"model.1.sub.2000.RDB1.conv1.0.weight": torch.zeros(8, 8, 3, 3)},
    ],
)
def test_weights_that_ask_for_far_more_than_they_hold_are_refused(
    weights: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    save_file({"model.0.weight": torch.zeros(8, 3, 3, 3), **weights}, tmp_path / "bomb.safetensors")
    with pytest.raises(ModelError, match="not the weights of a network"):
        Upscaler.from_pretrained(tmp_path / "bomb.safetensors")


def test_a_folder_that_holds_the_original_beside_what_was_saved_loads_what_was_saved(tmp_path: Path) -> None:
    store(compact(), tmp_path / "2x.safetensors")
    Upscaler.from_pretrained(tmp_path).save_pretrained(tmp_path)
    assert Upscaler.from_pretrained(tmp_path).config["source"] == "2x.safetensors"


def test_arguments_that_loading_does_not_have(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="no argument map_location"):
        Upscaler.from_pretrained(tmp_path, map_location="cpu")
    with pytest.raises(ConfigError, match="use_safetensors"):
        Upscaler.from_pretrained(tmp_path, use_safetensors=False)
    with pytest.raises(ConfigError, match=r"dtype must be one of PyTorch's, such as torch.bfloat16, not 'bfloat16'"):
        Upscaler.from_pretrained(tmp_path, torch_dtype="bfloat16")  # type: ignore[arg-type]
