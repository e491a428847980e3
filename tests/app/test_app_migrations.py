"""The schema goes up, down and up again; what must never go, stays."""

from __future__ import annotations

import psycopg
import pytest

from payments.migrations.running import MigrationError, head_revision, migrate, schema_window
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


def test_an_unknown_revision_gets_one_sentence(empty_database: TestDatabase) -> None:
    with pytest.raises(MigrationError, match="There is no revision '9999'"):
        migrate(empty_database.owner_url, "9999")


def test_the_app_cannot_migrate(empty_database: TestDatabase) -> None:
    with pytest.raises(MigrationError, match=r"PostgreSQL refused the migration: .*permission denied"):
        migrate(empty_database.app_url)


def test_the_window_ends_at_the_newest_revision() -> None:
    window = schema_window()
    assert window["min"] <= window["max"] == head_revision()
