"""Convolutions fused with a ReLU or an addition, if possible: for inference on the CPU.

A small network on a CPU spends a third of its time on reading and writing the results of its convolutions again.
PyTorch has oneDNN's fused operators, but offers them only through `torch.compile`, which needs a C++ compiler and a
minute to start. So they are called by name, if a trial shows that this PyTorch and this CPU support them.
"""

from functools import cache, partial
from typing import Any

import torch
import torch.autograd.forward_ad as fwAD
from torch import Tensor, nn
from torch.nn.functional import relu
from torch.nn.modules import module


def conv_relu(layer: nn.Conv2d, x: Tensor, shift: Tensor | None = None) -> Tensor:
    """The same as `relu(layer(x) + shift)`, with a shift (N or 1, channels) that is the same everywhere."""
    if _fuses(layer, x) and (shift is None or len(shift) == 1):
        rectified: Tensor = torch.ops.mkldnn._convolution_pointwise(x, *_of(layer, x, shift), "relu", [], "")
        return rectified
    plain: Tensor = layer(x)
    return relu(plain if shift is None else plain + shift[:, :, None, None], inplace=True)


def conv_add(layer: nn.Conv2d, x: Tensor, other: Tensor) -> Tensor:
    """The same as `layer(x) + other`."""
    if _fuses(layer, x) and other.dtype == x.dtype:
        both = torch.ops.mkldnn._convolution_pointwise.binary
        added: Tensor = both(x, other, *_of(layer, x), "add", None, None, [], None)
        return added
    plain: Tensor = layer(x)
    return plain + other


def _of(layer: nn.Conv2d, x: Tensor, shift: Tensor | None = None) -> tuple[Any, ...]:
    bias = layer.bias
    if shift is not None:
        bias = shift[0] if bias is None else bias + shift[0]
    bias = None if bias is None else bias.to(x.dtype)
    return layer.weight.to(x.dtype), bias, layer.padding, layer.stride, layer.dilation, layer.groups


def _fuses(layer: nn.Conv2d, x: Tensor) -> bool:
    """Whether fusing has no side effect: no gradient, tracing, other precision, hook or other kind of convolution."""
    if torch.is_grad_enabled() or torch.compiler.is_compiling() or torch.jit.is_tracing():
        return False
    if type(x) is not Tensor or x.device.type != "cpu" or not torch.backends.mkldnn.enabled:
        return False
    if fwAD._current_level >= 0 or (torch.is_autocast_enabled("cpu") and x.dtype != torch.get_autocast_dtype("cpu")):
        return False
    plain = type(layer) is nn.Conv2d and layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    hooked = layer._forward_hooks or layer._forward_pre_hooks or module._has_any_global_hook()
    return plain and not hooked and "forward" not in vars(layer) and _can_fuse(x.dtype)


@cache
def _can_fuse(dtype: torch.dtype) -> bool:
    """Whether the operators, which are private to PyTorch, exist and compute the expected results."""
    with torch.no_grad(), torch.autocast("cpu", enabled=False):
        x = torch.linspace(-1, 1, 32, dtype=dtype, device="cpu").view(1, 2, 4, 4)
        kernel = (x[:, :1].repeat(2, 2, 1, 1)[..., :3, :3], None, (1, 1), (1, 1), (1, 1), 1)
        near = partial(torch.allclose, rtol=0.02, atol=0.02)  # bfloat16 has 8 bits of precision
        try:
            plain = torch.conv2d(x, *kernel)
            rectified = torch.ops.mkldnn._convolution_pointwise(x, *kernel, "relu", [], "")
            added = torch.ops.mkldnn._convolution_pointwise.binary(x, x, *kernel, "add", None, None, [], None)
            return near(rectified, plain.relu()) and near(added, plain + x)
        except (AttributeError, RuntimeError, TypeError, NotImplementedError):
            return False
