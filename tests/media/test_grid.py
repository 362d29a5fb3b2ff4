"""Grids of images."""

import numpy as np
from PIL import Image

from hubgan.media.grid import ImageGrid


def filled(names: tuple[str, ...]) -> np.ndarray:
    grid = ImageGrid(6, (8, 8), columns=3, names=names)
    for _ in range(6):
        grid.add(Image.new("RGB", (8, 8), "teal"))
    return np.asarray(grid.image)


def test_names_stand_at_the_left_of_their_rows_and_cover_no_image() -> None:
    plain, named = filled(()), filled(("horse", "a ship with a name that is far too long for a row"))
    assert plain.shape == (22, 32, 3)
    left = named.shape[1] - plain.shape[1]
    assert 40 < left < 130  # the long name is cut
    names, images = named[:, :left], named[:, left:]
    assert (images == (0, 128, 128)).all(2).sum() == 6 * 64
    upper, lower = np.array_split(names, 2)
    assert (upper < 255).any() and (lower < 255).any()
    assert (upper < 255).any((0, 2)).sum() < (lower < 255).any((0, 2)).sum()  # the shorter name is narrower
