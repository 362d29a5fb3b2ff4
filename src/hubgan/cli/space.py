"""Publish the demo on the Hub, as a Space that shows your models.

  hubgan space me/my-demo --generator me/cifar-dcgan --upscaler me/photo-x4

If there are several models of a kind, visitors choose one. A model that
is a folder on this machine is copied into the Space. Log in once with
`hf auth login`, or set HF_TOKEN.
"""

import argparse
from pathlib import Path


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("repository", metavar="SPACE", help="the Space's name on the Hub (user/name)")
    where = "its folder, or its name on the Hub (user/model)"
    parser.add_argument(
        "--generator", metavar="MODEL", required=True, nargs="+", help=f"one or more image generators: {where}"
    )
    parser.add_argument(
        "--upscaler", metavar="MODEL", required=True, nargs="+", help=f"one or more image upscalers: {where}"
    )
    parser.add_argument(
        "--translator", metavar="MODEL", default=[], nargs="+", help=f"one or more image translators: {where}"
    )
    parser.add_argument("--private", action="store_true", help="make a new Space private")
    parser.add_argument("--message", help="the commit's message")
    parser.add_argument(
        "--checkout",
        metavar="FOLDER",
        type=Path,
        default=Path(),
        help="hubgan's repository (default: the current folder)",
    )


def run(args: argparse.Namespace) -> None:
    """Push the Space, and print the commit's address."""
    from hubgan.hub.download import look_up
    from hubgan.hub.upload import check_reachable

    check_reachable(args.repository)
    for model in (*args.generator, *args.upscaler, *args.translator):
        look_up(model)
    from hubgan.publish.space import push_space

    pushed = push_space(
        args.repository,
        generators=args.generator,
        upscalers=args.upscaler,
        translators=args.translator,
        checkout=args.checkout,
        private=args.private,
        commit_message=args.message,
    )
    print(pushed.url if pushed.changed else f"Nothing has changed since {pushed.url}")
