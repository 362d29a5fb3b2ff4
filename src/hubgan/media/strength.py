"""How strongly a picture wants to be cleaned, from 0 (trust its pixels) to 1 (a JPEG file of quality 25).

One number stands for compression and noise together. It is the input of upscalers that have a strength, in training
as in use.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

HEAVIEST = 2.0
"""Times JPEG's standard quantisation: quality 25, the strength 1."""
_NOISIEST = 8.0  # grey levels, the strength 1
STANDARD = 3688
"""The sum of JPEG's standard table for luma (ITU-T T.81, table K.1), which is that of quality 50."""


def strength_of_quality(quality: float) -> float:
    """The strength for a JPEG file of this quality, 1 to 100, as libjpeg counts it."""
    return _of_scale((200 - 2 * quality) / 100 if quality >= 50 else 50 / max(quality, 1))


def strength_of_tables(tables: Mapping[int, Sequence[int]]) -> float:
    """The strength for a JPEG file with these quantisation tables, as Pillow's `quantization` gives them.

    Only the table of luma counts.
    """
    return _of_scale(sum(tables[min(tables)]) / STANDARD)


def strength_of_noise(deviation: float) -> float:
    """The strength for noise of this standard deviation, in grey levels."""
    return min(deviation / _NOISIEST, 1.0)


def together(strengths: Iterable[float]) -> float:
    """The strength for several causes at once: their squares add up. Without a cause it is 0."""
    return min(math.hypot(*strengths), 1.0)


def _of_scale(scale: float) -> float:
    return min(math.sqrt(max(scale, 0.0) / HEAVIEST), 1.0)
