"""PostgreSQL's data folder, made by initdb: passwords as SCRAM verifiers, TCP on the loopback address alone.

As root everything runs under an existing unprivileged account, because PostgreSQL refuses to run as root.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi.dynamic

from components.local.accounts import account_named, as_account, give_to, own_folder
from components.local.binaries import Server, can_reach, reachable_installation
from components.local.durable_file import write_durably
from components.local.errors import LocalPlatformError, sentence
from components.local.leftovers import end_leftovers
from components.local.locks import exclusively
from components.local.postgres_session import Login, PostgresDownError, session, set_password
from components.local.provider import LocalProvider, Properties

INITDB_TIMEOUT_SECONDS = 120


@dataclass(frozen=True)
class PostgresClusterArgs:
    """Arguments of `PostgresCluster`.

    Attributes:
        stack_folder: folder of the running stack; the data is in its `postgres/data`.
        server: path of the `postgres` program; `version` is what it says of itself.
        account: whom PostgreSQL runs as; "" for the account we run under.
        port: where it will listen; needed to change the superuser's password later.
        superuser_password: of the role `postgres`, a secret.
    """

    stack_folder: pulumi.Input[str]
    server: str
    version: str
    account: str
    port: pulumi.Input[int]
    superuser_password: pulumi.Input[str]


def _programs(inputs: Properties) -> Path:
    stack, account = Path(inputs["stackFolder"]), account_named(inputs["account"])
    server = Server(Path(inputs["server"]), inputs["version"], bundled=False)
    copies = stack / "postgres-programs"
    if account is not None and not can_reach(stack / "postgres" / "data", account):
        raise LocalPlatformError(
            f"PostgreSQL runs as {account.pw_name}, who cannot pass through to {stack}: allow it with `chmod o+x` on "
            "the folders above, or choose another state folder with RAILYARD_STATE."
        )
    if account is not None and not can_reach(server.path, account):
        own_folder(copies, mode=0o711)
    return reachable_installation(server, account, copies)


def _run_as(inputs: Properties, command: list[str], lock: tuple[int, ...] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        as_account(command, account_named(inputs["account"])),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd="/",
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
        timeout=INITDB_TIMEOUT_SECONDS,
        check=False,
        pass_fds=lock,
    )


def _initialise(inputs: Properties, programs: Path, data: Path, lock: tuple[int, ...]) -> None:
    """initdb beside the final place, then one rename: a data folder that is there is complete."""
    account = account_named(inputs["account"])
    unfinished, password_file = data.with_name("data.unfinished"), data.with_name(".superuser-password")
    # One that still runs on a removed data folder would, when it ends, write its control file into the new one.
    end_leftovers(Path(inputs["stackFolder"]), "postgres", data, signal.SIGKILL)
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        write_durably(password_file, inputs["superuserPassword"], 0o600, inputs["account"])
        made = _run_as(
            inputs,
            [
                str(programs / "initdb"),
                f"--pgdata={unfinished}",
                "--username=postgres",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--data-checksums",
                "--no-instructions",
            ],
            lock,
        )
    finally:
        password_file.unlink(missing_ok=True)
    if made.returncode != 0:
        shutil.rmtree(unfinished, ignore_errors=True)
        lines = [
            line for line in made.stderr.splitlines() if line.startswith("initdb: error")
        ] or made.stderr.splitlines()
        if "No space left on device" in made.stderr:
            raise LocalPlatformError(sentence(OSError(errno.ENOSPC, "", str(data))))
        raise LocalPlatformError(f"PostgreSQL's initdb stopped: {lines[0] if lines else 'it said nothing'}")
    give_to(unfinished, account)
    unfinished.rename(data)


def _identifier(inputs: Properties, programs: Path, data: Path) -> str:
    """The cluster's system identifier, given by initdb, never the same for two clusters."""
    printed = _run_as(inputs, [str(programs / "pg_controldata"), str(data)])
    found = re.search(r"Database system identifier:\s+(\d+)", printed.stdout)
    if not found:
        raise LocalPlatformError(f"{data} is no usable PostgreSQL cluster: {printed.stderr.strip()}.")
    return found.group(1)


class PostgresClusterProvider(LocalProvider):
    """The data folder. One found in place is taken over, never made anew: it may hold a ledger."""

    replaced_by = frozenset({"stackFolder", "account"})

    def make(self, inputs: Properties) -> tuple[str, Properties]:
        folder = Path(inputs["stackFolder"]) / "postgres"
        own_folder(folder, account_named(inputs["account"]))
        programs, data = _programs(inputs), folder / "data"
        with exclusively(Path(inputs["stackFolder"]), "postgres-cluster") as lock:
            if not data.exists():
                _initialise(inputs, programs, data, lock)
        made_by, ours = (data / "PG_VERSION").read_text().strip(), inputs["version"].split(".")[0]
        if made_by != ours:
            raise LocalPlatformError(
                f"The data in {data} is of PostgreSQL {made_by} and this machine now has {ours}: put {made_by} on PATH "
                "again, or take the stack down and up, which begins with an empty database."
            )
        outputs = {"programs": str(programs), "data": str(data), "identifier": _identifier(inputs, programs, data)}
        return f"postgres-{outputs['identifier']}", {**inputs, **outputs}

    def observe(self, identifier: str, recorded: Properties) -> Properties | None:
        data = Path(recorded["stackFolder"]) / "postgres" / "data"
        return recorded if (data / "PG_VERSION").exists() else None

    def change(self, identifier: str, recorded: Properties, inputs: Properties) -> Properties:
        if recorded.get("superuserPassword") != inputs["superuserPassword"]:
            self._change_password(recorded, inputs)
        return self.make(inputs)[1]

    def _change_password(self, recorded: Properties, inputs: Properties) -> None:
        try:
            with session(Login(int(recorded["port"]), recorded["superuserPassword"])) as connection:
                set_password(connection, "postgres", inputs["superuserPassword"])
        except PostgresDownError:
            raise LocalPlatformError(
                "railyard:databaseSuperuserPassword changed while PostgreSQL is down: set it back, run `up`, change it."
            ) from None

    def remove(self, identifier: str, recorded: Properties) -> None:
        folder = Path(recorded["stackFolder"]) / "postgres"
        for name in ("data", "data.unfinished"):
            if (folder / name).exists():
                shutil.rmtree(folder / name)


class PostgresCluster(pulumi.dynamic.Resource, module="railyard", name="PostgresCluster"):
    """An initialised cluster: `data` its folder, `programs` that of postgres and its tools, `identifier` its number."""

    data: pulumi.Output[str]
    programs: pulumi.Output[str]
    identifier: pulumi.Output[str]

    def __init__(self, name: str, args: PostgresClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        properties = {
            "stackFolder": args.stack_folder,
            "server": args.server,
            "version": args.version,
            "account": args.account,
            "port": args.port,
            "superuserPassword": args.superuser_password,
            "data": None,
            "programs": None,
            "identifier": None,
        }
        opts = pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(additional_secret_outputs=["superuserPassword"])
        )
        super().__init__(PostgresClusterProvider(), name, properties, opts)
