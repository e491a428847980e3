"""Lightning falls back to the chain only from a provably dead attempt, or before anything was tried."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import pytest

from payments.payouts import sending
from payments.rails.protocol import Outcome, OutcomeState, PaymentOrder
from payments.settings import Settings
from tests.app.conftest import TestDatabase, balances
from tests.app.memory_rail import MemoryRail
from tests.app.rails.onchain_world import PAYEE, OnchainWorld, onchain_settings, onchain_world, payouts_id
from tests.sandbox.processes import EsploraProgram, running

SATS = 50_000


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EsploraProgram]:
    program = EsploraProgram(tmp_path_factory.mktemp("esplora"))
    with running(program):
        yield program


@pytest.fixture
async def world(settings: Settings, database: TestDatabase, network: EsploraProgram) -> AsyncIterator[OnchainWorld]:
    async with onchain_world(onchain_settings(settings, network.url), database, network) as made:
        await made.load_wallet(300_000)
        yield made


def lightning(world: OnchainWorld) -> MemoryRail:
    rail = world.core.rails["lnd"]
    assert isinstance(rail, MemoryRail)
    return rail


def waiting_on_chain(world: OnchainWorld) -> int:
    """Transactions to the payee that wait in the mempool."""
    return len(world.network.ask(f"/address/{PAYEE}/txs/mempool"))


async def accepted(world: OnchainWorld, message: str, **more: Any) -> dict[str, Any]:
    body = {
        "rail": "lnd",
        "paymentRequest": MemoryRail.request(uuid4().int >> 72, SATS * 1000),
        "amountMsat": SATS * 1000,
        "fallback": {"rail": "onchain", "paymentRequest": f"{PAYEE}?message={message}", **more},
    }
    answer = await world.client.post("/v1/payments", json=body, headers={"Idempotency-Key": str(uuid4())})
    assert answer.status_code == 202, answer.text
    made: dict[str, Any] = answer.json()
    return made


DEAD = Outcome(OutcomeState.DEAD, proof={"track_payment": "FAILED"}, reason="FAILURE_REASON_NO_ROUTE")


async def test_a_dead_lightning_attempt_goes_on_on_the_chain(world: OnchainWorld) -> None:
    lightning(world).next_outcome = DEAD
    made = await accepted(world, "dead")
    await sending.send(world.core, payouts_id(made))
    fallen = await world.read("payments", made["id"])
    assert (fallen["rail"], fallen["status"]) == ("onchain", "created")
    assert "NO_ROUTE" in fallen["reason"]
    await sending.send(world.core, payouts_id(made))
    world.network.mine(1)
    await world.look_again()
    done = await world.read("payments", made["id"])
    assert (done["rail"], done["status"]) == ("onchain", "succeeded")
    assert world.execute("SELECT rail, state FROM payments.attempts WHERE kind = 'pay' ORDER BY created_at") == [
        ("lnd", "dead"),
        ("onchain", "succeeded"),
    ]
    books = await balances(world.core)
    assert books["assets:onchain"] == (300_000 - SATS) * 1000 - done["fee"]
    assert books["liabilities:reserved:test:alice"] == 0


async def test_an_unknown_one_never_does(world: OnchainWorld) -> None:
    rail = lightning(world)
    rail.next_outcome = Outcome(OutcomeState.UNKNOWN, reason="no answer")
    made = await accepted(world, "unknown")
    await sending.send(world.core, payouts_id(made))
    for _ in range(3):
        await world.look_again()
        found = await world.read("payments", made["id"])
        assert (found["rail"], found["status"]) == ("lnd", "unknown")
    assert waiting_on_chain(world) == 0


async def test_when_the_chain_fails_too_the_payment_has_failed(world: OnchainWorld) -> None:
    lightning(world).next_outcome = DEAD
    made = await accepted(world, "capped", maxFeeMsat=1000)
    await sending.send(world.core, payouts_id(made))
    await sending.send(world.core, payouts_id(made))
    found = await world.read("payments", made["id"])
    assert (found["rail"], found["status"]) == ("onchain", "failed")
    assert "fee cap of 1 sat" in found["reason"]
    assert (await balances(world.core))["liabilities:reserved:test:alice"] == 0


async def test_congestion_counts_before_submission_only(world: OnchainWorld) -> None:
    rail = lightning(world)

    async def full(_order: PaymentOrder) -> str:
        return "the channels can send 0 msat"

    rail.congestion = full  # type: ignore[attr-defined]
    made = await accepted(world, "congested")
    await sending.send(world.core, payouts_id(made))
    found = await world.read("payments", made["id"])
    assert (found["rail"], found["status"]) == ("onchain", "created")
    assert sum(rail.sent.values()) == 0
    await sending.send(world.core, payouts_id(made))
    assert waiting_on_chain(world) == 1
    world.network.mine(1)


async def test_a_fallback_that_cannot_be_is_refused(world: OnchainWorld) -> None:
    for fallback, sentence in (
        ({"rail": "onchain", "paymentRequest": "nonsense"}, "no Bitcoin address"),
        ({"rail": "lnd", "paymentRequest": PAYEE}, "cannot fall back"),
        ({"rail": "onchain", "paymentRequest": PAYEE + "?amount=0.1"}, "The fallback asks for"),
    ):
        body = {"rail": "lnd", "paymentRequest": MemoryRail.request(1, SATS * 1000), "fallback": fallback}
        answer = await world.client.post("/v1/payments", json=body, headers={"Idempotency-Key": "refused"})
        assert answer.status_code == 400, answer.text
        assert sentence in answer.text
