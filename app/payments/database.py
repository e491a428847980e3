"""The pool of PostgreSQL connections. Repositories call it; a hot path is one statement in one round trip.

Connections are in autocommit mode: a statement that calls one SQL function is a transaction by itself. No connection is
ever held over a rail call.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, LiteralString, TypeVar

import orjson
import psycopg
from psycopg import AsyncConnection
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import Jsonb, set_json_loads
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from payments import metrics
from payments.errors import ServiceUnavailable

Row = DictRow
T = TypeVar("T")
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


async def _configure(connection: AsyncConnection[DictRow]) -> None:
    connection.adapters.register_loader("numeric", _WholeNumber)
    set_json_loads(orjson.loads, connection)


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
                "options": f"-c search_path={SEARCH_PATH} -c statement_timeout=15000",
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
        metrics.DB_POOL_SIZE.set(size)

    async def open(self) -> None:
        """Start filling the pool. Does not wait: /ready tells whether PostgreSQL answers."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Return every connection."""
        await self._pool.close(timeout=5)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection[DictRow]]:
        """A connection of the pool.

        Raises:
            ServiceUnavailable: none became free in time, or PostgreSQL went away.
        """
        try:
            async with self._pool.connection() as connection:
                yield connection
        except PoolTimeout:
            raise ServiceUnavailable(
                "The database has no free connection: try again shortly.", headers={"Retry-After": "2"}
            ) from None
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            if error.sqlstate is not None and not error.sqlstate.startswith(("08", "57", "53")):
                raise
            raise ServiceUnavailable(
                "The database does not answer: try again shortly.", headers={"Retry-After": "2"}
            ) from error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection[DictRow]]:
        """A connection inside one transaction, committed at the end."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def all(self, statement: LiteralString, parameters: Sequence[Any] = (), *, name: str) -> list[Row]:
        """Every row of one statement; `name` labels its time in the metrics."""
        started = time.perf_counter()
        async with self.connection() as connection:
            cursor = await connection.execute(statement, parameters)
            rows = await cursor.fetchall()
        metrics.DB_QUERY_SECONDS.labels(name).observe(time.perf_counter() - started)
        return rows

    async def one(self, statement: LiteralString, parameters: Sequence[Any] = (), *, name: str) -> Row | None:
        """The first row of one statement, None when there is none."""
        started = time.perf_counter()
        async with self.connection() as connection:
            cursor = await connection.execute(statement, parameters)
            row = await cursor.fetchone()
        metrics.DB_QUERY_SECONDS.labels(name).observe(time.perf_counter() - started)
        return row

    async def value(self, statement: LiteralString, parameters: Sequence[Any] = (), *, name: str) -> Any:
        """The first column of the first row, None when there is none."""
        row = await self.one(statement, parameters, name=name)
        return next(iter(row.values())) if row else None

    async def run(self, statement: LiteralString, parameters: Sequence[Any] = (), *, name: str) -> None:
        """One statement without rows."""
        started = time.perf_counter()
        async with self.connection() as connection:
            await connection.execute(statement, parameters)
        metrics.DB_QUERY_SECONDS.labels(name).observe(time.perf_counter() - started)

    def measure_pool(self) -> None:
        """Write the pool's figures into the metrics."""
        figures = self._pool.get_stats()
        metrics.DB_POOL_IN_USE.set(figures.get("pool_size", 0) - figures.get("pool_available", 0))
        metrics.DB_POOL_WAITING.set(figures.get("requests_waiting", 0))
