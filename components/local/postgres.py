"""PostgreSQL of the stack (`railyard:local:Postgres`):

- a cluster with SCRAM passwords and data checksums, reached by TCP on the loopback address alone;
- its settings: modest in memory, durable across a power cut;
- the process;
- the database `payments` with three roles: owner (migrates), app (the service), reader.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components.local.binaries import Server
from components.local.postgres_cluster import PostgresCluster, PostgresClusterArgs
from components.local.postgres_database import PostgresDatabase, PostgresDatabaseArgs
from components.local.postgres_role import PostgresRole, PostgresRoleArgs
from components.local.process import Ready
from components.local.runtime import RunArgs, Runtime, fingerprint
from components.local.text_file import TextFile, TextFileArgs

DATABASE = "payments"
OWNER, APP, READER = "payments_owner", "payments_app", "payments_reader"
# Web and worker hold 20 connections each; the rest is for a second slot, migrations, people and the superuser.
MAX_CONNECTIONS = 100
ACCESS_RULES = """\
# TYPE  DATABASE  USER  ADDRESS       METHOD
host    all       all   127.0.0.1/32  scram-sha-256
"""


@dataclass(frozen=True)
class PostgresArgs:
    """Arguments of `Postgres`: the program, whom it runs as ("" for us), a configured port or 0, and four secrets."""

    server: Server
    account: str
    port: int
    superuser_password: pulumi.Input[str]
    owner_password: pulumi.Input[str]
    app_password: pulumi.Input[str]
    reader_password: pulumi.Input[str]


def _quoted(path: str) -> str:
    return "'" + path.replace("'", "''") + "'"


def server_settings(port: int, data: str, access_rules: str) -> str:
    """postgresql.conf; fsync and full_page_writes stay on, as everywhere money is kept."""
    return f"""\
data_directory = {_quoted(data)}
hba_file = {_quoted(access_rules)}
ident_file = {_quoted(data + "/pg_ident.conf")}
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
max_connections = {MAX_CONNECTIONS}
password_encryption = 'scram-sha-256'
shared_buffers = 64MB
work_mem = 4MB
maintenance_work_mem = 32MB
max_wal_size = 256MB
max_worker_processes = 4
jit = off
fsync = on
full_page_writes = on
synchronous_commit = on
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %q%u@%d '
log_checkpoints = off
log_statement = 'none'
log_parameter_max_length_on_error = 0
log_min_duration_statement = 1000
log_parameter_max_length = 0
"""


class Postgres(pulumi.ComponentResource):
    """The database; `app_url`, `owner_url`, `reader_url` are secret URLs, `identifier` the cluster's number."""

    def __init__(
        self, name: str, args: PostgresArgs, runtime: Runtime, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("railyard:local:Postgres", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self._port = runtime.port("postgres", args.port, self)
        cluster = PostgresCluster(
            "postgres-cluster",
            PostgresClusterArgs(
                stack_folder=runtime.folder.path,
                server=str(args.server.path),
                version=args.server.version,
                account=args.account,
                port=self._port.number,
                superuser_password=args.superuser_password,
            ),
            child,
        )
        self.process = self._run(args, cluster, runtime)
        self._roles = {
            role: self._role(role, password, args, cluster)
            for role, password in (
                (OWNER, args.owner_password),
                (APP, args.app_password),
                (READER, args.reader_password),
            )
        }
        self.database = PostgresDatabase(
            "payments-database",
            PostgresDatabaseArgs(
                database=DATABASE,
                owner=self._roles[OWNER].role,
                readers=[self._roles[APP].role, self._roles[READER].role],
                port=self._port.number,
                superuser_password=args.superuser_password,
                cluster=cluster.identifier,
            ),
            pulumi.ResourceOptions(parent=self, depends_on=[self.process], deleted_with=cluster),
        )
        self.identifier = cluster.identifier
        self.owner_url = self._url(OWNER, args.owner_password)
        self.app_url = self._url(APP, args.app_password)
        self.reader_url = self._url(READER, args.reader_password)
        self.register_outputs({"address": self._port.address})

    def _run(self, args: PostgresArgs, cluster: PostgresCluster, runtime: Runtime) -> pulumi.Resource:
        child = pulumi.ResourceOptions(parent=self, depends_on=[cluster])
        rules = TextFile(
            "postgres-access-rules", TextFileArgs(runtime.path("postgres", "pg_hba.conf"), ACCESS_RULES), child
        )
        settings = TextFile(
            "postgres-settings",
            TextFileArgs(
                runtime.path("postgres", "postgresql.conf"),
                pulumi.Output.all(self._port.number, cluster.data, rules.path).apply(
                    lambda values: server_settings(int(values[0]), values[1], values[2])
                ),
            ),
            child,
        )
        return runtime.process(
            "postgres",
            RunArgs(
                command=[
                    pulumi.Output.concat(cluster.programs, "/postgres"),
                    pulumi.Output.concat("--config-file=", settings.path),
                ],
                listens=[self._port.address],
                ready=Ready("postgres", self._port.address),
                fingerprint=fingerprint(settings.content, rules.content, cluster.identifier),
                directory=cluster.data,
                account=args.account,
                data_folders=[cluster.data],
                stale_files=[pulumi.Output.concat(cluster.data, "/postmaster.pid")],
                # Fast shutdown: roll back what is open, write everything down, end.
                stop_signal="INT",
                stop_wait_seconds=30,
                # After a power cut it replays its log first.
                ready_within_seconds=60,
            ),
            self,
        )

    def _role(
        self, role: str, password: pulumi.Input[str], args: PostgresArgs, cluster: PostgresCluster
    ) -> PostgresRole:
        return PostgresRole(
            role.replace("_", "-"),
            PostgresRoleArgs(
                role=role,
                password=password,
                port=self._port.number,
                superuser_password=args.superuser_password,
                cluster=cluster.identifier,
            ),
            pulumi.ResourceOptions(parent=self, depends_on=[self.process], deleted_with=cluster),
        )

    def _url(self, role: str, password: pulumi.Input[str]) -> pulumi.Output[str]:
        return pulumi.Output.format("postgresql://{}:{}@{}/{}", role, password, self._port.address, DATABASE)
