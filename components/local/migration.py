"""The database schema, brought to what the release wants by running `python -m payments migrate` once."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi.dynamic

from components.local.accounts import own_folder
from components.local.durable_file import end_of, last_line
from components.local.errors import LocalPlatformError, with_cure
from components.local.leftovers import PROCESS_VARIABLE, STACK_VARIABLE
from components.local.locks import exclusively
from components.local.provider import LocalProvider, Properties

MIGRATION_TIMEOUT_SECONDS = 300


@dataclass(frozen=True)
class MigrationArgs:
    """Arguments of `Migration`.

    Attributes:
        stack_folder: folder of the running stack.
        command: the program with its arguments; it must be harmless when there is nothing to do.
        directory: working folder.
        environment: plain variables, SECRETS_DIR among them.
        owner_url_file: the secret file with the owner's connection URL.
        fingerprint: changes when the release or a secret does; it is then run again.
        database: identifier of the cluster the database is in.
        log: where its output goes.
    """

    stack_folder: pulumi.Input[str]
    command: Sequence[pulumi.Input[str]]
    directory: pulumi.Input[str]
    environment: Mapping[str, pulumi.Input[str]]
    owner_url_file: pulumi.Input[str]
    fingerprint: pulumi.Input[str]
    database: pulumi.Input[str]
    log: pulumi.Input[str]


def _run(inputs: Properties, lock: tuple[int, ...]) -> None:
    log = Path(inputs["log"])
    own_folder(log.parent)
    environment = {key: os.environ[key] for key in ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR") if key in os.environ}
    environment |= {**inputs["environment"], STACK_VARIABLE: inputs["stackFolder"], PROCESS_VARIABLE: "migrate"}
    with log.open("ab") as sink:
        log_size_before = sink.tell()
        try:
            status = subprocess.run(
                inputs["command"],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                cwd=inputs["directory"],
                env=environment,
                start_new_session=True,
                pass_fds=lock,
                timeout=MIGRATION_TIMEOUT_SECONDS,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            raise LocalPlatformError(
                f"The migration took longer than {MIGRATION_TIMEOUT_SECONDS} s; its log: {log}"
            ) from None
    if status != 0:
        said = last_line(log, log_size_before) or f"exit status {status}"
        reason = f"The migration stopped; its log ends: {said!r}. The whole log: {log}"
        raise LocalPlatformError(with_cure(reason, end_of(log, log_size_before), inputs["stackFolder"]))


def current_revision(owner_url_file: Path) -> str | None:
    """Alembic's revision in the database; "" when nothing was migrated yet, None when the database cannot be asked."""
    import psycopg
    from psycopg import sql

    try:
        url = owner_url_file.read_text().strip()
        with psycopg.connect(url, connect_timeout=5) as connection:
            tables = connection.execute(
                "SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                "WHERE c.relname = 'alembic_version' AND c.relkind = 'r'"
            ).fetchall()
            for (schema,) in tables:
                table = sql.Identifier(schema, "alembic_version")
                found = connection.execute(sql.SQL("SELECT version_num FROM {}").format(table)).fetchone()
                if found:
                    return str(found[0])
            return ""
    except (psycopg.Error, FileNotFoundError):
        return None


class MigrationProvider(LocalProvider):
    """The schema. Deleting it deletes nothing: rows are never dropped by an update."""

    def make(self, inputs: Properties) -> tuple[str, Properties]:
        with exclusively(Path(inputs["stackFolder"]), "migrate") as lock:
            _run(inputs, lock)
        revision = current_revision(Path(inputs["ownerUrlFile"]))
        if not revision:
            raise LocalPlatformError(f"The migration ended well but left no revision; its log: {inputs['log']}")
        return "schema", {**inputs, "applied": True, "revision": revision}

    def observe(self, identifier: str, recorded: Properties) -> Properties | None:
        revision = current_revision(Path(recorded["ownerUrlFile"]))
        if revision is None:
            return recorded
        return {**recorded, "applied": revision != "", "revision": revision}


class Migration(pulumi.dynamic.Resource, module="railyard", name="Migration"):
    """A migrated schema; `revision` is Alembic's."""

    revision: pulumi.Output[str]

    def __init__(self, name: str, args: MigrationArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        properties = {
            "stackFolder": args.stack_folder,
            "command": list(args.command),
            "directory": args.directory,
            "environment": dict(args.environment),
            "ownerUrlFile": args.owner_url_file,
            "fingerprint": args.fingerprint,
            "database": args.database,
            "log": args.log,
            "applied": True,
            "revision": None,
        }
        super().__init__(MigrationProvider(), name, properties, opts)
