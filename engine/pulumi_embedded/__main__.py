"""`python -m pulumi_embedded`: the embedded engine's command line."""

import signal
import sys

_handler = signal.getsignal(signal.SIGINT)
if __name__ == "__main__" and _handler is signal.default_int_handler:
    # Nothing is under way yet: an interrupt ends the process as it ends the CLI's, not with a traceback of imports.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from pulumi_embedded.cli.main import main  # noqa: E402
from pulumi_embedded.messages import without_the_sdk  # noqa: E402

if __name__ == "__main__":
    without_the_sdk()
    signal.signal(signal.SIGINT, _handler)
    sys.exit(main())
