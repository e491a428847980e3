"""Real PostgreSQL and Redis for the service's tests: one server a session, one database a test."""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from components.local import binaries

from payments.migrations.running import migrate

ROLES = ("payments_owner", "payments_app", "payments_reader")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class PostgresServer:
    port: int
    process: subprocess.Popen[bytes]

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


def _wait_for(process: subprocess.Popen[bytes], port: int, what: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"{what} ended with {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError(f"{what} does not listen")


def _stop(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    account = binaries.unprivileged_account()
    folder = Path(tempfile.mkdtemp(prefix="ry-app-pg-", dir="/tmp"))
    identity: dict[str, int] = {}
    if account is not None:
        os.chown(folder, account.pw_uid, account.pw_gid)
        identity = {"user": account.pw_uid, "group": account.pw_gid}
    programs = binaries.reachable_installation(binaries.find_postgres(), account, Path("/tmp/ry-pg-programs"))
    word = folder / "word"
    word.write_text("postgres-word")
    word.chmod(0o644)
    subprocess.run(
        [programs / "initdb", "-D", folder / "data", "-U", "postgres", "-A", "scram-sha-256", "--pwfile", word, "-N"]
        + ["-E", "UTF8", "--locale=C"],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=folder,
        **identity,  # type: ignore[arg-type]
    )
    port = free_port()
    options = {
        "port": port,
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "fsync": "off",
        "synchronous_commit": "on",
        "shared_buffers": "64MB",
        "max_connections": "120",
        "log_min_messages": "fatal",
    }
    arguments = [f"--{name}={value}" for name, value in options.items()]
    process = subprocess.Popen(
        [programs / "postgres", "-D", folder / "data", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=(folder / "log").open("wb"),
        cwd=folder,
        **identity,  # type: ignore[arg-type]
    )
    try:
        _wait_for(process, port, "PostgreSQL")
        server = PostgresServer(port, process)
        for role in ROLES:
            server.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{role}-word'")
        yield server
    finally:
        _stop(process, signal.SIGINT)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def migrated_template(postgres: PostgresServer) -> str:
    postgres.execute("CREATE DATABASE payments_template OWNER payments_owner")
    migrate(postgres.url("payments_owner", "payments_template"))
    return "payments_template"


_numbers = itertools.count(1)


@pytest.fixture
def empty_database(postgres: PostgresServer) -> Iterator[TestDatabase]:
    name = f"empty_{next(_numbers)}"
    postgres.execute(f"CREATE DATABASE {name} OWNER payments_owner")
    yield TestDatabase(postgres, name)
    postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(postgres: PostgresServer, migrated_template: str) -> Iterator[TestDatabase]:
    name = f"test_{next(_numbers)}"
    postgres.execute(f"CREATE DATABASE {name} OWNER payments_owner TEMPLATE {migrated_template}")
    yield TestDatabase(postgres, name)
    postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


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
    _wait_for(process, port, "Redis")
    return RedisServer(port, process, password)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    folder = Path(tempfile.mkdtemp(prefix="ry-app-redis-", dir="/tmp"))
    server = start_redis(folder, free_port(), secrets.token_hex(8))
    yield server
    _stop(server.process, signal.SIGTERM)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A Redis of this test alone, to be stopped and started."""
    folder = Path(tempfile.mkdtemp(prefix="ry-app-redis-", dir="/tmp"))
    server = start_redis(folder, free_port(), secrets.token_hex(8))
    yield server
    _stop(server.process, signal.SIGTERM)
    shutil.rmtree(folder, ignore_errors=True)
