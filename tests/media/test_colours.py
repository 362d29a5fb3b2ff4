"""Results have the colours of their pictures: in a browser, and by the numbers."""

import base64
import io
import struct
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pillow_heif
import pytest
import torch
from PIL import Image, features

from helpers.colour_kinds import (
    ADOBE,
    GREY,
    KINDS,
    P3,
    P3_POINTS,
    RGB,
    Kind,
    chromaticities,
    cicp,
    encoded,
    gamma,
    png_file,
    profile_chunk,
    tiff,
    transparent,
)
from helpers.common import ROOT
from helpers.pictures import pixels
from hubgan import Upscaler
from hubgan.data.decoding import decode
from hubgan.media.animation import open_animation
from hubgan.media.colour import profile_space
from hubgan.media.images import open_image
from hubgan.media.writing import save_picture

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ENDINGS = {"PNG": ".png", "JPEG": ".jpg", "WebP": ".webp"}
MODES = {"L": "grey", "LA": "grey + alpha", "I;16": "grey, 16 bits", "RGB": "RGB", "RGBA": "RGB + alpha"}
# Pictures as a page paints them, in the widest colours that a canvas has. Colours under alpha 0 do not count.
PAINT = """async files => Promise.all(files.map(async ([data, space]) => {
    const image = new Image();
    image.src = "data:" + data;
    await image.decode();
    const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
    const context = canvas.getContext("2d", {colorSpace: space, willReadFrequently: true});
    context.drawImage(image, 0, 0);
    return [...context.getImageData(0, 0, canvas.width, canvas.height).data];
}))"""
RED = np.array([[[200, 30, 30]]])


@pytest.fixture(scope="module")
def results() -> list[Image.Image]:
    """All kinds, "enlarged" by a model that changes nothing."""
    model = Upscaler(scale=1, width=4, depth=1)
    for parameter in model.network.tail.parameters():
        torch.nn.init.zeros_(parameter)
    return [model.upscale(kind.content) for kind in KINDS]


@pytest.mark.slow
def test_a_browser_shows_a_result_like_its_picture(
    browser: "Browser", results: list[Image.Image], tmp_path: Path
) -> None:
    files = []
    for kind, result in zip(KINDS, results, strict=True):
        path = tmp_path / f"result{ENDINGS.get(kind.format, '.png')}"
        save_picture(result, path, quality=100)
        space = "display-p3" if "icc_profile" in result.info else "srgb"
        for content in (kind.shown or kind.content, path.read_bytes()):
            with Image.open(io.BytesIO(content)) as image:
                mime = image.get_format_mimetype()
            files.append((f"{mime};base64,{base64.b64encode(content).decode()}", space))
    with browser.new_page() as page:
        painted = [np.array(values).reshape(-1, 40, 4) for values in page.evaluate(PAINT, files)]
    differences = {}
    for kind, before, after in zip(KINDS, painted[::2], painted[1::2], strict=True):
        seen = [np.dstack([each[..., :3] * (each[..., 3:] / 255), each[..., 3]]) for each in (before, after)]
        if kind.format in ("JPEG", "WebP"):  # whose colours run at the edges
            seen = [each[4::8, 4::8] for each in seen]
        differences[kind[:5]] = np.abs(seen[0] - seen[1]).max()
    assert len(differences) == len(KINDS)
    assert not {kind: difference for kind, difference in differences.items() if difference > 2}


def outcome(kind: Kind, result: Image.Image) -> tuple[str, str, str, str, str]:
    """A row of the table, except for its depth."""
    profile, colours = result.info.get("icc_profile"), "sRGB"
    if profile:
        with Image.open(io.BytesIO(kind.content)) as image:
            colours = "kept" if image.info.get("icc_profile") == profile else "made an ICC profile"
    return f"{kind.format}, {kind.colours}", kind.alpha, kind.named, MODES[result.mode], colours


def test_the_table_of_kinds_is_true(results: list[Image.Image]) -> None:
    table = ["| picture | bits | alpha | its colours | result | the result's colours |", "|---|---|---|---|---|---|"]
    rows = sorted((outcome(kind, result), kind.depth) for kind, result in zip(KINDS, results, strict=True))
    for (picture, *rest), group in groupby(rows, lambda row: row[0]):
        depths = ", ".join(str(depth) for _, depth in group)
        table.append(f"| {picture} | {depths} | {' | '.join(rest)} |".replace("|  |", "| |"))
    text = "\n".join(table)
    assert text in (ROOT / "docs" / "colours.md").read_text(), f"docs/colours.md must hold this table:\n{text}"


# --- by the numbers


SHOWN = {
    "ICC Display P3": (encoded(Image.new("RGB", (8, 8), (200, 30, 30)), "PNG", icc_profile=P3), (218, 0, 6)),
    "ICC Adobe RGB": (encoded(Image.new("RGB", (8, 8), (200, 30, 30)), "TIFF", icc_profile=ADOBE), (233, 24, 24)),
    "cICP Display P3": (png_file(RED, 8, RGB, cicp(12, 13)), (218, 0, 6)),
    "cICP linear": (png_file(RED, 8, RGB, cicp(1, 8)), (229, 96, 96)),
    "cICP BT.2020": (png_file(RED, 8, RGB, cicp(9, 14)), (246, 0, 0)),
    "gAMA": (png_file(RED, 8, RGB, gamma(1)), (229, 96, 96)),
    "gAMA, cHRM": (png_file(RED, 8, RGB, gamma(1), chromaticities(P3_POINTS)), (247, 84, 91)),
    "gAMA of sRGB": (png_file(RED, 8, RGB, gamma(0.45455)), (200, 30, 30)),
    "sRGB, gAMA": (png_file(RED, 8, RGB, gamma(1), (b"sRGB", b"\0")), (200, 30, 30)),
    "nothing": (png_file(RED, 8, RGB), (200, 30, 30)),
    # What Chromium paints.
    "PQ": (png_file(np.array([[[186, 161, 139]]]), 8, RGB, cicp(9, 16)), (255, 152, 101)),
    "PQ, primaries of sRGB": (png_file(np.array([[[69, 78, 10]]]), 8, RGB, cicp(1, 16)), (35, 45, 0)),
    "HLG": (png_file(np.array([[[208, 166, 233]]]), 8, RGB, cicp(9, 18)), (204, 114, 238)),
    "HLG, primaries of sRGB": (png_file(np.array([[[186, 161, 139]]]), 8, RGB, cicp(1, 18)), (171, 138, 115)),
    "PQ of grey": (png_file(np.array([[120]]), 8, GREY, cicp(9, 16)), (114, 114, 114)),
    "HLG of grey": (png_file(np.array([[210]]), 8, GREY, cicp(9, 18)), (214, 214, 214)),
}


@pytest.mark.parametrize("named", SHOWN)
def test_training_sees_srgb(named: str) -> None:
    content, shown = SHOWN[named]
    image = decode({"bytes": content})
    assert image.mode == "RGB" and "icc_profile" not in image.info
    assert np.abs(pixels(image)[0, 0] - shown).max() <= 2


def test_pictures_in_srgb_are_not_changed_by_a_bit() -> None:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    levels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    image = decode({"bytes": encoded(Image.fromarray(levels), "PNG", icc_profile=profile)})
    assert np.array_equal(pixels(image), levels)
    grey = open_image(encoded(Image.fromarray(levels[..., 0]), "PNG", icc_profile=profile))
    assert np.array_equal(pixels(grey)[..., 0], levels[..., 0])


def test_a_profile_is_kept_unless_srgb_is_asked_for() -> None:
    content = encoded(Image.new("RGBA", (2, 2), (200, 30, 30, 70)), "PNG", icc_profile=P3)
    assert open_image(content).getpixel((0, 0)) == (200, 30, 30, 70)
    assert open_image(content).info["icc_profile"] == P3
    assert np.abs(np.subtract(open_image(content, srgb=True).getpixel((0, 0)), (218, 0, 6, 70))).max() <= 2
    named = open_image(png_file(RED, 8, RGB, cicp(9, 16)))
    assert profile_space(named.info["icc_profile"]) == "RGB" and np.array_equal(pixels(named), RED)


@pytest.mark.parametrize("colours", [(0, 13), (1, 2), (1, 12), (10, 13)])
def test_unknown_colours_by_number_are_ignored(colours: tuple[int, int]) -> None:
    assert not open_image(png_file(RED, 8, RGB, cicp(*colours))).info
    assert "icc_profile" in open_image(png_file(RED, 8, RGB, profile_chunk(P3), cicp(*colours))).info


@pytest.mark.parametrize(
    ("primaries", "transfer", "shown"),
    [(1, 13, None), (2, 2, None), (1, 1, None), (12, 13, (218, 0, 6)), (12, 2, (218, 0, 6)), (9, 14, (251, 0, 9))],
)
def test_avif_and_heic_name_colours_by_number(primaries: int, transfer: int, shown: tuple[int, ...] | None) -> None:
    """The colours that Chromium paints for AVIF."""
    if not features.check("avif"):
        pytest.skip("this Pillow does not write AVIF")
    image = Image.new("RGB", (16, 16), (200, 30, 30))
    start, box, end = encoded(image, "AVIF", quality=100, subsampling="4:4:4").partition(b"colrnclx")
    avif = start + box + struct.pack(">HH", primaries, transfer) + end[4:]
    options = {"color_primaries": primaries, "transfer_characteristics": transfer, "matrix_coefficients": 6}
    pillow_heif.from_pillow(image).save(heic := io.BytesIO(), quality=100, chroma=444, full_range_flag=1, **options)
    for content in (avif, heic.getvalue()):
        assert ("icc_profile" in open_image(content).info) == (shown is not None)
        found = pixels(open_image(content, srgb=True))[8, 8]
        assert np.abs(found - (shown or (200, 30, 30))).max() <= 4


def test_a_gamma_is_seen_by_grey_of_16_bits() -> None:
    content = png_file(np.array([[98 * 257]]), 16, GREY, gamma(1))
    assert abs(open_image(content).getpixel((0, 0))[0] - 167) <= 1
    deep = open_image(content, deep=True)
    assert deep.getpixel((0, 0)) == 98 * 257 and profile_space(deep.info["icc_profile"]) == "GRAY"
    assert abs(open_image(deep).getpixel((0, 0))[0] - 167) <= 1


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_a_transparent_grey_of_any_depth(depth: int) -> None:
    white = (1 << depth) - 1
    values = np.array([[0, white // 3, white // 3 + 1, white]])
    key = white // 3
    hidden = (values[0] == key).tolist()
    for opened in (open_image(png_file(values, depth, GREY, transparent(key), interlaced=way)) for way in (0, 1)):
        assert (pixels(opened)[0, :, 3] == 0).tolist() == hidden
        assert pixels(opened)[0, 3].tolist() == [255] * 4
    if depth < 8:  # as no pixel has it, it hides none
        assert open_image(png_file(values, depth, GREY, transparent(white + 1))).mode == "RGB"


@pytest.mark.parametrize("value", [0.0, 0.00001, 42949.0])
def test_a_senseless_gamma_is_ignored(value: float) -> None:
    assert np.array_equal(pixels(open_image(png_file(RED, 8, RGB, gamma(value)))), RED)


@pytest.mark.parametrize("points", [(0.0,) * 8, (1.0,) * 8, (0.3, 0.3, *(0.3, 0.3001) * 3), (42949.0,) * 8])
def test_senseless_chromaticities_are_ignored(points: tuple[float, ...]) -> None:
    assert np.array_equal(pixels(open_image(png_file(RED, 8, RGB, gamma(1), chromaticities(points)))), RED)


def test_a_picture_whose_file_is_closed_is_opened_too() -> None:
    with io.BytesIO(png_file(RED, 8, RGB, gamma(1))) as file:
        image = Image.open(file)
        image.load()
    assert np.abs(pixels(open_image(image))[0, 0] - (229, 96, 96)).max() <= 1


def test_a_transparent_colour_of_16_bits_is_compared_with_all_of_them() -> None:
    values = np.array([[[0x1234, 5, 6], [0x1235, 5, 6], [0x1234, 5, 0x106], [0x1234, 5, 6]]])
    content = png_file(values, 16, RGB, transparent(0x1234, 5, 6))
    for source in (content, Image.open(io.BytesIO(content))):
        opened = pixels(open_image(source))
        assert opened[0, :, 3].tolist() == [0, 255, 255, 0]
        assert opened[0, :, :3].tolist() == [[0x12, 0, 0], [0x12, 0, 0], [0x12, 0, 1], [0x12, 0, 0]]


@pytest.mark.parametrize("big_endian", [False, True])
def test_grey_in_which_0_is_white(big_endian: bool) -> None:
    values = np.array([[0, 8456, 65535]], np.uint16)
    deep = open_image(tiff(values, white_is_zero=True, big_endian=big_endian), deep=True)
    assert deep.mode == "I;16" and pixels(deep).tolist() == [[65535, 57079, 0]]
    eight = open_image(tiff((values >> 8).astype(np.uint8), white_is_zero=True, big_endian=big_endian))
    assert pixels(eight)[..., 0].tolist() == [[255, 222, 0]]
    assert pixels(open_image(tiff(values, big_endian=big_endian), deep=True)).tolist() == values.tolist()


def test_lab() -> None:
    """Against the formula of CIE, with the white D50."""
    lab = np.array([[[255, 128, 128], [76, 108, 150], [128, 128, 128], [0, 128, 128]]], np.uint8)
    image = Image.merge("LAB", [Image.fromarray(lab[..., band]) for band in range(3)])
    shown = pixels(open_image(encoded(image, "TIFF")))
    assert np.abs(shown - [[[255] * 3, [45, 78, 34], [119] * 3, [0] * 3]]).max() <= 2


def test_frames_have_the_colours_that_their_file_names_by_number(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ((200, 30, 30), (30, 200, 30))]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    whole, named = (tmp_path / "a.png").read_bytes(), png_file(RED, 8, RGB, cicp(12, 13))
    (tmp_path / "a.png").write_bytes(whole[:33] + named[33:49] + whole[33:])
    files = ["a.png"]
    if features.check("avif"):
        frames[0].save(tmp_path / "a.avif", save_all=True, append_images=frames[1:])
        start, box, end = (tmp_path / "a.avif").read_bytes().partition(b"colrnclx")
        (tmp_path / "a.avif").write_bytes(start + box + struct.pack(">HH", 12, 13) + end[4:])
        files.append("a.avif")
    for file in files:
        animation, first = open_animation(tmp_path / file), open_image(tmp_path / file)
        assert animation is not None and profile_space(first.info["icc_profile"]) == "RGB"
        assert [each.info["icc_profile"] for each in animation.frames] == [first.info["icc_profile"]] * 2


def test_a_gif_holds_srgb(tmp_path: Path) -> None:
    save_picture(
        open_image(encoded(Image.new("RGB", (8, 8), (200, 30, 30)), "PNG", icc_profile=P3)), tmp_path / "a.gif"
    )
    with Image.open(tmp_path / "a.gif") as image:
        assert np.abs(np.subtract(image.convert("RGB").getpixel((0, 0)), (218, 0, 6))).max() <= 2
