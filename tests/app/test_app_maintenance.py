"""Maintenance's commands: the report tells whole days as the books have them, and the optimisation changes no row."""

from __future__ import annotations

import asyncio
import json
import uuid
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from payments.__main__ import main
from payments.core import Core
from payments.maintenance.optimisation import SCHEMAS, optimise
from payments.maintenance.report import report
from tests.app.conftest import TestDatabase

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def _payment(database: TestDatabase, at: datetime, state: str, amount: int, *, fee: int | None = None) -> None:
    number = str(uuid.uuid4())
    with psycopg.connect(database.owner_url) as connection:
        connection.execute("ALTER TABLE payments.payments DISABLE TRIGGER USER")
        connection.execute(
            "INSERT INTO payments.payments (id, user_id, environment, rail, rail_id, payment_request, asset, amount, "
            "max_fee, fee, state, reason, created_at, updated_at, finished_at) VALUES (%s, 'alice', 'live', 'lnd', %s, "
            "'lnbc1', 'BTC', %s, 100, %s, %s, %s, %s, %s, %s)",
            (number, number, amount, fee, state, "no route" if state == "failed" else "", at, at, at),
        )
        connection.execute("ALTER TABLE payments.payments ENABLE TRIGGER USER")


async def test_the_report_tells_whole_days_and_no_other(core: Core, database: TestDatabase) -> None:
    midnight = NOW.replace(hour=0, minute=0)
    _payment(database, midnight - timedelta(hours=24), "succeeded", 3000, fee=7)
    _payment(database, midnight - timedelta(microseconds=1), "succeeded", 2000, fee=2)
    _payment(database, midnight - timedelta(hours=1), "failed", 500)
    _payment(database, midnight, "succeeded", 10**9)
    _payment(database, midnight - timedelta(hours=24, microseconds=1), "succeeded", 10**9)
    told = await report(core.database, 1, NOW)
    assert (told["from"], told["to"]) == ("2026-03-01T00:00:00.000Z", "2026-03-02T00:00:00.000Z")
    by_state = {row["state"]: (row["number"], row["amount"], row["fees"]) for row in told["payments"]}
    assert by_state == {"succeeded": (2, "5000", "9"), "failed": (1, "500", "0")}
    assert told["success_percent"] == {"lnd": 66.67}
    assert [row["amount"] for row in told["largest"]] == ["3000", "2000", "500"]
    assert told["failures"] == [{"rail": "lnd", "reason": "no route", "number": 1}]
    assert told["open"] == {"payments": 0, "suspense": 0, "discrepancies": 0, "orphans": 0}
    assert told["database_bytes"] > 0
    assert "payments.payments" in told["tables_bytes"]


async def test_the_command_prints_one_line_of_json(
    core: Core, database: TestDatabase, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", database.app_url)
    assert await asyncio.to_thread(main, ["maintain", "report", "--days", "31"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["payments"] == []


def test_a_wrong_number_of_days_is_refused_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["maintain", "report", "--days", "0"])
    assert "'0' is no number of days from 1 to 366" in capsys.readouterr().err


def test_every_table_is_vacuumed_and_its_indexes_are_rebuilt(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = (
        "SELECT c.relname, c.relfilenode FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind = 'i' AND n.nspname = ANY (%s)"
    )
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE payments.twice (n int)")
        connection.execute("INSERT INTO payments.twice VALUES (1), (1)")
        with pytest.raises(psycopg.errors.UniqueViolation):
            # Leaves an invalid index, as an interrupted rebuilding does.
            connection.execute("CREATE UNIQUE INDEX CONCURRENTLY twice_n_ccnew ON payments.twice (n)")
        before: dict[str, int] = dict(connection.execute(files, [list(SCHEMAS)]).fetchall())
        monkeypatch.setenv("DATABASE_OWNER_URL", database.owner_url)
        assert main(["maintain", "optimise"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["dropped"] == 1
        after: dict[str, int] = dict(connection.execute(files, [list(SCHEMAS)]).fetchall())
        assert {name for name in before if before[name] == after.get(name)} == set()
        assert set(before) - set(after) == {"twice_n_ccnew"}
        never = connection.execute(
            "SELECT relname FROM pg_stat_user_tables t WHERE schemaname = ANY (%s) AND last_vacuum IS NULL "
            "AND EXISTS (SELECT 1 FROM pg_class c WHERE c.oid = t.relid AND c.relkind = 'r')",
            [list(SCHEMAS)],
        ).fetchall()
        assert never == []


def test_a_refusal_is_one_sentence_without_the_password(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_OWNER_URL", database.app_url)
    assert main(["maintain", "optimise"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("PostgreSQL refused the optimisation: ")
    assert len(told.splitlines()) == 1
    assert "-word" not in told


def test_what_is_not_the_owners_is_not_optimised(database: TestDatabase) -> None:
    assert optimise(database.owner_url)["tables"] > 30
