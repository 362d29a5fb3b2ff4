"""`hubgan upscale`, as a person types it: which files it makes of which, and what it says."""

import io
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import datasets
import numpy as np
import pillow_heif
import pytest
import torch
from PIL import ExifTags, Image, ImageCms

from helpers.command_line import Run, environment, hubgan
from helpers.common import ROOT, names
from helpers.forking import fork
from helpers.pictures import frame, picture, picture_file, same
from hubgan import Generator, Upscaler
from hubgan.cli import enlarging, main
from hubgan.cli.inputs import list_results
from hubgan.data import load_images
from hubgan.media.images import open_image

MODELS = ROOT / "model_cards"
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture
def run(hubgan: Run) -> Run:
    """Run `hubgan upscale`."""
    return partial(hubgan, "upscale")


def test_a_picture_gets_its_result_beside_it(run: Run, tmp_path: Path, upscaler: Upscaler) -> None:
    source = picture_file(tmp_path / "my photos" / "a.b.png", icc_profile=SRGB)
    status, said, complained = run("up", source)
    result = source.with_name("a.b-x2.png")
    assert (status, said, complained) == (0, f"{result}: 24 x 16 pixels\n", "")
    assert same(result, upscaler.upscale(source))
    with Image.open(result) as image:
        assert image.info["icc_profile"] == SRGB
    status, said, complained = run("up", source)
    assert (status, said) == (2, "")
    assert f"{result} already exists. Pass another file with -o, or replace it with --overwrite" in complained
    assert run("up", source, "--overwrite")[0] == 0


@pytest.mark.parametrize("ending", ["jpg", "png", "webp"])
def test_the_cameras_data_come_along_and_the_orientation_is_applied(
    run: Run, tmp_path: Path, upscaler: Upscaler, ending: str
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Orientation] = "hubgan", 6
    Image.new("RGB", (12, 8), "red").save(tmp_path / f"photo.{ending}", exif=exif)
    assert run("up", f"photo.{ending}", "-o", f"large.{ending}")[0] == 0
    with Image.open(tmp_path / f"large.{ending}") as large:
        assert large.size == (16, 24)
        found = large.getexif()
    assert found[ExifTags.Base.Make] == "hubgan" and found.get(ExifTags.Base.Orientation, 1) == 1


def test_the_strength(run: Run, tmp_path: Path, upscaler: Upscaler) -> None:
    cleaner = Upscaler(scale=2, width=4, depth=1, strength=True)
    for parameter in cleaner.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    cleaner.save_pretrained(tmp_path / "cleaner")
    source = picture_file(tmp_path / "a.png")
    for options, strength in (([], "auto"), (["--strength", "auto"], "auto"), (["--strength", "0.9"], 0.9)):
        assert run("cleaner", source, "--overwrite", *options)[0] == 0
        assert same(source.with_name("a-x2.png"), cleaner.eval().upscale(source, strength=strength))
    for model, strength, complaint in (
        ("cleaner", "1.5", "strength is 1.5. Use a value from 0 (trust the pixels) to 1 (clean up), or auto"),
        ("cleaner", "much", "'much' is neither a number nor auto"),
        ("up", "0.5", "this model has no strength. Remove --strength"),
    ):
        status, _, complained = run(model, source, "--overwrite", "--strength", strength)
        assert status == 2 and complaint in complained


def test_a_scale_between(run: Run, tmp_path: Path, upscaler: Upscaler) -> None:
    picture_file(tmp_path / "a.png")
    assert run("up", "a.png", "--scale", "1.5")[0] == 0
    assert Image.open(tmp_path / "a-x1.5.png").size == (18, 12)
    assert "this model enlarges 2 times" in run("up", "a.png", "--scale", "3")[2]


def test_a_result_keeps_its_format_where_that_can_hold_it(run: Run, tmp_path: Path, upscaler: Upscaler) -> None:
    folder = tmp_path / "in"
    for name in ("jpg.JPG", "jpeg.jpeg", "webp.webp", "png.png", "gif.gif", "bmp.bmp", "tiff.tif", "grey.ppm"):
        picture_file(folder / name)
    status, said, _ = run("up", "in")
    assert status == 0
    assert said == "8 pictures enlarged 2 times, in in-x2\n"
    written = {"jpg.JPG", "jpeg.jpeg", "webp.webp", "png.png", "gif.png", "bmp.png", "tiff.png", "grey.png"}
    assert names(tmp_path / "in-x2") == written
    formats = {".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".png": "PNG"}
    for file in (tmp_path / "in-x2").iterdir():
        with Image.open(file) as image:
            assert (image.format, image.size) == (formats[file.suffix.lower()], (24, 16))


def test_transparency_and_great_width_go_into_png(run: Run, tmp_path: Path, upscaler: Upscaler) -> None:
    picture_file(tmp_path / "in" / "clear.png", "RGBA")
    picture_file(tmp_path / "in" / "solid.png").replace(tmp_path / "solid.png")
    with Image.open(tmp_path / "solid.png") as image:
        image.putalpha(255)
        image.save(tmp_path / "in" / "solid.png")
    picture_file(tmp_path / "wide.webp", size=(8192, 1))
    status, said, _ = run("up", "in", "--format", "jpg", "--quality", "50")
    assert (status, names(tmp_path / "in-x2")) == (0, {"clear.png", "solid.jpg"})
    assert "1 as PNG: JPEG has no transparency" in said
    assert run("up", "in", "--format", "jpg")[1].startswith("2 skipped")
    status, said, _ = run("up", "wide.webp")
    assert said == "wide-x2.png: 16384 x 2 pixels (as PNG: WEBP has at most 16,383 pixels a side)\n"


def test_a_result_never_takes_the_place_of_a_picture(run: Run, tmp_path: Path, upscaler: Upscaler) -> None:
    clear = picture_file(tmp_path / "in" / "clear.png", "RGBA")
    before = clear.read_bytes()
    for argv, words in {
        ("in", "-o", "in"): "would be replaced by its own result",
        ("in/clear.png", "-o", "in/clear.png"): "would be replaced by its own result",
        (
            "in/clear.png",
            "-o",
            "in/clear.jpg",
        ): "JPEG has no transparency, and in/clear.png belongs to another picture",
        ("in", "-o", "in", "--format", "jpg"): "JPEG has no transparency, and in/clear.png belongs to another picture",
    }.items():
        status, _, complained = run("up", *argv, "--overwrite")
        assert status == 2 and words in complained
        assert clear.read_bytes() == before
    picture_file(tmp_path / "in" / "clear-x2.png")
    status, _, complained = run("up", "in/clear.png", "in/clear-x2.png")
    assert status == 2 and "in/clear-x2.png is the result of in/clear.png, and also a picture to enlarge" in complained


def test_two_results_of_one_name_are_left_out(run: Run, tmp_path: Path, upscaler: Upscaler) -> None:
    for name in ("a/x.png", "b/x.png", "c/x.png", "c/x.gif"):
        picture_file(tmp_path / name)
    for inputs in (("a", "b"), ("a/x.png", "b/x.png"), ("c",)):
        status, said, complained = run("up", *inputs, "-o", "out")
        assert (status, said) == (2, "")
        assert "2 of 2 pictures failed:" in complained and "would both become out/x.png" in complained
        assert ("Pass --keep-extensions, which makes names such as x.gif.png" in complained) == (inputs == ("c",))
    assert not (tmp_path / "out").exists()
    assert run("up", "a", "b")[:2] == (0, "2 pictures enlarged 2 times, in a-x2, b-x2\n")


def test_all_results_of_one_name_are_reported_and_the_others_made(
    run: Run, tmp_path: Path, upscaler: Upscaler
) -> None:
    for name in ("a.bmp", "a.gif", "a.png", "b.bmp", "b.tif", "c.bmp"):
        picture_file(tmp_path / "in" / name)
    status, said, complained = run("up", "in")
    assert (status, said) == (2, "1 picture enlarged 2 times, in in-x2\n")
    early, _, at_the_end = complained.partition("hubgan upscale: error: ")
    assert early == "5 pictures are skipped, because several would have the same result\n"
    assert at_the_end == (
        "5 of 6 pictures failed:\n"
        "  in/a.bmp, in/a.gif and in/a.png would all become in-x2/a.png\n"
        "  in/b.bmp and in/b.tif would both become in-x2/b.png. Pass --keep-extensions, which makes names such as"
        " a.bmp.png. Rename one of each pair, or enlarge them with two commands\n"
    )
    assert names(tmp_path / "in-x2") == {"c.png"}
    assert run("up", "in", "--keep-extensions")[0] == 0
    assert names(tmp_path / "in-x2") == {
        "c.png",
        "a.bmp.png",
        "a.gif.png",
        "a.png",
        "b.bmp.png",
        "b.tif.png",
        "c.bmp.png",
    }
    assert run("up", "in/c.bmp", "--keep-extensions")[1] == "in/c.bmp-x2.png: 24 x 16 pixels\n"
    picture_file(tmp_path / "in" / "a.bmp.png")
    assert "in/a.bmp and in/a.bmp.png would both become" in run("up", "in", "--keep-extensions", "-o", "out")[2]


def test_the_longest_names_have_results(run: Run, tmp_path: Path, upscaler: Upscaler) -> None:
    longest = "\u00e4" * 125 + "b.png"  # 255 bytes
    for name in (longest, f"{longest[:-4]}.bmp"):
        picture_file(tmp_path / name[-3:] / name)
    assert run("up", "png", "-o", "out")[:2] == (0, "1 picture enlarged 2 times, in out\n")
    assert names(tmp_path / "out") == {longest}
    told = "its name is shortened, as it was too long for the disk"
    status, said, _ = run("up", f"png/{longest}")
    assert status == 0 and said.endswith(f": 24 x 16 pixels ({told})\n")
    (beside,) = names(tmp_path / "png") - {longest}
    assert re.fullmatch("\u00e4{119}~[0-9a-f]{8}-x2.png", beside)
    status, said, _ = run("up", "bmp", "-o", "out", "--keep-extensions")
    assert (status, said) == (0, f"1 picture enlarged 2 times, in out\n1 {told}\n")
    assert run("up", "bmp", "-o", "out", "--keep-extensions")[1].startswith("1 skipped")
    (tmp_path / "bmp").rename(tmp_path / ("f" * 255))
    assert run("up", "f" * 255)[0] == 0
    (folder,) = tmp_path.glob("f*-x2")
    assert names(folder) == {longest}


@pytest.mark.slow
def test_two_commands_write_into_one_folder(run: Run, tmp_path: Path, upscaler: Upscaler) -> None:
    wanted = {f"{number}.png" for number in range(12)}
    for name in wanted:
        picture_file(tmp_path / "in" / name, size=(60, 40))
    log = tmp_path / "log"
    children = [fork(hubgan, ["upscale", "up", "in", "-o", "out"], tmp_path, log=log)[0] for _ in range(2)]
    for child in children:
        child.join(120)
    assert [child.exitcode for child in children] == [0, 0], log.read_text()
    assert names(tmp_path / "out") == wanted
    assert all(same(tmp_path / "out" / name, upscaler.upscale(tmp_path / "in" / name)) for name in wanted)


def test_subfolders_keep_their_places_and_results_are_not_enlarged_again(
    run: Run, tmp_path: Path, upscaler: Upscaler
) -> None:
    for name in ("in/a.png", "in/deep/er/b.jpg", "in/.hidden.png", "in/.thumbnails/c.png"):
        picture_file(tmp_path / name)
    (tmp_path / "in" / "notes.txt").touch()
    assert run("up", "in", "-o", "top")[0] == 0
    assert names(tmp_path / "top") == {"a.png"}
    for _ in range(2):
        assert run("up", "in", "-o", "in/large", "--recursive")[0] == 0
        assert names(tmp_path / "in" / "large") == {"a.png", "deep/er/b.jpg"}


def test_a_broken_picture_does_not_keep_the_others_from_being_done(
    run: Run, tmp_path: Path, upscaler: Upscaler
) -> None:
    whole = picture_file(tmp_path / "in" / "a.jpg")
    (tmp_path / "in" / "b.jpg").write_bytes(whole.read_bytes()[:400])
    (tmp_path / "in" / "c.png").touch()
    picture_file(tmp_path / "in" / "d.png")
    status, said, complained = run("up", "in")
    assert (status, said) == (2, "2 pictures enlarged 2 times, in in-x2\n")
    assert complained.startswith("hubgan upscale: error: 2 of 4 pictures failed:\n  in/b.jpg cannot be read")
    assert "\n  in/c.png is empty" in complained
    assert names(tmp_path / "in-x2") == {"a.jpg", "d.png"}
    (tmp_path / "broken").mkdir()
    shutil.copy(whole, tmp_path / "in" / "b.jpg")
    (tmp_path / "in" / "c.png").rename(tmp_path / "broken" / "c.png")
    assert run("up", "broken")[:2] == (2, "") and not (tmp_path / "broken-x2").exists()
    assert run("up", "in")[:2] == (
        0,
        "1 picture enlarged 2 times, in in-x2\n"
        "2 skipped, because their results exist already (--overwrite makes them again)\n",
    )


def test_a_result_that_cannot_be_written_does_not_keep_the_others_from_being_done(
    run: Run, tmp_path: Path, upscaler: Upscaler
) -> None:
    for name in ("a.png", "b.png", "c.png"):
        picture_file(tmp_path / "in" / name)
    (tmp_path / "in-x2" / "b.png").mkdir(parents=True)
    status, said, complained = run("up", "in", "--overwrite")
    assert (status, said) == (2, "2 pictures enlarged 2 times, in in-x2\n")
    assert "1 of 3 pictures failed:\n  in/b.png: " in complained
    assert names(tmp_path / "in-x2") == {"a.png", "c.png"}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_the_share_of_a_picture(
    run: Run, tmp_path: Path, upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture_file(tmp_path / "in" / "a very long name of a photograph from the holidays.png", size=(160, 120))
    monkeypatch.setattr(enlarging, "_SOON", 0)
    for source, result in ((next((tmp_path / "in").iterdir()), "out.png"), ("in", "out")):
        monkeypatch.setattr(sys, "stderr", terminal := Terminal())
        assert run("up", source, "-o", result, "--tile", "8")[0] == 0
        lines = re.split(r"[\r\n]|\x1b\[A", terminal.getvalue())
        assert any(re.search(r"the holidays\.png: +\d+%\|.*\| 00:\d\d<00:\d\d$", line) for line in lines), lines


def test_paths_are_taken_as_they_are(run: Run, tmp_path: Path, upscaler: Upscaler) -> None:
    strange = ["*.png", "~.png", "$HOME.png", "%s {0}.png", "a\nb.png", "-o.png", os.fsdecode(b"\xff.png")]
    for name in strange:
        picture_file(tmp_path / "in" / name)
    assert run("up", "-o", "out", "--", *(f"in/{name}" for name in strange))[0] == 0
    assert names(tmp_path / "out") == set(strange)
    os.chdir(tmp_path / "in")
    assert main(["upscale", "../up", "--", "-o.png"]) == 0
    assert main(["upscale", "../up", strange[-1]]) == 0
    assert main(["upscale", "--tile", "8", "--", "../up", "-o-x2.png"]) == 0
    assert (tmp_path / "in" / "-o-x2-x2.png").exists()


def test_what_cannot_be_upscaled_is_told_in_a_line(run: Run, tmp_path: Path, upscaler: Upscaler) -> None:
    picture_file(tmp_path / "a.png")
    picture_file(tmp_path / "b.png")
    (tmp_path / "empty").mkdir()
    Generator(width=4).save_pretrained(tmp_path / "gen")
    shutil.copytree(tmp_path / "up", tmp_path / "two")
    shutil.copy(tmp_path / "two" / "model.safetensors", tmp_path / "two" / "other.safetensors")
    (tmp_path / "two" / "config.json").unlink()
    for argv, words in {
        ("up", "c.png"): "c.png does not exist. Check the path",
        ("up", ""): "an INPUT is empty",
        (
            "up",
            "https://a.org/b.png",
        ): "https://a.org/b.png is a web address, but hubgan opens files. Download it first: curl",
        ("https://a.org/up", "a.png"): "https://a.org/up is a web address",
        ("a.png",): "MODEL is missing: a.png is a picture or video. Run: hubgan upscale MODEL a.png, where MODEL is",
        ("a.png", "b.png"): "MODEL is missing: a.png is a picture or video. Run: hubgan upscale MODEL a.png b.png,",
        ("up", "empty"): "empty holds no pictures or videos (apng, avif",
        ("up", "up/config.json"): "up/config.json is not a picture in a supported format",
        ("up", "a.png", "b.png", "-o", "c.png"): "-o c.png is a file",
        (
            "up",
            "a.png",
            "-o",
            "c.bmp",
        ): "c.bmp has no extension that hubgan can write. Pass a .png",
        ("up", "a.png", "-o", "c.jpg", "--format", "png"): "are different formats",
        ("gen", "a.png"): "gen/config.json describes a Generator",
        ("two", "a.png"): "Select one with --weights-name",
    }.items():
        status, said, complained = run(*argv)
        assert (status, said) == (2, "")
        assert complained.startswith("hubgan upscale: error: ") and words in complained
        assert complained.count("\n") == 1


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_after_ctrl_c_the_same_command_goes_on(run: Run, tmp_path: Path, upscaler: Upscaler) -> None:
    for index in range(8):
        picture_file(tmp_path / "in" / f"{index:02d}.png", size=(500, 400))
    command = [sys.executable, "-m", "hubgan", "upscale", "up", "in"]
    process = subprocess.Popen(
        command,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored where the tests run in background
    )
    while process.poll() is None and not (tmp_path / "in-x2" / "01.png").exists():
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60) == (None, "")
    assert process.returncode == 130
    done = names(tmp_path / "in-x2")
    assert 2 <= len(done) < 8
    assert all(name.endswith(".png") and not name.startswith(".") for name in done)
    status, said, _ = run("up", "in")
    assert status == 0 and f"{len(done)} skipped" in said
    assert len(names(tmp_path / "in-x2")) == 8


@pytest.mark.parametrize(
    ("file", "mode", "result", "kept"),
    [
        ("a.png", "RGB", "a-x4.png", "RGB"),
        ("a.png", "L", "a-x4.png", "L"),
        ("a.png", "LA", "a-x4.png", "LA"),
        ("a.png", "1", "a-x4.png", "L"),
        ("a.png", "P", "a-x4.png", "RGB"),
        ("a.png", "RGBA", "a-x4.png", "RGBA"),
        ("a.png", "I;16", "a-x4.png", "I;16"),
        ("a.tif", "I;16", "a-x4.png", "I;16"),
        ("a.tif", "CMYK", "a-x4.png", "RGB"),
        ("a.jpg", "CMYK", "a-x4.jpg", "RGB"),
        ("a.jpg", "L", "a-x4.jpg", "L"),
        ("a.jpg", "RGB", "a-x4.jpg", "RGB"),
        ("a.webp", "RGBA", "a-x4.webp", "RGBA"),
        ("a.gif", "P", "a-x4.png", "RGB"),
        ("a.bmp", "RGB", "a-x4.png", "RGB"),
        ("a.ppm", "L", "a-x4.png", "L"),
        ("a.avif", "RGB", "a-x4.png", "RGB"),
        ("a.heic", "RGB", "a-x4.png", "RGB"),
    ],
)
def test_every_kind_of_picture_keeps_kind_and_colours(
    run: Run, tmp_path: Path, file: str, mode: str, result: str, kept: str
) -> None:
    ramp = Image.linear_gradient("L").resize((32, 24))
    image = Image.merge("RGB", (ramp, ramp.transpose(Image.Transpose.FLIP_TOP_BOTTOM), ramp.rotate(180)))
    deep = Image.fromarray(np.asarray(ramp).astype(np.uint16) * 257)
    image = deep if mode == "I;16" else image.convert(mode, dither=Image.Dither.NONE)
    if "A" in mode:
        image.putalpha(ramp.point([100 + level // 2 for level in range(256)]))
    if file.endswith("heic"):
        pillow_heif.from_pillow(image).save(tmp_path / file, quality=95)
    elif Image.registered_extensions().get(Path(file).suffix) not in Image.SAVE:
        pytest.skip(f"this Pillow does not write {file}")
    else:
        image.save(tmp_path / file)
    # Cleaning moves the colours of so steep a ramp by a grey level; without it they have to stay.
    assert run(MODELS / "photo-x4", file, "--strength", 0)[:2] == (0, f"{result}: 128 x 96 pixels\n")
    with Image.open(tmp_path / result) as large:
        assert large.mode == kept
        small = open_image(tmp_path / file).convert("RGB")
        difference = np.asarray(open_image(large).convert("RGB").reduce(4)).astype(int) - np.asarray(small)
    assert np.abs(difference).mean() < 3 and np.abs(difference.mean((0, 1))).max() < 1


def test_the_strength_of_a_picture_hardly_moves_its_colours(run: Run, tmp_path: Path) -> None:
    ramp = Image.linear_gradient("L").resize((128, 96))
    small = Image.merge("RGB", (ramp, ramp.transpose(Image.Transpose.FLIP_TOP_BOTTOM), ramp.rotate(180)))
    small.save(tmp_path / "a.png")
    assert run(MODELS / "photo-x4", "a.png")[0] == 0
    with Image.open(tmp_path / "a-x4.png") as large:
        difference = np.asarray(large.reduce(4)).astype(int) - np.asarray(small)
    assert np.abs(difference.mean((0, 1))).max() < 1


def test_16_bits_become_8_where_no_more_can_be_held(run: Run, tmp_path: Path, upscaler: Upscaler) -> None:
    Image.fromarray(np.linspace(0, 65535, 96).reshape(8, 12).astype(np.uint16)).save(tmp_path / "a.png")
    for format, wanted in (("jpg", "L"), ("webp", "RGB"), ("png", "I;16")):
        assert run("up", "a.png", "--format", format, "-o", "large")[0] == 0
        with Image.open(tmp_path / "large" / f"a.{format}") as large:
            assert (large.mode, large.size) == (wanted, (24, 16))
            assert np.abs(np.asarray(open_image(large).convert("L").reduce(2)).mean() - 127.5) < 6


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux tells the peak of memory")
def test_fifty_megapixels_take_little_memory() -> None:
    code = """
import numpy as np
from pathlib import Path
from PIL import Image
from hubgan import Upscaler

def megabytes(what):
    text = Path("/proc/self/status").read_text()
    return int(text.split(what + ":")[1].split()[0]) / 1024

upscaler = Upscaler(width=4, depth=1)
picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (1562, 2000, 3), dtype=np.uint8))
upscaler.upscale(picture.crop((0, 0, 300, 300)))
before = megabytes("VmRSS")
Path("/proc/self/clear_refs").write_text("5")  # from here on the peak counts anew
assert upscaler.upscale(picture).size == (8000, 6248)
print(megabytes("VmHWM") - before)
"""
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1000


# -- data sets, and several processes ------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("hub")  # which answers at once that it has no such data set
def test_a_data_set_becomes_one(run: Run, tmp_path: Path, upscaler: Upscaler) -> None:
    images = [frame(number) for number in range(4)]
    features = datasets.Features(img=datasets.Image(), kind=datasets.ClassLabel(names=["cat", "a dog"]))
    rows = datasets.Dataset.from_dict({"img": images, "kind": [1, 0, 0, 1]}, features)
    rows.to_parquet(tmp_path / "rows.parquet")
    words = ("--dataset", tmp_path / "rows.parquet", "-o", "large")
    assert run("up", *words)[:2] == (0, "4 pictures enlarged 2 times, in large\n")
    assert names(tmp_path / "large") == {
        "a dog/00000000.png", "cat/00000001.png", "cat/00000002.png", "a dog/00000003.png"
    }  # fmt: skip
    assert same(tmp_path / "large" / "cat" / "00000002.png", upscaler.upscale(images[2]))
    (tmp_path / "large" / "cat" / "00000001.png").unlink()
    assert "1 picture enlarged 2 times, in large\n3 skipped" in run("up", *words)[1]
    large = load_images(str(tmp_path / "large"))
    assert [large.classes[label] for label in large.labels()] == ["a dog", "a dog", "cat", "cat"]
    assert run("up", *words, "--format", "webp")[0] == 0
    for argv, complaint in {
        ("up",): "INPUT is missing: up was read as MODEL. Run: hubgan upscale MODEL up",
        ("up", "a.png", *words): "INPUT and --dataset were both given. Remove one",
        ("up", "--dataset", "rows.parquet"): "--dataset rows.parquet needs a folder for the results. Pass one with -o",
        ("up", "a.png", "--split", "test"): "--split needs a data set. Pass the data set",
        ("up", *words, "--recursive", "--no-steady"): "--dataset does not use --recursive, --no-steady. Remove",
        ("up", "a.png", "--format", "png", "--quality", "95"): "--format png does not use --quality. Remove",
        ("up", "a.png", "-o", "b.png", "--keep-extensions"): "a file name, which does not use --keep-ext",
        ("up", "a.png", "--revision", "main"): "up, which is on this machine, does not use --revision. Remove",
        ("up", *words[:2], "-o", "large.png"): "which cannot hold a data set",
        ("up", "--dataset", "nowhere/at-all", "-o", "x"): "nowhere/at-all",
    }.items():
        status, said, complained = run(*argv)
        assert (status, said) == (2, "") and complaint in complained and complained.count("\n") == 1, complained


@pytest.mark.parametrize("labels", [["train", "test"], ["hr", "lr", "x"], ["-A ", "-a", "日本.png"]])
def test_results_read_back_whole_whatever_their_labels_are_called(
    labels: list[str], run: Run, tmp_path: Path, upscaler: Upscaler
) -> None:
    features = datasets.Features(img=datasets.Image(), kind=datasets.ClassLabel(names=labels))
    numbers = [number % len(labels) for number in range(4)]
    rows = datasets.Dataset.from_dict({"img": [picture(4, 4)] * 4, "kind": numbers}, features)
    rows.to_parquet(tmp_path / "rows.parquet")
    for _ in range(2):
        assert run("up", "--dataset", "rows.parquet", "-o", "large")[0] == 0
        large = load_images("large")
        assert sorted(large.classes[label] for label in large.labels()) == sorted(labels[number] for number in numbers)
    assert (tmp_path / "large" / "metadata.csv").exists() == ("-a" not in labels)
    assert run("up", "--dataset", "large", "-o", "larger")[0] == 0
    assert load_images("larger").size == 4


def test_a_metadata_file_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    picture_file(tmp_path / "test" / "0.png")
    (table := tmp_path / "metadata.csv").write_bytes(theirs := "file_name,town\ntest/0.png,Köln\n".encode("latin-1"))
    list_results(tmp_path)
    assert table.read_bytes() == theirs
    table.unlink()
    for _ in range(2):
        list_results(tmp_path)
        assert table.read_text() == '"file_name"\n"test/0.png"\n'


def test_other_files_in_a_folder_are_counted(run: Run, tmp_path: Path, upscaler: Upscaler) -> None:
    for name in ("in/a.png", "in/b.jpg"):
        picture_file(tmp_path / name)
    (tmp_path / "in" / "a.png").rename(tmp_path / "in" / "a")
    for name in ("a.txt", "b.txt", "c.mp4", ".d.png"):
        (tmp_path / "in" / name).touch()
    status, _, said = run("up", "in")
    assert status == 0 and names(tmp_path / "in-x2") == {"a.png", "b.jpg"}
    assert "in: skipped: 2 .txt, 1 .mp4, 1 hidden (--videos enlarges the videos too)\n" in said
    picture_file(tmp_path / "albums" / "a" / "a.png")
    picture_file(tmp_path / "albums" / "b.png")
    assert "albums: skipped: 1 folder (--recursive looks into the subfolders)\n" in run("up", "albums")[2]
    assert "skipped" not in run("up", "albums", "--recursive")[2]
    assert "in: 2 pictures; skipped: 2 .txt, 1 .mp4, 1 hidden\n" in run("up", "--dataset", "in", "-o", "out")[2]


def test_labels_stay_inside_the_folder(run: Run, tmp_path: Path, upscaler: Upscaler) -> None:
    def rows(labels: list[str], numbers: list[int], place: Path) -> Path:
        features = datasets.Features(img=datasets.Image(), kind=datasets.ClassLabel(names=labels))
        place.parent.mkdir(exist_ok=True)
        table = {"img": [frame(k) for k in range(len(numbers))], "kind": numbers}
        datasets.Dataset.from_dict(table, features).to_parquet(place)
        return place

    for label in ("..", ".", ".hidden", "a/b", "c:", " ", "__MACOSX"):
        status, _, complained = run("up", "--dataset", rows([label, "x"], [0], tmp_path / "a.parquet"), "-o", "out")
        assert status == 2 and "is not a valid folder name" in complained
    accents = rows(["\u00e4", "a\u0308"], [0, 1], tmp_path / "a.parquet")
    assert r"'\xe4' and 'a\u0308', which would be read as one" in run("up", "--dataset", accents, "-o", "out")[2]
    unlabelled = rows(["a", "b"], [-1, 1], tmp_path / "b.parquet")
    assert run("up", "--dataset", unlabelled, "-o", "out")[0] == 0
    assert names(tmp_path / "out") == {"00000000.png", "b/00000001.png"}
    rows(["a", "b"], [0], tmp_path / "data" / "train.parquet")
    assert "would become a part of the data set" in run("up", "--dataset", "data", "-o", "data/large")[2]


@pytest.mark.slow
def test_processes_share_a_folder(
    run: Run, tmp_path: Path, upscaler: Upscaler, launch_environment: dict[str, str]
) -> None:
    for number in range(7):
        picture_file(tmp_path / "in" / f"{number}.png", size=(20 + number, 9))
    picture_file(tmp_path / "in" / "clear.png", "RGBA")
    assert run("up", "in", "-o", "one", "--format", "jpg")[0] == 0
    words = ["upscale", "up", "in", "-o", "two", "--format", "jpg"]
    command = [
        sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2", "--num_machines", "1",
        "--mixed_precision", "no", "--dynamo_backend", "no", "-m", "hubgan", *words,
    ]  # fmt: skip

    def compare() -> None:
        assert names(tmp_path / "two") == names(tmp_path / "one")
        for name in names(tmp_path / "one"):
            assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()

    done = subprocess.run(
        command, cwd=tmp_path, env=launch_environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("8 pictures enlarged 2 times, in two") == 1
    compare()
    (tmp_path / "two" / "3.jpg").unlink()
    (tmp_path / "in" / "broken.png").write_bytes(b"no picture")
    status, _, alone = run("up", "in", "-o", "one", "--format", "jpg")
    assert status == 2 and "1 of 9 pictures failed" in alone
    log = tmp_path / "log"
    children = fork(hubgan, words, tmp_path, log=log, processes=2)
    for child in children:
        child.join(120)
    assert any(child.exitcode for child in children)
    compare()
    assert log.read_text().count("1 of 9 pictures failed:\n  in/broken.png") == 1
    assert log.read_text().count("1 picture enlarged 2 times, in two\n7 skipped") == 1
