"""The Hub's client with errors for people: files found, fetched and checked; commits that are whole or not made."""

import logging
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    constants,
    get_token,
    hf_hub_download,
    snapshot_download,
)
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import filter_repo_objects
from huggingface_hub.utils.sha import git_hash

from hubgan.errors import ModelError
from hubgan.files import sha256

logger = logging.getLogger(__name__)

PICKLES = (".bin", ".ckpt", ".pkl", ".pt", ".pth")
_REFUSALS = {
    401: "it does not know you: log in (hf auth login), or set HF_TOKEN",
    403: "your access token may not do that: make one that may write there, and log in with it (hf auth login)",
    412: "somebody else has changed it meanwhile",
}
_SHA256, _SHA1 = re.compile("[0-9a-f]{64}"), re.compile("[0-9a-f]{40}")


@dataclass(frozen=True)
class Place:
    """A folder on this machine, or a repository on the Hub, and how to read it.

    Attributes:
        name: the folder's path, or the Hub name (user/model). A folder that exists goes first.
        subfolder: where in it to look.
        revision: branch, tag or commit on the Hub.
        token: access token; None takes the one of `hf auth login`, False sends none.
        cache_dir, force_download, local_files_only: as in `huggingface_hub.hf_hub_download`.
    """

    name: str
    subfolder: str | None = None
    revision: str | None = None
    token: str | bool | None = field(default=None, repr=False)
    cache_dir: str | Path | None = None
    force_download: bool = False
    local_files_only: bool = False

    @property
    def folder(self) -> Path | None:
        """The folder on this machine; None for a repository."""
        # Unlike Path.is_dir, os.path.isdir raises no error for a name too long to be one.
        return Path(self.name, self.subfolder or "") if os.path.isdir(self.name) else None  # noqa: PTH112

    def files(self) -> list[str]:
        """The names of the files that lie there, not those in folders of it.

        Where the Hub does not answer, these are the files of a repository that the cache holds.

        Raises:
            ModelError: there is no such place, or it cannot be reached.
        """
        if (folder := self.folder) is not None:
            return sorted(path.name for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
        with self._read("its list of files"):
            try:
                if self.local_files_only:
                    raise OfflineModeIsEnabled
                api, patience = HfApi(token=self.token), constants.HF_HUB_ETAG_TIMEOUT
                about = api.model_info(self.name, revision=self.revision, timeout=patience)
                paths = [PurePosixPath(file.rfilename) for file in about.siblings or []]
                return sorted(path.name for path in paths if path.parent == PurePosixPath(self.subfolder or ""))
            except (OfflineModeIsEnabled, HTTPError) as error:
                if isinstance(error, HfHubHTTPError) and error.response.status_code < 500:  # it refused
                    raise
                found = snapshot_download(
                    self.name, revision=self.revision, cache_dir=self.cache_dir, local_files_only=True
                )
                return sorted(path.name for path in Path(found, self.subfolder or "").glob("*") if path.is_file())

    def file(self, filename: str) -> Path:
        """The path of one file there, fetched into the cache from a repository.

        What came from the Hub is compared with the checksum that the Hub gave for it, each time: a damaged file is
        removed from the cache.

        Raises:
            ModelError: there is no such place or file, it cannot be reached, or its bytes are damaged.
        """
        if (folder := self.folder) is not None:
            if (folder / filename).is_file():
                return folder / filename
            raise ModelError(_missing(filename, str(folder), self.files()))
        with self._read(filename):
            file = Path(
                hf_hub_download(
                    self.name,
                    filename,
                    subfolder=self.subfolder,
                    revision=self.revision,
                    token=self.token,
                    cache_dir=self.cache_dir,
                    force_download=self.force_download,
                    local_files_only=self.local_files_only,
                )
            )
        _check_bytes(file, self._shown)
        return file

    def at_commit_of(self, file: Path) -> "Place":
        """The same place at the commit that a file of it came from: what is fetched next belongs to that file."""
        if self.folder is not None:
            return self
        commit = file.parents[len(PurePosixPath(self.subfolder or "").parts)].name  # the cache has a folder for each
        return replace(self, revision=commit) if _SHA1.fullmatch(commit) else self

    @property
    def _shown(self) -> str:
        return f"{self.name} ({constants.ENDPOINT})"

    @contextmanager
    def _read(self, what: str) -> Iterator[None]:
        name = self.name
        _check_token(self.token)
        try:
            yield
        except ModelError:
            raise
        except HFValidationError as error:
            raise ModelError(f"{name!r} is neither a folder on this machine nor a Hub name (user/model)") from error
        except GatedRepoError as error:
            raise ModelError(f"{name} asks for consent first: give it on its page at {constants.ENDPOINT}") from error
        except RepositoryNotFoundError as error:
            raise ModelError(
                f"{name!r} is neither a folder on this machine nor a model you can see at {constants.ENDPOINT};"
                " check the spelling, and for a private model log in (hf auth login) or pass token="
            ) from error
        except RevisionNotFoundError as error:
            raise ModelError(f"{self._shown} has no revision {self.revision!r}") from error
        except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
            if isinstance(error.__cause__, HfHubHTTPError):  # it was reached, and did not give the file
                raise ModelError(f"cannot get {what} of {self._shown}: {_line(error.__cause__)}") from error
            raise ModelError(
                f"{name!r} is no folder on this machine, it is not in the download cache, and the Hub"
                f" ({constants.ENDPOINT}) cannot be reached; check the connection, or pass the path of a folder"
            ) from error
        except EntryNotFoundError as error:
            inside = os.path.join(self.subfolder or "", what)  # noqa: PTH118
            raise ModelError(_missing(inside, self._shown, self._files_or_none())) from error
        except (HTTPError, OSError, RuntimeError, ValueError) as error:
            raise ModelError(f"cannot get {what} of {self._shown}: {_line(error)}") from error

    def _files_or_none(self) -> list[str]:
        try:
            return self.files()
        except ModelError:
            return []


def _missing(filename: str, where: str, files: list[str]) -> str:
    pickles = [name for name in files if name.endswith(PICKLES)]
    if pickles and filename.endswith(".safetensors"):
        return (
            f"{where} has no {filename}, only {', '.join(pickles)}: pickled weights can run any code"
            " when they are read, so hubgan refuses them; convert them to safetensors first"
        )
    return f"{where} has no {filename}: it is not a model that hubgan saved, or it is incomplete"


def _check_bytes(file: Path, where: str) -> None:
    """Compare a file of the cache with the checksum by which the Hub names it, and remove it when it differs."""
    if not file.is_symlink():  # where links are not to be had, the cache does not keep the checksum
        return
    blob = Path(file.parent, os.readlink(file))  # noqa: PTH115  # one step only: a shared blob is a link again
    if _SHA256.fullmatch(blob.name):
        found = sha256(file)
    elif _SHA1.fullmatch(blob.name):
        found = git_hash(file.read_bytes())
    else:
        return
    if found == blob.name:
        return
    try:
        for link in (file.resolve(), blob, file):
            link.unlink(missing_ok=True)
        remedy = "it was removed from the cache: load it again to download it anew"
    except OSError as error:
        remedy = f"remove {file} and load it again ({error})"
    raise ModelError(f"{file.name} of {where} was damaged on its way or on the disk (checksum); {remedy}")


class Pushed(NamedTuple):
    """What came of a push: the address of its commit, or of the last one where nothing had changed."""

    url: str
    changed: bool


class Repository:
    """A repository on the Hub as it stands now, made when it is missing, and what one commit may add to it.

    Args:
        name: the Hub name; a bare name belongs to the user.
        repo_type: "model" or "space".
        space_sdk: of a new Space, "gradio".
        private: make it private if it is new.
        token: access token; by default the one of `hf auth login`.
        branch: main by default; made when it is missing.
        again: how to go on after a failure, one sentence for people.

    Attributes:
        name: its full name.
        head: the last commit of the branch.

    Raises:
        ModelError: not logged in, not allowed, not a Hub name, or the Hub cannot be reached; or it is there, and
            public where it should be private.
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
    ) -> None:
        self.name, self._type, self._branch, self._token, self._again = name, repo_type, branch, token, again
        with self._told():
            self._api = HfApi(token=token)
            self.name = self._api.create_repo(
                name, private=private or None, exist_ok=True, repo_type=repo_type, space_sdk=space_sdk
            ).repo_id
            about = self._api.repo_info(self.name, repo_type=repo_type)
            if private and about.private is False:
                raise ModelError(
                    f"{self.name} is there already, and public: push without private, or make it private in its"
                    " settings on the Hub first"
                )
            if branch and not branch.startswith("refs/"):  # a pull request is there already
                self._api.create_branch(self.name, branch=branch, repo_type=repo_type, exist_ok=True)
            if branch:
                about = self._api.repo_info(self.name, repo_type=repo_type, revision=branch)
        self.head = str(about.sha)
        self.files = {file.rfilename for file in getattr(about, "siblings", None) or []}

    def read(self, path: str) -> str | None:
        """A text file of it; None when there is none.

        Raises:
            ModelError: the Hub cannot be reached.
        """
        if path not in self.files:
            return None
        # In a cache of its own: what counts is what is there now, and a damaged file must not be taken for words.
        with self._told(), tempfile.TemporaryDirectory() as cache:
            file = hf_hub_download(
                self.name, path, repo_type=self._type, revision=self.head, token=self._token, cache_dir=cache
            )
            _check_bytes(Path(file), self.name)
            try:
                return Path(file).read_text(encoding="utf-8")
            except UnicodeDecodeError as error:
                raise ModelError(f"{path} of {self.name} is not UTF-8 text: correct it on the Hub") from error

    def commit(
        self,
        files: Mapping[str, Path | bytes],
        *,
        message: str,
        create_pr: bool = False,
        delete: Iterable[str] = (),
        delete_patterns: Sequence[str] = (),
    ) -> Pushed:
        """Put files into it in one commit; none is made when they are all there already.

        When this fails the branch stays as it was; what was uploaded of large files is kept by the Hub and skipped
        next time.

        Args:
            files: what goes where, a path on this machine or the bytes.
            message: the commit's first line.
            create_pr: open a pull request instead.
            delete: files to remove, of those that are there.
            delete_patterns: remove the files whose names match, too.

        Raises:
            ModelError: not allowed, the Hub cannot be reached, or somebody else has changed the branch since it was
                looked at.
        """
        operations: list[Any] = [CommitOperationAdd(path, content) for path, content in files.items()]
        gone = self.files & set(delete)
        if delete_patterns:
            gone |= set(filter_repo_objects(self.files, allow_patterns=list(delete_patterns)))
        gone -= {*files, ".gitattributes"}  # without the latter the Hub forgets which files are large
        operations += [CommitOperationDelete(path, is_folder=False) for path in sorted(gone)]
        with self._told(), _quiet():
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
    def _told(self) -> Iterator[None]:
        """Turn what the Hub's client raises into a ModelError that says what to do."""
        _check_token(self._token)
        what, whole = f"cannot push to {self.name}", "A commit is made whole or not at all." if self._again else ""
        try:
            yield
        except ModelError:
            raise
        except HFValidationError as error:
            raise ModelError(f"{what}: not a Hub name (user/model); {_line(error)}") from error
        except LocalTokenNotFoundError as error:
            raise ModelError(f"{what}: {_REFUSALS[401]}. {self._again}".strip()) from error
        except (HTTPError, OSError, RuntimeError, ValueError) as error:  # the client fails with any of them
            refusal = _REFUSALS.get(error.response.status_code) if isinstance(error, HfHubHTTPError) else None
            reason = f"{what} at {constants.ENDPOINT}: {refusal or _line(error)}."
            raise ModelError(" ".join(filter(None, [reason, whole, self._again]))) from error


def _line(error: Exception) -> str:
    """What an error of the client says, which is several lines, in one."""
    return re.sub(r" For more information check: \S+", "", " ".join(str(error).split())).rstrip(".")


def _check_token(token: str | bool | None) -> None:
    """Refuse a token that cannot be one before it is sent: what an HTTP library says of a bad header quotes it."""
    secret = token if isinstance(token, str) else get_token() if token is not False else None
    if secret and not re.fullmatch(r"[!-~]+", secret):
        raise ModelError("the access token holds a space, a line break or a letter that no token has: copy it again")


@contextmanager
def _quiet() -> Iterator[None]:
    """The client warns when there is nothing to commit; here that is no trouble."""
    client = logging.getLogger("huggingface_hub.hf_api")

    def about_nothing(record: logging.LogRecord) -> bool:
        return "No files have been modified" not in record.getMessage()

    client.addFilter(about_nothing)
    try:
        yield
    finally:
        client.removeFilter(about_nothing)
