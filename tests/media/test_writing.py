"""Pictures written to files."""

import io
from pathlib import Path

import pytest
from PIL import Image

from helpers.common import ROOT
from helpers.pictures import cut_out, same
from hubgan.media.writing import save_picture

PHOTO = Image.open(ROOT / "src" / "hubgan" / "demo" / "examples" / "cat.png").convert("RGB")


@pytest.mark.parametrize("image", [PHOTO, PHOTO.resize((900, 600), Image.Resampling.BICUBIC), cut_out()[0]])
def test_a_fast_png_is_hardly_larger_than_a_slow_one(image: Image.Image, tmp_path: Path) -> None:
    save_picture(image, tmp_path / "new" / "picture.png")
    image.save(slow := io.BytesIO(), "PNG")
    assert same(tmp_path / "new" / "picture.png", image)
    assert (tmp_path / "new" / "picture.png").stat().st_size < 1.1 * len(slow.getvalue())
