"""The demo, on this machine or as a Hugging Face Space: `python app.py`.

The models are named below, or by the environment variables HUBGAN_GENERATOR and HUBGAN_UPSCALER: each a Hub name or
a folder. `hubgan space` makes a Space of this file and rewrites the two lines.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path

with suppress(ImportError):  # a Space has it; on ZeroGPU it must come before anything that might touch CUDA
    import spaces  # noqa: F401

HERE = Path(__file__).resolve().parent
if (HERE / "src").is_dir():  # a bare checkout, as a Space has it: hubgan need not be installed
    sys.path.insert(0, str(HERE / "src"))

from hubgan.demo import build_demo, launch_options  # noqa: E402
from hubgan.errors import HubganError  # noqa: E402

GENERATOR = "model_cards/cifar-r3gan"
UPSCALER = "model_cards/photo-x4"


def model(variable: str, default: str) -> str:
    """What the environment variable says, else the default: a folder beside this file where there is one."""
    return os.environ.get(variable) or (str(HERE / default) if (HERE / default).is_dir() else default)


try:
    demo = build_demo(generator=model("HUBGAN_GENERATOR", GENERATOR), upscaler=model("HUBGAN_UPSCALER", UPSCALER))
except HubganError as error:
    sys.stderr.write(f"app.py: {error} (HUBGAN_GENERATOR and HUBGAN_UPSCALER name the models)\n")
    sys.exit(2)

if __name__ == "__main__":
    demo.launch(**launch_options())
