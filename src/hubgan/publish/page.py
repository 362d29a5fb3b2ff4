"""A page that computes in its visitors' browsers, as a static Space on the Hub, made or updated by one commit."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from huggingface_hub import SpaceCard, SpaceCardData
from yaml import YAMLError

from hubgan.errors import ConfigError
from hubgan.hub.upload import Pushed, Repository
from hubgan.models.config import CARD
from hubgan.publish.space import RECORD

# The three headers give the page threads (https://web.dev/articles/coop-coep).
_OURS: dict[str, Any] = {
    "sdk": "static",
    "app_file": "index.html",
    "custom_headers": {
        "cross-origin-embedder-policy": "require-corp",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "cross-origin",
    },
}
_LOOK = {"emoji": "🎨", "colorFrom": "indigo", "colorTo": "blue"}
_UNWRITTEN = "huggingface.co/docs/hub/spaces-config-reference"  # in the README that the Hub puts into a new Space
_BODY = """
# {title}

GANs that run in your browser. Nothing leaves your device.

Made with hubgan: `hubgan web` writes the page. This text, and files of other names, stay unchanged.
"""


def push_page(
    folder: Path,
    files: Iterable[str],
    repo_id: str,
    *,
    private: bool = False,
    token: str | None = None,
    commit_message: str | None = None,
) -> Pushed:
    """Make a static Space of a page, or update one, in one commit. No commit is made if nothing changes.

    Files that an earlier push put there are deleted if they are no longer needed (`.hubgan-files` lists them). Other
    files are left alone. A README.md keeps its text, and its header except for sdk, app_file and custom_headers.

    Args:
        folder: the page's, as `hubgan.export.web.write_page` writes it.
        files: those of the page, as paths in the folder.
        repo_id: the Space's name (user/space).
        private: make the Space private if it is new; an error if it exists and is public.
        token: access token; by default the one of `hf auth login`.
        commit_message: the commit's first line.

    Raises:
        ConfigError: the header of a README.md cannot be read.
        ModelError: the push fails.
    """
    paths = sorted(files)
    again = "Run the same command with --overwrite to push it again"
    repository = Repository(repo_id, repo_type="space", space_sdk="static", private=private, token=token, again=again)
    earlier = (repository.read(RECORD) or "").splitlines()
    pushed: dict[str, Path | bytes] = {path: folder / path for path in paths}
    pushed[RECORD] = "\n".join([*paths, ""]).encode()
    pushed[CARD] = _readme(repository.read(CARD), repository.name).encode()
    return repository.commit(pushed, message=commit_message or "Push the page from hubgan", delete=earlier)


def _readme(before: str | None, name: str) -> str:
    """The README.md of the Space; one that somebody wrote keeps all that is not ours."""
    title = name.partition("/")[2]
    try:
        card = SpaceCard(before or f'---\ntitle: "{title}"\n---\n')
    except (YAMLError, ValueError, TypeError) as error:
        raise ConfigError(
            f"the header of README.md of {name} cannot be read: {error}", "Correct the YAML between the lines ---"
        ) from error
    header, body = card.data.to_dict(), card.text
    if _UNWRITTEN in body or not body.strip():
        header, body = _LOOK | header, _BODY.format(title=title)
    elif before and all(header.get(key) == value for key, value in _OURS.items()):
        return before
    header |= _OURS
    return f"---\n{SpaceCardData(**header).to_yaml(original_order=list(header))}\n---\n{body}"
