"""SQL of the audit log's roots."""

from __future__ import annotations

from payments.database import Database, Row


async def candidate(database: Database) -> tuple[int, str]:
    """The last id given out now, and the transaction that must have ended before it can be sealed."""
    row = await database.one(
        "SELECT through_id, next_transaction::text FROM payments.audit_candidate()", name="audit_candidate"
    )
    assert row is not None
    return row["through_id"], row["next_transaction"]


async def seal(database: Database, through_id: int, next_transaction: str) -> int | None:
    """Seal up to an id; the number of rows, None when it is too early or nothing is new."""
    sealed = await database.value(
        "SELECT payments.seal_audit(%s, %s::text::xid8)", (through_id, next_transaction), name="seal_audit"
    )
    return int(sealed) if sealed is not None else None


async def breaks(database: Database) -> list[Row]:
    """Roots that the rows no longer lead to."""
    return await database.all("SELECT * FROM payments.audit_breaks()", name="audit_breaks")


async def figures(database: Database) -> Row:
    """How much is sealed and how long the oldest unsealed row has waited, in seconds."""
    row = await database.one(
        "SELECT coalesce(max(number), 0) AS roots, coalesce(sum(entries), 0)::bigint AS sealed, "
        "(SELECT count(*) FROM payments.audit_log WHERE id > coalesce(max(r.through_id), 0)) AS unsealed, "
        "(SELECT coalesce(extract(epoch FROM clock_timestamp() - min(at)), 0)::float8 FROM payments.audit_log "
        "WHERE id > coalesce(max(r.through_id), 0)) AS unsealed_seconds FROM payments.audit_roots r",
        name="audit_figures",
    )
    assert row is not None
    return row
