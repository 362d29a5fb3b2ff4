"""Write a static page on which visitors use your models in their own browser.

  hubgan web my-page --upscaler me/photo-x4
  hubgan web my-page --generator me/cifar-dcgan --translator me/sketch-to-emoji
  hubgan web my-page --upscaler me/photo-x4 --space me/my-page

Nothing leaves a visitor's device, and the page works offline after the first visit. Any web
server can serve the folder. --space also puts it on the Hub, as a static Space. The browser
computes by ONNX Runtime Web, on the graphics card if there is one (WebGPU).

The command needs pip install 'hubgan[onnx]'.
"""

import argparse
import shlex
from pathlib import Path

from hubgan.cli.arguments import add_fidelity, add_shown_models, announce, announce_torch, print_pushed, refuse_unused


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="the folder to write the page into")
    add_shown_models(parser)
    add_fidelity(parser)
    parser.add_argument(
        "--runtime",
        metavar="FOLDER",
        type=Path,
        help="the folder dist of the npm package onnxruntime-web, to copy into the page (default: visitors load it"
        " from jsDelivr)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the page in the folder")
    group = parser.add_argument_group("on the Hub")
    group.add_argument("--space", metavar="SPACE", help="also push the page, as this static Space (user/name)")
    group.add_argument("--private", action="store_true", help="make a new Space private")
    group.add_argument("--message", help="the commit's message")


def run(args: argparse.Namespace) -> None:
    """Write the page, and print how to look at it; push it if asked to."""
    if not args.space:
        refuse_unused(args, "a page without --space", "private", "message")
    if not args.upscaler:
        refuse_unused(args, "a page without --upscaler", "fidelity")
    models = [*args.generator, *args.upscaler, *args.translator]
    if args.space:
        from hubgan.hub.upload import check_reachable

        check_reachable(args.space)
    from hubgan.hub.download import look_up

    for model in models:
        look_up(model)
    announce_torch()
    from hubgan.export.web import write_page

    announce("Exporting the models ...")
    page = write_page(
        args.folder,
        generators=args.generator,
        upscalers=args.upscaler,
        translators=args.translator,
        fidelity=args.fidelity,
        runtime=args.runtime,
        overwrite=args.overwrite,
    )
    print(f"{page.folder}: {len(page.files)} files, {page.size / 2**20:.1f} MiB")
    print(f"Look at it: python -m http.server -d {shlex.quote(str(page.folder))}")
    if args.space:
        from hubgan.publish.page import push_page

        pushed = push_page(page.folder, page.files, args.space, private=args.private, commit_message=args.message)
        print_pushed(pushed)
