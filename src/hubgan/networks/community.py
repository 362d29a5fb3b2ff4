"""Networks for super-resolution and restoration that were made elsewhere (ESRGAN, SPAN, SwinIR, ...), by spandrel.

spandrel (https://github.com/chaiNNer-org/spandrel) infers an architecture and its options from the names and shapes of
its weights, so these networks need nothing but published weights. It is an optional dependency.
"""

from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from hubgan.errors import ModelError

COMMUNITY = "community"  # the architecture that a configuration names

_HALO = 32
_PURPOSES = {"FaceSR": "faces only", "Inpainting": "filling holes"}


class CommunityNetwork(nn.Module):
    """Images (N, channels, H, W) in [0, 1] to (N, channels, H*scale, W*scale) in [0, 1], for any H and W from 1.

    Float16 weights stay float16 if the architecture computes in it; all others become float32. The network always
    runs in evaluation mode and without gradients.

    Args:
        weights: a published state dict, which may be wrapped in another one ("params_ema", ...).
        dtype: the dtype to convert them to instead.

    Attributes:
        name: what spandrel calls the architecture, such as "ESRGAN".
        scale: how much larger the output is, from 1 (restoration) to 8.
        channels: 1 for grey, 3 for colour.
        receptive_field: how far, in pixels of the input, a pixel of the output notably depends on others. Deep
            networks reach further, and with attention in windows the result depends on where a window begins.
        multiple: the grid, in pixels of the input, on which the architecture works.
        tiles: whether pictures may be cut into tiles; False if the architecture uses statistics of the whole picture.

    Raises:
        ModelError: spandrel is missing or does not know the architecture, the weights do not fit it, or it does not
            map images to images.
    """

    def __init__(self, weights: Mapping[str, Any], dtype: torch.dtype | None = None) -> None:
        super().__init__()
        self.descriptor = _describe(weights, dtype)
        self.network: nn.Module = self.descriptor.model
        self.name: str = self.descriptor.architecture.id
        self.scale: int = self.descriptor.scale
        self.channels: int = self.descriptor.input_channels
        self.receptive_field = _HALO
        self.multiple: int = self.descriptor.size_requirements.multiple_of
        self.tiles: bool = self.descriptor.tiling.name == "SUPPORTED"

    @property
    def options(self) -> dict[str, Any]:
        """The network's options in a `config.json`."""
        return {"network": self.name, "scale": self.scale, "channels": self.channels}

    def forward(self, images: Tensor) -> Tensor:
        # The descriptor pads to the sizes that the network accepts; it supports one image at a time.
        return torch.cat([self.descriptor(image) for image in images.split(1)])

    def weights(self) -> dict[str, Tensor]:
        """The state dict under the architecture's own names, from which the network can be built again.

        Raises:
            ModelError: spandrel would build another network from it.
        """
        weights = self.network.state_dict()
        try:
            again = CommunityNetwork(weights)
        except ModelError as error:
            raise error.with_context(f"spandrel cannot read the weights that it saved for {self.name}: ") from error
        if again.options != self.options:
            raise ModelError(f"spandrel rebuilds {self.options} as {again.options}")
        return weights


def _describe(weights: Mapping[str, Any], dtype: torch.dtype | None) -> Any:
    """spandrel's descriptor of the network with these weights; a ModelError if hubgan cannot run it."""
    library = spandrel()
    state = dict(library.canonicalize_state_dict(dict(weights)))  # architectures rename keys in place
    _check_sizes(state)
    try:
        descriptor = library.ModelLoader().load_from_state_dict(state)
    except library.UnsupportedModelError as error:
        raise ModelError(
            f"spandrel {library.__version__} knows no architecture with these weights",
            "A newer version may know it. Run: pip install --upgrade spandrel",
        ) from error
    except Exception as error:  # architectures raise any error for weights that only resemble their own
        raise ModelError(f"the weights do not fit their architecture ({str(error)[:200]})") from error
    name, purpose = descriptor.architecture.id, descriptor.purpose
    if purpose in _PURPOSES:
        raise ModelError(f"{name} is for {_PURPOSES[purpose]}, but hubgan only runs networks for whole pictures")
    channels = descriptor.input_channels, descriptor.output_channels
    if channels not in ((1, 1), (3, 3)) or not 1 <= descriptor.scale <= 8:
        raise ModelError(
            f"this {name} makes {channels[1]} channels from {channels[0]}, {descriptor.scale} times as large. hubgan"
            " needs 1 or 3 channels on both sides, and a scale of 1 to 8"
        )
    try:
        return descriptor.to(dtype or _dtype(state, descriptor))
    except library.UnsupportedDtypeError as error:
        raise ModelError(f"{name} does not compute in {dtype}", "Leave out dtype, or use torch.float32") from error


def _check_sizes(state: Mapping[str, Any]) -> None:
    """Refuse weights whose names or shapes would make spandrel build a much larger network than they hold."""
    numbers = [int(part) for key in state for part in str(key).split(".") if part.isdecimal() and len(part) < 10]
    empty = any(isinstance(value, Tensor) and value.dim() and not value.numel() for value in state.values())
    if empty or max(numbers, default=0) > 64 + 4 * len(state):
        raise ModelError("these are not the weights of a network: layers are empty, or most of them are missing")


def _dtype(state: Mapping[str, Any], descriptor: Any) -> torch.dtype:
    # Not bfloat16: it is coarser than 8-bit pictures, and some architectures that claim to support it do not.
    found = {value.dtype for value in state.values() if isinstance(value, Tensor) and value.is_floating_point()}
    return torch.float16 if found == {torch.float16} and descriptor.supports_half else torch.float32


def spandrel() -> ModuleType:
    """The module; raises ModelError when it is not installed."""
    try:
        return import_module("spandrel")
    except ImportError as error:
        raise ModelError("weights made elsewhere need spandrel", "Run: pip install 'hubgan[community]'") from error
