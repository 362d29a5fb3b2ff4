"""A model behind Hugging Face's Inference Endpoints, in the form in which their toolkit calls it.

https://huggingface.co/docs/inference-endpoints/en/guides/custom_handler
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from PIL import Image

from hubgan.errors import ConfigError, ImageError, nearest
from hubgan.hub.download import ModelSource
from hubgan.models import MODELS, Generator, Translator, Upscaler
from hubgan.models.config import CONFIG, read_config
from hubgan.runtime.devices import gpu_or_cpu


class EndpointHandler:
    """Answers requests. `hubgan push --handler` writes a `handler.py` that offers it to the toolkit.

    Args:
        path: the folder of a generator, an upscaler or a translator.

    Raises:
        ConfigError: it holds another kind of model.
        HubganError: as `from_pretrained`.
    """

    def __init__(self, path: str = "") -> None:
        kind = str(read_config(ModelSource(str(Path(path))).file(CONFIG)).kind)
        if kind not in PARAMETERS:
            raise ConfigError(f"an endpoint cannot serve a {kind}", "Pass a generator, an upscaler or a translator")
        self.model, self._parameters = MODELS[kind].from_pretrained(path, device=gpu_or_cpu()), PARAMETERS[kind]

    def __call__(self, data: Mapping[str, Any]) -> Image.Image | list[Image.Image]:
        """Answer a request.

        Args:
            data: `inputs` and `parameters`, as the toolkit reads them from a body in JSON, or from a picture with a
                query. The inputs of a generator are a class, several or none (""), those of the others a picture, as
                the toolkit opens it or in base64. The parameters are those of `Generator.sample`, `Upscaler.upscale`
                and `Translator.translate`.

        Returns:
            A picture, or a list of them if there are several. The toolkit sends a picture as a file if the client
            accepts one, else in base64.

        Raises:
            ConfigError: an unknown parameter, or a value out of range.
            ImageError: the picture cannot be read.
        """
        parameters = {name: self._read(name, value) for name, value in (data.get("parameters") or {}).items()}
        inputs, model = data.get("inputs"), self.model
        if isinstance(model, Generator):
            labels = None if inputs in (None, "") else inputs
            images: list[Image.Image] = model.sample(labels=labels, **parameters, output_type="pil")
            return images[0] if len(images) == 1 else images
        assert isinstance(model, Upscaler | Translator)
        picture = inputs if isinstance(inputs, Image.Image) else _decoded(inputs)
        return (
            model.upscale(picture, **parameters)
            if isinstance(model, Upscaler)
            else model.translate(picture, **parameters)
        )

    def _read(self, name: str, value: Any) -> Any:
        """A parameter, which is text if it comes from a query."""
        if name not in self._parameters:
            raise ConfigError(f"there is no parameter {name!r}", nearest(name, self._parameters))
        try:
            return self._parameters[name](value)
        except (TypeError, ValueError, KeyError) as error:
            read = self._parameters[name]
            wanted = "true or false" if read is _switch else "a whole number" if read is _whole else "a number"
            raise ConfigError(f"{name} cannot be {value!r}", f"Pass {wanted}") from error


def _switch(value: Any) -> bool:
    return {"true": True, "1": True, "false": False, "0": False}[str(value).lower()]


def _whole(value: Any) -> int:
    if isinstance(value, float) and not value.is_integer():
        raise ValueError(value)
    return int(value)


def _strength(value: Any) -> Any:
    return value if value == "auto" else float(value)


PARAMETERS: Mapping[str, Mapping[str, Callable[[Any], Any]]] = MappingProxyType(
    {
        "Generator": {"n": _whole, "seed": _whole, "truncation": float},
        "Upscaler": {"scale": float, "strength": _strength, "fidelity": float, "tile": _whole},
        "Translator": {"seed": _whole, "size": _whole, "prepare": _switch},
    }
)
"""What a request for a model of each kind may ask for, and how a query's text is read."""


def _decoded(inputs: Any) -> bytes:
    """A picture's file from base64, which may be a data URL."""
    try:
        return base64.b64decode(str(inputs).rpartition(",")[2], validate=True)
    except binascii.Error as error:
        raise ImageError(
            "inputs is not a picture in base64", "Send the picture itself, as image/png or image/jpeg"
        ) from error
