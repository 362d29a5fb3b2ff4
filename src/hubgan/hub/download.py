"""Files of a model, from a folder or the Hub: listed, downloaded and checked, with errors that say what to do."""

import logging
import os
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from huggingface_hub import (
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
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils.sha import git_hash

from hubgan.errors import ModelError, Remedy
from hubgan.runtime.files import SET_HF_HOME, refuse_address, sha256, unwritable
from hubgan.runtime.names import did_you_mean, existing, hub_answers, is_path

logger = logging.getLogger(__name__)

RUN = "run.json"
"""What a training run writes into its folder when it begins."""
PICKLES = (".bin", ".ckpt", ".pkl", ".pt", ".pth")
_WEIGHTS = (".safetensors", *PICKLES)
_SHA256, _SHA1 = re.compile("[0-9a-f]{64}"), re.compile("[0-9a-f]{40}")


@dataclass(frozen=True)
class ModelSource:
    """A folder on this machine, or a repository on the Hub, and how to read it.

    Attributes:
        name: the folder's path, or the Hub name (user/model). If there is such a folder, it is used.
        subfolder: the model's folder inside it.
        revision: branch, tag or commit on the Hub.
        token: access token; None uses the one of `hf auth login`, False sends none.
        cache_dir, force_download, local_files_only: as in `huggingface_hub.hf_hub_download`.
    """

    name: str
    subfolder: str | None = None
    revision: str | None = None
    token: str | bool | None = field(default=None, repr=False)
    cache_dir: str | Path | None = None
    force_download: bool = False
    local_files_only: bool = False

    def __post_init__(self) -> None:
        refuse_address(self.name, ModelError, "Pass its name on the Hub (user/model), or download it first")

    @property
    def folder(self) -> Path | None:
        """The folder on this machine; None for a repository."""
        path = existing(self.name)
        return path / (self.subfolder or "") if path and path.is_dir() else None

    def files(self) -> list[str]:
        """The names of its files, without those in its subfolders.

        If the Hub does not answer, these are the files of the repository that the download cache holds.

        Raises:
            ModelError: there is no such repository, or it cannot be reached.
        """
        if (folder := self.folder) is not None:
            return sorted(path.name for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
        with self._translate_errors("its list of files"):
            try:
                if self.local_files_only or not hub_answers():
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
        """The path of one file; from a repository it is downloaded into the cache.

        A file from the Hub is compared with the Hub's checksum each time, and removed from the cache if it is damaged.

        Raises:
            ModelError: there is no such repository or file, it cannot be reached, or its bytes are damaged.
        """
        if (folder := self.folder) is not None:
            if (folder / filename).is_file():
                return folder / filename
            root = existing(self.name)
            raise (root and unfinished_run(root)) or _missing(filename, str(folder), self.files())
        with self._translate_errors(filename):
            file = Path(
                hf_hub_download(
                    self.name,
                    filename,
                    subfolder=self.subfolder,
                    revision=self.revision,
                    token=self.token,
                    cache_dir=self.cache_dir,
                    force_download=self.force_download,
                    local_files_only=self.local_files_only or not hub_answers(),
                )
            )
        check_bytes(file, self._shown)
        return file

    def at_commit_of(self, file: Path) -> "ModelSource":
        """The same source at the commit that one of its files came from, so that all files belong together."""
        if self.folder is not None:
            return self
        commit = file.parents[len(PurePosixPath(self.subfolder or "").parts)].name  # the cache has a folder for each
        return replace(self, revision=commit) if _SHA1.fullmatch(commit) else self

    @property
    def _shown(self) -> str:
        return f"{self.name} ({constants.ENDPOINT})"

    @contextmanager
    def _translate_errors(self, what: str) -> Iterator[None]:
        """Turn what the Hub's client raises into a ModelError: `what` could not be read."""
        name = self.name
        if is_path(name):
            if os.path.isfile(path := os.path.expanduser(name)):  # noqa: PTH111, PTH113
                raise ModelError(f"{name} is a file, but this model is a folder", f"Pass {os.path.dirname(path)}")  # noqa: PTH120
            raise ModelError(f"{name} does not exist", did_you_mean(name, _WEIGHTS) or "Check the path")
        try:
            check_token(self.token)
            yield
        except ModelError:
            raise
        except HFValidationError as error:
            raise ModelError(
                f"{name!r} is neither a folder on this machine nor a Hub name (user/model)",
                did_you_mean(name, _WEIGHTS) or "Check the spelling",
            ) from error
        except GatedRepoError as error:
            raise ModelError(
                f"{name} is gated, and you have no access to it",
                f"Request access at {constants.ENDPOINT}/{name}, and log in: hf auth login",
            ) from error
        except RepositoryNotFoundError as error:
            spelling = did_you_mean(name, _WEIGHTS) or "Check the spelling."
            raise ModelError(
                f"{name!r} is neither a folder on this machine nor a model you can see at {constants.ENDPOINT}",
                Remedy(
                    f"{spelling} For a private model log in (hf auth login) or pass token=",
                    f"{spelling} For a private model log in (hf auth login) or set HF_TOKEN",
                ),
            ) from error
        except RevisionNotFoundError as error:
            raise ModelError(
                f"{self._shown} has no revision {self.revision!r}", "Pass an existing branch, tag or commit"
            ) from error
        except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
            if isinstance(error.__cause__, HfHubHTTPError):  # it was reached, and did not give the file
                reason = in_one_line(error.__cause__)
                raise ModelError(f"cannot get {what} of {self._shown}: {reason}", "Try again later") from error
            raise ModelError(
                f"{name!r} is neither a folder on this machine nor in the download cache, and the Hub"
                f" ({constants.ENDPOINT}) cannot be reached",
                did_you_mean(name, _WEIGHTS) or "Check the connection, or pass the path of a folder",
            ) from error
        except EntryNotFoundError as error:
            inside = os.path.join(self.subfolder or "", what)  # noqa: PTH118
            raise _missing(inside, self._shown, self._files_or_none()) from error
        except (HTTPError, OSError, RuntimeError, ValueError) as error:
            remedy = "Pass another folder as cache_dir" if self.cache_dir else SET_HF_HOME
            for folder in (self.cache_dir or constants.HF_HUB_CACHE, constants.HF_HOME):  # which holds the token
                if problem := unwritable(folder, error, ModelError, remedy):
                    raise problem from error
            reason = in_one_line(error)
            raise ModelError(f"cannot get {what} of {self._shown}: {reason}", "Check the connection") from error

    def _files_or_none(self) -> list[str]:
        try:
            return self.files()
        except ModelError:
            return []


def look_up(name: str, revision: str | None = None) -> None:
    """Look a model up by its name, before work that is of no use without it.

    Raises:
        ModelError: it is neither on this machine nor on the Hub, or the Hub cannot be reached.
    """
    source = ModelSource(name, revision=revision)
    if existing(name) is None:
        source.files()


def unfinished_run(folder: Path) -> ModelError | None:
    """The error for a folder that holds a training run but no model yet; None for other folders."""
    if not (folder / RUN).is_file() or (folder / "config.json").is_file():
        return None
    command = ["hubgan", "train", "--config", str(folder / "recipe.yaml"), "--output_dir", str(folder), "--resume"]
    return ModelError(f"the run in {folder} is not finished", f"Continue it with: {shlex.join(command)}")


def _missing(filename: str, where: str, files: list[str]) -> ModelError:
    pickles = [name for name in files if name.endswith(PICKLES)]
    if pickles and filename.endswith(".safetensors"):
        return ModelError(
            f"{where} has no {filename}, only {', '.join(pickles)}. Reading pickled weights can run"
            " any code, so hubgan refuses them",
            "Convert them to safetensors",
        )
    return ModelError(
        f"{where} has no {filename}, so it is not a model that hubgan saved, or it is incomplete",
        Remedy("Check the name and subfolder=", "Check the name and --subfolder"),
    )


def check_bytes(file: Path, where: str) -> None:
    """Compare a file of the cache with the checksum that names it.

    Raises:
        ModelError: they differ; the file has been removed from the cache.
    """
    if not file.is_symlink():  # without links the cache does not keep the checksum
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
        remedy = "The file was removed from the cache. Load the model again to download it"
    except OSError as error:
        remedy = f"Remove {file} ({error}), and load the model again"
    raise ModelError(f"{file.name} of {where} was damaged in transfer or on the disk (checksum)", remedy)


def in_one_line(error: Exception) -> str:
    """The message of an error of the client, which has several lines, in one line."""
    return re.sub(r" For more information check: \S+", "", " ".join(str(error).split())).rstrip(".")


def check_token(token: str | bool | None) -> None:
    """Refuse a malformed token before it is sent: the HTTP library's error for a bad header would quote it.

    Raises:
        ModelError: the token cannot be one.
    """
    secret = token if isinstance(token, str) else get_token() if token is not False else None
    if secret and not re.fullmatch(r"[!-~]+", secret):
        raise ModelError(
            "the access token holds a space, a line break or a character that tokens cannot have",
            "Copy the token again",
        )
