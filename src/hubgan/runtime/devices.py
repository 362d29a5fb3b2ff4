"""Which devices compute in bfloat16 rather than emulate it."""

import torch


def computes_in_bf16(device: torch.device | str) -> bool:
    """Whether a device has instructions for bfloat16. Without them a CPU is twenty times slower than in float32."""
    kind = torch.device(device).type
    if kind == "cuda":
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    return kind == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
