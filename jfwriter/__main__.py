"""`python -m jfwriter`."""

import sys

from jfwriter.cli import main

if __name__ == "__main__":
    sys.exit(main())
