"""The alpha plane of an enlarged picture: sharp edges, soft gradients, and flat areas that keep their level.

Planes are PIL images of mode L.
"""

from PIL import Image, ImageChops, ImageFilter

_ENDS = 16  # grey levels by which networks often miss opaque and transparent beside a hard edge
_BLUR = 0.5  # pixels of the small plane: rounds off the stairs, and still leaves a line of a single pixel
_SLOPE = 2.5  # how many times as steep a rounded edge is made


def refine_alpha(large: Image.Image, small: Image.Image) -> Image.Image:
    """Return the alpha plane `large` without what a network, which made it of `small`, does wrong.

    Networks learn from photographs. Some sharpen gradients: so the network's plane counts as far as the 3 x 3 pixels
    around differ, and the rest is interpolated. They leave faint ghosts along hard edges, which are removed. Stairs
    without intermediate levels, which networks take for texture, become a smooth contour. Flat areas have exactly the
    level of `small`.
    """

    def repeated(plane: Image.Image) -> Image.Image:
        return plane.resize(large.size, Image.Resampling.NEAREST)

    contrast = _contrast(small, 3)
    result = Image.composite(large, small.resize(large.size, Image.Resampling.BILINEAR), repeated(contrast))
    hard = _contrast(small, 5).point([max(2 * level - 255, 0) for level in range(256)])
    hard = ImageChops.darker(hard, contrast.point([0] + [255] * 255))
    result = Image.composite(_steeper(result, 255 / (255 - 2 * _ENDS)), result, repeated(hard))
    between = small.point([0] + [255] * 254 + [0]).filter(ImageFilter.MaxFilter(5))
    blur = ImageFilter.GaussianBlur(_BLUR * large.width / small.width)
    contour = _steeper(small.resize(large.size, Image.Resampling.BICUBIC).filter(blur), _SLOPE)
    return Image.composite(result, contour, repeated(between))


def _contrast(plane: Image.Image, side: int) -> Image.Image:
    """By how much the pixels differ in the square of `side` pixels around each."""
    return ImageChops.difference(plane.filter(ImageFilter.MaxFilter(side)), plane.filter(ImageFilter.MinFilter(side)))


def _steeper(plane: Image.Image, slope: float) -> Image.Image:
    return plane.point([min(max(round((level - 127.5) * slope + 127.5), 0), 255) for level in range(256)])
