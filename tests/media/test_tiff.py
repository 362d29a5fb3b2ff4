"""TIFF files of every kind of numbers: read right, or refused with what they hold."""

import numpy as np
import pytest
from PIL import Image

from helpers.colour_kinds import tiff_file
from helpers.pictures import pixels
from hubgan.errors import ImageError
from hubgan.media.images import open_image

GREY, RGB, CMYK, YCBCR = 1, 2, 5, 6
NOISE = np.random.default_rng(0)
BYTES = NOISE.integers(0, 256, (8, 16, 4), dtype=np.uint8)
WORDS = NOISE.integers(0, 65536, (8, 16, 4), dtype=np.uint16)
HIGH = WORDS >> 8
CLEAR = {"compressed": [False, True], "big_endian": [False, True]}


def each_way(test: object) -> object:
    for name, values in CLEAR.items():
        test = pytest.mark.parametrize(name, values)(test)
    return test


@each_way
def test_grey(compressed: bool, big_endian: bool) -> None:
    def read(values: np.ndarray, photometric: int = GREY, **options: int) -> list[int]:
        content = tiff_file(values, photometric, compressed=compressed, big_endian=big_endian, **options)
        found = pixels(open_image(content, deep=True))
        return found.reshape(-1, *found.shape[2:])[:, 0].tolist() if found.ndim == 3 else found.ravel().tolist()

    words = np.array([[0, 1000, 65535]])
    assert read(words.astype(np.uint16)) == [0, 1000, 65535]
    assert read(words.astype(np.uint16), 0) == [65535, 64535, 0]
    assert read(words.astype(np.int32)) == [0, 1000, 65535]
    assert read(np.array([[0, 1000, 32767]], np.int16)) == [0, 1000, 32767]
    assert read(np.array([[0, 40, 127]], np.int8)) == [0, 40, 127]
    assert read(np.array([[0, 0.4, 1]], np.float32)) == [0, 102, 255]
    assert read(np.array([[0, 0.4, 1]], np.float32), 0) == [255, 153, 0]
    if not big_endian:
        assert read(np.array([[0, 1000, 4095, 7]], np.uint16), bits=12) == [0, 16003, 65535, 112]


@each_way
@pytest.mark.parametrize("separate", [False, True])
def test_colours(compressed: bool, big_endian: bool, separate: bool) -> None:
    options = {"separate": separate, "compressed": compressed, "big_endian": big_endian}

    def read(values: np.ndarray, photometric: int = RGB, extra: int | None = None) -> np.ndarray:
        return pixels(open_image(tiff_file(values, photometric, extra=extra, **options)))

    for given, shown in ((BYTES, BYTES), (WORDS, HIGH)):
        assert np.array_equal(read(given[..., :3]), shown[..., :3])
        assert np.array_equal(read(given, extra=2), shown)
        assert np.array_equal(read(given, extra=0), shown[..., :3])
        inks = read(given, CMYK)
        assert np.abs(inks - (255 - shown[..., :3].astype(float)) * (255 - shown[..., 3:]) / 255).max() < 2
    straight = BYTES.astype(float)
    straight[..., 3] = np.maximum(straight[..., 3], 64)
    associated = np.rint(straight * np.array([1, 1, 1, 0]) * straight[..., 3:] / 255)
    associated[..., 3] = straight[..., 3]
    assert np.abs(read(associated.astype(np.uint8), extra=1) - straight).max() <= 4
    luma = Image.fromarray(np.ascontiguousarray(BYTES[..., :3]), "YCbCr")
    assert np.abs(read(BYTES[..., :3], YCBCR) - pixels(luma.convert("RGB"))).max() <= 1


@each_way
@pytest.mark.parametrize(
    ("values", "told"),
    [
        (np.array([[-5, 100]], np.int8), "values from -5 to 100.*Save it with 8 or 16 bits"),
        (np.array([[-5, 100]], np.int16), "values from -5 to 100.*Save it with 8 or 16 bits"),
        (np.array([[0, 70000]], np.int32), "values from 0 to 70000.*Save it with 8 or 16 bits"),
        (np.array([[0, 3]], np.float32), r"values from 0\.0 to 3\.0.*Save it with 8 or 16 bits"),
        (np.array([[0, 1]], np.float64), "64 bits, floating point.*save it as PNG"),
        (np.zeros((2, 2, 3), np.float32), r"32 \+ 32 \+ 32 bits, floating point.*save it as PNG"),
        (np.zeros((2, 2, 3), np.int8), r"8 \+ 8 \+ 8 bits, signed.*save it as PNG"),
    ],
)
def test_numbers_that_are_no_colours_are_named(
    values: np.ndarray, told: str, compressed: bool, big_endian: bool
) -> None:
    with pytest.raises(ImageError, match=told):
        open_image(tiff_file(values, RGB if values.ndim == 3 else GREY, compressed=compressed, big_endian=big_endian))


@each_way
def test_grey_with_alpha(compressed: bool, big_endian: bool) -> None:
    options = {"extra": 2, "compressed": compressed, "big_endian": big_endian}
    found = pixels(open_image(tiff_file(BYTES[..., :2], GREY, **options)))
    assert np.array_equal(found[..., [0, 3]], BYTES[..., :2])
    with pytest.raises(ImageError, match="alpha in a separate plane"):
        open_image(tiff_file(BYTES[..., :2], GREY, separate=True, **options))
