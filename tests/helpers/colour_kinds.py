"""Small picture files of every kind of colours: depths, colour types, transparency, profiles and gammas."""

import io
import struct
import zlib
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms

from helpers.profiles import (
    ADOBE_RGB,
    DISPLAY_P3,
    PROPHOTO,
    SRGB_CURVE,
    cmyk_profile,
    grey_profile,
    rgb_profile,
)

GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6  # colour types of PNG
_NAMES = {GREY: "grey", RGB: "RGB", PALETTE: "palette", GREY_ALPHA: "grey + alpha", RGB_ALPHA: "RGB + alpha"}
_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
_SIDE = 8  # pixels of each colour: a block of JPEG
_LEVELS = np.array([0.0, 1 / 3, 98 / 255, 2 / 3, 1.0])
_COLOURS = np.array(
    [[0, 0, 0], [1 / 3, 2 / 3, 1], [200 / 255, 30 / 255, 30 / 255], [98 / 255, 98 / 255, 98 / 255], [1, 1, 1]]
)
_INKS = np.array([[255, 0, 0, 0], [0, 255, 0, 0], [0, 0, 255, 0], [100, 50, 20, 60], [0, 0, 0, 0]], np.uint8)

P3 = rgb_profile(DISPLAY_P3, *SRGB_CURVE)
ADOBE = rgb_profile(ADOBE_RGB, 2.19921875)
WIDE = rgb_profile(PROPHOTO, 1.8)
P3_POINTS = (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)
SRGB_POINTS = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)


class Kind(NamedTuple):
    """A kind of file.

    Attributes:
        format: PNG, JPEG, ...
        colours: such as "RGB".
        depth: bits a channel, or of a number in a palette.
        alpha: how it is stored.
        named: what says which colours the numbers mean.
        content: a file of this kind.
        shown: a file that a browser shows alike, where it does not show this one.
    """

    format: str
    colours: str
    depth: int
    alpha: str
    named: str
    content: bytes
    shown: bytes | None = None


def png_file(
    samples: np.ndarray, depth: int, kind: int, *chunks: tuple[bytes, bytes], interlaced: bool = False
) -> bytes:
    """A PNG file of any depth and colour type, with these chunks before its pixels."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    def rows(part: np.ndarray) -> bytes:
        found = b""
        for row in part.reshape(len(part), -1):
            bits = (row[:, None] >> np.arange(depth)[::-1] & 1).astype(np.uint8)
            found += b"\0" + np.packbits(bits).tobytes()
        return found

    height, width = samples.shape[:2]
    parts = [samples[y::down, x::right] for y, x, down, right in _ADAM7] if interlaced else [samples]
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlaced)
    body = zlib.compress(b"".join(rows(part) for part in parts if part.size))
    written = [(b"IHDR", header), *chunks, (b"IDAT", body), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in written)


def gamma(value: float) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", round(value * 100_000))


def chromaticities(points: tuple[float, ...]) -> tuple[bytes, bytes]:
    return b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in points))


def profile_chunk(profile: bytes) -> tuple[bytes, bytes]:
    return b"iCCP", b"x\0\0" + zlib.compress(profile)


def cicp(primaries: int, transfer: int, *, full: int = 1) -> tuple[bytes, bytes]:
    return b"cICP", bytes([primaries, transfer, 0, full])


def transparent(*values: int) -> tuple[bytes, bytes]:
    return b"tRNS", struct.pack(f">{len(values)}H", *values)


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    image.save(file := io.BytesIO(), format, **options)
    return file.getvalue()


def _blocks(values: np.ndarray) -> np.ndarray:
    """A row of colours, (N,) or (N, C), as squares."""
    return values[None].repeat(_SIDE, 0).repeat(_SIDE, 1)


def _samples(depth: int, kind: int) -> np.ndarray:
    white = (1 << depth) - 1
    if kind == PALETTE:
        return _blocks(np.arange(5) % min(white + 1, 5))
    values = _LEVELS if kind in (GREY, GREY_ALPHA) else _COLOURS
    if kind in (GREY_ALPHA, RGB_ALPHA):
        values = np.column_stack([values, [1.0, 0.5, 1.0, 0.0, 1.0]])
    return _blocks(np.rint(values * white).astype(int))


def _png(
    depth: int, kind: int, *chunks: tuple[bytes, bytes], key: bool = False, named: str = "", interlaced: bool = False
) -> Kind:
    samples, alpha = _samples(depth, kind), "channel" if kind in (GREY_ALPHA, RGB_ALPHA) else ""
    written = list(chunks)
    if kind == PALETTE:
        written.append((b"PLTE", np.rint(_COLOURS[: min(1 << depth, 5)] * 255).astype(np.uint8).tobytes()))
    if key:
        alpha = "tRNS"
        value = np.atleast_1d(samples[0, _SIDE]).tolist()
        written.append((b"tRNS", bytes([128, 0])) if kind == PALETTE else transparent(*value))
        if depth == 16:  # others differ from it in the lower bits alone
            samples = samples.copy()
            samples[:4, :4] = samples[0, _SIDE]
            samples[4:, :4] = samples[0, _SIDE] ^ 1
    words = f"{_NAMES[kind]}{', interlaced' if interlaced else ''}"
    return Kind("PNG", words, depth, alpha, named, png_file(samples, depth, kind, *written, interlaced=interlaced))


def _pngs() -> list[Kind]:
    depths = {GREY: (1, 2, 4, 8, 16), RGB: (8, 16), PALETTE: (1, 2, 4, 8), GREY_ALPHA: (8, 16), RGB_ALPHA: (8, 16)}
    kinds = []
    for kind, found in depths.items():
        for depth in found:
            kinds += [_png(depth, kind), _png(depth, kind, gamma(1), named="gAMA 1.0")]
            if kind not in (GREY_ALPHA, RGB_ALPHA):
                kinds += [_png(depth, kind, key=True), _png(depth, kind, gamma(1), key=True, named="gAMA 1.0")]
    kinds += [_png(depth, GREY, key=True, interlaced=True) for depth in (2, 16)]
    kinds += [_png(16, RGB, key=True, interlaced=True), _png(4, PALETTE, key=True, interlaced=True)]
    kinds += [
        _png(8, RGB, gamma(0.45455), named="gAMA 0.45455"),
        _png(8, RGB, gamma(1 / 1.8), named="gAMA 0.55556"),
        _png(8, RGB, gamma(0.45455), chromaticities(SRGB_POINTS), named="gAMA 0.45455, cHRM of sRGB"),
        _png(8, RGB, gamma(1), chromaticities(P3_POINTS), named="gAMA 1.0, cHRM of P3"),
        _png(8, RGB, chromaticities(P3_POINTS), named="cHRM of P3 alone"),
        _png(8, RGB, (b"sRGB", b"\0"), gamma(1), named="sRGB, gAMA 1.0"),
        _png(8, RGB, profile_chunk(P3), named="ICC Display P3"),
        _png(16, RGB, profile_chunk(P3), key=True, named="ICC Display P3"),
        _png(8, PALETTE, profile_chunk(P3), key=True, named="ICC Display P3"),
        _png(8, RGB_ALPHA, profile_chunk(ADOBE), named="ICC Adobe RGB"),
        _png(8, RGB, profile_chunk(ADOBE), gamma(1), named="ICC Adobe RGB, gAMA 1.0"),
        _png(8, RGB, profile_chunk(b"broken"), gamma(1), named="ICC broken, gAMA 1.0"),
        _png(8, GREY, profile_chunk(grey_profile()), named="ICC grey, linear"),
        _png(16, GREY, profile_chunk(grey_profile()), named="ICC grey, linear"),
        _png(8, GREY_ALPHA, profile_chunk(grey_profile()), named="ICC grey, linear"),
        _png(8, GREY, profile_chunk(WIDE), named="ICC ProPhoto"),
        _png(16, GREY, profile_chunk(WIDE), named="ICC ProPhoto"),
        _png(8, RGB, profile_chunk(grey_profile()), gamma(1), named="ICC grey, gAMA 1.0"),
        _png(8, RGB, cicp(12, 13), named="cICP Display P3"),
        _png(8, RGB, profile_chunk(ADOBE), cicp(12, 13), named="cICP Display P3, ICC Adobe RGB"),
        _png(8, RGB_ALPHA, cicp(9, 14), named="cICP BT.2020"),
        _png(8, RGB, cicp(1, 8), named="cICP linear"),
        _png(8, RGB, cicp(9, 16), named="cICP PQ"),
        _png(8, RGB, cicp(9, 18), named="cICP HLG"),
        _png(8, GREY, cicp(1, 8), named="cICP linear"),
        _png(16, GREY, cicp(1, 1), named="cICP BT.709"),
        _png(8, GREY, cicp(9, 16), named="cICP PQ"),
        _png(16, GREY, cicp(9, 16), named="cICP PQ"),
        _png(8, GREY, cicp(9, 18), named="cICP HLG"),
        _png(16, GREY, cicp(9, 18), named="cICP HLG"),
        _png(8, GREY_ALPHA, cicp(9, 16), named="cICP PQ"),
        _png(16, RGB, cicp(9, 16), named="cICP PQ"),
        _png(8, RGB, cicp(12, 13, full=0), gamma(1), named="cICP of limited range, gAMA 1.0"),
    ]
    return kinds


def _others() -> list[Kind]:
    colours = np.rint(_COLOURS * 255).astype(np.uint8)
    levels = np.rint(_LEVELS * 255).astype(np.uint8)
    rgb, grey = Image.fromarray(_blocks(colours)), Image.fromarray(_blocks(levels))
    inks, press = Image.fromarray(_blocks(_INKS), "CMYK"), cmyk_profile()
    target = ImageCms.createProfile("sRGB")
    printed = ImageCms.profileToProfile(inks, io.BytesIO(press), target, ImageCms.Intent.PERCEPTUAL, outputMode="RGB")
    clear = Image.fromarray(_blocks(np.column_stack([colours, [255, 128, 255, 0, 255]]).astype(np.uint8)))
    best = {"quality": 100, "subsampling": 0}
    lossless = {"lossless": True, "exact": True}
    deep = levels.astype(np.uint16) * 257
    plain, plain_grey, wide = (kind.content for kind in (_png(8, RGB), _png(8, GREY), _png(8, RGB, profile_chunk(P3))))
    hidden = rgb.quantize(8)
    hidden.info["transparency"] = hidden.getpixel((_SIDE, 0))

    def jpeg(colours: str, image: Image.Image, named: str = "", profile: bytes | None = None) -> Kind:
        return Kind("JPEG", colours, 8, "", named, encoded(image, "JPEG", icc_profile=profile, **best))

    def page(colours: str, depth: int, content: bytes, shown: bytes, named: str = "") -> Kind:
        return Kind("TIFF", colours, depth, "", named, content, shown)

    return [
        jpeg("RGB", rgb),
        jpeg("RGB", rgb, "ICC Display P3", P3),
        jpeg("RGB", rgb, "ICC grey, linear", grey_profile()),
        jpeg("grey", grey),
        jpeg("grey", grey, "ICC grey, linear", grey_profile()),
        jpeg("grey", grey, "ICC ProPhoto", WIDE),
        jpeg("CMYK of Adobe", inks),
        jpeg("CMYK of Adobe", inks, "ICC CMYK", press)._replace(shown=encoded(printed, "PNG")),
        Kind("WebP", "RGB", 8, "", "", encoded(rgb, "WEBP", **lossless)),
        Kind("WebP", "RGB + alpha", 8, "channel", "", encoded(clear, "WEBP", **lossless)),
        Kind("WebP", "RGB", 8, "", "ICC Adobe RGB", encoded(rgb, "WEBP", icc_profile=ADOBE, **lossless)),
        Kind("GIF", "palette", 8, "", "", encoded(rgb.quantize(8), "GIF")),
        Kind("GIF", "palette", 8, "one colour", "", encoded(hidden, "GIF")),
        Kind("BMP", "RGB", 8, "", "", encoded(rgb, "BMP")),
        page("grey", 8, tiff(_blocks(levels)), plain_grey),
        page("grey, 0 is white", 8, tiff(_blocks(255 - levels), white_is_zero=True), plain_grey),
        page("grey", 16, tiff(_blocks(deep)), plain_grey),
        page("grey, 0 is white", 16, tiff(_blocks(65535 - deep), white_is_zero=True), plain_grey),
        page("RGB", 8, encoded(rgb, "TIFF"), plain),
        page("RGB", 8, encoded(rgb, "TIFF", icc_profile=P3), wide, "ICC Display P3"),
        page("CMYK", 8, encoded(inks, "TIFF"), encoded(inks, "JPEG", **best)),
        page("CMYK", 8, encoded(inks, "TIFF", icc_profile=press), encoded(printed, "PNG"), "ICC CMYK"),
    ]


def tiff(grey: np.ndarray, *, white_is_zero: bool = False, big_endian: bool = False) -> bytes:
    """A TIFF file of grey, of 8 or 16 bits."""
    return tiff_file(grey, int(not white_is_zero), big_endian=big_endian)


def tiff_file(
    samples: np.ndarray,
    photometric: int,
    *,
    bits: int = 0,
    extra: int | None = None,
    separate: bool = False,
    compressed: bool = False,
    big_endian: bool = False,
) -> bytes:
    """A TIFF file of these numbers, (H, W) or (H, W, C).

    Args:
        samples: the numbers, whose dtype is that of the file.
        photometric: how they become colours; 1 is grey, 2 RGB.
        bits: of a number, 12 or those of the dtype.
        extra: what the last channel is, such as 2 for alpha.
        separate: each channel in a plane of its own.
        compressed: by deflate, else not at all.
        big_endian: the order of the bytes.
    """
    order, samples = ">" if big_endian else "<", np.atleast_3d(samples)
    height, width, channels = samples.shape
    planes = np.moveaxis(samples, 2, 0) if separate else [samples]
    parts = [np.ascontiguousarray(plane, samples.dtype.newbyteorder(order)).tobytes() for plane in planes]
    if bits == 12:
        parts = [np.packbits(row[:, None] >> np.arange(12)[::-1] & 1).tobytes() for row in samples[..., 0]]
        parts = [b"".join(parts)]
    parts = [zlib.compress(part) for part in parts] if compressed else parts
    kind = {"u": 1, "i": 2, "f": 3}[samples.dtype.kind]
    bits = bits or samples.dtype.itemsize * 8
    tags = {
        256: [width], 257: [height], 258: [bits] * channels, 259: [8 if compressed else 1], 262: [photometric],
        273: [0] * len(parts), 277: [channels], 278: [height], 279: [len(part) for part in parts],
        284: [2 if separate else 1], 339: [kind] * channels, 530: [1, 1],
    }  # fmt: skip
    tags |= {} if extra is None else {338: [extra]}
    start = 8 + 2 + 12 * len(tags) + 4
    place = start + sum(4 * len(values) for values in tags.values() if len(values) > 1)
    for number, part in enumerate(parts):
        tags[273][number] = place
        place += len(part)
    table, values_apart = struct.pack(f"{order}H", len(tags)), b""
    for tag, values in sorted(tags.items()):
        value = values[0] if len(values) == 1 else start + len(values_apart)
        values_apart += struct.pack(f"{order}{len(values)}I", *values) if len(values) > 1 else b""
        table += struct.pack(f"{order}HHII", tag, 4, len(values), value)
    header = struct.pack(f"{order}2sHI", b"MM" if big_endian else b"II", 42, 8)
    return header + table + bytes(4) + values_apart + b"".join(parts)


KINDS = [*_pngs(), *_others()]
