"""What keeps money from leaving: switches, a second person, holds after failures, the hot wallet's floor."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from payments.api_keys.schemas import Caller
from payments.approvals.tasks import close_forgotten
from payments.core import Core
from payments.errors import ServiceUnavailable
from payments.payouts.departure import HeldError
from payments.rails.protocol import Outcome, OutcomeState, OutcomeUnknownError
from payments.suspicion import service as suspicion
from payments.wallets.tasks import weigh
from payments.worker import registry
from payments.worker.queue import LONGEST_RETRY_SECONDS, _Retry
from payments.worker.sweeper import sweep_once
from tests.app.conftest import balances, client_of, fund, new_key
from tests.app.memory_rail import MemoryRail

INVOICE = "/api/lightning/create-invoice"
DEAD = Outcome(OutcomeState.DEAD, proof={"track_payment": "FAILED"}, reason="no route")


def changed(core: Core, **settings: Any) -> Core:
    """The same core with other settings."""
    return dataclasses.replace(core, settings=core.settings.model_copy(update=settings))


async def accept(client: httpx.AsyncClient, number: int = 1, **more: Any) -> httpx.Response:
    body = {"rail": "lnd", "paymentRequest": MemoryRail.request(number), "maxFeeMsat": 100, **more}
    return await client.post("/v1/payments", json=body, headers={"Idempotency-Key": f"k-{number}"})


async def work(core: Core) -> int:
    """Run what the outbox has, as the worker would; what is held goes back. Returns how many were held."""
    rows = await core.database.all("DELETE FROM payments.outbox WHERE kind = 'job' RETURNING payload", name="test")
    held = 0
    for row in rows:
        try:
            await registry.jobs()["payments.send", 1].handle(core, row["payload"])
        except HeldError:
            held += 1
            async with core.database.statements() as transaction:
                await transaction.run(
                    "SELECT payments.enqueue_job('payments.send', 1, 'payment', %s, "
                    "jsonb_build_object('payment_id', %s::text), '')",
                    (row["payload"]["payment_id"], row["payload"]["payment_id"]),
                    name="test",
                )
    return held


async def states(core: Core) -> list[str]:
    rows = await core.database.all("SELECT state FROM payments.payments ORDER BY created_at", name="test")
    return [row["state"] for row in rows]


async def admin_of(core: Core, user: str = "boss") -> httpx.AsyncClient:
    made = await new_key(core, userId=user, permissions=["admin"])
    return client_of(core, **{"x-api-key": made["key"]})


async def put(client: httpx.AsyncClient, name: str, *, on: bool, **more: Any) -> httpx.Response:
    answer = await client.put(f"/v1/switches/{name}", json={"on": on, "reason": "drill", **more})
    assert answer.status_code == 200, answer.text
    return answer


class TestSwitches:
    async def test_paused_payouts_are_neither_accepted_nor_sent_until_they_are_on_again(
        self, client: httpx.AsyncClient, core: Core, rail: MemoryRail
    ) -> None:
        await fund(core, 100_000)
        assert (await accept(client, 1)).status_code == 202
        async with await admin_of(core) as admin:
            await put(admin, "payouts", on=False)
            refused = await accept(client, 2)
            assert (refused.status_code, refused.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
            assert (refused.json()["error"], "retry-after" in refused.headers) == ("Payouts are paused: drill", True)
            assert (await client.post(INVOICE, json={"amount": 1})).status_code == 200, "invoices go on"
            assert await work(core) == 1
            assert (await states(core), rail.sent.total()) == (["created"], 0), "nothing left"
            await put(admin, "payouts", on=True)
        assert await work(core) == 0
        assert (await states(core), rail.sent.total()) == (["succeeded"], 1)
        audit = await core.database.all(
            "SELECT actor, status FROM payments.audit_log WHERE object_kind = 'switch' ORDER BY id", name="test"
        )
        assert [row["status"] for row in audit] == ["off", "on"]
        assert all(row["actor"].startswith("key:") for row in audit)

    async def test_the_worker_asks_postgresql_and_believes_no_memory(
        self, core: Core, client: httpx.AsyncClient
    ) -> None:
        await fund(core, 100_000)
        assert (await accept(client)).status_code == 202
        assert await core.switches.stopping() == {}
        await core.database.run(
            "SELECT payments.set_switch('send:lnd', false, 'node down', NULL, now(), 'test')", name="test"
        )
        assert await work(core) == 1, "set by another process a moment ago"

    async def test_an_attempt_the_rail_does_not_know_is_not_submitted_again_while_paused(
        self, client: httpx.AsyncClient, core: Core, rail: MemoryRail
    ) -> None:
        await fund(core, 100_000)
        await accept(client)

        async def lost() -> None:
            raise OutcomeUnknownError("no answer", rail="lnd")

        working, rail.before = rail.before, lost
        await work(core)
        rail.before = working
        assert await states(core) == ["unknown"]

        async def due() -> None:
            await core.database.run(
                "UPDATE payments.attempts SET lease_until = now(), next_look_at = now()", name="test"
            )
            await sweep_once(core, registry.look_ups())

        async with await admin_of(core) as admin:
            await put(admin, "send:lnd", on=False)
            await due()
            assert (await states(core), rail.sent.total()) == (["unknown"], 0)
            await put(admin, "send:lnd", on=True)
            for number in range(10):
                await suspicion.failed(core, user_id="alice", environment="test", what=f"failure {number}")
            await due()
            assert (await states(core), rail.sent.total()) == (["unknown"], 0), "nor while its user is held"
            await admin.put("/v1/users/alice/review", json={"note": "a broken till"})
        await due()
        assert (await states(core), rail.sent.total()) == (["succeeded"], 1)

    async def test_maintenance_stops_what_writes_and_leaves_reading_and_administrators(
        self, client: httpx.AsyncClient, core: Core
    ) -> None:
        await fund(core, 100_000)
        async with await admin_of(core) as admin:
            await put(admin, "maintenance", on=True)
            statuses = {
                "invoice": (await client.post(INVOICE, json={"amount": 1})).status_code,
                "payout": (await accept(client)).status_code,
                "read": (await client.get("/v1/invoices")).status_code,
                "ready": (await client.get("/ready")).status_code,
                "key": (
                    await admin.post("/api-keys", json={"name": "n", "userId": "u", "environment": "test"})
                ).status_code,
            }
            assert statuses == {"invoice": 503, "payout": 503, "read": 200, "ready": 200, "key": 201}
            await put(admin, "maintenance", on=False)
        assert (await client.post(INVOICE, json={"amount": 1})).status_code == 200

    async def test_one_rail_and_a_time_limit(self, client: httpx.AsyncClient, core: Core) -> None:
        until = core.clock.now() + timedelta(minutes=5)
        async with await admin_of(core) as admin:
            await put(admin, "receive:lnd", on=False, until=until.isoformat())
            refused = await client.post(INVOICE, json={"amount": 1})
            assert (refused.status_code, refused.json()["error"]) == (503, "The rail lnd does not receive now: drill")
            listed = {one["name"]: one for one in (await admin.get("/v1/switches")).json()["data"]}
            assert (listed["receive:lnd"]["stops"], listed["send:lnd"]["stops"]) == (True, False)
            assert listed["maintenance"]["on"] is False
            past = await admin.put(
                "/v1/switches/payouts", json={"on": False, "reason": "r", "until": "2020-01-01T00:00:00Z"}
            )
            assert past.status_code == 400
            assert (await admin.put("/v1/switches/send:nowhere", json={"on": False, "reason": "r"})).status_code == 404
            assert (await admin.put("/v1/switches/all", json={"on": False, "reason": "r"})).status_code == 400
        later = dataclasses.replace(core.clock, now=lambda: until + timedelta(seconds=1))
        await dataclasses.replace(core, clock=later).switches.refuse_if_stopped("receive:lnd")
        with pytest.raises(ServiceUnavailable):
            await dataclasses.replace(core).switches.refuse_if_stopped("receive:lnd")

    async def test_only_administrators_touch_them(self, client: httpx.AsyncClient) -> None:
        assert (await client.put("/v1/switches/payouts", json={"on": False, "reason": "r"})).status_code == 403
        assert (await client.get("/v1/switches")).status_code == 403

    def test_a_held_job_comes_again_soon_and_a_rails_wish_is_honoured(self) -> None:
        from procrastinate.jobs import Job

        job = Job(queue="v1", lock=None, queueing_lock=None, task_name="t", task_kwargs={}, attempts=12)
        held = _Retry().get_retry_decision(exception=HeldError("held"), job=job)
        usual = _Retry().get_retry_decision(exception=RuntimeError(), job=job)
        assert held is not None
        assert usual is not None
        assert held.retry_at is not None
        assert usual.retry_at is not None
        assert (usual.retry_at - held.retry_at).total_seconds() > LONGEST_RETRY_SECONDS / 2


class TestApprovals:
    async def test_above_the_threshold_nothing_leaves_without_a_second_person(
        self, client: httpx.AsyncClient, core: Core, rail: MemoryRail
    ) -> None:
        core = changed(core, approval_threshold_msat=5000)
        await fund(core, 100_000)
        small = (await accept(client, 1)).json()["id"]
        large = await accept(client, 2, paymentRequest=MemoryRail.request(2, 5001))
        assert large.status_code == 202
        assert await work(core) == 0
        assert sorted(await states(core)) == ["created", "succeeded"], "the small one needs nobody"
        route = f"/v1/payments/{large.json()['id']}/approve"

        async with await admin_of(core, "alice") as same_user, await admin_of(core, "boss") as boss:
            assert [one["paymentId"] for one in (await boss.get("/v1/approvals")).json()["data"]] == [
                large.json()["id"]
            ]
            refused = {
                "the same user, another key": (await same_user.post(route, json={})).status_code,
                "no administrator": (await client.post(route, json={})).status_code,
                "the bootstrap credential": (await _bootstrap(core, route)).status_code,
                "no such payment": (
                    await boss.post(f"/v1/payments/{core.clock.new_id()}/approve", json={})
                ).status_code,
                "one that is over": (await boss.post(f"/v1/payments/{small}/approve", json={})).status_code,
            }
            assert list(refused.values()) == [403, 403, 403, 404, 409], refused
            assert await work(core) == 0
            assert rail.sent.total() == 1
            given = await boss.post(route, json={"note": "known supplier"})
            assert given.status_code == 200, given.text
            assert (await boss.post(route, json={})).status_code == 200, "twice is once"
        assert await work(core) == 0
        assert await states(core) == ["succeeded", "succeeded"]
        assert rail.sent.total() == 2
        log = await core.database.one(
            "SELECT actor, user_id, detail FROM payments.audit_log WHERE action = 'approved'", name="test"
        )
        assert log is not None
        assert (log["user_id"], log["detail"]) == ("alice", {"approverUser": "boss", "note": "known supplier"})

    async def test_a_row_that_the_asker_wrote_is_not_believed_by_the_signer(
        self, client: httpx.AsyncClient, core: Core, rail: MemoryRail
    ) -> None:
        core = changed(core, approval_threshold_msat=1)
        await fund(core, 100_000)
        made = (await accept(client)).json()["id"]
        await core.database.run(
            "INSERT INTO payments.approvals VALUES (%s, 'key:stolen', 'alice', '', now())", (made,), name="test"
        )
        await work(core)
        assert (await states(core), rail.sent.total()) == (["created"], 0)

    async def test_what_nobody_approves_is_closed_and_its_reserve_given_back(
        self, client: httpx.AsyncClient, core: Core
    ) -> None:
        core = changed(core, approval_threshold_msat=1, approval_lifetime_seconds=60)
        await fund(core, 100_000)
        await accept(client)
        await work(core)
        await close_forgotten(core)
        assert await states(core) == ["created"]
        assert REGISTRY.get_sample_value("approvals_waiting") == 1
        late = dataclasses.replace(core.clock, now=lambda: core.clock.now() + timedelta(seconds=120))
        await close_forgotten(dataclasses.replace(core, clock=late))
        assert await states(core) == ["failed"]
        assert (await balances(core))["liabilities:user:test:alice"] == -100_000

    async def test_a_payment_that_waits_for_nobody_any_more_is_sent(
        self, client: httpx.AsyncClient, core: Core, rail: MemoryRail
    ) -> None:
        strict = changed(core, approval_threshold_msat=1)
        await fund(core, 100_000)
        await accept(client)
        await work(strict)
        late = dataclasses.replace(core.clock, now=lambda: core.clock.now() + timedelta(minutes=11))
        await close_forgotten(dataclasses.replace(strict, clock=late))
        await work(strict)
        assert rail.sent.total() == 0
        await close_forgotten(dataclasses.replace(core, clock=late))
        await work(core)
        assert (await states(core), rail.sent.total()) == (["succeeded"], 1), "the threshold was taken away"


async def _bootstrap(core: Core, route: str) -> httpx.Response:
    from tests.app.conftest import SECRETS

    async with client_of(core, **{"x-api-key": SECRETS["bootstrap_admin_key"]}) as client:
        return await client.post(route, json={})


class TestSuspicion:
    async def test_what_was_queued_before_the_hold_is_not_signed_after_it(
        self, client: httpx.AsyncClient, core: Core, rail: MemoryRail
    ) -> None:
        await fund(core, 100_000)
        assert (await accept(client, 1)).status_code == 202
        for number in range(10):
            await suspicion.failed(core, user_id="alice", environment="test", what=f"failure {number}")
        assert await work(core) == 1, "held, and tried again later"
        assert (await states(core), rail.sent.total()) == (["created"], 0)
        async with await admin_of(core) as admin:
            answer = await admin.put("/v1/users/alice/review", json={"note": "a broken till"})
            assert answer.status_code == 200
        assert await work(core) == 0
        assert (await states(core), rail.sent.total()) == (["succeeded"], 1)

    async def test_ten_failures_in_an_hour_hold_the_users_payouts_until_somebody_looks(
        self, client: httpx.AsyncClient, core: Core, rail: MemoryRail
    ) -> None:
        await fund(core, 12 * 5100)
        rail.next_outcome = DEAD
        for number in range(9):
            assert (await accept(client, number)).status_code == 202
        await work(core)
        assert await states(core) == ["failed"] * 9
        assert (await accept(client, 100, paymentRequest=MemoryRail.request(100, 10**8))).status_code == 402
        held = await accept(client, 10)
        assert (held.status_code, held.json()["details"]["failures"]) == (403, 10)
        assert (await client.post(INVOICE, json={"amount": 1})).status_code == 200, "being paid goes on"
        other = Caller("k", "bob", "test", frozenset({"write"}))
        await suspicion.refuse_if_held(core, other)
        audit = await core.database.value(
            "SELECT count(*) FROM payments.audit_log WHERE object_kind = 'user' AND action = 'held'", name="test"
        )
        assert audit == 1
        async with await admin_of(core) as admin:
            reviewed = await admin.put("/v1/users/alice/review", json={"note": "a broken node"})
            assert reviewed.json() == {"userId": "alice", "reviewed": 10}
            assert (await client.put("/v1/users/alice/review", json={"note": "me"})).status_code == 403
        assert (await accept(client, 11)).status_code == 202

    async def test_failures_age(self, core: Core) -> None:
        caller = Caller("k", "carol", "test", frozenset({"write"}))
        for _ in range(10):
            await suspicion.failed(core, user_id="carol", environment="test", what="no route")
        later = dataclasses.replace(core.clock, now=lambda: core.clock.now() + timedelta(seconds=3601))
        await suspicion.refuse_if_held(dataclasses.replace(core, clock=later), caller)


class TestHotWallet:
    async def test_the_floor_holds_payouts_and_asks_for_a_top_up_that_closes_itself(
        self, client: httpx.AsyncClient, core: Core, rail: MemoryRail
    ) -> None:
        core = changed(core, hot_wallet_floor_msat=8_000, hot_wallet_ceiling_msat=30_000)
        await fund(core, 13_000)
        await accept(client)
        assert await work(core) == 1, "13,000 - 5,100 is below the floor of 8,000"
        assert rail.sent.total() == 0
        await core.database.run(
            "SELECT payments.post_journal('t', '1', '', ARRAY['assets:lnd', 'equity:cold'], ARRAY['BTC', 'BTC'], "
            "ARRAY[-6000::numeric, 6000])",
            name="test",
        )
        await weigh(core)
        await weigh(core)
        async with await admin_of(core) as admin:
            (wanted,) = (await admin.get("/v1/wallet-transfers")).json()["data"]
        assert (wanted["direction"], wanted["amount"], wanted["balance"], wanted["state"]) == (
            "top_up",
            12_000,
            7_000,
            "open",
        )
        await fund(core, 12_000)
        await weigh(core)
        assert await work(core) == 0
        assert await states(core) == ["succeeded"]
        await fund(core, 40_000)
        await weigh(core)
        rows = await core.database.all(
            "SELECT direction, state FROM payments.wallet_transfers ORDER BY id", name="test"
        )
        assert [(row["direction"], row["state"]) for row in rows] == [("top_up", "done"), ("sweep", "open")]
        events = await core.database.all(
            "SELECT name FROM payments.outbox WHERE subject_kind = 'wallet_transfer' ORDER BY id", name="test"
        )
        assert [row["name"] for row in events] == ["wallet.top_up_requested", "wallet.sweep_requested"]
