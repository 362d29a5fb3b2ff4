"""Names of models and data sets: paths on this machine, or names on the Hub; and whether the Hub can be reached."""

import os
import socket
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from huggingface_hub import constants

from hubgan.errors import Remedy, UnreachableError

DATA_FILES = (".parquet",)
"""The ends of the names of files that hold a data set."""

_PATIENCE = 2.0  # seconds


def is_path(name: str) -> bool:
    """Whether a name can only be a path on this machine, so that the Hub need not be asked.

    It begins with "." or "~", is absolute, has more than one slash, or lies in a folder that exists.
    """
    if "://" in name:
        return False
    name = name.replace(os.sep, "/")
    if name.startswith((".", "~")) or name.count("/") > 1 or os.path.isabs(name):  # noqa: PTH117
        return True
    return "/" in name and os.path.isdir(os.path.dirname(name))  # noqa: PTH112, PTH120


def at_home(name: str) -> str:
    """A name with the home folder in place of "~". Unlike `Path.expanduser` it does not fail for an unknown user."""
    return os.path.expanduser(name)  # noqa: PTH111


def existing(name: str) -> Path | None:
    """The file or folder that a name leads to; None if it leads nowhere, as that of an unknown user or a long text."""
    path = at_home(name)
    return Path(path) if os.path.exists(path) else None  # noqa: PTH110  # `Path.exists` fails for a name too long


def without_folders(name: str) -> str:
    """The name of a data set or model for a card: of a path only its last part, as the rest is private."""
    path = existing(name)
    if path is None and Path(name).is_absolute():  # it is on another machine, or gone
        path = Path(name)
    return path.resolve().name if path else name


def did_you_mean(name: str, files: tuple[str, ...] = ()) -> str:
    """The remedy for a path that does not exist: the existing one that is most like it. Empty if none is.

    It is empty for user/name too, which is a name on the Hub.

    Args:
        name: the path.
        files: the ends of names of files that are meant as well as folders, such as ".parquet".
    """
    if "/" in name and not is_path(name):
        return ""
    path = missing = Path(at_home(name))
    while not os.path.lexists(missing.parent):
        missing = missing.parent
    try:
        with os.scandir(missing.parent) as entries:
            names = [
                entry.name
                for entry in entries
                if not entry.name.startswith(".") and (entry.is_dir() or entry.name.lower().endswith(files))
            ]
    except (OSError, ValueError):
        return ""
    if not (match := get_close_matches(missing.name, names, n=1)):
        return ""
    found = missing.with_name(match[0])
    return f"Did you mean {inside if (inside := found / path.relative_to(missing)).exists() else found}?"


def hub_answers() -> bool:
    """Whether the Hub accepts connections. Its client would find out within half a minute, with warnings."""
    if constants.HF_HUB_OFFLINE:
        return False
    address = urlsplit(constants.ENDPOINT)
    host = address.hostname or ""
    if getproxies().keys() & {address.scheme, "all"} and not proxy_bypass(host):
        return True  # a proxy may reach what this machine cannot
    try:
        with socket.create_connection((host, address.port or (80 if address.scheme == "http" else 443)), _PATIENCE):
            return True
    except (OSError, ValueError):
        return False


def check_data_set(name: str) -> None:
    """Raise UnreachableError for a data set of the Hub that can be had neither from there nor from the cache.

    Commands call it before their imports, which take seconds.
    """
    if not (existing(name) or is_path(name) or "://" in name or _is_prepared(name) or hub_answers()):
        raise unreachable(name)


def _is_prepared(name: str) -> bool:
    """Whether the cache of `datasets` has a folder for a data set of the Hub."""
    cache = Path(os.environ.get("HF_DATASETS_CACHE") or Path(constants.HF_HOME) / "datasets")
    folders = {folder.name for folder in cache.iterdir()} if cache.is_dir() else set()
    return _key(name.replace("/", "_")) in map(_key, folders)


def _key(name: str) -> str:
    """A name as `datasets` may spell it: it puts underscores for slashes and before capital letters."""
    return name.replace("_", "").lower()


def unreachable(name: str) -> UnreachableError:
    """The error for a data set that is neither on this machine nor on the Hub."""
    similar = did_you_mean(name, DATA_FILES)
    return UnreachableError(
        f"{name!r} is not a folder on this machine, and the Hub ({constants.ENDPOINT}) returned no"
        " data set of that name. It may not exist or be private, or the Hub cannot be reached",
        Remedy(
            similar or "Pass the path of a folder of images, or of a local copy of the data set",
            similar or "Pass the path of a folder of images, or of a local copy of the data set, with --dataset",
        ),
    )
