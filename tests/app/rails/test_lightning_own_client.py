"""What somebody with a client of their own would try on Lightning payouts: refused in one sentence, no node is told."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from payments.payouts import sending
from payments.rails.lnd import bech32, bolt11
from payments.rails.lnd.rail import LndRail
from payments.settings import Settings
from tests.app.conftest import TestDatabase, client_of, core_for, fund, new_key
from tests.app.memory_rail import MemoryRail
from tests.app.rails.onchain_world import payouts_id
from tests.app.rails.test_lnd_counterpart import config_of
from tests.app.rails.test_lnd_restoring import client_of as node_client
from tests.app.rails.test_lnd_restoring import opened
from tests.sandbox.processes import LndProgram, running

KEY = b"\x22" * 32


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LndProgram]:
    program = LndProgram(tmp_path_factory.mktemp("lnd"), "--routing-fee-base-msat", "1000")
    with running(program):
        yield program


class Client:
    """The API, and the merchant's node behind it."""

    def __init__(self, core: Any, http: Any, nodes: LndProgram) -> None:
        self.core, self.http, self.nodes = core, http, nodes

    async def ask(self, request: str, **more: Any) -> Any:
        body = {"rail": "lnd", "paymentRequest": request, **more}
        return await self.http.post("/v1/payments", json=body, headers={"Idempotency-Key": str(uuid4())})

    async def paid(self, request: str, **more: Any) -> dict[str, Any]:
        answer = await self.ask(request, **more)
        assert answer.status_code == 202, answer.text
        await sending.send(self.core, payouts_id(answer.json()))
        found: dict[str, Any] = (await self.http.get(f"/v1/payments/{answer.json()['id']}")).json()
        return found

    async def sent(self) -> list[dict[str, Any]]:
        """What the merchant's node was told to pay, ever."""
        async with opened(node_client(self.nodes, "merchant")) as merchant:
            found: list[dict[str, Any]] = (await merchant.get("/v1/payments", {"include_incomplete": "true"}))[
                "payments"
            ]
            return found

    async def bill(self, **fields: Any) -> str:
        async with opened(node_client(self.nodes, "customer")) as customer:
            return str((await customer.post("/v1/invoices", fields))["payment_request"])


@pytest.fixture
async def client(settings: Settings, database: TestDatabase, nodes: LndProgram) -> AsyncIterator[Client]:
    core = core_for(settings, MemoryRail())
    rail = LndRail(config_of(nodes))
    core.rails["lnd"] = rail  # type: ignore[index]
    await core.start()
    key = (await new_key(core))["key"]
    await fund(core, 10**12)
    async with client_of(core, **{"x-api-key": key}) as http:
        yield Client(core, http, nodes)
    await core.close()


def an_invoice(**changes: Any) -> bolt11.Bolt11Invoice:
    plain = bolt11.Bolt11Invoice(
        network="regtest",
        timestamp=int(time.time()),
        payment_hash=os.urandom(32).hex(),
        payment_secret=os.urandom(32).hex(),
        amount_msat=20_000,
        description="bread",
    )
    return replace(plain, **changes)


def written(**changes: Any) -> str:
    return bolt11.encode(an_invoice(**changes), KEY)


def with_amount(text: str) -> str:
    """A rightly checksummed invoice whose amount is this text; its signature is of the one without."""
    _, symbols = bech32.decode(written(amount_msat=None), bech32.BECH32_CONSTANT)
    return bech32.encode(f"lnbcrt{text}", symbols, bech32.BECH32_CONSTANT)


# What is asked for, and a word of the refusal.
REFUSED: dict[str, tuple[Callable[[], str], str]] = {
    "another network": (lambda: written(network="mainnet"), "is for mainnet"),
    "a test network of another kind": (lambda: written(network="testnet"), "is for testnet"),
    "expired": (lambda: written(timestamp=int(time.time()) - 7200), "expired"),
    "about to expire": (lambda: written(timestamp=int(time.time()) - 3595), "about to"),
    "above the ceiling": (lambda: written(amount_msat=10**12), "ceiling"),
    "more than there will ever be": (lambda: with_amount("9" * 30), "amount"),
    "nothing": (lambda: with_amount("0"), "amount"),
    "a tenth of a millisatoshi": (lambda: with_amount("1p"), "amount"),
    "a leading zero": (lambda: with_amount("01u"), "amount"),
    "an unknown multiplier": (lambda: with_amount("1x"), "amount"),
    "a broken checksum": (lambda: broken(written()), "checksum"),
    "both cases": (lambda: written()[:20].upper() + written()[20:], "case"),
    "an unknown even feature": (lambda: written(features=frozenset({8, 14, 100})), "feature 100"),
    "atomic multi-path, payable many times": (lambda: written(features=frozenset({8, 14, 30})), "feature 30"),
    "a node's key, as keysend wants it": (lambda: "02" + "ab" * 32, ""),
    "an offer": (lambda: "lno1pqps7sjqpgtyzm3qv4uxzmtsd3jjqer9wd3hy6tsw35k7msjzfpy7nz5yqcnygrfdej82um5wf5k2uckyyp", ""),
    "text": (lambda: "pay me", ""),
}


def broken(text: str) -> str:
    return text[:-1] + ("q" if text[-1] != "q" else "p")


async def test_what_must_not_be_paid_is_refused_and_no_node_is_told(client: Client) -> None:
    wrong, before = {}, await client.sent()
    for what, (make, word) in REFUSED.items():
        answer = await client.ask(make())
        if answer.status_code != 400 or word not in answer.json()["error"] or len(answer.json()["error"]) > 400:
            wrong[what] = answer.text
    assert wrong == {}
    assert await client.sent() == before


async def test_an_invoice_without_an_amount_is_paid_with_ours_below_the_ceiling_alone(client: Client) -> None:
    request = await client.bill()
    assert (await client.ask(request)).status_code == 400
    assert "ceiling" in (await client.ask(request, amountMsat=10**12)).json()["error"]
    assert (await client.ask(request, amountMsat=0)).status_code == 400
    assert (await client.paid(request, amountMsat=20_001))["status"] == "succeeded"
    assert (await client.sent())[-1]["value_msat"] == "20001"


async def test_millisatoshis_are_paid_to_the_last_one(client: Client) -> None:
    paid = await client.paid(await client.bill(value_msat="1234567"))
    assert (paid["status"], paid["amountMsat"], paid["fee"]) == ("succeeded", 1_234_567, 1_000)


async def test_an_invoice_that_expires_between_acceptance_and_sending_fails_untried(client: Client) -> None:
    request = written(timestamp=int(time.time()) - 3480)
    answer = await client.ask(request)
    assert answer.status_code == 202, answer.text
    before = await client.sent()
    rail = client.core.rails["lnd"]
    rail._payments._clock = lambda: datetime.now(UTC) + timedelta(hours=1)
    await sending.send(client.core, payouts_id(answer.json()))
    found = (await client.http.get(f"/v1/payments/{answer.json()['id']}")).json()
    assert (found["status"], "expired" in found["reason"]) == ("failed", True)
    assert await client.sent() == before
