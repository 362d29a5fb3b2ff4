"""PNG files where Pillow errs: those with damaged chunks, colours by number (cICP), and pixels of some depths."""

import io
import struct
import zlib
from contextlib import suppress
from typing import IO

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile, PngStream

COLOURS = {"cHRM", "cICP", "gAMA", "iCCP", "sRGB", "tRNS"}
"""The chunks that change how a picture looks, besides its pixels."""
_WANTED = (b"IHDR", b"cICP", b"tRNS")
_LONGEST = 1024  # bytes of one of them
_GREY, _RGB, _GREY_ALPHA = 0, 2, 4  # colour types
_OF_ANIMATIONS = (b"acTL", b"fcTL", b"fdAT")
_LONGEST_PROFILE = 1 << 24  # bytes; Pillow reads up to 1 << 20


class PngFile(PngImageFile):
    """Also reads files with ancillary chunks that are damaged or too long, without those, as browsers do.

    A profile of more than a megabyte is kept.

    Attributes:
        left_out: the names of those chunks.
    """

    def _open(self) -> None:
        self.left_out: set[str] = set()
        profile = self._leave_out()
        super()._open()
        if profile:
            self.info["icc_profile"] = profile

    def _leave_out(self) -> bytes | None:
        """Continue with a copy of the file if chunks are left out. Returns a profile that is too long for Pillow."""
        assert self.fp is not None
        file, stream, profile = self.fp, PngStream(self.fp), None
        places = []
        file.seek(8)
        with suppress(struct.error, SyntaxError):  # the file is cut off, which Pillow will find too
            while (chunk := stream.read())[0] != b"IEND":
                name, start, length = chunk
                if name == b"IHDR":
                    stream.call(*chunk)  # tRNS depends on it
                elif name[:1].islower() and name not in _OF_ANIMATIONS:
                    content = _sound(file, *chunk)
                    if content is None or not _is_understood(stream, *chunk):
                        places.append((start - 8, start + length + 4))
                        if name != b"iCCP" or content is None or (profile := _unpacked(content)) is None:
                            self.left_out.add(name.decode())
                file.seek(start + length + 4)
        file.seek(0)
        if places:
            whole = bytearray(file.read())
            for begin, end in reversed(places):
                del whole[begin:end]
            self.fp = io.BytesIO(whole)
        return profile


def read_chunks(image: Image.Image) -> dict[bytes, bytes]:
    """The chunks IHDR, cICP and tRNS of an opened PNG file; none of another picture, and of one that is closed."""
    file: IO[bytes] | None = getattr(image, "fp", None)
    if image.format != "PNG" or file is None or file.closed:
        return {}
    found, place = {}, file.tell()
    file.seek(8)
    while len(head := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", head)
        if name == b"IDAT":
            break
        if name in _WANTED and length <= _LONGEST:
            found[name] = file.read(length)
            length = 0
        file.seek(length + 4, 1)
    file.seek(place)
    return found


def as_stored(image: Image.Image, chunks: dict[bytes, bytes]) -> Image.Image:
    """An opened PNG picture as its file means it, where Pillow means something else; all others themselves.

    Pillow compares pixels of 1, 2 and 4 bits scaled to 8 with a transparent value that is not scaled, and pixels of
    which only the upper 8 bits are left with one of 16. Grey of 16 bits with alpha it opens as RGBA.
    """
    header, key = chunks.get(b"IHDR", b""), chunks.get(b"tRNS", b"")
    if len(header) != 13 or not image.tile:  # type: ignore[attr-defined]
        return image
    depth, kind = header[8], header[9]
    if kind == _GREY and depth < 8 and len(key) == 2:
        value, white = int.from_bytes(key, "big"), (1 << depth) - 1
        result = image.copy()
        if value <= white:
            result.info["transparency"] = value * 255 // white
        else:
            del result.info["transparency"]
        return result
    if kind == _GREY_ALPHA and depth == 16:
        return image.convert("LA")
    if kind == _RGB and depth == 16 and len(key) == 6:
        low, result = _low_bytes(image), image.convert("RGB")
        result.info.pop("transparency")
        hidden = np.ones((image.height, image.width), bool)
        for part, values in ((result, key[::2]), (low, key[1::2])):
            hidden &= (np.asarray(part) == np.frombuffer(values, np.uint8)).all(axis=2)
        result.putalpha(Image.fromarray(np.uint8(255) * ~hidden))
        return result
    return image


def _sound(file: IO[bytes], name: bytes, start: int, length: int) -> bytes | None:
    """The content of a chunk; None if it is damaged, or longer than the file."""
    if start + length + 4 > file.seek(0, io.SEEK_END):
        return None
    file.seek(start)
    content = file.read(length)
    return content if zlib.crc32(name + content) == int.from_bytes(file.read(4), "big") else None


def _is_understood(stream: PngStream, name: bytes, start: int, length: int) -> bool:
    """Whether Pillow can read a sound chunk, if it knows that kind."""
    if not hasattr(stream, f"chunk_{name.decode()}"):
        return True
    assert stream.fp is not None
    stream.fp.seek(start)
    try:
        stream.call(name, start, length)
    except (IndexError, SyntaxError, ValueError, struct.error):
        return False
    return name != b"iCCP" or stream.im_info["icc_profile"] is not None


def _unpacked(content: bytes) -> bytes | None:
    """The profile in the content of a chunk iCCP; None if it is damaged, or far too long."""
    unpacker = zlib.decompressobj()
    with suppress(zlib.error):
        profile = unpacker.decompress(content.partition(b"\0")[2][1:], _LONGEST_PROFILE)
        return profile if unpacker.eof else None
    return None


def _low_bytes(image: Image.Image) -> Image.Image:
    """The lower 8 bits of a picture of 16 bits a channel, not yet decoded."""
    file: IO[bytes] = image.fp  # type: ignore[attr-defined]
    place = file.tell()
    file.seek(0)
    low = PngImageFile(file)
    low.tile = [tile._replace(args="RGB;16L") for tile in low.tile]  # Pillow takes them for the upper ones
    low.load()
    file.seek(place)
    return low
