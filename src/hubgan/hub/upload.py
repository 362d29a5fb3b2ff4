"""Commits to the Hub that are made whole or not at all, with errors that say what to do."""

import logging
import re
import socket
import ssl
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    constants,
    hf_hub_download,
)
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    LocalTokenNotFoundError,
)
from huggingface_hub.utils import filter_repo_objects

from hubgan.errors import ModelError, Remedy
from hubgan.hub.download import check_bytes, check_token, in_one_line
from hubgan.runtime.names import hub_answers

logger = logging.getLogger(__name__)

# What the Hub refuses by its status: why, and what to do about it.
_REFUSALS = {
    401: ("you are not logged in", "Log in (hf auth login), or set HF_TOKEN"),
    403: (
        "your access token does not allow it",
        "Create a token with write access, and log in with it: hf auth login",
    ),
    412: ("somebody else has changed it in the meantime", ""),
}
_OF_THE_NETWORK = (HTTPError, ConnectionError, TimeoutError, socket.gaierror, ssl.SSLError, LocalEntryNotFoundError)
_IF_PUBLIC = Remedy(
    "Push without private, or make it private in its settings on the Hub",
    "Push without --private, or make it private in its settings on the Hub",
)


def check_reachable(name: str) -> None:
    """Check that the Hub accepts connections, before work whose result is pushed.

    Args:
        name: the repository, for the message.

    Raises:
        ModelError: the Hub cannot be reached.
    """
    if not hub_answers():
        raise ModelError(
            f"cannot use {name}: the Hub ({constants.ENDPOINT}) cannot be reached",
            "Unset HF_HUB_OFFLINE" if constants.HF_HUB_OFFLINE else "Check the connection, and try again",
        )


class Pushed(NamedTuple):
    """The address of a push's commit, or of the last one if nothing had changed."""

    url: str
    changed: bool

    @property
    def page(self) -> str:
        """The address of the repository's page."""
        return re.split("/(?:commit|discussions)/", self.url)[0]

    @property
    def commit(self) -> str:
        """The commit's hash; empty for a pull request."""
        return self.url.partition("/commit/")[2]


class Repository:
    """A repository on the Hub at its last commit, to which one commit may be added. It is made if it is missing.

    Args:
        name: the Hub name; a bare name belongs to the user.
        repo_type: "model" or "space".
        space_sdk: of a new Space, "gradio".
        private: make it private if it is new.
        token: access token; by default the one of `hf auth login`.
        branch: main by default; made if it is missing.
        again: how to continue after a failure, the last sentence of an error's remedy.
        if_public: the remedy of the error that it exists and is public.

    Attributes:
        name: its full name.
        head: the last commit of the branch.
        files: the paths of its files.

    Raises:
        ModelError: not logged in, not allowed, not a Hub name, or the Hub cannot be reached; or the repository exists
            and is public, but should be private.
    """

    def __init__(
        self,
        name: str,
        *,
        repo_type: str = "model",
        space_sdk: str | None = None,
        private: bool = False,
        token: str | None = None,
        branch: str | None = None,
        again: str = "",
        if_public: Remedy = _IF_PUBLIC,
    ) -> None:
        self.name, self._type, self._branch, self._token, self._again = name, repo_type, branch, token, again
        with self._translate_errors():
            self._api = HfApi(token=token)
            self.name = self._api.create_repo(
                name, private=private or None, exist_ok=True, repo_type=repo_type, space_sdk=space_sdk
            ).repo_id
            about = self._api.repo_info(self.name, repo_type=repo_type)
            if private and about.private is False:
                raise ModelError(f"{self.name} already exists and is public", if_public)
            if branch and not branch.startswith("refs/"):  # a pull request exists already
                self._api.create_branch(self.name, branch=branch, repo_type=repo_type, exist_ok=True)
            if branch:
                about = self._api.repo_info(self.name, repo_type=repo_type, revision=branch)
        self.head = str(about.sha)
        self.files = {file.rfilename for file in getattr(about, "siblings", None) or []}

    def read(self, path: str) -> str | None:
        """The text of one of its files; None if there is no such file.

        Raises:
            ModelError: the Hub cannot be reached.
        """
        if path not in self.files:
            return None
        with tempfile.TemporaryDirectory() as folder:
            self.download(path, file := Path(folder, "file"))
            try:
                return file.read_text(encoding="utf-8")
            except UnicodeDecodeError as error:
                raise ModelError(f"{path} of {self.name} is not UTF-8 text", "Correct the file on the Hub") from error

    def download(self, path: str, file: Path) -> None:
        """Download one of its files. Its bytes are compared with the Hub's checksum.

        Args:
            path: the file's path in the repository.
            file: where it goes; its folder is made if it is missing.

        Raises:
            ModelError: the Hub cannot be reached, or the bytes are damaged. There is no `file` then.
            OSError: the disk is full, or cannot be written.
        """
        file.parent.mkdir(parents=True, exist_ok=True)
        # In a cache of its own, so that the file is the current one, and checked rather than damaged.
        with self._translate_errors("download from"), tempfile.TemporaryDirectory(dir=file.parent) as cache:
            found = Path(
                hf_hub_download(
                    self.name, path, repo_type=self._type, revision=self.head, token=self._token, cache_dir=cache
                )
            )
            check_bytes(found, self.name)
            found.resolve().replace(file)

    def commit(
        self,
        files: Mapping[str, Path | bytes],
        *,
        message: str,
        create_pr: bool = False,
        delete: Iterable[str] = (),
        delete_patterns: Sequence[str] = (),
    ) -> Pushed:
        """Put files into it in one commit. No commit is made if nothing changes.

        If this fails, the branch is unchanged. The Hub keeps large files that were uploaded, and skips them next time.

        Args:
            files: by their paths in the repository, a path on this machine or the bytes.
            message: the commit's first line.
            create_pr: open a pull request instead.
            delete: files to remove, if they exist.
            delete_patterns: also remove the files whose names match these.

        Raises:
            ModelError: not allowed, the Hub cannot be reached, or somebody else has changed the branch since this
                object was made.
        """
        operations: list[Any] = [CommitOperationAdd(path, content) for path, content in files.items()]
        gone = self.files & set(delete)
        if delete_patterns:
            gone |= set(filter_repo_objects(self.files, allow_patterns=list(delete_patterns)))
        gone -= {*files, ".gitattributes"}  # without .gitattributes the Hub forgets which files are large
        operations += [CommitOperationDelete(path, is_folder=False) for path in sorted(gone)]
        with self._translate_errors(), _quiet():
            made = self._api.create_commit(
                self.name,
                operations,
                repo_type=self._type,
                commit_message=message,
                revision=self._branch,
                create_pr=create_pr,
                parent_commit=self.head,
            )
        return Pushed(made.pr_url or str(made.commit_url), made.oid != self.head)

    @contextmanager
    def _translate_errors(self, verb: str = "push to") -> Iterator[None]:
        """Turn what the Hub's client raises into a ModelError that says what to do, but not errors of the disk."""
        check_token(self._token)
        what, whole = (
            f"cannot {verb} {self.name}",
            "The branch has the complete commit, or nothing of it" if self._again and verb == "push to" else "",
        )
        try:
            yield
        except ModelError:
            raise
        except HFValidationError as error:
            raise ModelError(f"{what}, which is not a Hub name (user/model): {in_one_line(error)}") from error
        except LocalTokenNotFoundError as error:
            reason, remedy = _REFUSALS[401]
            raise ModelError(f"{what}: {reason}", remedy).with_context(remedy=self._again) from error
        except (HTTPError, OSError, RuntimeError, ValueError) as error:  # the client fails with any of them
            if isinstance(error, OSError) and not isinstance(error, _OF_THE_NETWORK):
                raise
            status = error.response.status_code if isinstance(error, HfHubHTTPError) else 0
            reason, remedy = _REFUSALS.get(status, (in_one_line(error), ""))
            failure = ModelError(f"{what} at {constants.ENDPOINT}: {reason}", remedy)
            raise failure.with_context(remedy=whole).with_context(remedy=self._again) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the client's warning that there is nothing to commit, which is expected here."""
    client = logging.getLogger("huggingface_hub.hf_api")

    def about_nothing(record: logging.LogRecord) -> bool:
        return "No files have been modified" not in record.getMessage()

    client.addFilter(about_nothing)
    try:
        yield
    finally:
        client.removeFilter(about_nothing)
