"""`python -m sandbox.solana --data DIR --port P --genesis FILE`: one Solana cluster on loopback."""

import argparse
import asyncio
import contextlib
import logging
import os
import secrets
import signal
import sqlite3
import sys
import time
from pathlib import Path

from aiohttp import web
from solders.account import Account
from solders.keypair import Keypair

from sandbox import json_log
from sandbox.durable import FolderInUseError, Writer, connect, hold_folder
from sandbox.solana import genesis, store, tokens
from sandbox.solana.bank import Bank
from sandbox.solana.clock import SlotClock
from sandbox.solana.cluster import Cluster
from sandbox.solana.errors import SandboxError
from sandbox.solana.server import application

_LOGGER = logging.getLogger("sandbox.solana")
_GRACE_SECONDS = 2.0
FAUCET_LAMPORTS = 500_000_000 * 1_000_000_000


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; argparse ends the program with status 2 and one sentence when it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.solana", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the cluster's state")
    parser.add_argument("--port", type=_port, required=True, help="HTTP port of the JSON-RPC")
    parser.add_argument("--genesis", type=Path, required=True, help="genesis.json: the mint, lamports and tokens")
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    return parser.parse_args(arguments)


def _port(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; give a number from 1 to 65535")
    return int(text)


def _first_values() -> dict[str, str]:
    return {
        "genesis_at": repr(time.time()),
        "seed": secrets.token_hex(32),
        "faucet_seed": secrets.token_hex(32),
        "populated": "",
    }


def open_cluster(data: Path, begin: genesis.Genesis) -> tuple[Cluster, Writer]:
    """Restore the cluster of a folder, or begin a new one.

    Raises:
        SandboxError: its state cannot be used.
    """
    path = data / "cluster.sqlite"
    connection = store.open_database(path, begin.hash, _first_values)
    values = store.meta(connection)
    clock = SlotClock(float(values["genesis_at"]), bytes.fromhex(values["seed"]), time.time)
    faucet = Keypair.from_seed(bytes.fromhex(values["faucet_seed"]))
    bank = Bank(clock)
    if not values["populated"]:
        _populate(connection, bank, begin, faucet)
    bank.restore(store.load_accounts(connection))
    writer = Writer(connection, asyncio.get_running_loop())
    return Cluster(bank, clock, connect(path), writer, faucet), writer


def _populate(connection: sqlite3.Connection, bank: Bank, begin: genesis.Genesis, faucet: Keypair) -> None:
    accounts = genesis.first_accounts(begin, bank.rent(tokens.ACCOUNT_SIZE), bank.rent(tokens.MINT_SIZE))
    accounts[faucet.pubkey()] = Account(FAUCET_LAMPORTS, b"", genesis.SYSTEM_PROGRAM, False, store.MAX_U64)
    connection.execute("BEGIN IMMEDIATE")
    store.save_accounts(connection, 0, accounts, 0)
    connection.execute("UPDATE meta SET value = 'yes' WHERE key = 'populated'")
    connection.execute("COMMIT")


async def serve(arguments: argparse.Namespace) -> None:
    """Run the cluster until SIGTERM or SIGINT.

    Raises:
        SandboxError: the genesis or the state cannot be used, or the port is taken.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    begin = genesis.read(arguments.genesis)
    hold = hold_folder(arguments.data)
    cluster, writer = open_cluster(arguments.data, begin)
    runner = web.AppRunner(application(cluster), access_log=None, shutdown_timeout=_GRACE_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", arguments.port, backlog=1024).start()
        json_log.log(_LOGGER, "ready", port=arguments.port, slot=cluster.clock.slot())
        cluster.broken.add_done_callback(lambda _: stop.set())
        await stop.wait()
        if cluster.broken.done():
            what = f"{arguments.data} cannot be written ({cluster.broken.result()}); look at the disk, then start again"
            raise SandboxError(what)
        json_log.log(_LOGGER, "stopping")
    except OSError as refusal:
        reason = os.strerror(refusal.errno or 0)
        what = f"port {arguments.port} of 127.0.0.1 cannot be used: {reason}; give another one"
        raise SandboxError(what) from refusal
    finally:
        await runner.cleanup()
        await asyncio.to_thread(writer.close)
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
        print(f"sandbox.solana: {refusal}", file=sys.stderr)  # noqa: T201
        return 2
    except OSError as refusal:
        print(f"sandbox.solana: {refusal.filename or arguments.data}: {refusal.strerror}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
