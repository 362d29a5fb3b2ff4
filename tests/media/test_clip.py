"""Videos read, steadied and written in parts, without a model."""

from pathlib import Path
from typing import Any
from weakref import ref

import numpy as np
import pytest
from PIL import Image

from helpers.clips import alike, clip, play
from helpers.common import names
from hubgan.errors import ImageError
from hubgan.media.clip import Clip
from hubgan.media.clip_writing import PART, ClipWriter
from hubgan.media.steady import Steadier

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
        ClipWriter(Clip(source), target, (64, 48), settings).write(enlarge, _ignored)
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
    assert writer.write(_twice, steps.append) == _FRAMES
    assert sum(steps) == _FRAMES - (PART if change == "nothing" else 0)
    assert names(tmp_path) == {"a.mp4", "large.mp4"}
    ClipWriter(Clip(source), tmp_path / "at_once.mp4", (64, 48), settings).write(_twice, _ignored)
    continued, at_once = play(target), play(tmp_path / "at_once.mp4")
    assert continued.times == at_once.times == play(source).times
    assert alike(continued.pixels, at_once.pixels)


@pytest.mark.slow
def test_parts_serve_another_ending_and_equal_settings_and_outlive_others(tmp_path: Path) -> None:
    source, target = _long(tmp_path / "a.mp4"), tmp_path / "large.mp4"
    _interrupted(source, target, {"scale": 2, "tile": 64})
    with pytest.raises(StopError):
        ClipWriter(Clip(source), target, (64, 48), {"scale": 3}).write(_stopped, _ignored)
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
    assert writer.write(_twice, _ignored) == _FRAMES == len(play(target).times)


def test_few_frames_are_in_memory(tmp_path: Path) -> None:
    alive: list[ref[Image.Image]] = []
    most = 0

    def enlarge(image: Image.Image) -> Image.Image:
        nonlocal most
        alive.append(ref(image))
        most = max(most, sum(each() is not None for each in alive))
        return _twice(image)

    ClipWriter(Clip(_long(tmp_path / "a.mp4")), tmp_path / "large.mp4", (64, 48), {}).write(enlarge, _ignored)
    assert most <= 3


def test_frames_from_all_over_a_clip(tmp_path: Path) -> None:
    found = [*Clip(_long(tmp_path / "a.mp4")).samples(3)]
    assert [image.size for image in found] == [(32, 24)] * 3


def test_pixels_that_are_not_square_are_not_lost(tmp_path: Path) -> None:
    source = clip(tmp_path / "a.webm", codec="libvpx-vp9", sound=None)
    opened = Clip(source)
    opened.aspect *= 2
    with pytest.raises(ImageError, match=r"its pixels are not square.*Name a \.mkv"):
        ClipWriter(opened, tmp_path / "large.webm", (64, 48), {})


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
