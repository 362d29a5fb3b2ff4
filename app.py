"""The demo, on this machine or as a Hugging Face Space: `python app.py`.

HUBGAN_GENERATOR and HUBGAN_UPSCALER name the models: a Hub name or a folder.
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
if (HERE / "src").is_dir():  # a bare checkout, as a Space has it: hubgan need not be installed
    sys.path.insert(0, str(HERE / "src"))

from hubgan.demo import build_demo, launch_options  # noqa: E402
from hubgan.errors import HubganError  # noqa: E402

try:
    demo = build_demo(
        generator=os.environ.get("HUBGAN_GENERATOR") or str(HERE / "model_cards" / "cifar-dcgan"),
        upscaler=os.environ.get("HUBGAN_UPSCALER") or str(HERE / "model_cards" / "photo-x4"),
    )
except HubganError as error:
    sys.stderr.write(f"app.py: {error} (HUBGAN_GENERATOR and HUBGAN_UPSCALER name the models)\n")
    sys.exit(2)

if __name__ == "__main__":
    demo.launch(**launch_options())
