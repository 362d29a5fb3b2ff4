"""To the Hub: the folder of a run as a repository."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import HfApi, constants
from huggingface_hub.errors import HFValidationError, HTTPError, LocalTokenNotFoundError

from hubgan.errors import ModelError

# What a run leaves on the way is no part of the repository.
_NOT_PUSHED = [
    "checkpoints/**",
    "samples/**",
    "trackers/**",
    "wandb/**",
    "metrics.jsonl",
    "run.json",  # paths, hardware and the command line: nobody's business
    "report.html",
    ".*",
    "**/.*",
]


def make_repository(repo_id: str, *, private: bool = False, token: str | None = None) -> str:
    """Make a model repository on the Hub unless it is there, and return its full name.

    Raises:
        ModelError: not logged in, not allowed, not a Hub name, or the Hub cannot be reached.
    """
    with _told(f"push to {repo_id}"):
        return HfApi(token=token).create_repo(repo_id, private=private or None, exist_ok=True).repo_id


def push_folder(folder: Path, repo_id: str, *, private: bool = False, token: str | None = None) -> str:
    """Push a run's folder to the Hub in one commit; the repository is made when missing.

    Returns:
        The address of the commit.

    Raises:
        ModelError: not logged in, not allowed, not a Hub name, or the Hub cannot be reached. The folder stays.
    """
    repo_id = make_repository(repo_id, private=private, token=token)
    left_out = shlex.join(_NOT_PUSHED)
    again = f"{folder} is whole; push it again with hf upload {repo_id} {folder} . --exclude {left_out}"
    with _told(f"push to {repo_id}", again):
        return HfApi(token=token).upload_folder(
            repo_id=repo_id, folder_path=folder, ignore_patterns=_NOT_PUSHED, commit_message="Push from hubgan"
        )


@contextmanager
def _told(what: str, remedy: str = "") -> Iterator[None]:
    """Turn what the Hub's client raises into a ModelError that says what to do."""
    try:
        yield
    except HFValidationError as error:
        raise ModelError(f"cannot {what}: not a Hub name (user/model); {error}") from error
    except LocalTokenNotFoundError as error:
        raise ModelError(f"cannot {what}: log in first (hf auth login). {remedy}") from error
    except (HTTPError, OSError, RuntimeError) as error:  # the client's uploads fail with any of them
        raise ModelError(f"cannot {what} at {constants.ENDPOINT}: {error}. {remedy}") from error
