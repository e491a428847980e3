"""What every revision does: run its SQL file, record its schema window, and refuse a downgrade that would lose rows."""

from __future__ import annotations

import re
from pathlib import Path

from alembic import op
from psycopg import Connection, sql

SQL_FOLDER = Path(__file__).parent / "sql"


class DowngradeRefusedError(Exception):
    """The revision cannot be taken back without losing rows, or is never taken back."""


def _driver() -> Connection[tuple[object, ...]]:
    connection = op.get_bind().connection.driver_connection
    assert isinstance(connection, Connection)
    return connection


def apply(revision: str, kind: str, compatible_from: str, before: str = "") -> None:
    """Run `sql/<revision>_*.sql` (after the statements in `before`) and record the revision's window.

    A release may run on this schema when its own newest revision is at least `compatible_from`.
    """
    (file,) = SQL_FOLDER.glob(f"{revision}_*.sql")
    # Without parameters psycopg sends the file as one script, so that function bodies need no escaping.
    _driver().execute((before + file.read_text()).encode())
    _driver().execute(
        "INSERT INTO payments.schema_revisions (revision, kind, compatible_from) VALUES (%s, %s, %s)",
        (revision, kind, compatible_from),
    )


def functions_of(revision: str, *names: str) -> str:
    """Statements that give functions the bodies they have in the file of `revision`: for taking back a later one."""
    (file,) = SQL_FOLDER.glob(f"{revision}_*.sql")
    found = []
    for name in names:
        match = re.search(
            rf"CREATE (?:OR REPLACE )?(FUNCTION {re.escape(name)}\(.*?\n(?:END )?\$\$;\n)", file.read_text(), re.S
        )
        assert match is not None, f"{file.name} makes no function {name}"
        found.append(f"CREATE OR REPLACE {match[1]}")
    return "".join(found)


def take_back(revision: str, tables: tuple[str, ...], statements: str) -> None:
    """Undo an expand revision whose `tables` are empty.

    Raises:
        DowngradeRefusedError: one of the tables has rows.
    """
    for table in tables:
        name = sql.Identifier(*table.split("."))
        if _driver().execute(sql.SQL("SELECT 1 FROM {} LIMIT 1").format(name)).fetchone():
            raise DowngradeRefusedError(
                f"Revision {revision} is not taken back: {table} has rows that would be lost. Roll the code back "
                "instead; it runs on this schema as long as its schema window includes it."
            )
    _driver().execute(statements.encode())
    _driver().execute("DELETE FROM payments.schema_revisions WHERE revision = %s", (revision,))


def never_take_back(revision: str, what: str) -> None:
    """Refuse: ledger, idempotency and audit never go.

    Raises:
        DowngradeRefusedError: always.
    """
    raise DowngradeRefusedError(f"Revision {revision} is never taken back: it holds {what}.")
