"""The demo, on this machine or as a Hugging Face Space: `python app.py`.

The lists below name the models. The environment variables HUBGAN_GENERATORS, HUBGAN_UPSCALERS and HUBGAN_TRANSLATORS
replace them: Hub names or folders, separated by commas. If there are several, visitors choose one. `hubgan space`
makes a Space of this file and rewrites the lists. A tab is left out if its list or its variable is empty.

HUBGAN_MAX_MEGAPIXELS, HUBGAN_MAX_VIDEO_MEGAPIXELS, HUBGAN_MAX_MINUTES and others limit what visitors may ask for.
docs/demo.md, in hubgan's repository, lists them. On one's own machine the demo takes what the command line takes, in
a Space less.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path

with suppress(ImportError):  # a Space has it; on ZeroGPU it must be imported before anything that might use CUDA
    import spaces  # noqa: F401

HERE = Path(__file__).resolve().parent
if (HERE / "src").is_dir():  # a checkout, as in a Space: hubgan need not be installed
    sys.path.insert(0, str(HERE / "src"))

from hubgan.demo import build_demo, launch_options  # noqa: E402
from hubgan.errors import HubganError  # noqa: E402

GENERATORS = ["model_cards/cifar-r3gan", "model_cards/cifar-dcgan"]
UPSCALERS = ["model_cards/photo-x4", "model_cards/photo-x2", "model_cards/photo-x4-restore"]
TRANSLATORS = ["model_cards/sketch-to-emoji"]


def named(variable: str, otherwise: list[str]) -> list[str]:
    """The models that an environment variable names, or `otherwise` if it is not set; those lie beside this file."""
    if variable in os.environ:
        return [name.strip() for name in os.environ[variable].split(",") if name.strip()]
    return [str(HERE / name) if (HERE / name).is_dir() else name for name in otherwise]


try:
    demo = build_demo(
        named("HUBGAN_GENERATORS", GENERATORS),
        named("HUBGAN_UPSCALERS", UPSCALERS),
        named("HUBGAN_TRANSLATORS", TRANSLATORS),
    )
except HubganError as error:
    sys.stderr.write(f"app.py: {error.for_command_line()}\n")
    sys.exit(2)

if __name__ == "__main__":
    demo.launch(**launch_options())
