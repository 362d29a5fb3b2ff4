"""What differs on a GPU, decided for one that is only pretended: CUDA's own functions are replaced."""

from types import SimpleNamespace

import pytest
import torch

from hubgan.runtime import devices

CPU, CUDA, MPS = torch.device("cpu"), torch.device("cuda"), torch.device("mps")


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A GPU with 8 GiB free, whose half precision a test may change."""
    gpu = SimpleNamespace(name="NVIDIA A10G", total_memory=24 * 2**30)
    answers = {
        "is_available": True, "is_bf16_supported": True, "mem_get_info": (8 * 2**30, gpu.total_memory),
        "device_count": 1, "get_device_properties": gpu, "get_device_name": gpu.name,
    }  # fmt: skip
    for name, answer in answers.items():
        monkeypatch.setattr(torch.cuda, name, lambda *args, _answer=answer, **kwargs: _answer)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda *args: CUDA)
    return monkeypatch


@pytest.mark.usefixtures("cuda")
def test_with_a_gpu() -> None:
    assert devices.gpu_or_cpu() == devices.cuda_or_cpu() == "cuda"
    assert devices.computes_in_bf16(CUDA) and devices.computes_in_fp16(CUDA)
    assert devices.has_fused_adam(CUDA) and devices.copies_from_pinned_memory(CUDA)
    assert devices.memory_for_data(CUDA) == 2**30
    assert devices.name_of(CUDA) == "NVIDIA A10G"
    assert devices.gpus() == [{"name": "NVIDIA A10G", "memory_gib": 24}]


def test_with_a_gpu_that_only_emulates_bf16(cuda: pytest.MonkeyPatch) -> None:
    cuda.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: including_emulation)
    assert not devices.computes_in_bf16(CUDA)


def test_norms_are_synchronised_among_gpus_alone() -> None:
    assert [devices.synchronises_norms(device, 2) for device in (CPU, CUDA, MPS)] == [False, True, False]
    assert not devices.synchronises_norms(CUDA, 1)


def test_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    assert devices.gpu_or_cpu() == devices.cuda_or_cpu() == "cpu"
    assert not devices.computes_in_bf16(CUDA) and not devices.computes_in_fp16(CPU)
    assert not devices.copies_from_pinned_memory(CPU) and not devices.memory_for_data(CPU)
    assert devices.name_of(CPU) == "" and devices.gpus() == [] and "driver" not in devices.gpu_versions()


def test_a_mac_is_no_cuda_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda *args: MPS)
    assert devices.gpu_or_cpu() == "mps" and devices.cuda_or_cpu() == "cpu"
    assert devices.computes_in_fp16(MPS) and not devices.has_fused_adam(MPS)
    assert not devices.computes_in_bf16(MPS) and not devices.memory_for_data(MPS)


@pytest.mark.parametrize("device", [CPU, CUDA])
def test_exact_repetition_is_asked_of_cuda_alone(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices.os, "environ", environment := {})
    asked = []
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda *args, **kwargs: asked.append(args))
    devices.repeat_exactly(device)
    assert bool(asked) == bool(environment) == (device == CUDA)


def test_within_same_kernels_cudnn_does_not_choose_by_speed() -> None:
    with devices.same_kernels():
        assert torch.backends.cudnn.deterministic and not torch.backends.cudnn.benchmark
