"""The monthly optimisation of the database (st-monthly-db-opt), as the tables' owner, while the service goes on.

VACUUM and REINDEX cannot run inside a transaction, and last longer than a request may: a connection of its own.
"""

from __future__ import annotations

import time
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

SCHEMAS = ("payments", "lightning", "x402", "stellar", "procrastinate")
LOCK_TIMEOUT_MILLISECONDS = 10_000
# What an interrupted REINDEX CONCURRENTLY leaves behind: PostgreSQL never uses it, and never removes it.
_LEFT_BEHIND = (
    "SELECT n.nspname AS schema, c.relname AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
    "JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE NOT i.indisvalid AND n.nspname = ANY (%s) AND c.relname ~ '_cc(new|old)[0-9]*$' ORDER BY 1, 2"
)
_TABLES = (
    "SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind = 'r' AND n.nspname = ANY (%s) ORDER BY 1, 2"
)
_SIZE = "SELECT pg_database_size(current_database()) AS size"


class OptimisationError(Exception):
    """PostgreSQL refused; the message is one sentence."""


def optimise(owner_url: str) -> dict[str, Any]:
    """VACUUM (ANALYZE) and REINDEX CONCURRENTLY of every table of ours.

    Returns:
        `tables`, `dropped` (indexes that an earlier run left invalid), `bytes_before`, `bytes_after`, `seconds`.

    Raises:
        OptimisationError: in one sentence, without the URL's password.
    """
    started = time.monotonic()
    options = f"-c lock_timeout={LOCK_TIMEOUT_MILLISECONDS} -c statement_timeout=0"
    try:
        with psycopg.connect(
            owner_url,
            autocommit=True,
            row_factory=dict_row,
            connect_timeout=10,
            application_name="optimise",
            options=options,
        ) as connection:
            before = _size(connection)
            dropped = [_named(row) for row in connection.execute(_LEFT_BEHIND, [list(SCHEMAS)])]
            for index in dropped:
                connection.execute(sql.SQL("DROP INDEX CONCURRENTLY {}").format(index))
            tables = [_named(row) for row in connection.execute(_TABLES, [list(SCHEMAS)])]
            for table in tables:
                connection.execute(sql.SQL("VACUUM (ANALYZE) {}").format(table))
                connection.execute(sql.SQL("REINDEX TABLE CONCURRENTLY {}").format(table))
            return {
                "tables": len(tables),
                "dropped": len(dropped),
                "bytes_before": before,
                "bytes_after": _size(connection),
                "seconds": round(time.monotonic() - started, 3),
            }
    except psycopg.Error as error:
        first_line = (str(error).strip().splitlines() or ["no answer"])[0]
        raise OptimisationError(f"PostgreSQL refused the optimisation: {first_line}") from None


def _named(row: dict[str, Any]) -> sql.Identifier:
    return sql.Identifier(row["schema"], row["name"])


def _size(connection: psycopg.Connection[dict[str, Any]]) -> int:
    row = connection.execute(_SIZE).fetchone()
    assert row is not None
    return int(row["size"])
