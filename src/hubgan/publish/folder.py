"""A folder that holds a model, such as that of a training run, pushed to the Hub as a repository."""

import logging
import shlex
from functools import partial
from pathlib import Path

from huggingface_hub.utils import filter_repo_objects

from hubgan.errors import ConfigError, ModelError
from hubgan.hub.download import ModelSource, unfinished_run
from hubgan.hub.upload import Pushed, Repository
from hubgan.models import MODELS, Generator, HubModel, Translator, Upscaler
from hubgan.models.card import PICTURE, for_repository
from hubgan.models.card_edits import combined, renewed, with_body
from hubgan.models.config import CARD, CONFIG, PIXEL_WEIGHTS, WEIGHTS, read_config
from hubgan.networks.community import CommunityNetwork
from hubgan.publish.package import package_files, requirements

logger = logging.getLogger(__name__)

# Nothing else is pushed: checkpoints, logs, paths and the command line of a run are private.
_PICTURES = ["*.png", "*.jpg", "*.jpeg", "*.webp", "*.gif", "*.mp4"]
_HANDLER = "handler.py"
# What an endpoint needs besides the model. A new part of the package is pushed until it is named here.
_NOT_SERVED = {"__main__.py", "cli", "data", "demo", "evaluation", "export", "publish", "recipes", "training"}
_SERVING = '''"""Serves this model on Inference Endpoints. `hubgan push --handler` wrote it, and hubgan/ beside it."""

from hubgan.models.endpoint import EndpointHandler

__all__ = ["EndpointHandler"]
'''
_PUSHED = [CONFIG, WEIGHTS, PIXEL_WEIGHTS, CARD, "recipe.yaml", "LICENSE*", *_PICTURES]


def push_folder(
    folder: Path,
    repo_id: str,
    *,
    private: bool = False,
    token: str | None = None,
    revision: str | None = None,
    commit_message: str | None = None,
    create_pr: bool = False,
    handler: bool = False,
) -> Pushed:
    """Push a model's folder in one commit: weights, configuration, cards, pictures, recipe; subfolders' models too.

    Nothing else in the folder is pushed, such as checkpoints, logs and the report of a run. The models are loaded
    first, so that nothing broken is published. The cards name the repository. Edits that a person has made to them,
    here or on the Hub, are kept; if both copies were edited, the edits here are used, with a warning. The repository
    and the branch are made if they are missing. If nothing has changed, no commit is made.

    Args:
        folder: holds `config.json` and `model.safetensors`; its subfolders may hold models too, as `discriminator/`.
        repo_id: the Hub name (user/model).
        private: make the repository private if it is new; an error if it exists and is public.
        token: access token; by default the one of `hf auth login`.
        revision: the branch; main by default.
        commit_message: the commit's first line.
        create_pr: open a pull request instead.
        handler: add what Inference Endpoints need to serve the model: `handler.py`, `requirements.txt`, and the code
            that runs here, in `hubgan/`. Later pushes without it leave these files unchanged.

    Raises:
        ModelError: the folder holds no whole model; not logged in, not allowed, not a Hub name, or the Hub cannot be
            reached. The folder and the branch on the Hub are unchanged.
        ConfigError: a `config.json` in the folder was not written by hubgan, or an endpoint cannot serve its model.
    """
    folder = Path(folder)
    models = {subfolder: _load(folder / subfolder) for subfolder in _subfolders(folder)}
    options = [
        *(["--revision", revision] if revision else []),
        *(["--message", commit_message] if commit_message else []),
    ]
    switches = {"--private": private, "--create-pr": create_pr, "--handler": handler}
    options += [name for name, on in switches.items() if on]
    again = f"{folder} is complete. Push it again: {shlex.join(['hubgan', 'push', str(folder), repo_id, *options])}"
    if handler and not isinstance(models[""], Generator | Upscaler | Translator):
        raise ConfigError(f"an endpoint cannot serve {folder}", "Pass a generator, an upscaler or a translator")
    repository = Repository(repo_id, private=private, token=token, branch=revision, again=again)
    files: dict[str, Path | bytes] = {}
    for subfolder in models:
        inside = sorted(
            path.name for path in (folder / subfolder).iterdir() if path.is_file() and not path.is_symlink()
        )
        files |= {(Path(subfolder) / name).as_posix(): folder / subfolder / name
                  for name in filter_repo_objects(inside, allow_patterns=_PUSHED)}  # fmt: skip
    for subfolder, model in models.items():
        name = (Path(subfolder) / CARD).as_posix()
        fresh = _about(model, folder, subfolder, repository.name)
        files[name] = _card(folder / name, repository.read(name), fresh, repository.name).encode()
    if handler:
        files |= {**package_files(without=_NOT_SERVED), _HANDLER: _SERVING.encode()}
        extra = "community" if isinstance(models[""].network, CommunityNetwork) else ""
        files["requirements.txt"] = "\n".join([*requirements(extra), ""]).encode()
    return repository.commit(
        files,
        message=commit_message or "Push model with hubgan",
        create_pr=create_pr,
        delete_patterns=["hubgan/*"] if handler else [],
    )


def _subfolders(folder: Path) -> list[str]:
    if unfinished := unfinished_run(folder):
        raise unfinished
    if not (folder / CONFIG).is_file() or not (folder / WEIGHTS).is_file():
        what = "is not a folder" if not folder.is_dir() else f"has no {CONFIG} and {WEIGHTS}"
        remedy = "Pass a folder that save_pretrained or a finished training run has written"
        raise ModelError(f"{folder} {what}", remedy)
    others = (file.parent for file in sorted(folder.glob(f"*/{CONFIG}")))
    return ["", *(other.name for other in others if (other / WEIGHTS).is_file())]


def _load(folder: Path) -> HubModel:
    config = read_config(ModelSource(str(folder)).file(CONFIG))
    if config.kind not in MODELS:
        raise ConfigError(
            f"{folder / CONFIG} describes a {config.kind}, which this version of hubgan does not know", config.upgrade
        )
    model = MODELS[config.kind].from_pretrained(folder)
    if (folder / PIXEL_WEIGHTS).is_file():
        Upscaler.from_pretrained(folder, fidelity=1.0)  # these weights are pushed too, so they must fit
    return model


def _about(model: HubModel, folder: Path, subfolder: str, repo_id: str) -> str:
    picture = {"picture": PICTURE} if (folder / subfolder / PICTURE).is_file() else {}
    return str(model.generate_model_card(name=repo_id, **picture, **({"subfolder": subfolder} if subfolder else {})))


def _card(file: Path, there: str | None, fresh: str, repo_id: str) -> str:
    """The card to push: `fresh`, with the edits that a person has made to the one in the folder or on the Hub."""
    rename = partial(for_repository, name=repo_id)
    try:
        here = with_body(file.read_text(encoding="utf-8"), rename) if file.is_file() else None
    except UnicodeDecodeError as error:
        raise ModelError(f"{file} is not UTF-8 text", "Save it as UTF-8, or delete it to get a new one") from error
    if here is None or there is None:
        return renewed(here or there or fresh, fresh)
    card, conflict = combined(here, there)
    if conflict:
        logger.warning(
            "%s was edited both here and on the Hub. Your text is pushed, and the other one stays in the history", file
        )
    return renewed(card, fresh)
