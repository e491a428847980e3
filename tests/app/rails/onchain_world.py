"""The on-chain rail in a core of this process, on a Bitcoin network that is a program of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import bdkpython as bdk
import httpx
import psycopg
from pydantic import SecretStr

from payments.core import Core
from payments.payouts import sending
from payments.rails.onchain.building import build_rail
from payments.rails.onchain.rail import OnchainRail
from payments.settings import Settings
from payments.worker import registry
from payments.worker.following import follow
from payments.worker.sweeper import sweep_once
from tests.app.conftest import TestDatabase, client_of, core_for, fund, new_key, until
from tests.app.memory_rail import MemoryRail
from tests.sandbox.processes import EsploraProgram

PAYEE = "bcrt1q6rz28mcfaxtmd6v789l9rrlrusdprr9pz3cppk"
MSAT = 1000


def fresh_descriptors() -> tuple[str, str]:
    """Public and secret descriptor of a new wallet, both branches in one."""
    words = bdk.Mnemonic(bdk.WordCount.WORDS12)
    key = bdk.DescriptorSecretKey(bdk.NetworkKind.TEST, words, None)
    receive = bdk.Descriptor.new_bip84(key, bdk.KeychainKind.EXTERNAL, bdk.NetworkKind.TEST)

    def both(text: str) -> str:
        return text.split("#")[0].replace("/0/*", "/<0;1>/*")

    return both(str(receive)), both(receive.to_string_with_secret())


def onchain_settings(settings: Settings, esplora: str, **changed: Any) -> Settings:
    """Settings with the rail on, for a new wallet."""
    public, secret = fresh_descriptors()
    update = {
        "esplora_url": esplora,
        "onchain_descriptor": SecretStr(public),
        "onchain_signing_descriptor": SecretStr(secret),
        "onchain_poll_seconds": 0.1,
        "onchain_confirmations": "100000:1,1000000:3,6",
        **changed,
    }
    return settings.model_copy(update=update)


@dataclass
class OnchainWorld:
    """A core, its network, and who uses them."""

    core: Core
    rail: OnchainRail
    network: EsploraProgram
    database: TestDatabase
    client: httpx.AsyncClient

    async def invoice(self, sats: int | None) -> dict[str, Any]:
        body = {"rail": "onchain", "asset": "BTC", "amount": None if sats is None else sats * MSAT}
        answer = await self.client.post("/v1/invoices", json=body, headers={"Idempotency-Key": str(uuid4())})
        assert answer.status_code in (200, 201), answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def read(self, kind: str, identity: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self.client.get(f"/v1/{kind}/{identity}")).json()
        return found

    async def settled(self, invoice: dict[str, Any], *states: str) -> dict[str, Any]:
        wanted = states or ("settled",)

        async def reached() -> dict[str, Any] | None:
            found = await self.read("invoices", invoice["id"])
            return found if found["status"] in wanted else None

        found: dict[str, Any] = await until(reached, 30)
        return found

    async def followed_to_tip(self) -> None:
        """Wait until the follower has read the newest block."""
        tip = self.network.ask("/blocks/tip/height")

        async def reached() -> bool:
            height = await self.core.database.value(
                "SELECT split_part(cursor, ':', 1)::int FROM payments.rail_cursors WHERE rail = 'onchain'", name="tip"
            )
            return height is not None and height >= tip - 5

        await until(reached, 30)

    async def seen(self, txid: str) -> None:
        """Wait until the follower has read the block that confirms a transaction."""

        async def is_read() -> bool:
            return bool(self.execute(f"SELECT 1 FROM payments.onchain_coins WHERE txid = '{txid}'"))

        await until(is_read, 30)

    async def pay(self, request: str, sats: int, **more: Any) -> dict[str, Any]:
        body = {"rail": "onchain", "paymentRequest": request, "amountMsat": sats * MSAT, **more}
        answer = await self.client.post("/v1/payments", json=body, headers={"Idempotency-Key": str(uuid4())})
        assert answer.status_code == 202, answer.text
        made: dict[str, Any] = answer.json()
        await sending.send(self.core, payouts_id(made))
        return await self.read("payments", made["id"])

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """A statement as the superuser."""
        with psycopg.connect(self.database.superuser_url) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    async def look_again(self) -> None:
        """Every open attempt is due now."""
        self.execute(
            "UPDATE payments.attempts SET lease_until = now(), next_look_at = now() "
            "WHERE state IN ('started', 'in_flight', 'unknown')"
        )
        await sweep_once(self.core, registry.look_ups())

    async def load_wallet(self, *sats: int) -> None:
        """Give the wallet coins of these sums, confirmed and known."""
        for one in sats:
            invoice = await self.invoice(one)
            self.network.pay(address_of(invoice), one)
            self.network.mine(6)
            await self.settled(invoice)


def payouts_id(payment: dict[str, Any]) -> UUID:
    return UUID(payment["id"])


def address_of(invoice: dict[str, Any]) -> str:
    return str(invoice["paymentRequest"]).removeprefix("bitcoin:").split("?")[0]


@asynccontextmanager
async def onchain_world(
    settings: Settings, database: TestDatabase, network: EsploraProgram, *, follows: bool = True
) -> AsyncIterator[OnchainWorld]:
    """The world, with a follower unless told otherwise."""
    rail = build_rail(settings, can_sign=True)
    core = core_for(settings, MemoryRail())
    core.rails[rail.name] = rail  # type: ignore[index]
    await core.start()
    follower = asyncio.create_task(follow(core, rail)) if follows else None
    try:
        key = (await new_key(core))["key"]
        await fund(core, 10**12)
        async with client_of(core, **{"x-api-key": key}) as client:
            yield OnchainWorld(core, rail, network, database, client)
    finally:
        if follower is not None:
            follower.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await follower
        await core.close()
