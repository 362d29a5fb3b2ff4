"""The demo as a Space on the Hub, made or updated by one commit."""

import json
import logging
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from huggingface_hub import SpaceCard, SpaceCardData, get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import EntryNotFoundError, HTTPError, RepositoryNotFoundError
from yaml import YAMLError

from hubgan.errors import ConfigError, ModelError, Remedy
from hubgan.hub.download import ModelSource
from hubgan.hub.upload import Pushed, Repository
from hubgan.models import Generator, Translator, Upscaler
from hubgan.models.card import PICTURE
from hubgan.models.config import CARD, CONFIG, PIXEL_WEIGHTS, WEIGHTS
from hubgan.networks.community import CommunityNetwork
from hubgan.publish.package import PACKAGE, package_files

if sys.version_info >= (3, 11):
    import tomllib

    read_toml = tomllib.loads
else:

    def read_toml(text: str) -> dict[str, Any]:
        """Python 3.10 reads no TOML by itself; tomlkit comes with Gradio."""
        try:
            from tomlkit import parse
        except ImportError as error:
            raise ConfigError("Python 3.10 needs tomlkit for this", "Run: pip install 'hubgan[demo]'") from error
        return parse(text).unwrap()


logger = logging.getLogger(__name__)
_Kind: TypeAlias = type[Generator] | type[Upscaler] | type[Translator]

RECORD = ".hubgan-files"
_APP, _LICENSE, _PROJECT, _PACKAGE = "app.py", "LICENSE", "pyproject.toml", "src/hubgan"
_INSTALLED = Path(__file__).resolve().with_name("repository")  # a wheel has it: see pyproject.toml
_FOLDERS = (f"{_PACKAGE}/", "model_cards/")
# Parts of the package that the demo does not need. A new part is pushed until it is named here.
_LEFT_OUT = {"__main__.py", "cli", "data", "evaluation", "export", "publish", "recipes", "training"}
# ZeroGPU supports PyTorch below this version; other hardware supports it too.
_TORCH_BELOW = "2.12"
_OURS = ("sdk", "sdk_version", "python_version", "app_file", "models", "preload_from_hub")
# The README that the Hub puts into a Space made on its website.
_UNWRITTEN = "Check out the configuration reference at https://huggingface.co/docs/hub/spaces-config-reference"
_BODY = """
# {title}

Try GANs in a browser. The page names the models, says what they do, and shows their cards. They can be called as an
API as well: see "Use via API" below the page.

Made with hubgan: `hubgan space` makes and updates this repository. It writes `app.py`, `requirements.txt`, `LICENSE`,
`src/hubgan` and the models each time. This text, and files of other names, stay unchanged.
"""


def push_space(
    repo_id: str,
    *,
    generators: Sequence[str] = (),
    upscalers: Sequence[str] = (),
    translators: Sequence[str] = (),
    checkout: Path | None = None,
    private: bool = False,
    token: str | None = None,
    commit_message: str | None = None,
) -> Pushed:
    """Make a Space that shows these models, or update one, in one commit. No commit is made if nothing changes.

    A model that is a folder is copied into the Space, in `model_cards/`. A model on the Hub is downloaded when the
    Space is built. All models are loaded here first, so that nothing broken is pushed.

    An update replaces `app.py`, `requirements.txt`, `LICENSE`, `src/hubgan` and the models in `model_cards/`. Files
    that an earlier push put into these two folders are deleted if they are no longer needed (`.hubgan-files` lists
    them). Other files are left alone. A README.md keeps its text, and its header except for sdk, sdk_version,
    python_version, app_file, models and preload_from_hub.

    Args:
        repo_id: the Space's name (user/space).
        generators: of which visitors choose: Hub names, or folders that hold a Generator. One model of any kind is
            enough.
        upscalers: likewise; also a folder or a file of weights that were made elsewhere.
        translators: likewise.
        checkout: a clone of hubgan's repository, from which the demo is copied; by default the hubgan that runs,
            installed or in a checkout.
        private: make the Space private if it is new; an error if it exists and is public.
        token: access token; by default the one of `hf auth login`.
        commit_message: the commit's first line.

    Raises:
        ConfigError: `checkout` is not one; no model is given; a model is of another kind, two folders have the same
            name, or the header of a README.md cannot be read.
        ModelError: a model cannot be found, reached or loaded; or the push fails.
    """
    root, package = _source(checkout)
    kinds: tuple[tuple[str, _Kind, Sequence[str]], ...] = (
        ("GENERATORS", Generator, generators),
        ("UPSCALERS", Upscaler, upscalers),
        ("TRANSLATORS", Translator, translators),
    )
    shown: dict[str, list[str]] = {}
    models: list[_Model] = []
    if not any(names for *_, names in kinds):
        raise ConfigError(
            "no model was given",
            Remedy(
                "Pass at least one in generators=, upscalers= or translators=",
                "Pass at least one with --generator, --upscaler or --translator",
            ),
        )
    for variable, kind, names in kinds:
        found = [_model(kind, name, token) for name in names]
        shown[variable] = [model.shown for model in found]
        models += found
    by_name: dict[str, str] = {}
    for name, model in zip([*generators, *upscalers, *translators], models, strict=True):
        if model.shown in by_name:
            raise ConfigError(
                f"{by_name[model.shown]} and {name} would both become {model.shown}", "Rename one of the folders"
            )
        by_name[model.shown] = name

    files: dict[str, Path | bytes] = dict(package_files("src", _LEFT_OUT, package))
    for model in models:
        files |= model.files
    record = sorted(files)
    files |= {
        _APP: _app(root, shown).encode(),
        _LICENSE: root / _LICENSE,
        "requirements.txt": _requirements(root, models).encode(),
        RECORD: "\n".join([*record, ""]).encode(),
    }
    repository = Repository(
        repo_id,
        repo_type="space",
        space_sdk="gradio",
        private=private,
        token=token,
        again="Run the same command again to continue",
    )
    if (readme := _readme(repository.read(CARD), root, models, repository.name)) is not None:
        files[CARD] = readme.encode()
    earlier = (repository.read(RECORD) or "").splitlines()
    return repository.commit(
        files,
        message=commit_message or "Push the demo from hubgan",
        delete=[path for path in earlier if path.startswith(_FOLDERS)],
    )


def _source(checkout: Path | None) -> tuple[Path, Path]:
    """The folder of `app.py` and of the other files at the top of hubgan's repository, and the package's folder."""
    if checkout is None:
        root, package = _INSTALLED if _INSTALLED.is_dir() else PACKAGE.parents[1], PACKAGE
    else:
        root, package = checkout, checkout / _PACKAGE
    for path in (root / _APP, root / CARD, root / _LICENSE, root / _PROJECT, package / "demo"):
        if not path.exists():
            raise ConfigError(
                f"{root} is not a checkout of hubgan: it has no {path.relative_to(root)}",
                Remedy(
                    "Clone hubgan's repository, and pass its folder as checkout=",
                    "Clone hubgan's repository, and pass its folder with --checkout",
                ),
            )
    return root, package


@dataclass(frozen=True)
class _Model:
    """A model of the Space: its name in `app.py`, and its files in the Space or its name on the Hub."""

    shown: str
    files: dict[str, Path]
    hub_name: str | None
    preload: str | None
    community: bool


def _model(kind: _Kind, name: str, token: str | None) -> _Model:
    """A model, once it has been loaded: so it is of this kind, and whole."""
    community = isinstance(kind.from_pretrained(name, token=token).network, CommunityNetwork)
    if (file := Path(name)).is_file():
        inside = f"model_cards/{file.stem}"
        return _Model(inside, {f"{inside}/{file.name}": file}, None, None, community)
    source = ModelSource(name, token=token)
    there = source.files()
    theirs = [file for file in there if community and file.lower().endswith(".safetensors")]
    needed = [file for file in there if file in (CONFIG, WEIGHTS, PIXEL_WEIGHTS, *theirs)]
    if (folder := source.folder) is not None:
        inside = f"model_cards/{folder.resolve().name}"
        travels = [*needed, *(file for file in (CARD, PICTURE) if file in there)]
        return _Model(inside, {f"{inside}/{file}": folder / file for file in travels}, None, None, community)
    preload = None
    if not _is_public(name, needed[0]):
        logger.warning("%s is not public. Add a secret HF_TOKEN that may read it in the settings of the Space", name)
    elif not re.search(r"[\s,]", "".join(needed)):  # the header cannot express names with these
        preload = f"{name} {','.join(needed)}"
    return _Model(name, {}, name, preload, community)


def _is_public(name: str, file: str) -> bool:
    """Whether a Space without a token can fetch a model's files."""
    try:
        get_hf_file_metadata(hf_hub_url(name, file), token=False)
    except (RepositoryNotFoundError, EntryNotFoundError):
        return False
    except HTTPError as error:
        raise ModelError(
            f"cannot find out whether a Space may read {name}: {error}", "Check the connection"
        ) from error
    return True


def _app(root: Path, shown: dict[str, list[str]]) -> str:
    """`app.py` with the names of these models, by its variables."""
    text = (root / _APP).read_text(encoding="utf-8")
    for variable, value in shown.items():
        lines = re.findall(rf"^{variable}(?:: [^=]+)? = .*$", text, re.MULTILINE)
        if len(lines) != 1:
            raise ConfigError(
                f"{root / _APP} must have one line '{variable} = ...', but has {len(lines)}",
                f"Restore it: git checkout {_APP}",
            )
        text = text.replace(lines[0], f"{variable} = {json.dumps(value, ensure_ascii=False)}")
    return text


def _requirements(root: Path, models: list[_Model]) -> str:
    """The requirements of the demo, of those that pyproject.toml lists."""
    project = read_toml((root / _PROJECT).read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = project["dependencies"] + extras["demo"]
    if any(model.community for model in models):
        wanted += extras["community"]
    capped = (re.sub("^torch>=.*", rf"\g<0>,<{_TORCH_BELOW}", line) for line in wanted)
    return "\n".join(["# Written by `hubgan space`. torch is limited to versions that ZeroGPU supports.", *capped, ""])


def _readme(before: str | None, root: Path, models: list[_Model], repo_id: str) -> str | None:
    """The README.md of the Space; None if the existing one needs no change."""
    title = repo_id.partition("/")[2]
    ours = _card(root / CARD, (root / CARD).read_text(encoding="utf-8")).data.to_dict()
    ours["models"] = [model.hub_name for model in models if model.hub_name] or None
    ours["preload_from_hub"] = [model.preload for model in models if model.preload] or None
    card = _card(f"README.md of {repo_id}", before or f'---\ntitle: "{title}"\n---\n')
    header, body = card.data.to_dict(), card.text
    if _UNWRITTEN in body or not body.strip():
        header, body = {**ours, **header}, _BODY.format(title=title)
    elif all(header.get(key) == ours.get(key) for key in _OURS):
        return None
    header |= {key: ours.get(key) for key in _OURS}
    return f"---\n{SpaceCardData(**header).to_yaml(original_order=list(header))}\n---\n{body}"


def _card(name: object, text: str) -> SpaceCard:
    try:
        return SpaceCard(text)
    except (YAMLError, ValueError, TypeError) as error:
        raise ConfigError(
            f"the header of {name} cannot be read: {error}", "Correct the YAML between the lines ---"
        ) from error
