"""`python -m pulumi_embedded`: the embedded engine's command line."""

import sys

from pulumi_embedded.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
