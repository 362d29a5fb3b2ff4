"""Train a model by a recipe: `hubgan train [--config RECIPE] [--option value ...]`.

Its options are those of the recipe and its task, so this command reads its words itself.
"""

import logging
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from hubgan.cli.arguments import is_first_process, training_packages
from hubgan.cli.launcher import start_missing_processes

logger = logging.getLogger(__name__)


def run_words(words: Sequence[str]) -> None:
    """Train, or print the plan of a dry run."""
    start_missing_processes()
    if is_first_process():  # before the imports, which take seconds
        print("Loading PyTorch ...", file=sys.stderr, flush=True)
    else:  # all processes have the same warnings
        logging.getLogger("hubgan").setLevel(logging.ERROR)
    with training_packages():
        from hubgan.training import parse, plan, purpose, train
    config = parse(words)
    if config.dry_run:
        text = plan(config)
    else:
        about = "\n  ".join(purpose(config.config))
        logger.info("Recipe %s%s", config.config, about and f": {about}")
        text = _next(train(config), pushed=config.push_to_hub is not None)
    if is_first_process():
        print(text)


def _next(folder: Path, *, pushed: bool) -> str:
    """The commands that use a model that has been trained."""
    from hubgan.models.config import CONFIG, read_config

    name = shlex.quote(str(folder))
    kind = read_config(folder / CONFIG).kind
    if kind == "Translator":
        commands = {f"hubgan translate {name} drawing.png": "translate a picture"}
        demo = ""
    elif kind == "Upscaler":
        commands = {f"hubgan upscale {name} photo.jpg": "enlarge a picture"}
        demo = f"HUBGAN_UPSCALERS={name} python app.py"
    else:
        commands = {f"hubgan sample {name}": "make images"}
        demo = f"HUBGAN_GENERATORS={name} python app.py"
    commands |= {demo: "show it in the demo"} if demo else {}
    commands |= {} if pushed else {f"hubgan push {name} USER/{shlex.quote(folder.name)}": "put it on the Hub"}
    width = max(map(len, commands))
    return "\n".join(["Next steps:", *(f"  {command:<{width}}  # {text}" for command, text in commands.items())])
