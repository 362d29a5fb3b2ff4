"""TIFF files of several pages."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from hubgan import Upscaler
from hubgan.errors import ImageError
from hubgan.media.images import open_image
from hubgan.media.pages import open_pages, page_sizes, save_pages

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def pages(tmp_path: Path) -> list[Image.Image]:
    """Three pages of different size, mode and resolution, in `scan.tif`."""
    found = [
        Image.new("RGB", (8, 6), "red"),
        Image.fromarray(np.full((5, 4), 300, np.uint16)),
        Image.new("LA", (3, 3)),
    ]
    for dpi, page in zip((100, 200, 300), found, strict=True):
        page.info["dpi"] = (dpi, dpi)
    save_pages(found, tmp_path / "scan.tif")
    return found


def test_pages_become_pages(hubgan: Run, tmp_path: Path, upscaler: Upscaler, pages: list[Image.Image]) -> None:
    status, said, complained = hubgan("upscale", "up", "scan.tif", "-o", "new/")
    assert (status, complained) == (0, "") and "new/scan.tif" in said
    large = list(open_pages(tmp_path / "new" / "scan.tif"))
    assert [page.size for page in large] == [(16, 12), (8, 10), (6, 6)] == page_sizes(tmp_path / "new" / "scan.tif")
    assert [page.mode for page in large] == ["RGB", "I;16", "RGBA"]
    assert [page.info["dpi"] for page in large] == [(100, 100), (200, 200), (300, 300)]
    assert large[1].tobytes() == upscaler.upscale(pages[1]).tobytes()


def test_a_page_does_not_take_what_another_says(tmp_path: Path) -> None:
    said, silent = Image.new("RGB", (8, 6)), Image.new("RGB", (8, 6))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    said.info |= {"dpi": (100, 100), "icc_profile": profile, "xmp": b"<x/>", "iptc": b"\x1c\x02\x50\x00\x03Ada"}
    save_pages([said, silent], tmp_path / "a.tif")
    first, second = open_pages(tmp_path / "a.tif")
    assert said.info.items() <= first.info.items() and not second.info


def test_pages_that_are_left_out_are_counted(
    hubgan: Run, tmp_path: Path, upscaler: Upscaler, pages: list[Image.Image]
) -> None:
    status, _, complained = hubgan("upscale", "up", "scan.tif", "-o", "one.png")
    assert status == 0
    assert "scan.tif: 2 of 3 pages are skipped, because PNG holds one (-o NAME.tif keeps all)" in complained
    assert open_image(tmp_path / "one.png").size == (16, 12)


def test_upscale_takes_the_first_page_and_says_so(
    tmp_path: Path, upscaler: Upscaler, pages: list[Image.Image], caplog: pytest.LogCaptureFixture
) -> None:
    assert upscaler.upscale(tmp_path / "scan.tif").size == (16, 12)
    assert "scan.tif has 3 pages, but only the first is enlarged" in caplog.text


def test_a_tiff_of_one_page_becomes_png_or_what_is_asked_for(hubgan: Run, tmp_path: Path, upscaler: Upscaler) -> None:
    page = Image.fromarray(np.arange(48, dtype=np.uint16).reshape(6, 8))
    page.save(tmp_path / "a.tif")
    assert hubgan("upscale", "up", "a.tif")[1] == "a-x2.png: 16 x 12 pixels\n"
    assert hubgan("upscale", "up", "a.tif", "-o", "b.tiff")[0] == 0
    assert open_image(tmp_path / "b.tiff", deep=True).tobytes() == upscaler.upscale(page).tobytes()


def test_a_smaller_copy_of_a_page_is_no_page(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[254] = 1
    copy = Image.new("L", (2, 2))
    copy.encoderinfo = {"exif": exif}
    Image.new("L", (8, 8)).save(tmp_path / "a.tif", save_all=True, append_images=[copy])
    assert page_sizes(tmp_path / "a.tif") == [(8, 8)]


def test_a_broken_page_is_named(tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "a.tif", save_all=True, append_images=[Image.new("L", (90, 90))])
    (tmp_path / "a.tif").write_bytes((tmp_path / "a.tif").read_bytes()[:-4000])  # pixels of the second page
    with pytest.raises(ImageError, match=r"a\.tif, page 2: "):
        list(open_pages(tmp_path / "a.tif"))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_page_that_is_missing_is_no_end(
    hubgan: Run, tmp_path: Path, upscaler: Upscaler, pages: list[Image.Image]
) -> None:
    whole = (tmp_path / "scan.tif").read_bytes()
    with Image.open(tmp_path / "scan.tif") as image:
        image.seek(1)
        second = image._frame_pos[1]
    (tmp_path / "cut.tif").write_bytes(whole[: second + 20])
    assert page_sizes(tmp_path / "cut.tif") == [(8, 6), (0, 0)]
    status, _, complained = hubgan("upscale", "up", "cut.tif", "-o", "new/")
    assert status == 2 and "cut.tif, page 2: it cannot be read" in complained
    assert not list(tmp_path.glob("new/*"))
