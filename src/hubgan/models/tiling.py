"""Pictures of any size through a network, tile by tile, without seams."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise, product
from typing import TYPE_CHECKING

from hubgan.errors import ConfigError, ImageError

if TYPE_CHECKING:
    import torch

_DIVISOR = 4  # of a tile's size: on CPUs with AMX, oneDNN takes three times as long for some other sizes


def upscale_tiled(
    function: Callable[[torch.Tensor], torch.Tensor],
    image: torch.Tensor,
    *,
    scale: int,
    tile: int,
    halo: int,
    multiple: int = 1,
    progress: Callable[[float], None] | None = None,
) -> torch.Tensor:
    """Apply `function` to a picture tile by tile and return the whole, C x (H * scale) x (W * scale).

    `image` is float C x H x W in [0, 1] on the CPU. `function` maps 1 x C x h x w to 1 x C x (h * scale) x
    (w * scale). It moves a tile to its device and back; the result has the dtype that it returns. A tile
    has at most `tile` x `tile` pixels of `image` (0: the whole picture at once) plus a `halo` of pixels around it, or
    up to `multiple` + 2 more, where the picture has them; the output of the halo is cut off. A tile starts at a
    `multiple` of pixels, for networks that work on a coarser grid. With a `halo` of at least the network's
    receptive-field radius the result equals that of the whole picture within rounding; with less there may be seams.
    The network must treat all positions of the grid alike: no global pooling or attention, and no stride except one
    that divides `multiple`. `progress` is called after each tile with the share of tiles that are done.
    Raises ConfigError for options out of range or another scale, ImageError for a tensor of another kind.
    """
    import torch

    if scale < 1 or tile < 0 or halo < 0 or multiple < 1:
        wanted = "Use scale >= 1, tile >= 0, halo >= 0 and multiple >= 1"
        raise ConfigError(f"scale {scale}, tile {tile}, halo {halo}, multiple {multiple} are out of range", wanted)
    if image.ndim != 3 or not image.is_floating_point() or not image.numel():
        raise ImageError(f"a {image.dtype} tensor of shape {tuple(image.shape)} is not a float C x H x W")
    channels, height, width = image.shape
    output = image.new_empty(0)
    tiles = list(product(_cuts(height, tile), _cuts(width, tile)))
    for number, ((top, bottom), (left, right)) in enumerate(tiles, 1):
        y, y_end = _with_halo(top, bottom, height, halo, multiple)
        x, x_end = _with_halo(left, right, width, halo, multiple)
        part = image[None, :, y:y_end, x:x_end]
        with torch.no_grad():
            result = function(part)
        if result.shape != (1, channels, part.shape[2] * scale, part.shape[3] * scale):
            raise ConfigError(f"{tuple(part.shape)} became {tuple(result.shape)}: the scale is not {scale}")
        if not output.numel():
            # In memory the channels are last, as in the tiles and in the picture that is made of them.
            output = result.new_empty(height * scale, width * scale, channels).permute(2, 0, 1)
        core = output[:, top * scale : bottom * scale, left * scale : right * scale]
        visible = result[0, :, (top - y) * scale :, (left - x) * scale :]
        core.copy_(visible[:, : core.shape[1], : core.shape[2]])
        del result, visible  # before the next tile goes to the device
        if progress:
            progress(number / len(tiles))
    return output


def _cuts(length: int, tile: int) -> list[tuple[int, int]]:
    """Cut [0, length) into the fewest parts of at most `tile`, whose sizes differ by at most one."""
    count = -(-length // tile) if tile else 1
    return list(pairwise(i * length // count for i in range(count + 1)))


def _with_halo(start: int, stop: int, length: int, halo: int, multiple: int) -> tuple[int, int]:
    """A tile's range with `halo` on both sides: from a `multiple` on, and up to 3 pixels more for `_DIVISOR`."""
    begin, end = max(start - halo, 0) // multiple * multiple, min(stop + halo, length)
    end = min(end + (begin - end) % _DIVISOR, length)
    return max(begin - (begin - end) % _DIVISOR // multiple * multiple, 0), end
