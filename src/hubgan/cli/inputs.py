"""The pictures and videos to enlarge, and the files of their results."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

from hubgan.errors import ConfigError, ImageError
from hubgan.media.animation import Animation, is_animation, open_animation
from hubgan.media.images import open_image
from hubgan.media.pages import page_sizes
from hubgan.media.video import CLIP_ENDINGS, WRITTEN_CLIPS, is_clip
from hubgan.media.writing import WRITTEN

if TYPE_CHECKING:
    from hubgan.data import ImageSource

_READ = (".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm",
         ".ppm", ".tif", ".tiff", ".webp", *CLIP_ENDINGS)  # fmt: skip


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
    """A picture or video to enlarge, the file of its result, and the folder that the report names at the end."""

    source: Path | Row
    target: Path
    folder: Path

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


def find(inputs: list[Path], *, recursive: bool, leave_out: Path | None = None, videos: bool = False) -> list[Picture]:
    """The pictures and videos that `inputs` name: files, and folders, whose pictures are sorted by name.

    In a folder the endings tell which files they are. Hidden files, the folder `leave_out` and, unless asked for,
    videos are skipped.

    Raises:
        ImageError: there is no such file or folder, or a folder holds no pictures.
    """
    pictures: list[Picture] = []
    for path in inputs:
        if path.is_dir():
            found = sorted(_inside(path, recursive, leave_out))
            if not videos and (clips := [file for file in found if is_clip(file)]):
                found = [file for file in found if file not in clips]
                sys.stderr.write(f"{path}: {len(clips):,} videos are left out (--videos takes them too)\n")
            if not found:
                remedy = "" if recursive else "Add --recursive to look into its subfolders"
                raise ImageError(f"{path} holds no pictures or videos ({', '.join(e[1:] for e in _READ)})", remedy)
            pictures += [Picture(file, path) for file in found]
        elif path.exists():
            pictures.append(Picture(path))
        else:
            raise ImageError(f"{path} does not exist", "Check the path")
    return pictures


def plan(pictures: list[Picture], output: Path | None, ending: str | None, scale: float) -> list[UpscaleJob]:
    """The file of every result: `name-x4.png` beside a picture, a folder `name-x4` beside a folder, or in `output`.

    In `output` results keep the names of their pictures, and their subfolders if they were found in a folder.

    Args:
        pictures: the pictures.
        output: a folder; for a single picture it may be a file.
        ending: of all pictures' results, such as ".png"; None keeps a picture's own ending if hubgan writes it, else
            ".png", as for a still GIF and a TIFF of one page. Videos keep theirs if hubgan writes it, else ".mp4".
        scale: how many times larger the results are, for the names.

    Raises:
        ConfigError: two results would have the same name, one of them is also a picture to enlarge, or `output`
            cannot be written.
    """
    if output and (_is_file(output) or (output.exists() and not output.is_dir())):
        return [_into_file(pictures, output, ending)]
    jobs = {_job(picture, output, ending, scale): picture.path for picture in pictures}  # named twice, done once
    sources = {path.resolve() for path in jobs.values()}
    taken: dict[Path, Path] = {}
    for job, path in jobs.items():
        target = job.target.resolve()
        if target == path.resolve():
            raise ConfigError(f"{path} would be replaced by its own result", "Name another folder with -o")
        if target in sources:
            raise ConfigError(
                f"{job.target} is both the result of {path} and a picture to enlarge",
                "Leave it out, or name another folder with -o",
            )
        if (other := taken.setdefault(target, path.resolve())) != path.resolve():
            raise ConfigError(
                f"{other} and {path} would both become {job.target}",
                "Rename one of them, or enlarge them with two commands",
            )
    return list(jobs)


def plan_rows(data: "ImageSource", output: Path, ending: str | None) -> list[UpscaleJob]:
    """The files of a data set's results: `output/00000000.png` and so on, named by the numbers of the rows.

    If there are labels, each has a subfolder, as `imagefolder` of `datasets` reads them. Rows without a label go into
    `output` itself.

    Args:
        data: the data set.
        output: a folder.
        ending: of all results, such as ".webp"; None for ".png".

    Raises:
        ConfigError: `output` is a file, or lies in the folder of the data set, or the name of a label cannot be that
            of a folder.
    """
    if _is_file(output) or (output.exists() and not output.is_dir()):
        raise ConfigError(f"-o {output} is one file, which cannot hold a data set", "Name a folder")
    source = Path(data.name).expanduser()
    if source.is_dir() and output.resolve().is_relative_to(source.resolve()):
        raise ConfigError(f"-o {output} lies in {data.name}, and would become a part of it", "Name another folder")
    names: list[str] = [""] * len(data)
    if data.label_column and data.classes:
        numbers = [data.numbers.get(str(value)) for value in data.rows[data.label_column]]
        names = ["" if number is None else data.classes[number] for number in numbers]
    for name in data.classes:
        if name.startswith(".") or not name.strip() or set(name) & set("/\\:\0"):
            raise ConfigError(
                f"{data.name} has the label {name!r}, which cannot be the name of a folder",
                "Rename the label, or name another column with --label-column",
            )
    return [
        UpscaleJob(Row(data, number), output / name / f"{number:08d}{ending or '.png'}", output)
        for number, name in enumerate(names)
    ]


def shared(jobs: list[UpscaleJob], process: int, processes: int) -> list[UpscaleJob]:
    """The jobs of one process among several. One process gets all jobs whose results could become the same PNG."""
    numbers: dict[Path, int] = {}
    return [job for job in jobs if numbers.setdefault(job.target.with_suffix(""), len(numbers)) % processes == process]


def _inside(folder: Path, recursive: bool, leave_out: Path | None) -> Iterator[Path]:
    results = leave_out and leave_out.resolve()
    for parent, folders, files in os.walk(folder):
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in _READ:
                yield Path(parent, name)
        inner = [name for name in folders if not name.startswith(".") and Path(parent, name).resolve() != results]
        folders[:] = inner if recursive else []


def _is_file(output: Path) -> bool:
    return output.suffix.lower() in _READ and not output.is_dir()


def _no_format(clip: Path, ending: str | None) -> None:
    if ending:
        raise ConfigError(
            f"{clip} is a video, and --format is that of pictures", f"Name a {', '.join(WRITTEN_CLIPS)} with -o"
        )


def _into_file(pictures: list[Picture], output: Path, ending: str | None) -> UpscaleJob:
    if len(pictures) != 1 or pictures[0].folder:
        raise ConfigError(f"-o {output} is one file, which cannot hold several pictures", "Name a folder")
    source = pictures[0].path
    if is_clip(source):
        _no_format(source, ending)
        if output.suffix.lower() not in WRITTEN_CLIPS:
            raise ConfigError(
                f"-o {output} has no ending of a video that can be written", f"Name a {', '.join(WRITTEN_CLIPS)}"
            )
        return _apart(source, output)
    kind = WRITTEN.get(output.suffix.lower())
    if kind is None:
        raise ConfigError(f"-o {output} has no ending that can be written", "Name a .png, .jpg, .webp, .gif or .tif")
    if ending and WRITTEN[ending] != kind:
        raise ConfigError(f"-o {output} and --format {ending[1:]} contradict each other", "Leave one of the two out")
    return _apart(source, output)


def _apart(source: Path, output: Path) -> UpscaleJob:
    if output.resolve() == source.resolve():
        raise ConfigError(f"{source} would be replaced by its own result", "Name another file with -o")
    return UpscaleJob(source, output, output.parent)


def _job(picture: Picture, output: Path | None, ending: str | None, scale: float) -> UpscaleJob:
    path, folder = picture
    suffix = ending or (path.suffix if path.suffix.lower() in WRITTEN else ".png")
    if is_clip(path):
        if folder is None:
            _no_format(path, ending)
        suffix = path.suffix if path.suffix.lower() in WRITTEN_CLIPS else ".mp4"
    kind = WRITTEN.get(suffix.lower())
    if (kind == "GIF" and not is_animation(path)) or (kind == "TIFF" and len(page_sizes(path)) < 2):
        suffix = ".png"  # which loses no colours, and which browsers show
    if folder is None and output is None:
        return UpscaleJob(path, path.with_name(f"{path.stem}-x{scale:g}{suffix}"), path.parent)
    inside = Path(path.name) if folder is None else path.relative_to(folder)
    results = output or _enlarged(folder or path, scale)
    return UpscaleJob(path, results / inside.with_name(path.stem + suffix), results)


def _enlarged(folder: Path, scale: float) -> Path:
    if folder.name in ("", ".."):  # such as "."
        folder = folder.resolve()
    if not folder.name:
        raise ConfigError(f"{folder} has no parent folder to write into", "Name a folder for the results with -o")
    return folder.with_name(f"{folder.name}-x{scale:g}")
