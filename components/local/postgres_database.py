"""A database of the stack's PostgreSQL: its owner, and who may connect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi.dynamic

from components.local.errors import LocalPlatformError
from components.local.postgres_session import Login, PostgresDownError, session
from components.local.provider import LocalProvider, Properties

if TYPE_CHECKING:
    import psycopg


@dataclass(frozen=True)
class PostgresDatabaseArgs:
    """Arguments of `PostgresDatabase`: `readers` may connect beside the `owner`, nobody else."""

    database: str
    owner: pulumi.Input[str]
    readers: Sequence[pulumi.Input[str]]
    port: pulumi.Input[int]
    superuser_password: pulumi.Input[str]
    cluster: pulumi.Input[str]


def _superuser(properties: Properties) -> Login:
    return Login(int(properties["port"]), properties["superuserPassword"])


def _owner(connection: psycopg.Connection, database: str) -> str:
    """Name of the owner, "" when there is no such database."""
    query = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s"
    found = connection.execute(query, [database]).fetchone()
    return str(found[0]) if found else ""


class PostgresDatabaseProvider(LocalProvider):
    """A database by its name. Roles without a grant cannot connect, whatever the default of PostgreSQL is."""

    replaced_by = frozenset({"database"})

    def make(self, inputs: Properties) -> tuple[str, Properties]:
        from psycopg import sql

        database, owner = sql.Identifier(inputs["database"]), sql.Identifier(inputs["owner"])
        with session(_superuser(inputs)) as connection:
            if not _owner(connection, inputs["database"]):
                connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, owner))
            else:
                connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(database, owner))
            connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
            for reader in inputs["readers"]:
                connection.execute(
                    sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, sql.Identifier(reader))
                )
        return inputs["database"], inputs

    def observe(self, identifier: str, recorded: Properties) -> Properties | None:
        try:
            with session(_superuser(recorded)) as connection:
                owner = _owner(connection, recorded["database"])
        except PostgresDownError:
            return recorded
        except LocalPlatformError:
            # It answers but lets nobody look, its files are lost, say: to be made again once it is healed.
            return {**recorded, "owner": ""}
        return {**recorded, "owner": owner} if owner else None

    def remove(self, identifier: str, recorded: Properties) -> None:
        from psycopg import sql

        try:
            with session(_superuser(recorded)) as connection:
                name = sql.Identifier(recorded["database"])
                connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        except PostgresDownError:
            return  # It goes with the cluster.


class PostgresDatabase(pulumi.dynamic.Resource, module="railyard", name="PostgresDatabase"):
    """A database with its owner and grants."""

    database: pulumi.Output[str]

    def __init__(self, name: str, args: PostgresDatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        properties = {
            "database": args.database,
            "owner": args.owner,
            "readers": list(args.readers),
            "port": args.port,
            "superuserPassword": args.superuser_password,
            "cluster": args.cluster,
        }
        secrets = pulumi.ResourceOptions(additional_secret_outputs=["superuserPassword"])
        super().__init__(PostgresDatabaseProvider(), name, properties, pulumi.ResourceOptions.merge(opts, secrets))
