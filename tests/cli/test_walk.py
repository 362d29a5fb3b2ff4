"""Moving pictures: what `hubgan walk` writes, read back frame by frame."""

import sys
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from helpers.command_line import Run
from helpers.common import ROOT
from hubgan import Generator
from hubgan.errors import ConfigError
from hubgan.media.video import save_video

CIFAR = ROOT / "model_cards" / "cifar-dcgan"


@pytest.fixture
def run(hubgan: Run) -> Run:
    """Run `hubgan walk`."""
    return partial(hubgan, "walk")


@pytest.fixture
def generator(tmp_path: Path) -> Generator:
    """An untrained generator, saved in `gen`."""
    model = Generator(image_size=16, width=4, latent_dim=16)
    model.save_pretrained(tmp_path / "gen")
    return model


@pytest.fixture
def conditional(tmp_path: Path) -> Generator:
    """An untrained generator with classes, saved in `cond`."""
    model = Generator(image_size=16, width=4, latent_dim=16, labels=["cat", "dog", "cow"])
    model.save_pretrained(tmp_path / "cond")
    return model


def read(path: Path) -> tuple[np.ndarray, list[int]]:
    """The frames, uint8 (N, H, W, 3), and how long each is shown, in milliseconds."""
    frames, durations = [], []
    if path.suffix == ".mp4":
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
            durations = [round(1000 / stream.average_rate)] * len(frames)
    else:
        with Image.open(path) as image:
            for number in range(image.n_frames):
                image.seek(number)
                frames.append(np.asarray(image.convert("RGB")))
                durations.append(image.info["duration"])
    return np.stack(frames), durations


def enlarged(images: list[Image.Image], scale: int) -> np.ndarray:
    pixels = np.stack([np.asarray(image.convert("RGB")) for image in images])
    return pixels.repeat(scale, axis=1).repeat(scale, axis=2)


def error(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.sqrt(np.mean((one.astype(float) - other) ** 2)))


@pytest.mark.parametrize(("ending", "off"), [("webp", 0), ("gif", 2), ("mp4", 4)])
def test_a_walk_leads_from_seed_to_seed(run: Run, tmp_path: Path, ending: str, off: float) -> None:
    words = (CIFAR, "--seeds", 1, 2, 3, "--frames", 18, "-o", f"new/walk.{ending}", "--truncation", 1.5)
    status, said, complained = run(*words)
    assert (status, complained) == (0, "")
    assert said == f"new/walk.{ending}: 128 x 128 pixels, 18 frames, 0.6 seconds\n"
    frames, durations = read(tmp_path / "new" / f"walk.{ending}")
    assert frames.shape == (18, 128, 128, 3)
    assert sum(durations) == pytest.approx(600, abs=18)
    model = Generator.from_pretrained(CIFAR)
    seeds = [model.sample(seed=seed, truncation=1.5)[0] for seed in (1, 2, 3)]
    assert error(frames[::6], enlarged(seeds, 4)) <= off
    assert [path.name for path in (tmp_path / "new").iterdir()] == [f"walk.{ending}"]
    # No jump on the way, nor from the end to the beginning.
    steps = [error(one, other) for one, other in zip(frames, np.roll(frames, -1, axis=0), strict=True)]
    assert min(steps) > 1 and max(steps) < 0.5 * error(frames[0], frames[6])


def test_the_same_seeds_make_the_same_bytes_and_drawn_ones_are_told(
    run: Run, tmp_path: Path, generator: Generator
) -> None:
    _, said, _ = run("gen", "--seconds", 0.5, "--fps", 20)
    assert said.startswith("gen-walk.gif: 128 x 128 pixels, 10 frames, 0.5 seconds\n")
    seeds = said.split("--seeds ")[1].split(" to make")[0].split()
    assert len(seeds) == 4
    assert run("gen", "--seconds", 0.5, "--fps", 20, "-o", "again.gif", "--seeds", *seeds)[0] == 0
    assert (tmp_path / "again.gif").read_bytes() == (tmp_path / "gen-walk.gif").read_bytes()
    status, _, complained = run("gen")
    assert status == 2 and "gen-walk.gif already exists" in complained
    assert run("gen", "--frames", 1, "--overwrite")[0] == 0


def test_an_open_walk_ends_at_the_last_seed_and_plays_once(run: Run, tmp_path: Path, generator: Generator) -> None:
    for name in ("a.webp", "a.gif"):
        assert run("gen", "--seeds", 5, 6, "--frames", 7, "--scale", 1, "--no-loop", "-o", name)[0] == 0
    frames, durations = read(tmp_path / "a.webp")
    ends = [generator.sample(seed=seed)[0] for seed in (5, 6)]
    assert np.array_equal(frames[[0, -1]], enlarged(ends, 1))
    assert durations == [33, 34, 33, 33, 34, 33, 33]
    assert read(tmp_path / "a.gif")[1] == [30, 40, 30, 30, 40, 30, 30]
    with Image.open(tmp_path / "a.webp") as once, Image.open(tmp_path / "a.gif") as gif:
        assert once.info["loop"] == 1 and "loop" not in gif.info
    assert run("gen", "--seeds", 5, 6, "--fps", 10, "-o", "b.webp")[1].startswith(
        "b.webp: 128 x 128 pixels, 40 frames"
    )


def test_labels_keep_or_change_half_way(run: Run, tmp_path: Path, conditional: Generator) -> None:
    def shown(*words: object) -> np.ndarray:
        status, said, complained = run(
            "cond", "--seeds", 1, 1, "--frames", 8, "--scale", 1, "--overwrite", "-o", "c.webp", *words
        )
        assert status == 0, complained
        labels.append(said.split("label: ")[1].strip())
        frames = read(tmp_path / "c.webp")[0]
        return frames if len(frames) > 1 else frames.repeat(8, axis=0)  # WebP keeps equal frames as one

    labels: list[str] = []
    of = {name: enlarged(conditional.sample(seed=1, labels=name), 1)[0] for name in conditional.labels}
    assert (shown("--labels", "dog") == of["dog"]).all()
    shown()
    drawn = conditional.label_ids(1, seed=1)
    assert drawn is not None and labels == ["dog", conditional.labels[drawn]]
    run("cond", "--seeds", 1, 2, "--frames", 8, "--scale", 1, "--label", "cow", "cat", "-o", "d.webp")
    frames, cow, cat = read(tmp_path / "d.webp")[0], *(
        conditional.images_from(latents, numbers)
        for latents, numbers in [(conditional.latents(1, seed=1 + i), conditional.label_ids(1, name))
                                 for i, name in enumerate(("cow", "cat"))]
    )  # fmt: skip
    assert np.array_equal(frames[[0, 4]], enlarged([*cow, *cat], 1))
    status, _, complained = run("cond", "--label", "dgo", "-o", "e.gif")
    assert status == 2 and "no class 'dgo'. Did you mean 'dog'?" in complained


def test_what_cannot_be_walked_is_told_in_a_line(run: Run, tmp_path: Path, generator: Generator) -> None:
    for argv, words in {
        ("gen", "--seeds", "1"): "Pass two --seeds or more",
        ("gen", "-o", "walk.avi"): "walk.avi has no extension of an animation format. Use one of .gif, .webp, .mp4",
        ("gen", "--fps", "60"): "fps must be 1 to 50 in a GIF, got 60",
        ("gen", "--seconds", "nan"): "--seconds nan at 30 frames a second must make 1 to 100,000 frames",
        ("gen", "--seconds", "1e9"): "must make 1 to 100,000 frames",
        ("gen", "--truncation", "0"): "truncation must be above 0",
        ("gen", "--label", "dog"): "has no classes",
    }.items():
        status, said, complained = run(*argv)
        assert (status, said) == (2, "")
        assert complained.startswith("hubgan walk: error: ") and words in complained
        assert complained.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"gen"}


def test_mp4_without_its_package_says_what_to_install(
    run: Run, tmp_path: Path, generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)  # as if it were not installed
    status, _, complained = run("gen", "-o", "walk.mp4")
    assert status == 2 and "pip install 'hubgan[video]', or write a .gif or .webp" in complained


def test_odd_sides_and_true_colours_in_mp4(tmp_path: Path) -> None:
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (250, 250, 250), (20, 40, 60)]
    save_video([Image.new("RGB", (33, 31), colour) for colour in colours], tmp_path / "a.mp4", fps=25)
    frames, durations = read(tmp_path / "a.mp4")
    assert frames.shape == (5, 32, 34, 3) and durations == [40] * 5
    assert np.abs(frames.astype(int) - np.array(colours)[:, None, None]).max() <= 3


def test_grey_is_exact_and_a_broken_walk_leaves_nothing(tmp_path: Path) -> None:
    grey = [Image.fromarray(np.arange(start, start + 256, dtype=np.int64).astype(np.uint8).reshape(16, 16))
            for start in (0, 9, 70)]  # fmt: skip
    for name in ("a.gif", "a.webp"):
        save_video(grey, tmp_path / name, fps=10, scale=2)
        assert np.array_equal(read(tmp_path / name)[0], enlarged(grey, 2))
    with pytest.raises(ConfigError, match="no frames"):
        save_video([], tmp_path / "b.gif", fps=10)
    with pytest.raises(RuntimeError, match="stop"):
        save_video((image if number else (_ for _ in ()).throw(RuntimeError("stop"))
                    for number, image in enumerate(grey)), tmp_path / "b.gif", fps=10)  # fmt: skip
    (tmp_path / "c.mp4").write_bytes(b"mine")

    def breaks() -> object:
        yield grey[0]
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        save_video(breaks(), tmp_path / "c.mp4", fps=10)
    assert (tmp_path / "c.mp4").read_bytes() == b"mine"
    assert {path.name for path in tmp_path.iterdir()} == {"a.gif", "a.webp", "c.mp4"}
