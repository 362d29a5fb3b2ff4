"""Small ICC profiles, by their bytes."""

import struct

SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
# Red, green and blue in XYZ at the white D50.
DISPLAY_P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
ADOBE_RGB = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
PROPHOTO = ((0.79767, 0.28804, 0.0), (0.13519, 0.71188, 0.0), (0.03134, 0.00009, 0.82491))


def icc_profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """A small ICC profile of version 2 from the bytes of its tags."""
    white = struct.pack(">3i", *(round(v * 65536) for v in (0.9642, 1.0, 0.8249)))
    text = b"text\0\0\0\0test\0"
    tags = {b"cprt": text, b"wtpt": b"XYZ \0\0\0\0" + white, **tags}
    start, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content + b"\0" * (-len(content) % 4)
    connection = b"Lab " if space == b"CMYK" else b"XYZ "
    kind = b"prtr" if space == b"CMYK" else b"mntr"
    header = struct.pack(">I4sI4s4s4s12s4s", 0, b"lcms", 0x02100000, kind, space, connection, b"", b"acsp")
    header = (header.ljust(68, b"\0") + white).ljust(128, b"\0") + struct.pack(">I", len(tags))
    return struct.pack(">I", start + len(body)) + header[4:] + table + body


def cmyk_profile() -> bytes:
    """Inks of an odd press: cyan prints as red, black as black, the others not at all."""
    table = bytearray()
    for corner in range(16):
        cyan, black = corner >> 3 & 1, corner & 1
        table += bytes([0 if black else 128 if cyan else 255, 208 if cyan else 128, 176 if cyan else 128])
    identity = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    ramp = bytes(range(256))
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + identity + ramp * 4 + bytes(table) + ramp * 3
    return icc_profile(b"CMYK", {b"A2B0": lut})


def grey_profile() -> bytes:
    """Grey proportional to light: a value of 55 looks like 128 in sRGB."""
    return icc_profile(b"GRAY", {b"kTRC": b"curv\0\0\0\0" + struct.pack(">IH", 1, 256) + b"\0\0"})


def rgb_profile(primaries: tuple[tuple[float, ...], ...], *curve: float) -> bytes:
    """A profile of RGB by its primaries and the parameters of its curve: a gamma, or the five of `SRGB_CURVE`."""

    def fixed(kind: bytes, values: tuple[float, ...]) -> bytes:
        return kind + struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))

    tags = {}
    for name, xyz in zip((b"r", b"g", b"b"), primaries, strict=True):
        kind = 3 if len(curve) == 5 else 0
        tags[name + b"XYZ"] = fixed(b"XYZ \0\0\0\0", xyz)
        tags[name + b"TRC"] = fixed(b"para\0\0\0\0" + struct.pack(">HH", kind, 0), curve)
    return icc_profile(b"RGB ", tags)
