"""Labels of images: read, chosen, and drawn with their images."""

from pathlib import Path

import datasets
import pytest
import torch

from helpers.common import SAMPLE
from helpers.images_at_hand import FLIPPED, SAME, decoded
from hubgan.data import StreamedImages, batches, load_images
from hubgan.errors import DataError

NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def true_label(image: torch.Tensor) -> int:
    """The label in the sample of the picture with these pixels."""
    global _TRUE
    if not _TRUE:
        source = load_images(str(SAMPLE))
        _TRUE = {SAME.prepare(source.image(row)).numpy().tobytes(): int(label)
                 for row, label in enumerate(source.labels())}  # fmt: skip
    return _TRUE[image.numpy().tobytes()]


_TRUE: dict[bytes, int] = {}


def test_labels_belong_to_their_images(cache: Path) -> None:
    source = load_images(str(SAMPLE))
    assert source.classes == NAMES
    stream = load_images(str(SAMPLE), streaming=True)
    for images in (
        decoded(source, SAME, labelled=True),
        decoded(source, SAME, 100_000, labelled=True),  # some are decoded each time
        StreamedImages(stream, SAME, buffer=50, labelled=True),
    ):
        drawn = batches(images, batch_size=16, seed=0, num_workers=0)
        for batch in (next(drawn) for _ in range(3)):
            assert batch.labels.dtype == torch.int64
            assert [true_label(image) for image in batch.images] == batch.labels.tolist()


def test_labels_come_with_and_without_workers(cache: Path) -> None:
    images = decoded(SAMPLE, FLIPPED, 10_000, labelled=True)
    alone, worked = (batches(images, batch_size=8, seed=1, num_workers=number) for number in (0, 2))
    for _ in range(5):
        one, other = next(alone), next(worked)
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)


def test_chosen_classes_are_numbered_in_their_order() -> None:
    source = load_images(str(SAMPLE), classes=("ship", "3"))
    assert source.classes == ("ship", "cat")
    everything = load_images(str(SAMPLE)).labels()
    assert source.labels().tolist() == [{8: 0, 3: 1}[label] for label in everything.tolist() if label in (3, 8)]


def test_labels_that_are_words(tmp_path: Path) -> None:
    rows = load_images(str(SAMPLE)).rows.select(range(6)).remove_columns("label")
    rows = rows.add_column("kind", ["red", "blue", "red", "green", "blue", "red"])
    rows.to_parquet(tmp_path / "words.parquet")
    source = load_images(str(tmp_path / "words.parquet"), label_column="kind")
    assert source.classes == ("blue", "green", "red")
    assert source.labels().tolist() == [2, 0, 2, 1, 0, 2]
    stream = load_images(str(tmp_path / "words.parquet"), label_column="kind", streaming=True)
    with pytest.raises(DataError, match="has no known labels"):
        StreamedImages(stream, SAME, buffer=5, labelled=True)


def test_labels_that_are_whole_numbers(tmp_path: Path) -> None:
    rows = load_images(str(SAMPLE)).rows.select(range(12)).remove_columns("label")
    rows.add_column("number", list(range(12))).to_parquet(tmp_path / "numbers.parquet")
    source = load_images(str(tmp_path / "numbers.parquet"), label_column="number")
    assert source.classes == tuple(map(str, range(12))) and source.labels().tolist() == list(range(12))
    rows.add_column("number", [None, *range(11)]).to_parquet(tmp_path / "some.parquet")
    with pytest.raises(DataError, match="1 of 12 images have no label, such as row 0"):
        load_images(str(tmp_path / "some.parquet"), label_column="number").labels()


def test_data_without_labels(tmp_path: Path) -> None:
    load_images(str(SAMPLE)).rows.select(range(6)).remove_columns("label").save_to_disk(tmp_path / "plain")
    with pytest.raises(DataError, match=r"has no known labels\. Pass their column.*make a subfolder for each class"):
        decoded(tmp_path / "plain", labelled=True)


def test_an_image_without_a_label(tmp_path: Path) -> None:
    rows = datasets.load_dataset(str(SAMPLE), split="train").select(range(3))
    rows = rows.map(lambda row, index: {"label": -1 if index == 1 else row["label"]}, with_indices=True)
    rows.save_to_disk(tmp_path / "some")
    with pytest.raises(DataError, match="an image has the label -1, which is none of airplane"):
        decoded(tmp_path / "some", labelled=True)


def labelled(labels: list[object], file: Path) -> str:
    cells = load_images(str(SAMPLE)).rows[: len(labels)]["img"]
    columns = {"img": cells, "label": labels}
    datasets.Dataset.from_dict(columns).cast_column("img", datasets.Image()).to_parquet(file)
    return str(file)


def test_labels_that_are_lists_or_nan_are_named(cache: Path, tmp_path: Path) -> None:
    lists = labelled([[0], [1, 2]], tmp_path / "lists.parquet")
    for streaming in (False, True):
        with pytest.raises(
            DataError, match=r"'label' holds List\(Value\('int64'\)\), but a label must be one word"
        ) as caught:
            load_images(lists, label_column="label", streaming=streaming)
    assert "--label-column" in caught.value.for_command_line()
    assert load_images(lists).label_column is None  # nobody asked for labels

    floats = labelled([0.0, float("nan"), 2.0], tmp_path / "floats.parquet")
    with pytest.raises(DataError, match=r"label column 'label' \(float64\) holds NaN, so some images have no label"):
        load_images(floats, label_column="label")
    assert load_images(floats, label_column="label", classes=("2.0",)).labels().tolist() == [0]
    assert load_images(labelled([1.0, 0.0], tmp_path / "f.parquet"), label_column="label").classes == ("0.0", "1.0")
