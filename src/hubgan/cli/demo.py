"""Show models in a browser: the Gradio demo, on this machine.

  hubgan demo
  hubgan demo --generator runs/quickstart --upscaler me/photo-x4 photo-x2
  HUBGAN_UPSCALERS=me/photo-x4,me/photo-x2 hubgan demo --port 8000

One model is enough: a tab is left out if there is no model for it. If there are
several of a kind, visitors choose one. The environment variables
HUBGAN_GENERATORS, HUBGAN_UPSCALERS and HUBGAN_TRANSLATORS name models too.
Without models the demo shows hubgan's own. They come from the Hub, or from
model_cards/ in a clone of the repository. GRADIO_SERVER_NAME is the address to
listen at. The command needs pip install 'hubgan[demo]'.
"""

import argparse
import os
from itertools import chain

from hubgan.cli.arguments import add_shown_models, packages_of, whole
from hubgan.errors import ConfigError, ModelError

_YOURS = "To show models of yours, from this machine too, run: hubgan demo --upscaler FOLDER"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_shown_models(parser)
    parser.add_argument(
        "--port", metavar="N", type=whole(1, 2**16 - 1), help="the port (default: the first free one from 7860)"
    )
    parser.add_argument(
        "--share",
        action="store_true",
        help="also open a public address on Gradio's servers; HUBGAN_MAX_MEGAPIXELS and others limit its visitors",
    )


def run(args: argparse.Namespace) -> None:
    """Launch the demo, and serve it until Ctrl-C."""
    from hubgan.hub.download import look_up

    typed = args.generator, args.upscaler, args.translator
    for name in chain(*typed):
        look_up(name)
    with packages_of("demo"):
        from hubgan.demo import build_demo, chosen, launch_options
        from hubgan.demo.choice import OWN, variable_of
    named = any(typed) or any(variable_of(kind) in os.environ for kind in OWN)
    otherwise: list[str] | None = [] if named else None
    others = [[] if names else chosen(kind, otherwise) for kind, names in zip(OWN, typed, strict=True)]
    for name in chain(*others):
        try:
            look_up(name)
        except ModelError as error:
            raise error.with_context(remedy=_YOURS) from error
    demo = build_demo(*(names or other for names, other in zip(typed, others, strict=True)))
    try:
        demo.launch(**launch_options(), server_port=args.port, share=args.share or None)
    except OSError as error:
        if args.port is None:
            raise
        raise ConfigError(f"port {args.port} cannot be used: another program has it", "Pass another --port") from error
