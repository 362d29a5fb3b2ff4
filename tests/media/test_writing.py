"""Pictures written to files."""

import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from helpers.command_line import Run
from helpers.common import ROOT
from helpers.pictures import cut_out, noise, same
from hubgan import Upscaler
from hubgan.media.writing import save_picture

PHOTO = Image.open(ROOT / "src" / "hubgan" / "demo" / "examples" / "cat.png").convert("RGB")
LARGE = PHOTO.resize((900, 600), Image.Resampling.BICUBIC)
PAGE = Image.new("L", (300, 400), 255)
for top in range(0, 400, 20):
    ImageDraw.Draw(PAGE).text((5, top), "The quick brown fox jumps over the lazy dog. " * 2)


@pytest.mark.parametrize(
    ("image", "most"),
    [(PHOTO, 1.1), (LARGE, 1.1), (LARGE.convert("I").convert("I;16"), 1.1), (cut_out()[0], 1.1), (PAGE, 1.25)],
)
def test_a_fast_png_is_hardly_larger_than_a_slow_one(image: Image.Image, most: float, tmp_path: Path) -> None:
    save_picture(image, tmp_path / "new" / "picture.png")
    image.save(slow := io.BytesIO(), "PNG")
    assert same(tmp_path / "new" / "picture.png", image)
    assert (tmp_path / "new" / "picture.png").stat().st_size < most * len(slow.getvalue())


WITHOUT_ROOM = """
import resource, sys
from pathlib import Path
from PIL import Image
from hubgan.media.animation import Animation, save_animation
from hubgan.media.pages import save_pages
from hubgan.media.writing import save_picture
image = Image.effect_noise((64, 64), 99).convert("RGB")
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, -1))
folder = Path(sys.argv[1])
writers = {name: save_picture for name in ("a.png", "a.jpg", "a.webp", "a.gif", "a.tif")}
writers["pages.tif"] = lambda image, path: save_pages([image, image], path)
for name in ("moving.png", "moving.webp", "moving.gif"):
    writers[name] = lambda image, path: save_animation(Animation([image, image.rotate(90)], [100, 100]), path)
for name, write in writers.items():
    try:
        write(image, folder / name)
    except OSError as error:
        print(error.errno, error.filename)
"""


@pytest.mark.slow
def test_a_file_that_does_not_fit_is_an_error_that_names_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_ROOM, tmp_path],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )
    names = ("a.png", "a.jpg", "a.webp", "a.gif", "a.tif", "pages.tif", "moving.png", "moving.webp", "moving.gif")
    assert done.stdout.splitlines() == [f"{errno.EFBIG} {tmp_path / name}" for name in names]
    assert not done.stderr and not [*tmp_path.iterdir()]


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "gif", "tif"])
def test_a_full_disk_is_one_line(ending: str, hubgan: Run, upscaler: Upscaler, tmp_path: Path) -> None:
    noise(64, 64).save(tmp_path / "a.png")
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", str(disk)], capture_output=True).returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        told = f"disk/a.{ending}: No space left on device. Free some space, or choose a folder on another disk\n"
        assert hubgan("upscale", "up", "a.png", "-o", f"disk/a.{ending}") == (2, "", f"hubgan upscale: error: {told}")
        assert not [*disk.iterdir()]
    finally:
        subprocess.run(["umount", str(disk)], check=True)
