"""Models for other runtimes: what ONNX files compute, what they say of themselves, and what cannot be exported."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from helpers.command_line import Run
from hubgan import Discriminator, Generator, Translator, Upscaler
from hubgan.errors import ConfigError
from hubgan.export.onnx import export_onnx
from hubgan.networks.community import CommunityNetwork

onnx = pytest.importorskip("onnx", reason="pip install 'hubgan[onnx]'")
onnxruntime = pytest.importorskip("onnxruntime", reason="pip install 'hubgan[onnx]'")
pytestmark = pytest.mark.xdist_group("onnx")  # the first export of a process takes seconds longer


def run_file(file: Path, **inputs: torch.Tensor) -> torch.Tensor:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (result,) = session.run(None, {name: value.numpy() for name, value in inputs.items()})
    return torch.from_numpy(result)


def trained(model: Any) -> Any:
    """With weights and statistics that are none of those a model begins with."""
    torch.manual_seed(0)
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            value.copy_(
                value + 0.05 * torch.rand_like(value) if "running" not in name else 0.5 + torch.rand_like(value)
            )
    return model


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"image_size": 16, "width": 4},
        {"image_size": 16, "width": 4, "channels": 1, "norm": "none"},
        {"image_size": 8, "width": 4, "labels": ["cat", "dog"]},
        {"architecture": "sngan", "image_size": 16, "width": 4, "labels": ["cat", "dog"]},
        {"architecture": "r3gan", "image_size": 16, "width": 16, "depth": 1, "labels": ["cat", "dog"]},
    ],
)
def test_a_generator_makes_the_same_images(tmp_path: Path, options: dict[str, Any]) -> None:
    model = trained(Generator(**options)).train()
    file = export_onnx(model, tmp_path / "new" / "model.onnx")
    assert model.training and [path.name for path in file.parent.iterdir()] == ["model.onnx"]
    for count in (1, 5):
        inputs = {"latents": model.latents(count, seed=3)}
        labels = model.label_ids(count, seed=3)
        expected = model.images_from(inputs["latents"], labels, output_type="pt")
        made = run_file(file, **inputs, **({} if labels is None else {"labels": labels}))
        torch.testing.assert_close(made, expected, atol=1e-4, rtol=0)


def assert_same_enlargements(model: Upscaler, file: Path) -> None:
    for size in ((1, model.channels, 24, 32), (3, model.channels, 2, 41)):
        inputs = {"images": torch.rand(size)}
        if model.has_strength:
            inputs["strength"] = torch.linspace(0, 1, 3)[-size[0] :]
        with torch.no_grad():
            expected = model.forward(*inputs.values()).clamp(0, 1)
        torch.testing.assert_close(run_file(file, **inputs), expected, atol=1e-4, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"scale": 1},
        {"scale": 2, "channels": 1, "strength": True},  # an input of its own
        {"scale": 3, "stride": 2},
    ],
)
def test_an_upscaler_enlarges_the_same_way(tmp_path: Path, options: dict[str, Any]) -> None:
    model = trained(Upscaler(width=4, depth=1, **options)).eval()
    if model.has_strength:
        torch.nn.init.normal_(model.network.control.weight)
    assert_same_enlargements(model, export_onnx(model, tmp_path / "model.onnx"))


@pytest.mark.slow
def test_the_file_says_what_it_is_and_half_precision_becomes_float32(tmp_path: Path) -> None:
    model = trained(Upscaler(scale=4, width=4, depth=1)).half()
    file = export_onnx(model, tmp_path / "model.onnx", opset=20)
    assert model.dtype == torch.float16
    assert_same_enlargements(model.float().eval(), file)
    graph = onnx.load(file)
    onnx.checker.check_model(graph)
    about = json.loads({entry.key: entry.value for entry in graph.metadata_props}["hubgan"])
    assert (about["class"], about["scale"], about["depth"]) == ("Upscaler", 4, 1)
    assert {entry.domain: entry.version for entry in graph.opset_import}[""] == 20
    sizes = [[d.dim_param or d.dim_value for d in x.type.tensor_type.shape.dim] for x in graph.graph.input]
    assert sizes == [["batch", 3, "height", "width"]]


def test_what_cannot_be_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Upscaler(scale=2, width=4, depth=1)
    file = tmp_path / "model.onnx"
    with pytest.raises(ConfigError, match="opset is 7"):
        export_onnx(model, file, opset=7)
    foreign = Upscaler(scale=2, width=4, depth=1)
    foreign.network.__class__ = type("Foreign", (CommunityNetwork,), {})
    with pytest.raises(ConfigError, match="made elsewhere"):
        export_onnx(foreign, file)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match=r"onnxruntime is missing\. Run: pip install 'hubgan\[onnx\]'"):
        export_onnx(model, file)
    assert not file.exists()


@pytest.mark.slow
def test_the_command(hubgan: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Upscaler(scale=2, width=4, depth=1).save_pretrained("up")
    Generator(image_size=8, width=4, labels=["cat", "dog"]).save_pretrained("gen")
    Discriminator(image_size=8, width=4).save_pretrained("judge")
    status, said, _ = hubgan("export", "up")
    assert status == 0 and said.startswith("up.onnx: ") and "to large, 2 times as large" in said
    images = torch.rand(1, 3, 9, 12)
    with torch.no_grad():
        expected = Upscaler.from_pretrained("up")(images).clamp(0, 1)
    np.testing.assert_allclose(run_file(Path("up.onnx"), images=images), expected, atol=1e-4)

    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "gen.onnx").touch()
    status, said, _ = hubgan("export", "gen", "-o", "models/gen.onnx", "--overwrite")
    assert status == 0 and "latents (batch, 100) and labels (batch) to images (batch, 3, 8, 8)" in said
    for argv, complaint in {
        ("export", "up"): "up.onnx already exists",
        ("export", "judge"): "holds a Discriminator",
        ("export", "gen", "--fidelity", "1"): "which does not use --fidelity. Remove --fidelity",
        ("export", "up", "-o", "x.onnx", "--fidelity", "1"): "pixel.safetensors",
    }.items():
        status, _, complained = hubgan(*argv)
        assert status == 2 and complaint in complained


def assert_same_pictures(model: Translator, file: Path, *sizes: tuple[int, int, int]) -> None:
    for n, height, width in sizes:
        inputs = {"images": torch.rand(n, 1, height, width)}
        inputs |= {"latents": model.latents(n, seed=1)} if model.latent_dim else {}
        with torch.inference_mode():
            wanted = model(**inputs).clamp(0, 1)
        torch.testing.assert_close(run_file(file, **inputs), wanted, rtol=0, atol=1e-3)


@pytest.mark.slow
def test_a_translator_makes_the_same_pictures_of_any_size(tmp_path: Path) -> None:
    model = trained(Translator(width=8, depth=1, input="edges", latent_dim=4))
    assert_same_pictures(model, export_onnx(model, tmp_path / "model.onnx"), (1, 32, 48), (3, 64, 16))


@pytest.mark.slow
def test_the_command_takes_a_translator(hubgan: Run, tmp_path: Path) -> None:
    model = trained(Translator("resnet", width=8, depth=1, input_channels=1))
    model.save_pretrained(tmp_path / "run" / "backward")
    status, said, _ = hubgan("export", "run", "--subfolder", "backward")
    assert status == 0 and said.startswith("backward.onnx: ") and "multiples of 8" in said
    assert "images (batch, 1, height, width) to translated (batch, 3, height, width)" in said
    assert_same_pictures(model, tmp_path / "backward.onnx", (1, 32, 48), (3, 64, 16), (1, 8, 16))
