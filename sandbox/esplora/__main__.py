"""`python -m sandbox.esplora --data DIR --port P [--btcd-rpc URL ...]`: Esplora's API on loopback."""

import argparse
import asyncio
import contextlib
import logging
import os
import secrets
import signal
import sys
import time
from pathlib import Path

from aiohttp import web

from sandbox import json_log
from sandbox.durable import FolderInUseError, hold_folder
from sandbox.esplora.btcd import BtcdChain
from sandbox.esplora.errors import SandboxError
from sandbox.esplora.node import OwnChain
from sandbox.esplora.server import Esplora

_LOGGER = logging.getLogger("sandbox.esplora")
_GRACE_SECONDS = 2.0


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; argparse ends the program with status 2 and one sentence when it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.esplora", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the chain's state")
    parser.add_argument("--port", type=_port, required=True, help="HTTP port of the API")
    parser.add_argument("--block-seconds", type=float, default=0, help="mine every so often; 0 only on demand (0)")
    parser.add_argument("--btcd-rpc", help="https://host:port of a btcd to serve instead of a chain of its own")
    parser.add_argument("--btcd-cert", type=Path, help="btcd's rpc.cert")
    parser.add_argument("--faucet-seed", help="hex; where the faucet's key comes from (btcd mines to its address)")
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    return parser.parse_args(arguments)


def _port(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; give a number from 1 to 65535")
    return int(text)


def open_chain(arguments: argparse.Namespace) -> OwnChain | BtcdChain:
    """The chain that the arguments ask for.

    Raises:
        SandboxError: the state or the arguments cannot be used.
    """
    if arguments.btcd_rpc is None:
        return OwnChain(arguments.data, clock=time.time, random_hex=lambda: secrets.token_hex(32))
    user, password = os.environ.get("BTCD_RPC_USER"), os.environ.get("BTCD_RPC_PASSWORD")
    if not (user and password and arguments.btcd_cert and arguments.faucet_seed):
        raise SandboxError("--btcd-rpc needs --btcd-cert, --faucet-seed, BTCD_RPC_USER and BTCD_RPC_PASSWORD")
    return BtcdChain(
        arguments.btcd_rpc,
        certificate=arguments.btcd_cert,
        credentials=(user, password),
        seed=bytes.fromhex(arguments.faucet_seed),
        clock=time.time,
    )


async def _mine_for_ever(chain: OwnChain | BtcdChain, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        await chain.mine(1)


async def serve(arguments: argparse.Namespace) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        SandboxError: the state cannot be used, or the port is taken.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    hold = hold_folder(arguments.data)
    chain = open_chain(arguments)
    await chain.start()
    runner = web.AppRunner(Esplora(chain).application(), access_log=None, shutdown_timeout=_GRACE_SECONDS)
    await runner.setup()
    miner = asyncio.create_task(_mine_for_ever(chain, arguments.block_seconds)) if arguments.block_seconds else None
    try:
        await web.TCPSite(runner, "127.0.0.1", arguments.port, backlog=1024).start()
        json_log.log(_LOGGER, "ready", port=arguments.port, height=chain.ledger.tip.height)
        await stop.wait()
        json_log.log(_LOGGER, "stopping")
    except OSError as refusal:
        reason = os.strerror(refusal.errno or 0)
        what = f"port {arguments.port} of 127.0.0.1 cannot be used: {reason}; give another one"
        raise SandboxError(what) from refusal
    finally:
        if miner is not None:
            miner.cancel()
        await runner.cleanup()
        closing = chain.close()
        if closing is not None:
            await closing
        hold.close()


def main() -> int:
    """Run the program; 0 after a clean stop, 2 with one sentence on stderr when it cannot start."""
    arguments = parse_arguments()
    json_log.configure(arguments.log_level)
    os.umask(0o077)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serve(arguments))
    except (SandboxError, FolderInUseError) as refusal:
        print(f"sandbox.esplora: {refusal}", file=sys.stderr)  # noqa: T201
        return 2
    except OSError as refusal:
        print(f"sandbox.esplora: {refusal.filename or arguments.data}: {refusal.strerror}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
