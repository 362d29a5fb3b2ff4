"""The pictures and videos of `hubgan upscale`, enlarged one after another."""

import argparse
import errno
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from hubgan.cli.arguments import enough_memory, say, strength_of
from hubgan.errors import DataError, HubganError, ImageError, ModelError
from hubgan.runtime.files import told

if TYPE_CHECKING:
    from PIL import Image

    from hubgan import Upscaler
    from hubgan.cli.inputs import UpscaleJob

_SMALLER_TILE = "Use a smaller --tile"
_SHARE = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"  # of a picture, and the time left
_SOON = 1.0  # seconds: a picture that takes no longer shows no share

T = TypeVar("T")


class Done(NamedTuple):
    """The result of one picture: its file and its size. The size is None if the file existed already."""

    file: Path
    size: tuple[int, int] | None
    remark: str = ""


class Outcome(NamedTuple):
    """The results of all pictures, or of those of one process."""

    done: list[Done]
    problems: list[str]


def enlarge_all(upscaler: "Upscaler", jobs: "list[UpscaleJob]", taken: set[Path], args: argparse.Namespace) -> Outcome:
    """Enlarge pictures, each while another thread writes the one before it. At most two results are in memory.

    `taken` are the pictures and the planned results, which no other result may replace.

    Raises:
        OSError: the disk is full, or cannot be written.
    """
    from tqdm import tqdm

    done: list[Done] = []
    problems: list[str] = []

    def attempt(job: "UpscaleJob", work: Callable[[], T]) -> T | None:
        try:
            return work()
        except (ImageError, ModelError, DataError, OSError) as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
                raise  # the next picture would fail in the same way
            words = (told(error) if isinstance(error, OSError) else error).for_command_line()
            problems.append(words if str(job.source) in words else f"{job.source}: {words}")
            return None

    writing: list[tuple[UpscaleJob, Future[Done]]] = []

    def finish() -> None:
        for job, written in writing:
            if result := attempt(job, written.result):
                done.append(result)
        writing.clear()

    with ThreadPoolExecutor(1) as writer:  # after Ctrl-C too, it writes what is enlarged
        for job in tqdm(jobs, unit="picture", disable=None):
            write = attempt(job, partial(enlarge, upscaler, job, taken, args))
            finish()
            if write:
                writing.append((job, writer.submit(write)))
            del write  # and the picture in it
        finish()
    return Outcome(done, problems)


def enlarge(upscaler: "Upscaler", job: "UpscaleJob", taken: set[Path], args: argparse.Namespace) -> Callable[[], Done]:
    """Enlarge one picture, and return what is left: a function that writes it.

    `taken` is that of `enlarge_all`.

    Raises:
        ImageError: it cannot be read, or is too large.
        ModelError: there is not enough memory.
    """
    from hubgan.cli.clips import enlarge_clip
    from hubgan.media.animation import save_animation
    from hubgan.media.pages import open_pages, save_pages
    from hubgan.media.video import is_clip
    from hubgan.media.writing import WRITTEN, obstacle

    target, remarks = job.target, [job.remark] if job.remark else []
    if target.exists() and not args.overwrite:
        return partial(Done, target, None)
    if isinstance(job.source, Path) and is_clip(job.source):
        return partial(Done, target, enlarge_clip(upscaler, job.source, target, args), job.remark)
    image, animation = job.open()
    scale = upscaler.checked_scale(args.scale)
    if reason := obstacle(image, target, scale, moving=animation is not None):
        target, remarks = target.with_suffix(".png"), [*remarks, f"as PNG: {reason}"]
        if target.resolve() in taken:
            raise ImageError(f"{job.source}: {reason}, and {target} belongs to another picture", "Use --format png")
        if target.exists() and not args.overwrite:
            return partial(Done, target, None)
        taken.add(target.resolve())
    remark = ", ".join(remarks)
    kind, pages = WRITTEN[target.suffix.lower()], job.pages
    if len(pages) > 1 and kind != "TIFF":
        say(f"{job.source}: {len(pages) - 1:,} of {len(pages):,} pages are skipped, because {kind} holds one"
             " (-o NAME.tif keeps all)")  # fmt: skip
    upscale = partial(upscaler.upscale, scale=args.scale, strength=strength_of(args), tile=args.tile)
    with enough_memory(_SMALLER_TILE):
        if animation is not None:
            sizes = [image.size] * len(animation.durations)
            large = _enlarge_parts(job, upscale, animation.frames, "frame", sizes, scale)
            with _translate_errors(target):
                save_animation(animation._replace(frames=large), target, quality=args.quality)
        elif len(pages) > 1 and kind == "TIFF":
            large = _enlarge_parts(job, upscale, open_pages(str(job.source)), "page", pages, scale)
            with _translate_errors(target):
                save_pages(large, target)
        else:
            with _progress(str(job.source)) as progress:
                return partial(_save, upscale(image, progress=progress), target, remark, args.quality)
    return partial(Done, target, large[0].size, remark)


def _enlarge_parts(
    job: "UpscaleJob",
    upscale: "Callable[[Image.Image], Image.Image]",
    parts: "Iterable[Image.Image]",
    what: str,
    sizes: list[tuple[int, int]],
    scale: float,
) -> "list[Image.Image]":
    """Enlarge frames or pages, as `what` calls them, which are all in memory in the end.

    Raises:
        ImageError: they are too large together, or one cannot be read.
    """
    from tqdm import tqdm

    from hubgan.media.animation import MAX_ENLARGED_PIXELS

    if (pixels := sum(width * height for width, height in sizes) * scale**2) > MAX_ENLARGED_PIXELS:
        raise ImageError(
            f"{job.source}: its {len(sizes):,} {what}s would have {pixels / 1e6:,.0f} megapixels, more than"
            f" {MAX_ENLARGED_PIXELS / 1e6:,.0f}",
            f"Use a smaller --scale, or a file with fewer {what}s",
        )
    return [upscale(part) for part in tqdm(parts, total=len(sizes), unit=what, leave=False, disable=None)]


def _save(image: "Image.Image", target: Path, remark: str, quality: int) -> Done:
    from hubgan.media.writing import save_picture

    with enough_memory(_SMALLER_TILE), _translate_errors(target):
        save_picture(image, target, quality)
    return Done(target, image.size, remark)


@contextmanager
def _progress(name: str) -> Iterator[Callable[[float], None]]:
    """Show on a terminal what share of a picture is done, and the time left."""
    from tqdm import tqdm

    with tqdm(total=1, desc=name[-30:], bar_format=_SHARE, delay=_SOON, leave=False, disable=None) as bar:

        def update(share: float) -> None:
            bar.update(share - bar.n)

        yield update


@contextmanager
def _translate_errors(target: Path) -> Iterator[None]:
    """Turn an error of an encoder into an ImageError, so that the other pictures are still enlarged."""
    try:
        yield
    except (HubganError, MemoryError):
        raise
    except Exception as error:  # encoders raise nearly every kind
        if isinstance(error, OSError) and error.errno:
            raise
        remedy = "Free some space on the disk, or use --format png"  # libtiff gives a full disk a number of its own
        raise ImageError(f"{target} cannot be written: {error}", remedy) from error
