"""Damage that browsers see past: a missing end of a JPEG file, and broken chunks of a PNG file."""

import itertools
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.colour_kinds import P3, RGB, encoded, gamma, png_file, profile_chunk
from helpers.pictures import noise, picture, pixels
from hubgan.data.decoding import decode
from hubgan.errors import ImageError
from hubgan.media.animation import open_animation
from hubgan.media.images import open_image

RED = np.array([[[200, 30, 30]]])
LONG = zlib.compress(bytes(3_000_000))
LONG_P3 = struct.pack(">I", 2_000_000) + P3[4:] + bytes(2_000_000 - len(P3))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_file_without_its_end_marker_is_read(mode: str, progressive: bool) -> None:
    for image, quality in itertools.product((noise(61, 40), picture(40, 16)), (40, 95)):
        whole = encoded(image.convert(mode), "JPEG", quality=quality, progressive=progressive)
        wanted = open_image(whole)
        for missing in (1, 2):
            found = open_image(whole[:-missing])
            assert found.tobytes() == wanted.tobytes() and found.info == wanted.info
        for missing in range(3, 20):  # of pixels too, except for bits that fill up the last byte
            try:
                assert open_image(whole[:-missing]).tobytes() == wanted.tobytes()
            except ImageError:
                break
        else:
            pytest.fail("a picture without its last pixels was read")


def test_a_jpeg_file_without_its_last_scans_is_refused() -> None:
    whole = encoded(noise(16, 16), "JPEG", progressive=True)
    scans = [found.start() for found in re.finditer(b"\xff[\xc4\xda]", whole)]
    assert len(scans) > 8
    for end in scans:
        with pytest.raises(ImageError, match="cannot be read"):
            open_image(whole[:end])


def test_a_lazily_opened_jpeg_file_without_its_end_marker_is_read(tmp_path: Path) -> None:
    noise(20, 20).save(tmp_path / "p.jpg")
    wanted, content = open_image(tmp_path / "p.jpg"), (tmp_path / "p.jpg").read_bytes()
    (tmp_path / "p.jpg").write_bytes(content[:-2])
    with Image.open(tmp_path / "p.jpg") as image:
        assert open_image(image).tobytes() == wanted.tobytes()


def damaged(name: bytes, content: bytes) -> bytes:
    """A red PNG file with a chunk before its pixels that has a wrong checksum."""
    whole = png_file(RED, 8, RGB, (name, content))
    place = whole.index(name + content) + len(name + content)
    return whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]


BROKEN = {
    "tEXt": damaged(b"tEXt", b"a\0b"),
    "gAMA": damaged(*gamma(1)),
    "iCCP": damaged(*profile_chunk(P3)),
    "iCCP, not compressed": png_file(RED, 8, RGB, (b"iCCP", b"x\0\0garbage")),
    "iCCP, no name": png_file(RED, 8, RGB, (b"iCCP", b"x")),
    "ICC profile": png_file(RED, 8, RGB, profile_chunk(b"garbage")),
    "tRNS, too short": png_file(RED, 8, RGB, (b"tRNS", b"ab")),
    "sRGB, too short": png_file(RED, 8, RGB, (b"sRGB", b"")),
    "zTXt, too long": png_file(RED, 8, RGB, (b"zTXt", b"a\0\0" + LONG)),
    "iTXt, too long": png_file(RED, 8, RGB, (b"iTXt", b"a\0\1\0\0\0" + LONG)),
    "teSt, unknown": damaged(b"teSt", b"a"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_chunks_of_a_png_file_are_left_out(what: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "p.png").write_bytes(BROKEN[what])
    opened = open_image(tmp_path / "p.png")
    assert np.array_equal(pixels(opened), RED) and not opened.info
    assert np.array_equal(pixels(decode({"path": str(tmp_path / "p.png")})), RED)
    words = f"{tmp_path / 'p.png'}: damaged parts of the file are skipped: {what.partition(',')[0]}"
    assert [record.message for record in caplog.records] == [words]


def test_a_broken_chunk_after_the_pixels_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole, (head, text) = png_file(RED, 8, RGB), BROKEN["zTXt, too long"].split(b"zTXt")
    chunk = head[-4:] + b"zTXt" + text.partition(b"IDAT")[0][:-4]
    (tmp_path / "tail.png").write_bytes(whole[:-12] + chunk + whole[-12:])
    assert np.array_equal(pixels(open_image(tmp_path / "tail.png")), RED)
    assert "skipped: zTXt" in caplog.text


def test_training_is_not_warned_of_texts(caplog: pytest.LogCaptureFixture) -> None:
    assert np.array_equal(pixels(decode({"bytes": BROKEN["tEXt"]})), RED) and not caplog.records


def test_a_long_profile_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    opened = open_image(png_file(RED, 8, RGB, profile_chunk(LONG_P3)))
    assert opened.info["icc_profile"] == LONG_P3 and not caplog.records
    assert np.abs(pixels(decode({"bytes": png_file(RED, 8, RGB, profile_chunk(LONG_P3))})) - (218, 0, 6)).max() <= 2


def test_a_broken_critical_chunk_is_an_error() -> None:
    for content in (damaged(b"PLTE", bytes(3)), damaged(b"TEST", b"a")):
        with pytest.raises(ImageError, match="broken PNG file"):
            open_image(content)


def test_an_animation_with_a_broken_text_keeps_its_frames(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    noise(8, 8).save(tmp_path / "a.png", save_all=True, append_images=[picture(8, 8)])
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[:33] + struct.pack(">I", 3) + b"tEXta\0bxxxx" + whole[33:])
    animation = open_animation(tmp_path / "a.png")
    assert animation is not None
    assert [frame.tobytes() for frame in animation.frames] == [noise(8, 8).tobytes(), picture(8, 8).tobytes()]
    assert caplog.text.count("skipped: tEXt") == 1
