"""The demo, on this machine or as a Hugging Face Space: `python app.py`.

The models are named below, or by the environment variables HUBGAN_GENERATOR and HUBGAN_UPSCALERS: each a Hub name or
a folder; between several upscalers, of which visitors choose one, a comma. `hubgan space` makes a Space of this file
and rewrites the two lines.
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
UPSCALERS = ["model_cards/photo-x4", "model_cards/photo-x2", "model_cards/photo-x4-restore"]


def here(name: str) -> str:
    """A folder beside this file where there is such, else the name."""
    return str(HERE / name) if (HERE / name).is_dir() else name


try:
    upscalers = [name.strip() for name in os.environ.get("HUBGAN_UPSCALERS", "").split(",") if name.strip()]
    demo = build_demo(os.environ.get("HUBGAN_GENERATOR") or here(GENERATOR), upscalers or list(map(here, UPSCALERS)))
except HubganError as error:
    sys.stderr.write(f"app.py: {error} (HUBGAN_GENERATOR and HUBGAN_UPSCALERS name the models)\n")
    sys.exit(2)

if __name__ == "__main__":
    demo.launch(**launch_options())
