"""Push a trained model to the Hub: the folder that training wrote, in one commit.

  hubgan push runs/cifar-dcgan me/cifar-dcgan
  hubgan push runs/photo-x4 me/photo-x4 --handler
  hubgan push runs/longer me/cifar-dcgan --create-pr --message "Trained longer"

The repository is created if it is missing. Checkpoints, logs and the record of
the machine are not pushed. Log in once with `hf auth login`, or set HF_TOKEN.
There is no option for the token, because a shell keeps a history of commands.
"""

import argparse
from pathlib import Path

from hubgan.cli.arguments import print_pushed


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="the model's folder")
    parser.add_argument("repository", metavar="REPO", help="its name on the Hub (user/model)")
    parser.add_argument("--private", action="store_true", help="make a new repository private")
    parser.add_argument("--revision", metavar="BRANCH", help="the branch, created if it is missing (default: main)")
    parser.add_argument("--message", help="the commit's message")
    parser.add_argument("--handler", action="store_true", help="add what Inference Endpoints need to serve the model")
    parser.add_argument("--create-pr", action="store_true", help="open a pull request instead of changing the branch")


def run(args: argparse.Namespace) -> None:
    """Push, and print the addresses of the model's page and of the commit."""
    from hubgan.hub.upload import check_reachable

    check_reachable(args.repository)
    from hubgan.publish.folder import push_folder

    pushed = push_folder(
        args.folder,
        args.repository,
        private=args.private,
        revision=args.revision,
        commit_message=args.message,
        create_pr=args.create_pr,
        handler=args.handler,
    )
    print_pushed(pushed)
