"""The ledger's rules hold in PostgreSQL itself: raw SQL, as the app and as the owner, cannot break them."""

from __future__ import annotations

import itertools
import threading

import psycopg
import pytest
from psycopg import sql

from payments.core import Core
from payments.ledger import repository
from payments.ledger.repository import post_journal
from payments.ledger.schemas import Line
from tests.app.conftest import TestDatabase, client_of, fund, new_key

POST = "SELECT payments.post_journal(%s, %s, '', %s, %s, %s::numeric[])"
# Tables whose rows are written once; every role gets the same refusal.
APPEND_ONLY = (
    "payments.accounts",
    "payments.journals",
    "payments.entries",
    "payments.balance_snapshots",
    "payments.audit_log",
    "payments.arrivals",
    "payments.events",
    "payments.approvals",
)

CHANGES = ("UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {} CASCADE")
ATTACKS = (
    "ALTER TABLE payments.entries DISABLE TRIGGER ALL",
    "ALTER TABLE payments.entries OWNER TO payments_app",
    "DROP TRIGGER entries_sum_to_zero ON payments.entries",
    "SET session_replication_role = replica",
    "CREATE OR REPLACE FUNCTION payments.check_entries() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    "SET ROLE payments_owner",
    "CREATE TABLE payments.mine (a int)",
)


def _post(url: str, source: str, lines: list[tuple[str, str, int]]) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(
            POST,
            ("test", source, [line[0] for line in lines], [line[1] for line in lines], [line[2] for line in lines]),
        )


def _balance(url: str, code: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT balance FROM payments.balances WHERE code = %s", (code,)).fetchone()
    return int(row[0]) if row else 0


class TestJournals:
    def test_a_journal_that_does_not_sum_to_zero_is_refused(self, database: TestDatabase) -> None:
        with pytest.raises(psycopg.Error, match="sums to zero per asset") as caught:
            _post(database.app_url, "1", [("assets:a", "BTC", 5), ("assets:b", "BTC", -4)])
        assert caught.value.sqlstate == "RY001"

    def test_assets_do_not_make_up_for_each_other(self, database: TestDatabase) -> None:
        with pytest.raises(psycopg.Error, match="sums to zero per asset"):
            _post(database.app_url, "1", [("assets:a", "BTC", 5), ("assets:b", "USDC", -5)])

    def test_raw_inserts_obey_the_same_rule(self, database: TestDatabase) -> None:
        for url in (database.app_url, database.owner_url):
            with psycopg.connect(url) as connection, pytest.raises(psycopg.Error, match="sums to zero"):
                connection.execute(
                    "WITH a AS (SELECT payments.account_id('assets:a', 'BTC') AS id), j AS ("
                    "INSERT INTO payments.journals (kind, source) VALUES ('raw', '1') RETURNING id) "
                    "INSERT INTO payments.entries (journal_id, account_id, asset, amount) "
                    "SELECT j.id, a.id, 'BTC', 5 FROM a, j"
                )

    def test_nothing_is_added_to_a_posted_journal(self, database: TestDatabase) -> None:
        _post(database.app_url, "1", [("assets:a", "BTC", 5), ("assets:b", "BTC", -5)])
        with psycopg.connect(database.app_url) as connection, pytest.raises(psycopg.Error, match="complete already"):
            connection.execute(
                "INSERT INTO payments.entries (journal_id, account_id, asset, amount) "
                "SELECT journal_id, account_id, asset, amount FROM payments.entries"
            )

    def test_a_journal_without_entries_is_refused_at_commit(self, database: TestDatabase) -> None:
        with pytest.raises(psycopg.Error, match="has no entries"), psycopg.connect(database.app_url) as connection:
            connection.execute("INSERT INTO payments.journals (kind, source) VALUES ('raw', '1')")

    def test_an_entry_has_the_asset_of_its_account(self, database: TestDatabase) -> None:
        _post(database.app_url, "1", [("assets:a", "BTC", 5), ("assets:b", "BTC", -5)])
        with psycopg.connect(database.app_url) as connection, pytest.raises(psycopg.errors.ForeignKeyViolation):
            connection.execute(
                "WITH j AS (INSERT INTO payments.journals (kind, source) VALUES ('raw', '2') RETURNING id) "
                "INSERT INTO payments.entries (journal_id, account_id, asset, amount) "
                "SELECT j.id, c.id, 'USDC', s FROM j, payments.accounts c, (VALUES (1), (-1)) v(s) "
                "WHERE code = 'assets:a'"
            )

    def test_the_same_source_is_posted_once(self, database: TestDatabase) -> None:
        for _ in range(3):
            _post(database.app_url, "same", [("assets:a", "BTC", 5), ("assets:b", "BTC", -5)])
        assert _balance(database.app_url, "assets:a") == 5

    def test_amounts_beyond_64_bits_are_exact(self, database: TestDatabase) -> None:
        amount = 10**30 + 1
        _post(database.app_url, "1", [("assets:a", "TON", amount), ("assets:b", "TON", -amount)])
        assert _balance(database.app_url, "assets:a") == amount


class TestRights:
    def test_nobody_changes_what_was_written(self, database: TestDatabase) -> None:
        _write_a_row_everywhere(database)
        before = {table: _count(database, table) for table in APPEND_ONLY}
        assert all(before.values()), before
        urls = (database.app_url, database.owner_url, database.reader_url)
        for table, url, statement in itertools.product(APPEND_ONLY, urls, CHANGES):
            column = sql.Identifier(_first_column(database, table))
            query = sql.SQL(statement).format(sql.Identifier(*table.split(".")), column, column)
            with psycopg.connect(url) as connection, pytest.raises(psycopg.Error) as caught:
                connection.execute(query)
            # Append-only, or no right at all.
            assert caught.value.sqlstate in ("RY002", "42501"), (table, statement)
        assert {table: _count(database, table) for table in APPEND_ONLY} == before

    def test_the_app_cannot_give_itself_the_right(self, database: TestDatabase) -> None:
        for statement in ATTACKS:
            with psycopg.connect(database.app_url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())

    def test_a_grant_that_has_no_effect_leaves_no_right(self, database: TestDatabase) -> None:
        # PostgreSQL answers a GRANT without grant options with a warning only.
        with psycopg.connect(database.app_url) as connection:
            connection.execute("GRANT UPDATE, DELETE, TRUNCATE ON payments.entries TO payments_app")
        with psycopg.connect(database.superuser_url) as connection:
            row = connection.execute(
                "SELECT has_table_privilege('payments_app', 'payments.entries', 'UPDATE, DELETE, TRUNCATE')"
            ).fetchone()
        assert row == (False,)

    def test_the_reader_reads_and_no_more(self, database: TestDatabase) -> None:
        with psycopg.connect(database.reader_url) as connection:
            assert connection.execute("SELECT count(*) FROM payments.balances").fetchone() == (0,)
        with psycopg.connect(database.reader_url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT key FROM x402.api_keys")
        with psycopg.connect(database.reader_url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT payments.account_id('assets:a', 'BTC')")


def _first_column(database: TestDatabase, table: str) -> str:
    with psycopg.connect(database.superuser_url) as connection:
        row = connection.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND attidentity = '' "
            "AND attgenerated = '' ORDER BY attnum LIMIT 1",
            (table,),
        ).fetchone()
    assert row is not None
    return str(row[0])


def _count(database: TestDatabase, table: str) -> int:
    with psycopg.connect(database.superuser_url) as connection:
        row = connection.execute(
            sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(*table.split(".")))
        ).fetchone()
    assert row is not None
    return int(row[0])


def _write_a_row_everywhere(database: TestDatabase) -> None:
    with psycopg.connect(database.app_url) as connection:
        connection.execute("SELECT payments.credit_arrival('lnd', 'e', '', 'BTC', 5, now(), '{}', '1')")
        connection.execute("SELECT payments.take_balance_snapshots()")
        connection.execute(
            "INSERT INTO payments.audit_log (actor, cause, action, object_kind, object_id) "
            "VALUES ('t', 't', 't', 't', 't')"
        )
        connection.execute("SELECT count(*) FROM payments.take_outbox(10)")
        connection.execute(
            "WITH made AS (INSERT INTO payments.payments (id, user_id, environment, rail, rail_id, payment_request, "
            "asset, amount, max_fee, created_at, updated_at) VALUES (gen_random_uuid(), 'u', 'test', 'lnd', 'r', 'p', "
            "'BTC', 1, 0, now(), now()) RETURNING id) SELECT id FROM made"
        )
        connection.execute("INSERT INTO payments.approvals SELECT id, 'a', 'b', '', now() FROM payments.payments")


class TestFloors:
    def test_a_user_cannot_spend_more_than_there_is(self, database: TestDatabase) -> None:
        _post(database.app_url, "1", [("assets:lnd", "BTC", 5), ("liabilities:user:test:a", "BTC", -5)])
        with pytest.raises(psycopg.Error, match="below its floor") as caught:
            _post(database.app_url, "2", [("assets:lnd", "BTC", -6), ("liabilities:user:test:a", "BTC", 6)])
        assert caught.value.sqlstate == "RY004"
        _post(database.app_url, "3", [("assets:lnd", "BTC", -5), ("liabilities:user:test:a", "BTC", 5)])

    def test_at_once_they_cannot_either(self, database: TestDatabase) -> None:
        _post(database.app_url, "1", [("assets:lnd", "BTC", 10), ("liabilities:user:test:a", "BTC", -10)])
        refused: list[str] = []

        def spend(number: int) -> None:
            try:
                _post(
                    database.app_url, f"s{number}", [("assets:lnd", "BTC", -3), ("liabilities:user:test:a", "BTC", 3)]
                )
            except psycopg.Error as error:
                refused.append(error.sqlstate or "")

        threads = [threading.Thread(target=spend, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert refused == ["RY004"] * 5
        assert _balance(database.app_url, "liabilities:user:test:a") == -1

    def test_a_stale_snapshot_does_not_help(self, database: TestDatabase) -> None:
        _post(database.app_url, "1", [("assets:lnd", "BTC", 5), ("liabilities:user:test:a", "BTC", -5)])
        with psycopg.connect(database.app_url) as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            with pytest.raises(psycopg.Error, match="read committed only"):
                connection.execute(POST, ("t", "2", ["assets:lnd", "liabilities:user:test:a"], ["BTC", "BTC"], [-1, 1]))


class TestBalances:
    async def test_a_snapshot_changes_no_balance(self, core: Core) -> None:
        await fund(core, 100)
        await fund(core, 20, user="bob")
        before = await repository.balances(core.database)
        assert await repository.take_snapshots(core.database) == 3
        assert await repository.take_snapshots(core.database) == 0
        assert await repository.balances(core.database) == before
        await fund(core, 1)
        assert await repository.take_snapshots(core.database) == 2
        after = {row["code"]: (row["balance"], row["entries"]) for row in await repository.balances(core.database)}
        assert after["assets:lnd"] == (121, 3)
        assert after["liabilities:user:test:alice"] == (-101, 2)

    async def test_a_snapshot_waits_for_postings_under_way(self, core: Core, database: TestDatabase) -> None:
        await fund(core, 100)
        with psycopg.connect(database.app_url) as slow:
            slow.execute(POST, ("t", "2", ["assets:lnd", "equity:x"], ["BTC", "BTC"], [1, -1]))
            with pytest.raises(psycopg.errors.LockNotAvailable):
                await repository.take_snapshots(core.database)
            slow.commit()
        assert await repository.take_snapshots(core.database) == 3

    async def test_post_journal_joins_the_callers_transaction(self, core: Core) -> None:
        async with core.database.transaction() as connection:
            lines = [Line("assets:a", "BTC", 1), Line("equity:b", "BTC", -1)]
            assert await post_journal(connection, kind="t", source="1", memo="", lines=lines) is not None
            raise psycopg.Rollback
        assert await repository.balances(core.database) == []


class TestView:
    async def test_the_view_balances_and_shows_others_only_as_a_sum(self, core: Core) -> None:
        await fund(core, 100)
        await fund(core, 20, user="bob")
        await fund(core, 3, user="carol")
        key = await new_key(core, permissions=["read"])
        async with client_of(core, **{"x-api-key": key["key"]}) as client:
            seen = (await client.get("/v1/ledger")).json()
        assert seen["balanced"] is True
        assert seen["assets"] == [{"asset": "BTC", "sum": 0}]
        assert seen["entries"] == 6
        assert {account["account"]: account["balance"] for account in seen["accounts"]} == {
            "assets:lnd": 123,
            "liabilities:user:test:alice": -100,
            "liabilities:user:(others)": -23,
        }

    async def test_an_admin_sees_every_account(self, core: Core) -> None:
        await fund(core, 20, user="bob")
        key = await new_key(core, permissions=["admin"])
        async with client_of(core, **{"x-api-key": key["key"]}) as client:
            seen = (await client.get("/v1/ledger")).json()
        assert {account["account"] for account in seen["accounts"]} == {"assets:lnd", "liabilities:user:test:bob"}
