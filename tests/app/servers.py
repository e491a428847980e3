"""PostgreSQL and Redis of our own, in folders of our own, on free ports: for the tests and the benchmarks."""

from __future__ import annotations

import dataclasses
import itertools
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from components.local import binaries
from payments.migrations.running import migrate

ROLES = ("payments_owner", "payments_app", "payments_reader")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class PostgresServer:
    """A running PostgreSQL with the three roles."""

    port: int
    process: subprocess.Popen[bytes]
    start: Callable[[], subprocess.Popen[bytes]] | None = None

    def restarted(self) -> PostgresServer:
        """The server after a crash: stopped at once, without a checkpoint, and started on what was durable."""
        assert self.start is not None
        stop(self.process, signal.SIGQUIT)
        server = dataclasses.replace(self, process=self.start())
        wait_for_port(server.process, self.port, "PostgreSQL")
        _wait_until_it_answers(server)
        return server

    def url(self, role: str, database: str) -> str:
        return f"postgresql://{role}:{role}-word@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str, database: str = "postgres") -> None:
        with psycopg.connect(self.url("postgres", database), autocommit=True) as connection:
            connection.execute(statement.encode())


@dataclass(frozen=True)
class TestDatabase:
    """A migrated database of one test; URLs by role."""

    __test__ = False

    server: PostgresServer
    name: str

    @property
    def app_url(self) -> str:
        return self.server.url("payments_app", self.name)

    @property
    def owner_url(self) -> str:
        return self.server.url("payments_owner", self.name)

    @property
    def reader_url(self) -> str:
        return self.server.url("payments_reader", self.name)

    @property
    def superuser_url(self) -> str:
        return self.server.url("postgres", self.name)


def wait_for_port(process: subprocess.Popen[bytes], port: int, what: str) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"{what} ended with {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError(f"{what} does not listen")


def _wait_until_it_answers(server: PostgresServer) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            server.execute("SELECT 1")
            return
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def stop(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def postgres(*, fsync: bool = False) -> Iterator[PostgresServer]:
    """A PostgreSQL, without durability unless `fsync`; as root it runs under an unprivileged account."""
    account = binaries.unprivileged_account()
    folder = Path(tempfile.mkdtemp(prefix="ry-app-pg-", dir="/tmp"))
    identity = group = None
    if account is not None:
        identity, group = account.pw_uid, account.pw_gid
        os.chown(folder, identity, group)
    programs = binaries.reachable_installation(binaries.find_postgres(), account, Path("/tmp/ry-pg-programs"))
    word = folder / "word"
    word.write_text("postgres-word")
    word.chmod(0o644)
    subprocess.run(
        [
            *(str(programs / "initdb"), "-D", str(folder / "data"), "-U", "postgres", "-A", "scram-sha-256"),
            *("--pwfile", str(word), "-N", "-E", "UTF8", "--locale=C"),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=folder,
        user=identity,
        group=group,
    )
    port = free_port()
    options = {
        "port": port,
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "fsync": "on" if fsync else "off",
        "full_page_writes": "on" if fsync else "off",
        "autovacuum": "on" if fsync else "off",
        "synchronous_commit": "on",
        "shared_buffers": "64MB",
        "max_connections": "120",
        "log_min_messages": "fatal",
    }
    arguments = [f"--{name}={value}" for name, value in options.items()]

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [str(programs / "postgres"), "-D", str(folder / "data"), *arguments],
            stdout=subprocess.DEVNULL,
            stderr=(folder / "log").open("ab"),
            cwd=folder,
            user=identity,
            group=group,
        )

    process = start()
    try:
        wait_for_port(process, port, "PostgreSQL")
        server = PostgresServer(port, process, start)
        _wait_until_it_answers(server)
        for role in ROLES:
            server.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{role}-word'")
        yield server
    finally:
        stop(process, signal.SIGINT)
        shutil.rmtree(folder, ignore_errors=True)


def migrated(server: PostgresServer, name: str) -> TestDatabase:
    """A new database with the newest schema."""
    server.execute(f"CREATE DATABASE {name} OWNER payments_owner")
    migrate(server.url("payments_owner", name))
    return TestDatabase(server, name)


_copies = itertools.count(1)


@contextmanager
def copied(server: PostgresServer, template: str) -> Iterator[TestDatabase]:
    """A copy of a migrated database, dropped at the end."""
    name = f"test_{next(_copies)}"
    server.execute(f"CREATE DATABASE {name} OWNER payments_owner TEMPLATE {template} STRATEGY file_copy")
    try:
        yield TestDatabase(server, name)
    finally:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@dataclass(frozen=True)
class RedisServer:
    port: int
    process: subprocess.Popen[bytes]
    password: str

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"


def start_redis(folder: Path, port: int, password: str) -> RedisServer:
    settings = folder / "redis.conf"
    settings.write_text(
        f"port {port}\nbind 127.0.0.1\nrequirepass {password}\nsave ''\nappendonly no\ndir {folder}\nlogfile ''\n"
    )
    process = subprocess.Popen([binaries.find_redis().path, settings], stdout=subprocess.DEVNULL)
    wait_for_port(process, port, "Redis")
    return RedisServer(port, process, password)


@contextmanager
def redis() -> Iterator[RedisServer]:
    """A Redis without durability."""
    folder = Path(tempfile.mkdtemp(prefix="ry-app-redis-", dir="/tmp"))
    server = start_redis(folder, free_port(), secrets.token_hex(8))
    try:
        yield server
    finally:
        stop(server.process, signal.SIGTERM)
        shutil.rmtree(folder, ignore_errors=True)
