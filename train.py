"""Train a GAN: `accelerate launch train.py [--config RECIPE] [--option value ...]`, see `--help`."""

import sys
from pathlib import Path

if (source := Path(__file__).parent / "src").is_dir():
    sys.path.insert(0, str(source))

from hubgan import HubganError
from hubgan.training import parse, train

if __name__ == "__main__":
    try:
        train(parse())
    except HubganError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2)
