"""`hubgan upscale` of videos: what is played back afterwards, and what survives an interruption."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import partial
from pathlib import Path
from queue import Queue

import av
import numpy as np
import pytest

from helpers.clips import BT601, BT709, RHYTHM, alike, clip, play, with_subtitles
from helpers.command_line import Run, environment, hubgan
from helpers.common import names
from helpers.forking import fork
from helpers.pictures import picture_file
from hubgan import Upscaler
from hubgan.cli import clips
from hubgan.runtime.locks import locked


@pytest.fixture
def run(hubgan: Run) -> Run:
    """Run `hubgan upscale`."""
    return partial(hubgan, "upscale")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("codec", "name", "sound", "result", "written"),
    [
        ("libx264", "a.mp4", "aac", "a-x2.mp4", "h264"),
        ("libx264", "a.MOV", "aac", "a-x2.MOV", "h264"),
        ("libx265", "a.mkv", "aac", "a-x2.mkv", "h264"),
        ("libvpx-vp9", "a.webm", "libopus", "a-x2.webm", "vp9"),
        ("libsvtav1", "a.mp4", "aac", "a-x2.mp4", "h264"),
        ("libx264", "a.mts", "mp2", "a-x2.mp4", "h264"),
    ],
)
def test_a_video_keeps_its_times_and_its_sound(
    run: Run, tmp_path: Path, upscaler: Upscaler, codec: str, name: str, sound: str, result: str, written: str
) -> None:
    constant = [1000 * number for number in range(12)]
    options = {"svtav1-params": "logical-processors=1"} if codec == "libsvtav1" else {}
    size = (64, 64) if codec == "libsvtav1" else (32, 24)
    source = clip(
        tmp_path / name, codec=codec, sound=sound, times=constant if name == "a.mts" else RHYTHM, size=size,
        options=options,
    )  # fmt: skip
    status, said, complained = run("up", name)
    assert (status, said, complained) == (0, f"{result}: {2 * size[0]} x {2 * size[1]} pixels\n", "")
    before, after = play(source), play(tmp_path / result)
    assert after.codec == written and after.size == (2 * size[0], 2 * size[1])
    shift = before.times[0] - after.times[0]
    exact = Fraction(0) if name != "a.mts" else Fraction(1, 90_000)
    assert all(abs(old - shift - new) <= exact for old, new in zip(before.times, after.times, strict=True))
    assert shift == 0 or name == "a.mts"
    assert after.duration == pytest.approx(before.duration, abs=0.002)
    assert after.copied == before.copied and len(after.copied["audio"]) > 40
    for old, new in zip(before.pixels, after.pixels, strict=True):
        assert np.abs(new.astype(int) - np.asarray(upscaler.upscale(old))).mean() < 6
    assert not [name for name in names(tmp_path) if name.startswith(".")]


@pytest.mark.slow
def test_subtitles_chapters_and_titles_come_along(run: Run, tmp_path: Path, upscaler: Upscaler) -> None:
    with_subtitles(clip(tmp_path / "a.mp4"), tmp_path / "b.mkv")
    assert run("up", "b.mkv")[0] == 0
    assert play(tmp_path / "b-x2.mkv").copied == play(tmp_path / "b.mkv").copied
    with av.open(str(tmp_path / "b-x2.mkv")) as result:
        assert [chapter["metadata"]["title"] for chapter in result.chapters()] == ["one"]
        assert result.streams.subtitles[0].metadata["language"] == "eng"
    assert run("up", "a.mp4")[0] == 0
    with av.open(str(tmp_path / "a-x2.mp4")) as result:
        assert result.metadata["title"] == "a clip"
    status, _, complained = run("up", "b.mkv", "-o", "c.mp4")
    assert status == 0
    assert complained == "b.mkv: its subtitle stream 2 (srt) is skipped, because .mp4 cannot hold it\n"
    assert "subtitle" not in play(tmp_path / "c.mp4").copied
    assert run("up", "c.mp4")[2] == ""  # although MP4 has a stream of its own for the titles of chapters
    with av.open(str(tmp_path / "c-x2.mp4")) as result:
        assert [chapter["metadata"]["title"] for chapter in result.chapters()] == ["one"]


@pytest.mark.parametrize("turn", [90, 180, -90])
def test_a_turned_video_stands_upright(run: Run, tmp_path: Path, upscaler: Upscaler, turn: int) -> None:
    source = clip(tmp_path / "a.mp4", turn=turn, aspect=Fraction(4, 3), sound=None)
    with av.open(str(source)) as container:
        assert abs(next(container.decode(video=0)).rotation) == abs(turn)
    assert run("up", "a.mp4")[0] == 0
    after, before = play(tmp_path / "a-x2.mp4"), play(source)
    assert after.size == ((48, 64) if abs(turn) == 90 else (64, 48))
    upright = np.rot90(before.pixels[3], turn // 90)
    assert np.abs(after.pixels[3].astype(int) - np.asarray(upscaler.upscale(upright))).mean() < 6
    with av.open(str(tmp_path / "a-x2.mp4")) as container:
        frame = next(container.decode(video=0))
        assert frame.rotation == 0
        assert container.streams.video[0].sample_aspect_ratio == (
            Fraction(3, 4) if abs(turn) == 90 else Fraction(4, 3)
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("colours", "kept"),
    [(BT709, BT709), (BT601, BT601), ((9, 14, 9, 2), (9, 14, 9, 2)), ((2, 2, 2, 0), (2, 2, 6, 1))],
)
@pytest.mark.parametrize("ending", ["mp4", "webm"])
def test_colours_look_the_same_and_are_tagged(
    run: Run, tmp_path: Path, upscaler: Upscaler, colours: tuple[int, ...], kept: tuple[int, ...], ending: str
) -> None:
    codec = {"mp4": "libx264", "webm": "libvpx-vp9"}[ending]
    source = clip(tmp_path / f"a.{ending}", codec=codec, colours=colours, sound=None)  # type: ignore[arg-type]
    assert run("up", source.name)[0] == 0
    after = play(tmp_path / f"a-x2.{ending}")
    assert after.colours == kept
    difference = after.pixels[5].astype(int) - np.asarray(upscaler.upscale(play(source).pixels[5]))
    assert np.abs(difference.mean((0, 1))).max() < 3


def test_what_is_lost_is_said(run: Run, tmp_path: Path, upscaler: Upscaler) -> None:
    clip(tmp_path / "a.mp4", codec="libx265", format="yuv420p10le", colours=(9, 16, 9, 1))
    status, _, complained = run("up", "a.mp4")
    assert status == 0
    assert complained == "a.mp4: its 10 bits a channel of HDR (PQ) are reduced to 8, so smooth areas may show bands\n"
    assert play(tmp_path / "a-x2.mp4").colours == (9, 16, 9, 1)


def test_odd_sides_get_one_more_line(run: Run, tmp_path: Path, upscaler: Upscaler) -> None:
    clip(tmp_path / "a.mp4", size=(30, 22))
    assert run("up", "a.mp4", "--scale", "1.5")[1] == "a-x1.5.mp4: 46 x 34 pixels\n"
    assert play(tmp_path / "a-x1.5.mp4").size == (46, 34)


def test_a_folder_of_pictures_and_videos(run: Run, tmp_path: Path, upscaler: Upscaler) -> None:
    picture_file(tmp_path / "in" / "a.png")
    clip(tmp_path / "in" / "b.avi", codec="mpeg4", sound=None, times=range(0, 12_000, 1000))
    (tmp_path / "in" / "c.mp4").write_text("Not a video")
    status, said, complained = run("up", "in")
    assert (status, said) == (0, "1 picture enlarged 2 times, in in-x2\n")
    assert "in: skipped: 1 .avi, 1 .mp4 (--videos enlarges the videos too)\n" in complained
    (tmp_path / "in-x2" / "a.png").unlink()
    status, said, complained = run("up", "in", "--videos", "--format", "png")
    assert (status, said) == (2, "1 picture and 1 video enlarged 2 times, in in-x2\n")
    assert names(tmp_path / "in-x2") == {"a.png", "b.mp4"}
    assert "1 of 1 picture and 2 videos failed:\n  in/c.mp4 cannot be read as a video" in complained
    assert "2 skipped" in run("up", "in", "--videos", "--format", "png")[1]
    assert "--format is a format of pictures" in run("up", "in/b.avi", "--format", "png")[2]


def test_a_video_that_cannot_be_enlarged(run: Run, tmp_path: Path, upscaler: Upscaler) -> None:
    whole = clip(tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("This is no video.")
    (tmp_path / "list.mp4").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nwhole.mp4\n")
    (tmp_path / "cut.mp4").write_bytes(whole[:-3000])
    with av.open(str(tmp_path / "sound.mp4"), "w") as container, av.open(str(tmp_path / "whole.mp4")) as source:
        copy = container.add_stream_from_template(source.streams.audio[0], opaque=True)
        for packet in source.demux(audio=0):
            if packet.size:
                packet.stream = copy
                container.mux(packet)
    key = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "00" * 16, "encryption_kid": "11" * 16}
    clip(tmp_path / "locked.mp4", **key)
    clip(tmp_path / "narrow.webm", codec="libvpx-vp9", sound=None, size=(8200, 16), times=[0])
    for argv, words in {
        ("empty.mp4",): "empty.mp4 is empty",
        ("text.mp4",): "text.mp4 cannot be read as a video",
        ("list.mp4",): "list.mp4 cannot be read as a video",
        ("cut.mp4",): "cut.mp4 cannot be read as a video",
        ("sound.mp4",): "sound.mp4 has no video stream",
        ("locked.mp4",): "locked.mp4 is encrypted",
        ("narrow.webm", "-o", "wide.mp4"): "16400 x 32 pixels, but .mp4 holds at most 16,384 a side. Use a smaller",
        ("whole.mp4", "-o", "large.avi"): "has no video extension that hubgan can write. Pass a .mp4",
        ("whole.mp4", "-o", "whole.mp4"): "would be replaced by its own result",
    }.items():
        status, said, complained = run("up", *argv)
        assert (status, said) == (2, "")
        assert complained.startswith("hubgan upscale: error: ") and words in complained
        assert complained.count("\n") == 1
    assert not [name for name in names(tmp_path) if "x2" in name]


def test_without_the_package(run: Run, tmp_path: Path, upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch) -> None:
    clip(tmp_path / "a.mp4")
    monkeypatch.setitem(sys.modules, "av", None)  # as if it were not installed
    words = "a.mp4 is a video, which needs the package av. Run: pip install 'hubgan[video]'"
    assert words in run("up", "a.mp4")[2]


def test_of_a_video_that_is_cut_off_the_rest_is_enlarged(run: Run, tmp_path: Path, upscaler: Upscaler) -> None:
    times = [1000 * number for number in range(48)]
    options = {"g": "1", "crf": "1"}
    data = clip(tmp_path / "whole.mkv", times=times, options=options, sound=None).read_bytes()
    (tmp_path / "a.mkv").write_bytes(data[: len(data) // 2])
    status, said, complained = run("up", "a.mkv")
    assert (status, said) == (0, "a-x2.mkv: 64 x 48 pixels\n")
    assert "a.mkv: the file is cut off: it ends after " in complained and "of 4.0 seconds" in complained
    assert 10 < len(play(tmp_path / "a-x2.mkv").times) < 40


# -- interruptions ---------------------------------------------------------------------------------------------------


def _long(path: Path, size: tuple[int, int] = (160, 120)) -> Path:
    """A video of three parts and a bit."""
    return clip(path, times=[1000 * number for number in range(150)], size=size, sound=None)


@pytest.mark.slow
def test_two_commands_make_one_video_of_the_longest_name(tmp_path: Path, upscaler: Upscaler) -> None:
    (tmp_path / "in").mkdir()
    source = clip(tmp_path / "in" / f"{'x' * 251}.mp4")
    log = tmp_path / "log"
    words = ["upscale", "up", "in", "--videos", "-o", "out"]
    children = [fork(hubgan, words, tmp_path, log=log)[0] for _ in range(2)]
    for child in children:
        child.join(120)
    assert [child.exitcode for child in children] == [0, 0], log.read_text()
    assert names(tmp_path / "out") == {source.name}
    assert len(play(tmp_path / "out" / source.name).times) == len(play(source).times)


def test_a_video_that_another_process_makes_is_awaited(
    run: Run, tmp_path: Path, upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip(tmp_path / "a.mp4")
    told: Queue[str] = Queue()
    monkeypatch.setattr(clips, "say", told.put)
    with ThreadPoolExecutor(1) as pool:
        with locked(tmp_path / ".a-x2.mp4.lock"):
            second = pool.submit(run, "up", "a.mp4")
            assert told.get(timeout=60) == "a-x2.mp4: another process is writing it; waiting for that process to end"
            (tmp_path / "a-x2.mp4").touch()
        status, _, complained = second.result(60)
    assert status == 2 and "a-x2.mp4 already exists" in complained
    assert {name for name in names(tmp_path) if not name.startswith("up")} == {"a.mp4", "a-x2.mp4"}


def _begin(tmp_path: Path) -> subprocess.Popen[str]:
    """Enlarge until there is a finished part."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hubgan", "upscale", "up", "a.mp4"],
        cwd=tmp_path,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored where the tests run in background
    )
    while process.poll() is None and not [*tmp_path.glob(".a-x2.mp4.parts/*/000000.nut")]:
        time.sleep(0.01)
    return process


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_video_is_continued(run: Run, tmp_path: Path, upscaler: Upscaler, kind: signal.Signals) -> None:
    _long(tmp_path / "a.mp4", size=(96, 64))
    process = _begin(tmp_path)
    process.send_signal(kind)
    _, complained = process.communicate(timeout=60)
    assert not (tmp_path / "a-x2.mp4").exists()
    if kind == signal.SIGINT:
        assert process.returncode == 130
        assert "a-x2.mp4: interrupted. Run the same command again to continue after " in complained
    status, said, complained = run("up", "a.mp4", "--resume")
    assert (status, said) == (0, "a-x2.mp4: 192 x 128 pixels\n")
    assert "a-x2.mp4: continuing after " in complained and " of 150 frames" in complained
    assert {name for name in names(tmp_path) if not name.startswith("up")} == {"a.mp4", "a-x2.mp4"}
    continued = play(tmp_path / "a-x2.mp4")
    assert run("up", "a.mp4", "--overwrite")[2] == ""
    at_once = play(tmp_path / "a-x2.mp4")
    assert len(continued.times) == 150 and continued.times == at_once.times
    assert alike(continued.pixels, at_once.pixels)


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no tmpfs")
def test_a_full_disk_keeps_what_is_finished(run: Run, tmp_path: Path, upscaler: Upscaler) -> None:
    _long(tmp_path / "a.mp4")
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40k", "none", str(disk)], capture_output=True).returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        status, said, complained = run("up", "a.mp4", "-o", "disk/large.mp4")
        assert (status, said) == (2, "")
        assert "disk/large.mp4: No space left on device. Run the same command again to continue after " in complained
        assert complained.count("\n") == 1
        assert not (disk / "large.mp4").exists()
        assert len([*disk.glob(".large.mp4.parts/*/*.nut")]) >= 1
        subprocess.run(["mount", "-o", "remount,size=10m", str(disk)], check=True)
        status, _, complained = run("up", "a.mp4", "-o", "disk/large.mp4")
        assert status == 0 and "continuing after" in complained
        assert len(play(disk / "large.mp4").times) == 150
    finally:
        subprocess.run(["umount", str(disk)], check=True)
