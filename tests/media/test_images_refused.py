"""What hubgan.images refuses: what is no picture, what is broken, and what claims to be too large."""

import contextlib
import io
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.pictures import picture, png, save
from hubgan.errors import ImageError
from hubgan.media.images import MAX_PIXELS, fit, open_image, to_tensor


@contextlib.contextmanager
def ignored_warnings() -> Iterator[None]:
    """Pillow warns of damage before it gives up."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def test_paths_that_are_no_pictures(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"absent\.png does not exist"):
        open_image(tmp_path / "absent.png")
    with pytest.raises(ImageError, match="is a folder"):
        open_image(tmp_path)
    (tmp_path / "text.png").write_text("This is not a picture.")
    with pytest.raises(ImageError, match=r"text\.png is not a picture"):
        open_image(tmp_path / "text.png")
    (tmp_path / "empty.png").touch()
    with pytest.raises(ImageError, match=r"empty\.png is empty"):
        open_image(tmp_path / "empty.png")
    picture().save(tmp_path / "picture.eps")
    with pytest.raises(ImageError, match="not a picture in a supported format"):
        open_image(tmp_path / "picture.eps")
    for name in ("a\0b", "x" * 5000, "https://example.org/cat.png"):
        with pytest.raises(ImageError):
            open_image(name)
    for source in (None, 7, [1, 2], io.BytesIO()):
        with pytest.raises(ImageError, match="not a picture: "):
            open_image(source)  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="empty"):
        open_image(b"")


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif", "bmp", "tiff", "ppm", "avif", "heic"])
def test_broken_files_are_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"p.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    save(Image.fromarray(noise), path)
    whole = path.read_bytes()
    for length in (1, 2, 5, 13, 20, len(whole) // 4, len(whole) // 2):
        path.write_bytes(whole[:length])
        with ignored_warnings(), pytest.raises(ImageError, match=rf"p\.{suffix}"):
            open_image(path)
    damage = np.random.default_rng(1)
    for _ in range(20):
        broken = bytearray(whole)
        for place in damage.integers(0, min(len(whole), 400), 5):
            broken[place] = damage.integers(0, 256)
        # Some damage goes unnoticed; any other exception fails the test.
        with ignored_warnings(), contextlib.suppress(ImageError):
            open_image(bytes(broken))


def test_a_lazily_opened_broken_picture_is_refused(tmp_path: Path) -> None:
    picture(200, 200).save(tmp_path / "p.jpg")
    whole = (tmp_path / "p.jpg").read_bytes()
    (tmp_path / "p.jpg").write_bytes(whole[: len(whole) // 2])
    with Image.open(tmp_path / "p.jpg") as image, pytest.raises(ImageError, match=r"p\.jpg cannot be read"):
        open_image(image)
    for size in ((0, 5), (5, 0)):
        with pytest.raises(ImageError, match="pixels"):
            open_image(Image.new("RGB", size))


def test_a_claim_of_too_many_pixels_is_refused_before_decoding(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png(100_000, 100_000, data=bytes(1000)))
    open_image(png(1, 1, data=bytes(4)))  # all formats are registered by now
    limit = Image.MAX_IMAGE_PIXELS
    for source in (path, path.read_bytes(), png(10_000, 10_000)):
        start = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(ImageError, match=rf"megapixels; the limit is {MAX_PIXELS // 10**6}\. Shrink"):
                open_image(source)
        assert time.process_time() - start < 0.5  # it takes milliseconds
    assert limit == Image.MAX_IMAGE_PIXELS


def test_the_limit_is_exact_and_holds_for_all_kinds_of_source() -> None:
    image = picture(10, 10)
    data = io.BytesIO()
    image.save(data, format="PNG")
    for source in (image, data.getvalue(), np.asarray(image), to_tensor(image)):
        assert open_image(source, max_pixels=100).size == (10, 10)
        with pytest.raises(ImageError, match=r"has 0\.1 megapixels; the limit is 9\.9e-05"):
            open_image(source, max_pixels=99)


def test_pillows_own_limit_does_not_get_in_the_way(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    picture(64, 64).save(tmp_path / "p.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fit(open_image(tmp_path / "p.png"), 8, 3).size == (8, 8)
