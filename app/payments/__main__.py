"""The command: python -m payments serve | work | migrate [--to REVISION] | schema-window | openapi."""

from __future__ import annotations

import argparse
import json
import os
import sys

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


def _run(command: Command) -> int:
    from payments import process

    try:
        (process.serve if command is Command.SERVE else process.work)(load(command))
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
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "migrate":
            return _migrate(chosen.to)
        if chosen.command == "schema-window":
            return _schema_window()
        if chosen.command == "openapi":
            return _openapi()
        return _run(Command(chosen.command))
    except SettingsError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)  # noqa: T201
        return USAGE_STATUS


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main(sys.argv[1:]))
