"""Whether this release may run on the schema it finds. Imports nothing of Alembic: the service stays small."""

from __future__ import annotations

from pathlib import Path

from payments.database import Database

# The oldest schema that this code works with; raised only together with a contract revision.
OLDEST_SCHEMA = "0009"
# The newest revision of this release: its files are named after their numbers.
NEWEST_SCHEMA = max(file.name[:4] for file in (Path(__file__).parent / "versions").glob("[0-9][0-9][0-9][0-9]_*.py"))
SCHEMA_OK = "ok"


async def schema_problem(database: Database) -> str | None:
    """One sentence on why this release cannot run on the database's schema, None when it can."""
    row = await database.one(
        "SELECT max(revision) AS revision, max(compatible_from) AS compatible_from FROM payments.schema_revisions",
        name="schema_revision",
    )
    if row is None or row["revision"] is None or row["revision"] < OLDEST_SCHEMA:
        return f"schema is older than {OLDEST_SCHEMA}: run `python -m payments migrate`"
    if row["compatible_from"] > NEWEST_SCHEMA:
        return f"schema {row['revision']} needs a release that knows revision {row['compatible_from']}"
    return None
