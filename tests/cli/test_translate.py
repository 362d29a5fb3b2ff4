"""`hubgan translate`."""

from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image, ImageDraw

from helpers.command_line import Run
from helpers.common import equal
from helpers.loopback_hub import LoopbackHub
from helpers.pictures import picture
from helpers.profiles import DISPLAY_P3, SRGB_CURVE, rgb_profile
from hubgan import Translator

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a dc:creator="Ada"></a></x:xmpmeta>'
PROFILE = rgb_profile(DISPLAY_P3, *SRGB_CURVE)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    Translator(input="edges", width=8, depth=1, latent_dim=4, image_size=32).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def drawings(tmp_path: Path) -> Path:
    folder = tmp_path / "drawings"
    folder.mkdir()
    for number in range(2):
        image = Image.new("RGB", (40, 40), "white")
        ImageDraw.Draw(image).ellipse((5, 5, 20 + number * 10, 30), outline="black", width=2)
        image.save(folder / f"{number}.png")
    return folder


def test_a_picture_and_its_seeds(hubgan: Run, model: Path, drawings: Path) -> None:
    status, out, _ = hubgan("translate", model, drawings / "0.png")
    assert status == 0 and "0-translated.png" in out
    assert Image.open(drawings / "0-translated.png").size == (32, 32)
    assert "already exists" in hubgan("translate", model, drawings / "0.png")[2]
    assert hubgan("translate", model, drawings / "1.png", "--seeds", "2", "--size", "48")[0] == 0
    assert Image.open(drawings / "1-translated-seed1.png").size == (48, 48)


def test_a_model_without_latents_takes_no_seed(hubgan: Run, drawings: Path, tmp_path: Path) -> None:
    model = Translator("resnet", width=8, depth=1, image_size=32)
    for subfolder in ("", "backward"):
        model.save_pretrained(tmp_path / "plain" / subfolder)
    for option in (("--seed", "1"), ("--seeds", "2")):
        status, _, said = hubgan("translate", "plain", drawings, *option)
        assert status == 2 and "takes no seed. Remove --seed and --seeds" in said
    said = hubgan("translate", "plain", drawings / "0.png", "--prepare")[2]
    assert "nothing to prepare. Remove --prepare" in said
    assert hubgan("translate", "plain", drawings / "0.png", "--subfolder", "backward")[0] == 0
    assert "seed" not in hubgan("info", "plain")[1]


def test_a_published_translator_is_used_by_its_name(
    hub: LoopbackHub, hubgan: Run, drawings: Path, tmp_path: Path
) -> None:
    folders = {name: tmp_path / "run" / name for name in ("", "backward")}
    for folder in folders.values():
        Translator("resnet", width=4, depth=1, image_size=32).save_pretrained(folder)
    assert hubgan("push", "run", "tester/horses")[0] == 0
    for name, folder in folders.items():
        options = ("--subfolder", name) if name else ()
        assert hubgan("translate", "tester/horses", drawings, "-o", f"made-{name}", *options)[0] == 0
        expected = Translator.from_pretrained(folder).translate(drawings / "1.png")
        assert Image.open(tmp_path / f"made-{name}" / "1.png").tobytes() == expected.tobytes()
        assert equal(
            Translator.from_pretrained("tester/horses", subfolder=name or None), Translator.from_pretrained(folder)
        )


def test_a_folder_goes_on_after_a_blank_drawing(hubgan: Run, model: Path, drawings: Path, tmp_path: Path) -> None:
    Image.new("L", (20, 20), 255).save(drawings / "blank.png")
    status, _, error = hubgan("translate", model, drawings, "-o", tmp_path / "coloured")
    assert status == 2 and "1 of 3 pictures failed" in error and "blank.png: the drawing is blank" in error
    assert sorted(path.name for path in (tmp_path / "coloured").iterdir()) == ["0.png", "1.png"]


def test_a_folder_without_pictures(hubgan: Run, model: Path, tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "moving.mp4").write_bytes(b"")
    said = " ".join(hubgan("translate", model, tmp_path / "clips")[2].split())
    assert "clips holds no pictures (apng, avif" in said and "video" not in said.partition("clips holds")[2]
    assert "--videos" not in said  # upscale has it


def test_what_is_left_out_is_told_once(hubgan: Run, model: Path, drawings: Path) -> None:
    pages = [Image.open(drawings / f"{number}.png") for number in range(2)]
    for file in ("moving.gif", "pages.tif"):
        pages[0].save(drawings / file, save_all=True, append_images=pages[1:])
    status, _, said = hubgan("translate", model, drawings / "moving.gif", drawings / "pages.tif", "--seeds", "2")
    assert status == 0
    assert said.count("moving.gif is animated, but only its first frame is translated") == 1
    assert said.count("pages.tif has 2 pages, but only the first is translated") == 1


def tagged(file: Path, image: Image.Image, options: dict[str, Any]) -> Path:
    """Write a picture that lies on its side, with metadata."""
    exif = Image.Exif()
    exif[ExifTags.Base.Artist], exif[ExifTags.Base.Orientation] = "Ada", 6
    image.save(file, exif=exif, dpi=(300, 300), **options)
    return file


def test_a_coloured_photo_keeps_what_its_file_says(hubgan: Run, tmp_path: Path) -> None:
    file = tagged(tmp_path / "old.jpg", picture(40, 24), {"xmp": XMP, "icc_profile": PROFILE})
    for kind, size, kept in (("grey", (24, 40), True), ("edges", (19, 32), False), ("small", (19, 32), True)):
        Translator(input=kind, width=8, depth=1, latent_dim=4, image_size=32).save_pretrained(tmp_path / kind)
        assert hubgan("translate", tmp_path / kind, file, "-o", f"{kind}.png")[0] == 0
        with Image.open(tmp_path / f"{kind}.png") as made:
            assert made.size == size and "icc_profile" not in made.info
            exif = made.getexif()
            assert exif.get(ExifTags.Base.Artist) == ("Ada" if kept else None)
            assert ExifTags.Base.Orientation not in exif
            assert (made.info.get("xmp") == XMP) == kept
            assert (round(made.info.get("dpi", (0, 0))[0]) == 300) == (kind == "grey")


def test_a_filled_photo_keeps_its_pixels_and_their_profile(hubgan: Run, tmp_path: Path) -> None:
    Translator(input="mask", width=8, depth=1, latent_dim=4, image_size=32).save_pretrained(tmp_path / "model")
    alpha = Image.new("L", (40, 24), 255)
    alpha.paste(0, (0, 0, 20, 24))
    photo = picture(40, 24)
    photo.putalpha(alpha)
    file = tagged(tmp_path / "photo.png", photo, {"icc_profile": PROFILE})
    assert hubgan("translate", tmp_path / "model", file, "-o", "filled.png")[0] == 0
    with Image.open(tmp_path / "filled.png") as made:
        assert made.info["icc_profile"] == PROFILE and round(made.info["dpi"][0]) == 300
        assert made.getexif()[ExifTags.Base.Artist] == "Ada"
        upright = photo.convert("RGB").transpose(Image.Transpose.ROTATE_270)
        half = (0, 20, 24, 40)
        assert made.size == (24, 40) and made.crop(half).tobytes() == upright.crop(half).tobytes()


def test_a_result_that_cannot_be_written(hubgan: Run, model: Path, drawings: Path) -> None:
    status, _, said = hubgan("translate", model, drawings / "0.png", "-o", "result.jpg")
    assert status == 2 and "-o result.jpg must end in .png, because results are PNG" in said
