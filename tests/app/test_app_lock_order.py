"""Rows are locked in one order (`lock_classes.ROW_LOCKS`): transactions that meet never wait in a circle.

Each of these meetings was a deadlock once. A third transaction holds a row for so long that both of the two come to
wait, in the order in which they closed the circle.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from payments.core import Core
from payments.database import Transaction
from payments.inbound.reversals import reverse
from payments.lock_classes import ROW_LOCKS
from payments.rails.protocol import Reversal
from payments.suspense import repository as suspense
from payments.worker.following import credit
from tests.app.conftest import balances, until
from tests.app.memory_rail import MemoryRail

Act = Callable[[Transaction], Awaitable[Any]]


class Meeting:
    """Transactions on connections of their own, which begin to wait one after the other."""

    def __init__(self, core: Core, stack: AsyncExitStack) -> None:
        self._core, self._stack = core, stack
        self.holder: psycopg.AsyncConnection[Any] | None = None

    async def connect(self) -> psycopg.AsyncConnection[Any]:
        assert self._core.settings.database_url is not None
        url = self._core.settings.database_url.get_secret_value()
        connection = await psycopg.AsyncConnection.connect(url, row_factory=dict_row)
        self._stack.push_async_callback(connection.close)
        return connection

    async def hold(self, statement: str, *parameters: object) -> None:
        """Hold a row until `release`."""
        self.holder = await self.connect()
        await self.holder.execute(statement.encode(), parameters)

    async def release(self) -> None:
        assert self.holder is not None
        await self.holder.rollback()

    async def arrives(self, act: Act) -> asyncio.Task[Any]:
        """Begin a transaction and return when it waits for a lock, or is done."""
        connection = await self.connect()
        pid = connection.info.backend_pid

        async def whole() -> Any:
            async with connection.transaction():
                return await act(Transaction(connection))

        task = asyncio.create_task(whole())

        async def waits() -> bool:
            query = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
            return task.done() or bool(await self._core.database.value(query, (pid,), name="test"))

        await until(waits, 60)
        return task


@pytest.fixture
async def meeting(core: Core) -> AsyncIterator[Meeting]:
    async with AsyncExitStack() as stack:
        yield Meeting(core, stack)


async def _invoice(client: httpx.AsyncClient) -> dict[str, Any]:
    made: dict[str, Any] = (await client.post("/v1/invoices", json={"amount": 1000})).json()
    return made


def _accepting(core: Core, identity: str, *, by_rule: bool) -> Act:
    async def act(transaction: Transaction) -> Any:
        if not by_rule:
            await suspense.by_id(transaction, uuid.UUID(identity), user_id="alice", environment="test", lock=True)
        return await suspense.accept(
            transaction,
            uuid.UUID(identity),
            user_id="",
            environment="test",
            reason="less will do",
            now=core.clock.now(),
            actor="key:1",
            cause="test",
        )

    return act


@pytest.mark.parametrize("by_rule", [False, True])
@pytest.mark.parametrize("is_first", ["reversal", "acceptance"])
async def test_an_amount_is_accepted_while_its_deposit_is_reversed(
    client: httpx.AsyncClient, core: Core, rail: MemoryRail, meeting: Meeting, is_first: str, by_rule: bool
) -> None:
    invoice = await _invoice(client)
    arrival = await rail.arrive(invoice["paymentHash"], 700)
    await credit(core, "lnd", [arrival])
    (suspended,) = (await client.get("/v1/suspense")).json()["data"]

    async def reversing(transaction: Transaction) -> Any:
        query = "SELECT (payments.reverse_arrival('lnd', %s, '{}', clock_timestamp())).id"
        return await transaction.value(query, (arrival.event_id,), name="test")

    acts = [reversing, _accepting(core, suspended["id"], by_rule=by_rule)]
    await meeting.hold("SELECT 1 FROM payments.invoices WHERE id = %s FOR NO KEY UPDATE", invoice["id"])
    tasks = [await meeting.arrives(act) for act in (acts if is_first == "reversal" else reversed(acts))]
    await meeting.release()
    first, second = await asyncio.gather(*tasks)
    assert first is not None
    # Reversed first, nothing is there to be accepted; accepted first, it is taken from its owner.
    assert (second is None) == (is_first == "reversal")
    assert not any((await balances(core)).values())
    assert await reverse(core, "lnd", [Reversal(arrival.event_id)]) == 0


async def test_two_batches_of_arrivals_have_the_same_invoices_in_another_order(
    client: httpx.AsyncClient, core: Core, rail: MemoryRail, meeting: Meeting
) -> None:
    one, two = await _invoice(client), await _invoice(client)

    def crediting(*invoices: dict[str, Any]) -> Act:
        async def act(transaction: Transaction) -> Any:
            events, hashes = [str(uuid.uuid4()) for _ in invoices], [invoice["paymentHash"] for invoice in invoices]
            query = (
                "SELECT payments.credit_arrivals('lnd', %s, %s, ARRAY['BTC', 'BTC'], ARRAY[1000::numeric, 1000], "
                "ARRAY[clock_timestamp(), clock_timestamp()], ARRAY['{}'::jsonb, '{}'], '')"
            )
            return await transaction.value(query, (events, hashes), name="test")

        return act

    await meeting.hold("SELECT 1 FROM payments.invoices WHERE id = %s FOR NO KEY UPDATE", one["id"])
    tasks = [await meeting.arrives(crediting(one, two)), await meeting.arrives(crediting(two, one))]
    await meeting.release()
    assert await asyncio.gather(*tasks) == [["settled"] * 2, ["paid_twice"] * 2]


async def test_an_invoice_is_resumed_while_the_first_who_made_it_writes_its_end(core: Core, meeting: Meeting) -> None:
    identity, first, second = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()

    def beginning(token: uuid.UUID) -> Act:
        async def act(transaction: Transaction) -> Any:
            query = (
                "SELECT outcome FROM payments.begin_invoice('c', 'test', 'r', 'k', sha256('b'), %s, 0, %s, %s, "
                "'alice', NULL, 'lnd', 'r1', 'BTC', 1000, '', '{}', NULL, now(), now() + interval '1 hour', 'new')"
            )
            return await transaction.value(query, (token, identity, uuid.uuid4()), name="test")

        return act

    async def ending(transaction: Transaction) -> Any:
        query = (
            "SELECT payments.open_invoice(%s, %s, 'request', '{\"is\": \"made\"}', now() + interval '1 hour', now(), "
            "'c', 'test', 'r', 'k', 200, '{}', '', 'worker', 'test')"
        )
        return await transaction.value(query, (identity, first), name="test")

    assert await (await meeting.arrives(beginning(first))) == "claimed"
    await meeting.hold("SELECT 1 FROM payments.invoices WHERE id = %s FOR NO KEY UPDATE", identity)
    tasks = [await meeting.arrives(ending), await meeting.arrives(beginning(second))]
    await meeting.release()
    assert await asyncio.gather(*tasks) == [True, "resumed"]
    state = await core.database.value("SELECT state FROM payments.invoices WHERE id = %s", (identity,), name="test")
    assert state == "open"


LOCKED = re.compile(
    r"FROM\s+(?P<read>\w+\.\w+)(?:(?!\bFROM\b|;).)*?\bFOR (?:NO KEY )?UPDATE\b(?! SKIP)(?: OF \w+)?(?! SKIP)"
    r"|\bUPDATE\s+(?P<written>\w+\.\w+)|\b(?P<called>payments|x402)\.(?P<function>\w+)\(",
    re.DOTALL,
)
SUBQUERY = re.compile(r"\(SELECT\b(?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)")
# The second halves of an invoice's rail call take its key last; see lock_classes.
KEY_LAST = {"payments.open_invoice", "payments.fail_invoice", "payments.doubt_invoice"}


async def test_the_functions_of_the_database_lock_rows_in_this_order(core: Core) -> None:
    rows = await core.database.all(
        "SELECT n.nspname || '.' || p.proname AS name, p.prosrc FROM pg_proc p JOIN pg_namespace n "
        "ON n.oid = p.pronamespace WHERE n.nspname IN ('payments', 'x402')",
        name="test",
    )
    sources = {row["name"]: SUBQUERY.sub("()", re.sub(r"--[^\n]*", "", row["prosrc"])) for row in rows}

    def locks(name: str, seen: tuple[str, ...] = ()) -> list[str]:
        """Tables in the order in which a function, with those it calls, first locks rows that were there before it."""
        found: list[str] = []
        for match in LOCKED.finditer(sources[name]):
            called = f"{match['called']}.{match['function']}"
            if called in sources and called not in seen:
                found += locks(called, (*seen, name))
            elif match["read"] or match["written"]:
                found.append(match["read"] or match["written"])
        return [table for table in dict.fromkeys(found) if table in ROW_LOCKS]

    # What another function calls is seen there, with what that one has locked before.
    called = {f"{one['called']}.{one['function']}" for text in sources.values() for one in LOCKED.finditer(text)}
    several = {name: order for name in sources.keys() - called if len(order := locks(name)) > 1}
    assert {"payments.accept_suspense", "payments.reverse_arrival", "payments.finish_payment"} <= several.keys()
    for name in KEY_LAST & several.keys():
        several[name] = [table for table in several[name] if table != "payments.idempotency_keys"]
    wrong = {name: order for name, order in several.items() if order != sorted(order, key=ROW_LOCKS.index)}
    assert wrong == {}, "these lock rows in another order than lock_classes.ROW_LOCKS"
