"""Models for other runtimes: ONNX."""

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hubgan.errors import ConfigError, ModelError
from hubgan.files import beside
from hubgan.models import Generator, Upscaler
from hubgan.version import __version__

OPSET = 18
_MOST_DIFFERENCE = 2e-3  # half a grey level of 8 bits


class _Images(nn.Module):
    """Latents, and labels where there are classes, to images in [0, 1]."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.network = generator

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.network.forward(latents, labels).add(1).div(2).clamp(0, 1)


class _Large(nn.Module):
    """Images to larger ones, in [0, 1]."""

    def __init__(self, upscaler: Upscaler) -> None:
        super().__init__()
        self.network = upscaler

    def forward(self, images: Tensor) -> Tensor:
        return self.network.forward(images).clamp(0, 1)


def export_onnx(model: Generator | Upscaler, file: str | Path, *, opset: int = OPSET) -> Path:
    """Write a model as ONNX (https://onnx.ai), and check by onnxruntime that it computes the same.

    A generator takes `latents` (batch, latent_dim) from a standard normal and, where it has classes, `labels`, their
    numbers (int64, batch), and gives `images` (batch, channels, size, size). An upscaler takes `images` (batch,
    channels, height, width) and gives `large` (batch, channels, height x scale, width x scale). Images are float32 in
    [0, 1]. batch, height and width are free, the latter from 8 on. The file's metadata hold the model's configuration,
    as `hubgan`.

    Tiles, transparency, profiles and the like are a matter of `Upscaler.upscale`, not of the network.

    Args:
        model: in float32; it stays as it is.
        file: written beside and renamed into place.
        opset: the version of ONNX's operators, 18 to 23.

    Raises:
        ConfigError: onnx, onnxscript or onnxruntime is missing, or there is no such opset.
        ModelError: the network cannot be exported, the file cannot be written, or what it computes is not the same.
    """
    if not 18 <= opset <= 23:
        raise ConfigError(f"opset is {opset}: take one from 18 to 23")
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401, by PyTorch's exporter
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        raise ConfigError(f"the package {package} is missing: pip install 'hubgan[onnx]'") from error
    device, was_training, dtype = model.device, model.training, model.dtype
    if dtype != torch.float32:
        raise ConfigError(f"the weights are {dtype}: load them with dtype=torch.float32")
    network, inputs, sizes = _network(model.cpu())
    network.eval()
    result, file = ("images" if isinstance(model, Generator) else "large"), Path(file)
    try:
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "# The axis name")  # PyTorch's: two inputs share the batch
            program = torch.onnx.export(
                network,
                tuple(inputs.values()),
                input_names=list(inputs),
                output_names=[result],
                dynamic_shapes=sizes,
                opset_version=opset,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
            assert program is not None
            graph = program.model_proto
            about = {"hubgan": __version__, "class": model._kind(), **model.config}
            onnx.helper.set_model_props(graph, {"hubgan": json.dumps(about)})
            session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
            difference = _difference(network, session, inputs)
        if not difference <= _MOST_DIFFERENCE:
            raise ModelError(f"onnxruntime computes something else: images differ by up to {difference:.2g}")
        file.parent.mkdir(parents=True, exist_ok=True)
        with beside(file) as unfinished:
            onnx.save(graph, unfinished)
    except (torch.onnx.errors.OnnxExporterError, OSError) as error:
        raise ModelError(f"{file} cannot be written: {error}") from error
    finally:
        model.to(device).train(was_training)
    return file


def _network(model: Generator | Upscaler) -> tuple[nn.Module, dict[str, Tensor], Any]:
    """What is exported, inputs to try it with, and which of their sizes are free."""
    batch = torch.export.Dim("batch")
    if isinstance(model, Upscaler):
        height, width = (torch.export.Dim(name, min=8) for name in ("height", "width"))
        return _Large(model), {"images": torch.rand(2, model.channels, 24, 32)}, ({0: batch, 2: height, 3: width},)
    inputs = {"latents": model.latents(2, seed=0)}
    sizes: list[Any] = [{0: batch}]
    if (labels := model.label_numbers(2, seed=0)) is not None:
        inputs["labels"] = labels
        sizes.append({0: batch})
    return _Images(model), inputs, tuple(sizes)


def _difference(network: nn.Module, session: Any, inputs: dict[str, Tensor]) -> float:
    """How far the two are apart at most, for those inputs and for one image alone."""
    worst = 0.0
    for count in (len(next(iter(inputs.values()))), 1):
        given = {name: value[:count] for name, value in inputs.items()}
        expected = network(*given.values())
        (found,) = session.run(None, {name: value.numpy() for name, value in given.items()})
        worst = max(worst, (torch.from_numpy(found) - expected).abs().max().item())
    return worst
