"""hubgan.media.images on real files: what people and attackers hand in, and what must come out."""

from pathlib import Path

import numpy as np
import pillow_heif
import pytest
import torch
from PIL import Image, ImageCms

from helpers.pictures import picture, pixels, same, save
from helpers.profiles import cmyk_profile, grey_profile
from hubgan.errors import ConfigError, ImageError
from hubgan.media.images import (
    fit,
    flatten,
    open_image,
    split_alpha,
    to_floats,
    to_image,
    to_tensor,
)

ORIENTATION = 0x0112
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


# --- what is opened


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif", "bmp", "tiff", "ppm", "avif", "heic"])
def test_opens_the_usual_formats(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"picture.{suffix}"
    save(picture(64, 48), path)
    with pillow_heif.HeifImageFile(path) if suffix == "heic" else Image.open(path) as reference:
        expected = reference.convert("RGB")
    assert same(open_image(path), expected)
    assert same(open_image(str(path)), expected)
    assert same(open_image(path.read_bytes()), expected)


def test_the_name_says_nothing_about_the_format(tmp_path: Path) -> None:
    picture().save(tmp_path / "picture.jpg", format="PNG")
    assert same(open_image(tmp_path / "picture.jpg"), picture())


def test_an_animation_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert open_image(tmp_path / "a.gif").getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tiff", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_and_removed(tmp_path: Path, orientation: int, suffix: str) -> None:
    stored_by = {  # what a camera did to the upright picture: the inverse of what the tag asks for
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    upright = picture(48, 32)
    stored = upright.transpose(stored_by[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    exif[0x010F] = "a camera"
    path = tmp_path / f"turned.{suffix}"
    options = {"quality": 100, "subsampling": 0} if suffix == "jpg" else {}
    stored.save(path, exif=exif, **({"lossless": True} if suffix == "webp" else options))
    result = open_image(path)
    assert same(result, upright, tolerance=6 if suffix == "jpg" else 0)
    assert result.getexif().get(ORIENTATION, 1) == 1
    assert same(open_image(result), result)


def test_other_exif_is_kept_and_broken_exif_is_no_obstacle(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION], exif[0x010F] = 3, "a camera"
    picture().save(tmp_path / "good.png", exif=exif)
    assert open_image(tmp_path / "good.png").getexif()[0x010F] == "a camera"
    picture().save(tmp_path / "broken.png", exif=b"Exif\0\0nonsense")
    result = open_image(tmp_path / "broken.png")
    assert same(result, picture())
    assert not result.info


def test_16_bit_grey_is_scaled_not_clipped(tmp_path: Path) -> None:
    values = np.array([[0, 128, 257 * 7, 257 * 100], [32768, 40000, 65407, 65535]], dtype=np.uint16)
    for name in ("grey.png", "grey.tiff", "grey.pgm"):
        Image.fromarray(values).save(tmp_path / name)
        result = open_image(tmp_path / name)
        assert result.mode == "RGB"
        assert pixels(result)[..., 0].tolist() == np.rint(values / 257).astype(int).tolist(), name


def test_16_bit_grey_keeps_its_bits_where_they_are_asked_for(tmp_path: Path) -> None:
    values = np.array([[0, 1, 257], [32768, 65534, 65535]], dtype=np.uint16)
    exif = Image.Exif()
    exif[274] = 6  # lies on its side
    Image.fromarray(values).save(tmp_path / "grey.png", exif=exif)
    for source in (tmp_path / "grey.png", (tmp_path / "grey.png").read_bytes(), Image.open(tmp_path / "grey.png")):
        result = open_image(source, deep=True)
        assert result.mode == "I;16" and result.info["grey"]
        assert np.array_equal(np.asarray(result), np.rot90(values, -1))
    for source in (values, values[..., None], Image.fromarray(values.astype(np.int32))):
        assert np.array_equal(np.asarray(open_image(source, deep=True)), values)
        assert open_image(source).mode == "RGB"
    assert to_floats(result).shape == (1, 3, 2) and to_floats(result)[0, 0].tolist() == pytest.approx(
        [32768 / 65535, 0]
    )
    levels = (to_floats(result) * 65535).round().to(torch.uint16)
    assert np.array_equal(np.asarray(to_image(levels)), np.asarray(result))
    with pytest.raises(ImageError, match="uint16 with one channel"):
        open_image(np.zeros((2, 2, 3), np.uint16))
    assert open_image(Image.new("L", (2, 2)), deep=True).mode == "RGB"


def test_16_bit_grey_may_name_a_transparent_value(tmp_path: Path) -> None:
    values = np.array([[0, 1, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "grey.png", transparency=1)
    for deep in (False, True):
        result = open_image(tmp_path / "grey.png", deep=deep)
        assert pixels(result).tolist() == [[[0, 0, 0, 255], [0] * 4, [255] * 4]]


def test_wide_modes_are_scaled_by_what_they_hold(tmp_path: Path) -> None:
    levels = np.array([[0, 51, 255]])
    for scale, dtype in ((1, np.int32), (257, np.int32), (1, np.float32), (1 / 255, np.float32)):
        image = Image.fromarray((levels * scale).astype(dtype))
        assert pixels(open_image(image))[..., 0].tolist() == levels.tolist()
    Image.fromarray(levels.astype(np.float32) / 255).save(tmp_path / "float.tiff")
    assert pixels(open_image(tmp_path / "float.tiff"))[..., 0].tolist() == levels.tolist()
    for bad in (-1.0, 70000.0, np.nan, np.inf):
        with pytest.raises(ImageError, match="8 or 16 bits"):
            open_image(Image.fromarray(np.array([[0, bad]], dtype=np.float32)))


ALPHA = ["LA", "La", "PA", "RGBA", "RGBa"]


@pytest.mark.parametrize("mode", [*ALPHA, "1", "L", "P", "CMYK", "YCbCr", "HSV", "LAB", "I;16"])
def test_every_mode_becomes_rgb_or_rgba(mode: str) -> None:
    grey = Image.new("L", (5, 3), 255)
    if mode == "LAB":
        image = Image.merge("LAB", (grey, Image.new("L", (5, 3), 128), Image.new("L", (5, 3), 128)))
    elif mode == "I;16":
        image = Image.fromarray(np.full((3, 5), 65535, dtype=np.uint16))
    elif between := {"RGBa": "RGBA", "La": "LA", "PA": "P"}.get(mode):
        image = grey.convert(between).convert(mode)
    else:
        image = grey.convert("RGB").convert(mode)
    result = open_image(image)
    assert result.mode == ("RGBA" if mode in ALPHA else "RGB")
    assert (pixels(result) >= 254).all()


def test_palette_transparency_gives_alpha(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "index.png", transparency=1)
    image.save(tmp_path / "table.png", transparency=b"\xff\x40")
    image.save(tmp_path / "index.gif", transparency=1)
    image.save(tmp_path / "opaque.png")
    assert pixels(open_image(tmp_path / "index.png")).tolist() == [[[255, 0, 0, 255], [0, 0, 255, 0]]]
    assert pixels(open_image(tmp_path / "table.png")).tolist() == [[[255, 0, 0, 255], [0, 0, 255, 64]]]
    assert pixels(open_image(tmp_path / "index.gif"))[..., 3].tolist() == [[255, 0]]
    assert open_image(tmp_path / "opaque.png").mode == "RGB"
    Image.new("RGB", (2, 2), "red").save(tmp_path / "key.png", transparency=(255, 0, 0))
    assert open_image(tmp_path / "key.png").getpixel((0, 0)) == (255, 0, 0, 0)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tiff"])
def test_an_rgb_profile_is_kept(tmp_path: Path, suffix: str) -> None:
    picture().save(tmp_path / f"p.{suffix}", icc_profile=SRGB)
    result = open_image(tmp_path / f"p.{suffix}")
    assert result.info["icc_profile"] == SRGB
    assert flatten(result).info["icc_profile"] == SRGB
    turned = result.transpose(Image.Transpose.ROTATE_90)
    assert open_image(turned).info["icc_profile"] == SRGB


def test_a_profile_that_does_not_fit_is_dropped(tmp_path: Path) -> None:
    unreadable = bytearray(grey_profile())
    unreadable[16:20] = b"\xa0\xa0\xa0\xa0"  # its colour space
    for profile in (b"nonsense", grey_profile(), cmyk_profile(), b"", bytes(unreadable)):
        picture().save(tmp_path / "p.png", icc_profile=profile)
        result = open_image(tmp_path / "p.png")
        assert same(result, picture())
        assert "icc_profile" not in result.info


def test_cmyk_jpeg(tmp_path: Path) -> None:
    inks = Image.new("CMYK", (16, 8))
    inks.paste((255, 0, 0, 0), (0, 0, 8, 8))
    inks.save(tmp_path / "plain.jpg", quality=100)
    plain = open_image(tmp_path / "plain.jpg")
    assert plain.mode == "RGB"
    assert np.abs(pixels(plain)[4, 4] - (0, 255, 255)).max() <= 2
    assert pixels(plain)[4, 12].min() >= 253

    inks.save(tmp_path / "profile.jpg", quality=100, icc_profile=cmyk_profile())
    result = open_image(tmp_path / "profile.jpg")
    red, green, blue = pixels(result)[4, 4]
    assert red > 200 and green < 60 and blue < 100, "the profile prints cyan as red"
    assert pixels(result)[4, 12].min() >= 253
    assert "icc_profile" not in result.info


def test_grey_with_a_profile_becomes_srgb(tmp_path: Path) -> None:
    for mode, colour in (("L", 55), ("LA", (55, 77))):
        Image.new(mode, (4, 4), colour).save(tmp_path / "g.png", icc_profile=grey_profile())
        result = open_image(tmp_path / "g.png")
        assert abs(int(pixels(result)[0, 0, 0]) - 128) <= 2
        assert pixels(result)[0, 0, 3:].tolist() == ([77] if mode == "LA" else [])
        assert "icc_profile" not in result.info


def test_grey_is_known_of_what_was_opened_before(tmp_path: Path) -> None:
    Image.linear_gradient("L").save(tmp_path / "grey.png")
    grey = open_image(tmp_path / "grey.png")
    assert open_image(grey).info["grey"] is True
    assert "grey" not in open_image(grey.quantize(8)).info
    grey.paste((255, 0, 0), (0, 0, 5, 5))
    assert "grey" not in open_image(grey).info


def test_the_source_is_left_alone_and_shares_no_memory() -> None:
    source = picture(channels=4)
    source.info["comment"] = "mine"
    before = source.copy()
    result = open_image(source)
    result.paste("black", (0, 0, 12, 8))
    assert same(source, before) and source.info == {"comment": "mine"} and not result.info
    array = pixels(picture()).astype(np.uint8)
    result = open_image(array)
    array[:] = 0
    assert same(result, picture())
    tensor = torch.full((1, 4, 4), 9, dtype=torch.uint8)
    grey = to_image(tensor)
    tensor.zero_()
    assert grey.getpixel((0, 0)) == 9


# --- arrays and tensors


def test_arrays_and_tensors() -> None:
    rgba = pixels(picture(channels=4)).astype(np.uint8)
    for source in (rgba, rgba / 255, (rgba / 255).astype(np.float32), (rgba / 255).astype(np.float16)):
        assert same(open_image(source), picture(channels=4))
        assert same(open_image(np.ascontiguousarray(source[..., :3])), picture())
        assert same(open_image(source[..., :3]), picture())
        assert same(open_image(source[..., :1]), picture().getchannel(0).convert("RGB"))
        assert same(open_image(source[..., 0]), picture().getchannel(0).convert("RGB"))
        assert same(open_image(source[::-1]), picture(channels=4).transpose(Image.Transpose.FLIP_TOP_BOTTOM))
    chw = torch.from_numpy(rgba).permute(2, 0, 1)
    for tensor in (chw, chw / 255, (chw / 255).double(), (chw / 255).requires_grad_(), (chw / 255).half()):
        assert same(open_image(tensor), picture(channels=4))
        assert same(open_image(tensor[:3]), picture())
        assert same(open_image(tensor[:1]), picture().getchannel(0).convert("RGB"))
    assert open_image(torch.ones(3, 2, 2, dtype=torch.bfloat16)).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("array", "complaint"),
    [
        (np.zeros((0, 5, 3), np.uint8), "shape"),
        (np.zeros((5, 0), np.float32), "shape"),
        (np.zeros((4, 4, 0), np.uint8), "shape"),
        (np.zeros((4, 4, 2), np.uint8), "shape"),
        (np.zeros((3, 5, 5), np.uint8), "H x W x C"),
        (np.zeros((1, 4, 4, 3), np.uint8), "shape"),
        (np.zeros(4, np.uint8), "shape"),
        (np.zeros((), np.uint8), "shape"),
        (np.zeros((4, 4), np.int64), "int64"),
        (np.zeros((4, 4), bool), "bool"),
        (np.zeros((4, 4), np.complex64), "complex64"),
        (np.zeros((4, 4), object), "object"),
        (np.full((4, 4), np.nan), "NaN"),
        (np.array([[0.5, np.nan]]), "NaN"),
        (np.array([[0.5, np.inf]]), "inf"),
        (np.array([[0.5, 255.0]]), "255"),
        (np.array([[-1.0, 1.0]], np.float32), "-1"),
    ],
)
def test_unusable_arrays_are_refused(array: np.ndarray, complaint: str) -> None:
    with pytest.raises(ImageError, match=f"the array .*{complaint}"):
        open_image(array)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(4, 4),
        torch.zeros(1, 3, 4, 4),
        torch.zeros(5, 5, 3),
        torch.zeros(3, 0, 4),
        torch.zeros(3, 4, 4, dtype=torch.int64),
        torch.full((3, 4, 4), float("nan")),
        torch.full((3, 4, 4), 1.1),
        torch.full((3, 4, 4), -1.0),
    ],
)
def test_unusable_tensors_are_refused(tensor: torch.Tensor) -> None:
    for function in (open_image, to_image):
        with pytest.raises(ImageError, match="the tensor"):
            function(tensor)


def test_round_trips_keep_every_level() -> None:
    levels = torch.arange(256, dtype=torch.uint8).view(1, 16, 16).expand(3, -1, -1)
    assert torch.equal(to_tensor(to_image(levels)), levels)
    for dtype in (torch.float32, torch.float64, torch.float16):
        assert torch.equal(to_tensor(to_image((levels.float() / 255).to(dtype))), levels)
    white = torch.full((3, 8, 8), 1 - 1e-3)  # truncation would make it 254
    assert (to_tensor(to_image(white)) == 255).all()
    assert (to_tensor(to_image(torch.full((3, 8, 8), 1 + 1e-3))) == 255).all()
    assert (to_tensor(to_image(torch.full((3, 8, 8), -1e-3))) == 0).all()


def test_to_tensor_channels() -> None:
    assert to_tensor(picture(5, 3)).shape == (3, 3, 5)
    assert to_tensor(picture(5, 3).convert("L")).shape == (1, 3, 5)
    assert to_tensor(Image.new("RGBA", (5, 3), (0, 0, 0, 0))).eq(255).all()
    assert to_tensor(picture()).dtype == torch.uint8
    assert to_tensor(picture()).is_contiguous()
    assert [to_image(torch.zeros(c, 2, 2)).mode for c in (1, 3, 4)] == ["L", "RGB", "RGBA"]


# --- shaping


def test_flatten_lays_transparency_onto_white() -> None:
    image = Image.new("RGBA", (3, 1))
    for x, colour in enumerate([(0, 0, 0, 0), (10, 20, 30, 255), (0, 0, 0, 128)]):
        image.putpixel((x, 0), colour)
    assert pixels(flatten(image)).tolist() == [[[255] * 3, [10, 20, 30], [127] * 3]]
    assert flatten(Image.new("L", (2, 2), 7)).getpixel((0, 0)) == (7, 7, 7)
    rgb = picture()
    assert flatten(rgb) is rgb


def test_fit_crops_the_centre() -> None:
    wide = Image.new("RGB", (40, 10), "black")
    wide.paste("white", (15, 0, 25, 10))
    for size in (5, 10, 20):
        assert fit(wide, size, 3).size == (size, size)
        assert pixels(fit(wide, size, 3)).mean() > 245  # the filter sees past the cut, as it should
    assert pixels(fit(wide, 10, 3)).min() == 255
    assert pixels(fit(wide.transpose(Image.Transpose.ROTATE_90), 10, 1)).min() == 255


def test_fit_keeps_pixels_of_the_right_size_and_antialiases() -> None:
    square = picture(32, 32)
    assert same(fit(square, 32, 3), square)
    grey = square.convert("L")
    assert same(fit(grey, 32, 1), grey)
    assert fit(grey, 32, 3).mode == "RGB"
    stripes = Image.fromarray(np.tile(np.array([0, 255], np.uint8), (64, 32)))
    assert np.abs(pixels(fit(stripes, 8, 1)) - 127.5).max() < 16
    assert pixels(fit(Image.new("RGBA", (9, 7)), 4, 3)).min() == 255
    assert fit(Image.new("RGB", (1, 50)), 16, 3).size == (16, 16)


@pytest.mark.parametrize(("size", "channels"), [(0, 3), (-1, 3), (8, 2), (8, 4)])
def test_fit_refuses_impossible_shapes(size: int, channels: int) -> None:
    with pytest.raises(ConfigError):
        fit(picture(), size, channels)


def test_split_alpha_without_alpha() -> None:
    colour, alpha = split_alpha(picture())
    assert same(colour, picture()) and alpha is None


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (33, 17), (64, 64), (5, 200)])
def test_no_colour_seeps_out_from_under_alpha_zero(size: tuple[int, int]) -> None:
    image = Image.new("RGBA", size, (0, 0, 0, 0))
    image.paste((200, 100, 50, 255), (0, 0, (size[0] + 1) // 2, (size[1] + 1) // 2))
    image.putpixel((0, 0), (201, 99, 3, 1))  # faint, but visible
    image.info["icc_profile"] = SRGB
    colour, alpha = split_alpha(image)
    assert alpha is not None and same(alpha, image.getchannel("A"))
    assert colour.mode == "RGB" and colour.info["icc_profile"] == SRGB
    visible = pixels(alpha) > 0
    assert (pixels(colour)[visible] == pixels(image.convert("RGB"))[visible]).all()
    if size[0] > 2:
        assert np.abs(pixels(colour)[~visible] - (200, 100, 50)).max() <= 8
        large = colour.resize((size[0] * 4, size[1] * 4), Image.Resampling.BICUBIC)
        assert pixels(large).max(axis=(0, 1))[0] > 190 and pixels(large)[..., 0].min() > 190


def test_split_alpha_of_uniform_alpha_keeps_the_colours() -> None:
    for value in (0, 1, 255):
        image = picture()
        image.putalpha(value)
        assert same(split_alpha(image)[0], picture())
