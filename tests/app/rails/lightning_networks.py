"""Lightning networks to test the rail on, merchant, router, customer: the sandbox's, and real lnd nodes on a btcd."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from payments.rails.lnd.credentials import MacaroonFile
from payments.rails.lnd.rail import LndConfig
from tests.sandbox.processes import LndProgram, running, wait_until
from tests.sandbox.real_bitcoin import RealBitcoin, bake, real_bitcoin

PAYING_RIGHTS = "offchain:read offchain:write info:read onchain:read"
CHANNEL_SATS = 5_000_000


@dataclass(frozen=True)
class Party:
    """A node: where it is, and its files."""

    url: str
    certificate: Path
    macaroon: Callable[[str], Path]


@dataclass(frozen=True)
class Lightning:
    """A network whose merchant's node can be killed and started again; `base_fee_msat` is what the router takes."""

    merchant: Party
    customer: Party
    base_fee_msat: int
    kill_merchant: Callable[[], None]
    start_merchant: Callable[[], None]
    mine: Callable[[int], object] | None = None
    """Blocks on demand, where the chain is a real one."""

    def config(self, *, submit_wait_seconds: float = 30.0) -> LndConfig:
        """The rail's, with the macaroons of least rights."""
        return LndConfig(
            url=self.merchant.url,
            tls_certificate=self.merchant.certificate,
            invoice_macaroon=MacaroonFile(self.merchant.macaroon("invoice"), setting="LND_MACAROON_PATH"),
            pay_macaroon=MacaroonFile(self.merchant.macaroon("pay"), setting="LND_PAY_MACAROON_PATH"),
            network="regtest",
            max_payment_msat=1_000_000_000,
            max_fee_msat=50_000,
            submit_wait_seconds=submit_wait_seconds,
        )


@contextmanager
def bundled(folder: Path) -> Iterator[Lightning]:
    """The sandbox's program."""
    program = LndProgram(folder, "--routing-fee-base-msat", "1000")

    def party(name: str) -> Party:
        files = program.data / name / "data" / "chain" / "bitcoin" / "regtest"
        return Party(
            f"https://127.0.0.1:{program.ports[name]}",
            program.certificate(name),
            lambda macaroon: files / f"{macaroon}.macaroon",
        )

    with running(program):
        yield Lightning(party("merchant"), party("customer"), 1000, program.kill, program.start)


def _connected(network: RealBitcoin) -> None:
    """Merchant, router and customer in a row, every channel known to all."""
    nodes = {name: network.add_node(name) for name in ("merchant", "router", "customer")}
    for node in nodes.values():
        node.wait_ready()
    for name in ("merchant", "router"):
        network.fund(nodes[name], 4 * CHANNEL_SATS)
    network.open_channel(nodes["merchant"], nodes["router"], CHANNEL_SATS)
    network.open_channel(nodes["router"], nodes["customer"], CHANNEL_SATS)
    for node in nodes.values():
        network.wait_graph(node, 2)
    bake(nodes["merchant"], "pay", PAYING_RIGHTS)


@contextmanager
def real(folder: Path) -> Iterator[Lightning]:
    """Three real lnd nodes."""
    with real_bitcoin(folder) as network:
        _connected(network)
        merchant = network.nodes["merchant"]

        def start() -> None:
            merchant.start()
            merchant.wait_ready()
            wait_until(
                lambda: any(one["active"] for one in merchant.ask("/v1/channels")["channels"]), "the channel", 120
            )

        parties = [
            Party(node.url, node.certificate, node.macaroon_file) for node in (merchant, network.nodes["customer"])
        ]
        yield Lightning(parties[0], parties[1], 1000, merchant.kill, start, network.esplora.mine)
