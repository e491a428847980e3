"""SQL of the audit log's roots."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Planned:
    """A segment to be archived: roots `first_root` to `last_root`, after the segment whose digest is `previous`."""

    number: int
    first_root: int
    last_root: int
    previous: bytes


async def plan_segment(database: Database, entries: int) -> Planned | None:
    """The segment to be archived next, planned with at most `entries` rows (one root at least); None: all is there."""
    row = await database.one("SELECT * FROM payments.plan_audit_segment(%s)", (entries,), name="plan_audit_segment")
    return None if row is None else Planned(**row)


async def roots(database: Database, first: int, last: int) -> list[Row]:
    """Roots by number, each with `after_id`, the last id of the root before."""
    return await database.all(
        "SELECT number, through_id, root, sealed_at, coalesce((SELECT b.through_id FROM payments.audit_roots b "
        "WHERE b.number = r.number - 1), 0) AS after_id FROM payments.audit_roots r "
        "WHERE number BETWEEN %s AND %s ORDER BY number",
        (first, last),
        name="audit_roots",
    )


async def lines(database: Database, after_id: int, through_id: int) -> list[str]:
    """The rows of a root as they are hashed."""
    found = await database.all(
        "SELECT line FROM payments.audit_lines(%s, %s) ORDER BY id", (after_id, through_id), name="audit_lines"
    )
    return [row["line"] for row in found]


async def columns(database: Database) -> list[str]:
    """What the values of a line are, in their order."""
    found = await database.all(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'payments.audit_log'::regclass AND attnum > 0 "
        "AND NOT attisdropped ORDER BY attnum",
        name="audit_columns",
    )
    return [row["attname"] for row in found]


async def mark_archived(database: Database, number: int, name: str, digest: bytes) -> None:
    """Move the cursor over a segment; a second time changes nothing."""
    await database.run(
        "INSERT INTO payments.audit_archived (number, name, digest) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
        (number, name, digest),
        name="mark_archived",
    )


async def archived(database: Database) -> list[Row]:
    """Every segment that the archive has taken: number, name, digest, last_root."""
    return await database.all(
        "SELECT a.number, a.name, a.digest, s.last_root FROM payments.audit_archived a "
        "JOIN payments.audit_segments s USING (number) ORDER BY number",
        name="audit_archived",
    )


async def unarchived_seconds(database: Database) -> float:
    """How long the oldest sealed root has not been in the archive, in seconds; 0 when all are."""
    return float(
        await database.value(
            "SELECT coalesce(extract(epoch FROM clock_timestamp() - min(sealed_at)), 0)::float8 "
            "FROM payments.audit_roots WHERE number > coalesce((SELECT max(s.last_root) FROM payments.audit_segments s "
            "JOIN payments.audit_archived USING (number)), 0)",
            name="audit_unarchived",
        )
    )


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
