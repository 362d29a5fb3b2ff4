"""Frames of a video without the noise that flickers, where nothing moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

from hubgan.media.images import to_image, to_tensor

if TYPE_CHECKING:
    from torch import Tensor

MEMORY = 64
"""After this number of frames, earlier ones hardly change the result."""
_MOST = 32  # frames that a mean is made of
_STILL, _MOVING = 1.5, 3.0  # times the noise: changes below the one are noise, and above the other movement
_NOISE = (0.5, 2.0)  # the range of noise in grey levels, as means of 3 x 3 pixels have it
_QUANTILE = 0.25  # the part of a frame that changes least, and is taken to change by noise alone
_IN_PLACE, _DRIFTING = 1.0, 1.2  # results of `_fit`: below the one a surface is still, and above the other it drifts
_ROUNDING = 0.5  # squared grey levels
_HELD = 1.0  # grey levels by which a mean moves before the frame does, so that rounding does not flicker


class Steadier:
    """Called with the frames of a clip in turn, it returns each one with less noise.

    A pixel becomes its mean over the latest frames, since something last moved near it. Noise differs from frame to
    frame, and an upscaler sharpens it, so the result flickers; the mean has less noise. The change since the last
    frames is averaged over an area: noise averages out, and movement does not.

    The result depends on the frames before, and on nothing else.
    """

    def __init__(self) -> None:
        self._state: tuple[Tensor, Tensor, Tensor] | None = None

    def __call__(self, image: Image.Image) -> Image.Image:
        """An RGB picture of the size of those before."""
        import torch

        pixels = to_tensor(image)[None].float()
        if self._state is None:
            self._state = pixels, pixels, torch.ones_like(pixels[:, :1])
            return image
        mean, shown, age = self._state
        change = pixels - mean
        moved = _box(_box(change, 3).abs().amax(1, keepdim=True), 5)
        noise = moved[..., ::4, ::4].quantile(_QUANTILE).clamp(*_NOISE)
        still = ((_MOVING - moved / noise) / (_MOVING - _STILL)).clamp(0, 1)
        still = still * ((_DRIFTING - _fit(pixels, mean)) / (_DRIFTING - _IN_PLACE)).clamp(0, 1)
        age = (age * still + 1).clamp(max=_MOST)
        mean = mean + change / age
        held = ((mean - shown).abs() <= _HELD) & (age > 2)
        shown = torch.where(held, shown, mean.round())
        self._state = mean, shown, age
        return to_image(shown[0].clamp(0, 255).byte())


def _fit(pixels: Tensor, mean: Tensor) -> Tensor:
    """How much worse the mean fits in place than moved by a pixel: above 1 where a surface drifts."""
    import torch

    def error(mean: Tensor) -> Tensor:
        return _box((pixels - mean).square().mean(1, keepdim=True), 7) + _ROUNDING

    shifts = [mean.roll(step, axis) for axis in (2, 3) for step in (-1, 1)]
    return error(mean) / torch.stack([error(shift) for shift in shifts]).amin(0)


def _box(values: Tensor, side: int) -> Tensor:
    """The mean of `side` x `side` pixels around each one."""
    from torch.nn.functional import avg_pool2d

    return avg_pool2d(values, side, 1, side // 2, count_include_pad=False)
