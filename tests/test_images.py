"""hubgan.images on real files: what people and attackers hand in, and what must come out."""

import contextlib
import io
import struct
import time
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
import torch
from PIL import Image, ImageCms
from torch import nn

from hubgan.errors import ConfigError, ImageError
from hubgan.images import (
    MAX_PIXELS,
    fit,
    flatten,
    open_image,
    split_alpha,
    to_image,
    to_tensor,
    upscale_tiled,
)

ORIENTATION = 0x0112
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def picture(width: int = 12, height: int = 8, channels: int = 3) -> Image.Image:
    """Smooth colours that tell all corners apart."""
    y, x = np.mgrid[0:height, 0:width]
    bands = [x * 255 // max(width - 1, 1), y * 255 // max(height - 1, 1), (x + y) * 9 % 256, 255 - x]
    return Image.fromarray(np.stack(bands[:channels], axis=2).astype(np.uint8))


def save(image: Image.Image, path: Path) -> None:
    if path.suffix == ".heic":
        pillow_heif.from_pillow(image).save(path)
        return
    if Image.registered_extensions().get(path.suffix) not in Image.SAVE:
        pytest.skip(f"this Pillow does not write {path.suffix}")
    image.save(path)


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


def same(one: Image.Image, other: Image.Image, tolerance: int = 0) -> bool:
    return one.mode == other.mode and one.size == other.size and np.abs(pixels(one) - pixels(other)).max() <= tolerance


@contextlib.contextmanager
def ignored_warnings() -> Iterator[None]:
    """Pillow warns of damage before it gives up."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def png(width: int, height: int, *, depth: int = 8, kind: int = 2, data: bytes = b"") -> bytes:
    """A PNG file whose header may claim anything."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def icc_profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """A small ICC profile of version 2 from the bytes of its tags."""
    white = struct.pack(">3i", *(round(v * 65536) for v in (0.9642, 1.0, 0.8249)))
    text = b"text\0\0\0\0test\0"
    tags = {b"cprt": text, b"wtpt": b"XYZ \0\0\0\0" + white, **tags}
    start, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content + b"\0" * (-len(content) % 4)
    connection = b"Lab " if space == b"CMYK" else b"XYZ "
    header = struct.pack(">I4sI4s4s4s12s4s", 0, b"lcms", 0x02100000, b"prtr", space, connection, b"", b"acsp")
    header = (header.ljust(68, b"\0") + white).ljust(128, b"\0") + struct.pack(">I", len(tags))
    return struct.pack(">I", start + len(body)) + header[4:] + table + body


def cmyk_profile() -> bytes:
    """Inks of an odd press: cyan prints as red, black as black, the others not at all."""
    table = bytearray()
    for corner in range(16):
        cyan, black = corner >> 3 & 1, corner & 1
        table += bytes([0 if black else 128 if cyan else 255, 208 if cyan else 128, 176 if cyan else 128])
    identity = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    ramp = bytes(range(256))
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + identity + ramp * 4 + bytes(table) + ramp * 3
    return icc_profile(b"CMYK", {b"A2B0": lut})


def grey_profile() -> bytes:
    """Grey proportional to light: a value of 55 looks like 128 in sRGB."""
    return icc_profile(b"GRAY", {b"kTRC": b"curv\0\0\0\0" + struct.pack(">IH", 1, 256) + b"\0\0"})


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


def test_16_bit_grey_may_name_a_transparent_value(tmp_path: Path) -> None:
    values = np.array([[0, 1, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "grey.png", transparency=1)
    assert pixels(open_image(tmp_path / "grey.png")).tolist() == [[[0, 0, 0, 255], [0] * 4, [255] * 4]]


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


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGBA", "RGBa", "CMYK", "YCbCr", "HSV", "LAB", "I;16"])
def test_every_mode_becomes_rgb_or_rgba(mode: str) -> None:
    grey = Image.new("L", (5, 3), 255)
    if mode == "LAB":
        image = Image.merge("LAB", (grey, Image.new("L", (5, 3), 128), Image.new("L", (5, 3), 128)))
    elif mode == "I;16":
        image = Image.fromarray(np.full((3, 5), 65535, dtype=np.uint16))
    elif mode in ("RGBa", "PA"):
        image = grey.convert("RGBA" if mode == "RGBa" else "P").convert(mode)
    else:
        image = grey.convert("RGB").convert(mode)
    result = open_image(image)
    assert result.mode == ("RGBA" if mode in ("LA", "PA", "RGBA", "RGBa") else "RGB")
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
    for profile in (b"nonsense", grey_profile(), cmyk_profile(), b""):
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


# --- what is refused


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
    with pytest.raises(ImageError, match="not a picture in a known format"):
        open_image(tmp_path / "picture.eps")
    for name in ("a\0b", "x" * 5000, "https://example.org/cat.png"):
        with pytest.raises(ImageError):
            open_image(name)
    for source in (None, 7, [1, 2], io.BytesIO()):
        with pytest.raises(ImageError, match="Not a picture"):
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
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(ImageError, match=rf"pixels: give from 1 to {MAX_PIXELS}"):
                open_image(source)
        assert time.perf_counter() - start < 0.5  # milliseconds, on a machine at rest
    assert limit == Image.MAX_IMAGE_PIXELS


def test_the_limit_is_exact_and_holds_for_all_kinds_of_source() -> None:
    image = picture(10, 10)
    data = io.BytesIO()
    image.save(data, format="PNG")
    for source in (image, data.getvalue(), np.asarray(image), to_tensor(image)):
        assert open_image(source, max_pixels=100).size == (10, 10)
        with pytest.raises(ImageError, match="10 x 10 pixels"):
            open_image(source, max_pixels=99)


def test_pillows_own_limit_does_not_get_in_the_way(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    picture(64, 64).save(tmp_path / "p.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fit(open_image(tmp_path / "p.png"), 8, 3).size == (8, 8)


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


# --- tiles


class Network(nn.Module):
    """Three 3x3 convolutions and a pixel shuffle: it sees 3 pixels far. It remembers what it was shown."""

    radius = 3

    def __init__(self, scale: int = 2, channels: int = 3) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(
            nn.Conv2d(channels, 8, 3, padding=1),
            nn.LeakyReLU(),
            nn.Conv2d(8, 8, 3, padding=1),
            nn.LeakyReLU(),
            nn.Conv2d(8, channels * scale**2, 3, padding=1),
            nn.PixelShuffle(scale),
        )
        self.seen: list[tuple[int, int]] = []

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.seen.append((image.shape[2], image.shape[3]))
        return self.body(image)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 2), (16, 16), (17, 33)])
@pytest.mark.parametrize("scale", [1, 3])
def test_tiles_give_the_whole_picture(size: tuple[int, int], scale: int) -> None:
    network, image = Network(scale), torch.rand(3, *size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        whole = network.body(image[None])[0]
    for tile in (0, 5, 16, 100):
        network.seen.clear()
        result = upscale_tiled(network, image, scale=scale, tile=tile, halo=network.radius)
        torch.testing.assert_close(result, whole, rtol=0, atol=1e-6)
        assert not result.requires_grad
        assert (network.seen == [size]) == (tile == 0 or max(size) <= tile)


def test_tiles_of_one_pixel() -> None:
    network, image = Network(), torch.rand(3, 4, 5)
    with torch.no_grad():
        whole = network.body(image[None])[0]
    result = upscale_tiled(network, image, scale=2, tile=1, halo=network.radius + 1)
    torch.testing.assert_close(result, whole, rtol=0, atol=1e-6)
    assert len(network.seen) == 20


@pytest.mark.parametrize("halo", [0, 1, 2])
def test_too_small_a_halo_shows_seams(halo: int) -> None:
    network, image = Network(), torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(1))
    result = upscale_tiled(network, image, scale=2, tile=16, halo=halo)
    with torch.no_grad():
        error = (result - network.body(image[None])[0]).abs().amax(0)
    assert error.max() > 1e-5
    reach = 2 * (network.radius - halo)
    assert error[: 32 - reach, : 32 - reach].max() < 1e-6, "only pixels beside the seam may differ"


def test_the_network_sees_small_balanced_tiles() -> None:
    network = Network(channels=1)
    upscale_tiled(network, torch.rand(1, 33, 70), scale=2, tile=32, halo=4)
    assert len(network.seen) == 2 * 3
    assert {height for height, _ in network.seen} == {16 + 4, 17 + 4}
    assert {width for _, width in network.seen} == {23 + 4, 23 + 8, 24 + 4}


def test_tiled_options_and_inputs_are_checked() -> None:
    network, image = Network(), torch.rand(3, 8, 8)
    for options in ({"scale": 0}, {"tile": -1}, {"halo": -1}, {"scale": 3}):
        with pytest.raises(ConfigError):
            upscale_tiled(network, image, **{"scale": 2, "tile": 4, "halo": 3, **options})
    for bad in (image[None], image[0], image[:, :0], (image * 255).byte()):
        with pytest.raises(ImageError):
            upscale_tiled(network, bad, scale=2, tile=4, halo=3)
