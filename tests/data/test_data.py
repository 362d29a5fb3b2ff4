"""Data sets in, training images and their order out: real files, the real `datasets` library."""

import zipfile
from collections import Counter
from itertools import islice
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from helpers.common import SAMPLE
from helpers.images_at_hand import (
    SAME,
    SMALL,
    decoded,
    python,
    same_batches,
    save,
    take,
)
from helpers.loopback_hub import LoopbackHub
from hubgan.data import (
    Crops,
    EndlessSampler,
    Squares,
    StreamedImages,
    load_images,
    uniforms,
)
from hubgan.errors import ConfigError, DataError, ImageError
from hubgan.media.images import to_tensor

pytestmark = pytest.mark.usefixtures("cache")


# -- opening a data set ------------------------------------------------------------------------------------------


def test_the_sample_that_comes_with_hubgan() -> None:
    source = load_images(str(SAMPLE))
    assert source.column == "img"  # found by its type: CIFAR-10 does not call it "image"
    assert source.label_column == "label"
    assert source.label_names[3] == "cat"
    assert len(source) == source.size == 500
    images = decoded(source, SAME)
    assert len(images) == 500
    assert images._prepared(0).shape == (3, 32, 32)
    assert images._prepared(0).dtype == torch.uint8
    assert images.batch(list(range(500)), 0).float().std() > 30


def test_a_folder_of_all_kinds_of_images(tmp_path: Path) -> None:
    for index, mode in enumerate(("RGB", "L", "RGBA", "P", "1", "LA")):
        save(tmp_path / "sub" / f"{index}.png", mode)
    save(tmp_path / "photo.jpg")
    save(tmp_path / "cmyk.jpg", "CMYK")
    assert decoded(tmp_path).batch(list(range(8)), 0).shape == (8, 3, 16, 16)
    assert decoded(tmp_path, Squares(size=16, channels=1, flip=False))._prepared(0).shape == (1, 16, 16)
    streamed = StreamedImages(load_images(str(tmp_path), streaming=True), SMALL, buffer=10)
    assert take(streamed.batches(batch_size=8, seed=0), 1)[0].shape == (8, 3, 16, 16)


def test_transparent_pixels_become_white(tmp_path: Path) -> None:
    Image.new("RGBA", (16, 16), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert decoded(tmp_path)._prepared(0).min() == 255


def test_large_images_are_cropped_in_the_middle_and_shrunk(tmp_path: Path) -> None:
    pixels = np.zeros((64, 128, 3), np.uint8)
    pixels[:, 32:96] = 255
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    assert decoded(tmp_path)._prepared(0).min() > 200


def test_local_data_sets_of_other_makes(tmp_path: Path) -> None:
    rows = datasets.load_dataset(str(SAMPLE), split="train").select(range(5))
    rows.rename_column("img", "picture").save_to_disk(tmp_path / "saved")
    saved = str(tmp_path / "saved")
    assert load_images(saved).column == "picture"
    assert load_images(saved, split="train[1:3]").size == 2 and load_images(saved, split="all").size == 5
    for option, complaint in {
        "split": "no split 'test': all of its rows are",
        "config": "no configurations, but the configuration",
    }.items():
        with pytest.raises(DataError, match=rf"saved has {complaint}.* Leave out {option}"):
            load_images(saved, **{option: "test"})
    datasets.DatasetDict(train=rows, test=rows).save_to_disk(tmp_path / "dict")
    assert len(load_images(str(tmp_path / "dict"), split="test")) == 5
    assert load_images(str(tmp_path / "dict"), split="test", streaming=True).size == 5
    with pytest.raises(DataError, match=r"no split 'valid'\. Known: train, test"):
        load_images(str(tmp_path / "dict"), split="valid")


@pytest.mark.parametrize("streaming", [False, True])
def test_a_parquet_file(streaming: bool) -> None:
    file, folder = (load_images(str(name), streaming=streaming) for name in (SAMPLE / "train.parquet", SAMPLE))
    assert file.streaming == streaming
    assert same_batches(file.examples(SAME, 3), folder.examples(SAME, 3))


@pytest.mark.parametrize("streaming", [False, True])
def test_images_in_a_zip_file(tmp_path: Path, streaming: bool) -> None:
    save(tmp_path / "a.png")
    (tmp_path / "data").mkdir()
    with zipfile.ZipFile(tmp_path / "data" / "all.zip", "w") as file:
        file.write(tmp_path / "a.png", "a.png")
    examples = load_images(str(tmp_path / "data"), streaming=streaming).examples(SMALL, 2)
    assert [example.shape for example in examples] == [(3, 16, 16)]


@pytest.mark.slow
@pytest.mark.parametrize("streaming", [False, True])
def test_a_data_set_on_the_hub(hub: LoopbackHub, streaming: bool) -> None:
    datasets.load_dataset(str(SAMPLE), split="train").select(range(5)).push_to_hub("tester/few")
    assert len(load_images("tester/few", streaming=streaming).examples(SAME, 9)) == 5


def test_broken_images_are_skipped_and_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("not a picture")
    save(tmp_path / "c.png")
    (tmp_path / "d.png").write_bytes((tmp_path / "c.png").read_bytes()[:40])
    for _ in range(2):  # the second time the images come from the cache
        caplog.clear()
        images = decoded(tmp_path)
        assert len(images) == images.skipped == 2
        assert "skipped 2 of 4 images" in caplog.text
        assert "b.png" in caplog.text
        assert len(caplog.records) == 1


def test_empty_cells_are_broken_images(tmp_path: Path) -> None:
    cells = list(load_images(str(SAMPLE)).rows[:2]["img"])
    cells += [{"bytes": b"", "path": None}, None]
    features = datasets.Features(img=datasets.Image(decode=False))
    datasets.Dataset.from_dict({"img": cells}, features=features).save_to_disk(tmp_path)
    assert len(decoded(tmp_path)) == 2


def test_only_broken_images(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("not a picture")
    for _ in range(2):
        with pytest.raises(DataError, match="none of its 1 image can be read"):
            decoded(tmp_path)
    with pytest.raises(DataError, match="none of its images can be used"):
        load_images(str(tmp_path)).examples(SMALL, 1)
    save(tmp_path / "b.png")
    with pytest.raises(DataError, match=r"none of its 2 images can be used. 1 cannot be read.*; 1 are smaller than"):
        decoded(tmp_path, Crops(size=32, channels=3, flip=True))


def test_no_image_column(tmp_path: Path) -> None:
    datasets.Dataset.from_dict({"text": ["a"], "label": [1]}).save_to_disk(tmp_path)
    with pytest.raises(DataError, match=r"no image column\. Its columns are text \(string\), label \(int64\)"):
        load_images(str(tmp_path))
    with pytest.raises(DataError, match="no image column 'label'"):
        load_images(str(tmp_path), column="label")


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("kind", ["bytes", "struct of bytes", "struct of bytes and path"])
def test_pictures_in_columns_that_are_not_typed_as_images(
    cache: Path, tmp_path: Path, kind: str, streaming: bool
) -> None:
    files = [cell["bytes"] for cell in load_images(str(SAMPLE)).rows[:3]["img"]]
    cells = {
        "bytes": files,
        "struct of bytes": [{"bytes": file} for file in files],
        "struct of bytes and path": [{"bytes": file, "path": "a.png"} for file in files],
    }[kind]
    datasets.Dataset.from_dict({"text": ["a", "b", "c"], "picture": cells}).to_parquet(tmp_path / "some.parquet")
    source = load_images(str(tmp_path / "some.parquet"), streaming=streaming)
    assert source.column == "picture"
    found, wanted = source.examples(SAME, 3), load_images(str(SAMPLE)).examples(SAME, 500)[:3]
    assert all(torch.equal(one, other) for one, other in zip(found, wanted, strict=True))


def test_bytes_beside_an_image_column_are_read_only_by_name(cache: Path, tmp_path: Path) -> None:
    rows = load_images(str(SAMPLE)).rows.select(range(2))
    rows = rows.add_column("raw", [cell["bytes"] for cell in rows["img"]])
    rows.to_parquet(tmp_path / "some.parquet")
    assert load_images(str(tmp_path / "some.parquet")).column == "img"
    assert load_images(str(tmp_path / "some.parquet"), column="raw").image(1).size == (32, 32)


@pytest.mark.parametrize("streaming", [False, True])
def test_a_cache_that_cannot_be_written_says_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, streaming: bool
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "file" / "datasets")
    words = r"the cache folder .*file/datasets cannot be written .*Set HF_HOME to a writable folder: export"
    with pytest.raises(DataError, match=words):
        load_images(str(SAMPLE), streaming=streaming)


def test_an_address_says_to_download_it() -> None:
    with pytest.raises(DataError, match=r"https://a\.org/b\.parquet is a web address.*Download it first"):
        load_images("https://a.org/b.parquet")


@pytest.mark.parametrize("streaming", [False, True])
def test_of_several_image_columns_none_is_guessed(tmp_path: Path, streaming: bool) -> None:
    one, other = Image.new("RGB", (32, 32)), Image.new("RGB", (64, 64))
    datasets.Dataset.from_dict({"small": [one], "large": [other]}).cast(
        datasets.Features({"small": datasets.Image(), "large": datasets.Image()})
    ).to_parquet(tmp_path / "pairs.parquet")
    file = str(tmp_path / "pairs.parquet")
    with pytest.raises(DataError, match=r"has several image columns: small, large\. Pass one"):
        load_images(file, streaming=streaming)
    assert load_images(file, column="large", streaming=streaming).column == "large"


@pytest.mark.parametrize("streaming", [False, True])
def test_places_that_hold_no_data(tmp_path: Path, streaming: bool) -> None:
    with pytest.raises(DataError, match=r"cannot open|holds neither a data set"):
        load_images(str(tmp_path), streaming=streaming)
    with pytest.raises(DataError, match=r"the folder .* does not exist"):
        load_images(str(tmp_path / "missing"), streaming=streaming)
    save(tmp_path / "one.png")
    with pytest.raises(DataError, match="is a file"):
        load_images(str(tmp_path / "one.png"), streaming=streaming)
    with pytest.raises(DataError, match="cannot open"):
        load_images(str(SAMPLE), split="valid", streaming=streaming)


@pytest.mark.parametrize("streaming", [False, True])
def test_a_hub_name_that_is_not_there_says_what_to_pass(hub: LoopbackHub, streaming: bool) -> None:
    with pytest.raises(DataError, match="Pass the path of a folder") as caught:
        load_images("uoft-cs/cifar10", streaming=streaming)
    assert "Pass the path of a folder" in caught.value.for_command_line()


def test_what_looks_like_a_path_never_goes_to_the_hub(
    hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "data" / "photos" / "a.png")
    for name, remedy in {
        "data/fotos": "Did you mean data/photos?",
        "./photos": "Check the path",
        "some/where/else": "Check the path",
        f"{tmp_path}/dat/photos": f"Did you mean {tmp_path}/data/photos?",
    }.items():
        with pytest.raises(DataError) as caught:
            load_images(name)
        assert str(caught.value) == f"the folder {name} does not exist. {remedy}"
    assert not hub.requests
    with pytest.raises(DataError, match=r"not a folder on this machine, and the Hub .*\. Did you mean data\?"):
        load_images("dat")


def one_row(folder: Path) -> datasets.Dataset:
    folder.mkdir()
    rows = datasets.load_dataset(str(SAMPLE), split="train").select([0])
    rows.to_parquet(folder / "train.parquet")
    return rows


@pytest.mark.parametrize("streaming", [False, True])
def test_the_cached_copy_of_another_folder_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, streaming: bool
) -> None:
    one_row(tmp_path / "mypics")
    assert load_images(str(tmp_path / "mypics")).size == 1
    (tmp_path / "mypics" / "train.parquet").unlink()
    (tmp_path / "mypics").rmdir()
    for offline in (False, True):  # in any case the Hub is not there
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline)
        with pytest.raises(DataError, match="'mypics' is not a folder on this machine, and the Hub"):
            load_images("mypics", streaming=streaming)


@pytest.mark.slow
def test_the_cached_copy_of_a_data_set_is_used_without_the_hub(hub: LoopbackHub, tmp_path: Path) -> None:
    one_row(tmp_path / "few").push_to_hub("tester/few")
    first = load_images("tester/few")
    hub.stop()
    assert (load_images("tester/few").size, load_images("tester/few").fingerprint) == (1, first.fingerprint)


@pytest.mark.parametrize("streaming", [False, True])
def test_some_classes_alone(streaming: bool) -> None:
    source = load_images(str(SAMPLE), classes=("cat", "5"), streaming=streaming)
    labels = Counter(row["label"] for row in source.rows)
    assert set(labels) == {3, 5}
    everything = Counter(load_images(str(SAMPLE)).rows["label"])
    assert labels == {label: everything[label] for label in (3, 5)}
    assert source.fingerprint != load_images(str(SAMPLE), streaming=streaming).fingerprint
    with pytest.raises(DataError, match=r"no class 'dgo'\. Did you mean 'dog'"):
        load_images(str(SAMPLE), classes=("dgo",), streaming=streaming)


def test_labels_that_are_words_or_missing(tmp_path: Path) -> None:
    rows = load_images(str(SAMPLE)).rows.select(range(3)).remove_columns("label")
    rows.save_to_disk(tmp_path / "without")
    with pytest.raises(DataError, match="no label column to select classes by"):
        load_images(str(tmp_path / "without"), classes=("cat",))
    rows.add_column("kind", ["red", "blue", "red"]).save_to_disk(tmp_path / "words")
    source = load_images(str(tmp_path / "words"), label_column="kind", classes=("red",), streaming=True)
    assert source.size == 2
    assert source.label_names is None
    with pytest.raises(DataError, match=r"no class 'rde'\. Did you mean 'red'"):
        load_images(str(tmp_path / "words"), label_column="kind", classes=("rde",))
    with pytest.raises(DataError, match=r"no label column 'kid'\. Did you mean 'kind'"):
        load_images(str(tmp_path / "words"), label_column="kid")


def test_a_class_without_images(tmp_path: Path) -> None:
    features = datasets.Features(image=datasets.Image(), label=datasets.ClassLabel(names=["a", "b"]))
    rows = datasets.Dataset.from_dict({"image": [Image.new("L", (9, 9))], "label": [0]}, features=features)
    rows.to_parquet(tmp_path / "one.parquet")
    with pytest.raises(DataError, match="no images of the classes b"):
        load_images(str(tmp_path / "one.parquet"), classes=("b",))
    source = load_images(str(tmp_path / "one.parquet"), classes=("b",), streaming=True)
    with pytest.raises(DataError, match="the stream holds no images"):
        next(StreamedImages(source, SMALL, buffer=10).batches(batch_size=1, seed=0))


@pytest.mark.slow
def test_the_fingerprint_is_that_of_the_data(cache: Path, tmp_path: Path, launch_environment: dict[str, str]) -> None:
    """In another process too, with another cache."""
    for index in range(4):
        save(tmp_path / "images" / "ab"[index % 2] / f"{index}.png", value=index)
    found = f"""[
    load_images({str(tmp_path / "images")!r}, classes=classes, streaming=streaming).fingerprint
    for streaming in (False, True) for classes in ((), ("a",))
]"""
    environment = launch_environment | {"HF_DATASETS_CACHE": str(tmp_path / "cache")}
    first = eval(found)
    assert eval(python(f"from hubgan.data import load_images\nprint({found})", environment)) == first
    every, chosen, *streamed = first
    assert every != chosen and streamed == [every, chosen]
    save(tmp_path / "images" / "a" / "0.png", value=99)
    assert not set(eval(found)) & set(first)


# -- views -------------------------------------------------------------------------------------------------------


def test_squares_are_mirrored_where_their_draw_says_so() -> None:
    images = torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8)
    transform = Squares(size=8, channels=3, flip=True)
    result = transform.augment(images, torch.tensor([[0.1], [0.9], [0.49], [0.5]]))
    assert torch.equal(result, torch.stack([images[0].flip(-1), images[1], images[2].flip(-1), images[3]]))
    assert torch.equal(transform.augment(list(images), torch.tensor([[0.1], [0.9], [0.49], [0.5]])), result)


def test_crops_have_every_place_equally_often_and_all_eight_ways_to_lie() -> None:
    image = torch.arange(5 * 6).view(1, 5, 6).to(torch.uint8)
    plain, flipped = (Crops(size=4, channels=1, flip=flip) for flip in (False, True))
    count = 6000
    crops = plain.augment([image] * count, uniforms(0, torch.arange(count), plain.draws))
    places = Counter(crops[:, 0, 0, 0].tolist())
    assert set(places) == {0, 1, 2, 6, 7, 8}
    assert all(abs(number - count / 6) < 4 * (count / 6) ** 0.5 for number in places.values())
    corners = flipped.augment([image] * count, uniforms(0, torch.arange(count), flipped.draws))
    variants = Counter(corner.numpy().tobytes() for corner in corners)
    assert len(variants) == 6 * 8
    assert min(variants.values()) > count / 48 / 2
    last = plain.augment([image], torch.full((1, 2), 1 - 2**-24))
    assert last[0, 0, -1, -1] == 29


def test_pictures_are_reduced_before_they_are_cropped() -> None:
    transform = Crops(size=32, channels=3, flip=False, reduce=0.5)
    picture = Image.effect_noise((100, 66), 60).convert("RGB")
    assert torch.equal(transform.prepare(picture), to_tensor(picture.resize((50, 33), Image.Resampling.BICUBIC)))
    with pytest.raises(ImageError, match=r"100 x 62 pixels are smaller than a crop of 32 pixels, made 0\.5"):
        transform.prepare(Image.new("RGB", (100, 62)))
    with pytest.raises(ConfigError, match=r"reduce is 1\.5"):
        Crops(size=32, channels=3, flip=False, reduce=1.5)
    assert transform.key != Crops(size=32, channels=3, flip=False).key


def test_views_refuse_what_they_cannot_use() -> None:
    with pytest.raises(ImageError, match="31 x 64 pixels are smaller than a crop of 32"):
        Crops(size=32, channels=3, flip=True).prepare(Image.new("RGB", (31, 64)))
    with pytest.raises(ConfigError, match="channels 1 or 3"):
        Squares(size=32, channels=2, flip=True)


# -- order -------------------------------------------------------------------------------------------------------


def correlation(one: Tensor, other: Tensor) -> float:
    return abs(float(torch.corrcoef(torch.stack([one, other]))[0, 1]))


def test_uniforms_are_uniform_and_independent() -> None:
    count = 100_000
    draws = uniforms(3, torch.arange(count), 4)
    assert draws.shape == (count, 4)
    assert draws.min() >= 0
    assert draws.max() < 1
    assert abs(draws.mean() - 1 / 2) < 0.002
    assert abs(draws.var() - 1 / 12) < 0.001
    counts = torch.histc(draws, 64, 0, 1)
    expected = 4 * count / 64
    assert ((counts - expected) ** 2 / expected).sum() < 120  # chi squared, 63 degrees of freedom
    limit = 4 / count**0.5
    assert correlation(draws[:-1, 0], draws[1:, 0]) < limit
    assert correlation(draws[:, 0], draws[:, 1]) < limit
    for other in (4, 3 + 2**32, -3):
        assert correlation(draws[:, 0], uniforms(other, torch.arange(count), 1)[:, 0]) < limit
    assert torch.equal(uniforms(3, torch.tensor([77]), 2), draws[77:78, :2])
    assert uniforms(3, torch.arange(5), 0).shape == (5, 0)


def test_the_order_of_an_epoch_is_a_permutation() -> None:
    keys = [key for batch in islice(EndlessSampler(10, 4, 1), 10) for key in batch]
    epochs = [keys[start : start + 10] for start in range(0, 40, 10)]
    for number, epoch in enumerate(epochs):
        assert sorted(epoch) == list(range(10 * number, 10 * number + 10))
    assert len({tuple(key % 10 for key in epoch) for epoch in epochs}) == 4
    assert keys[:10] != next(iter(EndlessSampler(10, 10, 2)))


@pytest.mark.parametrize("position", [0, 3, 10, 25])
def test_the_order_is_the_same_for_all_positions_batches_and_processes(position: int) -> None:
    whole = next(iter(EndlessSampler(10, 100, 1)))[position : position + 48]
    parts = [islice(EndlessSampler(10, 4, 1, position, rank, 3), 4) for rank in range(3)]
    assert [key for turn in zip(*parts, strict=True) for part in turn for key in part] == whole
