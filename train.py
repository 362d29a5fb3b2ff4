# /// script
# requires-python = ">=3.10"
# dependencies = ["hubgan[train]"]
# [tool.uv.sources]
# hubgan = { path = ".", editable = true }
# ///
"""Train a GAN: `accelerate launch train.py [--config RECIPE] [--option value ...]`. It is `hubgan train`.

`uv run train.py` installs what it needs first, by the lines above.
"""

import sys
from pathlib import Path

if (source := Path(__file__).resolve().parent / "src").is_dir():  # a bare checkout: hubgan need not be installed
    sys.path.insert(0, str(source))

from hubgan.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
