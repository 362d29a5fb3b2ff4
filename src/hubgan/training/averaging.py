"""Averages over time (the generator's weights) and over processes (BatchNorm's statistics)."""

from copy import deepcopy
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import get_ema_multi_avg_fn


class MovingAverage:
    """An exponential moving average of a model's weights and buffers, by half-life in images.

    So it means the same whatever the batch size and the number of processes. Karras et al. 2018
    (https://arxiv.org/abs/1710.10196) introduced the average for GANs; half-life and ramp-up are those of Karras et
    al. 2021 (https://arxiv.org/abs/2106.12423). `torch.optim.swa_utils.AveragedModel` is not used because it counts
    steps, on the device, and has one decay for all of them.

    Args:
        model: where the average begins. It is copied, on its device and in its memory format.

    Attributes:
        module: the averaged model, in evaluation mode and without gradients.
    """

    def __init__(self, model: nn.Module) -> None:
        self.module = deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module, images: int, images_seen: int, half_life: float, rampup: float = 0.0) -> None:
        """Update the average with the present model. Integer buffers (counters) are copied.

        On all processes the average stays the same if the models are.

        Args:
            model: the bare model, with the parameters and buffers of the copied one, in the same order.
            images: images that the run has seen since the last update.
            images_seen: images that the run has seen in all.
            half_life: images after which a weight counts half; 0 copies the model.
            rampup: above 0 the half-life is at most this share of the images seen in all.
        """
        if rampup > 0:
            half_life = min(half_life, rampup * images_seen)
        lerp = get_ema_multi_avg_fn(0.5 ** (images / max(half_life, 1e-8)))
        pairs = list(zip(_tensors(self.module), _tensors(model), strict=True))
        for dtype in {old.dtype for old, _ in pairs}:
            old, new = ([pair[i] for pair in pairs if pair[0].dtype == dtype] for i in (0, 1))
            if dtype.is_floating_point:
                lerp(old, new, None)
            else:
                torch._foreach_copy_(old, new)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps: the averaged model."""
        return self.module.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a checkpoint."""
        self.module.load_state_dict(state)


@torch.no_grad()
def average_buffers(module: nn.Module, accelerator: Accelerator) -> None:
    """Give all processes the mean of their running statistics, in place.

    That is for plain BatchNorm layers, which see the batch of their own process alone; SyncBatchNorm layers agree by
    themselves. One message in all, and none for one process or without such layers.

    Args:
        module: the bare model, the same on all processes, each of which must call this.
        accelerator: of the run.
    """
    layers = [m for m in module.modules() if isinstance(m, _BatchNorm) and not isinstance(m, nn.SyncBatchNorm)]
    buffers = [b for layer in layers for b in (layer.running_mean, layer.running_var) if b is not None]
    if accelerator.num_processes == 1 or not buffers:
        return
    means = accelerator.reduce(torch.cat(buffers), "mean")
    torch._foreach_copy_(buffers, list(means.split([len(buffer) for buffer in buffers])))


def _tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]
