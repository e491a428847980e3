"""Bring the schema to a revision, as `python -m payments migrate` does, and say which schemas a release can run on."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from payments.lock_classes import LockClass
from payments.migrations.window import OLDEST_SCHEMA

ADVISORY_LOCK = int(LockClass.MIGRATION)
ROLES = ("payments_app", "payments_reader")


class MigrationError(Exception):
    """The schema could not be brought to the revision; the message is one sentence."""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    return config


def head_revision() -> str:
    """The newest revision this release knows."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


def schema_window() -> dict[str, str]:
    """The schemas this release runs on: from `min` to `max`, and later ones whose compatible_from is at most `max`."""
    return {"min": OLDEST_SCHEMA, "max": head_revision()}


def _engine_url(owner_url: str) -> URL:
    return make_url(owner_url).set(drivername="postgresql+psycopg")


@contextmanager
def _locked(owner_url: str) -> Iterator[Connection]:
    engine = create_engine(
        _engine_url(owner_url), poolclass=NullPool, connect_args={"connect_timeout": 10, "application_name": "migrate"}
    )
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": ADVISORY_LOCK})
        missing = [
            role
            for role in ROLES
            if connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role}).first() is None
        ]
        if missing:
            raise MigrationError(f"The role {missing[0]} does not exist: the platform makes it before it migrates.")
        connection.execute(text("CREATE SCHEMA IF NOT EXISTS payments"))
        connection.commit()
        yield connection
        connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": ADVISORY_LOCK})
        connection.commit()


def current_revision(connection: Connection) -> str | None:
    """The revision the database is at, None before the first."""
    known = connection.execute(text("SELECT to_regclass('payments.alembic_version')")).scalar()
    return connection.execute(text("SELECT version_num FROM payments.alembic_version")).scalar() if known else None


def migrate(owner_url: str, target: str = "head") -> tuple[str | None, str | None]:
    """Bring the database to `target`, up or down; nothing to do is fine. Returns the revisions before and after.

    Raises:
        MigrationError: in one sentence, without the URL's password.
    """
    downgrade_refused = importlib.import_module("payments.migrations.revision").DowngradeRefusedError
    scripts = ScriptDirectory.from_config(_config())
    if target != "head" and target not in {script.revision for script in scripts.walk_revisions()}:
        raise MigrationError(f"There is no revision {target!r}: the newest is {head_revision()}.")
    try:
        with _locked(owner_url) as connection:
            before = current_revision(connection)
            connection.commit()
            config = _config()
            config.attributes["connection"] = connection
            if before is not None and target != "head" and target < before:
                command.downgrade(config, target)
            else:
                command.upgrade(config, target)
            connection.commit()
            after = current_revision(connection)
            connection.commit()
            return before, after
    except downgrade_refused as error:
        raise MigrationError(str(error)) from None
    except DBAPIError as error:
        first_line = str(error.orig).strip().splitlines()[0] if error.orig else "no answer"
        raise MigrationError(f"PostgreSQL refused the migration: {first_line}") from error
