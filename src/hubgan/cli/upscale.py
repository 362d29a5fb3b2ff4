"""Enlarge pictures and videos, all pictures of a folder, or those of a data set.

  hubgan upscale me/photo-x4 photo.jpg            makes photo-x4.jpg beside it
  hubgan upscale me/photo-x4 dance.gif            makes dance-x4.gif, as animated
  hubgan upscale me/photo-x4 clip.mp4             makes clip-x4.mp4, with sound
  hubgan upscale me/photo-x4 holidays             makes a folder holidays-x4
  hubgan upscale me/photo-x4 holidays --videos    also its videos
  hubgan upscale me/photo-x4 a.png b.jpg -o large makes large/a.png, large/b.jpg
  hubgan upscale me/photo-x4 a.tif -o big.png     makes big.png
  hubgan upscale me/photo-x4 --dataset uoft-cs/cifar10 -o cifar10-x4
  accelerate launch -m hubgan upscale me/photo-x4 holidays

The 4 is the model's scale; --scale asks for a smaller one. The results of a
folder keep their names and, with --recursive, their subfolders.

PNG, JPEG, WebP, animated GIF and TIFF of several pages keep their format. Other
GIFs, TIFF, BMP, AVIF, HEIC and PPM become PNG. So do results that JPEG or WebP
cannot hold, such as those with transparency. Animations are enlarged frame by
frame, with the same frame times. A result has the colours that a browser shows
of its picture. Profiles, the camera's data (EXIF), resolution, XMP and IPTC are
kept, and the orientation is applied. HEIC needs pillow-heif: pip install
'hubgan[heif]'.

Videos are enlarged frame by frame, at one strength. The result has the format
of the video: H.264 in MP4, MOV or MKV, or VP9 in WebM. For another format, pass
a name such as -o clip.mkv. Other files (AVI, MPEG, WMV, ...) become MP4. Frame
times, sound, subtitles, chapters and colour tags are kept, and rotation is
applied. Streams that the result cannot hold are reported. So is what is lost
if 10 bits or HDR become 8 bits. Noise is averaged away where nothing moves, so
that it does not flicker. --no-steady keeps the noise, and with it film grain.

After an interruption or a crash, the same command continues a video where it
stopped. --no-resume starts it again. Finished parts are stored next to the
result, in a hidden folder whose name ends in .parts. If a file is cut off, all
frames that can be decoded are enlarged. Videos need av: pip install
'hubgan[video]'.

The results of a data set are named by the numbers of its rows. If it has
labels, each label has a folder, which --dataset reads as a class.

Existing results are skipped, so that the same command continues after an
interruption. Pictures that cannot be read are reported at the end, when the
others are done. So are pictures whose results would have the same name, such
as photo.heic and photo.png. With --keep-extensions, photo.heic becomes
photo.heic.png. Several commands may write into one folder at once. Processes
started by `accelerate launch` or `torchrun` share the work. They may run on
several machines that share the folder.
"""

import argparse
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hubgan.cli.arguments import (
    add_device,
    add_fidelity,
    add_model,
    add_strength,
    announce,
    announce_torch,
    find_data_set,
    find_device,
    find_model,
    packages_of,
    process_device,
    refuse_unused,
    strength_of,
    whole,
)
from hubgan.cli.enlarging import Done, Outcome, enlarge, enlarge_all
from hubgan.errors import ConfigError, ImageError
from hubgan.runtime.counting import counted

if TYPE_CHECKING:
    from accelerate import PartialState


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_model(parser, "the upscaler", elsewhere=True)
    parser.add_argument("inputs", metavar="INPUT", nargs="*", help="a picture or video, or a folder of them")
    data = parser.add_argument_group("a data set instead of INPUT")
    data.add_argument(
        "--dataset",
        metavar="DATA",
        help="a Hub name, a folder of pictures, a Parquet file, or a local data set; needs -o",
    )
    data.add_argument("--dataset-config", metavar="NAME", help="its configuration (subset), if there are several")
    data.add_argument("--split", help="its split (default: train)")
    data.add_argument(
        "--image-column", metavar="NAME", help="the column with the pictures; needed if there are several"
    )
    data.add_argument(
        "--label-column", metavar="NAME", help="the column with the labels (default: the first ClassLabel)"
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="PLACE",
        type=Path,
        help="the folder of the results, or the file of a single picture's result",
    )
    parser.add_argument("--recursive", action="store_true", help="look into subfolders too")
    parser.add_argument("--videos", action="store_true", help="also enlarge the videos in folders")
    parser.add_argument(
        "--format",
        choices=["same", "png", "jpg", "webp"],
        default="same",
        help="format of the resulting pictures (default: same)",
    )
    parser.add_argument(
        "--quality",
        metavar="N",
        type=whole(1, 100),
        default=95,
        help="quality of JPEG and WebP, 1 to 100 (default: 95)",
    )
    parser.add_argument(
        "--scale",
        metavar="N",
        type=float,
        help="how many times as large, above 0 and at most the model's scale (default)",
    )
    parser.add_argument(
        "--keep-extensions",
        action="store_true",
        help="if the extension changes, keep the old one in the name too: photo.heic becomes photo.heic.png",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace existing results")
    parser.add_argument(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="continue an interrupted video, or start it again (default: continue)",
    )
    parser.add_argument(
        "--steady",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="average noise away where nothing moves in a video, so that it does not flicker (default: yes)",
    )
    parser.add_argument(
        "--tile",
        metavar="N",
        type=whole(0),
        help="side of a tile in pixels. A smaller one needs less memory, and 0 means the whole picture."
        " The default is 256, or 512 for networks that work best on whole pictures",
    )
    add_fidelity(parser)
    add_strength(parser)
    add_device(parser)


def run(args: argparse.Namespace) -> None:
    """Enlarge, and print where the results are."""
    _check(args)
    find_model(args)
    if args.dataset:
        find_data_set(args.dataset)
    announce_torch()
    from hubgan import Upscaler
    from hubgan.cli.inputs import (
        Picture,
        Plan,
        UpscaleJob,
        find,
        how_to_tell_apart,
        list_results,
        plan,
        plan_rows,
        shared,
    )

    pictures: list[Picture] = []
    if args.dataset:
        with packages_of("train"):
            from hubgan.data import load_images
        announce(f"Opening the data set {args.dataset} ...")
        data = load_images(
            args.dataset,
            config=args.dataset_config,
            split=args.split or "train",
            column=args.image_column,
            label_column=args.label_column,
        )
    else:
        pictures = find([*map(Path, args.inputs)], recursive=args.recursive, leave_out=args.output, videos=args.videos)
    state = _processes(args)
    announce(f"Loading {args.model} ...")
    upscaler = Upscaler.from_pretrained(
        args.model,
        revision=args.revision,
        subfolder=args.subfolder,
        fidelity=args.fidelity or 0.0,
        weights_name=args.weights_name,
        allow_pickle=args.allow_pickle,
        device=process_device(args.device, state) if state else find_device(args.device),
    )
    ending = None if args.format == "same" else f".{args.format}"
    scale = upscaler.checked_scale(args.scale)
    upscaler.check_strength(strength_of(args))
    jobs, clashes = (
        Plan(plan_rows(data, args.output, ending), [])
        if args.dataset
        else plan(pictures, args.output, ending, f"-x{scale:g}", keep_extensions=args.keep_extensions)
    )
    left_out = [clash.target for clash in clashes for _ in clash.sources]
    if left_out and jobs and (state is None or state.is_main_process):
        sys.stderr.write(f"{_counted(left_out)} are skipped, because several would have the same result\n")
    taken = {path.resolve() for job in jobs for path in (job.source, job.target) if isinstance(path, Path)}
    if len(jobs) == 1 and pictures and not pictures[0].folder and not state and not clashes:
        _report_one(enlarge(upscaler, jobs[0], taken, args)())
        return

    def work(mine: list[UpscaleJob]) -> Outcome:
        return enlarge_all(upscaler, mine, taken, args)

    if state:
        from hubgan.runtime.processes import gather

        mine = shared(jobs, state.process_index, state.num_processes)
        outcomes = gather(lambda: work(mine))
        state.destroy_process_group()
        if not state.is_main_process:
            return
    else:
        outcomes = [work(jobs)]
    if args.dataset:
        list_results(args.output)
    problems = [problem for outcome in outcomes for problem in outcome.problems]
    if jobs:
        _report([done for outcome in outcomes for done in outcome.done], [job.folder for job in jobs], scale)
    if problems or clashes:
        failed, all_targets = len(problems) + len(left_out), [job.target for job in jobs] + left_out
        raise ImageError(
            f"{failed:,} of {_counted(all_targets)} failed:\n  " + "\n  ".join([*problems, *map(str, clashes)]),
            how_to_tell_apart(clashes) if clashes else "",
        )


def _check(args: argparse.Namespace) -> None:
    """Raise ConfigError for a missing MODEL, and for options that do not go together."""
    from hubgan.cli.inputs import is_file_name

    if is_file_name(Path(args.model)):
        inputs = shlex.join([args.model, *args.inputs])
        raise ConfigError(
            f"MODEL is missing: {args.model} is a picture or video",
            f"Run: hubgan upscale MODEL {inputs}, where MODEL is its folder, its file or its Hub name (user/model)",
        )
    if "" in args.inputs:  # as from a variable of the shell; its path would be the current folder
        raise ConfigError("an INPUT is empty", "Check the shell variable that it comes from")
    if bool(args.inputs) == bool(args.dataset):
        if args.dataset:
            raise ConfigError("INPUT and --dataset were both given", "Remove one of the two")
        raise ConfigError(
            f"INPUT is missing: {args.model} was read as MODEL",
            f"Run: hubgan upscale MODEL {args.model}, or pass a data set with --dataset",
        )
    about_data = [f"--{name}" for name in ("dataset-config", "split", "image-column", "label-column")
                  if getattr(args, name.replace("-", "_")) is not None]  # fmt: skip
    if about_data and not args.dataset:
        raise ConfigError(f"{', '.join(about_data)} needs a data set", "Pass the data set with --dataset")
    if args.dataset:
        refuse_unused(args, "--dataset", "recursive", "videos", "keep_extensions", "resume", "steady")
    if args.format == "png":
        refuse_unused(args, "--format png", "quality")
    if args.output and is_file_name(args.output):
        refuse_unused(args, f"-o {args.output} is a file name, which", "keep_extensions")
    if args.dataset and not args.output:
        raise ConfigError(f"--dataset {args.dataset} needs a folder for the results", "Pass one with -o")


def _processes(args: argparse.Namespace) -> "PartialState | None":
    """The processes that share the work; None if this is the only one, which needs no Accelerate."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return None
    with packages_of("train"):
        from hubgan.runtime.processes import join_processes
    return join_processes(cpu=args.device == "cpu")


def _report_one(done: Done) -> None:
    file, size, remark = done
    if size is None:
        raise ConfigError(f"{file} already exists", "Pass another file with -o, or replace it with --overwrite")
    print(f"{file}: {size[0]} x {size[1]} pixels{f' ({remark})' if remark else ''}")


def _report(done: list[Done], folders: list[Path], scale: float) -> None:
    new = [result for result in done if result.size]
    where = [str(folder) for folder in dict.fromkeys(folders)]
    more = f" and {len(where) - 3} more folders" if len(where) > 3 else ""
    what = "restored" if scale == 1 else f"enlarged {scale:g} times"
    if new:
        print(f"{_counted([result.file for result in new])} {what}, in {', '.join(where[:3])}{more}")
    if there := len(done) - len(new):
        print(f"{there:,} skipped, because their results exist already (--overwrite makes them again)")
    remarks = [result.remark for result in new if result.remark]
    for remark in dict.fromkeys(remarks):
        print(f"{remarks.count(remark):,} {remark}")


def _counted(files: list[Path]) -> str:
    """The number of pictures and of videos, in words."""
    from hubgan.media.video import is_clip

    clips = sum(map(is_clip, files))
    numbers = {"picture": len(files) - clips, "video": clips}
    return " and ".join(counted(number, name) for name, number in numbers.items() if number)
