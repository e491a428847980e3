"""`python -m sandbox.river --data DIR --port P [--webhook-url URL]`: the provider on loopback.

$SECRETS_DIR holds RIVER_API_KEY, and RIVER_WEBHOOK_SECRET (hex) when there is a webhook.
"""

import argparse
import asyncio
import contextlib
import hashlib
import logging
import os
import signal
import sys
import time
from pathlib import Path

from aiohttp import web
from coincurve import PrivateKey

from sandbox import json_log
from sandbox.durable import FolderInUseError, hold_folder
from sandbox.river.account import Account, Network
from sandbox.river.server import application, deliver
from sandbox.river.store import Store

_LOGGER = logging.getLogger("sandbox.river")
_GRACE_SECONDS = 2.0


class CannotStartError(Exception):
    """The message is one sentence."""


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; argparse ends the program with status 2 and one sentence when it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.river", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the account's state")
    parser.add_argument("--port", type=_port, required=True, help="HTTP port of the API")
    parser.add_argument("--network", default="regtest", help="whose invoices it writes (regtest)")
    parser.add_argument("--webhook-url", default="", help="where webhooks go")
    return parser.parse_args(arguments)


def _port(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; give a number from 1 to 65535")
    return int(text)


def _secret(name: str) -> str:
    folder = os.environ.get("SECRETS_DIR")
    file = Path(folder) / name if folder else None
    if file is None or not file.is_file():
        raise CannotStartError(f"put a file {name} into $SECRETS_DIR")
    return file.read_text().strip()


async def serve(arguments: argparse.Namespace) -> None:
    """Run until SIGTERM or SIGINT. Raises CannotStartError."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    api_key = _secret("RIVER_API_KEY")
    hold = hold_folder(arguments.data)
    store = Store(arguments.data)
    node = PrivateKey(hashlib.sha256(b"node of " + api_key.encode()).digest())
    account = Account(store, Network(arguments.network, time.time), node)
    sending = None
    if arguments.webhook_url:
        sending = asyncio.create_task(deliver(store, arguments.webhook_url, _secret("RIVER_WEBHOOK_SECRET")))
    runner = web.AppRunner(application(account, api_key), access_log=None, shutdown_timeout=_GRACE_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", arguments.port, backlog=1024).start()
        json_log.log(_LOGGER, "ready", port=arguments.port)
        await stop.wait()
        json_log.log(_LOGGER, "stopping")
    except OSError as refusal:
        reason = os.strerror(refusal.errno or 0)
        what = f"port {arguments.port} of 127.0.0.1 cannot be used: {reason}; give another one"
        raise CannotStartError(what) from refusal
    finally:
        if sending is not None:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sending
        await runner.cleanup()
        store.close()
        hold.close()


def main() -> int:
    """Run the program; 0 after a clean stop, 2 with one sentence on stderr when it cannot start."""
    arguments = parse_arguments()
    json_log.configure("info")
    os.umask(0o077)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serve(arguments))
    except (CannotStartError, FolderInUseError) as refusal:
        print(f"sandbox.river: {refusal}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
