"""The colours of a picture in sRGB: ICC profiles applied, and made where a file names its colours otherwise.

PNG files may name them by cICP (numbers of ITU-T H.273) or by a gamma and chromaticities. Both become an ICC profile,
so that all that follows knows profiles alone. Which one counts, and what it means, is as in Chromium.
"""

import io
import struct
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageChops, ImageCms, ImageFilter

from hubgan.media.hdr import HLG, PQ, shown_colours, shown_grey

# Primaries of H.273: x and y of red, green, blue and white. Those of the number 10 (XYZ) are no real colours.
_D65, _C = (0.3127, 0.3290), (0.310, 0.316)
_P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
_SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), _D65)
_SMPTE = ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65)
_PRIMARIES = {
    1: _SRGB,
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), _C),
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), _D65),
    6: _SMPTE,
    7: _SMPTE,
    8: ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), _C),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    11: (*_P3, (0.314, 0.351)),
    12: (*_P3, _D65),
    22: ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), _D65),
}
# Transfer characteristics of H.273: g, a, b, c and d of (a x + b)^g from d on, and c x below.
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_BROADCAST = (2.4, 1.0, 0.0, 0.0, 0.0)  # as monitors show it (ITU-R BT.1886)
_CURVES = {
    **dict.fromkeys((1, 6, 11, 14, 15), _BROADCAST),
    4: (2.2, 1.0, 0.0, 0.0, 0.0),
    5: (2.8, 1.0, 0.0, 0.0, 0.0),
    7: (1 / 0.45, 1 / 1.1115, 0.1115 / 1.1115, 1 / 4, 0.0912),
    8: (1.0, 1.0, 0.0, 0.0, 0.0),
    13: _SRGB_CURVE,
    17: (2.6, (52.37 / 48) ** (1 / 2.6), 0.0, 0.0, 0.0),
}
_CICP_TAG = b"cicp\0\0\0\0"
_STEPS = 1024  # of a curve in a table
_USUAL_GAMMA, _USUAL = 1 / 2.2, 0.05  # without chromaticities a gamma this near means sRGB
_STEEPEST = 100  # as a gamma
_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_LARGEST = 100  # of a sensible matrix; a profile holds numbers up to 32,767
_LEVELS = 65  # of red, green and blue in a table, which is as many as Pillow takes
_GRID = 9  # levels of red, green and blue that show whether a profile is that of sRGB


def profile_space(profile: object) -> str:
    """The colour space of an ICC profile, such as RGB, CMYK or GRAY; empty for anything that is none."""
    try:
        return _opened(profile).profile.xcolor_space.strip() if isinstance(profile, bytes) and profile else ""
    except (OSError, UnicodeDecodeError):
        return ""


def cicp_profile(mode: str, cicp: bytes | None) -> bytes | None:
    """An ICC profile for the four bytes of a cICP chunk; None for unknown colours.

    Args:
        mode: of the picture, as Pillow opened it.
        cicp: primaries, transfer characteristics, matrix and range, or None.
    """
    if cicp is None or len(cicp) != 4 or cicp[2:] != b"\0\1" or cicp[0] not in _PRIMARIES:
        return None
    curve = _curve(cicp[1])
    return None if curve is None else _profile(_space(mode), _PRIMARIES[cicp[0]], curve, cicp)


def gamma_profile(image: Image.Image) -> bytes | None:
    """An ICC profile for gAMA and cHRM of a PNG picture; None if they are missing, mean sRGB, or do not count."""
    gamma, points = image.info.get("gamma"), image.info.get("chromaticity")
    if "srgb" in image.info or profile_space(image.info.get("icc_profile")):
        return None
    if not isinstance(gamma, float) or not 1 / _STEEPEST <= gamma <= _STEEPEST:  # a text may have this name too
        return None
    primaries: Sequence[tuple[float, float]] = _SRGB
    if isinstance(points, tuple) and len(points) == 8:
        white, *colours = zip(points[::2], points[1::2], strict=True)
        primaries = (*colours, white)
    elif abs(gamma / _USUAL_GAMMA - 1) < _USUAL:
        return None
    return _profile(_space(image.mode), primaries, _parametric(1 / gamma, 1.0, 0.0, 0.0, 0.0))


def to_srgb(image: Image.Image) -> Image.Image:
    """`image` (L, LA, RGB, RGBA or CMYK) in sRGB by its profile, as L, LA, RGB or RGBA; itself if it needs no change.

    A profile of another colour space is ignored, except one of RGB in a grey picture. In the result there is none.
    """
    profile = image.info.get("icc_profile")
    space = profile_space(profile)
    known = {"L": ("GRAY", "RGB"), "LA": ("GRAY", "RGB"), "CMYK": ("CMYK",)}.get(image.mode, ("RGB",))
    if space not in known or has_no_effect(profile):
        return image
    if image.mode in ("L", "LA"):
        levels = _grey_levels(profile).tobytes()
        result = image.point([*levels, *range(256)] if image.mode == "LA" else [*levels])
    else:
        target = "RGB" if image.mode == "CMYK" else image.mode
        hdr = _hdr_numbers(profile) if profile and space == "RGB" else None
        result = image.filter(_hdr_table(*hdr)) if hdr else _transform(profile, image.mode, target).apply(image)
    result.info = {key: value for key, value in image.info.items() if key != "icc_profile"}
    return result


@lru_cache(maxsize=8)
def has_no_effect(profile: bytes) -> bool:
    """Whether a profile changes no level by more than one, as that of sRGB, or cannot be converted from."""
    space = profile_space(profile)
    try:
        if space == "CMYK":
            _transform(profile, "CMYK", "RGB")
            return False
        if space == "GRAY":
            found, given = _grey_levels(profile), _ramp()
        else:
            levels = np.linspace(0, 255, _GRID).round().astype(np.uint8)
            given = Image.fromarray(np.stack(np.meshgrid(levels, levels, levels), -1).reshape(_GRID, -1, 3))
            found = _transform(profile, "RGB", "RGB").apply(given)
    except ImageCms.PyCMSError:  # such as a profile for another direction
        return True
    return bool(np.max(ImageChops.difference(found, given).getextrema()) <= 1)


@lru_cache(maxsize=8)
def _grey_levels(profile: bytes) -> Image.Image:
    """What the 256 levels of grey become in sRGB, in one row."""
    if profile_space(profile) == "GRAY":
        return _transform(profile, "L", "RGB").apply(_ramp()).getchannel("G")
    return _transform(profile, "RGB", "RGB").apply(_ramp().convert("RGB")).getchannel("G")


@lru_cache(maxsize=8)
def _transform(profile: bytes, source: str, target: str) -> ImageCms.ImageCmsTransform:
    """A transform to sRGB, which may be used in several threads."""
    return ImageCms.buildTransform(_opened(profile), ImageCms.createProfile("sRGB"), source, target)


def _hdr_numbers(profile: bytes) -> tuple[int, int] | None:
    """Primaries and transfer characteristics of a profile of HDR; browsers prefer these to all else in it."""
    found = profile.partition(_CICP_TAG)[2][:2]
    return (found[0], found[1]) if len(found) == 2 and found[0] in _PRIMARIES and found[1] in (PQ, HLG) else None


@lru_cache(maxsize=8)
def _hdr_table(primaries: int, transfer: int) -> ImageFilter.Color3DLUT:
    """What colours of HDR become in sRGB."""
    own, bt2020, srgb = (_to_d50(_PRIMARIES[number]) for number in (primaries, 9, 1))
    assert own is not None and bt2020 is not None and srgb is not None
    levels = np.linspace(0, 1, _LEVELS)
    blue, green, red = np.meshgrid(levels, levels, levels, indexing="ij")
    light = shown_colours(np.stack([red, green, blue], -1), transfer, own, np.linalg.inv(bt2020) @ own)
    light = np.clip(light @ (np.linalg.inv(srgb) @ own).T, 0, 1)
    values = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return ImageFilter.Color3DLUT(_LEVELS, values.ravel().tolist())


def _opened(profile: bytes) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(io.BytesIO(profile))


def _ramp() -> Image.Image:
    return Image.fromarray(np.arange(256, dtype=np.uint8)[None])


def _profile(
    space: str, primaries: Sequence[tuple[float, float]], curve: bytes, cicp: bytes | None = None
) -> bytes | None:
    """A small ICC profile of version 4.4; None if the primaries are no colours.

    Args:
        space: RGB or GRAY.
        primaries: x and y of red, green, blue and white.
        curve: the tag of the curve from values to light.
        cicp: bytes for the tag that browsers prefer to all others.
    """
    words = b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", 12, 28) + "hubgan".encode("utf-16-be")
    tags = {b"desc": words, b"cprt": words, b"wtpt": _xyz(_D50)}
    if space == "GRAY":
        tags[b"kTRC"] = curve
    else:
        if (columns := _to_d50(primaries)) is None:
            return None
        for name, column in zip((b"r", b"g", b"b"), columns.T, strict=True):
            tags |= {name + b"XYZ": _xyz(column), name + b"TRC": curve}
        tags |= {b"cicp": b"cicp\0\0\0\0" + cicp} if cicp else {}
    table, body, start = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, content in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(content))
        body += content + b"\0" * (-len(content) % 4)
    header = struct.pack(
        ">I4xI4s4s4s12x4s28x", start + len(body), 0x04400000, b"mntr", space.ljust(4).encode(), b"XYZ ", b"acsp"
    )
    return (header + _xyz(_D50)[8:]).ljust(128, b"\0") + table + body


def _to_d50(primaries: Sequence[tuple[float, float]]) -> np.ndarray | None:
    """The matrix from linear RGB to XYZ at the white D50 of profiles."""
    if not all(0 <= x <= 1 and 0 < y <= 1 for x, y in primaries):
        return None
    *colours, white = (np.array([x / y, 1.0, (1 - x - y) / y]) for x, y in primaries)
    matrix = np.stack(colours, axis=1)
    if abs(np.linalg.det(matrix)) < 1e-6:
        return None
    adapted = np.linalg.inv(_BRADFORD) @ np.diag((_BRADFORD @ _D50) / (_BRADFORD @ white)) @ _BRADFORD
    result = np.asarray(adapted @ (matrix * np.linalg.solve(matrix, white)))
    return result if np.abs(result).max() < _LARGEST else None


def _xyz(values: np.ndarray) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(*values.tolist())


def _fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def _parametric(*parameters: float) -> bytes:
    return b"para\0\0\0\0" + struct.pack(">HH", 3, 0) + _fixed(*parameters)


def _space(mode: str) -> str:
    return "GRAY" if mode in ("1", "L", "LA") or mode.startswith("I") else "RGB"


def _curve(transfer: int) -> bytes | None:
    """The tag of the curve from values to light, by its number in H.273."""
    if transfer in _CURVES:
        return _parametric(*_CURVES[transfer])
    if transfer not in (PQ, HLG):
        return None
    light = shown_grey(np.linspace(0, 1, _STEPS), transfer)
    return b"curv\0\0\0\0" + struct.pack(f">I{_STEPS}H", _STEPS, *np.rint(65535 * light).astype(int))
