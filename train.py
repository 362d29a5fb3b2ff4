"""Train a GAN: `accelerate launch train.py [--config RECIPE] [--option value ...]`. It is `hubgan train`."""

import sys
from pathlib import Path

if (source := Path(__file__).resolve().parent / "src").is_dir():  # a bare checkout: hubgan need not be installed
    sys.path.insert(0, str(source))

from hubgan.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
