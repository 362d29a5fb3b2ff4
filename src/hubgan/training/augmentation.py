"""Augmentation of all that the discriminator sees, real and fake alike, and how strong it is to be."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor

Operation: TypeAlias = Literal["color", "translation", "cutout"]


class DiffAugment:
    """DiffAugment (Zhao et al. 2020, https://arxiv.org/abs/2006.10738): operations that gradients pass through.

    - `color`: brightness shifted by up to 0.5, saturation times 0 to 2, contrast times 0.5 to 1.5.
    - `translation`: moved by whole pixels, up to an eighth of each side; the new pixels are 0 (grey).
    - `cutout`: a rectangle of half of each side, anywhere with its centre in the image, becomes 0 (grey).

    All randomness comes from the draws: an image and its draws give the same result in any batch.

    Args:
        operations: in the order in which they are applied.

    Attributes:
        draws: how many draws an image needs.

    Raises:
        KeyError: an unknown operation.
    """

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._steps = [_STEPS[operation] for operation in operations]
        self.draws = sum(1 + step.draws for step in self._steps)

    def __call__(self, images: Tensor, draws: Tensor, probability: float) -> Tensor:
        """Augment a batch.

        Args:
            images: (N, channels, H, W) in [-1, 1], with 1 or 3 channels. Computed in float32 at least.
            draws: (N, self.draws), uniform in [0, 1), on the same device.
            probability: with which each operation, by a draw of its own, is applied to an image. At 0 the images are
                returned as they are.

        Returns:
            A tensor like `images` in shape, dtype and memory format; `color` may leave [-1, 1].
        """
        if probability <= 0:
            return images
        result = images if images.dtype == torch.float64 else images.float()
        position = 0
        for step in self._steps:
            chosen, amounts = draws[:, position], draws[:, position + 1 : position + 1 + step.draws]
            position += 1 + step.draws
            result = torch.where(_each(chosen < probability), step.apply(result, amounts), result)
        channels_last = images.is_contiguous(memory_format=torch.channels_last) and not images.is_contiguous()
        return result.to(images.dtype, memory_format=torch.channels_last if channels_last else torch.contiguous_format)


@dataclass
class AdaptiveProbability:
    """ADA's control of the probability (Karras et al. 2020, https://arxiv.org/abs/2006.06676, section 3.1).

    The more often the discriminator is sure of real images, the more it overfits, and the more it needs augmentation.

    Attributes:
        target: the mean sign of the logits of real images to hold, -1 to 1.
        images: the number of images in which the probability can go from 0 to 1.
        probability: the current one, 0 to 1.
    """

    target: float
    images: int = 500_000
    probability: float = 0.0

    def update(self, mean_sign: float, images: int) -> None:
        """Move the probability one way or the other, as far as the images seen since the last update allow.

        Args:
            mean_sign: the mean sign of recent logits of real images. All processes must pass the same.
            images: images that the discriminator has seen since the last update, in all processes.
        """
        direction = (mean_sign > self.target) - (mean_sign < self.target)
        self.probability = min(max(self.probability + direction * images / self.images, 0.0), 1.0)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"probability": self.probability}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a checkpoint."""
        self.probability = state["probability"]


def _color(images: Tensor, draws: Tensor) -> Tensor:
    brightness, saturation, contrast = (_each(draw).to(images.dtype) for draw in draws.unbind(1))
    images = images + (brightness - 0.5)
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * (2 * saturation)
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + (images - mean) * (0.5 + contrast)


def _translation(images: Tensor, draws: Tensor) -> Tensor:
    height, width = images.shape[2:]
    rows, columns = (
        torch.arange(side, device=images.device) - (_integers(draw, 2 * (side // 8) + 1) - side // 8)[:, None]
        for side, draw in zip((height, width), draws.unbind(1), strict=True)
    )  # for each image and each row (column) of the result: where it comes from
    inside = _outer(_within(rows, height), _within(columns, width))
    # What leaves at one edge enters at the other and is blanked. So each pixel is read once, and the sums of the
    # backward pass have one term: their order cannot matter.
    source = ((rows % height)[:, :, None] * width + (columns % width)[:, None, :]).flatten(1)
    moved = images.flatten(2).gather(2, source[:, None].expand(-1, images.shape[1], -1)).reshape(images.shape)
    return moved * inside.to(images.dtype)


def _cutout(images: Tensor, draws: Tensor) -> Tensor:
    rows, columns = (
        _within(torch.arange(side, device=images.device) - _cutout_start(draw, side)[:, None], side // 2)
        for side, draw in zip(images.shape[2:], draws.unbind(1), strict=True)
    )
    return images * (~_outer(rows, columns)).to(images.dtype)


def _cutout_start(draw: Tensor, side: int) -> Tensor:
    """The rectangle's first row (N,), which may lie outside the image."""
    length = side // 2
    return _integers(draw, side + 1 - length % 2) - length // 2


def _integers(draw: Tensor, n: int) -> Tensor:
    """Draws (N,) from [0, 1) to integers from 0 to n - 1."""
    return (draw * n).long().clamp(max=n - 1)


def _within(positions: Tensor, length: int) -> Tensor:
    return (positions >= 0) & (positions < length)


def _outer(rows: Tensor, columns: Tensor) -> Tensor:
    """(N, H) and (N, W) to (N, 1, H, W), true where both are."""
    return (rows[:, :, None] & columns[:, None, :])[:, None]


def _each(values: Tensor) -> Tensor:
    """(N,) to (N, 1, 1, 1)."""
    return values.view(-1, 1, 1, 1)


class _Step(NamedTuple):
    draws: int
    apply: Callable[[Tensor, Tensor], Tensor]


_STEPS = {"color": _Step(3, _color), "translation": _Step(2, _translation), "cutout": _Step(2, _cutout)}
