"""An attacker with the app's database role: nothing that was written is changed, and no right is gained."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.app.conftest import TestDatabase

# No right; append-only.
REFUSED = ("42501", "RY002")
ATTACKS = {
    "become the owner": "SET ROLE payments_owner",
    "become the superuser": "SET SESSION AUTHORIZATION postgres",
    "join the owner": "GRANT payments_owner TO payments_app",
    "give oneself a right of the server": "ALTER ROLE payments_app SUPERUSER",
    "bypass": "ALTER ROLE payments_app BYPASSRLS",
    "make a role": "CREATE ROLE mine SUPERUSER LOGIN",
    "make a database": "CREATE DATABASE mine",
    "make a schema": "CREATE SCHEMA mine",
    "shadow in public": "CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT clock_timestamp()'",
    "shadow in the catalogue": "CREATE FUNCTION pg_catalog.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "a function of the owner's": (
        "DO $$ BEGIN EXECUTE 'CREATE FUNCTION payments.mine() RETURNS int LANGUAGE sql SECURITY DEFINER "
        "AS ''SELECT 1'''; END $$"
    ),
    "take a function over": "ALTER FUNCTION payments.post_journal OWNER TO payments_app",
    "another search path for a function": "ALTER FUNCTION payments.take_balance_snapshots SET search_path = pg_temp",
    "another search path for the owner": "ALTER ROLE payments_owner SET search_path = pg_temp",
    "replace a check": (
        "CREATE OR REPLACE FUNCTION payments.check_entries() RETURNS trigger LANGUAGE plpgsql "
        "AS 'BEGIN RETURN NULL; END'"
    ),
    "triggers off": "ALTER TABLE payments.entries DISABLE TRIGGER ALL",
    "triggers off for replicas": "SET session_replication_role = replica",
    "a trigger of one's own": (
        "CREATE TRIGGER mine BEFORE INSERT ON payments.entries FOR EACH ROW EXECUTE FUNCTION payments.check_entries()"
    ),
    "a rule": "CREATE RULE mine AS ON INSERT TO payments.entries DO INSTEAD NOTHING",
    "a policy": "CREATE POLICY mine ON payments.entries USING (false)",
    "a child table": "CREATE TEMP TABLE mine () INHERITS (payments.entries)",
    "another column": "ALTER TABLE payments.entries ADD COLUMN mine int",
    "drop": "DROP TABLE payments.entries CASCADE",
    "update": "UPDATE payments.entries SET amount = 0",
    "update by a cursor": "DO $$ DECLARE r record; BEGIN FOR r IN SELECT * FROM payments.entries FOR UPDATE LOOP "
    "UPDATE payments.entries SET amount = 0 WHERE id = r.id; END LOOP; END $$",
    "update by merge": (
        "MERGE INTO payments.entries e USING (SELECT 1) AS s ON true WHEN MATCHED THEN UPDATE SET amount = 0"
    ),
    "update by a conflict": (
        "INSERT INTO payments.journals (id, kind, source, memo) OVERRIDING SYSTEM VALUE SELECT id, kind, source, 'x' "
        "FROM payments.journals ON CONFLICT (kind, source) DO UPDATE SET memo = 'x'"
    ),
    "delete by a common table": "WITH gone AS (DELETE FROM payments.entries RETURNING 1) SELECT count(*) FROM gone",
    "truncate all": "TRUNCATE payments.journals, payments.entries CASCADE",
    "lock everybody out": "DO $$ BEGIN LOCK TABLE payments.entries IN ACCESS EXCLUSIVE MODE; END $$",
    "a file": "COPY payments.entries TO '/tmp/entries'",
    "a program": "COPY payments.entries FROM PROGRAM 'id'",
    "read a file": "SELECT pg_read_file('/etc/passwd')",
    "write a file": "SELECT lo_export(1, '/tmp/mine')",
    "a setting of the server": "ALTER SYSTEM SET fsync = off",
    "an extension": "CREATE EXTENSION IF NOT EXISTS dblink",
    "an untrusted language": "CREATE FUNCTION pg_temp.mine() RETURNS int LANGUAGE c AS 'mine', 'mine'",
    "end the others": "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres'",
    "edit the catalogue": "UPDATE pg_catalog.pg_trigger SET tgenabled = 'D'",
    "the migrations' table": "UPDATE payments.alembic_version SET version_num = '0001'",
    "the schema's window": "DELETE FROM payments.schema_revisions",
    "rights of later tables": "ALTER DEFAULT PRIVILEGES FOR ROLE payments_owner GRANT ALL ON TABLES TO payments_app",
}


@pytest.fixture
def written(database: TestDatabase) -> TestDatabase:
    with psycopg.connect(database.app_url) as connection:
        connection.execute("SELECT payments.credit_arrival('lnd', 'e', '', 'BTC', 5, now(), '{}', '1')")
    return database


def _rows(database: TestDatabase, query: str) -> list[Any]:
    with psycopg.connect(database.superuser_url) as connection:
        return connection.execute(query.encode()).fetchall()


LEDGER = "SELECT j.*, e.* FROM payments.journals j JOIN payments.entries e ON e.journal_id = j.id ORDER BY e.id"


def test_every_attack_is_refused(written: TestDatabase) -> None:
    before, passed = _rows(written, LEDGER), {}
    assert len(before) == 2
    for name, statement in ATTACKS.items():
        with psycopg.connect(written.app_url, autocommit=True) as connection:
            try:
                connection.execute(statement.encode())
            except psycopg.Error as error:
                if error.sqlstate not in REFUSED:
                    passed[name] = f"{error.sqlstate}: {error}"
            else:
                passed[name] = "went through"
    assert passed == {}
    assert _rows(written, LEDGER) == before


def test_the_role_has_nothing_of_the_servers_and_owns_nothing(database: TestDatabase) -> None:
    (attributes,) = _rows(
        database,
        "SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls FROM pg_roles "
        "WHERE rolname = 'payments_app'",
    )
    assert not any(attributes)
    member = "SELECT roleid::regrole::text FROM pg_auth_members WHERE member = 'payments_app'::regrole"
    assert _rows(database, member) == []
    owned = (
        "SELECT proname FROM pg_proc WHERE proowner = 'payments_app'::regrole UNION ALL "
        "SELECT relname FROM pg_class WHERE relowner = 'payments_app'::regrole UNION ALL "
        "SELECT nspname FROM pg_namespace WHERE nspowner = 'payments_app'::regrole "
        "OR (nspname !~ '^pg_' AND has_schema_privilege('payments_app', oid, 'CREATE'))"
    )
    assert _rows(database, owned) == []


def test_what_is_written_once_gives_the_app_no_right_to_change_it(database: TestDatabase) -> None:
    """Every table with the trigger, also those of later revisions."""
    append_only = (
        "SELECT DISTINCT tgrelid::regclass::text, has_table_privilege('payments_app', tgrelid, 'UPDATE'), "
        "has_any_column_privilege('payments_app', tgrelid, 'UPDATE'), "
        "has_table_privilege('payments_app', tgrelid, 'DELETE, TRUNCATE, TRIGGER, REFERENCES') "
        "FROM pg_trigger WHERE tgname = 'append_only_rows'"
    )
    found = _rows(database, append_only)
    assert {"payments.entries", "payments.journals", "payments.audit_log"} <= {row[0] for row in found}
    assert [row for row in found if any(row[1:])] == []


def test_what_runs_as_its_owner_has_a_search_path_that_nobody_can_shadow(database: TestDatabase) -> None:
    definers = (
        "SELECT p.oid::regprocedure::text, coalesce(array_to_string(p.proconfig, ';'), ''), "
        "has_function_privilege('public', p.oid, 'EXECUTE') FROM pg_proc p "
        "JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.prosecdef AND n.nspname !~ '^pg_'"
    )
    found = _rows(database, definers)
    assert found, "there are some"
    for name, settings, is_public in found:
        assert "search_path=pg_catalog, pg_temp" in settings, name
        assert not is_public, f"{name} may be called by everybody"
