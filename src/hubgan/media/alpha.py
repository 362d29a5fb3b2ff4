"""The alpha plane of an enlarged picture: sharp edges, soft gradients, and flat areas that keep their level.

Planes are PIL images of mode L.
"""

from PIL import Image, ImageChops, ImageFilter

_ENDS = 12  # grey levels by which networks often miss opaque and transparent beside an edge
_BLUR = 0.5  # pixels of the small plane: rounds off the stairs, and still leaves a line of a single pixel
_SLOPE = 2.5  # how many times as steep a rounded edge is made


def refine_alpha(large: Image.Image, small: Image.Image) -> Image.Image:
    """Return the alpha plane `large` without what a network, which made it of `small`, does wrong.

    Networks learn from photographs. They leave faint ghosts along edges, and some sharpen gradients. So the network's
    plane counts as far as the 3 x 3 pixels around differ, and the rest is interpolated. Stairs without intermediate
    levels, which networks take for texture, become a smooth contour. Flat areas have exactly the level of `small`.
    """
    highest, lowest = (small.filter(kind(3)) for kind in (ImageFilter.MaxFilter, ImageFilter.MinFilter))
    contrast = ImageChops.difference(highest, lowest).resize(large.size, Image.Resampling.NEAREST)
    soft = small.resize(large.size, Image.Resampling.BILINEAR)
    result = Image.composite(_steeper(large, 255 / (255 - 2 * _ENDS)), soft, contrast)
    between = small.point([0] + [255] * 254 + [0]).filter(ImageFilter.MaxFilter(5))
    blur = ImageFilter.GaussianBlur(_BLUR * large.width / small.width)
    contour = _steeper(small.resize(large.size, Image.Resampling.BICUBIC).filter(blur), _SLOPE)
    return Image.composite(result, contour, between.resize(large.size, Image.Resampling.NEAREST))


def _steeper(plane: Image.Image, slope: float) -> Image.Image:
    return plane.point([min(max(round((level - 127.5) * slope + 127.5), 0), 255) for level in range(256)])
