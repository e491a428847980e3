"""`python -m sandbox.lnd --data DIR --merchant-port P --customer-port P`: two LND nodes on loopback."""

import argparse
import asyncio
import contextlib
import logging
import os
import secrets
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web

from sandbox import json_log
from sandbox.durable import FolderInUseError, connect, hold_folder, write_file
from sandbox.lnd import calls_invoices, calls_node, calls_payments, closing, macaroons, permissions, store
from sandbox.lnd.certificates import server_context
from sandbox.lnd.channels import Fees
from sandbox.lnd.errors import RpcError, SandboxError
from sandbox.lnd.network import Network, Sources
from sandbox.lnd.rest import application

_LOGGER = logging.getLogger("sandbox.lnd")
NETWORKS = ("regtest", "simnet", "testnet", "signet")
_GRACE_SECONDS = 2.0


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; argparse ends the program with status 2 and one sentence when it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.lnd", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the nodes' files and state")
    parser.add_argument("--merchant-port", type=_port, required=True, help="HTTPS port of the merchant's node")
    parser.add_argument("--customer-port", type=_port, required=True, help="HTTPS port of the customer's node")
    parser.add_argument("--network", choices=NETWORKS, default="regtest", help="whose invoices they write (regtest)")
    parser.add_argument(
        "--channel-sat", type=int, default=1_000_000_000, help="capacity of each channel, half on each side"
    )
    parser.add_argument(
        "--routing-fee-base-msat",
        type=int,
        default=0,
        help="with one of the two fees a routing node stands between merchant and customer and takes them",
    )
    parser.add_argument("--routing-fee-ppm", type=int, default=0, help="millionths of the amount that it takes on top")
    parser.add_argument(
        "--forget", choices=store.SERVED, help="start with this node's memory gone, as after the loss of its disk"
    )
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    parsed = parser.parse_args(arguments)
    if parsed.merchant_port == parsed.customer_port:
        parser.error("--merchant-port and --customer-port must differ")
    if not 20_000 <= parsed.channel_sat <= 100_000_000_000:
        parser.error("--channel-sat must be between 20000 and 100000000000")
    if parsed.routing_fee_base_msat < 0 or parsed.routing_fee_ppm < 0:
        parser.error("routing fees cannot be negative")
    return parsed


def _port(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; give a number from 1 to 65535")
    return int(text)


def read_secret() -> bytes:
    """The macaroons' root secret, from the file LND_ROOT_KEY in $SECRETS_DIR.

    Raises:
        SandboxError: no such file, or not at least 16 bytes of hex.
    """
    folder = os.environ.get("SECRETS_DIR")
    if not folder:
        raise SandboxError("SECRETS_DIR is not set; it names the folder that has the file LND_ROOT_KEY")
    file = Path(folder) / "LND_ROOT_KEY"
    try:
        secret = bytes.fromhex(file.read_text().strip())
    except OSError as refusal:
        raise SandboxError(
            f"{file} cannot be read ({refusal.strerror}); put 32 random bytes as hex into it"
        ) from refusal
    except ValueError as refusal:
        raise SandboxError(f"{file} is no hex; put 32 random bytes as hex into it") from refusal
    if len(secret) < 16:
        raise SandboxError(f"{file} has only {len(secret)} bytes; put 32 random bytes as hex into it")
    return secret


def write_macaroons(network: Network, node: str, folder: Path) -> None:
    """Write the node's macaroon files; one that still opens what it should is kept, so its bytes stay the same."""
    for name, ops in permissions.FILES.items():
        file = folder / f"{name}.macaroon"
        if not _still_good(network, node, file, frozenset(ops)):
            root_key = network.root_key(node, macaroons.DEFAULT_ROOT_KEY_ID)
            nonce = network.sources.randomness(16)
            write_file(file, macaroons.bake(root_key, macaroons.DEFAULT_ROOT_KEY_ID, nonce, ops), mode=0o600)


def _still_good(network: Network, node: str, file: Path, ops: frozenset[permissions.Op]) -> bool:
    try:
        macaroon = macaroons.read(file.read_bytes())
        root_key = network.root_key(node, macaroon.root_key_id)
        macaroons.verify(macaroon, root_key, now=network.sources.clock(), client_ip="127.0.0.1")
    except (OSError, RpcError):
        return False
    return macaroon.ops == ops


async def serve(arguments: argparse.Namespace, secret: bytes) -> None:
    """Run both nodes until SIGTERM or SIGINT.

    Raises:
        SandboxError: the state cannot be used, or a port is taken.
    """
    sources = Sources(time.time, secrets.token_bytes)
    routed = bool(arguments.routing_fee_base_msat or arguments.routing_fee_ppm)
    genesis = store.Genesis(arguments.network, arguments.channel_sat, routed)
    hold = hold_folder(arguments.data)
    keys = {name: sources.randomness(32) for name in (*store.SERVED, store.ROUTER)}
    database = arguments.data / "network.sqlite"
    connection = store.open_database(database, genesis, sources.clock(), keys)
    if arguments.forget:
        closing.forget(connection, arguments.forget)
    fees = Fees(arguments.routing_fee_base_msat, arguments.routing_fee_ppm)
    network = Network(connection, connect(database), fees, sources, secret)
    runners: list[web.AppRunner] = []
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await network.start()
        for node, port in ((store.MERCHANT, arguments.merchant_port), (store.CUSTOMER, arguments.customer_port)):
            runners.append(await _listen(network, node, port, arguments.data / node))
        json_log.log(_LOGGER, "ready", merchant=arguments.merchant_port, customer=arguments.customer_port)
        await stop.wait()
        json_log.log(_LOGGER, "stopping")
    finally:
        network.stopping.set()
        network.topics.fire_all()
        for runner in runners:
            await runner.cleanup()
        await network.stop()
        hold.close()


async def _listen(network: Network, node: str, port: int, folder: Path) -> web.AppRunner:
    write_macaroons(network, node, folder / "data" / "chain" / "bitcoin" / network.name)
    context = server_context(folder, node, datetime.fromtimestamp(network.sources.clock(), UTC))
    routes = calls_node.ROUTES + calls_invoices.ROUTES + calls_payments.ROUTES
    # A stream whose reader went away ends at once; changes that it began are finished by the network.
    app = application(network, node, routes)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_GRACE_SECONDS, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context, backlog=1024).start()
    except OSError as refusal:
        await runner.cleanup()
        reason = os.strerror(refusal.errno or 0)
        what = f"port {port} of 127.0.0.1 cannot be used for the {node}'s node: {reason}; give another one"
        raise SandboxError(what) from refusal
    return runner


def main() -> int:
    """Run the program; 0 after a clean stop, 2 with one sentence on stderr when it cannot start."""
    arguments = parse_arguments()
    json_log.configure(arguments.log_level)
    os.umask(0o077)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serve(arguments, read_secret()))
    except (SandboxError, FolderInUseError) as refusal:
        print(f"sandbox.lnd: {refusal}", file=sys.stderr)  # noqa: T201
        return 2
    except OSError as refusal:
        print(f"sandbox.lnd: {refusal.filename or arguments.data}: {refusal.strerror}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
