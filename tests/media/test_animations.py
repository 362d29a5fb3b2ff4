"""Animations and phones' pictures through `hubgan upscale`: frame by frame, with their times."""

import struct
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import ExifTags, Image, ImageCms

from helpers.command_line import Run
from helpers.common import ROOT, names
from helpers.pictures import frame, picture_file
from hubgan import Upscaler
from hubgan.errors import ImageError
from hubgan.media.animation import Animation, open_animation, save_animation

MODELS = ROOT / "model_cards"
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture
def run(hubgan: Run) -> Run:
    """Run `hubgan upscale`."""
    return partial(hubgan, "upscale")


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("plays", [0, 1, 3])
@pytest.mark.parametrize("ending", ["gif", "webp", "png"])
def test_an_animation_stays_one(
    run: Run, tmp_path: Path, upscaler: Upscaler, ending: str, plays: int, mode: str
) -> None:
    durations = [100, 50, 70, 200]
    file = tmp_path / f"dance.{ending}"
    save_animation(Animation([frame(number, mode) for number in range(4)], durations, plays), file)
    assert run("up", file)[:2] == (0, f"{tmp_path / f'dance-x2.{ending}'}: 48 x 32 pixels\n")
    small, large = open_animation(file), open_animation(tmp_path / f"dance-x2.{ending}")
    assert small and large
    assert (large.durations, large.plays) == (durations, plays)
    for before, after in zip(small.frames, large.frames, strict=True):
        wanted = upscaler.upscale(before)
        assert after.size == (48, 32) and ("A" in after.getbands()) == (mode == "RGBA")
        # An untrained network draws a chequered pattern, whose colours WebP keeps at half the resolution.
        got, right = (np.asarray(image.convert("RGBA").reduce(4)).astype(int) for image in (after, wanted))
        assert np.abs(got - right)[right[..., 3] == 255].mean() < {"png": 0.01, "gif": 4, "webp": 4}[ending]
        if mode == "RGBA":
            alpha = np.asarray(after)[..., 3].astype(int)
            solid = np.asarray(wanted)[..., 3].astype(int)
            assert np.abs(alpha - ((solid >= 128) * 255 if ending == "gif" else solid)).max() <= 2


def test_what_cannot_hold_an_animation_becomes_png(run: Run, tmp_path: Path, upscaler: Upscaler) -> None:
    save_animation(Animation([frame(0), frame(1)], [80, 80]), tmp_path / "a.gif")
    status, said, _ = run("up", "a.gif", "--format", "jpg")
    assert (status, said) == (0, "a-x2.png: 48 x 32 pixels (as PNG: JPEG holds no animation)\n")
    moving = open_animation(tmp_path / "a-x2.png")
    assert moving and moving.durations == [80, 80]
    frame(0).save(tmp_path / "still.gif")
    assert run("up", "still.gif", "-o", "still-large.gif")[0] == 0
    assert run("up", "still.gif")[1] == "still-x2.png: 48 x 32 pixels\n"
    assert open_animation(tmp_path / "still-large.gif") is None


def test_frames_and_pages_that_are_too_many_are_an_error_and_none_is_dropped(
    run: Run, tmp_path: Path, upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hubgan.media.animation.MAX_ENLARGED_PIXELS", 3_000_000)
    first, *others = [frame(number).resize((700, 500)) for number in range(3)]
    for name, what in (("a.gif", "frames"), ("a.tif", "pages")):
        first.save(tmp_path / name, save_all=True, append_images=others)
        status, said, complained = run("up", name)
        assert (status, said) == (2, "") and not (tmp_path / name.replace("a.", "a-x2.")).exists()
        assert f"{name}: its 3 {what} would have 4 megapixels, more than 3. Use a smaller --scale" in complained


def test_of_an_animation_upscale_takes_the_first_frame_and_says_so(
    tmp_path: Path, upscaler: Upscaler, caplog: pytest.LogCaptureFixture
) -> None:
    for name, count in (("moving", 2), ("still", 1)):
        save_animation(Animation([frame(number) for number in range(count)], [80] * count), tmp_path / f"{name}.gif")
    with caplog.at_level("WARNING"):
        first = upscaler.upscale(tmp_path / "moving.gif")
        assert "moving.gif is animated, but only its first frame is enlarged" in caplog.text
        assert upscaler.upscale(tmp_path / "still.gif").tobytes() == first.tobytes()
    assert "still.gif" not in caplog.text


def test_a_broken_animation_is_told_before_the_work(run: Run, tmp_path: Path, upscaler: Upscaler) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (6, 40, 40, 3), dtype=np.uint8)
    save_animation(Animation([Image.fromarray(pixels) for pixels in noise], [80] * 6), tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    status, said, complained = run("up", "a.png")
    assert (status, said) == (2, "")
    assert "a.png cannot be read (" in complained and "Check that the file is complete" in complained
    assert names(tmp_path) == {"a.png", "up/README.md", "up/config.json", "up/model.safetensors"}


def test_times_size_and_exif_of_animations(run: Run, tmp_path: Path, upscaler: Upscaler) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "hubgan"
    first, durations = frame(0), [16, 17, 17, 16, 17, 17]
    first.info["exif"] = exif.tobytes()
    save_animation(Animation([first, *map(frame, range(1, 6))], durations), tmp_path / "a.webp")
    assert run("up", "a.webp")[0] == 0
    with Image.open(tmp_path / "a-x2.webp") as image:
        assert image.getexif()[ExifTags.Base.Make] == "hubgan"
    assert run("up", "a.webp", "-o", "a.gif")[0] == 0
    moving = open_animation(tmp_path / "a.gif")
    assert moving and all(duration >= 20 for duration in moving.durations)
    frame(0).save(tmp_path / "long.webp", save_all=True, append_images=[frame(1)], duration=700_000)
    assert run("up", "long.webp", "-o", "long.gif")[0] == 0
    # All opaque: stored as if there were no alpha.
    for mode in ("RGB", "RGBA"):
        save_animation(Animation([frame(k).convert(mode) for k in range(4)], [50] * 4), tmp_path / f"{mode}.gif")
    assert (tmp_path / "RGB.gif").read_bytes() == (tmp_path / "RGBA.gif").read_bytes()
    # A frame that reaches beyond the first one's canvas.
    two = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    two[0].save(tmp_path / "grows.gif", save_all=True, append_images=two[1:])
    grown = (tmp_path / "grows.gif").read_bytes()
    at = grown.rindex(b"\x2c\0\0\0\0")
    (tmp_path / "grows.gif").write_bytes(grown[: at + 1] + struct.pack("<HH", 60_000, 2_000) + grown[at + 5 :])
    with pytest.raises(ImageError, match="a frame has 121 megapixels; the limit is 64"):
        open_animation(tmp_path / "grows.gif")


@pytest.mark.parametrize("kind", [ValueError, OSError])  # libtiff raises an OSError without a number
def test_what_cannot_be_written_does_not_keep_the_others_from_being_done(
    run: Run, tmp_path: Path, upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = "x" * 70_000
    for name in ("a", "b", "c"):
        size = (6, 8) if name == "b" else (12, 8)
        picture_file(tmp_path / "in" / f"{name}.png", size=size, **({"exif": exif} if name == "a" else {}))
    written = Image.Image.save

    def save(self: Image.Image, file: Path, *args: object, **options: object) -> None:
        if self.width == 12:  # b, twice as large
            raise kind("the encoder gives up")
        written(self, file, *args, **options)

    monkeypatch.setattr(Image.Image, "save", save)
    status, _, complained = run("up", "in", "--format", "jpg")
    assert (
        status == 2
        and "in/b.png: in-x2/b.jpg cannot be written: the encoder gives up. Free some space on the disk" in complained
    )
    assert names(tmp_path / "in-x2") == {"a.jpg", "c.jpg"}


def test_heic_becomes_png(run: Run, tmp_path: Path, upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Orientation] = "hubgan", 6
    smooth = Image.open(picture_file(tmp_path / "a.png")).resize((60, 40))
    (tmp_path / "in").mkdir()
    pillow_heif.from_pillow(smooth.convert("RGB")).save(tmp_path / "in" / "a.HEIC", exif=exif.tobytes())
    assert run("up", "in")[1] == "1 picture enlarged 2 times, in in-x2\n"
    with Image.open(tmp_path / "in-x2" / "a.png") as large:
        assert large.size == (80, 120) and large.getexif()[ExifTags.Base.Make] == "hubgan"
    plain = pillow_heif.from_pillow(smooth.convert("RGB"))
    plain.info["exif"] = None
    plain.save(tmp_path / "plain.heic")
    for ending in ("jpg", "webp"):
        assert run("up", "plain.heic", "--format", ending)[1] == f"plain-x2.{ending}: 120 x 80 pixels\n"
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # as if it were not installed
    status, _, complained = run("up", "in/a.HEIC")
    assert status == 2 and "in/a.HEIC is HEIF (HEIC), which needs the package pillow-heif" in complained
    assert "pip install 'hubgan[heif]'" in complained
