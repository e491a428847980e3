"""The pool of PostgreSQL connections. Repositories call it; a hot path is one statement in one round trip.

Connections are in autocommit mode: a statement that calls one SQL function is a transaction by itself. No connection is
ever held over a rail call.
"""

from __future__ import annotations

import asyncio
import time
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, LiteralString, Protocol, TypeVar

import orjson
import psycopg
from psycopg import AsyncConnection, AsyncCursor
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import Jsonb, set_json_loads
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from payments import metrics
from payments.errors import ServiceUnavailable

Row = DictRow
T = TypeVar("T")
Cursor = AsyncCursor[DictRow]
# The job queue's functions name their tables without a schema; everything of ours is named in full.
SEARCH_PATH = "procrastinate,pg_catalog"


class _WholeNumber(Loader):
    """numeric(38, 0) as int: money is never anything else."""

    def load(self, data: Buffer) -> int:
        return int(bytes(data))


def jsonb(value: Any) -> Jsonb:
    """`value` as a jsonb parameter."""
    return Jsonb(value, dumps=_dumps)


def _dumps(value: Any) -> bytes:
    return orjson.dumps(value, default=str)


async def _all_rows(cursor: Cursor) -> list[Row]:
    return await cursor.fetchall()


async def _first_row(cursor: Cursor) -> Row | None:
    return await cursor.fetchone()


async def _no_rows(_cursor: Cursor) -> None:
    return None


async def _configure(connection: AsyncConnection[DictRow]) -> None:
    connection.adapters.register_loader("numeric", _WholeNumber)
    set_json_loads(orjson.loads, connection)


@types.coroutine
def _go_on(coroutine: Coroutine[Any, Any, None], waits_for: Any) -> Generator[Any, Any, None]:
    """The rest of a coroutine that was begun by hand and stopped at `waits_for`."""
    try:
        while True:
            try:
                sent = yield waits_for
            except BaseException as error:
                waits_for = coroutine.throw(error)
            else:
                waits_for = coroutine.send(sent)
    except StopIteration:
        return


@contextmanager
def _told_apart() -> Iterator[None]:
    """Tell trouble with the database itself, which is worth trying again, from an error of a statement."""
    try:
        yield
    except PoolTimeout:
        metrics.DATABASE_ERRORS.inc()
        raise ServiceUnavailable(
            "The database has no free connection: try again shortly.", headers={"Retry-After": "2"}
        ) from None
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        if error.sqlstate is not None and not error.sqlstate.startswith(("08", "57", "53")):
            raise
        metrics.DATABASE_ERRORS.inc()
        raise ServiceUnavailable(
            "The database does not answer: try again shortly.", headers={"Retry-After": "2"}
        ) from error


class Queries(Protocol):
    """What repositories need: `Database` runs each statement as a transaction, `Transaction` all of them in one."""

    async def all(self, statement: LiteralString, parameters: Sequence[Any] = (), *, name: str) -> list[Row]:
        """Every row of one statement; `name` labels its time in the metrics."""

    async def one(self, statement: LiteralString, parameters: Sequence[Any] = (), *, name: str) -> Row | None:
        """The first row of one statement, None when there is none."""

    async def value(self, statement: LiteralString, parameters: Sequence[Any] = (), *, name: str) -> Any:
        """The first column of the first row, None when there is none."""

    async def run(self, statement: LiteralString, parameters: Sequence[Any] = (), *, name: str) -> None:
        """One statement whose rows nobody wants."""


class Transaction:
    """Statements of one open transaction. `connection` is there for SQL that a repository of ours already has."""

    def __init__(self, connection: AsyncConnection[DictRow]) -> None:
        self.connection = connection

    async def all(self, statement: LiteralString, parameters: Sequence[Any] = (), *, name: str) -> list[Row]:
        """As `Queries.all`."""
        with metrics.DB_QUERY_SECONDS.labels(name).time():
            return await (await self.connection.execute(statement, parameters)).fetchall()

    async def one(self, statement: LiteralString, parameters: Sequence[Any] = (), *, name: str) -> Row | None:
        """As `Queries.one`."""
        with metrics.DB_QUERY_SECONDS.labels(name).time():
            return await (await self.connection.execute(statement, parameters)).fetchone()

    async def value(self, statement: LiteralString, parameters: Sequence[Any] = (), *, name: str) -> Any:
        """As `Queries.value`."""
        row = await self.one(statement, parameters, name=name)
        return next(iter(row.values())) if row else None

    async def run(self, statement: LiteralString, parameters: Sequence[Any] = (), *, name: str) -> None:
        """As `Queries.run`."""
        with metrics.DB_QUERY_SECONDS.labels(name).time():
            await self.connection.execute(statement, parameters)


class Database:
    """PostgreSQL as payments_app.

    Args:
        url: of the role payments_app; a secret.
        size: connections held at most.
        timeout_seconds: longest wait for one of them.
    """

    def __init__(self, url: str, *, size: int, timeout_seconds: float, name: str) -> None:
        self._pool: AsyncConnectionPool[AsyncConnection[DictRow]] = AsyncConnectionPool(
            url,
            kwargs={
                "autocommit": True,
                "row_factory": dict_row,
                "application_name": name,
                "options": f"-c search_path={SEARCH_PATH} -c statement_timeout=15000 "
                # A process that is frozen in the middle of a transaction must not hold its locks for ever.
                "-c idle_in_transaction_session_timeout=30000",
                "connect_timeout": 5,
                "prepare_threshold": 2,
            },
            min_size=min(2, size),
            max_size=size,
            timeout=timeout_seconds,
            reconnect_timeout=5,
            configure=_configure,
            open=False,
            name=name,
        )
        self._returning: set[asyncio.Task[None]] = set()
        metrics.DB_POOL_SIZE.set(size)

    async def open(self) -> None:
        """Start filling the pool. Does not wait: /ready tells whether PostgreSQL answers."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Return every connection."""
        if self._returning:
            await asyncio.wait(self._returning)
        await self._pool.close(timeout=5)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection[DictRow]]:
        """A connection of the pool.

        Raises:
            ServiceUnavailable: none became free in time, or PostgreSQL went away.
        """
        with _told_apart():
            connection = await self._pool.getconn()
            try:
                async with connection:
                    yield connection
            finally:
                await self._give_back(connection)

    async def _give_back(self, connection: AsyncConnection[DictRow]) -> None:
        """Return a connection, also when the caller is cancelled meanwhile.

        psycopg_pool's own `putconn` loses the connection when it is cancelled while it waits for the pool's lock, and
        whoever waited for that connection then waits until its time is over.
        """
        returning = self._pool.putconn(connection)
        try:
            waits_for = returning.send(None)
        except StopIteration:
            return  # nearly always: nobody holds the lock, and no task had to be made
        task = asyncio.create_task(_go_on(returning, waits_for))
        self._returning.add(task)
        task.add_done_callback(self._returning.discard)
        await asyncio.shield(task)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection[DictRow]]:
        """A connection inside one transaction, committed at the end."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def statements(self) -> AsyncIterator[Transaction]:
        """Statements inside one transaction, committed at the end."""
        async with self.transaction() as connection:
            yield Transaction(connection)

    async def all(self, statement: LiteralString, parameters: Sequence[Any] = (), *, name: str) -> list[Row]:
        """Every row of one statement; `name` labels its time in the metrics."""
        return await self._execute(statement, parameters, name, _all_rows)

    async def one(self, statement: LiteralString, parameters: Sequence[Any] = (), *, name: str) -> Row | None:
        """The first row of one statement, None when there is none."""
        return await self._execute(statement, parameters, name, _first_row)

    async def _execute(
        self, statement: LiteralString, parameters: Sequence[Any], name: str, read: Callable[[Cursor], Awaitable[T]]
    ) -> T:
        """One statement, which is one transaction: broken off by PostgreSQL to end a deadlock, it is tried again."""
        for tries_left in (2, 1, 0):
            started = time.perf_counter()
            try:
                # As `connection`, without the commit that there is none of in autocommit mode.
                with _told_apart():
                    connection = await self._pool.getconn()
                    try:
                        found = await read(await connection.execute(statement, parameters))
                    finally:
                        await self._give_back(connection)
            except (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure):
                if not tries_left:
                    raise
                continue
            metrics.DB_QUERY_SECONDS.labels(name).observe(time.perf_counter() - started)
            return found
        raise AssertionError("the last try returns or raises")

    async def value(self, statement: LiteralString, parameters: Sequence[Any] = (), *, name: str) -> Any:
        """The first column of the first row, None when there is none."""
        row = await self.one(statement, parameters, name=name)
        return next(iter(row.values())) if row else None

    async def run(self, statement: LiteralString, parameters: Sequence[Any] = (), *, name: str) -> None:
        """One statement whose rows nobody wants."""
        await self._execute(statement, parameters, name, _no_rows)

    def measure_pool(self) -> None:
        """Write the pool's figures into the metrics."""
        figures = self._pool.get_stats()
        metrics.DB_POOL_IN_USE.set(figures.get("pool_size", 0) - figures.get("pool_available", 0))
        metrics.DB_POOL_WAITING.set(figures.get("requests_waiting", 0))
