"""What differs between kinds of devices. All that only CUDA has, or does in its own way, is asked for here."""

import os
import re
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch

_DRIVER = Path("/proc/driver/nvidia/version")
_HELD = 1 / 8  # of the free memory that a data set may take


def gpu_or_cpu() -> str:
    """The kind of device to compute on if nobody names one: the GPU's, such as "cuda" or "mps", or "cpu"."""
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return found.type if found else "cpu"


def cuda_or_cpu() -> str:
    """Like `gpu_or_cpu`, but "cpu" on a Mac, where the demo was never tried. On ZeroGPU it is "cuda" everywhere."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def computes_in_bf16(device: torch.device | str) -> bool:
    """Whether a device has instructions for bfloat16. Without them a CPU is twenty times slower than in float32."""
    kind = torch.device(device).type
    if kind == "cuda":
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    return kind == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def computes_in_fp16(device: torch.device) -> bool:
    """Whether a device trains in float16, whose gradients must be scaled."""
    return device.type != "cpu"


def has_fused_adam(device: torch.device) -> bool:
    """Whether PyTorch updates all weights of the device by one kernel."""
    return device.type in ("cpu", "cuda")


def synchronises_norms(device: torch.device, processes: int) -> bool:
    """Whether BatchNorm layers take the statistics of all processes: `SyncBatchNorm` needs CUDA."""
    return processes > 1 and device.type == "cuda"


def copies_from_pinned_memory(device: torch.device) -> bool:
    """Whether a copy to the device overlaps with computing if it comes from pinned memory."""
    return device.type == "cuda"


def memory_for_data(device: torch.device) -> float:
    """The bytes of a CUDA device's memory that a data set may take; 0 for other devices."""
    return torch.cuda.mem_get_info(device)[0] * _HELD if device.type == "cuda" else 0


def same_kernels() -> AbstractContextManager[None]:
    """Within it, cuDNN chooses kernels whose results do not change from call to call."""
    flags: AbstractContextManager[None] = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True)
    return flags


def repeat_exactly(device: torch.device) -> None:
    """From now on, use kernels of a CUDA device whose results repeat. PyTorch warns of an operation that has none."""
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS is used first
        torch.use_deterministic_algorithms(True, warn_only=True)


def name_of(device: torch.device) -> str:
    """The name of a GPU, such as "NVIDIA A10G"; "" for other devices."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else ""


def gpus() -> list[dict[str, Any]]:
    """This machine's GPUs: `name`, and `memory_gib`."""
    found = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    return [{"name": gpu.name, "memory_gib": round(gpu.total_memory / 2**30, 1)} for gpu in found]


def gpu_versions() -> dict[str, str]:
    """The versions of CUDA or ROCm, cuDNN and the driver that a result may depend on."""
    found = {"cuda": torch.version.cuda, "rocm": torch.version.hip}
    if torch.cuda.is_available():
        found["cudnn"] = str(torch.backends.cudnn.version() or "")
        if os.access(_DRIVER, os.R_OK):
            number = re.search(r"\b\d+\.\d+(\.\d+)?\b", _DRIVER.read_text(encoding="utf-8"))
            found["driver"] = number[0] if number else ""
    return {name: version for name, version in found.items() if version}
