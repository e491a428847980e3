"""The pool of connections keeps all of them, whenever whoever uses one is cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from payments.database import Database
from tests.app.conftest import TestDatabase, until
from tests.app.interrupting import Interrupted, interrupt_at

SIZE = 3


@pytest.fixture
async def pool(database: TestDatabase) -> AsyncIterator[Database]:
    made = Database(database.app_url, size=SIZE, timeout_seconds=20, name="test")
    await made.open()
    yield made
    await made.close()


async def _all_back(pool: Database) -> None:
    async def back() -> bool:
        figures = pool._pool.get_stats()
        return figures["pool_available"] == figures["pool_size"]

    await until(back)


async def test_a_connection_comes_back_though_its_user_is_cancelled_while_returning_it(pool: Database) -> None:
    has_it, may_go = asyncio.Event(), asyncio.Event()

    async def use() -> None:
        async with pool.connection():
            has_it.set()
            await may_go.wait()

    user = asyncio.create_task(use())
    await has_it.wait()
    # The pool is busy handing another connection out: the return has to wait.
    async with pool._pool._lock:
        may_go.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        user.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await user
    await _all_back(pool)


def _interrupted(pool: Database, cut: int) -> Awaitable[None]:
    async def use() -> None:
        async with pool.statements() as transaction:
            await transaction.value("SELECT 1", name="test")
            await transaction.value("SELECT pg_catalog.pg_sleep(0.001)", name="test")

    async def cut_off() -> None:
        with contextlib.suppress(Interrupted):
            await interrupt_at(cut, use())

    return cut_off()


def _cancelled(pool: Database, turns: int) -> Awaitable[None]:
    async def cut_off() -> None:
        using = asyncio.ensure_future(pool.value("SELECT pg_catalog.pg_sleep(0.001)", name="test"))
        for _ in range(turns):
            await asyncio.sleep(0)
        using.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await using

    return cut_off()


@pytest.mark.parametrize("end", [_interrupted, _cancelled])
async def test_no_connection_is_lost_to_cancellations_at_any_await(
    pool: Database, end: Callable[[Database, int], Awaitable[None]]
) -> None:
    """More users than connections, so that they wait for each other everywhere."""
    for cuts in itertools.product((0, 2, 5), (1, 3, 8), (4, 7)):
        await asyncio.gather(*(end(pool, cut) for cut in cuts * 3))
    await _all_back(pool)
