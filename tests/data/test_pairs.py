"""Pairs of an input and a target: two columns, or two folders."""

from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from helpers.images_at_hand import decoded, same_batches, take
from helpers.pictures import pairs, picture_file
from hubgan.data import PairedCrops, PairedSquares, StreamedImages, batches, load_images
from hubgan.data.pairs import look_swapped
from hubgan.errors import ConfigError, DataError, ImageError
from hubgan.media.images import to_tensor

pytestmark = pytest.mark.usefixtures("cache")

TWICE = PairedCrops(size=16, channels=3, flip=True, scale=2)
SIZES = [(24, 20), (20, 26), (24, 21), (30, 24)]


def columns(file: Path, folder: Path, names: tuple[str, str] = ("small", "large")) -> str:
    """The pairs of a folder as two columns of a Parquet file, with their pixels in it."""
    found = [sorted((folder / name).iterdir()) for name in ("lr", "hr")]
    rows = {name: [Image.open(path) for path in paths] for name, paths in zip(names, found, strict=True)}
    features = datasets.Features({name: datasets.Image() for name in names})
    datasets.Dataset.from_dict(rows, features=features).to_parquet(file)
    return str(file)


def assert_aligned(images: Tensor) -> None:
    """Whether each block of the targets is the pixel of the inputs at the same place, as `pairs` makes them."""
    target, given = TWICE.split(images)
    assert target.shape[1:] == (3, 16, 16) and given.shape[1:] == (3, 8, 8)
    assert torch.equal(target, given.repeat_interleave(2, 2).repeat_interleave(2, 3))


@pytest.mark.parametrize("memory", [10**9, 5000])
def test_both_pictures_are_cropped_and_turned_alike(memory: int, tmp_path: Path) -> None:
    source = load_images(str(pairs(tmp_path / "pairs", *SIZES)), pairs=True)
    assert (source.input_column, source.columns, source.label_column) == ("lr", ["hr", "lr"], None)
    images = decoded(source, TWICE, memory=memory)
    assert images.complete == (memory == 10**9)
    drawn = images.batch(list(range(64)), 0)
    assert_aligned(drawn)
    assert len(drawn.unique(dim=0)) > 48  # places and ways to lie


def test_columns_and_folders_hold_the_same_pairs(tmp_path: Path) -> None:
    folder = pairs(tmp_path / "pairs", *SIZES)
    file = columns(tmp_path / "pairs.parquet", folder)
    named = {"column": "large", "input_column": "small"}
    expected = decoded(load_images(str(folder), pairs=True), TWICE).batch(list(range(9)), 1)
    assert torch.equal(decoded(load_images(file, **named), TWICE).batch(list(range(9)), 1), expected)  # type: ignore[arg-type]
    assert load_images(file, input_column="small").column == "large"  # the other one
    known = load_images(columns(tmp_path / "known.parquet", folder, ("LR", "HR")), pairs=True)
    assert known.columns == ["HR", "LR"]


def test_which_is_the_input_changes_the_fingerprint(tmp_path: Path) -> None:
    folder = pairs(tmp_path / "pairs", (20, 20), scale=1)
    options = [{"pairs": True}, {"input_column": "hr"}, {"column": "hr"}, {"pairs": True, "streaming": True}]
    found = [load_images(str(folder), **each).fingerprint for each in options]  # type: ignore[arg-type]
    assert found[0] == found[3] and len(set(found)) == 3
    Image.new("RGB", (20, 20)).save(folder / "hr" / "0.bmp")
    assert load_images(str(folder), pairs=True).fingerprint != found[0]


@pytest.mark.parametrize("of", ["folder", "parquet"])
def test_a_stream_of_pairs(of: str, tmp_path: Path) -> None:
    folder = pairs(tmp_path / "pairs", *SIZES)
    name = str(folder) if of == "folder" else columns(tmp_path / "pairs.parquet", folder, ("input", "target"))

    def drawn(position: int, rank: int = 0, world: int = 1, batch_size: int = 4) -> list[Tensor]:
        images = StreamedImages(load_images(name, pairs=True, streaming=True), TWICE, buffer=3)
        options = {"batch_size": batch_size, "seed": 1, "position": position, "rank": rank, "world": world}
        return take(batches(images, num_workers=0, **options), 2)  # type: ignore[arg-type]

    one = drawn(0)
    assert_aligned(torch.cat(one))
    assert same_batches(drawn(4)[:1], one[1:])  # it goes on
    two = [drawn(0, rank, world=2, batch_size=2) for rank in (0, 1)]
    assert torch.equal(torch.cat([two[0][0], two[1][0], two[0][1], two[1][1]]), torch.cat(one))


def test_folders_of_other_names_and_splits(tmp_path: Path) -> None:
    pairs(tmp_path / "data" / "Train", *SIZES, names=("LR", "HR"))
    pairs(tmp_path / "data" / "test", SIZES[0], names=("LR", "HR"))
    (tmp_path / "data" / "Train" / "HR" / "notes.txt").write_text("no picture")
    assert load_images(str(tmp_path / "data"), pairs=True).size == 4
    test = load_images(str(tmp_path / "data"), split="test", pairs=True)
    assert (test.size, test.columns) == (1, ["HR", "LR"])
    part = load_images(str(tmp_path / "data" / "Train"), split="train[1:3]", pairs=True)
    assert [part.image(row).size for row in range(2)] == [(40, 52), (48, 42)]
    for split, size in (("all", 5), ("Train[:2] + test", 3), ("train+test", 5)):
        assert load_images(str(tmp_path / "data"), split=split, pairs=True).size == size
    with pytest.raises(
        DataError, match=r"has no split 'test': all of its pictures are in the split 'train'\. Move the pictures"
    ):
        load_images(str(tmp_path / "data" / "Train"), split="test", pairs=True)
    with pytest.raises(DataError, match=r"has no split 'val'\. Known: Train, test"):
        load_images(str(tmp_path / "data"), split="val", pairs=True)
    picture_file(tmp_path / "data" / "val" / "alone.png", size=(20, 20))
    assert load_images(str(tmp_path / "data"), split="validation", pairs=True).columns == ["image"]
    named = pairs(tmp_path / "named", *SIZES, names=("rainy", "dry"))
    (named / "snowy").mkdir()
    assert load_images(str(named), column="dry", input_column="rainy").columns == ["dry", "rainy"]


def test_subfolders_are_no_classes_and_nothing_is_guessed(tmp_path: Path) -> None:
    folder = str(pairs(tmp_path / "pairs", *SIZES))
    with pytest.raises(DataError, match=r"has several image columns: lr, hr\. Pass one"):
        load_images(folder)
    large = load_images(folder, column="hr", pairs=True)
    assert (large.input_column, large.label_column, large.size) == (None, None, 4)
    with pytest.raises(DataError, match="'lr' cannot hold both the inputs and the targets"):
        load_images(folder, column="lr", input_column="lr")
    with pytest.raises(DataError, match=r"no image column 'rl'\. Its columns are lr"):
        load_images(folder, input_column="rl", column="hr")
    other = pairs(tmp_path / "other", *SIZES, names=("cat", "dog"))
    assert load_images(str(other), pairs=True).label_names == ["cat", "dog"]


def test_other_pictures_beside_the_pairs_are_an_error(tmp_path: Path) -> None:
    folder = pairs(tmp_path / "pairs", *SIZES)
    (folder / "masks").mkdir()
    with pytest.raises(DataError, match=r"holds lr and hr, but also masks.*input_column='lr'"):
        load_images(str(folder), pairs=True)
    assert load_images(str(folder), column="hr", input_column="lr", pairs=True).size == 4


def test_a_picture_without_a_partner_is_named(tmp_path: Path) -> None:
    folder = pairs(tmp_path / "pairs", *SIZES)
    for number in range(4):
        (folder / "lr" / f"{number}.png").rename(folder / "lr" / f"{number}x2.png")
    with pytest.raises(DataError, match=r"lr holds 0x2\.png, 1x2\.png, 2x2\.png and 1 more, but hr holds no picture"):
        load_images(str(folder))
    for file in (folder / "lr").iterdir():
        file.unlink()
    with pytest.raises(DataError, match="pairs: lr holds no pictures"):
        load_images(str(folder))
    Image.new("RGB", (4, 4)).save(folder / "hr" / "0.png")
    with pytest.raises(DataError, match=r"hr holds both 0\.bmp and 0\.png"):
        load_images(str(folder))
    for file in (folder / "hr").iterdir():
        file.unlink()
    with pytest.raises(DataError, match="lr and hr hold no pictures"):
        load_images(str(folder))


def test_columns_that_look_swapped_are_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = str(pairs(tmp_path / "pairs", (20, 20), scale=1, names=("input", "target")))
    load_images(folder, column="input", input_column="target")
    assert "the inputs are in column target, and the targets in input. If that is the wrong way" in caplog.text
    for right in (
        "lr hr",
        "inputImage outputImage",
        "imageB imageA",
        "photo labels",
        "photo low_poly",
        "target_a target_b",
    ):
        assert not look_swapped(*right.split()), right
    for wrong in ("HR LR", "image input_image", "groundTruth image", "edited_output mask"):
        assert look_swapped(*wrong.split()), wrong


def test_inputs_of_any_mode_are_the_same_pair(tmp_path: Path) -> None:
    folder = pairs(tmp_path / "pairs", *[(16, 16)] * 4, scale=1, names=("input", "target"))
    grey = Image.linear_gradient("L").resize((16, 16))
    ink = Image.new("RGBA", grey.size)
    ink.putalpha(grey.point(lambda value: 255 - value))  # black lines, else transparent
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    for number, image in enumerate((grey, grey.convert("RGB"), ink, deep)):
        image.save(folder / "input" / f"{number}.png")
    transform = PairedSquares(size=16, channels=3, flip=False, input_channels=1)
    images = load_images(str(folder), pairs=True).examples(transform, 4)
    given = transform.split(torch.stack(images))[1]
    assert given.shape == (4, 1, 16, 16) and torch.equal(given, to_tensor(grey).expand(4, -1, -1, -1))


@pytest.mark.parametrize("memory", [10**9, 0])
def test_both_pictures_of_a_pair_have_the_same_crop(memory: int, tmp_path: Path) -> None:
    folder = pairs(tmp_path / "pairs", (16, 16), scale=1, names=("input", "target"))
    transform = PairedSquares(size=12, channels=3, flip=True, load_size=16)
    images = decoded(load_images(str(folder), pairs=True), transform, memory=memory)
    drawn = images.batch([*range(600)], 0)
    assert drawn.shape == (600, *transform.shape) and len(drawn.unique(dim=0)) == 2 * 5 * 5
    target, given = transform.split(drawn)
    assert torch.equal(target, given)
    assert torch.equal(images.batch([*range(600)], 0), drawn) and not torch.equal(
        images.batch([*range(600)], 1), drawn
    )
    whole = load_images(str(folder), pairs=True).examples(transform, 1)[0]
    assert whole.shape == (6, 16, 16) and torch.equal(transform.middle(whole), whole[:, 2:14, 2:14])


@pytest.mark.parametrize(
    ("given", "target", "remedy"),
    [
        ((24, 20), (96, 80), "Pass --upscaler.scale 4"),
        ((48, 40), (24, 20), "Swap --image_column and --input_column"),
        ((24, 20), (50, 41), "Crop or resize the target to 48 x 40 pixels, or remove this pair"),
        ((24, 20), (48, 80), "Crop or resize the target to 48 x 40 pixels"),
    ],
)
def test_sizes_that_do_not_fit_are_an_error_with_a_remedy(
    given: tuple[int, int], target: tuple[int, int], remedy: str, tmp_path: Path
) -> None:
    folder = pairs(tmp_path / "pairs", *SIZES)
    Image.new("RGB", given).save(folder / "lr" / "2.png")
    Image.new("RGB", target).save(folder / "hr" / "2.bmp")
    sides = f"{target[0]} x {target[1]} pixels and its input {given[0]} x {given[1]}"
    sides += ", but the target must be 2 times as large"
    with pytest.raises(DataError) as caught:
        decoded(load_images(str(folder), pairs=True), TWICE)
    assert "hr/2.bmp and " in str(caught.value) and "lr/2.png: the target picture has " in str(caught.value)
    assert sides in str(caught.value) and remedy in caught.value.for_command_line()
    file = columns(tmp_path / "pairs.parquet", folder)
    stream = StreamedImages(load_images(file, input_column="small", streaming=True), TWICE, buffer=9)
    with pytest.raises(DataError, match=sides):
        next(stream.batches(batch_size=4, seed=0))


def test_pairs_that_cannot_be_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = pairs(tmp_path / "pairs", *SIZES, (7, 30))
    (folder / "lr" / "0.png").write_bytes(b"no picture")
    images = decoded(load_images(str(folder), pairs=True), TWICE)
    assert len(images) == 3
    assert "skipped 1 of 5 images that cannot be read" in caplog.text
    assert "skipped 1 image smaller than a crop of 16 pixels" in caplog.text
    with pytest.raises(ImageError, match="14 x 60 pixels are smaller than a crop"):
        TWICE.prepare(Image.new("RGB", (14, 60)), Image.new("L", (7, 30)))
    with pytest.raises(ConfigError, match="a crop of 16 pixels has no input at scale 3"):
        PairedCrops(size=16, channels=3, flip=True, scale=3)
    grey = PairedCrops(size=8, channels=1, flip=False, scale=1)
    target, given = grey.split(grey.prepare(Image.new("RGB", (9, 8), "red"), Image.new("RGBA", (9, 8))))
    assert target.unique().tolist() == [76] and given.unique().tolist() == [255]
