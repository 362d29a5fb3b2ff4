"""Saving, loading, sampling, upscaling."""

import errno
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from helpers.common import ROOT, equal
from helpers.pictures import cut_out, noise
from hubgan import Discriminator, Generator, HubganError, Upscaler
from hubgan.errors import ConfigError, ImageError, ModelError
from hubgan.models import HubModel
from hubgan.networks import DISCRIMINATORS
from hubgan.runtime.devices import computes_in_bf16

TINY = {"width": 8, "latent_dim": 16}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    Generator(**TINY).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize(
    "model", [Generator(**TINY), Discriminator(width=8), Discriminator("patch", width=4), Upscaler(width=8, depth=1)]
)
def test_round_trip_through_a_folder(model: HubModel, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"model.safetensors", "config.json", "README.md"}
    loaded = type(model).from_pretrained(tmp_path)
    assert equal(model, loaded)
    assert loaded.config == model.config
    assert not loaded.training


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_dtype_that_was_saved_is_kept(dtype: torch.dtype, tmp_path: Path) -> None:
    Generator(**TINY).to(dtype).save_pretrained(tmp_path)
    loaded = Generator.from_pretrained(tmp_path)
    assert loaded.dtype == dtype
    assert len(loaded.sample(2, seed=0)) == 2


def test_channels_last_weights_are_saved(tmp_path: Path) -> None:
    model = Generator(**TINY).to(memory_format=torch.channels_last)
    model.save_pretrained(tmp_path)
    assert equal(model, Generator.from_pretrained(tmp_path))


def test_a_discriminator_lives_in_a_subfolder(saved: Path) -> None:
    discriminator = Discriminator(width=8)
    discriminator.save_pretrained(saved / "discriminator")
    assert equal(discriminator, Discriminator.from_pretrained(saved, subfolder="discriminator"))


def test_a_loaded_model_can_be_trained_on(saved: Path) -> None:
    model = Generator.from_pretrained(saved).train()
    model(torch.randn(2, 16)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


# -- what cannot be loaded


def change_config(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


def test_missing_extra_and_misshapen_weights_are_named(saved: Path) -> None:
    file = saved / "model.safetensors"
    state = load_file(file)
    del state["network.layers.0.weight"]
    state["network.layers.1.weight"] = torch.zeros(5)
    save_file(state | {"stranger": torch.zeros(1)}, file)
    with pytest.raises(ModelError) as caught:
        Generator.from_pretrained(saved)
    for words in ("missing network.layers.0.weight", "unexpected stranger", "network.layers.1.weight is (5,)"):
        assert words in str(caught.value)


def test_loading_can_be_lenient_about_keys_but_not_shapes(saved: Path) -> None:
    file = saved / "model.safetensors"
    state = load_file(file)
    del state["network.layers.0.weight"]
    save_file(state, file)
    assert not any(p.is_meta for p in Generator.from_pretrained(saved, strict=False).parameters())
    change_config(saved, width=16)
    with pytest.raises(ModelError, match="do not fit"):
        Generator.from_pretrained(saved, strict=False)


def test_weights_cut_short_are_refused(saved: Path) -> None:
    file = saved / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ModelError, match="damaged or incomplete"):
        Generator.from_pretrained(saved)


@pytest.mark.parametrize("dtype", [torch.int8, torch.bool, torch.complex64, torch.float8_e4m3fn])
def test_weights_that_are_no_floats_are_refused(saved: Path, dtype: torch.dtype) -> None:
    state = load_file(saved / "model.safetensors")
    save_file({k: v.to(dtype) if v.is_floating_point() else v for k, v in state.items()}, saved / "model.safetensors")
    with pytest.raises(ModelError, match=str(dtype)):
        Generator.from_pretrained(saved)


@pytest.mark.parametrize("run", ["hello", {"dataset": 5}, {"facts": [1]}])
def test_a_nonsense_record_of_training_is_refused(saved: Path, run: object) -> None:
    change_config(saved, training_run=run)
    with pytest.raises(ConfigError, match="training_run"):
        Generator.from_pretrained(saved)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[" * 100_000, '{"a": ' + "9" * 5000 + "}", "[]", "{}", '"dcgan"', '{"architecture": 3}', "\x00\xff"],
)
def test_a_nonsense_config_is_refused(saved: Path, text: str) -> None:
    (saved / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"config\.json"):
        Generator.from_pretrained(saved)


@pytest.mark.parametrize(
    "changes",
    [{"architecture": "transformer"}, {"image_size": 33}, {"image_size": "32"}, {"width": -1}, {"widht": 3},
     {"width": 10**9}, {"latent_dim": None}],
)  # fmt: skip
def test_a_config_with_nonsense_values_is_refused(saved: Path, changes: dict[str, object]) -> None:
    change_config(saved, **changes)
    with pytest.raises(ConfigError, match=r"config\.json"):
        Generator.from_pretrained(saved)


def test_a_config_that_asks_for_too_much_is_refused_before_memory_is_taken(saved: Path) -> None:
    with pytest.raises(ConfigError, match="would take 43 GiB, more than 8 GiB"):
        Generator(image_size=512, width=512)
    change_config(saved, image_size=512, width=512)
    for strict in (True, False):
        with pytest.raises(ConfigError, match=r"config\.json: dcgan with .* would take"):
            Generator.from_pretrained(saved, strict=strict)


def test_measuring_a_network_leaves_the_random_state() -> None:
    models = []
    for _ in range(2):
        torch.manual_seed(0)
        models.append(Discriminator(width=8, norm="spectral"))
    torch.manual_seed(0)
    direct = DISCRIMINATORS["dcgan"](width=8, norm="spectral")
    assert equal(*models) and equal(models[0].network, direct)


def test_a_config_with_the_option_self_is_refused(saved: Path) -> None:
    change_config(saved, self=1)
    with pytest.raises(ConfigError, match="no option 'self'"):
        Generator.from_pretrained(saved)


def test_a_config_of_a_newer_hubgan_says_so(saved: Path) -> None:
    change_config(saved, _hubgan_version="99.1")
    Generator.from_pretrained(saved)  # as long as it can be read
    change_config(saved, latent_shape=3)
    with pytest.raises(ConfigError, match=r"no option 'latent_shape'.*written by hubgan 99\.1, but this is .*upgrade"):
        Generator.from_pretrained(saved)
    change_config(saved, architecture="biggan", _hubgan_version="?")
    with pytest.raises(ConfigError, match="unknown architecture 'biggan'"):
        Generator.from_pretrained(saved)


def test_a_class_derived_from_a_model_is_saved_and_loaded(tmp_path: Path) -> None:
    class Mine(Generator):
        pass

    Mine(**TINY).save_pretrained(tmp_path)
    assert type(Mine.from_pretrained(tmp_path)) is Mine
    assert type(Generator.from_pretrained(tmp_path)) is Generator


def test_the_dtype_can_be_asked_for(saved: Path) -> None:
    assert Generator.from_pretrained(saved, dtype=torch.float16).dtype == torch.float16
    assert Generator.from_pretrained(saved).dtype == torch.float32


def test_a_model_of_another_kind_says_which(saved: Path) -> None:
    with pytest.raises(ConfigError, match=r"Load it with Generator\.from_pretrained"):
        Upscaler.from_pretrained(saved)


def test_pickles_are_refused(saved: Path) -> None:
    torch.save({}, saved / "pytorch_model.bin")
    (saved / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="refuses them"):
        Generator.from_pretrained(saved)


@pytest.mark.slow
def test_a_compiled_network_is_saved_and_read_under_plain_names(tmp_path: Path) -> None:
    for model in (Generator(**TINY), Upscaler(width=4, depth=1)):
        state = {key: value.clone() for key, value in model.state_dict().items()}
        model.network = torch.compile(model.network)  # type: ignore[assignment]
        assert all("_orig_mod." in key for key in model.state_dict())
        model.save_pretrained(tmp_path)
        assert load_file(tmp_path / "model.safetensors").keys() == state.keys()
        save_file(model.state_dict(), tmp_path / "model.safetensors")  # as another program saves it
        again = type(model).from_pretrained(tmp_path)
        assert all(torch.equal(value, state[key]) for key, value in again.state_dict().items())


def test_a_full_disk_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ModelError, match=rf"^cannot save the model in {tmp_path}: No space left on device\. Free"):
        Upscaler(width=4, depth=1).save_pretrained(tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_address_is_no_model() -> None:
    for kind in (Generator, Upscaler):
        with pytest.raises(
            ModelError, match=r"https://huggingface\.co/a/b is a web address.*Pass its name on the Hub"
        ):
            kind.from_pretrained("https://huggingface.co/a/b")


def test_an_empty_folder_and_a_name_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no config\.json"):
        Generator.from_pretrained(tmp_path)
    (tmp_path / "quickstart").mkdir()
    with pytest.raises(ModelError, match=rf"quikstart does not exist\. Did you mean {tmp_path}/quickstart\?"):
        Generator.from_pretrained(tmp_path / "quikstart")
    (tmp_path / "quickstart" / "model.safetensors").touch()
    with pytest.raises(ModelError, match=rf"is a file, but this model is a folder\. Pass {tmp_path}/quickstart$"):
        Generator.from_pretrained(tmp_path / "quickstart" / "model.safetensors")
    with pytest.raises(ModelError, match=r"~/of/nobody does not exist\. Check the path"):
        Generator.from_pretrained("~/of/nobody")
    with pytest.raises(ModelError, match="neither a folder"):
        Generator.from_pretrained("x" * 300)


def test_a_path_that_cannot_be_written_loses_nothing(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ModelError, match="cannot save"):
        Generator(**TINY).save_pretrained(tmp_path / "file" / "model")
    assert (tmp_path / "file").read_text() == "mine"
    before = (saved / "model.safetensors").read_bytes()
    (saved / "config.json").unlink()
    (saved / "config.json").mkdir()
    (saved / "config.json" / "occupied").touch()
    with pytest.raises(ModelError, match="cannot save"):
        Generator(**TINY).save_pretrained(saved)
    assert (saved / "model.safetensors").read_bytes() == before


# -- sampling


@pytest.mark.parametrize("seed", ["7", 7.0, 2**64])
@pytest.mark.parametrize("labels", [(), ("cat", "dog")])
def test_a_seed_is_a_whole_number(seed: object, labels: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=f"seed must be a whole number of at most 64 bits, not {seed!r}"):
        Generator(image_size=8, width=4, labels=labels).sample(1, seed=seed)  # type: ignore[call-overload]


@pytest.mark.parametrize("threads", [1, 2])
def test_a_seed_gives_the_same_images_whatever_the_batch_size(threads: int) -> None:
    torch.set_num_threads(threads)
    try:
        generator = Generator()
        expected = generator.sample(19, seed=5, output_type="pt")
        for batch_size in (1, 3, 8, 19, 64):
            assert torch.equal(generator.sample(19, seed=5, batch_size=batch_size, output_type="pt"), expected)
        assert torch.equal(generator.sample(4, seed=5, output_type="pt"), expected[:4])
        assert not torch.equal(generator.sample(19, seed=6, output_type="pt"), expected)
    finally:
        torch.set_num_threads(1)


def test_the_first_images_of_a_larger_number_are_those_of_a_smaller_one() -> None:
    generator = Generator(width=4)
    many = generator.sample(33, seed=5, output_type="pt")
    for n in (1, 2, 3, 7, 16, 17):
        assert torch.equal(generator.sample(n, seed=5, output_type="pt"), many[:n])
        seeded = torch.Generator().manual_seed(5)
        assert torch.equal(generator(batch_size=n, generator=seeded, output_type="pt").images, many[:n])


def test_images_from_latents_are_the_same_in_parts() -> None:
    generator = Generator(width=4)
    latents = generator.latents(40, seed=1)
    parts = [generator.images_from(part, output_type="pt") for part in latents.split(16)]
    assert torch.equal(torch.cat(parts), generator.images_from(latents, output_type="pt"))
    for wrong in (latents[:, :5], latents[0], latents[:0]):
        with pytest.raises(ConfigError, match="latents must be"):
            generator.images_from(wrong)


def test_sampling_without_a_seed_differs_and_leaves_the_global_random_state() -> None:
    generator = Generator(**TINY)
    state = torch.get_rng_state()
    first, second = (generator.sample(1, output_type="pt") for _ in range(2))
    assert not torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_three_output_types_are_the_same_images() -> None:
    generator = Generator(**TINY)
    pil, array, tensor = (generator.sample(3, seed=1, output_type=kind) for kind in ("pil", "np", "pt"))
    assert array.shape == (3, 32, 32, 3)
    assert tensor.shape == (3, 3, 32, 32)
    assert tensor.min() >= 0 and tensor.max() <= 1
    np.testing.assert_array_equal(array, tensor.permute(0, 2, 3, 1).numpy())
    np.testing.assert_array_equal(np.stack(pil), np.rint(array * 255).astype(np.uint8))


def test_samples_can_be_judged_and_learned_from() -> None:
    Discriminator()(Generator().sample(8, seed=0, output_type="pt")).sum().backward()


def test_grey_images_and_training_mode() -> None:
    generator = Generator(channels=1, **TINY).train()
    assert generator.sample(1, seed=0)[0].mode == "L"
    assert generator.training


@pytest.mark.parametrize("options", [{"n": 4.0}, {"n": "4"}, {"n": 2, "batch_size": 16.0}])
def test_counts_are_whole_numbers(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"(n|batch_size) must be a whole number, not .* \((float|str)\)"):
        Generator(**TINY).sample(**options)


@pytest.mark.parametrize("batch_size", [0, 16.0])
def test_parts_hold_a_number_of_images(batch_size: float) -> None:
    generator = Generator(**TINY)
    with pytest.raises(ConfigError, match="batch_size must be"):
        next(generator.parts(generator.latents(1), batch_size=batch_size))


@pytest.mark.parametrize("options", [{"n": 0}, {"n": 1, "batch_size": 0}, {"n": 1, "output_type": "jpeg"}])
def test_samples_that_cannot_be_made(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        Generator(**TINY).sample(**options)


# -- upscaling


@pytest.fixture
def upscaler(request: pytest.FixtureRequest) -> Upscaler:
    model = Upscaler(width=8, depth=2, stride=getattr(request, "param", 1))
    for parameter in model.parameters():  # so that every layer takes part
        torch.nn.init.normal_(parameter, 0, 0.1)
    return model


@pytest.mark.parametrize("upscaler", [1, 2, 3], indirect=True)
@pytest.mark.parametrize(("width", "height"), [(70, 45), (33, 100), (5, 3), (1, 1)])
def test_tiles_equal_the_whole_picture(upscaler: Upscaler, width: int, height: int) -> None:
    image = noise(width, height)
    whole = np.asarray(upscaler.upscale(image, tile=0, bf16=False), dtype=int)
    tiled = np.asarray(upscaler.upscale(image, tile=16, bf16=False), dtype=int)
    assert whole.shape == (4 * height, 4 * width, 3)
    assert np.abs(whole - tiled).max() <= 1  # one grey level, where floats round the other way


@pytest.mark.parametrize(("scale", "size"), [(None, (48, 40)), (4, (48, 40)), (2.5, (30, 25)), (0.01, (1, 1))])
def test_any_smaller_scale(upscaler: Upscaler, scale: float | None, size: tuple[int, int]) -> None:
    image = noise(12, 10, "RGBA")
    image.info["exif"] = Image.Exif().tobytes()
    large = upscaler.upscale(image, scale=scale)
    assert (large.size, large.mode) == (size, "RGBA") and "exif" in large.info


@pytest.mark.parametrize("scale", [0, -1, 4.1, float("nan")])
def test_a_scale_that_the_model_has_not(upscaler: Upscaler, scale: float) -> None:
    with pytest.raises(ConfigError, match=r"this model enlarges 4 times\. Use a scale above 0 and at most 4"):
        upscaler.upscale(noise(12, 10), scale=scale)


def test_progress_is_told_and_may_end_the_work(upscaler: Upscaler) -> None:
    shares: list[float] = []
    upscaler.upscale(noise(30, 12), tile=8, progress=shares.append)
    assert shares[-1] == 1 and shares == sorted(shares) and len(shares) > 2

    def stop(share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upscaler.upscale(noise(30, 12), tile=8, progress=stop)
    assert upscaler.training  # as it was before


@pytest.mark.parametrize("fidelity", [0.0, 1.0])
@pytest.mark.parametrize("colour", ["white", "black", "#808080", "#c81e3c", "#14dcf0"])
def test_a_flat_colour_stays_what_it_is_to_the_edge(colour: str, fidelity: float) -> None:
    flat = Image.new("RGB", (24, 20), colour)
    large = Upscaler.from_pretrained(ROOT / "model_cards" / "photo-x4", fidelity=fidelity).upscale(flat)
    assert large.getcolors() == [(96 * 80, flat.getpixel((0, 0)))]


@pytest.mark.slow
@pytest.mark.skipif(not computes_in_bf16("cpu"), reason="a CPU without bfloat16 takes the plain way")
def test_the_fast_way_gives_the_same_picture() -> None:
    upscaler = Upscaler.from_pretrained(ROOT / "model_cards" / "photo-x4")
    image = Image.open(ROOT / "src" / "hubgan" / "demo" / "examples" / "cat.png").convert("RGB")
    plain, fast, tiled = (
        np.asarray(upscaler.upscale(image, **options), dtype=int) for options in ({"bf16": False}, {}, {"tile": 64})
    )
    assert np.abs(plain - fast).max() <= 3 and np.abs(plain - fast).mean() < 0.25
    assert np.abs(fast - tiled).max() <= 1


def test_a_path_an_array_and_a_tensor_give_the_same(upscaler: Upscaler, tmp_path: Path) -> None:
    image = noise(12, 10)
    image.save(tmp_path / "picture.png")
    expected = upscaler.upscale(image).tobytes()
    array = np.asarray(image)
    for source in (
        tmp_path / "picture.png",
        str(tmp_path / "picture.png"),
        array,
        torch.tensor(array).permute(2, 0, 1),
    ):
        assert upscaler.upscale(source).tobytes() == expected


def test_transparency_and_profile_are_kept(upscaler: Upscaler) -> None:
    from PIL import ImageCms

    image = noise(12, 10, "RGBA")
    image.info["icc_profile"] = profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    large = upscaler.upscale(image)
    assert (large.mode, large.size, large.info["icc_profile"]) == ("RGBA", (48, 40), profile)


def test_a_cut_out_keeps_its_edge() -> None:
    truth, mask = cut_out()
    image = noise(*mask.size)
    image.putalpha(mask)
    found = Upscaler.from_pretrained(ROOT / "model_cards" / "photo-x4").upscale(image).getchannel("A")
    bicubic = mask.resize(truth.size, Image.Resampling.BICUBIC)
    error, usual = (np.abs(np.asarray(plane, int) - np.asarray(truth, int)).mean() for plane in (found, bicubic))
    assert error < usual / 3


def test_alpha_takes_a_second_pass_only_where_it_has_levels_between(cleaner: Upscaler) -> None:
    seen: list[tuple[tuple[int, ...], float]] = []
    cleaner.network.register_forward_hook(lambda module, args, output: seen.append((args[0].shape, float(args[1]))))
    image = noise(40, 20)
    image.putalpha(128)
    assert cleaner.upscale(image, strength=0.7).getchannel("A").getcolors() == [(160 * 80, 128)]
    assert len(seen) == 1
    image.putpixel((3, 3), (0, 0, 0, 255))
    image.putalpha(image.getchannel("A").point([0] * 255 + [255]))  # a single opaque pixel
    cleaner.upscale(image, strength=0.7)
    assert len(seen) == 2
    image.putpixel((3, 3), (0, 0, 0, 200))
    shares: list[float] = []
    seen.clear()
    cleaner.upscale(image, strength=0.7, tile=20, progress=shares.append)
    assert [strength for _, strength in seen] == pytest.approx([0.7, 0.7, 0.0])  # not where all is transparent
    assert shares == [0.25, 0.5, 0.75, 1]


@pytest.mark.parametrize(("mode", "wanted"), [("L", "L"), ("LA", "LA"), ("1", "L"), ("RGB", "RGB"), ("RGBA", "RGBA")])
def test_grey_stays_grey_and_coloured_coloured(upscaler: Upscaler, mode: str, wanted: str) -> None:
    assert upscaler.upscale(noise(12, 10, "RGBA").convert(mode)).mode == wanted


@pytest.mark.parametrize("channels", [1, 3])
def test_16_bits_stay_16_bits(channels: int) -> None:
    torch.manual_seed(0)
    model = Upscaler(scale=2, channels=channels, width=8, depth=1)
    values = np.linspace(0, 65535, 20 * 30).reshape(20, 30).astype(np.uint16)
    image = Image.fromarray(values)
    image.info["icc_profile"] = b"none"
    large = model.upscale(image)
    assert (large.mode, large.size) == ("I;16", (60, 40)) and "icc_profile" not in large.info
    assert len(np.unique(np.asarray(large))) > 500
    small = model.upscale(Image.fromarray(np.rint(values / 257).astype(np.uint8)), bf16=False)
    assert np.abs(np.asarray(large) / 257 - np.asarray(small)).max() <= 3  # the weights are wild
    assert np.abs(np.asarray(large).astype(int) - np.asarray(model.upscale(values, tile=8))).max() <= 1
    assert (half := model.upscale(image, scale=1)).mode == "I;16" and half.size == image.size
    assert np.abs(model(image=image, output_type="np").images[0, ..., 0] - np.asarray(large) / 65535).max() < 1e-6


def two_stages(folder: Path) -> list[dict[str, torch.Tensor]]:
    """A model of both kinds of weights, which are returned: those of the adversarial part, then of the pixel part."""
    models = [Upscaler(width=8, depth=1) for _ in range(2)]
    models[0].save_pretrained(folder)
    save_file(models[1].state_dict(), folder / "pixel.safetensors")
    return [model.state_dict() for model in models]


def test_fidelity_mixes_the_weights_of_both_parts_of_the_training(tmp_path: Path) -> None:
    adversarial, pixel = two_stages(tmp_path)
    for fidelity in (0.0, 0.25, 1.0):
        found = Upscaler.from_pretrained(tmp_path, fidelity=fidelity).state_dict()
        for key, value in found.items():
            torch.testing.assert_close(value, (1 - fidelity) * adversarial[key] + fidelity * pixel[key])
    half = Upscaler.from_pretrained(tmp_path, fidelity=0.5, dtype=torch.bfloat16)
    assert half.dtype == torch.bfloat16


def test_fidelity_that_cannot_be_had_is_an_error(tmp_path: Path) -> None:
    Upscaler(width=8, depth=1).save_pretrained(tmp_path)
    with pytest.raises(
        ModelError, match=r"has no pixel\.safetensors, so there are no weights to mix\. Leave out fidelity"
    ):
        Upscaler.from_pretrained(tmp_path, fidelity=0.5)
    with pytest.raises(ConfigError, match=r"fidelity is 1\.5\. Use a value from 0"):
        Upscaler.from_pretrained(tmp_path, fidelity=1.5)
    save_file(Upscaler(width=4, depth=1).state_dict(), tmp_path / "pixel.safetensors")
    with pytest.raises(ModelError, match=r"pixel\.safetensors do not fit"):
        Upscaler.from_pretrained(tmp_path, fidelity=0.5)


def test_the_fidelity_of_a_call(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    two_stages(tmp_path)
    model, picture = Upscaler.from_pretrained(tmp_path), noise(20, 14)
    for fidelity in (1.0, 0.3, 0.0, 0.3):
        wanted = Upscaler.from_pretrained(tmp_path, fidelity=fidelity).upscale(picture)
        assert model.upscale(picture, fidelity=fidelity).tobytes() == wanted.tobytes()
    assert len(model.state_dict()) == len(Upscaler(width=8, depth=1).state_dict())  # the other weights are not its own
    with pytest.raises(ConfigError, match=r"fidelity is 2"):
        model.upscale(picture, fidelity=2)
    with pytest.raises(ConfigError, match=r"was not loaded by from_pretrained.*Leave out fidelity"):
        Upscaler(width=8, depth=1).upscale(picture, fidelity=1)


@pytest.fixture
def cleaner() -> Upscaler:
    """An upscaler whose strength makes a difference."""
    model = Upscaler(width=8, depth=2, strength=True).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model


def test_a_strength_begins_without_effect() -> None:
    torch.manual_seed(0)
    plain = Upscaler(width=8, depth=2)
    model = Upscaler(width=8, depth=2, strength=True)
    model.load_state_dict(model.state_dict() | plain.state_dict())
    images = torch.rand(2, 3, 12, 10)
    for strength in (torch.zeros(2), torch.ones(2)):
        torch.testing.assert_close(model(images, strength), plain(images))
    with pytest.raises(ValueError, match="takes no strength"):
        plain(images, torch.zeros(2))


def test_a_strength_for_each_image_with_and_without_gradients(cleaner: Upscaler) -> None:
    """Fused convolutions, which take one strength at a time, and plain ones compute the same."""
    images, strengths = torch.rand(3, 3, 12, 10), torch.tensor([0.0, 0.4, 1.0])
    with torch.no_grad():
        alone = [cleaner(images[i : i + 1], strengths[i : i + 1]) for i in range(3)]
        together = cleaner(images, strengths)
    torch.testing.assert_close(torch.cat(alone), together, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(cleaner(images, strengths), together, rtol=1e-4, atol=1e-4)
    assert not torch.equal(cleaner(images, strengths[:1]), cleaner(images, strengths[2:]))


def test_the_strength_of_a_call(cleaner: Upscaler) -> None:
    picture = noise(60, 50)
    chosen = cleaner.estimate_strength(picture)
    assert 0 < chosen < 1
    by_itself = cleaner.upscale(picture, bf16=False)
    assert by_itself.tobytes() == cleaner.upscale(picture, strength=chosen, bf16=False).tobytes()
    assert by_itself.tobytes() != cleaner.upscale(picture, strength=min(chosen + 0.5, 1), bf16=False).tobytes()


def test_a_jpeg_is_cleaned_as_its_quality_asks_or_as_it_looks(cleaner: Upscaler, tmp_path: Path) -> None:
    bias = cleaner.network.estimator.judge[-1].bias
    noise(60, 50).save(tmp_path / "again.jpg", quality=96)
    torch.nn.init.constant_(bias, 20)
    assert cleaner.estimate_strength(tmp_path / "again.jpg") == pytest.approx(1, abs=0.01)
    noise(60, 50).save(tmp_path / "plain.png")
    for seen, strength in ((0.08, 0.0), (0.5, 0.5)):  # what it hardly sees is left alone
        torch.nn.init.zeros_(cleaner.network.estimator.judge[-1].weight)
        torch.nn.init.constant_(bias, math.log(seen / (1 - seen)))
        assert cleaner.estimate_strength(tmp_path / "plain.png") == pytest.approx(strength, abs=0.01)
    torch.nn.init.constant_(bias, -20)  # it sees nothing
    for quality, strength in ((25, 1.0), (50, 2**-0.5), (90, 0.1**0.5)):
        noise(60, 50).save(tmp_path / "photo.jpg", quality=quality)
        assert cleaner.estimate_strength(tmp_path / "photo.jpg") == pytest.approx(strength, abs=0.01)
        opened = Image.open(tmp_path / "photo.jpg")
        assert cleaner.upscale(opened).tobytes() == cleaner.upscale(tmp_path / "photo.jpg").tobytes()


@pytest.mark.parametrize("strength", [-0.1, 1.5, float("nan"), "strong"])
def test_strengths_that_cannot_be(cleaner: Upscaler, strength: object) -> None:
    with pytest.raises(ConfigError, match="Use a value from 0"):
        cleaner.upscale(noise(4, 4), strength=strength)
    plain = Upscaler(width=4, depth=1)
    with pytest.raises(ConfigError, match=r"this model has no strength\. Leave out strength"):
        plain.upscale(noise(4, 4), strength=0.5)
    with pytest.raises(ConfigError, match="this model has no strength"):
        plain.estimate_strength(noise(4, 4))


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (2000, 900)])
def test_pictures_of_any_size_are_judged(cleaner: Upscaler, size: tuple[int, int]) -> None:
    assert 0 <= cleaner.estimate_strength(noise(*size)) <= 1


def test_grey_upscaler() -> None:
    large = Upscaler(channels=1, width=8, depth=1).upscale(noise(12, 10))
    assert (large.mode, large.size) == ("L", (48, 40))


def test_pictures_that_cannot_be_upscaled(upscaler: Upscaler, tmp_path: Path) -> None:
    (tmp_path / "note.png").write_text("not a picture")
    for source in (tmp_path / "note.png", tmp_path / "missing.png", tmp_path, np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(ImageError):
            upscaler.upscale(source)
    with pytest.raises(HubganError, match="tile"):
        upscaler.upscale(noise(4, 4), tile=-1)
