"""Enlarge pictures, or all pictures of a folder.

  hubgan upscale me/photo-x4 photo.jpg            makes photo-x4.jpg beside it
  hubgan upscale me/photo-x4 holidays             makes a folder holidays-x4
  hubgan upscale me/photo-x4 a.png b.jpg -o large makes large/a.png, large/b.jpg
  hubgan upscale me/photo-x4 a.tif -o big.png     makes big.png

The 4 is the model's scale; --scale asks for a smaller one. The results of a
folder keep their names and, with --recursive, their subfolders. PNG, JPEG and
WebP stay what they are; GIF, BMP, TIFF, AVIF and PPM become PNG, and so does
what JPEG or WebP cannot hold, such as transparency. Of an animation the first
picture is taken. Colour profiles and the camera's data (EXIF) are kept; the
orientation is applied.

A result that is there already is passed over, so that the same command goes on
with a folder after an interruption. Pictures that cannot be read are named at
the end, when the others are done.
"""

import argparse
import errno
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hubgan.cli.options import add_device, add_fidelity, add_model, enough_memory, find_device, whole
from hubgan.errors import ConfigError, ImageError, ModelError

if TYPE_CHECKING:
    from hubgan import Upscaler
    from hubgan.cli.pictures import Job


class Done(NamedTuple):
    """What came of one picture: the file of its result and its size; a size of None says that it was there already."""

    file: Path
    size: tuple[int, int] | None
    remark: str = ""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_model(parser, "the upscaler", elsewhere=True)
    parser.add_argument("inputs", metavar="INPUT", nargs="+", type=Path, help="a picture, or a folder of pictures")
    parser.add_argument("-o", "--output", metavar="PLACE", type=Path, help="a folder, or for one picture a file")
    parser.add_argument("--recursive", action="store_true", help="look into subfolders too")
    parser.add_argument(
        "--format", choices=["same", "png", "jpg", "webp"], default="same", help="of the results (default: same)"
    )
    parser.add_argument(
        "--quality", metavar="N", type=whole(1, 100), default=95, help="of JPEG and WebP, 1 to 100 (default: 95)"
    )
    parser.add_argument(
        "--scale", metavar="N", type=float, help="times as large, above 0, at most what the model enlarges (default)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace results that are there already")
    parser.add_argument(
        "--tile",
        metavar="N",
        type=whole(0),
        help="pixels of a tile's side: smaller needs less memory, 0 takes the picture whole (default: 256, or 0 for"
        " networks that must see it whole)",
    )
    add_fidelity(parser)
    add_device(parser)


def run(args: argparse.Namespace) -> None:
    """Enlarge, and print where the results are."""
    from tqdm import tqdm

    from hubgan import Upscaler
    from hubgan.cli.pictures import find, plan

    pictures = find(args.inputs, recursive=args.recursive, leave_out=args.output)
    upscaler = Upscaler.from_pretrained(
        args.model,
        revision=args.revision,
        subfolder=args.subfolder,
        fidelity=args.fidelity or 0.0,
        weights_name=args.weights_name,
        allow_pickle=args.allow_pickle,
        device=find_device(args.device),
    )
    ending = None if args.format == "same" else f".{args.format}"
    scale = upscaler.checked_scale(args.scale)
    jobs = plan(pictures, args.output, ending, scale)
    taken = {path.resolve() for job in jobs for path in (job.source, job.target)}
    if len(jobs) == 1 and not pictures[0].folder:
        _one(_enlarge(upscaler, jobs[0], taken, args))
        return
    done: list[Done] = []
    problems: list[str] = []
    for job in tqdm(jobs, unit="picture", disable=None):
        try:
            done.append(_enlarge(upscaler, job, taken, args))
        except (ImageError, ModelError, OSError) as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
                raise  # it will not be better for the next picture
            problems.append(str(error) if str(job.source) in str(error) else f"{job.source}: {error}")
    _report(done, [job.place for job in jobs], scale)
    if problems:
        raise ImageError(f"{len(problems):,} of {len(jobs):,} pictures failed:\n  " + "\n  ".join(problems))


def _one(done: Done) -> None:
    file, size, remark = done
    if size is None:
        raise ConfigError(f"{file} is there already: replace it by --overwrite, or name another place (-o)")
    print(f"{file}: {size[0]} x {size[1]} pixels{f' ({remark})' if remark else ''}")


def _enlarge(upscaler: "Upscaler", job: "Job", taken: set[Path], args: argparse.Namespace) -> Done:
    """Enlarge one picture; `taken` are the files that no result may go into unless it was planned."""
    from hubgan.cli.pictures import obstacle, save
    from hubgan.images import open_image

    target, remark = job.target, ""
    if target.exists() and not args.overwrite:
        return Done(target, None)
    image = open_image(job.source)
    if reason := obstacle(image, target, upscaler.checked_scale(args.scale)):
        target, remark = target.with_suffix(".png"), f"as PNG: {reason}"
        if target.resolve() in taken:
            raise ImageError(f"{job.source}: {reason}, and {target} is another picture: use --format png")
        if target.exists() and not args.overwrite:
            return Done(target, None)
        taken.add(target.resolve())
    with enough_memory("take a smaller --tile"):
        large = upscaler.upscale(image, scale=args.scale, tile=args.tile)
        save(large, target, args.quality)
    return Done(target, large.size, remark)


def _report(done: list[Done], places: list[Path], scale: float) -> None:
    new = [result for result in done if result.size]
    where = [str(place) for place in dict.fromkeys(places)]
    more = f" and {len(where) - 3} more folders" if len(where) > 3 else ""
    what = "restored" if scale == 1 else f"enlarged {scale:g} times"
    if new or not done:
        print(f"{len(new):,} picture{'' if len(new) == 1 else 's'} {what}, in {', '.join(where[:3])}{more}")
    if there := len(done) - len(new):
        print(f"{there:,} passed over: the results are there already (--overwrite makes them anew)")
    remarks = [result.remark for result in new if result.remark]
    for remark in dict.fromkeys(remarks):
        print(f"{remarks.count(remark):,} {remark}")
