"""The demo, on this machine or as a Hugging Face Space: `python app.py`. With hubgan installed, use `hubgan demo`.

The lists below name the models: Hub names, or folders beside this file. None stands for hubgan's own models. The
environment variables HUBGAN_GENERATORS, HUBGAN_UPSCALERS and HUBGAN_TRANSLATORS replace the lists: names separated by
commas. If there are several, visitors choose one. A tab is left out if its list or its variable is empty. `hubgan
space` makes a Space of this file and rewrites the lists.

HUBGAN_MAX_MEGAPIXELS, HUBGAN_MAX_VIDEO_MEGAPIXELS, HUBGAN_MAX_MINUTES and others limit what visitors may ask for.
docs/demo.md, in hubgan's repository, lists them. On one's own machine the demo takes what the command line takes, in
a Space less.
"""

import sys
from contextlib import suppress
from pathlib import Path

with suppress(ImportError):  # a Space has it; on ZeroGPU it must be imported before anything that might use CUDA
    import spaces  # noqa: F401

HERE = Path(__file__).resolve().parent
if (HERE / "src").is_dir():  # a checkout, as in a Space: hubgan need not be installed
    sys.path.insert(0, str(HERE / "src"))

from hubgan.demo import build_demo, chosen, launch_options  # noqa: E402
from hubgan.errors import HubganError  # noqa: E402

GENERATORS: list[str] | None = None
UPSCALERS: list[str] | None = None
TRANSLATORS: list[str] | None = None

try:
    demo = build_demo(
        chosen("generators", GENERATORS, beside=HERE),
        chosen("upscalers", UPSCALERS, beside=HERE),
        chosen("translators", TRANSLATORS, beside=HERE),
    )
except HubganError as error:
    sys.stderr.write(f"app.py: {error.for_command_line()}\n")
    sys.exit(2)

if __name__ == "__main__":
    demo.launch(**launch_options())
