"""The command: python -m payments serve | work | migrate | schema-window | openapi | audit ... | maintain ... |
lnd ..."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import tempfile

from payments.settings import Command, SettingsError, load

USAGE_STATUS = 2
MOST_DAYS = 366
OVERTIME_STATUS = 124


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


def _maintain(chosen: argparse.Namespace) -> int:
    from payments.maintenance import commands

    return commands.optimise_now() if chosen.what == "optimise" else commands.report_now(chosen.days)


def _days(given: str) -> int:
    if not given.isdecimal() or not 1 <= int(given) <= MOST_DAYS:
        raise argparse.ArgumentTypeError(f"{given!r} is no number of days from 1 to {MOST_DAYS}")
    return int(given)


def _end_after(minutes: int) -> None:
    """End this process after so many minutes, wherever it hangs: who starts tasks at their time waits for ever."""

    def end(_number: int, _frame: object) -> None:
        sys.stderr.write(f"payments: not done after {minutes} minutes: ended.\n")
        sys.stderr.flush()
        os._exit(OVERTIME_STATUS)

    signal.signal(signal.SIGALRM, end)
    signal.alarm(minutes * 60)


def _lnd(chosen: argparse.Namespace) -> int:
    from payments.rails.lnd import commands

    if chosen.what == "restore":
        status, told = commands.restore(load(Command.RESTORE), chosen.node)
    else:
        status, told = commands.forget_channels(load(Command.FORGET), chosen.node, chosen.confirm)
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
    parser.add_argument("--timeout-minutes", type=int, metavar="N", help="end with status 124 after N minutes")
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
    maintaining = commands.add_parser("maintain", help="what is done at its time").add_subparsers(
        dest="what", required=True
    )
    maintaining.add_parser("optimise", help="VACUUM, ANALYZE and REINDEX every table, as the owner")
    reporting = maintaining.add_parser("report", help="print the figures of the last whole days as JSON")
    reporting.add_argument("--days", type=_days, default=1, help=f"how many, 1 to {MOST_DAYS}; 1 when absent")
    lnd = commands.add_parser("lnd", help="look after the Lightning node").add_subparsers(dest="what", required=True)
    restoring = lnd.add_parser(
        "restore", help="make the wallet of an empty node from LND_SEED with the newest channel backup"
    )
    restoring.add_argument("--node", required=True, metavar="ID", help="identity of the dead node, 66 hex digits")
    forgetting = lnd.add_parser(
        "forget-channels", help="let payouts go on when the node has lost channels that a person knows to be gone"
    )
    forgetting.add_argument("--node", required=True, metavar="ID", help="identity of the node, 66 hex digits")
    forgetting.add_argument(
        "--confirm", action="append", default=[], metavar="TXID:N", help="a lost channel that is gone; once for each"
    )
    chosen = parser.parse_args(arguments)
    if chosen.timeout_minutes is not None:
        _end_after(chosen.timeout_minutes)
    try:
        if chosen.command == "migrate":
            return _migrate(chosen.to)
        if chosen.command == "schema-window":
            return _schema_window()
        if chosen.command == "openapi":
            return _openapi()
        if chosen.command == "audit":
            return _audit(chosen.what)
        if chosen.command == "lnd":
            return _lnd(chosen)
        if chosen.command == "maintain":
            return _maintain(chosen)
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
