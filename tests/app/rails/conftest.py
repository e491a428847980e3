"""Counterparts of the rails' tests: a scripted LND node, a Solana cluster with short slots, hosts that settle."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from aiohttp import web
from solders.hash import Hash
from solders.keypair import Keypair

from payments.rails.lnd.credentials import GivenMacaroon
from payments.rails.lnd.rail import LndConfig, LndRail
from sandbox.solana.__main__ import open_cluster
from sandbox.solana.genesis import read as read_genesis
from tests.app.rails.lnd_orders import INVOICE_MACAROON, PAY_MACAROON, Clock, MakeRail
from tests.app.rails.scripted_node import ScriptedNode, Scripts, write_certificate
from tests.app.rails.settling_hosts import Hosts, Look
from tests.app.rails.short_chain import Chain, PaymentBuilder


@pytest.fixture
def script() -> Scripts:
    return Scripts()


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[ScriptedNode]:
    folder = tmp_path / "node"
    folder.mkdir()
    write_certificate(folder)
    scripted = ScriptedNode(folder)
    await scripted.start()
    yield scripted
    await scripted.stop()


@pytest.fixture
async def chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Chain]:
    """A cluster with slots of 20 ms: final after 0.7 s, a blockhash lives 3 s."""
    monkeypatch.setattr("sandbox.solana.clock.SLOT_SECONDS", 0.02)
    mint, authority, customer, accomplice, merchant, fee_payer = (Keypair() for _ in range(6))
    first = {
        "mint": {"address": str(mint.pubkey()), "decimals": 6, "authority": str(authority.pubkey())},
        "lamports": {str(key.pubkey()): 10**9 for key in (customer, fee_payer)},
        "tokens": {str(customer.pubkey()): 10**7, str(accomplice.pubkey()): 0, str(merchant.pubkey()): 0},
    }
    (tmp_path / "genesis.json").write_text(json.dumps(first))
    cluster, writer = open_cluster(tmp_path, read_genesis(tmp_path / "genesis.json"))
    chain = Chain(cluster, mint, customer, accomplice, merchant, fee_payer)
    app = web.Application()
    app.router.add_post("/", chain.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    chain.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"  # type: ignore[union-attr]
    yield chain
    await runner.cleanup()
    await asyncio.to_thread(writer.close)


@pytest.fixture
def builder() -> PaymentBuilder:
    """A good payment that needs no cluster."""
    return PaymentBuilder(
        payer=Keypair(),
        fee_payer=Keypair().pubkey(),
        mint=Keypair().pubkey(),
        pay_to=Keypair().pubkey(),
        blockhash=Hash.hash(b"recent"),
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_rail(node: Any, clock: Clock) -> MakeRail:
    @asynccontextmanager
    async def make(**changes: Any) -> AsyncIterator[LndRail]:
        config = LndConfig(
            url=node.url,
            tls_certificate=node.certificate,
            invoice_macaroon=GivenMacaroon(INVOICE_MACAROON, setting="LND_MACAROON"),
            pay_macaroon=GivenMacaroon(PAY_MACAROON, setting="LND_PAY_MACAROON"),
            network="regtest",
            max_payment_msat=1_000_000_000,
            max_fee_msat=50_000,
            submit_wait_seconds=1.0,
        )
        rail = LndRail(replace(config, **changes), clock=clock)
        await rail.start()
        try:
            yield rail
        finally:
            await rail.close()

    return make


@pytest.fixture
async def hosts(database: Any, chain: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hosts]:
    """Settle as quickly as the chain's short slots allow."""
    monkeypatch.setattr("payments.x402.settling.SEND_EVERY_SECONDS", 0.1)
    monkeypatch.setattr("payments.rails.solana.arrivals.POLL_SECONDS", 0.2)
    made = Hosts(database.app_url, chain)
    yield made
    await made.close()


@pytest.fixture
def look(database: Any) -> Look:
    """Rows of a query, as the superuser."""

    def rows(statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(database.superuser_url) as connection:
            return connection.execute(statement.encode()).fetchall()

    return rows
