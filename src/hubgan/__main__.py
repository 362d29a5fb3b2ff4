"""`python -m hubgan` is `hubgan`."""

import sys

from hubgan.cli import main

if __name__ == "__main__":
    sys.exit(main())
