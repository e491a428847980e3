"""`python -m providers.emulator --announce FILE`: moto's server, and what `emulation/` adds, until it is ended.

FILE gets one JSON object when the account answers: `pid`, `port`, `started` (seconds since the epoch, as the kernel
counts a process's start). The account is in this process's memory and ends with it.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Any

# What moto is told, by its own variables.
_MOTO = {
    # A certificate whose DNS records are there counts as validated after this many seconds.
    "MOTO_ACM_VALIDATION_WAIT": "0",
    "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
    # Nothing here starts an instance from an image.
    "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",
}


def serve(announce: Path, port: int = 0, account: str = "123456789012") -> None:
    """Serve the account with this number on loopback, until told to end by SIGTERM."""
    os.environ.update(_MOTO, MOTO_ACCOUNT_ID=account)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        os.environ[name] = "emulated"
    os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.environ["AWS_CONFIG_FILE"] = os.devnull
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    import moto.settings
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    # Where a function would find the account. moto asks the person's Docker for it, a process for every function.
    moto.settings.moto_server_host = lambda: "http://127.0.0.1"
    from providers.emulation.application import Extended
    from providers.emulation.table import OPERATIONS, complete_moto

    complete_moto()
    application = Extended(DomainDispatcherApplication(create_backend_app), OPERATIONS, account)
    server = make_server("127.0.0.1", port, application, threaded=True, request_handler=_quiet(MotoRequestHandler))
    # What moto calls back into itself goes to its own port.
    os.environ["MOTO_PORT"] = str(server.server_port)

    def end(_number: int, _frame: FrameType | None) -> None:
        # Requests in flight belong to an account that ends with us.
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    _announce(announce, server.server_port)
    server.serve_forever()


def _quiet(handler: Any) -> Any:
    class Quiet(handler):  # type: ignore[misc]
        """moto's handler without a line for every request."""

        def log(self, kind: str, message: str, *arguments: object) -> None:
            if kind == "error":
                sys.stderr.write(f"{message % arguments if arguments else message}\n")

    return Quiet


def _announce(path: Path, port: int) -> None:
    import psutil

    told = {"pid": os.getpid(), "port": port, "started": psutil.Process().create_time()}
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(told, file)
    Path(name).replace(path)


def main() -> None:
    """Parse the arguments and serve."""
    parser = argparse.ArgumentParser(prog="python -m providers.emulator", description=__doc__)
    parser.add_argument("--announce", type=Path, required=True, help="the file that is told the port")
    parser.add_argument("--port", type=int, default=0, help="0 for any that is free")
    parser.add_argument("--account", default="123456789012", help="the account's number, 12 digits")
    arguments = parser.parse_args()
    serve(arguments.announce, arguments.port, arguments.account)


if __name__ == "__main__":
    main()
