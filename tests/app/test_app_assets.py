"""What holds for bitcoin holds for every asset a rail has: ceilings, approvals, floors of hot wallets, refunds."""

from __future__ import annotations

import dataclasses
from typing import Any

import httpx
import pytest

from payments.core import Core
from payments.ledger.repository import post_journal
from payments.ledger.schemas import Line
from payments.payouts.departure import HeldError
from payments.settings_of_safety import AssetLimits
from payments.wallets.tasks import weigh
from payments.worker import registry
from payments.worker.following import credit
from tests.app.conftest import client_of, new_key
from tests.app.memory_rail import MemoryRail

LIMITS = AssetLimits(max_payment=10_000, max_fee=50, daily_payout=15_000)
HELD = 20_000


@pytest.fixture
def dollars() -> MemoryRail:
    return MemoryRail("tokens", "USDC")


@pytest.fixture
async def core(core: Core, rail: MemoryRail, dollars: MemoryRail) -> Core:
    """A core with two rails, the second of another asset that alice and the hot wallet have."""
    async with core.database.transaction() as connection:
        lines = [Line("assets:tokens", "USDC", HELD), Line("liabilities:user:test:alice", "USDC", -HELD)]
        await post_journal(connection, kind="test-funding", source="usdc", memo="", lines=lines)
    return _with(dataclasses.replace(core, rails={"lnd": rail, "tokens": dollars}), LIMITS)


def _with(core: Core, limits: AssetLimits | None) -> Core:
    settings = core.settings.model_copy(update={"asset_limits": {"USDC": limits} if limits else {}})
    return dataclasses.replace(core, settings=settings)


async def _client(core: Core) -> httpx.AsyncClient:
    return client_of(core, **{"x-api-key": (await new_key(core))["key"]})


async def _pay(client: httpx.AsyncClient, number: int = 1, asked: int = 5000, **more: Any) -> httpx.Response:
    body = {"rail": "tokens", "paymentRequest": MemoryRail.request(number, asked), **more}
    return await client.post("/v1/payments", json=body, headers={"Idempotency-Key": f"k-{number}"})


async def _work(core: Core) -> list[str]:
    rows = await core.database.all("DELETE FROM payments.outbox WHERE kind = 'job' RETURNING payload", name="test")
    for row in rows:
        await registry.jobs()["payments.send", 1].handle(core, row["payload"])
    found = await core.database.all("SELECT state FROM payments.payments ORDER BY created_at", name="test")
    return [row["state"] for row in found]


async def test_an_asset_without_limits_is_not_paid_out(core: Core) -> None:
    async with await _client(_with(core, None)) as client:
        answer = await _pay(client)
    assert answer.status_code == 400
    assert answer.json()["error"] == "Payouts in USDC are not offered here: ASSET_LIMITS sets none for it."


async def test_its_own_ceilings_hold(core: Core) -> None:
    async with await _client(core) as client:
        above = await _pay(client, 1, 10_001)
        assert (above.status_code, above.json()["details"]) == (400, {"maximum": 10_000})
        made = await _pay(client, 2, 9_000, maxFee=60)
        assert (made.status_code, made.json()["maxFee"], made.json()["amountMsat"]) == (202, 50, None)
        assert (await _pay(client, 3, 9_000)).status_code == 402, "15,000 in a day"
        invoice = await client.post("/v1/invoices", json={"rail": "tokens", "asset": "USDC", "amount": 10_001})
        assert invoice.status_code == 400


async def test_an_amount_in_msat_is_bitcoins_alone(core: Core) -> None:
    async with await _client(core) as client:
        request = MemoryRail.request(1, None)
        assert (await _pay(client, 1, paymentRequest=request, amountMsat=500)).status_code == 400
        assert (await _pay(client, 2, paymentRequest=request, amount=500, amountMsat=500)).status_code == 400
        assert (await _pay(client, 3, maxFeeMsat=1)).status_code == 400
        assert (await _pay(client, 4, paymentRequest=request, amount=500)).status_code == 202
        both = {"rail": "lnd", "paymentRequest": MemoryRail.request(5, None), "amount": 700, "maxFee": 3}
        answer = await client.post("/v1/payments", json=both, headers={"Idempotency-Key": "k"})
        assert answer.json()["error"].startswith("The balance is too low"), "general names serve for bitcoin, too"


async def test_a_second_person_is_asked_above_the_assets_threshold(core: Core, dollars: MemoryRail) -> None:
    core = _with(core, LIMITS.model_copy(update={"approval_threshold": 4_999}))
    boss = await new_key(core, userId="boss", permissions=["admin"])
    async with await _client(core) as client, client_of(core, **{"x-api-key": boss["key"]}) as admin:
        made = (await _pay(client)).json()
        assert (await _work(core), dollars.sent.total()) == (["created"], 0)
        (waiting,) = (await admin.get("/v1/approvals")).json()["data"]
        assert (waiting["paymentId"], waiting["asset"]) == (made["id"], "USDC")
        assert (await admin.post(f"/v1/payments/{made['id']}/approve", json={})).status_code == 200
    assert await _work(core) == ["succeeded"]


async def test_the_hot_wallets_floor_is_the_assets(core: Core, dollars: MemoryRail) -> None:
    core = _with(core, LIMITS.model_copy(update={"hot_wallet_floor": 16_000, "hot_wallet_ceiling": 19_000}))
    async with await _client(core) as client:
        await _pay(client)
    with pytest.raises(HeldError, match="hot wallet of tokens would fall below its floor of 16000 USDC"):
        await _work(core)
    await weigh(core)
    rows = await core.database.all("SELECT rail, asset, direction FROM payments.wallet_transfers", name="test")
    assert rows == [{"rail": "tokens", "asset": "USDC", "direction": "sweep"}]
    assert dollars.sent.total() == 0


async def test_what_came_in_goes_back_in_its_own_asset(core: Core, dollars: MemoryRail) -> None:
    async with await _client(core) as client:
        invoice = (await client.post("/v1/invoices", json={"rail": "tokens", "asset": "USDC", "amount": 900})).json()
        await credit(core, "tokens", [await dollars.arrive(invoice["paymentHash"], 700)])
        (found,) = (await client.get("/v1/suspense")).json()["data"]
        assert (found["asset"], found["amount"]) == ("USDC", 700)
        body = {"suspenseId": found["id"], "amount": 690, "maxFee": 10, "payee": MemoryRail.request(1, 690)}
        made = await client.post("/v1/refunds", json=body, headers={"Idempotency-Key": "r"})
        assert (made.status_code, made.json()["asset"], made.json()["status"]) == (201, "USDC", "sending"), made.text
        assert await _work(core) == ["succeeded"]
        done = (await client.get(f"/v1/refunds/{made.json()['id']}")).json()
    assert done["status"] == "succeeded"
    balances = (
        "SELECT code, balance FROM payments.balances WHERE asset = 'USDC' AND code = 'liabilities:suspense:tokens'"
    )
    row = await core.database.one(balances, name="test")
    assert row is not None
    assert row["balance"] == 0


async def test_a_rail_that_cannot_send_says_so_when_a_refund_is_wanted(core: Core, dollars: MemoryRail) -> None:
    async with await _client(core) as client:
        invoice = (await client.post("/v1/invoices", json={"rail": "tokens", "asset": "USDC", "amount": 9})).json()
        await credit(core, "tokens", [await dollars.arrive(invoice["paymentHash"], 7)])
        (found,) = (await client.get("/v1/suspense")).json()["data"]
    async with await _client(dataclasses.replace(core, rails={})) as client:
        body = {"suspenseId": found["id"], "payee": "somewhere"}
        answer = await client.post("/v1/refunds", json=body, headers={"Idempotency-Key": "r"})
    assert answer.status_code == 404
    assert answer.json()["error"] == "The rail 'tokens' is not offered here for this: use one of []."
