"""Videos read, steadied and written in parts, without a model."""

from functools import partial
from pathlib import Path
from typing import Any
from weakref import ref

import av
import numpy as np
import pytest
from av.stream import Disposition
from PIL import Image

from helpers.clips import RHYTHM, alike, clip, play, with_subtitles
from helpers.common import names
from hubgan.errors import ImageError
from hubgan.media import video
from hubgan.media.clip import Clip
from hubgan.media.clip_writing import PART, ClipWriter
from hubgan.media.steady import MEMORY, Steadier

_FRAMES = PART + 20
Settings = dict[str, Any]


class StopError(Exception):
    """The work is interrupted."""


def _long(path: Path) -> Path:
    return clip(path, times=[1000 * number for number in range(_FRAMES)], sound=None)


def _twice(image: Image.Image) -> Image.Image:
    return image.resize((2 * image.width, 2 * image.height))


def _ignored(frames: int) -> None:
    pass


def _stopped(image: Image.Image) -> Image.Image:
    raise StopError


def _parts(folder: Path) -> list[Path]:
    return [*folder.glob(".*.parts/*/*.nut")]


def _interrupted(source: Path, target: Path, settings: Settings) -> None:
    """Write until the first frame of the second part."""
    done = 0

    def enlarge(image: Image.Image) -> Image.Image:
        nonlocal done
        done += 1
        if done > PART:
            raise StopError
        return _twice(image)

    with pytest.raises(StopError):
        ClipWriter(Clip(source), target, (64, 48), settings).write(partial(map, enlarge), _ignored)
    assert not target.exists()


@pytest.mark.slow
@pytest.mark.parametrize("change", ["nothing", "settings", "source", "resume"])
def test_finished_parts_are_used_if_they_would_be_made_again(tmp_path: Path, change: str) -> None:
    source, target, settings = _long(tmp_path / "a.mp4"), tmp_path / "large.mp4", {"model": 1}
    _interrupted(source, target, settings)
    if change == "source":
        source.write_bytes(source.read_bytes() + b"\0")
    settings = {"model": 2} if change == "settings" else settings
    writer = ClipWriter(Clip(source), target, (64, 48), settings, resume=change != "resume")
    assert writer.done == (PART if change == "nothing" else 0)
    assert writer.discarded == (change in ("settings", "source"))
    assert bool(_parts(tmp_path)) == (change != "resume")
    steps: list[int] = []
    assert writer.write(partial(map, _twice), steps.append) == _FRAMES
    assert sum(steps) == _FRAMES - (PART if change == "nothing" else 0)
    assert names(tmp_path) == {"a.mp4", "large.mp4"}
    ClipWriter(Clip(source), tmp_path / "at_once.mp4", (64, 48), settings).write(partial(map, _twice), _ignored)
    continued, at_once = play(target), play(tmp_path / "at_once.mp4")
    assert continued.times == at_once.times == play(source).times
    assert alike(continued.pixels, at_once.pixels)


@pytest.mark.slow
def test_parts_serve_another_ending_and_equal_settings_and_outlive_others(tmp_path: Path) -> None:
    source, target = _long(tmp_path / "a.mp4"), tmp_path / "large.mp4"
    _interrupted(source, target, {"scale": 2, "tile": 64})
    with pytest.raises(StopError):
        ClipWriter(Clip(source), target, (64, 48), {"scale": 3}).write(partial(map, _stopped), _ignored)
    assert [part.name for part in _parts(tmp_path)] == ["000000.nut"]
    assert len([*tmp_path.glob(".*.parts/*")]) == 1  # no empty folder
    for ending in (".mp4", ".mkv"):
        equal = {"tile": 64.0, "scale": 2.0}
        assert ClipWriter(Clip(source), target.with_suffix(ending), (64, 48), equal).done == PART


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["empty", "cut off"])
def test_a_damaged_part_is_made_again(tmp_path: Path, damage: str) -> None:
    source, target = _long(tmp_path / "a.mp4"), tmp_path / "large.mp4"
    _interrupted(source, target, {})
    (part,) = _parts(tmp_path)
    part.write_bytes(b"" if damage == "empty" else part.read_bytes()[: part.stat().st_size // 2])
    writer = ClipWriter(Clip(source), target, (64, 48), {})
    assert writer.done == 0
    assert writer.write(partial(map, _twice), _ignored) == _FRAMES == len(play(target).times)


def test_few_frames_are_in_memory(tmp_path: Path) -> None:
    alive: list[ref[Image.Image]] = []
    most = 0

    def enlarge(image: Image.Image) -> Image.Image:
        nonlocal most
        alive.append(ref(image))
        most = max(most, sum(each() is not None for each in alive))
        return _twice(image)

    ClipWriter(Clip(_long(tmp_path / "a.mp4")), tmp_path / "large.mp4", (64, 48), {}).write(
        partial(map, enlarge), _ignored
    )
    assert most <= 3


def test_frames_from_all_over_a_clip(tmp_path: Path) -> None:
    found = [*Clip(_long(tmp_path / "a.mp4")).samples(3)]
    assert [image.size for image in found] == [(32, 24)] * 3


def test_an_old_package_is_an_error_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "version", lambda name: "17.0.1")
    with pytest.raises(ImageError, match=r"needs av 17\.1 or newer, but 17\.0\.1 is installed.*pip install -U"):
        video.check_clip(tmp_path / "a.mp4")


def test_pixels_that_are_not_square_are_not_lost(tmp_path: Path) -> None:
    source = clip(tmp_path / "a.webm", codec="libvpx-vp9", sound=None)
    opened = Clip(source)
    opened.aspect *= 2
    with pytest.raises(ImageError, match=r"its pixels are not square.*Pass a \.mkv"):
        ClipWriter(opened, tmp_path / "large.webm", (64, 48), {})


def test_joined_recordings_follow_one_another(tmp_path: Path) -> None:
    times = [1000 * number for number in range(36)]
    one = clip(tmp_path / "a.mts", sound="mp2", times=times)
    (tmp_path / "b.mts").write_bytes(2 * one.read_bytes())
    ClipWriter(Clip(tmp_path / "b.mts"), tmp_path / "large.mp4", (64, 48), {}).write(partial(map, _twice), _ignored)
    before, after = play(one), play(tmp_path / "large.mp4")
    steps = np.diff([float(time) for time in after.times])
    assert len(after.times) == 72 and steps == pytest.approx(1 / 12, abs=0.001)
    assert after.duration == pytest.approx(2 * before.duration, abs=0.1)
    assert after.copied["audio"] == 2 * before.copied["audio"]
    with av.open(str(tmp_path / "large.mp4")) as result:
        sound = [packet.pts * float(packet.time_base) for packet in result.demux(audio=0) if packet.pts is not None]
    assert sound[43] - sound[0] == pytest.approx(3, abs=0.02)


def test_a_cover_comes_along(tmp_path: Path) -> None:
    Image.new("RGB", (16, 16)).save(tmp_path / "cover.png")
    clip(tmp_path / "plain.mp4")
    source = tmp_path / "a.mp4"
    with (
        av.open(str(tmp_path / "plain.mp4")) as plain,
        av.open(str(tmp_path / "cover.png")) as cover,
        av.open(str(source), "w") as result,
    ):
        streams = [*plain.streams, *cover.streams]
        copies: dict[Any, Any] = {stream: result.add_stream_from_template(stream, opaque=True) for stream in streams}
        copies[cover.streams[0]].disposition = Disposition.attached_pic
        for packet in [*cover.demux(), *plain.demux()]:
            if packet.size:
                packet.stream = copies[packet.stream]
                result.mux(packet)
    ClipWriter(Clip(source), tmp_path / "large.mp4", (64, 48), {}).write(partial(map, _twice), _ignored)
    with av.open(str(tmp_path / "large.mp4")) as result:
        (found,) = [bytes(packet) for packet in result.demux(video=1) if packet.size]
    assert found == (tmp_path / "cover.png").read_bytes()
    other = Clip(source)
    ClipWriter(other, tmp_path / "large.mov", (64, 48), {})
    assert other.notes == ["its cover is skipped, because .mov cannot hold it"]


def test_lost_sound_is_said_before_the_work(tmp_path: Path) -> None:
    source = Clip(clip(tmp_path / "a.avi", codec="mpeg4", sound="adpcm_ms", times=range(0, 12_000, 1000)))
    ClipWriter(source, tmp_path / "large.mp4", (64, 48), {})
    assert source.notes == ["its audio stream 1 (adpcm_ms) is skipped, because .mp4 cannot hold it"]


def test_a_video_that_cannot_be_searched_has_a_first_frame(tmp_path: Path) -> None:
    times = [1000 * number for number in range(48)]
    source = Clip(clip(tmp_path / "a.mts", times=times, options={"g": "250"}, sound=None))
    assert [image.size for image in source.samples(3)] == [(32, 24)]


def test_a_subtitle_that_ends_later_does_not_cut_a_video_off(tmp_path: Path) -> None:
    clip(tmp_path / "a.mkv", sound=None)
    source = Clip(with_subtitles(tmp_path / "a.mkv", tmp_path / "b.mkv", end=9))
    assert source.seconds == 9
    assert len([*source.frames()]) == len(RHYTHM) and source.notes == []


# -- noise ------------------------------------------------------------------------------------------------------------


def _surface(width: int) -> np.ndarray:
    """Waves and edges, in grey levels."""
    y, x = np.mgrid[0:48, 0:width]
    waves = 60 * np.sin(x / 3.0) * np.cos(y / 4.0) + 40 * ((x // 9 + y // 7) % 2) + 100
    return np.repeat(waves[..., None], 3, axis=2)


def _frames(step: int, noise: float, number: int = 16) -> tuple[list[np.ndarray], list[Image.Image]]:
    """A surface that moves by `step` pixels a frame; without noise and with it."""
    random, surface = np.random.default_rng(0), _surface(64 + step * number)
    clean = [surface[:, step * index : step * index + 64] for index in range(number)]
    noisy = [np.rint(each + random.normal(0, noise, each.shape)).clip(0, 255).astype(np.uint8) for each in clean]
    return clean, [Image.fromarray(each) for each in noisy]


def test_noise_fades_where_nothing_moves() -> None:
    clean, noisy = _frames(0, 3)
    steady = Steadier()
    last = [np.asarray(steady(frame)).astype(float) for frame in noisy][-3:]
    before = [np.asarray(frame).astype(float) for frame in noisy][-3:]
    assert np.abs(last[-1] - clean[-1]).mean() < np.abs(before[-1] - clean[-1]).mean() / 2
    assert np.abs(last[-1] - last[-2]).mean() < np.abs(before[-1] - before[-2]).mean() / 5


def test_long_ago_does_not_matter() -> None:
    _, noisy = _frames(0, 3, MEMORY + 32)
    steady, later = Steadier(), Steadier()
    for frame in noisy[:32]:
        steady(frame)
    for frame in noisy[32:]:
        one, other = steady(frame), later(frame)
    assert np.abs(np.asarray(one).astype(int) - np.asarray(other)).mean() < 0.5


@pytest.mark.parametrize("step", [1, 3])
@pytest.mark.parametrize("noise", [0, 3])
def test_what_moves_is_left_alone(step: int, noise: float) -> None:
    _, noisy = _frames(step, noise)
    steady = Steadier()
    changed = [np.abs(np.asarray(steady(frame)).astype(int) - np.asarray(frame)) for frame in noisy]
    assert max(each.mean() for each in changed) < 0.3


def test_a_cut_leaves_nothing_behind() -> None:
    _, noisy = _frames(0, 2)
    steady = Steadier()
    for frame in noisy:
        steady(frame)
    other = Image.new("RGB", noisy[0].size, (200, 30, 90))
    assert np.abs(np.asarray(steady(other)).astype(int) - np.asarray(other)).mean() < 0.3
