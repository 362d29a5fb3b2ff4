"""The pictures in a folder and below it, in a fixed order, and what else lies there."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from hubgan.media.images import format_by_signature
from hubgan.media.video import CLIP_ENDINGS, is_clip
from hubgan.runtime.counting import counted

PICTURE_ENDINGS = (".apng", ".avif", ".bmp", ".gif", ".heic", ".heif", ".hif", ".jfif", ".jpe", ".jpeg", ".jpg",
                   ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp")  # fmt: skip
"""The endings of the formats that `hubgan.media.images` reads."""
HEIF_ENDINGS = (".heic", ".heif", ".hif")
# Files with these endings are not opened to see what they are: there may be one for each picture.
_OTHER_ENDINGS = (".caption", ".csv", ".db", ".html", ".json", ".jsonl", ".md", ".npy", ".npz", ".parquet", ".pt",
                  ".safetensors", ".tags", ".tar", ".thm", ".tsv", ".txt", ".xml", ".yaml", ".yml",
                  ".zip")  # fmt: skip
# Folders with thumbnails, remains of archives, and deleted files, which disks and systems make by themselves.
_NOUNS = ("broken link", "device", "folder")  # the kinds of what is not looked at that have a plural
_OF_SYSTEMS = ("#recycle", "$RECYCLE.BIN", "@eaDir", "__MACOSX", "lost+found")


@dataclass
class Tree:
    """What a folder and its subfolders hold, in each folder by name.

    Attributes:
        pictures: the pictures.
        clips: the videos.
        others: all other files.
        unseen: how many hidden files, links that lead nowhere and folders that were not looked into there are.
    """

    pictures: list[Path] = field(default_factory=list)
    clips: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    unseen: Counter[str] = field(default_factory=Counter)

    def left_out(self, *, clips: bool = True) -> str:
        """How many files of each kind are no pictures, such as "10 .txt, 2 hidden"; videos count if `clips`."""
        files = [*self.others, *(self.clips if clips else [])]
        kinds = Counter(file.suffix.lower() or "without an ending" for file in files) + self.unseen
        return ", ".join(
            counted(number, kind) if kind in _NOUNS else f"{number:,} {kind}" for kind, number in kinds.most_common()
        )

    def unread(self) -> list[Path]:
        """The files that other programs know as pictures, by their ending, and hubgan does not read."""
        known = Image.registered_extensions()
        return [file for file in self.others if known.get(file.suffix.lower()) in Image.OPEN]


def walk(folder: Path, *, recursive: bool = True, leave_out: Path | None = None) -> Tree:
    """Find the pictures in a folder.

    The ending tells whether a file is a picture, in capitals or not. If it is missing or unknown, the first bytes do.
    Names that begin with a dot are hidden, and so are folders such as `__MACOSX`, which systems make. Links to folders
    are followed, but not back into a folder around them.

    Args:
        folder: the folder.
        recursive: look into its subfolders.
        leave_out: a subfolder to pass over.

    Raises:
        OSError: a folder cannot be read.
    """
    tree, real = Tree(), os.path.realpath(folder)
    passed = os.path.realpath(leave_out) if leave_out else None
    around = (real, *map(str, Path(real).parents))
    for entry in _files(str(folder), around, recursive, passed):
        path = Path(entry.path)
        if is_hidden(entry.name):
            tree.unseen["hidden"] += 1
        elif _is_dir(entry):
            tree.unseen["folder"] += 1
        elif not _is_file(entry):
            tree.unseen["broken link" if entry.is_symlink() else "device"] += 1
        elif is_clip(path):
            tree.clips.append(path)
        else:
            (tree.pictures if is_picture(path) else tree.others).append(path)
    return tree


def is_picture(file: Path) -> bool:
    """Whether a file is a picture, by its ending, or by its first bytes if the ending says nothing."""
    ending = file.suffix.lower()
    if ending in PICTURE_ENDINGS:
        return True
    if ending in (*_OTHER_ENDINGS, *CLIP_ENDINGS):
        return False
    # Raw files of cameras, which have many endings, begin like TIFF and hold a small preview.
    return (found := format_by_signature(file)) is not None and (found != "TIFF" or not ending)


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is passed over: it begins with a dot, or systems make such folders."""
    return name.startswith(".") or name in _OF_SYSTEMS


def _is_dir(entry: "os.DirEntry[str]") -> bool:
    """Whether an entry is a folder, or leads to one; a circle of links leads nowhere."""
    with suppress(OSError):
        return entry.is_dir()
    return False


def _is_file(entry: "os.DirEntry[str]") -> bool:
    with suppress(OSError):
        return entry.is_file()
    return False


def _files(
    folder: str, around: tuple[str, ...], recursive: bool, leave_out: str | None
) -> Iterator["os.DirEntry[str]"]:
    """The files in a folder and below, and what is passed over; `around` are the folders on the way, without links."""
    with os.scandir(folder) as entries:
        inside = sorted(entries, key=lambda entry: entry.name)
    for entry in inside:
        if is_hidden(entry.name) or not _is_dir(entry):
            yield entry
        elif (real := os.path.realpath(entry)) not in around and real != leave_out:
            if recursive:
                yield from _files(entry.path, (*around, real), recursive, leave_out)
            else:
                yield entry
