"""Models exported as ONNX, for runtimes without PyTorch."""

import copy
import json
import warnings
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from hubgan.errors import ConfigError, ModelError
from hubgan.models import Generator, Translator, Upscaler
from hubgan.models.finite import check_weights
from hubgan.networks.community import CommunityNetwork
from hubgan.networks.edsr import SMALLEST_ESTIMATED
from hubgan.runtime.files import atomic_write, new_folder, remedy_of
from hubgan.version import __version__

Model = TypeVar("Model", bound=Generator | Translator | Upscaler)

OPSET = 18
_RESULTS = {"Generator": "images", "Translator": "translated", "Upscaler": "large"}
_MOST_DIFFERENCE = 2e-3  # half a grey level of 8 bits


class _Images(nn.Module):
    """Latents, and labels if there are classes, to images in [0, 1]."""

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

    def forward(self, images: Tensor, strength: Tensor | None = None) -> Tensor:
        large: Tensor = self.network.forward(images, *(() if strength is None else (strength,)))
        return large.clamp(0, 1)


class _Translated(nn.Module):
    """Images, and latents if there are any, to other images, in [0, 1]."""

    def __init__(self, translator: Translator) -> None:
        super().__init__()
        self.network = translator

    def forward(self, images: Tensor, latents: Tensor | None = None) -> Tensor:
        return self.network.forward(images, latents).clamp(0, 1)


def export_onnx(model: Generator | Translator | Upscaler, file: str | Path, *, opset: int = OPSET) -> Path:
    """Write a model as ONNX (https://onnx.ai), and check with onnxruntime that it computes the same images.

    A generator takes `latents` (batch, latent_dim) from a standard normal and, if it has classes, `labels` (batch,),
    int64; it gives `images` (batch, channels, size, size). An upscaler takes `images` (batch, channels, height, width)
    and, if it has a strength, `strength` (batch,) from 0 to 1; it gives `large` (batch, channels, height x scale,
    width x scale). A translator takes `images` (batch, input_channels, height, width) and, if it has
    any, `latents` (batch, latent_dim); it gives `translated`, as large. Its sides are multiples of its network's grid,
    16 for `unet` and 8 for `resnet`. Images are float32 in [0, 1]. The batch size is free, and so are height and width
    from 2 pixels on.
    The file's metadata hold the model's configuration under the key `hubgan`.

    The file holds only the network: `Upscaler.upscale` does tiling, transparency, colour profiles and the like.

    Args:
        model: the model, which is not changed; its weights are exported in float32.
        file: the file to write; it is written under another name first, and renamed when it is whole.
        opset: the version of ONNX's operators, 18 to 21.

    Raises:
        ConfigError: onnx, onnxscript or onnxruntime is missing, there is no such opset, or the network was made
            elsewhere.
        ModelError: the weights hold NaN or infinity, the network cannot be exported, the file cannot be written, or it
            computes other images.
    """
    network, inputs, others, sizes = _network(_checked(model, opset))
    about = {"hubgan": __version__, "class": model._kind(), **model.config}
    return _write(network, (inputs, others), sizes, _RESULTS[model._kind()], about, Path(file), opset)


def export_estimator(model: Upscaler, file: str | Path, *, opset: int = OPSET) -> Path:
    """Write the network that estimates an upscaler's strength as ONNX, checked as `export_onnx` does.

    It takes `images` (batch, channels, height, width), float32 in [0, 1] with sides from 16 pixels on, and gives
    `strength` (batch,).

    Args:
        model: an upscaler that has a strength.
        file: the file to write.
        opset: the version of ONNX's operators, 18 to 21.

    Raises:
        ConfigError, ModelError: as `export_onnx`.
    """
    network = cast(nn.Module, _checked(model, opset).network.estimator)
    given, others = ({"images": torch.rand(n, model.channels, *size)} for n, size in ((2, (24, 32)), (1, (16, 41))))
    height, width = (torch.export.Dim(name, min=SMALLEST_ESTIMATED) for name in ("height", "width"))
    sizes = ({0: torch.export.Dim("batch"), 2: height, 3: width},)
    return _write(network, (given, others), sizes, "strength", {"hubgan": __version__}, Path(file), opset)


def _checked(model: Model, opset: int) -> Model:
    """A copy of the model in float32 on the CPU, once it is known that it can be exported.

    Raises:
        ConfigError, ModelError: as `export_onnx`.
    """
    if not 18 <= opset <= 21:
        raise ConfigError(f"opset is {opset}", "Use an opset from 18 to 21")
    if isinstance(model.network, CommunityNetwork):
        raise ConfigError(
            "hubgan does not export a network that was made elsewhere",
            "Use the export tools of the project that made it",
        )
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401, by PyTorch's exporter
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        raise ConfigError(f"the package {package} is missing", "Run: pip install 'hubgan[onnx]'") from error
    check_weights(model)
    return cast(Model, copy.deepcopy(model).cpu().float())


def _write(
    network: nn.Module,
    tried: tuple[dict[str, Tensor], dict[str, Tensor]],
    sizes: Any,
    result: str,
    about: dict[str, Any],
    file: Path,
    opset: int,
) -> Path:
    """Export a module, compare its results for two sets of inputs of different sizes, and write the file."""
    import onnx
    import onnxruntime

    inputs = tried[0]
    try:
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "# The axis name")  # PyTorch's: two inputs share the batch
            program: Any = torch.onnx.export(
                network.eval(),
                tuple(inputs.values()),
                input_names=list(inputs),
                output_names=[result],
                dynamic_shapes=sizes,
                opset_version=opset,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
            graph = program.model_proto
            onnx.helper.set_model_props(graph, {"hubgan": json.dumps(about)})
            session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
            difference = max(_difference(network, session, given) for given in tried)
    except torch.onnx.errors.OnnxExporterError as error:
        raise ModelError(f"this network cannot be exported: {error}") from error
    if not difference <= _MOST_DIFFERENCE:
        raise ModelError(f"onnxruntime and PyTorch compute different images, by up to {difference:.2g}")
    try:
        with new_folder(file.parent), atomic_write(file) as unfinished:
            onnx.save(graph, unfinished)
    except OSError as error:
        raise ModelError(f"{file} cannot be written: {error.strerror or error}", remedy_of(error)) from error
    return file


def _network(model: Generator | Translator | Upscaler) -> tuple[nn.Module, dict[str, Tensor], dict[str, Tensor], Any]:
    """The module to export, inputs to try it with, inputs of other sizes, and the free sizes."""
    batch = torch.export.Dim("batch")
    if isinstance(model, Upscaler):
        height, width = (torch.export.Dim(name, min=2) for name in ("height", "width"))
        given, others = ({"images": torch.rand(n, model.channels, *size)} for n, size in ((2, (24, 32)), (1, (2, 41))))
        sizes: list[Any] = [{0: batch, 2: height, 3: width}]
        if model.has_strength:
            for each in (given, others):
                each["strength"] = torch.linspace(0.2, 0.8, len(each["images"]))
            sizes.append({0: batch})
        return _Large(model), given, others, tuple(sizes)
    if isinstance(model, Translator):
        multiple = int(model.network.multiple)  # type: ignore[arg-type]
        height, width = (multiple * torch.export.Dim(name, min=1) for name in ("rows", "columns"))
        given, others = (
            {"images": torch.rand(n, model.input_channels, rows * multiple, columns * multiple)}
            for n, rows, columns in ((2, 2, 3), (1, 4, 2))
        )
        sizes = [{0: batch, 2: height, 3: width}]
        if model.latent_dim:
            for each in (given, others):
                each["latents"] = model.latents(len(each["images"]), seed=0)
            sizes.append({0: batch})
        return _Translated(model), given, others, tuple(sizes)
    given, others = ({"latents": model.latents(n, seed=0)} for n in (2, 1))
    sizes = [{0: batch}]
    if model.labels:
        for each in (given, others):
            each["labels"] = torch.arange(len(each["latents"])) % len(model.labels)
        sizes.append({0: batch})
    return _Images(model), given, others, tuple(sizes)


def _difference(network: nn.Module, session: Any, inputs: dict[str, Tensor]) -> float:
    """The largest difference between the images of the two."""
    (found,) = session.run(None, {name: value.numpy() for name, value in inputs.items()})
    largest: float = (torch.from_numpy(found) - network(*inputs.values())).abs().max().item()
    return largest
