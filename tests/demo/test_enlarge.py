"""What becomes of pictures and animations: their frames, the format of the result, and what the visitor is told."""

import base64
import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

gr = pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'hubgan[demo]'")

from helpers.colour_kinds import RGB, png_file, profile_chunk
from hubgan import Upscaler
from hubgan.demo import models, uploads
from hubgan.demo.enlarge import Enlarged, UpscaleRequest
from hubgan.demo.limits import Limits
from hubgan.demo.models import ModelRegistry
from hubgan.demo.preview import preview
from hubgan.demo.uploads import EXAMPLES
from hubgan.demo.upscale import UpscaleTab
from hubgan.errors import ConfigError, ImageError

SCALE = 2
Registry = ModelRegistry[Upscaler]


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """An untrained upscaler without a strength, and one with it."""
    for strength in (False, True):
        name = tmp_path / ("with" if strength else "without")
        Upscaler(scale=SCALE, width=4, depth=1, strength=strength).save_pretrained(name)
    return ModelRegistry(models.load_upscaler, [str(tmp_path / "without"), str(tmp_path / "with")])


@pytest.fixture
def dance(tmp_path: Path) -> Path:
    """A GIF of three frames of 8 x 6 pixels."""
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "green", "blue")]
    frames[0].save(tmp_path / "dance.gif", save_all=True, append_images=frames[1:], duration=80, loop=0)
    return tmp_path / "dance.gif"


def enlarge(registry: Registry, path: Path, limits: Limits | None = None, **settings: object) -> Enlarged:
    upscaling = UpscaleRequest.from_settings(registry, limits or Limits(), **settings)
    return upscaling.run(upscaling.open(str(path), path.name), lambda _: None)


@pytest.mark.parametrize(("format", "kind"), [(None, "GIF"), ("webp", "WEBP"), ("png", "PNG"), ("jpg", "PNG")])
def test_all_frames_of_an_animation_are_enlarged(
    registry: Registry, dance: Path, tmp_path: Path, format: str | None, kind: str
) -> None:
    enlarged = enlarge(registry, dance, format=format)
    file = Image.open(enlarged.save(tmp_path / f"result{enlarged.ending}"))
    assert (file.format, file.size, file.n_frames) == (kind, (8 * SCALE, 6 * SCALE), 3)
    reason = ["The result is a PNG file: JPEG holds no animation."] if format == "jpg" else []
    assert enlarged.remarks == ["All 3 frames were upscaled.", *reason]


def test_frames_that_are_too_many_are_reported(registry: Registry, dance: Path) -> None:
    enlarged = enlarge(registry, dance, Limits(megapixels=2 * 8 * 6 / 1e6))
    assert (enlarged.animation, enlarged.ending) == (None, ".png")
    assert "Only the first of 3 frames was upscaled" in enlarged.remarks[0]


def test_a_file_of_too_many_pages_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_PAGES", 2)
    pages = [Image.new("L", (8, 6)) for _ in range(3)]
    pages[0].save(tmp_path / "few.tif", save_all=True, append_images=pages[1:2])
    pages[0].save(tmp_path / "many.tif", save_all=True, append_images=pages[1:])
    assert uploads.read_header(str(tmp_path / "few.tif"), "few.tif").pages == 2
    with pytest.raises(ImageError, match=r"many\.tif has more than 2 pages\. Send a file of fewer pages"):
        uploads.read_header(str(tmp_path / "many.tif"), "many.tif")


def test_pages_that_are_left_out_are_reported(registry: Registry, tmp_path: Path) -> None:
    pages = [Image.new("L", (8, 6)) for _ in range(3)]
    pages[0].save(tmp_path / "scan.tif", save_all=True, append_images=pages[1:])
    enlarged = enlarge(registry, tmp_path / "scan.tif")
    assert enlarged.ending == ".png" and "Only the first of 3 pages was upscaled" in enlarged.remarks[0]


def test_damaged_parts_that_are_skipped_are_reported_each_time(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "p.png").write_bytes(png_file(np.full((6, 8, 3), 99), 8, RGB, profile_chunk(b"garbage")))
    for _ in range(2):
        assert enlarge(registry, tmp_path / "p.png").remarks == [
            "Damaged parts of the file were skipped: ICC profile."
        ]


def test_a_format_that_cannot_hold_the_result_is_replaced_and_reported(registry: Registry, tmp_path: Path) -> None:
    Image.new("RGBA", (8, 6), "#ff000080").save(tmp_path / "clear.webp")
    assert enlarge(registry, tmp_path / "clear.webp").ending == ".webp"
    enlarged = enlarge(registry, tmp_path / "clear.webp", format="jpg")
    assert (enlarged.ending, enlarged.remarks) == (".png", ["The result is a PNG file: JPEG has no transparency."])


def test_a_strength_is_refused_by_a_model_without_one(registry: Registry) -> None:
    for automatic in (None, False):
        with pytest.raises(ConfigError, match=r"without has no strength setting\. Leave strength out"):
            UpscaleRequest.from_settings(registry, Limits(), strength=0.5, automatic=automatic)
    hidden = UpscaleRequest.from_settings(registry, Limits(), strength=0.5, automatic=True)  # as the page sends it
    assert hidden.strength == "auto"
    assert UpscaleRequest.from_settings(registry, Limits(), model="with", strength=0.5).strength == 0.5


def test_the_work_is_not_done_before_the_result_is_saved(registry: Registry) -> None:
    shown: list[tuple[float, str]] = []
    with gr.Blocks():
        tab = UpscaleTab(registry, Limits())
    example = next(EXAMPLES.glob("*.png"))
    tab.upscale(
        {"path": str(example), "orig_name": example.name},
        SimpleNamespace(session_hash=None),
        progress=lambda share, desc: shown.append((share, desc)),
    )
    assert shown[-1] == (0.9, "Saving") and shown[-2] == (0.9, "Upscaling")


def test_the_preview_shows_the_part_that_would_be_enlarged(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (4000, 2000), "white").save(tmp_path / "phone.jpg", exif=exif)
    address = preview(str(tmp_path / "phone.jpg"), (0.5, 0.5, 1.0, 1.0))
    shown = Image.open(io.BytesIO(base64.b64decode(address.removeprefix("data:image/webp;base64,")))).convert("L")
    assert shown.size == (400, 800)
    bright = np.asarray(shown) > 200
    assert bright[410:790, 210:390].all() and not bright[:390].any() and not bright[:, :190].any()
