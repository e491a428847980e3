"""`python -m pulumi_embedded`: the embedded engine's command line."""

import sys

from pulumi_embedded.cli.main import main
from pulumi_embedded.messages import without_the_sdk

if __name__ == "__main__":
    without_the_sdk()
    sys.exit(main())
