"""The schema goes up, down and up again; what must never go, stays."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from payments.database import Database
from payments.migrations import running
from payments.migrations.running import MigrationError, head_revision, migrate, schema_window
from payments.migrations.window import schema_problem
from tests.app.conftest import TestDatabase


def test_up_down_and_up_again(empty_database: TestDatabase) -> None:
    url = empty_database.owner_url
    assert migrate(url) == (None, head_revision())
    assert migrate(url) == (head_revision(), head_revision())
    assert migrate(url, "0003") == (head_revision(), "0003")
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT to_regclass('payments.invoices')").fetchone() == (None,)
    assert migrate(url) == ("0003", head_revision())
    with psycopg.connect(url) as connection:
        (count,) = connection.execute("SELECT count(*) FROM payments.schema_revisions").fetchone() or (0,)
    assert count == int(head_revision())


@pytest.mark.parametrize("target", ["0002", "0001"])
def test_ledger_idempotency_and_audit_are_never_taken_back(empty_database: TestDatabase, target: str) -> None:
    migrate(empty_database.owner_url, "0003")
    with pytest.raises(MigrationError, match="never taken back"):
        migrate(empty_database.owner_url, target)
    with psycopg.connect(empty_database.owner_url) as connection:
        assert connection.execute("SELECT version_num FROM payments.alembic_version").fetchone() == ("0003",)


def test_a_downgrade_that_would_lose_rows_is_refused(empty_database: TestDatabase) -> None:
    migrate(empty_database.owner_url)
    with psycopg.connect(empty_database.owner_url) as connection:
        connection.execute("INSERT INTO x402.nonces VALUES ('n', now())")
    with pytest.raises(MigrationError, match=r"x402\.nonces has rows that would be lost"):
        migrate(empty_database.owner_url, "0006")


def test_revisions_are_one_line_each_with_its_sql() -> None:
    folder = Path(running.__file__).parent
    numbers = [file.name[:4] for file in sorted((folder / "versions").glob("[0-9]*.py"))]
    assert numbers == [f"{number:04d}" for number in range(1, len(numbers) + 1)], "two took the same number"
    assert sorted(file.name[:4] for file in (folder / "sql").glob("*.sql")) == numbers


def test_an_unknown_revision_gets_one_sentence(empty_database: TestDatabase) -> None:
    with pytest.raises(MigrationError, match="There is no revision '9999'"):
        migrate(empty_database.owner_url, "9999")


def test_the_app_cannot_migrate(empty_database: TestDatabase) -> None:
    with pytest.raises(MigrationError, match=r"PostgreSQL refused the migration: .*permission denied"):
        migrate(empty_database.app_url)


def test_the_window_ends_at_the_newest_revision() -> None:
    window = schema_window()
    assert window["min"] <= window["max"] == head_revision()


DATA = """
SELECT payments.post_journal('t', '1', '', ARRAY['assets:lnd', 'liabilities:user:test:alice'], ARRAY['BTC', 'BTC'],
    ARRAY[9000::numeric, -9000]);
SELECT payments.claim_key('k', 'test', 'POST /v1/payments', 'key', sha256('b'), gen_random_uuid(), 60,
    gen_random_uuid());
INSERT INTO payments.invoices (id, user_id, environment, rail, rail_id, asset, amount, memo, metadata, state,
    payment_request, expires_at, created_at, updated_at)
    VALUES ('00000000-0000-7000-8000-000000000001', 'alice', 'test', 'lnd', 'r1', 'BTC', 1000, 'tea', '{}', 'creating',
        NULL, now() + interval '1 hour', now(), now());
INSERT INTO payments.payments (id, user_id, environment, rail, rail_id, payment_request, asset, amount, max_fee,
    created_at, updated_at)
    VALUES ('00000000-0000-7000-8000-000000000002', 'alice', 'test', 'lnd', 'r2', 'p', 'BTC', 5, 1, now(), now());
"""
KEPT = {
    "payments.entries": "id, journal_id, account_id, asset, amount",
    "payments.idempotency_keys": "caller_id, key, id, fingerprint, subject_id",
    "payments.invoices": "id, user_id, rail_id, amount, memo, state, created_at",
    "payments.payments": "id, user_id, rail_id, amount, max_fee, state, created_at",
    "payments.audit_log": "id, at, actor, action, object_id",
}


def _kept(url: str) -> dict[str, object]:
    """Everything that must survive a way down and up."""
    with psycopg.connect(url) as connection:
        return {
            table: connection.execute(f"SELECT {columns} FROM {table} ORDER BY 1, 2".encode()).fetchall()
            for table, columns in KEPT.items()
        }


async def _problem(app_url: str) -> str | None:
    database = Database(app_url, size=1, timeout_seconds=20, name="test")
    await database.open()
    try:
        return await schema_problem(database)
    finally:
        await database.close()


async def test_on_data_every_expand_revision_goes_down_and_up_again_and_the_window_says_who_may_run(
    empty_database: TestDatabase,
) -> None:
    url = empty_database.owner_url
    migrate(url)
    with psycopg.connect(empty_database.app_url) as connection:
        connection.execute(DATA.encode())
    before = _kept(url)
    assert all(before.values()), before
    # 0006 holds the payment: that is as far down as this data lets it go.
    for number in range(int(head_revision()) - 1, 5, -1):
        assert migrate(url, f"{number:04d}")[1] == f"{number:04d}"
        assert _kept(url) == before, number
        problem = await _problem(empty_database.app_url)
        assert (problem is None) == (f"{number:04d}" >= schema_window()["min"]), (number, problem)
    with pytest.raises(MigrationError, match=r"payments\.payments has rows that would be lost"):
        migrate(url, "0005")
    for number in range(7, int(head_revision()) + 1):
        migrate(url, f"{number:04d}")
        assert _kept(url) == before, number
    with psycopg.connect(url) as connection:
        windows = connection.execute(
            "SELECT revision, kind, compatible_from FROM payments.schema_revisions ORDER BY revision"
        ).fetchall()
    assert [row[0] for row in windows] == [f"{number:04d}" for number in range(1, int(head_revision()) + 1)]
    assert all(compatible_from <= revision for revision, _, compatible_from in windows), "a revision knows itself"
    newest_contract = max((row[0] for row in windows if row[1] == "contract"), default="0000")
    assert newest_contract <= schema_window()["min"], "below a contract revision nobody can go back"
    assert await _problem(empty_database.app_url) is None
