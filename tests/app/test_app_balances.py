"""What a rail says that we hold is compared with the books; what nobody explained is drift."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from payments.core import Core
from payments.ledger.repository import post_journal
from payments.ledger.schemas import Line
from payments.rails.protocol import RailUnavailableError
from payments.reconciliation.balances import compare_balances
from payments.reconciliation.tasks import measure
from tests.app.conftest import client_of, fund, new_key
from tests.app.memory_rail import MemoryRail


class Node(MemoryRail):
    """A rail that says what it holds."""

    def __init__(self) -> None:
        super().__init__()
        self.holds: Mapping[str, int] = {"BTC": 50_000}
        self.meanwhile: Any = None
        self.balance_scope = ""

    async def held(self) -> Mapping[str, int]:
        if self.meanwhile is not None:
            await self.meanwhile()
        return self.holds


@pytest.fixture
def node() -> Node:
    return Node()


@pytest.fixture
async def core(core: Core, node: Node) -> Core:
    """Its books say 1,000, the node holds 50,000: the rest is capital."""
    await fund(core, 1000)
    core = dataclasses.replace(core, rails={"lnd": node})
    await compare_balances(core)
    return core


async def _drift(core: Core) -> tuple[float | None, float | None]:
    """The balance's drift, and the drift of all discrepancies."""
    labels = {"rail": "lnd", "asset": "BTC"}
    await measure(core)
    return (
        REGISTRY.get_sample_value("payment_balance_drift", labels),
        REGISTRY.get_sample_value("payment_reconciliation_drift", labels),
    )


async def _move(core: Core, amount: int) -> None:
    async with core.database.transaction() as connection:
        lines = [Line("assets:lnd", "BTC", amount), Line("liabilities:user:test:alice", "BTC", -amount)]
        await post_journal(connection, kind="test", source=str(core.clock.new_id()), memo="", lines=lines)


async def test_the_first_comparison_is_the_opening(core: Core) -> None:
    assert await _drift(core) == (0, 0)
    row = await core.database.one("SELECT opening, held, books FROM payments.rail_balances", name="test")
    assert row == {"opening": 49_000, "held": 50_000, "books": 1000}
    audit = "SELECT count(*) FROM payments.audit_log WHERE object_kind = 'rail_balance'"
    assert await core.database.value(audit, name="test") == 1


async def test_what_moves_on_both_sides_is_no_drift(core: Core, node: Node) -> None:
    node.holds = {"BTC": 50_700}
    await _move(core, 700)
    for _ in range(3):
        await compare_balances(core)
    assert await _drift(core) == (0, 0)


async def test_money_that_left_without_a_payment_is_drift_until_somebody_explains_it(core: Core, node: Node) -> None:
    boss = await new_key(core, userId="boss", permissions=["admin"])
    node.holds = {"BTC": 42_000}
    await compare_balances(core)
    assert await _drift(core) == (-8000, 0), "seen once"
    for _ in range(3):
        await compare_balances(core)
    assert await _drift(core) == (-8000, -8000), "noted once, however often it is seen"
    async with client_of(core, **{"x-api-key": boss["key"]}) as office:
        (found,) = (await office.get("/v1/human-queue")).json()["discrepancies"]
        assert (found["kind"], found["difference"], found["detail"]["opening"]) == ("balance", -8000, 49_000)
        path = f"/v1/human-queue/discrepancies/{found['id']}/resolve"
        answer = await office.post(path, json={"resolution": "swept to cold storage by the treasurer"})
        assert answer.status_code == 200, answer.text
    await compare_balances(core)
    assert await _drift(core) == (0, 0)
    node.holds = {"BTC": 41_900}
    for _ in range(2):
        await compare_balances(core)
    assert await _drift(core) == (-100, -100), "what comes on top is a matter of its own"


async def test_drift_that_is_gone_is_closed_by_itself_and_explains_nothing(core: Core, node: Node) -> None:
    for held in (50_300, 50_300, 50_000, 50_000):
        node.holds = {"BTC": held}
        await compare_balances(core)
    assert await _drift(core) == (0, 0)
    row = await core.database.one("SELECT resolved_by, difference FROM payments.discrepancies", name="test")
    assert row == {"resolved_by": "worker", "difference": 300}
    for _ in range(2):
        await compare_balances(core)
    assert await _drift(core) == (0, 0)


async def test_nothing_is_compared_while_money_moves(core: Core, node: Node, client: httpx.AsyncClient) -> None:
    node.holds = {"BTC": 1}

    async def credited() -> None:
        await _move(core, 5)

    node.meanwhile = credited
    for _ in range(3):
        await compare_balances(core)
    node.meanwhile = None
    body = {"paymentRequest": MemoryRail.request(1, 100), "maxFeeMsat": 0}
    assert (await client.post("/v1/payments", json=body, headers={"Idempotency-Key": "k"})).status_code == 202
    await core.database.run("UPDATE payments.payments SET state = 'sending'", name="test")
    for _ in range(3):
        await compare_balances(core)
    assert await _drift(core) == (0, 0)


async def test_a_rail_that_does_not_answer_is_left_for_the_next_time(core: Core, node: Node) -> None:
    async def down() -> None:
        raise RailUnavailableError("down", rail="lnd")

    node.meanwhile = down
    node.holds = {"BTC": 1}
    await compare_balances(core)
    assert await _drift(core) == (0, 0)


async def test_when_a_balance_comes_to_count_more_the_drift_of_before_stays_and_nothing_is_added(
    core: Core, node: Node
) -> None:
    node.holds = {"BTC": 49_900}
    for _ in range(2):
        await compare_balances(core)
    assert await _drift(core) == (-100, -100)
    node.holds, node.balance_scope = {"BTC": 49_900 + 7_000}, "channels and wallet"
    for _ in range(3):
        await compare_balances(core)
    assert await _drift(core) == (-100, -100), "the wallet is no find, and what was missing is missing"
    node.holds = {"BTC": 49_900 + 6_500}
    for _ in range(2):
        await compare_balances(core)
    assert await _drift(core) == (-600, -600), "what leaves the wallet is drift"
    row = await core.database.one(
        "SELECT difference, resolution FROM payments.discrepancies WHERE resolved_by = 'rule:scope'", name="test"
    )
    assert row == {"difference": 7000, "resolution": "counted is now: channels and wallet; before: "}
    # The release before compares the channels alone: it says what the newer one found, and writes nothing.
    statement = "SELECT drift, noted FROM payments.compare_balance('lnd', 'BTC', 1, 2, clock_timestamp())"
    assert await core.database.one(statement, name="test") == {"drift": -600, "noted": 0}
    assert await core.database.value("SELECT held FROM payments.rail_balances", name="test") == 56_400
