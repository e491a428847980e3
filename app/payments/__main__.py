"""The command: python -m payments serve | work | migrate [--to REVISION] | schema-window | openapi | audit verify |
audit archive | audit verify-archive."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile

from payments.settings import Command, SettingsError, load

USAGE_STATUS = 2


def _migrate(target: str) -> int:
    from payments.migrations.running import MigrationError, migrate  # the service's processes never import Alembic

    settings = load(Command.MIGRATE)
    assert settings.database_owner_url is not None
    try:
        before, after = migrate(settings.database_owner_url.get_secret_value(), target)
    except MigrationError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    print(json.dumps({"from": before, "to": after}))  # noqa: T201
    return 0


def _schema_window() -> int:
    from payments.migrations.running import schema_window

    print(json.dumps(schema_window()))  # noqa: T201
    return 0


def _openapi() -> int:
    from payments.web.openapi import document

    print(json.dumps(document(), indent=2))  # noqa: T201
    return 0


def _audit(what: str) -> int:
    from payments.audit import commands  # needs the database's driver, which `--help` does not

    run = {"verify": commands.verify, "archive": commands.archive, "verify-archive": commands.verify_archive}[what]
    status, told = run(load(Command.AUDIT if what == "verify" else Command.ARCHIVE))
    print(json.dumps(told))  # noqa: T201
    return status


def _run(command: Command) -> int:
    settings = load(command)
    with contextlib.ExitStack() as cleaning:
        if command is Command.SERVE and settings.workers > 1:
            # Read when prometheus_client is imported: the processes add up their metrics through files in here.
            folder = cleaning.enter_context(tempfile.TemporaryDirectory(prefix="payments-metrics-"))
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        from payments import process

        try:
            (process.serve if command is Command.SERVE else process.work)(settings)
        except process.ListenError as error:
            print(error, file=sys.stderr)  # noqa: T201
            return USAGE_STATUS
    return 0


def main(arguments: list[str]) -> int:
    """Run a command; returns the exit status: 0, 1 for a failed migration, 2 for bad arguments or settings."""
    parser = argparse.ArgumentParser(prog="python -m payments", description="Railyard's payment service.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="answer HTTP")
    commands.add_parser("work", help="run jobs, follow the rails, sign")
    migrating = commands.add_parser("migrate", help="bring the database's schema to a revision")
    migrating.add_argument("--to", default="head", metavar="REVISION", help="its number; the newest when absent")
    commands.add_parser("schema-window", help="print the schemas this release runs on")
    commands.add_parser("openapi", help="print the API's OpenAPI document")
    auditing = commands.add_parser("audit", help="look at the audit log").add_subparsers(dest="what", required=True)
    auditing.add_parser("verify", help="recompute its roots; exit status 1 when a row was changed, removed or added")
    auditing.add_parser("archive", help="put what is sealed and not yet there into AUDIT_ARCHIVE_STORE; safe to repeat")
    auditing.add_parser(
        "verify-archive",
        help="recompute the archive from its own rows, and compare it with the database when DATABASE_URL is there; "
        "exit status 1 when something is missing, changed or not locked",
    )
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "migrate":
            return _migrate(chosen.to)
        if chosen.command == "schema-window":
            return _schema_window()
        if chosen.command == "openapi":
            return _openapi()
        if chosen.command == "audit":
            return _audit(chosen.what)
        return _run(Command(chosen.command))
    except SettingsError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)  # noqa: T201
        return USAGE_STATUS


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    status = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: a thread of granian's that wakes while the interpreter is being taken down panics and aborts. All is
    # closed by now.
    os._exit(status)
