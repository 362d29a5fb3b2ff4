"""Publish the demo on the Hub, as a Space that shows your models.

  hubgan space me/my-demo --generator me/cifar-dcgan --upscaler me/photo-x4
  hubgan space me/my-demo --upscaler me/photo-x4

One model is enough: a tab is left out if there is no model for it. If there are
several of a kind, visitors choose one. A model that is a folder on this machine
is copied into the Space. Log in once with `hf auth login`, or set HF_TOKEN.
"""

import argparse
from pathlib import Path

from hubgan.cli.arguments import add_shown_models, print_pushed


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("repository", metavar="SPACE", help="the Space's name on the Hub (user/name)")
    add_shown_models(parser)
    parser.add_argument("--private", action="store_true", help="make a new Space private")
    parser.add_argument("--message", help="the commit's message")
    parser.add_argument(
        "--checkout",
        metavar="FOLDER",
        type=Path,
        help="take the demo from this clone of hubgan's repository (default: from the hubgan that runs)",
    )


def run(args: argparse.Namespace) -> None:
    """Push the Space, and print the addresses of its page and of the commit."""
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
    print_pushed(pushed)
