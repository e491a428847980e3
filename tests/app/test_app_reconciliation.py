"""Rail and books are compared one by one: what is missing is credited, what differs is drift until it is explained."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import psycopg
import pytest

from payments import metrics
from payments.core import Core
from payments.human_queue.tasks import LeaseHeldError, call
from payments.rails.protocol import Outcome, OutcomeState, RailUnavailableError
from payments.reconciliation import tasks
from payments.reconciliation.tasks import reconcile
from payments.worker import registry
from payments.worker.following import credit
from payments.worker.sweeper import sweep_once
from tests.app.conftest import TestDatabase, balances, client_of, fund, new_key
from tests.app.memory_rail import MemoryRail

UNKNOWN = Outcome(OutcomeState.UNKNOWN, reason="no answer")
PAID = Outcome(OutcomeState.SUCCEEDED, fee=7, proof={"preimage": "00"})
DEAD = Outcome(OutcomeState.DEAD, proof={"track": "FAILED"}, reason="no route")


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has just ended is compared, too."""
    monkeypatch.setattr(tasks, "SETTLED_AFTER", -timedelta(hours=1))
    monkeypatch.setattr(tasks, "QUIET_SECONDS", 0.3)


def _drift(rail: str = "lnd") -> float:
    return float(metrics.DRIFT.labels(rail, "BTC")._value.get())


async def _discrepancies(core: Core) -> list[tuple[str, int, str]]:
    rows = await core.database.all("SELECT * FROM payments.discrepancies ORDER BY id", name="test")
    return [(row["kind"], row["difference"], row["resolution"]) for row in rows]


async def _send(client: httpx.AsyncClient, core: Core, number: int = 1) -> dict[str, Any]:
    body = {"paymentRequest": MemoryRail.request(number, 1000), "maxFeeMsat": 10}
    made = await client.post("/v1/payments", json=body, headers={"Idempotency-Key": f"p{number}"})
    assert made.status_code == 202, made.text
    await registry.jobs()["payments.send", 1].handle(core, {"payment_id": made.json()["id"]})
    found: dict[str, Any] = made.json()
    return found


@pytest.fixture
async def office(core: Core) -> Any:
    made = await new_key(core, userId="root", permissions=["read", "write", "admin"])
    async with client_of(core, **{"x-api-key": made["key"]}) as opened:
        yield opened


class TestArrivals:
    async def test_what_came_while_the_service_was_down_is_credited_and_nothing_drifts(
        self, client: httpx.AsyncClient, core: Core, rail: MemoryRail
    ) -> None:
        made = (await client.post("/v1/invoices", json={"amount": 1000})).json()
        await rail.arrive(made["paymentHash"], 1000)
        await rail.arrive("nobody", 5)
        for seen in [one async for one in _until_now(rail)]:
            await credit(core, "lnd", [seen])
        await reconcile(core)
        assert await _discrepancies(core) == []
        assert _drift() == 0
        assert (await balances(core))["assets:lnd"] == 1005

    async def test_an_arrival_that_was_skipped_is_found_credited_and_on_record(
        self, client: httpx.AsyncClient, core: Core, rail: MemoryRail
    ) -> None:
        made = (await client.post("/v1/invoices", json={"amount": 1000})).json()
        await rail.arrive(made["paymentHash"], 1000)
        last = await rail.arrive("nobody", 5)
        await credit(core, "lnd", [last])  # the first was lost, and the cursor has passed it
        await reconcile(core)
        assert await _discrepancies(core) == [("arrival_missing", 1000, "credited")]
        assert (await client.get(f"/v1/invoices/{made['id']}")).json()["status"] == "settled"
        assert _drift() == 0
        cursor = "SELECT cursor FROM payments.rail_cursors"
        assert await core.database.value(cursor, name="test") == last.cursor
        await reconcile(core)
        compared = "SELECT compared FROM payments.reconciliations WHERE stream = 'arrivals'"
        assert await core.database.value(compared, name="test") == 2, "what was compared is not read again"

    async def test_another_amount_than_the_rails_is_drift_until_a_person_explains_it(
        self, core: Core, rail: MemoryRail, office: httpx.AsyncClient
    ) -> None:
        await credit(core, "lnd", [await rail.arrive("nobody", 5)])
        (arrival,) = rail.arrived
        rail.arrived[0] = type(arrival)(**{**_fields(arrival), "amount": 8})
        await reconcile(core)
        assert await _discrepancies(core) == [("arrival_differs", 3, "")]
        assert _drift() == 3
        queue = (await office.get("/v1/human-queue")).json()
        (found,) = queue["discrepancies"]
        path = f"/v1/human-queue/discrepancies/{found['id']}/resolve"
        answer = await office.post(path, json={"resolution": "the node's invoice was edited by hand"})
        assert answer.status_code == 200
        await tasks.measure(core)
        assert _drift() == 0
        assert (await office.post(path, json={"resolution": "once more, with feeling"})).status_code == 409


class TestPayments:
    @pytest.fixture(autouse=True)
    async def funded(self, core: Core) -> None:
        await fund(core, 100_000)

    @pytest.mark.parametrize(
        ("ours", "rails", "found"),
        [
            (PAID, PAID, None),
            (DEAD, DEAD, None),
            (PAID, UNKNOWN, None),
            (DEAD, PAID, ("payment_on_rail", -1007)),
            (PAID, DEAD, ("payment_not_on_rail", 1007)),
            (PAID, Outcome(OutcomeState.SUCCEEDED, fee=9, proof={"preimage": "00"}), ("fee_differs", -2)),
        ],
    )
    async def test_each_payment_that_ended_is_looked_up_again(
        self,
        client: httpx.AsyncClient,
        core: Core,
        rail: MemoryRail,
        ours: Outcome,
        rails: Outcome,
        found: tuple[str, int] | None,
    ) -> None:
        rail.next_outcome = ours
        await _send(client, core)
        for rail_id in rail.payments:
            rail.payments[rail_id] = rails
        await reconcile(core)
        await reconcile(core)
        expected = [] if found is None else [(*found, "")]
        assert await _discrepancies(core) == expected
        assert _drift() == (found[1] if found else 0)

    async def test_a_rail_that_is_down_is_compared_later(
        self, client: httpx.AsyncClient, core: Core, rail: MemoryRail, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await _send(client, core)

        async def down(*_: Any) -> Outcome:
            raise RailUnavailableError("down", rail="lnd")

        with monkeypatch.context() as patch:
            patch.setattr(rail, "look_up", down)
            await reconcile(core)
        position = "SELECT position FROM payments.reconciliations WHERE stream = 'payments'"
        assert await core.database.value(position, name="test") is None
        await reconcile(core)
        assert await core.database.value(position, name="test")


class TestHumanQueue:
    @pytest.fixture
    async def waiting(
        self, client: httpx.AsyncClient, core: Core, rail: MemoryRail, office: httpx.AsyncClient
    ) -> dict[str, Any]:
        """A payment whose outcome has been unknown for more than an hour."""
        await fund(core, 100_000)
        rail.next_outcome = UNKNOWN
        payment = await _send(client, core)
        await call(core)
        assert (await office.get("/v1/human-queue")).json()["attempts"] == []
        await core.database.run(
            "UPDATE payments.attempts SET person_since = clock_timestamp(), lease_until = now()", name="test"
        )
        return {**payment, "office": office}

    async def _decide(self, core: Core, waiting: dict[str, Any], **body: Any) -> httpx.Response:
        office: httpx.AsyncClient = waiting["office"]
        (found,) = (await office.get("/v1/human-queue")).json()["attempts"]
        evidence = {"evidence": "the operator of the node looked into its database"}
        answer = await office.post(f"/v1/human-queue/attempts/{found['id']}/resolve", json={**evidence, **body})
        row = await core.database.one(
            "SELECT payload FROM payments.outbox WHERE name = 'payments.verdict' ORDER BY id DESC LIMIT 1", name="test"
        )
        assert row is not None
        await registry.jobs()["payments.verdict", 1].handle(core, row["payload"])
        return answer

    async def test_a_person_ends_what_the_rail_cannot_tell(
        self, client: httpx.AsyncClient, core: Core, waiting: dict[str, Any]
    ) -> None:
        assert (await self._decide(core, waiting, outcome="dead")).status_code == 202
        payment = (await client.get(f"/v1/payments/{waiting['id']}")).json()
        assert (payment["status"], payment["proof"]["person"][:4]) == ("failed", "key:")
        assert "operator" in payment["proof"]["evidence"]
        assert (await balances(core))["liabilities:user:test:alice"] == -100_000
        actor = "SELECT actor FROM payments.audit_log WHERE action = 'unknown>failed'"
        assert str(await core.database.value(actor, name="test")).startswith("key:")
        assert (await waiting["office"].get("/v1/human-queue")).json()["attempts"] == []

    async def test_the_rail_is_asked_once_more_and_believed(
        self, client: httpx.AsyncClient, core: Core, rail: MemoryRail, waiting: dict[str, Any]
    ) -> None:
        for rail_id in rail.payments:
            rail.payments[rail_id] = PAID
        await self._decide(core, waiting, outcome="dead")
        assert (await client.get(f"/v1/payments/{waiting['id']}")).json()["status"] == "succeeded"

    @pytest.mark.parametrize(
        ("outcome", "refund", "suspense"),
        [("succeeded", "succeeded", "refunded"), ("dead", "awaiting_payee", "refunding")],
    )
    async def test_a_verdict_on_a_refunds_payment_is_the_refunds(
        self,
        client: httpx.AsyncClient,
        core: Core,
        rail: MemoryRail,
        office: httpx.AsyncClient,
        outcome: str,
        refund: str,
        suspense: str,
    ) -> None:
        await fund(core, 100)
        invoice = (await client.post("/v1/invoices", json={"amount": 1000})).json()
        await credit(core, "lnd", [await rail.arrive(invoice["paymentHash"], 700)])
        (suspended,) = (await client.get("/v1/suspense")).json()["data"]
        rail.next_outcome = UNKNOWN
        body = {"suspenseId": suspended["id"], "payee": MemoryRail.request(9, 700), "maxFeeMsat": 50}
        made = (await client.post("/v1/refunds", json=body, headers={"Idempotency-Key": "r"})).json()
        rows = await core.database.all("DELETE FROM payments.outbox WHERE kind = 'job' RETURNING payload", name="test")
        for row in rows:
            await registry.jobs()["payments.send", 1].handle(core, row["payload"])
        await core.database.run(
            "UPDATE payments.attempts SET person_since = clock_timestamp(), lease_until = now() WHERE kind = 'pay'",
            name="test",
        )
        (waiting,) = (await office.get("/v1/human-queue")).json()["attempts"]
        assert waiting["refundId"] == made["id"]
        await self._decide(core, {"office": office}, outcome=outcome)
        assert (await client.get(f"/v1/refunds/{made['id']}")).json()["status"] == refund
        found = (await client.get("/v1/suspense", params={"status": suspense})).json()["data"]
        assert [one["id"] for one in found] == [suspended["id"]]

    async def test_what_is_on_its_way_is_not_declared_dead(
        self, client: httpx.AsyncClient, core: Core, rail: MemoryRail, waiting: dict[str, Any]
    ) -> None:
        for rail_id in rail.payments:
            rail.payments[rail_id] = Outcome(OutcomeState.IN_FLIGHT, reason="on its way")
        await self._decide(core, waiting, outcome="dead")
        assert (await client.get(f"/v1/payments/{waiting['id']}")).json()["status"] == "sending"

    async def test_a_verdict_waits_for_whoever_looks_it_up_now(self, core: Core, waiting: dict[str, Any]) -> None:
        await core.database.run("UPDATE payments.attempts SET lease_until = now() + interval '1 minute'", name="test")
        with pytest.raises(LeaseHeldError):
            await self._decide(core, waiting, outcome="dead")

    async def test_it_is_looked_up_all_the_same(
        self, client: httpx.AsyncClient, core: Core, rail: MemoryRail, waiting: dict[str, Any]
    ) -> None:
        for rail_id in rail.payments:
            rail.payments[rail_id] = PAID
        await core.database.run("UPDATE payments.attempts SET next_look_at = now()", name="test")
        await sweep_once(core, registry.look_ups())
        assert (await client.get(f"/v1/payments/{waiting['id']}")).json()["status"] == "succeeded"

    async def test_only_administrators_see_it(self, client: httpx.AsyncClient) -> None:
        assert (await client.get("/v1/human-queue")).status_code == 403


async def test_a_person_is_called_after_the_time_that_is_set(
    client: httpx.AsyncClient, core: Core, rail: MemoryRail, database: TestDatabase
) -> None:
    await fund(core, 100_000)
    rail.next_outcome = UNKNOWN
    await _send(client, core)
    await call(core)
    statement = "SELECT count(*) FROM payments.attempts WHERE person_since IS NOT NULL"
    assert await core.database.value(statement, name="test") == 0
    with psycopg.connect(database.owner_url) as connection:
        connection.execute("UPDATE payments.attempts SET created_at = now() - interval '61 minutes'")
    for _ in range(2):
        await call(core)
        assert await core.database.value(statement, name="test") == 1
    audited = "SELECT count(*) FROM payments.audit_log WHERE action = 'waits for a person'"
    assert await core.database.value(audited, name="test") == 1


def _fields(arrival: Any) -> dict[str, Any]:
    return {name: getattr(arrival, name) for name in type(arrival).__slots__}


async def _until_now(rail: MemoryRail) -> Any:
    for arrival in list(rail.arrived):
        yield arrival
