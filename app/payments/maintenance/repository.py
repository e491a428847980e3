"""SQL of the report. Amounts are summed per asset, in minor units."""

from __future__ import annotations

from datetime import datetime

from payments.database import Database, Row

LARGEST = 20


async def payments(database: Database, start: datetime, end: datetime) -> list[Row]:
    """What was sent, by rail, asset and state: number, amounts, fees, and the mean seconds to an end."""
    return await database.all(
        "SELECT environment, rail, asset, state, count(*) AS number, sum(amount)::text AS amount, "
        "coalesce(sum(fee), 0)::text AS fees, "
        "round(avg(extract(epoch FROM finished_at - created_at)), 3)::float8 AS mean_seconds "
        "FROM payments.payments WHERE created_at >= %s AND created_at < %s "
        "GROUP BY environment, rail, asset, state ORDER BY environment, rail, asset, state",
        (start, end),
        name="report_payments",
    )


async def arrivals(database: Database, start: datetime, end: datetime) -> list[Row]:
    """What came in, by rail, asset and what it meant."""
    return await database.all(
        "SELECT rail, asset, disposition, count(*) AS number, sum(amount)::text AS amount FROM payments.arrivals "
        "WHERE credited_at >= %s AND credited_at < %s GROUP BY rail, asset, disposition "
        "ORDER BY rail, asset, disposition",
        (start, end),
        name="report_arrivals",
    )


async def largest(database: Database, start: datetime, end: datetime) -> list[Row]:
    """The largest payments of each asset (tn-weekly-large-tx)."""
    return await database.all(
        "SELECT id::text, environment, rail, asset, amount::text AS amount, state, created_at FROM ("
        "SELECT p.*, row_number() OVER (PARTITION BY environment, asset ORDER BY amount DESC, id) AS place "
        "FROM payments.payments p WHERE created_at >= %s AND created_at < %s) ranked WHERE place <= %s "
        "ORDER BY environment, asset, place",
        (start, end, LARGEST),
        name="report_largest",
    )


async def failures(database: Database, start: datetime, end: datetime) -> list[Row]:
    """Why payments failed, by rail."""
    return await database.all(
        "SELECT rail, reason, count(*) AS number FROM payments.payments "
        "WHERE state = 'failed' AND finished_at >= %s AND finished_at < %s GROUP BY rail, reason "
        "ORDER BY number DESC, rail, reason LIMIT 20",
        (start, end),
        name="report_failures",
    )


async def open_now(database: Database) -> Row:
    """What waits for somebody or something now: payments, suspense, discrepancies, orphans (x4-verify-orphans)."""
    row = await database.one(
        "SELECT (SELECT count(*) FROM payments.payments WHERE state IN ('created', 'sending', 'unknown')) AS payments, "
        "(SELECT count(*) FROM payments.suspense WHERE state = 'open') AS suspense, "
        "(SELECT count(*) FROM payments.discrepancies WHERE resolved_at IS NULL) AS discrepancies, "
        "(SELECT count(*) FROM x402.job_requests j WHERE NOT EXISTS "
        "(SELECT 1 FROM x402.agent_services s WHERE s.id = j.service_id)) AS orphans",
        name="report_open",
    )
    assert row is not None
    return row


async def sizes(database: Database) -> Row:
    """Bytes of the database and of its ten largest tables, with their indexes."""
    row = await database.one(
        "SELECT pg_database_size(current_database()) AS database_bytes, (SELECT jsonb_object_agg(name, bytes) FROM ("
        "SELECT schemaname || '.' || relname AS name, pg_total_relation_size(relid) AS bytes "
        "FROM pg_stat_user_tables ORDER BY bytes DESC, name LIMIT 10) AS largest) AS tables_bytes",
        name="report_sizes",
    )
    assert row is not None
    return row
