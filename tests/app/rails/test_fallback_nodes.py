"""Lightning falls back to the chain with the rails themselves, on their networks' counterparts: a Lightning node that
fails, holds, goes away or is short, and a Bitcoin chain. Only a provably dead attempt goes on, or one never begun."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from payments.payouts import sending
from payments.rails.lnd.client import LndClient
from payments.rails.lnd.messages import to_base64
from payments.rails.lnd.rail import LndRail
from payments.rails.protocol import PaymentOrder, RailUnavailableError
from payments.settings import Settings
from tests.app.conftest import TestDatabase, balances
from tests.app.rails.onchain_world import PAYEE, OnchainWorld, onchain_settings, onchain_world, payouts_id
from tests.app.rails.test_lnd_counterpart import config_of
from tests.app.rails.test_lnd_restoring import client_of, opened
from tests.sandbox.processes import EsploraProgram, LndProgram, running

SATS = 50_000
FEE_BASE_MSAT = 1000


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EsploraProgram]:
    program = EsploraProgram(tmp_path_factory.mktemp("esplora"))
    with running(program):
        yield program


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[LndProgram]:
    """A customer behind a routing node that takes a satoshi; a network for each test, for it is emptied and killed."""
    program = LndProgram(tmp_path, "--routing-fee-base-msat", str(FEE_BASE_MSAT))
    with running(program):
        yield program


@pytest.fixture
async def world(
    settings: Settings, database: TestDatabase, chain: EsploraProgram, nodes: LndProgram
) -> AsyncIterator[OnchainWorld]:
    async with onchain_world(onchain_settings(settings, chain.url), database, chain) as made:
        lightning = LndRail(config_of(nodes))
        await lightning.start()
        made.core.rails["lnd"] = lightning  # type: ignore[index]
        await made.load_wallet(300_000)
        yield made
        await lightning.close()


@asynccontextmanager
async def customer_of(nodes: LndProgram) -> AsyncIterator[LndClient]:
    async with opened(client_of(nodes, "customer")) as client:
        yield client


async def held_bill(customer: LndClient, sats: int = SATS) -> tuple[str, bytes]:
    """An invoice whose payment the customer holds; with the preimage."""
    preimage = os.urandom(32)
    body = {"hash": to_base64(hashlib.sha256(preimage).digest()), "value_msat": str(sats * 1000)}
    return str((await customer.post("/v2/invoices/hodl", body))["payment_request"]), preimage


async def accepted(world: OnchainWorld, request: str, *, sats: int = SATS, **more: Any) -> dict[str, Any]:
    body = {
        "rail": "lnd",
        "paymentRequest": request,
        "amountMsat": sats * 1000,
        "fallback": {"rail": "onchain", "paymentRequest": f"{PAYEE}?message={uuid4()}"},
        **more,
    }
    answer = await world.client.post("/v1/payments", json=body, headers={"Idempotency-Key": str(uuid4())})
    assert answer.status_code == 202, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def stands(world: OnchainWorld, made: dict[str, Any]) -> tuple[str, str]:
    found = await world.read("payments", made["id"])
    return found["rail"], found["status"]


async def paid_on_chain(world: OnchainWorld, made: dict[str, Any]) -> None:
    """Send what has fallen, confirm it, and see one effect in the books."""
    await sending.send(world.core, payouts_id(made))
    assert len(world.network.ask(f"/address/{PAYEE}/txs/mempool")) == 1
    world.network.mine(1)
    await world.look_again()
    assert await stands(world, made) == ("onchain", "succeeded")
    assert (await balances(world.core))["liabilities:reserved:test:alice"] == 0


def nothing_on_chain(world: OnchainWorld) -> bool:
    return not world.network.ask(f"/address/{PAYEE}/txs/mempool")


async def test_a_payment_that_the_payee_fails_is_dead_and_goes_on(world: OnchainWorld, nodes: LndProgram) -> None:
    async with customer_of(nodes) as customer:
        request, preimage = await held_bill(customer)
        digest = to_base64(hashlib.sha256(preimage).digest())
        await customer.post("/v2/invoices/cancel", {"payment_hash": digest})
    made = await accepted(world, request)
    await sending.send(world.core, payouts_id(made))
    assert await stands(world, made) == ("onchain", "created")
    (proof,) = world.execute("SELECT state, proof FROM payments.attempts WHERE kind = 'pay' AND rail = 'lnd'")
    assert (proof[0], proof[1]["track_payment"]) == ("dead", "FAILED")
    await paid_on_chain(world, made)


@pytest.mark.parametrize("ending", ["cancelled", "settled"])
async def test_a_payment_on_the_way_never_goes_on_until_it_is_failed(
    world: OnchainWorld, nodes: LndProgram, ending: str
) -> None:
    async with customer_of(nodes) as customer:
        request, preimage = await held_bill(customer)
        made = await accepted(world, request)
        await sending.send(world.core, payouts_id(made))  # the wait for an outcome runs out
        nodes.kill()
        await world.look_again()  # and now the node cannot even be asked
        assert (await stands(world, made))[0] == "lnd"
        nodes.start()
        for _ in range(3):
            await world.look_again()
            rail, status = await stands(world, made)
            assert (rail, status in ("sending", "unknown")) == ("lnd", True)
        assert nothing_on_chain(world)
        if ending == "settled":
            await customer.post("/v2/invoices/settle", {"preimage": to_base64(preimage)})
            await world.look_again()
            assert await stands(world, made) == ("lnd", "succeeded")
            assert nothing_on_chain(world)
            return
        digest = to_base64(hashlib.sha256(preimage).digest())
        await customer.post("/v2/invoices/cancel", {"payment_hash": digest})
    await world.look_again()
    assert await stands(world, made) == ("onchain", "created")
    await paid_on_chain(world, made)


async def test_a_node_that_is_away_is_waited_for(world: OnchainWorld, nodes: LndProgram) -> None:
    async with customer_of(nodes) as customer:
        bill = await customer.post("/v1/invoices", {"value_msat": str(SATS * 1000)})
    made = await accepted(world, str(bill["payment_request"]))
    nodes.kill()
    with pytest.raises(RailUnavailableError):
        await sending.send(world.core, payouts_id(made))
    assert await stands(world, made) == ("lnd", "created")
    assert nothing_on_chain(world)
    nodes.start()
    await sending.send(world.core, payouts_id(made))
    assert await stands(world, made) == ("lnd", "succeeded")


class TestCongestion:
    """Asked before anything is sent, and never a reason afterwards."""

    async def test_channels_that_are_short_send_it_on_untried(self, world: OnchainWorld, nodes: LndProgram) -> None:
        lightning = world.core.rails["lnd"]
        assert isinstance(lightning, LndRail)
        sendable = (await lightning.liquidity()).sendable_msat
        async with customer_of(nodes) as customer:
            # The customer takes nearly all that the channel has.
            drain = await customer.post("/v1/invoices", {"value_msat": str(sendable - 70_000_000)})
            order = PaymentOrder(uuid4(), str(drain["payment_request"]), "BTC", sendable - 70_000_000, 20_000)
            assert await lightning.congestion(order) == ""
            async with opened(client_of(nodes, "merchant")) as merchant:
                body = {"payment_request": drain["payment_request"], "timeout_seconds": 10, "fee_limit_msat": "20000"}
                async for update in merchant.stream("POST", "/v2/router/send", None, body, idle_seconds=10):
                    if update["status"] != "IN_FLIGHT":
                        assert update["status"] == "SUCCEEDED", update
                        break
            bill = await customer.post("/v1/invoices", {"value_msat": "80000000"})
            order = PaymentOrder(uuid4(), str(bill["payment_request"]), "BTC", 80_000_000, 20_000)
            assert "the channels can send 69999000 msat, and 80000000 are due" in await lightning.congestion(order)
            made = await accepted(world, str(bill["payment_request"]), sats=80_000)
            await sending.send(world.core, payouts_id(made))
            assert await stands(world, made) == ("onchain", "created")
            assert world.execute("SELECT 1 FROM payments.attempts WHERE kind = 'pay'") == []
            async with opened(client_of(nodes, "merchant")) as merchant:
                assert len((await merchant.get("/v1/payments"))["payments"]) == 1, "the drain alone"
        await paid_on_chain(world, made)

    async def test_a_route_above_the_fee_cap_sends_it_on_and_one_at_the_cap_does_not(
        self, world: OnchainWorld, nodes: LndProgram
    ) -> None:
        async with customer_of(nodes) as customer:
            bills = [await customer.post("/v1/invoices", {"value_msat": str(SATS * 1000)}) for _ in range(2)]
        dear, fair = (str(bill["payment_request"]) for bill in bills)
        made = await accepted(world, dear, maxFeeMsat=FEE_BASE_MSAT - 1)
        await sending.send(world.core, payouts_id(made))
        assert await stands(world, made) == ("onchain", "created")
        assert (
            "a route costs about 1000 msat, and the cap is 999" in (await world.read("payments", made["id"]))["reason"]
        )
        made = await accepted(world, fair, maxFeeMsat=FEE_BASE_MSAT)
        await sending.send(world.core, payouts_id(made))
        assert await stands(world, made) == ("lnd", "succeeded")

    async def test_a_node_that_cannot_be_asked_is_not_congested(self, world: OnchainWorld, nodes: LndProgram) -> None:
        async with customer_of(nodes) as customer:
            bill = await customer.post("/v1/invoices", {"value_msat": str(SATS * 1000)})
        lightning = world.core.rails["lnd"]
        assert isinstance(lightning, LndRail)
        nodes.kill()
        with pytest.raises(RailUnavailableError):
            await lightning.congestion(PaymentOrder(uuid4(), str(bill["payment_request"]), "BTC", SATS * 1000, 20_000))
        nodes.start()
