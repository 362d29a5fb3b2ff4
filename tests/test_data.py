"""Data sets in, uint8 images out: real files, the real `datasets` library."""

import logging
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from PIL import Image

from conftest import SAMPLE
from hubgan.data import RandomCrops, SquareImages, load_images
from hubgan.errors import DataError
from loopback_hub import LoopbackHub


def squares(name: str | Path, **options: object) -> SquareImages:
    return SquareImages(
        load_images(str(name)), **{"size": 16, "channels": 3, "flip": False, **options}, progress=False
    )


def save(path: Path, mode: str = "RGB", size: tuple[int, int] = (20, 16), value: int = 200) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, value).convert(mode).save(path)


def test_the_sample_that_comes_with_hubgan() -> None:
    source = load_images(str(SAMPLE))
    assert source.column == "img"  # found by its type: CIFAR-10 does not call it "image"
    images = SquareImages(source, size=32, channels=3, flip=False, progress=False)
    assert len(images) == 500
    assert images[0].shape == (3, 32, 32)
    assert images[0].dtype == torch.uint8
    assert images.images.float().std() > 30


def test_a_folder_of_all_kinds_of_images(tmp_path: Path) -> None:
    for index, mode in enumerate(("RGB", "L", "RGBA", "P", "1", "LA")):
        save(tmp_path / "sub" / f"{index}.png", mode)
    save(tmp_path / "photo.jpg")
    save(tmp_path / "cmyk.jpg", "CMYK")
    images = squares(tmp_path)
    assert len(images) == 8
    assert {image.shape for image in images} == {(3, 16, 16)}
    assert squares(tmp_path, channels=1)[0].shape == (1, 16, 16)


def test_transparent_pixels_become_white(tmp_path: Path) -> None:
    Image.new("RGBA", (16, 16), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert squares(tmp_path)[0].min() == 255


def test_large_images_are_cropped_in_the_middle_and_shrunk(tmp_path: Path) -> None:
    pixels = np.zeros((64, 128, 3), np.uint8)
    pixels[:, 32:96] = 255
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    assert squares(tmp_path)[0].min() > 200


def test_local_data_sets_of_other_makes(tmp_path: Path) -> None:
    rows = datasets.load_dataset(str(SAMPLE), split="train").select(range(5))
    rows.rename_column("img", "picture").save_to_disk(tmp_path / "saved")
    assert load_images(str(tmp_path / "saved")).column == "picture"
    datasets.DatasetDict(train=rows, test=rows).save_to_disk(tmp_path / "dict")
    assert len(load_images(str(tmp_path / "dict"), split="test").rows) == 5
    with pytest.raises(DataError, match=r"no split 'valid'; it has train, test"):
        load_images(str(tmp_path / "dict"), split="valid")


def test_a_data_set_on_the_hub(hub: LoopbackHub) -> None:
    datasets.load_dataset(str(SAMPLE), split="train").select(range(5)).push_to_hub("tester/few")
    assert len(squares("tester/few", size=32)) == 5


def test_broken_images_are_skipped_and_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("not a picture")
    save(tmp_path / "c.png")
    (tmp_path / "d.png").write_bytes((tmp_path / "c.png").read_bytes()[:40])
    with caplog.at_level(logging.WARNING):
        assert len(squares(tmp_path)) == 2
    assert "skipped 2 of 4 images" in caplog.text
    assert "b.png" in caplog.text


def test_empty_cells_are_broken_images(tmp_path: Path) -> None:
    cells = list(load_images(str(SAMPLE)).rows[:2]["img"])
    cells += [{"bytes": b"", "path": None}, None]
    features = datasets.Features(img=datasets.Image(decode=False))
    datasets.Dataset.from_dict({"img": cells}, features=features).save_to_disk(tmp_path)
    assert len(squares(tmp_path)) == 2


def test_only_broken_images(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("not a picture")
    with pytest.raises(DataError, match="none of its 1 images can be read"):
        squares(tmp_path)


def test_no_image_column(tmp_path: Path) -> None:
    datasets.Dataset.from_dict({"text": ["a"], "label": [1]}).save_to_disk(tmp_path)
    with pytest.raises(DataError, match=r"no image column; its columns are text \(string\), label \(int64\)"):
        load_images(str(tmp_path))
    with pytest.raises(DataError, match="no image column 'label'"):
        load_images(str(tmp_path), column="label")


def test_places_that_hold_no_data(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot open|holds no data set"):
        load_images(str(tmp_path))
    with pytest.raises(DataError, match="there is no folder"):
        load_images(str(tmp_path / "missing"))
    save(tmp_path / "one.png")
    with pytest.raises(DataError, match="is a file"):
        load_images(str(tmp_path / "one.png"))


def test_a_hub_name_that_is_not_there_says_what_to_pass(hub: LoopbackHub) -> None:
    with pytest.raises(DataError, match="Pass --dataset the path of a folder"):
        load_images("uoft-cs/cifar10")


def test_crops_are_random_and_of_their_size(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pixels = np.arange(40 * 50, dtype=np.uint16).reshape(40, 50) % 251
    Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "a.png")
    save(tmp_path / "small.png", size=(31, 64))
    crops = RandomCrops(load_images(str(tmp_path)), size=32, channels=3, flip=True, progress=False)
    assert "left out 1 images smaller" in caplog.text
    assert len(crops) == 1
    assert torch.equal(crops[0], crops[0])
    different = set()
    for epoch in range(20):
        crops.set_epoch(epoch)
        different.add(crops[0].numpy().tobytes())
    assert len(different) > 15
    assert crops[0].shape == (3, 32, 32)


def test_crops_beyond_the_memory_are_decoded_each_time() -> None:
    source = load_images(str(SAMPLE))
    options = {"size": 32, "channels": 3, "flip": False, "progress": False}
    kept, decoded = RandomCrops(source, **options), RandomCrops(source, **options, memory=10 * 32 * 32 * 3)
    assert len(decoded.kept) < 10 < len(decoded) == len(kept)
    assert torch.equal(kept[400], decoded[400])


def test_images_smaller_than_every_crop(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    with pytest.raises(DataError, match="smaller than a crop of 32 pixels"):
        RandomCrops(load_images(str(tmp_path)), size=32, channels=3, flip=True, progress=False)
