"""HDR by its numbers in H.273 (PQ and HLG), as a screen without HDR shows it.

Light is mapped as in Chromium, by SMPTE ST 2094-50. What is darker than diffuse white gets half the brightness, so
that all light up to 1000 cd/m2 has room.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

PQ, HLG = 16, 18
"""Transfer characteristics."""
_WHITE, _BRIGHTEST = 203.0, 1000.0  # cd/m2: diffuse white (ITU-R BT.2408), and what becomes white
_WHITE_SHOWN = 0.5  # of what a screen without HDR has
_BEND = 0.65  # where the curve from diffuse white to the brightest bends
_SYSTEM_GAMMA = 1.2  # of hybrid log-gamma, on a display of 1000 cd/m2 (ITU-R BT.2100)

Floats: TypeAlias = NDArray[np.float64]


def shown_grey(values: Floats, transfer: int) -> Floats:
    """The light of grey values, all from 0 to 1."""
    light = _light_of_pq(values) if transfer == PQ else _light_of_hlg(values)
    return _mapped(light / _WHITE)


def shown_colours(values: Floats, transfer: int, to_xyz: Floats, to_bt2020: Floats) -> Floats:
    """The light of colours (..., 3) in their own primaries.

    Args:
        values: from 0 to 1.
        transfer: `PQ` or `HLG`.
        to_xyz: the matrix of the primaries.
        to_bt2020: the matrix to those of BT.2020.
    """
    if transfer == PQ:
        light = _light_of_pq(values)
    else:  # a display brightens a colour by its luminance, and not each channel by its own
        grey = _light_of_hlg(values)
        scene = (grey / _BRIGHTEST) ** (1 / _SYSTEM_GAMMA)
        light = _BRIGHTEST * scene * (scene @ to_xyz[1])[..., None] ** (_SYSTEM_GAMMA - 1)
    light = light / _WHITE
    largest = np.maximum((light @ to_bt2020.T).max(-1, keepdims=True), 1e-9)
    return np.asarray(light * _mapped(largest) / largest)


def _light_of_pq(values: Floats) -> Floats:
    """cd/m2 of values of the perceptual quantiser (SMPTE ST 2084)."""
    power = values ** (32 / 2523)
    return np.asarray(10_000 * (np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (16384 / 2610))


def _light_of_hlg(values: Floats) -> Floats:
    """cd/m2 of grey values of hybrid log-gamma."""
    bright = (np.exp((values - 0.55991073) / 0.17883277) + 0.28466892) / 12
    return np.asarray(_BRIGHTEST * np.where(values <= 0.5, values**2 / 3, bright) ** _SYSTEM_GAMMA)


def _mapped(light: Floats) -> Floats:
    """Light of 1 to `_WHITE_SHOWN`, that of the brightest to 1: a line, and then a curve of Bezier."""
    brightest = _BRIGHTEST / _WHITE
    bend = np.array([1 - _BEND + _BEND / _WHITE_SHOWN, (1 - _BEND) * _WHITE_SHOWN + _BEND])
    start, end = np.array([1, _WHITE_SHOWN]), np.array([brightest, 1])
    square, twice = start - 2 * bend + end, bend - start
    above = np.clip(light, 1, brightest) - 1
    place = (np.sqrt(twice[0] ** 2 + square[0] * above) - twice[0]) / square[0]
    return np.where(light <= 1, light * _WHITE_SHOWN, _WHITE_SHOWN + 2 * twice[1] * place + square[1] * place**2)
