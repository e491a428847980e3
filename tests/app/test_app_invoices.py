"""Invoices are made once per key, credited once per event, and nothing that arrives is lost."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import timedelta

import httpx
import psycopg
import pytest

from payments.core import Core
from payments.invoices import repository
from payments.rails.protocol import OutcomeUnknownError, RailRefusedError, RailUnavailableError
from payments.worker import registry
from payments.worker.following import credit, follow
from payments.worker.sweeper import sweep_once
from tests.app.conftest import TestDatabase, balances, client_of, new_key, until
from tests.app.memory_rail import MemoryRail

ROUTE = "/api/lightning/create-invoice"


async def _attempts(core: Core) -> list[dict[str, object]]:
    return await core.database.all("SELECT * FROM payments.attempts ORDER BY created_at", name="test")


async def _expire_leases(core: Core) -> None:
    await core.database.run(
        "UPDATE payments.attempts SET lease_until = now(), next_look_at = now() "
        "WHERE state NOT IN ('dead', 'succeeded')",
        name="test",
    )
    await core.database.run("UPDATE payments.idempotency_keys SET lease_until = now() WHERE NOT done", name="test")


class TestMaking:
    async def test_the_guides_answer_has_exactly_its_fields(self, client: httpx.AsyncClient) -> None:
        answer = await client.post(ROUTE, json={"amount": 1000, "memo": "tea"})
        assert answer.status_code == 200
        assert sorted(answer.json()) == ["expiresAt", "paymentHash", "paymentRequest"]
        assert answer.json()["expiresAt"].endswith("Z")

    async def test_the_invoice_is_in_our_table_and_in_the_guides(self, client: httpx.AsyncClient, core: Core) -> None:
        made = (await client.post(ROUTE, json={"amount": 1000, "memo": "tea"})).json()
        view = (await client.get(f"/v1/invoices/{made['paymentHash']}")).json()
        assert view["status"] == "open"
        assert view["amountMsat"] == 1_000_000
        assert (await client.get(f"/v1/invoices/{view['id']}")).json() == view
        row = await core.database.one("SELECT * FROM lightning.invoices", name="test")
        assert row is not None
        assert (row["payment_hash"], row["amount_sats"], row["status"]) == (made["paymentHash"], 1000, "open")

    async def test_the_guides_table_has_it_once_the_rail_has(
        self, client: httpx.AsyncClient, core: Core, rail: MemoryRail
    ) -> None:
        async def lost() -> None:
            raise OutcomeUnknownError("no answer", rail="lnd")

        working, rail.after = rail.after, lost
        assert (await client.post(ROUTE, json={"amount": 7})).status_code == 503
        rail.after = working
        assert await core.database.all("SELECT * FROM lightning.invoices", name="test") == [], "still being made"
        await _expire_leases(core)
        await sweep_once(core, registry.look_ups())
        rows = await core.database.all("SELECT status, amount_sats FROM lightning.invoices", name="test")
        assert rows == [{"status": "open", "amount_sats": 7}]

    async def test_no_invoice_is_in_an_asset_that_there_is_not_and_assets_stay(
        self, core: Core, database: TestDatabase
    ) -> None:
        copied = (
            "INSERT INTO payments.invoices (id, user_id, environment, rail, rail_id, asset, expires_at, created_at, "
            "updated_at) VALUES (gen_random_uuid(), 'alice', 'test', 'lnd', 'r', 'DOGE', now(), now(), now())"
        )
        with pytest.raises(psycopg.errors.ForeignKeyViolation, match="There is no asset DOGE"):
            await core.database.run(copied, name="test")
        with psycopg.connect(database.owner_url) as owner, pytest.raises(psycopg.DatabaseError, match="append-only"):
            owner.execute("DELETE FROM payments.assets WHERE code = 'USD'")

    async def test_an_unpaid_invoice_posts_nothing(self, client: httpx.AsyncClient, core: Core) -> None:
        await client.post(ROUTE, json={"amount": 1000})
        assert await balances(core) == {}

    async def test_the_same_key_replays_the_same_bytes(self, client: httpx.AsyncClient, rail: MemoryRail) -> None:
        headers = {"Idempotency-Key": "k-1"}
        first = await client.post(ROUTE, json={"amount": 5}, headers=headers)
        second = await client.post(ROUTE, json={"amount": 5}, headers=headers)
        assert first.content == second.content
        assert sum(rail.created.values()) == 1

    async def test_the_same_key_with_another_body_is_a_conflict(self, client: httpx.AsyncClient) -> None:
        headers = {"Idempotency-Key": "k-1"}
        await client.post(ROUTE, json={"amount": 5}, headers=headers)
        other = await client.post(ROUTE, json={"amount": 6}, headers=headers)
        assert (other.status_code, other.json()["code"]) == (409, "CONFLICT")

    async def test_fifty_at_once_with_one_key_have_one_effect(
        self, client: httpx.AsyncClient, rail: MemoryRail, core: Core
    ) -> None:
        async def one() -> httpx.Response:
            return await client.post(ROUTE, json={"amount": 5}, headers={"Idempotency-Key": "k-1"})

        answers = await asyncio.gather(*(one() for _ in range(50)))
        good = [answer for answer in answers if answer.status_code == 200]
        assert good
        assert len({answer.content for answer in good}) == 1
        assert {answer.status_code for answer in answers} <= {200, 409}
        assert sum(rail.created.values()) == 1
        assert len(await _attempts(core)) == 1

    async def test_while_the_first_runs_a_duplicate_gets_409_with_retry_after(
        self, client: httpx.AsyncClient, rail: MemoryRail
    ) -> None:
        at_the_rail, go_on = asyncio.Event(), asyncio.Event()

        async def wait() -> None:
            at_the_rail.set()
            await go_on.wait()

        rail.before = wait
        headers = {"Idempotency-Key": "k-1"}
        first = asyncio.create_task(client.post(ROUTE, json={"amount": 5}, headers=headers))
        await at_the_rail.wait()
        duplicate = await client.post(ROUTE, json={"amount": 5}, headers=headers)
        assert duplicate.status_code == 409
        assert 1 <= int(duplicate.headers["retry-after"]) <= 60
        go_on.set()
        assert (await first).status_code == 200

    async def test_the_external_id_is_unique(self, client: httpx.AsyncClient) -> None:
        body = {"amount": 5000, "externalId": "order-1"}
        assert (await client.post("/v1/invoices", json=body)).status_code == 201
        assert (await client.post("/v1/invoices", json=body)).status_code == 409

    async def test_above_the_ceiling_is_refused(self, client: httpx.AsyncClient) -> None:
        answer = await client.post(ROUTE, json={"amount": 1_000_001})
        assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_INPUT")

    async def test_another_users_invoice_does_not_exist(self, client: httpx.AsyncClient, core: Core) -> None:
        made = (await client.post(ROUTE, json={"amount": 1000})).json()
        bob = await new_key(core, userId="bob")
        async with client_of(core, **{"x-api-key": bob["key"]}) as other:
            assert (await other.get(f"/v1/invoices/{made['paymentHash']}")).status_code == 404
            assert (await other.get("/v1/invoices")).json()["data"] == []

    async def test_pages_show_every_invoice_once(self, client: httpx.AsyncClient) -> None:
        made = [(await client.post("/v1/invoices", json={"amount": 1000})).json()["id"] for _ in range(5)]
        seen: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = (await client.get(f"/v1/invoices?limit=2{'&cursor=' + cursor if cursor else ''}")).json()
            seen += [invoice["id"] for invoice in page["data"]]
            cursor = page["nextCursor"]
        assert seen == list(reversed(made))


class TestTrouble:
    async def test_a_rail_that_is_not_reached_leaves_the_key_free(
        self, client: httpx.AsyncClient, rail: MemoryRail
    ) -> None:
        async def down() -> None:
            raise RailUnavailableError("LND is not reachable.", rail="lnd")

        headers = {"Idempotency-Key": "k-1"}
        rail.before = down
        answer = await client.post(ROUTE, json={"amount": 5}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
        assert "retry-after" in answer.headers
        rail.before = MemoryRail().before
        assert (await client.post(ROUTE, json={"amount": 5}, headers=headers)).status_code == 200

    async def test_a_final_refusal_is_payment_failed(self, client: httpx.AsyncClient, rail: MemoryRail) -> None:
        async def refuse() -> None:
            raise RailRefusedError("memo too long", rail="lnd")

        rail.before = refuse
        answer = await client.post(ROUTE, json={"amount": 5})
        assert (answer.status_code, answer.json()["code"]) == (402, "PAYMENT_FAILED")

    async def test_a_lost_answer_is_looked_up_by_the_next_request(
        self, client: httpx.AsyncClient, rail: MemoryRail
    ) -> None:
        async def lose() -> None:
            raise OutcomeUnknownError("LND did not answer.", rail="lnd")

        headers = {"Idempotency-Key": "k-1"}
        rail.after = lose
        assert (await client.post(ROUTE, json={"amount": 5}, headers=headers)).status_code == 503
        again = await client.post(ROUTE, json={"amount": 5}, headers=headers)
        assert again.status_code == 200
        assert sum(rail.created.values()) == 1
        assert sum(rail.looked_up.values()) == 1

    @pytest.mark.parametrize("moment", ["before", "after"])
    async def test_a_crash_around_the_rail_call_is_mended_by_the_next_request(
        self, client: httpx.AsyncClient, rail: MemoryRail, core: Core, moment: str
    ) -> None:
        async def die() -> None:
            raise asyncio.CancelledError

        headers = {"Idempotency-Key": "k-1"}
        setattr(rail, moment, die)
        with pytest.raises(asyncio.CancelledError):
            await client.post(ROUTE, json={"amount": 5}, headers=headers)
        setattr(rail, moment, MemoryRail().before)
        await _expire_leases(core)
        again = await client.post(ROUTE, json={"amount": 5}, headers=headers)
        assert again.status_code == 200
        assert sum(rail.created.values()) == 1
        assert [attempt["state"] for attempt in await _attempts(core)] == ["succeeded"]

    @pytest.mark.parametrize(("moment", "state"), [("before", "failed"), ("after", "open")])
    async def test_a_crash_without_a_key_is_found_by_the_sweeper(
        self, client: httpx.AsyncClient, rail: MemoryRail, core: Core, moment: str, state: str
    ) -> None:
        async def die() -> None:
            raise asyncio.CancelledError

        setattr(rail, moment, die)
        with pytest.raises(asyncio.CancelledError):
            await client.post(ROUTE, json={"amount": 5})
        assert await sweep_once(core, registry.look_ups()) == 0, "its lease still runs"
        await _expire_leases(core)
        assert await sweep_once(core, registry.look_ups()) == 1
        (invoice,) = (await client.get("/v1/invoices")).json()["data"]
        assert invoice["status"] == state
        assert sum(rail.created.values()) == (1 if moment == "after" else 0)

    async def test_after_the_sweeper_found_nothing_the_key_begins_anew(
        self, client: httpx.AsyncClient, rail: MemoryRail, core: Core
    ) -> None:
        async def die() -> None:
            raise asyncio.CancelledError

        headers = {"Idempotency-Key": "k-1"}
        rail.before = die
        with pytest.raises(asyncio.CancelledError):
            await client.post(ROUTE, json={"amount": 5}, headers=headers)
        rail.before = MemoryRail().before
        await _expire_leases(core)
        await sweep_once(core, registry.look_ups())
        assert (await client.post(ROUTE, json={"amount": 5}, headers=headers)).status_code == 503
        assert (await client.post(ROUTE, json={"amount": 5}, headers=headers)).status_code == 200

    async def test_a_sweeper_that_finished_it_lets_the_retry_have_the_answer(
        self, client: httpx.AsyncClient, rail: MemoryRail, core: Core
    ) -> None:
        async def die() -> None:
            raise asyncio.CancelledError

        headers = {"Idempotency-Key": "k-1"}
        rail.after = die
        with pytest.raises(asyncio.CancelledError):
            await client.post(ROUTE, json={"amount": 5}, headers=headers)
        rail.after = MemoryRail().before
        await _expire_leases(core)
        await sweep_once(core, registry.look_ups())
        again = await client.post(ROUTE, json={"amount": 5}, headers=headers)
        assert again.status_code == 200
        assert (await client.post(ROUTE, json={"amount": 5}, headers=headers)).content == again.content

    async def test_who_lost_the_lease_writes_nothing(
        self, client: httpx.AsyncClient, rail: MemoryRail, core: Core
    ) -> None:
        gate = asyncio.Event()
        rail.after = gate.wait  # type: ignore[assignment]
        slow = asyncio.create_task(client.post(ROUTE, json={"amount": 5}))

        async def on_rail() -> bool:
            return bool(rail.created)

        await until(on_rail)
        await _expire_leases(core)
        assert await sweep_once(core, registry.look_ups()) == 1
        gate.set()
        await slow
        events = await core.database.all("SELECT name FROM payments.outbox", name="test")
        assert [event["name"] for event in events] == ["invoice.created"]


class TestCrediting:
    async def _invoice(self, client: httpx.AsyncClient, sats: int = 5) -> str:
        return str((await client.post(ROUTE, json={"amount": sats})).json()["paymentHash"])

    async def _status(self, client: httpx.AsyncClient, reference: str) -> str:
        return str((await client.get(f"/v1/invoices/{reference}")).json()["status"])

    async def test_the_first_that_covers_it_settles(
        self, client: httpx.AsyncClient, rail: MemoryRail, core: Core
    ) -> None:
        reference = await self._invoice(client)
        assert await credit(core, "lnd", [await rail.arrive(reference, 5000)]) == ["settled"]
        assert await self._status(client, reference) == "settled"
        assert await balances(core) == {"assets:lnd": 5000, "liabilities:user:test:alice": -5000}

    async def test_the_same_event_is_credited_once(
        self, client: httpx.AsyncClient, rail: MemoryRail, core: Core
    ) -> None:
        arrival = await rail.arrive(await self._invoice(client), 5000)
        found = await asyncio.gather(*(credit(core, "lnd", [arrival]) for _ in range(8)))
        assert sorted(one[0] for one in found) == ["known"] * 7 + ["settled"]
        assert (await balances(core))["assets:lnd"] == 5000

    async def test_too_little_goes_to_suspense_and_the_invoice_can_still_be_paid(
        self, client: httpx.AsyncClient, rail: MemoryRail, core: Core
    ) -> None:
        reference = await self._invoice(client)
        assert await credit(core, "lnd", [await rail.arrive(reference, 4999)]) == ["underpaid"]
        assert (await balances(core))["liabilities:suspense:lnd"] == -4999
        assert await credit(core, "lnd", [await rail.arrive(reference, 5000)]) == ["settled"]
        assert (await balances(core))["liabilities:user:test:alice"] == -5000

    async def test_the_excess_goes_to_suspense(self, client: httpx.AsyncClient, rail: MemoryRail, core: Core) -> None:
        reference = await self._invoice(client)
        assert await credit(core, "lnd", [await rail.arrive(reference, 6000)]) == ["overpaid"]
        found = await balances(core)
        assert found["liabilities:user:test:alice"] == -5000
        assert found["liabilities:suspense:lnd"] == -1000

    async def test_a_second_payment_goes_to_suspense(
        self, client: httpx.AsyncClient, rail: MemoryRail, core: Core
    ) -> None:
        reference = await self._invoice(client)
        arrivals = [await rail.arrive(reference, 5000), await rail.arrive(reference, 5000)]
        assert await credit(core, "lnd", arrivals) == ["settled", "paid_twice"]
        assert await self._status(client, reference) == "paid_twice"
        assert (await balances(core))["liabilities:suspense:lnd"] == -5000

    async def test_a_late_payment_goes_to_suspense(
        self, client: httpx.AsyncClient, rail: MemoryRail, core: Core
    ) -> None:
        reference = await self._invoice(client)
        late = core.clock.now() + timedelta(hours=2)
        assert await repository.expire(core.database, late, grace_seconds=60, limit=10) == 1
        assert await self._status(client, reference) == "expired"
        assert await credit(core, "lnd", [await rail.arrive(reference, 5000, at=late)]) == ["paid_late"]
        assert (await balances(core))["liabilities:suspense:lnd"] == -5000

    async def test_in_time_but_reported_after_expiry_settles(
        self, client: httpx.AsyncClient, rail: MemoryRail, core: Core
    ) -> None:
        reference = await self._invoice(client)
        arrival = await rail.arrive(reference, 5000)
        await repository.expire(core.database, core.clock.now() + timedelta(hours=2), grace_seconds=60, limit=10)
        assert await credit(core, "lnd", [arrival]) == ["settled"]

    async def test_money_for_nobody_is_credited_to_suspense(self, rail: MemoryRail, core: Core) -> None:
        assert await credit(core, "lnd", [await rail.arrive("ff" * 32, 77)]) == ["unmatched"]
        assert await balances(core) == {"assets:lnd": 77, "liabilities:suspense:lnd": -77}

    async def test_following_goes_on_from_the_saved_cursor(
        self, client: httpx.AsyncClient, rail: MemoryRail, core: Core
    ) -> None:
        references = [await self._invoice(client) for _ in range(4)]
        for reference in references[:2]:
            await rail.arrive(reference, 5000)
        for part in (2, 4):
            follower = asyncio.create_task(follow(core, rail))

            async def credited(part: int = part) -> bool:
                return await repository.cursor(core.database, "lnd") == str(part)

            await until(credited)
            follower.cancel()
            await asyncio.gather(follower, return_exceptions=True)
            if part == 2:
                for reference in references[2:]:
                    await rail.arrive(reference, 5000)
        assert (await balances(core))["liabilities:user:test:alice"] == -20_000

    async def test_a_batch_is_credited_whole_or_not_at_all(
        self, client: httpx.AsyncClient, rail: MemoryRail, core: Core
    ) -> None:
        good = await rail.arrive(await self._invoice(client), 5000)
        bad = dataclasses.replace(await rail.arrive("aa", 1), asset="NOPE")
        with pytest.raises(Exception, match=r"foreign key"):
            await credit(core, "lnd", [good, bad])
        assert await balances(core) == {}
        assert await repository.cursor(core.database, "lnd") is None
