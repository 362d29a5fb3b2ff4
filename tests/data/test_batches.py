"""Batches of images that are decoded once, or streamed, with and without workers."""

import json
import os
import pickle
import signal
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from PIL import Image

from helpers.common import SAMPLE
from helpers.forking import as_main, fork, run_script
from helpers.images_at_hand import (
    FLIPPED,
    SAME,
    SMALL,
    decoded,
    same_batches,
    save,
    stream,
    take,
)
from hubgan.data import (
    Crops,
    StreamedImages,
    batches,
    load_images,
)
from hubgan.errors import DataError

pytestmark = pytest.mark.usefixtures("cache")


# -- decoded images ----------------------------------------------------------------------------------------------


def files(cache: Path) -> dict[str, int]:
    return {path.suffix: path.stat().st_mtime_ns for path in (cache / "hubgan").iterdir()}


def test_images_are_decoded_once(cache: Path) -> None:
    first = decoded(SAMPLE, SAME)
    times = files(cache)
    assert set(times) == {".uint8", ".json", ".lock"}
    assert first.complete
    again = decoded(SAMPLE, FLIPPED, memory=10**8)  # the same pixels, and as many
    assert times == files(cache)
    assert torch.equal(first._prepared(7), again._prepared(7))
    assert torch.equal(first._prepared(7), SAME.prepare(load_images(str(SAMPLE)).image(7)))


@pytest.mark.slow
def test_damaged_files_are_made_again(cache: Path) -> None:
    whole = decoded(SAMPLE, SAME)._prepared(499).clone()
    data, index = (next((cache / "hubgan").glob(f"*.{suffix}")) for suffix in ("uint8", "json"))
    for damage in (
        lambda: data.write_bytes(data.read_bytes()[:-1]),
        data.unlink,
        index.unlink,  # as a kill between the two renames would leave it
        lambda: index.write_text(index.read_text()[:50]),
        lambda: index.write_text("[]"),
        lambda: index.write_text(json.dumps(json.loads(index.read_text()) | {"read": 499})),
    ):
        damage()
        data.with_suffix(".part").write_bytes(b"what a killed process left")
        assert torch.equal(decoded(SAMPLE, SAME)._prepared(499), whole)
        assert set(files(cache)) == {".uint8", ".json", ".lock"}


def test_a_cache_that_cannot_be_written(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    (cache / "hubgan").write_text("in the way")
    images = decoded(SAMPLE, SAME)
    assert "set HF_DATASETS_CACHE to another folder" in caplog.text
    assert images.complete
    assert torch.equal(images._prepared(7), SAME.prepare(load_images(str(SAMPLE)).image(7)))
    assert torch.equal(pickle.loads(pickle.dumps(images))._prepared(7), images._prepared(7))


@pytest.mark.slow
def test_a_full_disk(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(f"""
import datasets, pathlib, resource
from hubgan.data import DecodedImages, Squares, load_images
datasets.config.HF_DATASETS_CACHE = pathlib.Path("cache").absolute()
source = load_images({str(SAMPLE)!r})
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
images = DecodedImages(source, Squares(size=32, channels=3, flip=True), memory=10**9, progress=False)
print(images.complete, len(images), images.pixels.path)""")
    said = run_script(tmp_path / "script.py", folder=tmp_path)
    assert said.splitlines()[-1] == "True 500 None"
    assert [path.suffix for path in (tmp_path / "cache" / "hubgan").iterdir()] == [".lock"]


@pytest.mark.parametrize("memory", [0, 10 * 32 * 32 * 3, 10 * 32 * 32 * 3 + 1])
def test_images_beyond_the_memory_are_decoded_each_time(memory: int) -> None:
    for transform in (FLIPPED, Crops(size=24, channels=3, flip=True)):
        kept, rest = decoded(SAMPLE, transform), decoded(SAMPLE, transform, memory)
        assert len(rest.pixels) == min(10, memory)
        assert kept.complete
        assert not rest.complete
        keys = [3, 499, 500, 1234, 5]
        assert torch.equal(kept.batch(keys, 1), rest.batch(keys, 1))


def test_crops_are_random_and_of_their_size(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pixels = np.arange(40 * 50, dtype=np.uint16).reshape(40, 50) % 251
    Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "a.png")
    save(tmp_path / "b.png", size=(64, 32))
    save(tmp_path / "small.png", size=(31, 64))
    crops = decoded(tmp_path, Crops(size=32, channels=3, flip=True))
    assert "skipped 1 image smaller than a crop of 32 pixels" in caplog.text
    assert len(crops) == 2
    assert crops._prepared(0).shape == (3, 40, 50)
    assert torch.equal(crops.batch([0], 0), crops.batch([0], 0))
    assert not torch.equal(crops.batch([0], 0), crops.batch([0], 1))
    epochs = crops.batch(list(range(0, 40, 2)), 0)
    assert epochs.shape == (20, 3, 32, 32)
    assert len({image.numpy().tobytes() for image in epochs}) > 15


def test_images_smaller_than_every_crop(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    with pytest.raises(
        DataError, match="none of its 1 image can be used, because all are smaller than a crop of 32 pixels"
    ):
        decoded(tmp_path, Crops(size=32, channels=3, flip=True))


def test_an_image_that_vanishes_is_replaced_by_the_next(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for index in range(4):
        save(tmp_path / f"{index}.png", value=50 * index)
    images = decoded(tmp_path, memory=0)
    (tmp_path / "1.png").unlink()
    (tmp_path / "3.png").unlink()
    for _ in range(2):
        assert images.batch([0, 1, 2, 3], 0)[:, 0, 0, 0].tolist() == [0, 100, 100, 0]
    assert images.replaced == 2
    assert len(caplog.records) == 1
    assert "1.png" in caplog.text
    (tmp_path / "0.png").unlink()
    (tmp_path / "2.png").unlink()
    with pytest.raises(DataError, match="its images can no longer be used"):
        pickle.loads(pickle.dumps(images)).batch([0], 0)


def test_another_process_maps_the_file_again() -> None:
    images = decoded(SAMPLE, FLIPPED)
    content = pickle.dumps(images)
    assert len(content) < 20_000 < images.pixels.contents.size
    assert torch.equal(pickle.loads(content).batch([1, 2, 501], 3), images.batch([1, 2, 501], 3))


def test_images_kept_on_the_device(tmp_path: Path) -> None:
    images = decoded(SAMPLE, FLIPPED)
    size = 500 * 32 * 32 * 3
    expected = images.batch([4, 600], 0)
    assert not images.keep_on("cpu", limit=size - 1)
    assert images.keep_on("cpu", limit=size)
    assert torch.equal(images.batch([4, 600], 0), expected)
    assert not decoded(SAMPLE, FLIPPED, memory=size - 1).keep_on("cpu")
    save(tmp_path / "a.png", size=(32, 40))
    save(tmp_path / "b.png", size=(40, 32))
    assert not decoded(tmp_path, Crops(size=32, channels=3, flip=True)).keep_on("cpu")


# -- streams -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"classes": ("cat", "dog", "frog", "ship")}], ids=["known", "filtered"])
def test_a_stream_goes_on_from_any_place(tmp_path: Path, options: dict[str, object]) -> None:
    images = stream(tmp_path / "saved", **options)
    whole = take(images.batches(batch_size=4, seed=1), 30)  # two epochs, and a part of the third
    for skipped in (1, 12, 13, 29):
        assert same_batches(
            take(images.batches(batch_size=4, seed=1, position=4 * skipped), 30 - skipped), whole[skipped:]
        )


def test_a_stream_of_unknown_length_goes_on_from_any_place(tmp_path: Path) -> None:
    load_images(str(SAMPLE)).rows.select(range(30)).to_parquet(tmp_path / "some.parquet")
    source = load_images(str(tmp_path / "some.parquet"), streaming=True)
    assert source.size is None
    images = StreamedImages(source, FLIPPED, buffer=7)
    whole = take(images.batches(batch_size=4, seed=1), 25)
    for skipped in (3, 7, 8, 15, 24):
        assert same_batches(
            take(images.batches(batch_size=4, seed=1, position=4 * skipped), 25 - skipped), whole[skipped:]
        )


def test_an_epoch_of_a_stream_is_a_permutation(tmp_path: Path) -> None:
    images = stream(tmp_path / "saved", SAME)
    wanted = sorted(image.numpy().tobytes() for image in decoded(tmp_path / "saved", SAME).pixels.stacked())
    epochs = [image.numpy().tobytes() for batch in take(images.batches(batch_size=5, seed=0), 20) for image in batch]
    assert sorted(epochs[:50]) == sorted(epochs[50:]) == wanted
    assert epochs[:50] != epochs[50:]


def test_the_order_of_a_stream_is_the_same_for_all_batches_and_processes(tmp_path: Path) -> None:
    images = stream(tmp_path / "saved")
    whole = torch.cat(take(images.batches(batch_size=1, seed=1, position=7), 72))
    parts = [take(images.batches(batch_size=6, seed=1, position=7, rank=rank, world=3), 4) for rank in range(3)]
    assert torch.equal(torch.cat([part for turn in zip(*parts, strict=True) for part in turn]), whole)


def test_broken_images_of_a_stream_are_replaced_in_their_batch(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for index in range(12):
        save(tmp_path / f"{index}.png", value=20 * index)
    (tmp_path / "3.png").write_text("not a picture")
    images = StreamedImages(load_images(str(tmp_path), streaming=True), SMALL, buffer=5)
    found = torch.cat(take(images.batches(batch_size=4, seed=0), 6))
    assert len(found) == 24
    assert set(found[:, 0, 0, 0].tolist()) == {20 * index for index in range(12) if index != 3}
    assert images.replaced == 2
    assert len(caplog.records) == 1
    with pytest.raises(DataError, match=r"no image of a batch of 1 can be used, for example: .*3.png"):
        take(images.batches(batch_size=1, seed=0), 12)


def test_a_stream_that_breaks_off(tmp_path: Path) -> None:
    load_images(str(SAMPLE)).rows.select(range(9)).to_parquet(tmp_path / "some.parquet")
    source = load_images(str(tmp_path / "some.parquet"), streaming=True)
    (tmp_path / "some.parquet").unlink()
    with pytest.raises(DataError, match=r"some.parquet: reading failed: \w+"):
        next(StreamedImages(source, SMALL, buffer=5).batches(batch_size=1, seed=0))


def test_streams_and_rows_are_not_confused() -> None:
    source = load_images(str(SAMPLE))
    with pytest.raises(DataError, match="Open it with streaming=True"):
        StreamedImages(source, SMALL, buffer=5)
    with pytest.raises(DataError, match="is a stream"):
        decoded(load_images(str(SAMPLE), streaming=True))


# -- batches -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_batches_are_the_same_with_and_without_workers(tmp_path: Path) -> None:
    for images in (decoded(SAMPLE, FLIPPED), decoded(SAMPLE, FLIPPED, memory=10_000), stream(tmp_path / "saved")):
        state = torch.get_rng_state()
        options = {"batch_size": 8, "seed": 2, "position": 24, "world": 2, "rank": 1}
        alone, worked = (take(batches(images, **options, num_workers=number), 10) for number in (0, 2))
        assert alone[0].shape == (8, 3, 32, 32)
        assert same_batches(alone, worked)
        later = options | {"position": 24 + 16 * 4}
        assert same_batches(take(batches(images, **later), 6), alone[4:])
        assert torch.equal(torch.get_rng_state(), state)


def workers() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]


def test_workers_end_with_their_iterator(tmp_path: Path) -> None:
    before = len(workers())
    images = batches(decoded(SAMPLE, memory=0), batch_size=4, seed=0)
    next(images)
    assert len(workers()) > before
    del images
    assert len(workers()) == before


def test_an_error_in_a_worker_keeps_its_words(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("not a picture")
    source = load_images(str(tmp_path), streaming=True)
    with pytest.raises(DataError) as caught:
        next(batches(StreamedImages(source, SMALL, buffer=5), batch_size=2, seed=0, num_workers=1))
    assert str(caught.value).startswith(f"{tmp_path}: no image of a batch of 2 can be used")
    assert "Traceback" not in str(caught.value)


SCRIPT = f"""
import multiprocessing, signal
from hubgan.data import DecodedImages, Squares, batches, load_images
multiprocessing.set_start_method("fork", force=True)  # as it is in a process of one's own
images = DecodedImages(load_images({str(SAMPLE)!r}), Squares(size=32, channels=3, flip=True), memory=0, progress=False)
images = batches(images, batch_size=8, seed=0, num_workers=2)
wish = []
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda number, frame: wish.append(number))
while not wish:
    print(next(images).images.shape, flush=True)
for _ in range(20):  # more than are waiting
    next(images)
raise SystemExit(7)
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_workers_outlive_a_signal_but_not_their_process(number: int, tmp_path: Path) -> None:
    log, deadline = tmp_path / "log", time.monotonic() + 120
    (tmp_path / "script.py").write_text(SCRIPT)
    (process,) = fork(as_main, tmp_path / "script.py", [], tmp_path, log=log)
    while not log.exists() or log.read_text().count("torch.Size") < 100:  # they have begun, and ignore the signals
        assert process.is_alive() and time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)
    children = psutil.Process(process.pid).children()
    assert len(children) == 2
    if number == signal.SIGKILL:
        process.kill()
    else:
        os.killpg(process.pid, number)
    begun = time.monotonic()
    process.join(30)
    assert process.exitcode == (-9 if number == signal.SIGKILL else 7), log.read_text()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive
    assert time.monotonic() - begun < 20
