"""Train a model by a recipe: `hubgan train [--config RECIPE] [--option value ...]`.

Its options are those of the recipe and its task, so this command reads its words itself.
"""

import logging
import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hubgan.cli.arguments import find_data_set, is_first_process, packages_of
from hubgan.cli.launcher import start_missing_processes
from hubgan.cli.rented import train_rented
from hubgan.errors import HubganError, Remedy

if TYPE_CHECKING:
    from hubgan.training.config import TrainingConfig

logger = logging.getLogger(__name__)

_OPTION = re.compile(r"(?<=--)[a-z-]+")
_FIRST_TRY = (
    "Two minutes of quickstart give blobs in the colours of your pictures."
    " Objects need hours, and thousands of pictures."
)


def run_words(words: Sequence[str]) -> None:
    """Train, or print the plan of a dry run."""
    if "--dataset" in words[:-1] and not {"--dry_run", "--help"} & set(words):  # which need no data
        find_data_set(words[words.index("--dataset") + 1])
    start_missing_processes()
    if is_first_process():  # before the imports, which take seconds
        print("Loading PyTorch ...", file=sys.stderr, flush=True)
    else:  # all processes have the same warnings
        logging.getLogger("hubgan").setLevel(logging.ERROR)
    with packages_of("train"):
        from hubgan.training import parse, plan, purpose, train
    config = parse(words)
    try:
        if config.on:
            text = train_rented(config) if is_first_process() else ""
        elif config.dry_run:
            text = plan(config)
        else:
            about = "\n  ".join(purpose(config.config))
            logger.info("Recipe %s%s", config.config, about and f": {about}")
            own = config.dataset != parse(["--config", str(config.config)]).dataset
            text = _next(train(config), config, first_try=own and config.config == "quickstart")
    except HubganError as error:
        raise _in_own_words(error, type(config).model_fields) from error
    if is_first_process():
        print(text)


def _in_own_words(error: HubganError, options: Iterable[str]) -> HubganError:
    """The error with this command's options in its remedy, such as --label_column where others have --label-column."""
    names = {option.replace("_", "-"): option for option in options}
    told = _OPTION.sub(lambda found: names.get(found[0], found[0]), error.remedy.command_line)
    return type(error)(error.message, Remedy(error.remedy.python, told))


def _next(folder: Path, config: "TrainingConfig", *, first_try: bool) -> str:
    """The commands that use a model that has been trained.

    Args:
        folder: of the model.
        config: of its training.
        first_try: whether it was trained for two minutes on pictures of the user's own.
    """
    from hubgan.models.card import translator_input
    from hubgan.models.config import CONFIG, read_config

    name = shlex.quote(str(folder))
    saved = read_config(folder / CONFIG)
    kind = saved.kind
    if kind == "Translator":
        picture, _ = translator_input(saved.options, saved.training_run or {})
        commands = {f"hubgan translate {name} {picture}": "translate a picture"}
    elif kind == "Upscaler":
        commands = {f"hubgan upscale {name} photo.jpg": "enlarge a picture"}
    else:
        commands = {f"hubgan sample {name}": "make images"}
    commands[f"hubgan demo --{str(kind).lower()} {name}"] = "show it in the demo"
    if first_try:
        commands[f"hubgan train --config folder-64 --dataset {shlex.quote(config.dataset)}"] = "train for hours"
    elif not config.push_to_hub:
        commands[f"hubgan push {name} USER/{shlex.quote(folder.name)}"] = "put it on the Hub"
    width = max(map(len, commands))
    about = [_FIRST_TRY] if first_try else []
    lines = (f"  {command:<{width}}  # {text}" for command, text in commands.items())
    return "\n".join([*about, "Next steps:", *lines])
