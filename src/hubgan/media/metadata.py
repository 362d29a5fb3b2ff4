"""What a picture file says besides its pixels and colours, and how a result keeps it.

In `info` of a picture these are `exif`, `xmp` and `iptc`, in bytes, and `dpi`, the dots per inch across and down.
"""

import math
import re
import struct
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import II

METADATA = ("exif", "dpi", "xmp", "iptc")
"""The keys in `info` of a picture."""

_Base, _IFD = ExifTags.Base, ExifTags.IFD
# What describes the stored pixels, and no longer those of the result.
_OF_PIXELS = {
    *(_Base.Orientation, _Base.ImageWidth, _Base.ImageLength, _Base.ExifImageWidth, _Base.ExifImageHeight),
    *(_Base.FocalPlaneXResolution, _Base.FocalPlaneYResolution, _Base.FocalPlaneResolutionUnit),
    *(_Base.SubjectLocation, 0x9214),  # the area of the subject, which Pillow calls location too
}
# A TIFF file stores its layout among the tags of EXIF, and much that only one program understands.
_OF_TIFF = {
    *(_Base.DocumentName, _Base.ImageDescription, _Base.Make, _Base.Model, _Base.PageName, _Base.PageNumber),
    *(_Base.XResolution, _Base.YResolution, _Base.ResolutionUnit, _Base.Software, _Base.DateTime, _Base.Artist),
    *(_Base.HostComputer, _Base.Copyright, _Base.Rating, _Base.RatingPercent, _Base.XPTitle, _Base.XPComment),
    *(_Base.XPAuthor, _Base.XPKeywords, _Base.XPSubject, _IFD.Exif, _IFD.GPSInfo),
}
_IFDS = {_IFD.Exif, _IFD.GPSInfo}
_XMP, _IPTC, _PREDICTOR = 700, 33723, 317  # tags of TIFF
_HEADER = b"Exif\0\0"
_MOST = 65_500  # bytes of one kind in a JPEG
_MOST_DPI = 65_535
_IPTC_BLOCK = 0x0404  # its number among Photoshop's
_RAW_EXIF, _RAW_IPTC = "Raw profile type exif", "Raw profile type iptc"  # texts in PNG, as ImageMagick names them
_SIZES = rb"(?:tiff:Image(?:Width|Length)|exif:Pixel[XY]Dimension)"
_SIZES_IN_XMP = re.compile(rb"\s" + _SIZES + rb'="[^"]*"|<(' + _SIZES + rb")>[^<]*</\1>")
# Phones describe further pictures and videos in the same file, which the result does not hold.
_OTHERS_IN_XMP = (b"ns.google.com/photos/1.0/container/", b"ns.adobe.com/hdr-gain-map/")


def read_metadata(image: Image.Image, upright: Image.Image) -> dict[str, Any]:
    """The metadata of a decoded picture that fit an enlarged copy too; broken metadata are left out.

    Args:
        image: the picture as Pillow opened it, or as it was opened here before.
        upright: the same, with the orientation applied to the pixels and XMP.
    """
    found: dict[str, Any] = {}
    for key, read in (("exif", _exif), ("dpi", _dpi), ("xmp", _xmp), ("iptc", _iptc)):
        with suppress(Exception):  # Pillow raises nearly every kind
            if value := read(image, upright):
                found[key] = value
    return found


def save_options(kind: str, info: Mapping[Any, Any]) -> dict[str, Any]:
    """The options of `Image.save` by which a file holds the metadata and the profile in `info`, as far as it can.

    Args:
        kind: the format, as Pillow calls it.
        info: that of a picture.
    """
    options: dict[str, Any] = {"icc_profile": info.get("icc_profile")}
    options |= {key: info[key] for key in METADATA if info.get(key)}
    iptc = options.pop("iptc", None)
    if kind == "JPEG":
        options = {key: value for key, value in options.items() if key not in ("exif", "xmp") or len(value) <= _MOST}
        if iptc and len(iptc) <= _MOST:
            segment = b"Photoshop 3.0\0" + _iptc_block(iptc)
            options["extra"] = b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment
    elif kind == "PNG":
        texts = PngInfo()
        if xmp := options.pop("xmp", None):
            texts.add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8", "replace"))
        if iptc:
            block = _iptc_block(iptc)
            # Not compressed: of compressed texts Pillow reads only short ones.
            texts.add_text(_RAW_IPTC, f"\niptc\n{len(block):8}\n{block.hex()}\n")
        options["pnginfo"] = texts
    elif kind == "TIFF":
        exif = _loaded(options.get("exif", b""))
        for tag in set(exif):
            if tag not in _OF_TIFF:  # such as how pixels are stored, which cameras note in JPEG files too
                del exif[tag]
            elif tag in _IFDS:
                exif.get_ifd(tag).update(_exact(exif.get_ifd(tag)))
            else:
                exif[tag] = _exact(exif[tag])
        for tag, value in ((_XMP, options.pop("xmp", None)), (_IPTC, iptc)):
            if value:
                exif[tag] = value
        options["exif"] = exif
        if not _IFDS & set(exif):  # Pillow writes these into files without compression alone
            exif[_PREDICTOR] = 2  # neighbours subtracted, which compresses better
            options["compression"] = "tiff_adobe_deflate"
    return options


def _exif(image: Image.Image, upright: Image.Image) -> bytes:
    """EXIF without orientation, sizes and thumbnail; the file's own bytes if it has none of these."""
    # Of `upright` Pillow has rewritten EXIF, with ? in place of letters such as an umlaut.
    raw: bytes = image.info.get("exif") or b""
    is_tiff = image.format == "TIFF"
    if not (raw or is_tiff or _RAW_EXIF in image.info):
        return b""
    source = image.getexif() if is_tiff or not raw else _loaded(raw)
    tags = set(source)
    kept = {tag for tag in tags if tag not in _OF_PIXELS and (not is_tiff or tag in _OF_TIFF)}
    inner = source.get_ifd(_IFD.Exif) if _IFD.Exif in kept else {}
    if raw and kept == tags and not inner.keys() & _OF_PIXELS and not _has_thumbnail(raw):
        return raw if raw.startswith(_HEADER) else _HEADER + raw
    result = Image.Exif()
    result.endian = source.endian
    for tag in kept:
        result[tag] = _exact(source.get_ifd(tag) if tag in _IFDS else source[tag])
    if inner:
        result[_IFD.Exif] = inner = _exact({tag: value for tag, value in inner.items() if tag not in _OF_PIXELS})
        if _IFD.Interop in inner:
            inner[_IFD.Interop] = source.get_ifd(_IFD.Interop)
    return result.tobytes() if kept else b""


class _Text(str):
    """A text of EXIF, which Pillow reads as Latin-1 whatever it is. So its bytes are written as they were read."""

    def encode(self, encoding: str = "latin-1", errors: str = "strict") -> bytes:
        return super().encode("latin-1")


def _exact(value: Any) -> Any:
    """A value of EXIF, or a directory of them, whose texts are written to the byte."""
    if isinstance(value, dict):
        return {tag: _exact(inner) for tag, inner in value.items()}
    return _Text(value) if isinstance(value, str) else value


def _has_thumbnail(raw: bytes) -> bool:
    try:
        return bool(_loaded(raw).get_ifd(_IFD.IFD1))
    except Exception:  # a broken one, without which the rest may be intact
        return True


def _loaded(raw: bytes) -> Image.Exif:
    exif = Image.Exif()
    exif.load(raw)
    return exif


def _dpi(image: Image.Image, upright: Image.Image) -> tuple[float, float] | None:
    """Dots per inch; None for those of files that only tell the shape of a pixel, such as 1 x 1."""
    across, down = map(float, image.info.get("dpi") or (0, 0))
    return (across, down) if all(math.isfinite(n) and 1 < n <= _MOST_DPI for n in (across, down)) else None


def _xmp(image: Image.Image, upright: Image.Image) -> bytes | None:
    xmp = upright.info.get("xmp")
    if isinstance(xmp, str):
        xmp = xmp.encode()
    if not xmp or any(name in xmp for name in _OTHERS_IN_XMP):
        return None
    return _SIZES_IN_XMP.sub(b"", xmp.rstrip(b"\0"))


def _iptc(image: Image.Image, upright: Image.Image) -> bytes | None:
    if image.format == "TIFF":
        tags = image.tag_v2  # type: ignore[attr-defined]
        found = tags.get(_IPTC)
        if isinstance(found, tuple):  # some programs store its bytes as numbers of 32 bits
            return struct.pack(f"{'<' if tags.prefix == II else '>'}{len(found)}I", *found).rstrip(b"\0")
        if not found:
            found = image.get_photoshop_blocks().get(_IPTC_BLOCK, {}).get("data")  # type: ignore[attr-defined]
    elif text := image.info.get(_RAW_IPTC):
        data = bytes.fromhex("".join(text.split()[2:]))
        if not data.startswith(b"8BIM"):
            return data
        start = 8 + data[6] // 2 * 2  # after an even number of bytes for the length and the name
        return data[start + 4 : start + 4 + int.from_bytes(data[start : start + 4], "big")]
    else:
        found = image.info.get("photoshop", {}).get(_IPTC_BLOCK) or image.info.get("iptc")
    return found if isinstance(found, bytes) else None


def _iptc_block(iptc: bytes) -> bytes:
    """IPTC as Photoshop wraps it in JPEG files."""
    return b"8BIM" + struct.pack(">HHI", _IPTC_BLOCK, 0, len(iptc)) + iptc + b"\0" * (len(iptc) % 2)
