"""The MSTY guide's table has its columns, types and indexes (ms-table-invoices, ms-col-*, ms-index-*)."""

from __future__ import annotations

from payments.core import Core

COLUMNS = {
    "id": "uuid",
    "payment_hash": "character varying(64)",
    "amount_sats": "bigint",
    "memo": "text",
    "status": "character varying(20)",
    # Times are timestamptz everywhere (design section 4): the guide says TIMESTAMP.
    "expires_at": "timestamp with time zone",
    "settled_at": "timestamp with time zone",
    "created_at": "timestamp with time zone",
    "updated_at": "timestamp with time zone",
}


async def test_the_invoices_table_is_the_guides(core: Core) -> None:
    rows = await core.database.all(
        "SELECT attname, format_type(atttypid, atttypmod) AS type FROM pg_attribute "
        "WHERE attrelid = 'lightning.invoices'::regclass AND attnum > 0 AND NOT attisdropped",
        name="test",
    )
    assert {row["attname"]: row["type"] for row in rows} == COLUMNS


async def test_the_indexes_are_the_guides(core: Core) -> None:
    rows = await core.database.all(
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'lightning' AND tablename = 'invoices'", name="test"
    )
    found = {row["indexdef"].partition(" USING btree ")[2]: row["indexdef"].startswith("CREATE UNIQUE") for row in rows}
    assert found == {"(id)": True, "(payment_hash)": True, "(status, created_at)": False, "(expires_at)": False}
