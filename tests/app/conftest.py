"""Real PostgreSQL and Redis for the service's tests: one server a session, one database a test."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest
import redis
import structlog

from payments.api_keys.service import KeyRing
from payments.clock import Clock
from payments.core import Core
from payments.database import Database
from payments.ledger import repository as ledger_repository
from payments.ledger.repository import post_journal
from payments.ledger.schemas import Line
from payments.limits.limiter import Limiter
from payments.settings import Settings
from payments.tokens.verifier import TokenVerifier
from payments.web.application import create_application
from tests.app import servers
from tests.app.memory_rail import MemoryRail
from tests.app.servers import PostgresServer, RedisServer, TestDatabase, free_port, start_redis, stop

__all__ = ["PostgresServer", "RedisServer", "TestDatabase", "free_port", "start_redis", "stop"]


@pytest.fixture(scope="session", autouse=True)
def _plain_logs() -> None:
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()],
        logger_factory=structlog.PrintLoggerFactory(),
    )


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with servers.postgres() as server:
        yield server


@pytest.fixture(scope="session")
def migrated_template(postgres: PostgresServer) -> str:
    return servers.migrated(postgres, "payments_template").name


_numbers = itertools.count(1)


@pytest.fixture
def empty_database(postgres: PostgresServer) -> Iterator[TestDatabase]:
    name = f"empty_{next(_numbers)}"
    postgres.execute(f"CREATE DATABASE {name} OWNER payments_owner")
    yield TestDatabase(postgres, name)
    postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(postgres: PostgresServer, migrated_template: str) -> Iterator[TestDatabase]:
    with servers.copied(postgres, migrated_template) as made:
        yield made


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    with servers.redis() as server:
        yield server


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A Redis of this test alone, to be stopped and started."""
    with servers.redis() as server:
        yield server


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
        tokens=TokenVerifier(settings, clock),
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

        async def made() -> httpx.Response | None:
            headers = {"x-api-key": SECRETS["bootstrap_admin_key"]}
            answer = await client.post("/api-keys", json=body, headers=headers)
            # On a machine that is very busy Redis may miss the limiter's deadline: making keys is refused then.
            return None if answer.status_code == 503 else answer

        answer: httpx.Response = await until(made, 60)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


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
