"""The pictures and videos to enlarge, and the files of their results."""

import csv
import io
import logging
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

from hubgan.errors import ConfigError, ImageError
from hubgan.media.animation import Animation, is_animation, open_animation
from hubgan.media.images import open_image
from hubgan.media.pages import page_sizes
from hubgan.media.tree import PICTURE_ENDINGS, is_hidden, walk
from hubgan.media.video import CLIP_ENDINGS, WRITTEN_CLIPS, is_clip
from hubgan.media.writing import WRITTEN
from hubgan.runtime.files import fitting, refuse_address, write_text
from hubgan.runtime.names import existing

if TYPE_CHECKING:
    from hubgan.data import ImageSource

logger = logging.getLogger(__name__)

_READ = (*PICTURE_ENDINGS, *CLIP_ENDINGS)

_SHORTENED = "its name is shortened, as it was too long for the disk"


class Picture(NamedTuple):
    """A picture or video to enlarge, and the folder it was found in; None if it was named itself."""

    path: Path
    folder: Path | None = None


class Row(NamedTuple):
    """A picture of a data set."""

    data: "ImageSource"
    number: int

    def __str__(self) -> str:
        return f"row {self.number} of {self.data.name}"


class UpscaleJob(NamedTuple):
    """A picture or video to enlarge, the file of its result, and what the report says at the end: folder, remark."""

    source: Path | Row
    target: Path
    folder: Path
    remark: str = ""

    def open(self) -> tuple[Image.Image, Animation | None]:
        """The picture, and the animation of which it is the first frame.

        Raises:
            ImageError: it cannot be read.
        """
        if isinstance(self.source, Row):
            return self.source.data.image(self.source.number), None
        return open_image(self.source, deep=True), open_animation(self.source)

    @property
    def pages(self) -> list[tuple[int, int]]:
        """The sizes of its pages, if it is a TIFF file."""
        return page_sizes(self.source) if isinstance(self.source, Path) else []


class Clash(NamedTuple):
    """Pictures or videos that are left out, because their results would be the same file."""

    sources: list[Path]
    target: Path

    def __str__(self) -> str:
        *others, last = map(str, self.sources)
        return f"{', '.join(others)} and {last} would {'all' if others[1:] else 'both'} become {self.target}"


class Plan(NamedTuple):
    """What to enlarge, and what is left out."""

    jobs: list[UpscaleJob]
    clashes: list[Clash]


def find(
    inputs: list[Path], *, recursive: bool, leave_out: Path | None = None, videos: bool | None = None
) -> list[Picture]:
    """The pictures and videos that `inputs` name: files, and folders, whose pictures are sorted by name.

    In a folder the endings tell which files they are, or the first bytes (`hubgan.media.tree`). Hidden files, the
    folder `leave_out` and, unless asked for, videos are skipped. Other files are counted in a message. A command that
    takes no videos says nothing about `videos`.

    Raises:
        ImageError: there is no such file or folder, or a folder holds no pictures.
        OSError: a folder cannot be read.
    """
    pictures: list[Picture] = []
    for path in inputs:
        if path.is_dir():
            tree = walk(path, recursive=recursive, leave_out=leave_out)
            found = sorted([*tree.pictures, *tree.clips]) if videos else tree.pictures
            if left_out := tree.left_out(clips=not videos):
                hints = ["--videos enlarges the videos too"] if tree.clips and videos is False else []
                hints += ["--recursive looks into the subfolders"] if tree.unseen["folder"] else []
                logger.info("%s: skipped: %s%s", path, left_out, f" ({', '.join(hints)})" if hints else "")
            if not found:
                remedy = "" if recursive else "Add --recursive to look into its subfolders"
                kinds, endings = ("pictures", PICTURE_ENDINGS) if videos is None else ("pictures or videos", _READ)
                raise ImageError(f"{path} holds no {kinds} ({', '.join(each[1:] for each in endings)})", remedy)
            pictures += [Picture(file, path) for file in found]
        elif path.exists():
            pictures.append(Picture(path))
        else:
            refuse_address(path, ImageError)
            raise ImageError(f"{path} does not exist", "Check the path")
    return pictures


def is_file_name(path: Path) -> bool:
    """Whether a path names a picture or video rather than a folder, by its ending."""
    return path.suffix.lower() in _READ and not path.is_dir()


def plan(
    pictures: list[Picture], output: Path | None, ending: str | None, tail: str, *, keep_extensions: bool = False
) -> Plan:
    """The file of every result: beside a picture `name-x4.png`, beside a folder a folder `name-x4`, or in `output`.

    In `output` results keep the names of their pictures, and their subfolders if they were found in a folder. A name
    that is too long for the file system is shortened, with a remark. Pictures whose results would be the same file
    are left out.

    Args:
        pictures: the pictures.
        output: a folder; for a single picture it may be a file.
        ending: of all pictures' results, such as ".png"; None keeps a picture's own ending if hubgan writes it, else
            ".png", as for a still GIF and a TIFF of one page. Videos keep theirs if hubgan writes it, else ".mp4".
        tail: ends the names of results beside their pictures, as in `name-x4.png`.
        keep_extensions: keep an ending that changes in the name, as in `photo.heic.png`.

    Raises:
        ConfigError: a result is also a picture to enlarge, or `output` cannot be written.
    """
    if output and (is_file_name(output) or (output.exists() and not output.is_dir())):
        return Plan([_into_file(pictures, output, ending)], [])
    sources = {picture.path.resolve() for picture in pictures}
    by_target: dict[Path, dict[Path, UpscaleJob]] = {}  # a picture that is named twice is enlarged once
    for picture in pictures:
        path, job = picture.path, _job(picture, output, ending, tail, keep_extensions)
        target = job.target.resolve()
        if target == path.resolve():
            raise ConfigError(f"{path} would be replaced by its own result", "Pass another folder with -o")
        if target in sources:
            raise ConfigError(
                f"{job.target} is the result of {path}, and also a picture to enlarge",
                "Remove it from the inputs, or pass another folder with -o",
            )
        by_target.setdefault(target, {}).setdefault(path.resolve(), job)
    jobs = [[*same.values()] for same in by_target.values()]
    clashes = [Clash([job.source for job in same if isinstance(job.source, Path)], same[0].target)
               for same in jobs if len(same) > 1]  # fmt: skip
    return Plan([same[0] for same in jobs if len(same) == 1], clashes)


def how_to_tell_apart(clashes: list[Clash]) -> str:
    """The remedy for clashes."""
    remedy = "Rename one of each pair, or enlarge them with two commands"
    for sources, target in clashes:
        if len({path.name for path in sources}) == len(sources) and target.stem in {path.stem for path in sources}:
            changed = next(path for path in sources if path.suffix.lower() != target.suffix.lower())
            return f"Pass --keep-extensions, which makes names such as {changed.name}{target.suffix}. {remedy}"
    return remedy


def plan_rows(data: "ImageSource", output: Path, ending: str | None) -> list[UpscaleJob]:
    """The files of a data set's results: `output/00000000.png` and so on, named by the numbers of the rows.

    If there are labels, each has a subfolder, which `hubgan.data` reads as a class (see `list_results`). Rows without
    a label go into `output` itself.

    Args:
        data: the data set.
        output: a folder.
        ending: of all results, such as ".webp"; None for ".png".

    Raises:
        ConfigError: `output` is a file, or lies in the folder of the data set, or the names of the labels cannot be
            those of different folders.
    """
    from hubgan.data.metadata import composed

    if is_file_name(output) or (output.exists() and not output.is_dir()):
        raise ConfigError(f"-o {output} is a file, which cannot hold a data set", "Pass a folder")
    source = existing(data.name)
    if source and source.is_dir() and output.resolve().is_relative_to(source.resolve()):
        raise ConfigError(
            f"-o {output} lies in {data.name}, so the results would become a part of the data set",
            "Pass another folder",
        )
    names: list[str] = [""] * len(data)
    if data.label_column and data.classes:
        numbers = [data.number_of(value) for value in data.rows[data.label_column]]
        names = ["" if number is None else data.classes[number] for number in numbers]
    for name in data.classes:
        unusable = is_hidden(name) or not name.strip() or set(name) & set("/\\:\0")
        if unusable or fitting(output, name, "").name != name:
            raise ConfigError(
                f"{data.name} has the label {name!r}, which is not a valid folder name",
                "Rename the label, or choose another column with --label-column",
            )
    spellings: dict[str, str] = {}
    for name in data.classes:
        if (first := spellings.setdefault(composed(name), name)) != name:
            raise ConfigError(
                f"{data.name} has the labels {first!a} and {name!a}, which would be read as one folder name",
                "Rename one of them, or choose another column with --label-column",
            )
    return [
        UpscaleJob(Row(data, number), output / name / f"{number:08d}{ending or '.png'}", output)
        for number, name in enumerate(names)
    ]


def list_results(output: Path) -> None:
    """Make the results of a data set read back whole, if its labels have names such as "test" or "hr".

    A file `metadata.csv` then lists them, which says that subfolders are classes, and neither splits nor pairs.
    """
    from hubgan.data.folder import reads_otherwise
    from hubgan.data.metadata import FILE_NAME

    places = [picture.relative_to(output) for picture in walk(output).pictures] if output.exists() else []
    if not reads_otherwise(place.parts[0] for place in places if len(place.parts) > 1):
        return
    table, text = output / "metadata.csv", io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([(FILE_NAME,), *((place.as_posix(),) for place in places)])
    if not table.exists() or table.read_bytes().startswith(f'"{FILE_NAME}"\n'.encode()):  # else it is somebody else's
        write_text(table, text.getvalue())


def shared(jobs: list[UpscaleJob], process: int, processes: int) -> list[UpscaleJob]:
    """The jobs of one process among several. One process gets all jobs whose results could become the same PNG."""
    numbers: dict[Path, int] = {}
    return [job for job in jobs if numbers.setdefault(job.target.with_suffix(""), len(numbers)) % processes == process]


def _no_format(clip: Path, ending: str | None) -> None:
    if ending:
        raise ConfigError(
            f"{clip} is a video, but --format is a format of pictures", f"Pass a {', '.join(WRITTEN_CLIPS)} with -o"
        )


def _into_file(pictures: list[Picture], output: Path, ending: str | None) -> UpscaleJob:
    if len(pictures) != 1 or pictures[0].folder:
        raise ConfigError(f"-o {output} is a file, which cannot hold several pictures", "Pass a folder")
    source = pictures[0].path
    if is_clip(source):
        _no_format(source, ending)
        if output.suffix.lower() not in WRITTEN_CLIPS:
            raise ConfigError(
                f"-o {output} has no video extension that hubgan can write", f"Pass a {', '.join(WRITTEN_CLIPS)}"
            )
        return _apart(source, output)
    kind = WRITTEN.get(output.suffix.lower())
    if kind is None:
        raise ConfigError(
            f"-o {output} has no extension that hubgan can write", "Pass a .png, .jpg, .webp, .gif or .tif"
        )
    if ending and WRITTEN[ending] != kind:
        raise ConfigError(f"-o {output} and --format {ending[1:]} are different formats", "Remove one of the two")
    return _apart(source, output)


def _apart(source: Path, output: Path) -> UpscaleJob:
    if output.resolve() == source.resolve():
        raise ConfigError(f"{source} would be replaced by its own result", "Pass another file with -o")
    return UpscaleJob(source, output, output.parent)


def _job(picture: Picture, output: Path | None, ending: str | None, tail: str, keep_extensions: bool) -> UpscaleJob:
    path, folder = picture
    suffix = ending or (path.suffix if path.suffix.lower() in WRITTEN else ".png")
    if is_clip(path):
        if folder is None:
            _no_format(path, ending)
        suffix = path.suffix if path.suffix.lower() in WRITTEN_CLIPS else ".mp4"
    kind = WRITTEN.get(suffix.lower())
    if (kind == "GIF" and not is_animation(path)) or (kind == "TIFF" and len(page_sizes(path)) < 2):
        suffix = ".png"  # which loses no colours, and which browsers show
    stem = path.name if keep_extensions and suffix.lower() != path.suffix.lower() else path.stem
    if folder is None and output is None:
        results, place, end = path.parent, path.parent, tail + suffix
    else:
        results, end = output or _beside(folder or path, tail), suffix
        place = results if folder is None else results / path.relative_to(folder).parent
    target = fitting(place, stem, end)
    return UpscaleJob(path, target, results, "" if target.name == stem + end else _SHORTENED)


def _beside(folder: Path, tail: str) -> Path:
    if folder.name in ("", ".."):  # such as "."
        folder = folder.resolve()
    if not folder.name:
        raise ConfigError(f"{folder} has no parent folder to write into", "Pass a folder for the results with -o")
    return fitting(folder.parent, folder.name, tail)
