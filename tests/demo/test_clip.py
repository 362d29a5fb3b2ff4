"""A video in the demo's second tab: what comes back, what is refused, and what is left behind."""

import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

gr = pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'hubgan[demo]'")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")

from helpers.browsing import open_tab
from helpers.clips import RHYTHM, clip, play, with_subtitles
from helpers.common import names
from hubgan import Upscaler
from hubgan.demo import models, queueing
from hubgan.demo.limits import Limits
from hubgan.demo.models import ModelRegistry
from hubgan.demo.upscale import UpscaleTab

SCALE = 2


class Part:
    """The part of the page, and the folders in which it works."""

    def __init__(self, folder: Path) -> None:
        self.uploads, self.temporary = folder / "cache", folder / "temporary"
        self.uploads.mkdir()
        self.temporary.mkdir()
        Upscaler(scale=SCALE, width=4, depth=1, strength=True).save_pretrained(folder / "up")
        self.registry: ModelRegistry[Upscaler] = ModelRegistry(models.load_upscaler, [str(folder / "up")])
        self.shown: list[tuple[float, str]] = []

    def __call__(self, video: Path, limits: Limits | None = None, progress: Any = None, **settings: Any) -> Any:
        """The result's file and the report of the endpoint."""
        with gr.Blocks() as page:
            UpscaleTab(self.registry, limits or Limits())
        endpoint = next(event for event in page.fns.values() if event.api_name == "upscale_video")
        updates = endpoint.fn(
            {"path": str(video), "orig_name": video.name},
            SimpleNamespace(session_hash="visitor"),
            progress=progress or (lambda share, desc: self.shown.append((share, desc))),
            **settings,
        )
        player, file, report = updates.values()
        assert player == file
        return Path(file), report

    def left(self) -> set[str]:
        """What is in the folders besides what was uploaded."""
        return names(self.temporary) | {path.name for path in self.uploads.iterdir() if path.is_dir()}


@pytest.fixture
def part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Part:
    part = Part(tmp_path)
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(part.uploads))
    monkeypatch.setattr(tempfile, "tempdir", str(part.temporary))
    return part


@pytest.fixture
def video(part: Part) -> Path:
    return clip(part.uploads / "My clip.mp4")


def test_a_video_keeps_its_frames_its_times_and_its_sound(part: Part, video: Path) -> None:
    file, report = part(video)
    before, after = play(video), play(file)
    assert file.name == f"My_clip-x{SCALE}.mp4" and after.codec == "h264"
    assert after.size == (32 * SCALE, 24 * SCALE) and after.times == before.times and after.copied == before.copied
    assert report.startswith(f"{len(RHYTHM)} frames, 32 x 24 → **64 x 48** pixels by up in ")
    shares = [share for share, _ in part.shown]
    assert shares == sorted(shares) and shares[0] == 0 and shares[-1] == pytest.approx(0.9)
    assert not names(part.temporary)


def test_frames_go_to_another_process_several_at_a_time(
    part: Part, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once, _ = part(video, strength=0.5)
    monkeypatch.setattr(models, "SUPPORTS_PROGRESS", False)
    monkeypatch.setattr("hubgan.demo.clip._BATCH_PIXELS", 5 * 32 * 24)
    part.shown.clear()
    in_batches, _ = part(video, strength=0.5)
    assert [share for share, _ in part.shown] == pytest.approx([0, 0.9 * 5 / 12, 0.9 * 10 / 12])
    one, other = play(at_once), play(in_batches)
    assert one.times == other.times
    assert all(np.abs(a.astype(int) - b).mean() < 2 for a, b in zip(one.pixels, other.pixels, strict=True))


def test_the_sound_of_a_camera_is_kept_and_subtitles_that_cannot_be_are_named(part: Part) -> None:
    camera = clip(part.uploads / "a.avi", sound="pcm_s16le", codec="mpeg4", times=range(0, 12_000, 1000))
    file, _ = part(camera)
    assert play(file).copied == play(camera).copied
    with_subtitles(clip(part.uploads / "b.mp4"), part.uploads / "c.mkv")
    _, report = part(part.uploads / "c.mkv")
    assert report.endswith("**c.mkv**: its subtitle stream 2 (srt) is skipped, because .mp4 cannot hold it.")


@pytest.mark.parametrize(
    ("limits", "complaint"),
    [
        (
            Limits(video_megapixels=6 * 32 * 24 / 1e6),
            r"clip\.mp4 has more than 0\.00461 megapixels in all its frames of 32 x 24 pixels\."
            r" Cut it to 0\.\d seconds, or shrink it first\.",
        ),
        (Limits(megapixels=0.0001), r"32 x 24 pixels; this demo takes up to 0\.0001 megapixels\. Shrink it first"),
    ],
)
def test_a_video_that_is_too_large_is_refused_before_the_work(
    part: Part, video: Path, limits: Limits, complaint: str
) -> None:
    with pytest.raises(gr.Error, match=complaint):
        part(video, limits)
    assert not part.shown and not part.left()


def test_a_header_that_tells_too_few_frames_does_not_get_round_the_limit(part: Part) -> None:
    endless = clip(part.uploads / "a.mkv", sound=None, live="1")  # a header without a duration
    with av.open(str(endless)) as container:
        assert not container.duration or not container.streams.video[0].frames
    with pytest.raises(gr.Error, match="megapixels in all its frames"):
        part(endless, Limits(video_megapixels=6 * 32 * 24 / 1e6))
    assert not part.left()


@pytest.mark.parametrize("how", ["stop", "minutes"])
def test_a_stopped_video_leaves_nothing_behind(part: Part, video: Path, how: str) -> None:
    def stop(share: float, desc: str) -> None:
        if share > 0.5:
            assert names(part.temporary)
            queueing._stop_events["visitor", "clip"].set()

    if how == "stop":
        with pytest.raises(gr.Error, match=r"Stopped\."):
            part(video, progress=stop)
    else:
        with pytest.raises(gr.Error, match=r"took more than .* Choose a smaller picture or a shorter video"):
            part(video, Limits(minutes=1e-9))
    assert not part.left() and not queueing._stop_events


def test_what_is_no_video_is_refused(part: Part) -> None:
    (part.uploads / "notes.mp4").write_text("no video")
    with pytest.raises(
        gr.Error, match=r"^'?notes\.mp4 cannot be read as a video .* Check that the file is a complete"
    ):
        part(part.uploads / "notes.mp4")
    with pytest.raises(gr.Error, match="The video was not uploaded"):
        part(Path(__file__))
    assert not part.left()


def test_without_av_the_page_says_what_to_install(part: Part, video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setattr("hubgan.demo.clip.find_spec", lambda name: None)
    monkeypatch.setattr("hubgan.media.video.find_spec", lambda name: None)
    with pytest.raises(gr.Error, match=r"clip\.mp4 is a video, which needs the package av\. Run: pip install"):
        part(video)
    with gr.Blocks() as page:
        UpscaleTab(part.registry, Limits())
    said = [
        block for block in page.blocks.values() if "pip install 'hubgan[video]'" in str(getattr(block, "value", ""))
    ]
    assert [block.visible for block in said] == [True]


def test_the_result_is_played(page: "playwright.Page", tmp_path: Path) -> None:
    open_tab(page, "Upscale")
    page.get_by_role("button", name="A video").click()
    with page.expect_response(lambda response: "/upload" in response.url and response.ok):
        page.locator("input[type=file][accept*='.mkv']").set_input_files(clip(tmp_path / "a.MKV"))
    page.get_by_text("MKV").first.wait_for()
    page.get_by_role("button", name="Upscale the video").click()
    page.get_by_text("12 frames, 32 x 24").wait_for()
    page.wait_for_function("document.querySelector('video')?.videoWidth === 96")
    playwright.expect(page.get_by_role("button", name="Download the video (MP4)")).to_be_enabled()
