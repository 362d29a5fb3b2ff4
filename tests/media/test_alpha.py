"""Alpha planes that something has enlarged, whatever that does."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from helpers.pictures import cut_out, noise
from hubgan.media.alpha import refine_alpha


def test_flat_areas_keep_their_level_whatever_the_network_makes() -> None:
    _, mask = cut_out()
    for levels in ((0, 255), (0, 100), (30, 255), (0, 200)):
        small = mask.point([round(levels[0] + (levels[1] - levels[0]) * level / 255) for level in range(256)])
        found = np.asarray(refine_alpha(noise(192, 192).convert("L"), small))
        nearest = np.asarray(small.resize((192, 192), Image.Resampling.NEAREST))
        highest, lowest = (small.filter(kind(3)) for kind in (ImageFilter.MaxFilter, ImageFilter.MinFilter))
        flat = np.asarray(highest.resize((192, 192), 0)) == np.asarray(lowest.resize((192, 192), 0))
        assert flat.mean() > 0.3 and (found[flat] == nearest[flat]).all()


def test_a_gradient_stays_soft_though_the_network_makes_it_hard() -> None:
    small = Image.radial_gradient("L").resize((48, 48), Image.Resampling.BOX)
    soft = small.resize((192, 192), Image.Resampling.BICUBIC)
    found = refine_alpha(soft.point([0] * 128 + [255] * 128), small)
    assert np.abs(np.asarray(found, int) - np.asarray(soft, int)).mean() < 8


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_stairs_become_a_smooth_contour(scale: int) -> None:
    truth, mask = cut_out(scale)
    stairs = mask.point([0] * 128 + [255] * 128)
    found, bicubic = refine_alpha(noise(*truth.size).convert("L"), stairs), stairs.resize(truth.size, 3)
    error, usual = (np.abs(np.asarray(plane, int) - np.asarray(truth, int)).mean() for plane in (found, bicubic))
    assert error < 0.8 * usual
