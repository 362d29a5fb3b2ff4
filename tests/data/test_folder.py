"""Folders of pictures: what is read, in which order, as which classes and splits; and what is left out and said."""

import os
import random
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import datasets
import pytest
from PIL import Image

from helpers.images_at_hand import SMALL, decoded, save
from helpers.pictures import pairs, picture
from helpers.pictures import save as save_as
from hubgan.data import load_images
from hubgan.data.folder import open_folder
from hubgan.errors import DataError
from hubgan.media.tree import walk

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def pixels(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Puts pictures with these names into a folder."""
    one = tmp_path_factory.mktemp("one") / "one.png"
    save(one, size=(16, 16))

    def put(folder: Path, *names: str) -> Path:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(one, folder / name)
        return folder

    return put


def names(folder: Path, **options: object) -> list[str]:
    """The pictures that are read, by their path in the folder."""
    source = load_images(str(folder), **options)  # type: ignore[arg-type]
    return [os.path.relpath(row["image"]["path"], folder.resolve()) for row in source.rows]


def labels(folder: Path, **options: object) -> list[str | None]:
    source = load_images(str(folder), **options)  # type: ignore[arg-type]
    return [None if label is None else source.classes[label] for label in source.rows["label"][:]]


# -- pictures


@pytest.mark.parametrize("streaming", [False, True])
def test_words_in_names_mean_nothing(pixels: Callable[..., Path], tmp_path: Path, streaming: bool) -> None:
    files = ["IMG 1.png", "IMG_2.png", "dev.png", "test_3.png", "train station.png", "train-00000-of-00002.png"]
    folder = pixels(tmp_path / "train [2024] ä 日本", *files)
    assert names(folder, streaming=streaming) == files
    assert len(load_images(str(folder), streaming=streaming).examples(SMALL, 9)) == 6


def test_all_kinds_of_pictures(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for ending in ("bmp", "gif", "heic", "jpg", "png", "ppm", "tif", "webp"):
        save_as(picture(), tmp_path / f"a.{ending}")
    (tmp_path / "a.jpg").rename(tmp_path / "a.JPeG")
    shutil.copyfile(tmp_path / "a.png", tmp_path / "no ending")
    shutil.copyfile(tmp_path / "a.heic", tmp_path / "photo.2024")
    shutil.copyfile(tmp_path / "a.tif", tmp_path / "raw.dng")  # which would be its preview
    picture().save(tmp_path / "a.jp2")
    assert len(names(tmp_path)) == 10
    assert decoded(tmp_path).skipped == 0
    assert "hubgan cannot read the format of 1 picture, such as" in caplog.text and "a.jp2" in caplog.text


def test_other_files_are_counted_and_left_alone(
    pixels: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    pixels(tmp_path, "0.jpg", "1.jpg", "._1.jpg", ".thumbnails/0.jpg", "@eaDir/0.jpg", "cat/2.jpg")
    for name in ("0.txt", "1.TXT", "cat/2.txt", "clip.mp4", "info.json", "LICENSE", "P"):
        (tmp_path / name).write_text("P"[: name != "LICENSE"])
    (tmp_path / "gone.jpg").symlink_to("nowhere")
    (tmp_path / "circle.jpg").symlink_to("circle.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    assert names(tmp_path) == ["0.jpg", "1.jpg", "cat/2.jpg"]
    assert (
        f"{tmp_path}: 3 pictures in 1 class; skipped: 3 .txt, 3 hidden, 2 without an ending, 2 broken links,"
        " 1 .json, 1 .mp4, 1 device" in caplog.messages
    )


def test_links_to_folders_are_followed_once(pixels: Callable[..., Path], tmp_path: Path) -> None:
    folder = pixels(tmp_path / "data", "cat/0.png", "cat/deep/1.png")
    pixels(tmp_path / "elsewhere", "2.png")
    (folder / "dog").symlink_to(tmp_path / "elsewhere")
    (folder / "cat" / "deep" / "top").symlink_to(folder)
    (folder / "cat" / "deep" / "above").symlink_to(tmp_path)
    (tmp_path / "elsewhere" / "back").symlink_to(folder / "dog")
    assert [str(file.relative_to(folder)) for file in walk(folder).pictures] == [
        "cat/0.png", "cat/deep/1.png", "dog/2.png"
    ]  # fmt: skip
    assert labels(folder) == ["cat", "cat", "dog"]


def test_heif_without_its_package_is_an_error_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "a.jpg")
    save_as(picture(), tmp_path / "b.heic")
    assert len(names(tmp_path)) == 2
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(DataError, match=r"1 of 2 pictures are HEIF.*Run: pip install 'hubgan\[heif\]'"):
        load_images(str(tmp_path))


def test_a_name_that_is_not_in_unicode_is_named(pixels: Callable[..., Path], tmp_path: Path) -> None:
    pixels(tmp_path, "0.png", os.fsdecode(b"caf\xe9.png"))
    with pytest.raises(DataError, match=r"caf\\udce9\.png' is not valid UTF-8\. Ren"):
        load_images(str(tmp_path))


def test_the_fingerprint_changes_with_the_files_alone(pixels: Callable[..., Path], tmp_path: Path) -> None:
    folder = str(pixels(tmp_path / "data", "cat/0.png", "dog/1.png"))
    first = load_images(folder).fingerprint
    assert first == load_images(folder).fingerprint == load_images(folder, streaming=True).fingerprint
    (tmp_path / "data" / "notes.txt").touch()
    assert first == load_images(folder).fingerprint
    os.utime(tmp_path / "data" / "cat" / "0.png", (1, 1))
    second = load_images(folder).fingerprint
    (tmp_path / "data" / "cat" / "0.png").rename(tmp_path / "data" / "dog" / "0.png")
    assert len({first, second, load_images(folder).fingerprint}) == 3


# -- classes and splits


@pytest.mark.parametrize("streaming", [False, True])
def test_a_class_may_be_called_train(pixels: Callable[..., Path], tmp_path: Path, streaming: bool) -> None:
    folder = pixels(tmp_path, *(f"{label}/{k}.png" for label in ("car", "train", "ship") for k in range(2)))
    source = load_images(str(folder), streaming=streaming)
    assert (source.size, source.classes) == (6, ("car", "ship", "train"))
    assert [row["label"] for row in source.rows] == [0, 0, 1, 1, 2, 2]


def test_a_picture_outside_of_all_classes_has_none(pixels: Callable[..., Path], tmp_path: Path) -> None:
    folder = pixels(tmp_path, "0.png", "cat/1.png", "cat/young/2.png", "dog/3.png")
    assert labels(folder) == [None, "cat", "cat", "dog"]
    with pytest.raises(DataError, match=rf"1 of 4 images have no label, such as {folder}/0\.png\. Fill them in"):
        load_images(str(folder)).check_labels()
    assert load_images(str(folder), classes=("cat",)).size == 2


def test_folders_of_splits_and_nothing_beside_are_splits(pixels: Callable[..., Path], tmp_path: Path) -> None:
    folder = pixels(tmp_path, "Train/cat/0.png", "Train/dog/1.png", "Train/2.png", "val/dog/3.png")
    (folder / "README.md").write_text("# My pictures")
    (folder / "annotations").mkdir()
    with pytest.raises(DataError, match=r"has no split 'test'\. Known: Train, val"):
        load_images(str(folder), split="test")
    assert labels(folder, split="Train") == labels(folder) == [None, "cat", "dog"]  # "2.png" is before "cat"
    assert labels(folder, split="validation") == labels(folder, split="val") == ["dog"]
    assert names(folder, split="train[1:]+val") == ["Train/cat/0.png", "Train/dog/1.png", "val/dog/3.png"]
    assert load_images(str(folder), split="all").size == 4


def test_what_is_used_of_a_folder_is_reported_once(
    pixels: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    folder = pixels(tmp_path, "train/cat/0.png", "train/cat/1.png", "val/cat/2.png")
    for split in ("val", "all"):
        load_images(str(folder), split=split)
    with pytest.raises(DataError, match="has no split"):  # as for a recipe's split to measure on
        load_images(str(folder), split="test")
    assert caplog.messages == [f"{folder}: 1 of 3 pictures in 1 class", f"{folder}: 3 pictures in 1 class"]


def test_a_split_is_never_made_up(
    pixels: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = pixels(tmp_path / "data", "train/0.png", "test/1.png", "extra/2.png")
    assert len(names(folder)) == 3
    assert "the folders test and train are read together" in caplog.text
    with pytest.raises(
        DataError, match=rf"all of its pictures are in the split 'train'\. Pass the folder {folder}/test"
    ):
        load_images(str(folder), split="test")
    assert names(folder / "test") == ["1.png"]
    with pytest.raises(DataError, match=r"no split 'valid'.*Move the pictures of each split into its own folder"):
        load_images(str(folder), split="valid")
    with pytest.raises(DataError, match="cannot open"):
        load_images(str(folder), split="train[a:b]")


def test_splits_below_the_top_are_found_by_the_remedy(pixels: Callable[..., Path], tmp_path: Path) -> None:
    folder = pixels(tmp_path / "nested", "data/train/0.png", "data/val/cat/1.png")
    with pytest.raises(DataError, match=rf"no split 'val'.* Pass the folder {folder}/data$"):
        load_images(str(folder), split="val")
    assert names(folder / "data", split="val") == ["val/cat/1.png"]
    pixels(folder / "data", "2.png")
    with pytest.raises(DataError, match=rf"no split 'val'.* Pass the folder {folder}/data/val, and leave out split$"):
        load_images(str(folder), split="val")


# -- metadata


def test_metadata_of_some_pictures(
    pixels: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = pixels(tmp_path, "0.png", "01.png", "été.png", "deep/3.png", "deep/er/4.png", "5.png")
    decomposed = unicodedata.normalize("NFD", "été.png")
    (folder / "metadata.csv").write_text(
        f'file_name,kind,size\n01.png,7,\n{decomposed},x,2\n"deep/er/4.png","a, b",3\ngone.png,x,4\n01.png,z,5\n'
    )
    (folder / "deep" / "metadata.jsonl").write_text('{"file_name": "3.png", "kind": "j"}\n')
    rows = open_folder(folder, "mine", "train")
    assert rows is not None and rows.column_names == ["image", "kind", "size", "label"]
    assert rows["kind"][:] == [None, "7", None, "j", "a, b", "x"] and rows["size"][:] == [None] * 4 + [3, 2]
    assert [message.partition(", such as")[0] for message in caplog.messages] == [
        "mine: 2 of 6 pictures have no row in the metadata, so their columns are empty",
        "mine: 1 of 6 rows of the metadata have no picture",
        "mine: 1 of 6 rows of the metadata are ignored, because an earlier row has the same picture",
    ]
    source = load_images(str(folder), label_column="kind")
    assert source.classes == ("7", "a, b", "j", "x")
    with pytest.raises(DataError, match="2 of 6 images have no label"):
        source.labels()


def test_an_empty_cell_is_no_label_and_the_word_none_is_one(pixels: Callable[..., Path], tmp_path: Path) -> None:
    folder = pixels(tmp_path, "0.png", "1.png", "2.png", "3.png")
    (folder / "metadata.csv").write_text("file_name,kind,size\n0.png,None,1\n1.png,,\n2.png,NA,3\n")
    source = load_images(str(folder), label_column="kind")
    assert source.classes == ("NA", "None") and load_images(str(folder), label_column="size").classes == ("1", "3")
    assert [source.number_of(value) for value in source.rows["kind"]] == [1, None, 0, None]
    assert load_images(str(folder), label_column="kind", classes=("None",)).size == 1


def test_labels_of_metadata_take_the_place_of_folders(pixels: Callable[..., Path], tmp_path: Path) -> None:
    folder = pixels(tmp_path, "a/0.png", "b/1.png")
    (folder / "metadata.csv").write_text("file_name,label\na/0.png,red\nb/1.png,blue\n")
    source = load_images(str(folder), label_column="label")
    assert source.classes == ("blue", "red") and source.labels().tolist() == [1, 0]
    before = source.fingerprint
    (folder / "metadata.csv").write_text("file_name,label\na/0.png,green\nb/1.png,blue\n")
    assert load_images(str(folder), label_column="label").fingerprint != before


def test_metadata_that_cannot_be_used(
    pixels: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, table = pixels(tmp_path, "a/0.png", "1.png"), tmp_path / "metadata.csv"
    table.write_text("image,label\n0.png,red\n")
    assert load_images(str(folder)).classes == ("a",)
    assert "metadata.csv is ignored, because it has no column file_name" in caplog.text
    table.write_text("file_name,image\n1.png,x\n")
    with pytest.raises(DataError, match="has a column 'image', a name that is reserved for the pictures"):
        load_images(str(folder))
    table.write_text("file_name,size, size\n1.png,3,4\n")
    with pytest.raises(DataError, match=r"metadata\.csv has several columns called 'size'\. Rename or delete"):
        load_images(str(folder))
    table.write_text("file_name,text\n1.png,a,b\n")
    with pytest.raises(DataError, match=r"metadata\.csv cannot be read .*\. Correct it"):
        load_images(str(folder))
    table.write_text("file_name,size\n1.png,3\n")
    (folder / "a" / "metadata.jsonl").write_text('{"file_name": "0.png", "size": {"width": 3}}\n')
    with pytest.raises(DataError, match="columns of the same name with different types"):
        load_images(str(folder))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("metadata.csv", "file_name;label\r\na.png;x\r\nsub/b.png;y, z\r\n"),
        ("metadata.csv", "\ufefffile_name;label\na.png;x\nsub/b.png;y, z\n"),
        ("metadata.csv", "file_name\tlabel\na.png\tx\nsub/b.png\ty, z\n"),
        ("metadata.csv", '"file_name", label\n"a.png",x\nsub\\b.png,"y, z"\n'),
        ("metadata.csv", 'file_name,label\n{folder}/a.png,x\n./sub/b.png,"y, z"\n'),
        ("Metadata.CSV", 'file_name,label\na.png,x\nsub/b.png,"y, z"\n'),
    ],
)
def test_metadata_as_other_programs_write_it(
    pixels: Callable[..., Path], tmp_path: Path, name: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = pixels(tmp_path, "a.png", "sub/b.png")
    (folder / name).write_bytes(text.replace("{folder}", str(folder)).encode())
    source = load_images(str(folder), label_column="label")
    assert (source.classes, source.labels().tolist(), caplog.messages) == (("x", "y, z"), [0, 1], [])


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_metadata_in_another_encoding_are_an_error(pixels: Callable[..., Path], tmp_path: Path, encoding: str) -> None:
    folder = pixels(tmp_path, "a.png")
    (folder / "metadata.csv").write_bytes("file_name,label\na.png,é\n".encode(encoding))
    with pytest.raises(DataError, match=r"metadata\.csv is not valid UTF-8\. Save it as UTF-8"):
        load_images(str(folder))


def test_accents_stored_in_two_ways_are_one_name(pixels: Callable[..., Path], tmp_path: Path) -> None:
    composed, apart = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    folder = pixels(tmp_path / "classes", f"{composed}/1.png", f"{apart}/2.png", "z/3.png")
    assert labels(folder) == [composed, "z", composed]
    assert len(load_images(str(folder), classes=(composed,))) == 2
    folder = pixels(tmp_path / "pairs", f"lr/{composed}.png", f"hr/{apart}.png")
    assert len(load_images(str(folder), pairs=True)) == 1


# -- what is no folder of pictures


def test_a_repository_is_read_as_one(
    pixels: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = pixels(tmp_path / "repository", "assets/logo.png", "mine/train/0.png", "mine/train/1.png")
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# No word about files")
    assert load_images(str(folder)).size == 3
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: mine/train/*\n---\n"
    )
    assert load_images(str(folder)).size == 2
    (folder / "README.md").unlink()
    table = {"image": [{"bytes": (folder / "assets" / "logo.png").read_bytes(), "path": None}]}
    datasets.Dataset.from_dict({"url": ["a"]}).to_parquet(folder / "00000.parquet")  # what img2dataset writes
    assert load_images(str(folder)).size == 3
    (folder / "data").mkdir()
    rows = datasets.Dataset.from_dict(table, features=datasets.Features(image=datasets.Image()))
    (folder / "00000.parquet").unlink()
    rows.to_parquet(folder / "data" / "train-00000-of-00001.parquet")
    assert load_images(str(folder)).size == 1
    assert "only the pictures in its Parquet files are used; 3 other pictures are ignored" in caplog.text


def test_brackets_in_the_path_of_other_data_sets(pixels: Callable[..., Path], tmp_path: Path) -> None:
    folder = tmp_path / "[2024]"
    folder.mkdir()
    table = {"image": [{"bytes": (pixels(tmp_path, "0.png") / "0.png").read_bytes(), "path": None}]}
    rows = datasets.Dataset.from_dict(table, features=datasets.Features(image=datasets.Image()))
    rows.to_parquet(folder / "a.parquet")
    assert load_images(str(folder / "a.parquet")).size == 1
    with pytest.raises(DataError, match=r"must not contain \*, \? or \[\. Rename the folder"):
        load_images(str(folder))


def test_pairs_are_walked_as_other_folders_are(
    pixels: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    folder = pairs(tmp_path / "pairs", (20, 20), (24, 20))
    (folder / "hr" / "1.bmp").rename(folder / "hr" / "1")
    (folder / "lr" / "notes.txt").touch()
    assert load_images(str(folder), pairs=True).size == 2
    assert f"{folder}/lr: 2 pictures; skipped: 1 .txt" in caplog.messages


# -- any tree


def random_tree(folder: Path, draw: random.Random, kinds: dict[str, Path]) -> None:
    """Files and folders with awkward names, from links to a file of each kind."""
    words = ["train", "test", "val", "Dev", "cat", "a [1]", "*?", "ä 日本", "x.y", "lr", ".hidden", "data", "{b}", "#"]
    folders = [folder]
    for _ in range(draw.randrange(5)):
        inner = draw.choice(folders) / draw.choice(words)
        inner.mkdir(exist_ok=True)
        folders.append(inner)
    for number in range(draw.randrange(1, 9)):
        kind, source = draw.choice([*kinds.items()])
        ending = "".join(draw.choice([letter.lower(), letter.upper()]) for letter in kind)
        target = draw.choice(folders) / f"{draw.choice(words)}{number}{ending}"
        os.link(source, target)


def expected(folder: Path, pictures: set[int]) -> list[tuple[str, ...]]:
    """What a plain walk finds: visible links to these files, in order."""
    found = []
    for parent, inner, files in os.walk(folder):
        inner[:] = [name for name in inner if not name.startswith(".")]
        for name in files:
            path = Path(parent, name)
            if not name.startswith(".") and path.stat().st_ino in pictures:
                found.append(path.relative_to(folder).parts)
    return sorted(found)


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """A folder that is removed soon, where there are many small files."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None, ignore_cleanup_errors=True) as folder:
        yield Path(folder).resolve()


@pytest.mark.slow
def test_any_tree_is_read_as_a_plain_walk_finds_it(in_memory: Path) -> None:
    draw, splits = random.Random(0), {"train", "test", "val", "dev"}
    kinds = {ending: in_memory / f"source{ending}" for ending in (".png", ".jpg", ".webp", ".txt", ".mp4", ".json")}
    for ending, file in kinds.items():
        if ending in (".png", ".jpg", ".webp"):
            Image.new("RGB", (1, 1)).save(file)
        else:
            file.write_text("no picture")
    kinds[""] = kinds[".png"]
    pictures = {file.stat().st_ino for ending, file in kinds.items() if ending in ("", ".png", ".jpg", ".webp")}
    for number in range(500):
        folder = in_memory / f"tree {number}"
        folder.mkdir()
        random_tree(folder, draw, kinds)
        found = expected(folder, pictures)
        rows = open_folder(folder, "any", "all" if found else "train")
        if rows is None:
            assert not found
            continue
        read = rows.data["image"].to_pylist()
        assert [Path(cell["path"]).relative_to(folder).parts for cell in read] == found
        split = {parts[0].lower() if len(parts) > 1 else "" for parts in found} <= splits
        classes = [parts[split] if len(parts) > 1 + split else None for parts in found]
        if any(classes):
            known = rows.features["label"].names
            assert known == sorted({name for name in classes if name})
            assert [None if label is None else known[label] for label in rows.data["label"].to_pylist()] == classes
        else:
            assert rows.column_names == ["image"]
