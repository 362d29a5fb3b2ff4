"""To the Hub: the folder of a run as a repository."""

from pathlib import Path

from huggingface_hub import HfApi, constants
from huggingface_hub.errors import HFValidationError, HTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled

from hubgan.errors import ModelError

# What a run leaves on the way is no part of the repository.
_NOT_PUSHED = ["checkpoints/**", "samples/**", ".*"]


def push_folder(folder: Path, repo_id: str, *, private: bool = False, token: str | None = None) -> str:
    """Push a run's folder to the Hub in one commit; the repository is made when missing.

    Returns:
        The address of the commit.

    Raises:
        ModelError: not logged in, not allowed, not a Hub name, or the Hub cannot be reached. The folder stays.
    """
    api = HfApi(token=token)
    try:
        repo_id = api.create_repo(repo_id, private=private or None, exist_ok=True).repo_id
        return api.upload_folder(
            repo_id=repo_id,
            folder_path=folder,
            ignore_patterns=_NOT_PUSHED,
            commit_message="Push from hubgan",
        )
    except HFValidationError as error:
        raise ModelError(f"{repo_id!r} is not a Hub name (user/model): {error}") from error
    except LocalTokenNotFoundError as error:
        raise ModelError(f"cannot push to {repo_id}: log in first (hf auth login); {folder} is kept") from error
    except (HTTPError, OfflineModeIsEnabled) as error:
        raise ModelError(
            f"cannot push to {repo_id} at {constants.ENDPOINT}: {error}. {folder} is whole; push it again with"
            f" hf upload {repo_id} {folder} --exclude 'checkpoints/**'"
        ) from error
