"""What nobody is credited waits in suspense; a person or a rule takes it, or it goes back, exactly once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest

from payments.clock import Clock
from payments.core import Core
from payments.rails.protocol import Outcome, OutcomeState
from payments.suspense.tasks import apply_rule
from payments.worker import registry
from payments.worker.following import credit
from tests.app.conftest import (
    RedisServer,
    TestDatabase,
    balances,
    client_of,
    core_for,
    fund,
    new_key,
    settings_for,
)
from tests.app.memory_rail import MemoryRail

DEAD = Outcome(OutcomeState.DEAD, proof={"track": "FAILED"}, reason="no route")
ASSETS, ALICE = "assets:lnd", "liabilities:user:test:alice"
RESERVED, SUSPENSE = "liabilities:reserved:test:alice", "liabilities:suspense:lnd"


async def _invoice(client: httpx.AsyncClient, amount: int = 1000) -> dict[str, Any]:
    made: dict[str, Any] = (await client.post("/v1/invoices", json={"amount": amount})).json()
    return made


async def _arrives(core: Core, rail: MemoryRail, invoice: dict[str, Any], amount: int, **more: Any) -> None:
    await credit(core, "lnd", [await rail.arrive(invoice["paymentHash"], amount, **more)])


async def _suspended(client: httpx.AsyncClient, status: str = "open") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get("/v1/suspense", params={"status": status})).json()["data"]
    return found


async def _post(client: httpx.AsyncClient, path: str, body: Any = None, key: str = "k") -> httpx.Response:
    return await client.post(path, json=body, headers={"Idempotency-Key": key})


async def _work(core: Core) -> None:
    rows = await core.database.all("DELETE FROM payments.outbox WHERE kind = 'job' RETURNING payload", name="test")
    for row in rows:
        await registry.jobs()["payments.send", 1].handle(core, row["payload"])


class TestSuspense:
    @pytest.mark.parametrize(
        ("amounts", "disposition", "waits", "credited"),
        [
            ((700,), "underpaid", 700, 0),
            ((1300,), "overpaid", 300, 1000),
            ((1000, 400), "paid_twice", 400, 1000),
        ],
    )
    async def test_what_is_not_owed_waits(
        self,
        client: httpx.AsyncClient,
        core: Core,
        rail: MemoryRail,
        amounts: tuple[int, ...],
        disposition: str,
        waits: int,
        credited: int,
    ) -> None:
        invoice = await _invoice(client)
        for amount in amounts:
            await _arrives(core, rail, invoice, amount)
        (found,) = await _suspended(client)
        assert (found["disposition"], found["amount"], found["invoiceId"]) == (disposition, waits, invoice["id"])
        answer = await _post(client, f"/v1/suspense/{found['id']}/accept", {"reason": "tip"})
        assert (answer.status_code, answer.json()["status"]) == (200, "accepted")
        after = await balances(core)
        assert (-after[ALICE], after[SUSPENSE]) == (credited + waits, 0)
        state = (await client.get(f"/v1/invoices/{invoice['id']}")).json()["status"]
        assert state == ("settled" if disposition == "underpaid" else disposition)

    async def test_fifty_acceptances_at_once_credit_once(
        self, client: httpx.AsyncClient, core: Core, rail: MemoryRail
    ) -> None:
        await _arrives(core, rail, await _invoice(client), 700)
        (found,) = await _suspended(client)
        path = f"/v1/suspense/{found['id']}/accept"
        answers = await asyncio.gather(*(_post(client, path, {}, key=f"k{n % 7}") for n in range(50)))
        assert {answer.status_code for answer in answers} == {200}
        assert (await balances(core))[ALICE] == -700

    async def test_a_late_payment_is_accepted_by_the_rule_within_its_bounds(
        self, database: TestDatabase, redis_server: RedisServer
    ) -> None:
        rail = MemoryRail()
        rules = {"suspense_accept_late_seconds": 90, "suspense_accept_overpaid_msat": 50}
        core = core_for(settings_for(database, redis_server.url, **rules), rail)
        await core.start()
        key = await new_key(core)
        async with client_of(core, **{"x-api-key": key["key"]}) as client:
            for seconds, above in ((60, 0), (120, 0), (-3000, 50), (-3000, 51)):
                invoice = await _invoice(client)
                late = datetime.fromisoformat(invoice["expiresAt"]) + timedelta(seconds=seconds)
                await _arrives(core, rail, invoice, 1000 + above, at=late)
            await apply_rule(core)
            left = {(found["disposition"], found["amount"]) for found in await _suspended(client)}
        assert left == {("paid_late", 1000), ("overpaid", 51)}
        assert (await balances(core))[SUSPENSE] == -1051
        actors = "SELECT DISTINCT actor FROM payments.audit_log WHERE action = 'open>accepted'"
        assert await core.database.value(actors, name="test") == "rule:suspense"
        await core.close()

    async def test_nobodys_money_is_an_administrators_to_assign(
        self, client: httpx.AsyncClient, core: Core, rail: MemoryRail
    ) -> None:
        await credit(core, "lnd", [await rail.arrive("nobody", 5000)])
        assert await _suspended(client) == []
        admin = await new_key(core, userId="root", permissions=["read", "write", "admin"])
        async with client_of(core, **{"x-api-key": admin["key"]}) as office:
            (found,) = await _suspended(office)
            path = f"/v1/suspense/{found['id']}/accept"
            assert (await _post(client, path, {}, key="a")).status_code == 404
            assert (await _post(client, path, {"userId": "alice"}, key="b")).status_code == 403
            assert (await _post(office, path, {}, key="c")).status_code == 400
            assert (await _post(office, path, {"userId": "alice"}, key="d")).status_code == 200
        assert (await balances(core))[ALICE] == -5000


class TestRefunds:
    @pytest.fixture
    async def suspended(self, client: httpx.AsyncClient, core: Core, rail: MemoryRail) -> dict[str, Any]:
        await _arrives(core, rail, await _invoice(client), 700)
        return (await _suspended(client))[0]

    async def test_without_a_payee_it_waits_then_goes_out_once(
        self, client: httpx.AsyncClient, core: Core, rail: MemoryRail, suspended: dict[str, Any]
    ) -> None:
        await fund(core, 100)
        made = (await _post(client, "/v1/refunds", {"suspenseId": suspended["id"], "externalId": "r-1"})).json()
        assert (made["status"], made["amount"], made["externalId"]) == ("awaiting_payee", 700, "r-1")
        wish = {"payee": MemoryRail.request(1, 700), "maxFeeMsat": 100}
        sent = (await _post(client, f"/v1/refunds/{made['id']}/payee", wish)).json()
        assert sent["status"] == "sending"
        await _work(core)
        done = (await client.get(f"/v1/refunds/{made['id']}")).json()
        assert (done["status"], done["finishedAt"] is not None) == ("succeeded", True)
        assert sum(rail.sent.values()) == 1
        assert await _suspended(client, "refunded")
        after = await balances(core)
        assert (after[SUSPENSE], after[RESERVED], after[ALICE], after[ASSETS]) == (0, 0, -93, 93)
        payment = (await client.get(f"/v1/payments/{done['paymentId']}")).json()
        assert payment["refundId"] == made["id"]

    async def test_a_payment_that_fails_puts_the_money_back_and_another_payee_may_be_given(
        self, client: httpx.AsyncClient, core: Core, rail: MemoryRail, suspended: dict[str, Any]
    ) -> None:
        await fund(core, 100)
        rail.next_outcome = DEAD
        body = {"suspenseId": suspended["id"], "payee": MemoryRail.request(1, 700), "maxFeeMsat": 50}
        made = (await _post(client, "/v1/refunds", body)).json()
        await _work(core)
        waiting = (await client.get(f"/v1/refunds/{made['id']}")).json()
        assert (waiting["status"], "no route" in waiting["reason"]) == ("awaiting_payee", True)
        after = await balances(core)
        assert (after[SUSPENSE], after[RESERVED], after[ALICE]) == (-700, 0, -100)
        refused = await _post(client, f"/v1/payments/{made['paymentId']}/retry", key="again")
        assert refused.status_code == 409
        assert "refund" in refused.json()["error"]
        rail.next_outcome = Outcome(OutcomeState.SUCCEEDED, fee=7, proof={"preimage": "00"})
        wish = {"payee": MemoryRail.request(2, 700), "maxFeeMsat": 50}
        assert (await _post(client, f"/v1/refunds/{made['id']}/payee", wish, key="2")).status_code == 200
        await _work(core)
        assert (await client.get(f"/v1/refunds/{made['id']}")).json()["status"] == "succeeded"
        assert (await balances(core))[SUSPENSE] == 0

    async def test_the_fee_may_be_kept_back_and_nothing_more(
        self, client: httpx.AsyncClient, core: Core, suspended: dict[str, Any]
    ) -> None:
        body = {"suspenseId": suspended["id"], "maxFeeMsat": 20}
        assert (await _post(client, "/v1/refunds", {**body, "amount": 679}, key="1")).status_code == 400
        assert (await _post(client, "/v1/refunds", {**body, "amount": 701}, key="2")).status_code == 400
        payee = MemoryRail.request(1, 680)
        made = await _post(client, "/v1/refunds", {**body, "amount": 680, "payee": payee}, key="3")
        assert made.status_code == 201, made.text
        await _work(core)
        after = await balances(core)
        assert (after[SUSPENSE], after[ALICE]) == (0, -13), "the owner needs no balance of their own for the fee"

    async def test_another_amount_than_the_refunds_is_not_paid(
        self, client: httpx.AsyncClient, suspended: dict[str, Any]
    ) -> None:
        body = {"suspenseId": suspended["id"], "payee": MemoryRail.request(1, 701)}
        answer = await _post(client, "/v1/refunds", body)
        assert answer.status_code == 400
        assert (await _suspended(client))[0]["status"] == "open"

    async def test_one_amount_is_refunded_or_accepted_never_both(
        self, client: httpx.AsyncClient, core: Core, suspended: dict[str, Any]
    ) -> None:
        wishes = [("/v1/refunds", {"suspenseId": suspended["id"]})] * 5
        wishes += [(f"/v1/suspense/{suspended['id']}/accept", {"reason": "mine"})] * 5
        answers = await asyncio.gather(
            *(_post(client, path, body, key=str(number)) for number, (path, body) in enumerate(wishes))
        )
        made = [answer for answer in answers if answer.status_code == 201]
        accepted = [answer for answer in answers if answer.status_code == 200]
        assert (len(made), len(accepted)) in ((1, 0), (0, 5))
        assert {answer.status_code for answer in answers} <= {200, 201, 409}

    async def test_a_cancelled_refund_leaves_the_amount_to_decide_about(
        self, client: httpx.AsyncClient, suspended: dict[str, Any]
    ) -> None:
        made = (await _post(client, "/v1/refunds", {"suspenseId": suspended["id"]})).json()
        for number in range(2):
            answer = await _post(client, f"/v1/refunds/{made['id']}/cancel", key=str(number))
            assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
        assert (await _suspended(client))[0]["id"] == suspended["id"]

    async def test_a_settled_invoice_is_refunded_up_to_what_came_in(
        self, client: httpx.AsyncClient, core: Core, rail: MemoryRail
    ) -> None:
        invoice = await _invoice(client)
        assert (await _post(client, "/v1/refunds", {"invoiceId": invoice["id"]}, key="0")).status_code == 409
        await _arrives(core, rail, invoice, 1000)
        await fund(core, 50)
        of = {"invoiceId": invoice["id"]}
        answers = await asyncio.gather(
            *(_post(client, "/v1/refunds", {**of, "amount": 400}, key=f"p{n}") for n in range(5))
        )
        assert sorted(answer.status_code for answer in answers) == [201, 201, 402, 402, 402]
        rest = await _post(client, "/v1/refunds", {**of, "payee": MemoryRail.request(9, 200), "maxFeeMsat": 9}, key="r")
        assert (rest.status_code, rest.json()["amount"]) == (201, 200)
        await _work(core)
        assert (await balances(core))[ALICE] == -(1050 - 207)

    async def test_a_key_is_required_and_replays_the_bytes(
        self, client: httpx.AsyncClient, suspended: dict[str, Any]
    ) -> None:
        body = {"suspenseId": suspended["id"]}
        assert (await client.post("/v1/refunds", json=body)).status_code == 400
        first = await _post(client, "/v1/refunds", body)
        assert (await _post(client, "/v1/refunds", body)).content == first.content

    async def test_somebody_elses_is_not_found(
        self, client: httpx.AsyncClient, core: Core, suspended: dict[str, Any]
    ) -> None:
        made = (await _post(client, "/v1/refunds", {"suspenseId": suspended["id"]})).json()
        mallory = await new_key(core, userId="mallory")
        async with client_of(core, **{"x-api-key": mallory["key"]}) as other:
            assert (await other.get(f"/v1/refunds/{made['id']}")).status_code == 404
            assert (await _post(other, f"/v1/refunds/{made['id']}/cancel")).status_code == 404
            assert (await _post(other, "/v1/refunds", {"suspenseId": suspended["id"]})).status_code == 404

    async def test_postgresql_refuses_a_transition_that_is_not_drawn(
        self, client: httpx.AsyncClient, core: Core, suspended: dict[str, Any]
    ) -> None:
        await _post(client, "/v1/refunds", {"suspenseId": suspended["id"]})
        for statement in (
            "UPDATE payments.refunds SET state = 'succeeded'",
            "UPDATE payments.suspense SET state = 'accepted'",
        ):
            with pytest.raises(psycopg.DatabaseError, match="cannot go from"):
                await core.database.run(statement, name="test")


class TestRetryAndCancel:
    async def test_a_failed_payment_is_tried_again_once_as_a_new_one(
        self, client: httpx.AsyncClient, core: Core, rail: MemoryRail
    ) -> None:
        await fund(core, 10_000)
        rail.next_outcome = DEAD
        body = {"paymentRequest": MemoryRail.request(1, 1000), "maxFeeMsat": 10}
        first = (await _post(client, "/v1/payments", body)).json()
        early = await _post(client, f"/v1/payments/{first['id']}/retry", key="early")
        assert early.status_code == 409
        await _work(core)
        rail.payments.clear()  # the node forgets what failed when it is asked again
        rail.next_outcome = Outcome(OutcomeState.SUCCEEDED, fee=7, proof={"preimage": "00"})
        answers = await asyncio.gather(
            *(_post(client, f"/v1/payments/{first['id']}/retry", key=f"r{n % 4}") for n in range(12))
        )
        made = {answer.content for answer in answers if answer.status_code == 202}
        assert len(made) == 1
        assert {answer.status_code for answer in answers} == {202, 409}
        await _work(core)
        (again,) = [p for p in (await client.get("/v1/payments")).json()["data"] if p["retryOf"] == first["id"]]
        assert (again["status"], again["amount"]) == ("succeeded", 1000)
        assert (await balances(core))[ALICE] == -(10_000 - 1007)

    async def test_a_payment_is_tried_again_as_often_as_is_set_and_then_tells_the_last_error(
        self, client: httpx.AsyncClient, core: Core, rail: MemoryRail
    ) -> None:
        """pk-retry-bounded, pk-retry-last-error."""
        await fund(core, 10_000)
        object.__setattr__(core.settings, "max_retries", 2)
        rail.next_outcome = DEAD
        body = {"paymentRequest": MemoryRail.request(1, 1000), "maxFeeMsat": 10}
        payment = (await _post(client, "/v1/payments", body)).json()
        for number in range(2):
            await _work(core)
            rail.payments.clear()
            again = await _post(client, f"/v1/payments/{payment['id']}/retry", key=f"r{number}")
            assert again.status_code == 202, again.text
            payment = again.json()
        await _work(core)
        refused = await _post(client, f"/v1/payments/{payment['id']}/retry", key="r3")
        assert refused.status_code == 409
        assert "tried again 2 times" in refused.json()["error"]
        assert "no route" in refused.json()["error"], "the last error"
        assert rail.sent.total() == 3

    async def test_an_open_invoice_is_cancelled_and_what_still_comes_is_late(
        self, client: httpx.AsyncClient, core: Core, rail: MemoryRail
    ) -> None:
        invoice = await _invoice(client)
        for number in range(2):
            answer = await _post(client, f"/v1/invoices/{invoice['id']}/cancel", key=str(number))
            assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
        await _arrives(core, rail, invoice, 1000)
        assert [found["disposition"] for found in await _suspended(client)] == ["paid_late"]
        paid = await _invoice(client)
        await _arrives(core, rail, paid, 1000)
        assert (await _post(client, f"/v1/invoices/{paid['id']}/cancel", key="x")).status_code == 409


async def test_ids_made_in_sql_are_ordered_by_time(core: Core) -> None:
    ids = [str(await core.database.value("SELECT payments.new_id()", name="test")) for _ in range(3)]
    assert {identity[14] for identity in ids} == {"7"}
    assert {identity[19] for identity in ids} <= set("89ab")
    ours = Clock(now=lambda: datetime.now(UTC) + timedelta(seconds=5)).new_id()
    assert max(ids) < str(ours)
