"""TIFF files where Pillow errs: those of several pages, and those of 16 bits in which 0 is white."""

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import BITSPERSAMPLE, MM, PHOTOMETRIC_INTERPRETATION, TiffImageFile

_WHITE_IS_ZERO, _BLACK_IS_ZERO = 0, 1
_WHITE_16 = 65535


class TiffFile(TiffImageFile):
    """Also reads big-endian grey of 16 bits in which 0 is white, as a negative like little-endian grey.

    A page without a profile or a resolution does not take those of the page before.
    """

    def _setup(self) -> None:
        for key in ("icc_profile", "dpi"):
            self.info.pop(key, None)
        tags = self.tag_v2
        # Of 8 bits and less Pillow makes a positive itself.
        deep = tags.prefix == MM and tags.get(BITSPERSAMPLE) == (16,)
        if deep and tags.get(PHOTOMETRIC_INTERPRETATION) == _WHITE_IS_ZERO:
            tags[PHOTOMETRIC_INTERPRETATION] = _BLACK_IS_ZERO
            super()._setup()
            tags[PHOTOMETRIC_INTERPRETATION] = _WHITE_IS_ZERO
        else:
            super()._setup()


def positive(image: Image.Image) -> Image.Image:
    """A decoded picture; if it is a negative of 16 bits from a TIFF file, a positive copy."""
    tags = getattr(image, "tag_v2", {})
    if not image.mode.startswith("I;16") or tags.get(PHOTOMETRIC_INTERPRETATION) != _WHITE_IS_ZERO:
        return image
    result = Image.fromarray(_WHITE_16 - np.asarray(image).astype(np.uint16))
    result.info = image.info.copy()
    return result
