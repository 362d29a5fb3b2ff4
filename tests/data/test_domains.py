"""Two domains that are no pairs: two data sets, two columns, or two folders."""

from pathlib import Path

import datasets
import pytest
import torch
from PIL import Image

from helpers.images_at_hand import same_batches, take
from hubgan.data import ImageSource, UnpairedImages, UnpairedSquares, batches, load_domains
from hubgan.errors import DataError

pytestmark = pytest.mark.usefixtures("cache")

PLAIN = UnpairedSquares(size=8, channels=1, flip=False)
SOURCE, TARGET = (10, 20, 30), (200, 210, 220, 230, 240)


def grey(value: int) -> Image.Image:
    return Image.new("L", (8, 8), value)


def folder(path: Path, values: tuple[int, ...]) -> str:
    path.mkdir(parents=True)
    for value in values:
        grey(value).save(path / f"{value}.png")
    return str(path)


def opened(source: ImageSource, transform: UnpairedSquares = PLAIN, memory: int = 10**9) -> UnpairedImages:
    return UnpairedImages(source, transform, memory=memory, progress=False)


def values(images: UnpairedImages, keys: range, seed: int = 0) -> list[tuple[int, int]]:
    """The grey of source and target of each drawn image."""
    target, given = PLAIN.split(images.batch([*keys], seed))
    return list(zip(given[:, 0, 0, 0].tolist(), target[:, 0, 0, 0].tolist(), strict=True))


@pytest.fixture
def source(tmp_path: Path) -> ImageSource:
    return load_domains(folder(tmp_path / "a", SOURCE), folder(tmp_path / "b", TARGET))


@pytest.mark.parametrize("memory", [10**9, 64, 0])
def test_an_epoch_is_the_source_domain_and_partners_are_any(source: ImageSource, memory: int) -> None:
    images = opened(source, memory=memory)
    assert len(images) == 3 and images.complete == (memory == 10**9)
    drawn = values(images, range(300))
    assert [given for given, _ in drawn] == [*SOURCE] * 100
    assert {*drawn} == {(given, target) for given in SOURCE for target in TARGET}
    assert drawn == values(images, range(300)) != values(images, range(300), seed=1)


def test_batches_go_on_where_they_were_and_processes_share_them(source: ImageSource) -> None:
    images = opened(source, UnpairedSquares(size=8, channels=1, flip=True))
    whole = take(batches(images, batch_size=2, seed=3), 6)
    assert same_batches(take(batches(images, batch_size=2, seed=3, position=4), 4), whole[2:])
    both = [take(batches(images, batch_size=1, seed=3, rank=rank, world=2), 6) for rank in (0, 1)]
    assert same_batches([torch.cat(each) for each in zip(*both, strict=True)], whole)
    worked = take(batches(images, batch_size=2, seed=3, num_workers=1), 6)
    assert same_batches(worked, whole)


def test_each_picture_is_mirrored_by_itself(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        picture = grey(0 if name == "a" else 5)
        picture.paste(255, (4, 0, 8, 8))
        picture.save(tmp_path / name / "0.png")
    images = opened(
        load_domains(str(tmp_path / "a"), str(tmp_path / "b")), UnpairedSquares(size=8, channels=1, flip=True)
    )
    drawn = images.batch([*range(64)], 0)[:, :, 0, 0]
    assert len(drawn.unique(dim=0)) == 4


def test_each_picture_is_cropped_by_itself(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        Image.linear_gradient("L").resize((10, 10)).save(tmp_path / name / "0.png")
    transform = UnpairedSquares(size=8, channels=1, flip=False, load_size=10)
    images = opened(load_domains(str(tmp_path / "a"), str(tmp_path / "b")), transform)
    drawn = images.batch([*range(64)], 0)
    assert drawn.shape == (64, 2, 8, 8) and len(drawn[:, :, 0, 0].unique(dim=0)) == 9  # rows of one and of the other


def test_two_columns_and_two_folders_hold_domains_too(source: ImageSource, tmp_path: Path) -> None:
    rows = {"imageA": [grey(each) for each in (*SOURCE, *SOURCE[:2])], "imageB": [grey(each) for each in TARGET]}
    image = datasets.Image()
    file = str(tmp_path / "both.parquet")
    datasets.Dataset.from_dict(rows, features=datasets.Features({"imageA": image, "imageB": image})).to_parquet(file)
    by_columns = load_domains(file)
    assert by_columns.targets is not None and (by_columns.column, by_columns.targets.column) == ("imageA", "imageB")
    swapped = load_domains(file, input_column="imageB")
    assert swapped.targets is not None and (swapped.column, swapped.targets.column) == ("imageB", "imageA")
    assert len({source.fingerprint, by_columns.fingerprint, swapped.fingerprint}) == 3
    for names in (("input", "target"), ("horses", "zebras")):
        place = tmp_path / names[0]
        folder(place / names[0], SOURCE)
        folder(place / names[1], TARGET)
        named = dict(zip(("input_column", "column"), names, strict=True)) if names[0] == "horses" else {}
        found = load_domains(str(place), **named)
        assert values(opened(found), range(20)) == values(opened(source), range(20))
    folder(tmp_path / "splits" / "test" / "input", SOURCE)
    folder(tmp_path / "splits" / "test" / "target", TARGET)
    assert len(load_domains(str(tmp_path / "splits"), split="test")) == 3


def test_domains_that_look_swapped_are_a_warning(
    source: ImageSource, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder(tmp_path / "both" / "input", SOURCE)
    folder(tmp_path / "both" / "target", TARGET)
    load_domains(str(tmp_path / "both"))
    load_domains(source.name, str(tmp_path / "both" / "target"))
    assert "wrong way round" not in caplog.text
    load_domains(str(tmp_path / "both"), input_column="target", column="input")
    assert "the inputs are in column target, and the targets in input. If that is the wrong way" in caplog.text


def test_a_missing_domain_is_an_error(source: ImageSource, tmp_path: Path) -> None:
    alone = source.name
    with pytest.raises(DataError, match="holds one domain of images, but a source and a target"):
        load_domains(alone)
    with pytest.raises(DataError, match="are the same images"):
        load_domains(alone, alone)
    (tmp_path / "empty").mkdir()
    for domains in ((alone, str(tmp_path / "empty")), (str(tmp_path / "empty"), alone)):
        with pytest.raises(DataError, match=r"empty holds neither a data set nor images\. Put pictures into it"):
            load_domains(*domains)
    folder(tmp_path / "both" / "input", SOURCE)
    (tmp_path / "both" / "target").mkdir()
    with pytest.raises(DataError, match="both/target holds neither"):
        load_domains(str(tmp_path / "both"))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "0.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="none of its 1 image can be read"):
        opened(load_domains(alone, str(tmp_path / "broken")))
