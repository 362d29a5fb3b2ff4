"""The colour space by numbers in AVIF and HEIC files, as a cICP chunk of PNG would name it."""

from typing import IO

from PIL import Image

_BOX = b"colrnclx"
_BEFORE_PIXELS = 65_536  # bytes: the box lies among the first ones
_UNSPECIFIED = 2
_SRGB = (1, 13)  # primaries and transfer characteristics of H.273
_AS_SRGB = (1, _UNSPECIFIED, 6, 14, 15)  # transfer characteristics that Chromium shows as those of sRGB


def read_nclx(image: Image.Image) -> bytes | None:
    """The four bytes of a cICP chunk for an opened AVIF or HEIC picture; None for sRGB, and if a profile counts."""
    if image.info.get("icc_profile"):
        return None
    numbers = image.info.get("nclx_profile")
    if image.format == "AVIF":
        primaries, transfer = _of_avif(getattr(image, "fp", None))
    elif isinstance(numbers, dict):  # in a PNG file a text may have this name
        primaries, transfer = numbers.get("color_primaries"), numbers.get("transfer_characteristics")
    else:
        return None
    if primaries is None or transfer is None:
        return None
    named = (1 if primaries == _UNSPECIFIED else primaries, 13 if transfer in _AS_SRGB else transfer)
    return None if named == _SRGB or max(named) > 255 else bytes([*named, 0, 1])


def _of_avif(file: IO[bytes] | None) -> tuple[int | None, int | None]:
    if file is None or file.closed:
        return None, None
    place = file.tell()
    file.seek(0)
    _, _, numbers = file.read(_BEFORE_PIXELS).partition(_BOX)
    file.seek(place)
    return (int.from_bytes(numbers[:2], "big"), int.from_bytes(numbers[2:4], "big")) if numbers else (None, None)
