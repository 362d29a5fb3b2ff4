"""The code that runs here, as files and requirements with which another machine runs the same."""

from collections.abc import Collection
from importlib import metadata
from pathlib import Path, PurePosixPath

from packaging.requirements import Requirement

from hubgan.errors import ConfigError

PACKAGE = Path(__file__).resolve().parents[1]
"""The folder of the package that runs here."""


def package_files(folder: str = "", without: Collection[str] = (), package: Path = PACKAGE) -> dict[str, Path]:
    """The files of the package, without caches, by their names in a folder of another machine or repository.

    By default they are the files that run here, whether hubgan was installed or runs from a checkout.

    Args:
        folder: where the package goes; by default the top.
        without: parts of the package that are left out, such as "demo".
        package: the folder of another copy of the package.
    """
    found = {}
    for path in sorted(package.rglob("*")):
        inside = path.relative_to(package)
        hidden = any(part.startswith((".", "__pycache__")) for part in inside.parts)
        if path.is_file() and not hidden and inside.parts[0] not in without:
            found[PurePosixPath(folder, PACKAGE.name, inside.as_posix()).as_posix()] = path
    return found


def place_in_package(path: Path) -> str | None:
    """Where a path lies in the package, such as `hubgan/recipes`; None if it lies elsewhere."""
    path = path.resolve()
    return path.relative_to(PACKAGE.parent).as_posix() if path.is_relative_to(PACKAGE) else None


def requirements(extra: str = "") -> list[str]:
    """What pip installs for the package, and for one of its extras.

    Raises:
        ConfigError: hubgan runs from a checkout and was never installed.
    """
    try:
        lines = metadata.requires("hubgan") or []
    except metadata.PackageNotFoundError as error:
        reason = "hubgan is not installed, so its requirements are unknown"
        raise ConfigError(reason, "Run: pip install -e '.[train]'") from error
    wanted = []
    for requirement in map(Requirement, lines):
        if requirement.marker and "extra" in str(requirement.marker):
            if not requirement.marker.evaluate({"extra": extra}):
                continue
            requirement.marker = None
        wanted.append(str(requirement))
    return wanted
