"""Numbers that are NaN or infinite become an error or a computation in float32, and never a black picture."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, current_thread, main_thread

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from spandrel.architectures.Compact import Compact
from torch import nn

from helpers.clips import clip
from helpers.command_line import Run
from helpers.common import SAMPLE
from helpers.pictures import noise, picture_file, same
from hubgan import Generator, Translator, Upscaler
from hubgan.errors import ModelError
from hubgan.export.onnx import export_onnx
from hubgan.models import HubModel


@torch.no_grad()
def broken(model: HubModel, value: float = float("nan")) -> HubModel:
    next(model.parameters()).view(-1)[0] = value
    return model


@torch.no_grad()
def overflowing(network: nn.Module) -> nn.Module:
    """A network whose first layer gives more than float16 holds."""
    next(network.parameters()).mul_(6e4 / next(network.parameters()).abs().max())
    return network


@pytest.fixture
def half(tmp_path: Path) -> Path:
    """Float16 weights made elsewhere, whose layers give more than float16 holds."""
    network = overflowing(Compact(num_feat=8, num_conv=1, upscale=2))
    save_file({key: value.half() for key, value in network.state_dict().items()}, tmp_path / "half.safetensors")
    return tmp_path / "half.safetensors"


def test_float32_takes_over_where_float16_overflows(half: Path, caplog: pytest.LogCaptureFixture) -> None:
    model, picture = Upscaler.from_pretrained(half), noise(20, 12, "RGBA")
    assert model.dtype == torch.float16
    wanted = Upscaler.from_pretrained(half, dtype=torch.float32).upscale(picture, tile=8)
    for _ in range(2):
        assert model.upscale(picture, tile=8).tobytes() == wanted.tobytes()
    assert [record.message for record in caplog.records] == [
        f"{half} overflows in half precision, so it now computes in float32"
    ]


def test_a_thread_keeps_its_network_while_another_one_overflows(half: Path) -> None:
    model, black, picture = Upscaler.from_pretrained(half), Image.new("RGB", (8, 8)), noise(8, 8)
    wanted, exact = model.upscale(black), Upscaler.from_pretrained(half, dtype=torch.float32).upscale(picture)
    begun, replaced = Event(), Event()

    def wait(*_: object) -> None:
        if current_thread() is not main_thread():
            begun.set()
            replaced.wait(20)

    next(layer for layer in model.network.modules() if isinstance(layer, nn.Conv2d)).register_forward_pre_hook(wait)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(model.upscale, black)
        assert begun.wait(20) and model.dtype == torch.float16
        assert same(model.upscale(picture), exact) and model.dtype == torch.float32
        replaced.set()
        assert same(other.result(), wanted)


def test_the_command_enlarges_pictures_in_float32(half: Path, hubgan: Run, tmp_path: Path) -> None:
    pictures = [picture_file(tmp_path / "in" / name) for name in ("a.png", "b.png")]
    assert hubgan("upscale", half, "in", "-o", "out")[0] == 0
    model = Upscaler.from_pretrained(half, dtype=torch.float32)
    assert all(same(tmp_path / "out" / path.name, model.upscale(path)) for path in pictures)


def test_float32_takes_over_where_bfloat16_overflows(caplog: pytest.LogCaptureFixture) -> None:
    model = Upscaler(scale=2, width=4, depth=1)
    with torch.no_grad():
        model.network.head.weight[0], model.network.head.bias[0] = 0, 0
        model.network.blocks[-1].weight[:, 0] = 3.4e38  # times 0; rounded to bfloat16 it is infinite
    wanted = model.upscale(noise(8, 8), bf16=False)
    assert not caplog.records
    assert model.upscale(noise(8, 8), bf16=True).tobytes() == wanted.tobytes()
    assert caplog.text.count("overflows in half precision") == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_broken_weights_are_an_error_that_names_the_model(value: float, tmp_path: Path) -> None:
    words = r"weights of .*mine hold NaN or infinity.*earlier checkpoint"
    for model in (Upscaler(scale=2, width=4, depth=1), Generator(width=4)):
        broken(model, value).save_pretrained(tmp_path / "mine")
        loaded = type(model).from_pretrained(tmp_path / "mine")
        with pytest.raises(ModelError, match=words):
            loaded.upscale(noise(8, 8)) if isinstance(loaded, Upscaler) else loaded.sample(2, output_type="pt")
        with pytest.raises(ModelError, match=words):
            export_onnx(loaded, tmp_path / "mine.onnx")
    with pytest.raises(ModelError, match="weights of this Generator hold NaN"):
        broken(Generator(width=4))(batch_size=1)


def test_an_overflow_of_sound_weights_says_what_helps(tmp_path: Path) -> None:
    network = Compact(num_feat=8, num_conv=1, upscale=2)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=1e30)
    save_file(network.state_dict(), tmp_path / "huge.safetensors")
    with pytest.raises(ModelError, match=r"huge\.safetensors computes NaN or infinity in float32.*Use other weights"):
        Upscaler.from_pretrained(tmp_path / "huge.safetensors").upscale(noise(8, 8))

    generator = Generator(width=4, norm="none")
    for parameter in generator.parameters():
        nn.init.normal_(parameter, std=1e4)
    generator.half().save_pretrained(tmp_path / "g")
    with pytest.raises(ModelError, match=r"g computes NaN or infinity in float16.*Load it with dtype=torch\.float32"):
        Generator.from_pretrained(tmp_path / "g").sample(seed=0)


@pytest.mark.parametrize(
    "words",
    [
        ["sample", "g", "-o", "new/images"],
        ["walk", "g", "--frames", "2", "-o", "new/walk.mp4"],
        ["synthesize", "g", "-n", "2", "-o", "new/fakes"],
        pytest.param(["evaluate", "g", "--dataset", SAMPLE, "--split", "train[:12]"], marks=pytest.mark.slow),
        ["evaluate", "u", "--dataset", "in"],
        ["upscale", "u", "in/a.png", "-o", "new"],
        ["upscale", "u", "scan.tif", "-o", "new/scan.tif"],
        ["upscale", "u", "clip.mp4", "-o", "new/clip.mp4"],
        ["translate", "t", "in/a.png", "-o", "new"],
        ["export", "g", "-o", "new/g.onnx"],
    ],
)
def test_the_commands_refuse_a_broken_model(words: list[str], hubgan: Run, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    noise(32, 32).save(tmp_path / "in" / "a.png")
    noise(8, 8).save(tmp_path / "scan.tif", save_all=True, append_images=[noise(8, 8)])
    clip(tmp_path / "clip.mp4", times=[0, 1000, 2000], sound=None)
    models = {"g": Generator(width=4), "u": Upscaler(scale=2, width=4, depth=1), "t": Translator(width=8)}
    broken(models[words[1]]).save_pretrained(tmp_path / words[1])
    before = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}
    status, said, complained = hubgan(*words, *([] if words[0] == "export" else ["--device", "cpu"]))
    assert (status, said) == (2, "")
    assert f"hubgan {words[0]}: error: the weights of {words[1]} hold NaN or infinity" in complained
    assert before == {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}  # nor a card
