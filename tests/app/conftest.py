"""Real PostgreSQL and Redis for the service's tests: one server a session, one database a test."""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import redis
import structlog

from components.local import binaries
from payments.api_keys.service import KeyRing
from payments.clock import Clock
from payments.core import Core
from payments.database import Database
from payments.ledger import repository as ledger_repository
from payments.ledger.repository import post_journal
from payments.ledger.schemas import Line
from payments.limits.limiter import Limiter
from payments.migrations.running import migrate
from payments.settings import Settings
from payments.web.application import create_application
from tests.app.memory_rail import MemoryRail

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


@pytest.fixture(scope="session", autouse=True)
def _plain_logs() -> None:
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()],
        logger_factory=structlog.PrintLoggerFactory(),
    )


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
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
        "fsync": "off",
        "full_page_writes": "off",
        "autovacuum": "off",
        "synchronous_commit": "on",
        "shared_buffers": "64MB",
        "max_connections": "120",
        "log_min_messages": "fatal",
    }
    arguments = [f"--{name}={value}" for name, value in options.items()]
    process = subprocess.Popen(
        [str(programs / "postgres"), "-D", str(folder / "data"), *arguments],
        stdout=subprocess.DEVNULL,
        stderr=(folder / "log").open("wb"),
        cwd=folder,
        user=identity,
        group=group,
    )
    try:
        _wait_for(process, port, "PostgreSQL")
        server = PostgresServer(port, process)
        _wait_until_it_answers(server)
        for role in ROLES:
            server.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{role}-word'")
        yield server
    finally:
        stop(process, signal.SIGINT)
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
    postgres.execute(f"CREATE DATABASE {name} OWNER payments_owner TEMPLATE {migrated_template} STRATEGY file_copy")
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
    stop(server.process, signal.SIGTERM)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A Redis of this test alone, to be stopped and started."""
    folder = Path(tempfile.mkdtemp(prefix="ry-app-redis-", dir="/tmp"))
    server = start_redis(folder, free_port(), secrets.token_hex(8))
    yield server
    stop(server.process, signal.SIGTERM)
    shutil.rmtree(folder, ignore_errors=True)


SECRETS = {
    "jwt_secret": "11" * 32,
    "api_key_pepper": "22" * 32,
    "invoice_secret": "33" * 32,
    "bootstrap_admin_key": "sk_bootstrap_" + "44" * 32,
}


def settings_for(database: TestDatabase, redis_url: str, **changed: Any) -> Settings:
    """Settings of a local stack on the test's database."""
    values: dict[str, Any] = {
        "APP_ENV": "local",
        "network": "regtest",
        "database_url": database.app_url,
        "redis_url": redis_url,
        "database_pool_size": 10,
        "database_pool_timeout_seconds": 10,
        "log_level": "error",
        **SECRETS,
        **changed,
    }
    return Settings(**values)


def core_for(settings: Settings, rail: MemoryRail, clock: Clock | None = None) -> Core:
    """A core with one rail in memory."""
    assert settings.database_url is not None
    assert settings.redis_url is not None
    clock = clock or Clock()
    opened = Database(
        settings.database_url.get_secret_value(),
        size=settings.database_pool_size,
        timeout_seconds=settings.database_pool_timeout_seconds,
        name="test",
    )
    return Core(
        settings=settings,
        database=opened,
        limiter=Limiter(
            settings.redis_url.get_secret_value(),
            window_seconds=settings.rate_limit_window_seconds,
            instances=settings.expected_instances,
        ),
        rails={rail.name: rail},
        clock=clock,
        key_ring=KeyRing(opened, settings, clock),
    )


@pytest.fixture
def settings(database: TestDatabase, redis_server: RedisServer) -> Settings:
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return settings_for(database, redis_server.url)


@pytest.fixture
def rail() -> MemoryRail:
    return MemoryRail()


@pytest.fixture
async def core(settings: Settings, rail: MemoryRail) -> AsyncIterator[Core]:
    made = core_for(settings, rail)
    await made.start()
    yield made
    await made.close()


def client_of(core: Core, **headers: str) -> httpx.AsyncClient:
    """An HTTP client of the whole application, gate included, in this process."""
    transport = httpx.ASGITransport(create_application(core), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://payments", headers=headers)


async def new_key(core: Core, **changed: Any) -> dict[str, Any]:
    """An API key, made over HTTP with the bootstrap credential."""
    body = {
        "name": "test",
        "userId": "alice",
        "environment": "test",
        "permissions": ["read", "write"],
        "unlimited": True,
        **changed,
    }
    async with client_of(core) as client:
        answer = await client.post("/api-keys", json=body, headers={"x-api-key": SECRETS["bootstrap_admin_key"]})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


@pytest.fixture
async def client(core: Core) -> AsyncIterator[httpx.AsyncClient]:
    """A client with alice's key, which may read and write and has no limits."""
    made = await new_key(core)
    async with client_of(core, **{"x-api-key": made["key"]}) as opened:
        yield opened


async def fund(core: Core, amount: int, *, user: str = "alice") -> None:
    """Give a user money, as an arrival would."""
    async with core.database.transaction() as connection:
        await post_journal(
            connection,
            kind="test-funding",
            source=str(core.clock.new_id()),
            memo="",
            lines=[Line("assets:lnd", "BTC", amount), Line(f"liabilities:user:test:{user}", "BTC", -amount)],
        )


async def balances(core: Core) -> dict[str, int]:
    """Every account's balance in msat."""
    return {row["code"]: row["balance"] for row in await ledger_repository.balances(core.database)}


async def until(condition: Callable[[], Awaitable[Any]], seconds: float = 10.0) -> Any:
    """The first true value of `condition`; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = await condition()
        if value:
            return value
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.02)
