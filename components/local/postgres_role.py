"""A login role of the stack's PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi.dynamic

from components.local.postgres_session import Login, PostgresDownError, can_log_in, session, set_password
from components.local.provider import LocalProvider, Properties


@dataclass(frozen=True)
class PostgresRoleArgs:
    """Arguments of `PostgresRole`: `cluster` is the cluster's identifier, the passwords are secrets."""

    role: str
    password: pulumi.Input[str]
    port: pulumi.Input[int]
    superuser_password: pulumi.Input[str]
    cluster: pulumi.Input[str]


def _superuser(properties: Properties) -> Login:
    return Login(int(properties["port"]), properties["superuserPassword"])


class PostgresRoleProvider(LocalProvider):
    """A role by its name: may log in, and nothing else. A role or password changed by hand is drift."""

    replaced_by = frozenset({"role"})

    def make(self, inputs: Properties) -> tuple[str, Properties]:
        from psycopg import sql

        role = inputs["role"]
        with session(_superuser(inputs)) as connection:
            known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
            verb = "ALTER" if known else "CREATE"
            connection.execute(
                sql.SQL("{} ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS").format(
                    sql.SQL(verb), sql.Identifier(role)
                )
            )
            set_password(connection, role, inputs["password"])
        return role, {**inputs, "usable": True}

    def observe(self, identifier: str, recorded: Properties) -> Properties | None:
        try:
            usable = can_log_in(Login(int(recorded["port"]), recorded["password"], recorded["role"]))
        except PostgresDownError:
            # It cannot be looked at; the dead process is drift of its own, and a lost cluster replaces this.
            return recorded
        return {**recorded, "usable": usable}

    def remove(self, identifier: str, recorded: Properties) -> None:
        from psycopg import sql

        try:
            with session(_superuser(recorded)) as connection:
                connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(recorded["role"])))
        except PostgresDownError:
            return  # It goes with the cluster.


class PostgresRole(pulumi.dynamic.Resource, module="railyard", name="PostgresRole"):
    """A role that can log in with its password."""

    role: pulumi.Output[str]

    def __init__(self, name: str, args: PostgresRoleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        properties = {
            "role": args.role,
            "password": args.password,
            "port": args.port,
            "superuserPassword": args.superuser_password,
            "cluster": args.cluster,
            "usable": True,
        }
        secrets = pulumi.ResourceOptions(additional_secret_outputs=["password", "superuserPassword"])
        super().__init__(PostgresRoleProvider(), name, properties, pulumi.ResourceOptions.merge(opts, secrets))
