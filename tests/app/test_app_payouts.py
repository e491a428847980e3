"""A payment is sent at most once, fails only when provably dead, and `unknown` never becomes anything by time."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest

from payments.core import Core
from payments.payouts import repository, sending
from payments.payouts.sending import look_again_after
from payments.rails.protocol import Outcome, OutcomeState, OutcomeUnknownError, RailRefusedError, RailUnavailableError
from payments.worker import registry
from payments.worker.sweeper import sweep_once
from tests.app.conftest import TestDatabase, balances, client_of, fund, new_key
from tests.app.memory_rail import MemoryRail

UNKNOWN = Outcome(OutcomeState.UNKNOWN, reason="no answer")
DEAD = Outcome(OutcomeState.DEAD, proof={"track_payment": "FAILED"}, reason="no route")
BEFORE = {"assets:lnd": 100_000, "liabilities:user:test:alice": -100_000}


@pytest.fixture
async def funded(core: Core) -> None:
    await fund(core, 100_000)


async def _accept(client: httpx.AsyncClient, number: int = 1, **changed: Any) -> httpx.Response:
    body = {"rail": "lnd", "paymentRequest": MemoryRail.request(number), "maxFeeMsat": 100, **changed}
    return await client.post("/v1/payments", json=body, headers={"Idempotency-Key": f"k-{number}"})


async def _work(core: Core) -> None:
    """Run what the outbox has, as the worker would."""
    rows = await core.database.all("DELETE FROM payments.outbox WHERE kind = 'job' RETURNING payload", name="test")
    for row in rows:
        await registry.jobs()["payments.send", 1].handle(core, row["payload"])


async def _due(core: Core) -> None:
    await core.database.run("UPDATE payments.attempts SET lease_until = now(), next_look_at = now()", name="test")


async def _view(client: httpx.AsyncClient) -> dict[str, Any]:
    (payment,) = (await client.get("/v1/payments")).json()["data"]
    found: dict[str, Any] = payment
    return found


@pytest.mark.usefixtures("funded")
class TestAccepting:
    async def test_amount_and_fee_cap_are_reserved(self, client: httpx.AsyncClient, core: Core) -> None:
        answer = await _accept(client)
        assert (answer.status_code, answer.json()["status"]) == (202, "created")
        assert (await balances(core))["liabilities:reserved:test:alice"] == -5100
        assert (await balances(core))["liabilities:user:test:alice"] == -94_900

    async def test_a_key_is_required(self, client: httpx.AsyncClient) -> None:
        answer = await client.post("/v1/payments", json={"rail": "lnd", "paymentRequest": MemoryRail.request(1)})
        assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_INPUT")
        assert "Idempotency-Key" in answer.json()["error"]

    async def test_fifty_at_once_with_one_key_reserve_once(self, client: httpx.AsyncClient, core: Core) -> None:
        body = {"rail": "lnd", "paymentRequest": MemoryRail.request(1), "maxFeeMsat": 100}

        async def one() -> httpx.Response:
            return await client.post("/v1/payments", json=body, headers={"Idempotency-Key": "k"})

        answers = await asyncio.gather(*(one() for _ in range(50)))
        good = {answer.content for answer in answers if answer.status_code == 202}
        assert len(good) == 1
        assert {answer.status_code for answer in answers} <= {202, 409}
        assert (await balances(core))["liabilities:reserved:test:alice"] == -5100

    async def test_one_request_is_paid_once_whatever_the_key(self, client: httpx.AsyncClient, core: Core) -> None:
        request = MemoryRail.request(1)

        async def one(key: int) -> int:
            body = {"rail": "lnd", "paymentRequest": request, "maxFeeMsat": 0}
            answer = await client.post("/v1/payments", json=body, headers={"Idempotency-Key": f"k-{key}"})
            return answer.status_code

        statuses = await asyncio.gather(*(one(key) for key in range(10)))
        assert sorted(statuses) == [202] + [409] * 9
        assert (await balances(core))["liabilities:reserved:test:alice"] == -5000

    async def test_one_request_is_paid_once_over_all_rails_of_its_network(
        self, client: httpx.AsyncClient, core: Core, rail: MemoryRail
    ) -> None:
        river, elsewhere = MemoryRail("river"), MemoryRail("onchain")
        both = dataclasses.replace(core, rails={"lnd": rail, "river": river, "onchain": elsewhere})
        async with client_of(both, **{"x-api-key": client.headers["x-api-key"]}) as wide:
            rail.next_outcome = UNKNOWN
            assert (await _accept(wide, 1)).status_code == 202
            request = MemoryRail.request(1)
            for state in ("created", "unknown"):
                second = await _accept(wide, 2, rail="river", paymentRequest=request)
                assert (second.status_code, second.json()["code"]) == (409, "CONFLICT"), state
                await _work(both)
            assert (await _accept(wide, 3, rail="onchain", paymentRequest=request)).status_code == 202, (
                "no such network"
            )
            rail.payments = dict.fromkeys(rail.payments, DEAD)
            await _due(both)
            await sweep_once(both, registry.look_ups())
            third = await _accept(wide, 4, rail="river", paymentRequest=request)
            assert third.status_code == 202, "provably dead on the first rail"
            await _work(both)
        assert (rail.sent.total(), river.sent.total()) == (1, 1)

    async def test_more_than_there_is_is_refused_and_leaves_the_key_free(
        self, client: httpx.AsyncClient, core: Core
    ) -> None:
        answer = await _accept(client, paymentRequest=MemoryRail.request(1, 100_000))
        assert (answer.status_code, answer.json()["code"]) == (402, "PAYMENT_FAILED")
        assert await balances(core) == BEFORE
        assert (await _accept(client, paymentRequest=MemoryRail.request(1, 10_000))).status_code == 202

    async def test_above_the_ceiling_is_refused_also_for_an_open_amount(self, client: httpx.AsyncClient) -> None:
        too_much = 1_000_000_001
        assert (await _accept(client, paymentRequest=MemoryRail.request(1, too_much))).status_code == 400
        open_amount = MemoryRail.request(2, None)
        assert (await _accept(client, 2, paymentRequest=open_amount, amountMsat=too_much)).status_code == 400
        assert (await _accept(client, 3, paymentRequest=open_amount)).status_code == 400
        assert (await _accept(client, 4, paymentRequest=open_amount, amountMsat=700)).status_code == 202

    async def test_an_amount_that_contradicts_the_request_is_refused(self, client: httpx.AsyncClient) -> None:
        assert (await _accept(client, amountMsat=4999)).status_code == 400

    async def test_an_expired_request_is_refused(self, client: httpx.AsyncClient) -> None:
        answer = await _accept(client, paymentRequest=MemoryRail.request(1, seconds=-5))
        assert "expired" in answer.json()["error"]
        details = answer.json()["details"]
        assert (details["reason"], len(details["invoiceId"])) == ("InvoiceExpired", 64)
        assert details["expiredAt"].endswith("Z")

    async def test_a_request_is_decoded_with_the_guides_fields(self, client: httpx.AsyncClient) -> None:
        """pk-invoice-decode-fields."""
        for seconds, is_expired in ((600, False), (-5, True)):
            request = MemoryRail.request(1, 5000, seconds=seconds)
            answer = await client.post("/v1/payment-requests/decode", json={"paymentRequest": request})
            found = answer.json()
            assert (found["expired"], found["amountMsat"], found["expiry"]) == (is_expired, 5000, 3600)
            assert len(found["paymentHash"]) == 64
            expires = datetime.fromisoformat(found["expiresAt"]).timestamp()
            assert found["timestamp"] + found["expiry"] == expires
        open_amount = MemoryRail.request(2, None)
        answer = await client.post("/v1/payment-requests/decode", json={"paymentRequest": open_amount})
        assert answer.json()["amountMsat"] is None

    async def test_an_unreadable_request_is_refused(self, client: httpx.AsyncClient) -> None:
        assert (await _accept(client, paymentRequest="lnbc1nonsense")).status_code == 400

    async def test_the_fee_cap_never_exceeds_the_services_own(self, client: httpx.AsyncClient) -> None:
        assert (await _accept(client, maxFeeMsat=10**9)).json()["maxFee"] == 50_000

    async def test_the_daily_limit_holds_over_several_payments(self, core: Core, client: httpx.AsyncClient) -> None:
        object.__setattr__(core.settings, "daily_payout_limit_msat", 12_000)
        statuses = [(await _accept(client, number)).status_code for number in (1, 2, 3)]
        assert statuses == [202, 202, 402]

    async def test_a_payment_can_be_cancelled_before_it_is_sent(self, client: httpx.AsyncClient, core: Core) -> None:
        made = (await _accept(client)).json()
        for _ in range(2):
            answer = await client.post(f"/v1/payments/{made['id']}/cancel")
            assert answer.json()["status"] == "cancelled"
        assert {k: v for k, v in (await balances(core)).items() if v} == BEFORE
        await _work(core)
        assert (await _view(client))["status"] == "cancelled"

    async def test_a_payment_under_way_cannot_be_cancelled(
        self, client: httpx.AsyncClient, core: Core, rail: MemoryRail
    ) -> None:
        made = (await _accept(client)).json()
        rail.next_outcome = UNKNOWN
        await _work(core)
        assert (await client.post(f"/v1/payments/{made['id']}/cancel")).status_code == 409

    async def test_somebody_elses_payment_does_not_exist(self, client: httpx.AsyncClient, core: Core) -> None:
        made = (await _accept(client)).json()
        bob = await new_key(core, userId="bob")
        async with client_of(core, **{"x-api-key": bob["key"]}) as other:
            assert (await other.get(f"/v1/payments/{made['id']}")).status_code == 404
            assert (await other.post(f"/v1/payments/{made['id']}/cancel")).status_code == 404

    async def test_a_key_that_only_reads_cannot_pay(self, core: Core) -> None:
        reader = await new_key(core, permissions=["read"])
        async with client_of(core, **{"x-api-key": reader["key"]}) as client:
            answer = await _accept(client)
        assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")


@pytest.mark.usefixtures("funded")
class TestSending:
    async def test_success_takes_amount_and_fee_and_gives_the_rest_back(
        self, client: httpx.AsyncClient, core: Core
    ) -> None:
        await _accept(client)
        await _work(core)
        seen = await _view(client)
        assert (seen["status"], seen["fee"]) == ("succeeded", 7)
        assert {k: v for k, v in (await balances(core)).items() if v} == {
            "assets:lnd": 94_993,
            "liabilities:user:test:alice": -94_993,
        }

    async def test_a_fee_above_the_cap_is_ours(self, client: httpx.AsyncClient, core: Core, rail: MemoryRail) -> None:
        rail.next_outcome = Outcome(OutcomeState.SUCCEEDED, fee=150, proof={"preimage": "00"})
        await _accept(client)
        await _work(core)
        found = await balances(core)
        assert found["liabilities:user:test:alice"] == -94_900
        assert found["expenses:fee-overrun:lnd"] == 50
        assert sum(found.values()) == 0

    async def test_a_provably_dead_attempt_fails_the_payment_and_frees_the_reserve(
        self, client: httpx.AsyncClient, core: Core, rail: MemoryRail
    ) -> None:
        rail.next_outcome = DEAD
        await _accept(client)
        await _work(core)
        seen = await _view(client)
        assert (seen["status"], seen["reason"]) == ("failed", "no route")
        assert {k: v for k, v in (await balances(core)).items() if v} == BEFORE

    async def test_the_job_twice_sends_once(self, client: httpx.AsyncClient, core: Core, rail: MemoryRail) -> None:
        made = (await _accept(client)).json()
        job = registry.jobs()["payments.send", 1]
        await asyncio.gather(*(job.handle(core, {"payment_id": made["id"]}) for _ in range(5)))
        assert sum(rail.sent.values()) == 1

    async def test_a_final_refusal_fails_it(self, client: httpx.AsyncClient, core: Core, rail: MemoryRail) -> None:
        async def refuse() -> None:
            raise RailRefusedError("no route", rail="lnd")

        rail.before = refuse
        await _accept(client)
        await _work(core)
        assert (await _view(client))["status"] == "failed"

    async def test_a_request_that_expired_meanwhile_fails_untried(
        self, client: httpx.AsyncClient, core: Core, rail: MemoryRail, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def refuse(_order: object) -> None:
            raise RailRefusedError("The invoice expired.", rail="lnd")

        await _accept(client)
        monkeypatch.setattr(rail, "prepare", refuse)
        await _work(core)
        assert (await _view(client))["status"] == "failed"
        assert {k: v for k, v in (await balances(core)).items() if v} == BEFORE

    async def test_a_lost_answer_is_unknown_until_it_is_looked_up(
        self, client: httpx.AsyncClient, core: Core, rail: MemoryRail
    ) -> None:
        async def lose() -> None:
            raise OutcomeUnknownError("The node did not answer.", rail="lnd")

        rail.after = lose
        await _accept(client)
        await _work(core)
        assert (await _view(client))["status"] == "unknown"
        rail.after = MemoryRail().after
        await _due(core)
        assert await sweep_once(core, registry.look_ups()) == 1
        assert (await _view(client))["status"] == "succeeded"
        assert sum(rail.sent.values()) == 1

    @pytest.mark.parametrize("moment", ["before", "after"])
    async def test_a_crash_around_the_call_pays_once(
        self, client: httpx.AsyncClient, core: Core, rail: MemoryRail, moment: str
    ) -> None:
        async def die() -> None:
            raise asyncio.CancelledError

        setattr(rail, moment, die)
        await _accept(client)
        with pytest.raises(asyncio.CancelledError):
            await _work(core)
        assert (await _view(client))["status"] == "sending"
        setattr(rail, moment, MemoryRail().before)
        assert await sweep_once(core, registry.look_ups()) == 0, "its lease still runs"
        await _due(core)
        assert await sweep_once(core, registry.look_ups()) == 1
        assert (await _view(client))["status"] == "succeeded"
        assert sum(rail.sent.values()) == 1
        assert sum((await balances(core)).values()) == 0

    async def test_a_rail_that_stays_silent_leaves_it_unknown_for_ever(
        self, client: httpx.AsyncClient, core: Core, rail: MemoryRail
    ) -> None:
        rail.next_outcome = UNKNOWN
        await _accept(client)
        await _work(core)
        for _ in range(30):
            await _due(core)
            assert await sweep_once(core, registry.look_ups()) == 1
        assert (await _view(client))["status"] == "unknown"
        assert (await balances(core))["liabilities:reserved:test:alice"] == -5100

    async def test_while_the_rail_is_down_nothing_is_decided(
        self, client: httpx.AsyncClient, core: Core, rail: MemoryRail, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def down(*_: object) -> None:
            raise RailUnavailableError("LND is not reachable.", rail="lnd")

        rail.next_outcome = UNKNOWN
        await _accept(client)
        await _work(core)
        monkeypatch.setattr(rail, "look_up", down)
        await _due(core)
        await sweep_once(core, registry.look_ups())
        assert (await _view(client))["status"] == "unknown"

    async def test_an_outcome_after_the_lease_was_taken_over_is_not_written(
        self, client: httpx.AsyncClient, core: Core, rail: MemoryRail
    ) -> None:
        go_on, at_the_rail = asyncio.Event(), asyncio.Event()

        async def wait() -> None:
            at_the_rail.set()
            await go_on.wait()

        rail.after = wait
        await _accept(client)
        slow = asyncio.create_task(_work(core))
        await at_the_rail.wait()
        await _due(core)
        await sweep_once(core, registry.look_ups())
        go_on.set()
        await slow
        assert (await _view(client))["status"] == "succeeded"
        assert (await balances(core))["assets:lnd"] == 94_993

    async def test_look_ups_come_later_and_later_and_never_stop(self) -> None:
        waits = [look_again_after(number) for number in range(40)]
        assert waits[0] < 3
        assert all(400 < wait < 800 for wait in waits[10:])
        assert look_again_after(0, 300.0) > 200


class TestStateMachine:
    """The database refuses what the code must not do."""

    @pytest.fixture
    async def payment(self, client: httpx.AsyncClient, core: Core) -> str:
        await fund(core, 100_000)
        return str((await _accept(client)).json()["id"])

    def _update(self, database: TestDatabase, payment: str, state: str) -> None:
        for url in (database.app_url, database.owner_url):
            with psycopg.connect(url) as connection, pytest.raises(psycopg.Error) as caught:
                connection.execute("UPDATE payments.payments SET state = %s WHERE id = %s", (state, payment))
            assert caught.value.sqlstate == "RY003"

    async def test_it_cannot_jump(self, database: TestDatabase, payment: str) -> None:
        self._update(database, payment, "succeeded")
        self._update(database, payment, "unknown")
        self._update(database, payment, "nonsense")

    async def test_unknown_cannot_fail_while_its_attempt_lives(
        self, database: TestDatabase, payment: str, core: Core, rail: MemoryRail
    ) -> None:
        rail.next_outcome = UNKNOWN
        await _work(core)
        self._update(database, payment, "failed")
        self._update(database, payment, "succeeded")

    async def test_an_attempt_is_not_dead_without_a_proof(
        self, database: TestDatabase, payment: str, core: Core, rail: MemoryRail
    ) -> None:
        rail.next_outcome = UNKNOWN
        await _work(core)
        for change in ("state = 'dead'", "state = 'dead', proof = '{}'", "state = 'succeeded'"):
            with psycopg.connect(database.app_url) as connection, pytest.raises(psycopg.errors.CheckViolation):
                connection.execute(f"UPDATE payments.attempts SET {change} WHERE kind = 'pay'".encode())

    async def test_a_second_attempt_needs_a_dead_first(
        self, database: TestDatabase, payment: str, core: Core, rail: MemoryRail
    ) -> None:
        rail.next_outcome = UNKNOWN
        await _work(core)
        with psycopg.connect(database.app_url) as connection, pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute(
                "SELECT payments.start_attempt(gen_random_uuid(), 'pay', 'lnd', 'another', 'payment', %s, "
                "gen_random_uuid(), 60, '{}', '')",
                (payment,),
            )

    async def test_every_transition_is_in_the_audit_log(self, payment: str, core: Core) -> None:
        await _work(core)
        rows = await core.database.all(
            "SELECT action, actor, cause, payment_method, amount_sats FROM payments.audit_log "
            "WHERE object_id = %s ORDER BY id",
            (payment,),
            name="test",
        )
        assert [row["action"] for row in rows] == ["created", "created>sending", "sending>succeeded"]
        assert rows[0]["actor"].startswith("key:")
        assert rows[0]["cause"] == "POST /v1/payments"
        assert {row["actor"] for row in rows[1:]} == {"worker"}
        assert (rows[0]["payment_method"], rows[0]["amount_sats"]) == ("lnd", 5)

    async def test_the_signer_checks_the_limits_again(
        self, client: httpx.AsyncClient, payment: str, core: Core, rail: MemoryRail
    ) -> None:
        object.__setattr__(core.settings, "max_payment_msat", 4000)
        await sending.send(core, UUID(payment))
        assert (await _view(client))["status"] == "failed"
        assert not rail.sent


@pytest.mark.usefixtures("funded")
class TestSuspicion:
    async def test_failures_of_one_user_within_the_hour_are_counted(
        self, client: httpx.AsyncClient, core: Core, rail: MemoryRail
    ) -> None:
        since = core.clock.now() - timedelta(hours=1)
        assert await repository.most_failures(core.database, since) == 0
        rail.next_outcome = DEAD
        await _accept(client)
        await _work(core)
        assert (await _view(client))["status"] == "failed"
        assert await repository.most_failures(core.database, since) == 1
        assert await repository.most_failures(core.database, core.clock.now() + timedelta(hours=1)) == 0
