"""TIFF files where Pillow errs: several pages, separate planes, and numbers of kinds that it takes for others."""

from typing import Any

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import (
    BITSPERSAMPLE,
    COMPRESSION,
    MM,
    PHOTOMETRIC_INTERPRETATION,
    PLANAR_CONFIGURATION,
    SAMPLEFORMAT,
    TiffImageFile,
)

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _YCBCR = 0, 1, 6
_UNCOMPRESSED, _DEFLATE = 1, 8
_SEPARATE = 2
_SIGNED = 2
_KINDS = {1: "unsigned", 2: "signed", 3: "floating point"}
_WHITE_16, _WHITE_12 = 65535, 4095
# libtiff gives numbers in the order of this machine, not of the file.
_NATIVE = {"I;16BS": "I;16NS", "I;32BS": "I;32NS", "F;32BF": "F;32NF"}


class TiffFile(TiffImageFile):
    """Also reads separate planes, YCbCr, and big-endian numbers of all kinds; a negative as Pillow gives most of them.

    A page without a profile or a resolution does not take those of the page before.
    """

    def _setup(self) -> None:
        for key in ("icc_profile", "dpi"):
            self.info.pop(key, None)
        tags, pretended = self.tag_v2, {}
        photometric = tags.get(PHOTOMETRIC_INTERPRETATION, _WHITE_IS_ZERO)
        separate = tags.get(PLANAR_CONFIGURATION) == _SEPARATE
        if tags.prefix == MM and tags.get(BITSPERSAMPLE) == (16,) and photometric == _WHITE_IS_ZERO:
            pretended[PHOTOMETRIC_INTERPRETATION] = _BLACK_IS_ZERO
        if tags.get(COMPRESSION, _UNCOMPRESSED) == _UNCOMPRESSED and (separate or photometric == _YCBCR):
            pretended[COMPRESSION] = _DEFLATE  # then libtiff decodes it, which knows how
        own = {tag: tags[tag] for tag in pretended if tag in tags}
        for tag, value in pretended.items():
            tags[tag] = value
        try:
            super()._setup()
        except SyntaxError as error:
            raise SyntaxError(f"{error}: {self._numbers()}") from error
        for tag in pretended:
            tags.pop(tag)
        for tag, value in own.items():
            tags[tag] = value
        if separate and self.mode in ("LA", "PA"):  # of which Pillow gives the first plane alone
            raise SyntaxError(f"alpha in a separate plane: {self._numbers()}")
        self.tile = [tile._replace(args=_in_native_order(tile.args)) for tile in self.tile]

    def _numbers(self) -> str:
        bits, kinds = self.tag_v2.get(BITSPERSAMPLE, (1,)), self.tag_v2.get(SAMPLEFORMAT, (1,))
        return f"{' + '.join(map(str, bits))} bits, {_KINDS.get(kinds[0], 'unknown')}"


def corrected(image: Image.Image) -> Image.Image:
    """A decoded picture; a copy with other values if it is from a TIFF file whose values Pillow misunderstands.

    These are negatives of 16 bits or in floats, grey of 12 bits, and signed grey of 8 bits.
    """
    tags = getattr(image, "tag_v2", {})
    bits, negative = tags.get(BITSPERSAMPLE), tags.get(PHOTOMETRIC_INTERPRETATION) == _WHITE_IS_ZERO
    if image.mode.startswith("I;16") and negative:
        values = _WHITE_16 - np.asarray(image).astype(np.uint16)
    elif image.mode.startswith("I;16") and bits == (12,):
        values = (np.asarray(image).astype(np.uint32) * _WHITE_16 // _WHITE_12).astype(np.uint16)
    elif image.mode == "F" and negative:
        values = 1 - np.asarray(image)
    elif image.mode == "L" and bits == (8,) and tags.get(SAMPLEFORMAT) == (_SIGNED,):
        values = np.asarray(image).view(np.int8).astype(np.int32)
    else:
        return image
    result = Image.fromarray(values)
    result.info = image.info.copy()
    return result


def _in_native_order(arguments: Any) -> Any:
    """The arguments of a tile that libtiff decodes, in the order of bytes that it gives."""
    if isinstance(arguments, tuple) and len(arguments) == 4:
        return (_NATIVE.get(arguments[0], arguments[0]), *arguments[1:])
    return arguments
