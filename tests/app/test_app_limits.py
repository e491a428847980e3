"""Limits hold over a sliding window, for the real client behind proxies, and fail safe without Redis."""

from __future__ import annotations

import ipaddress
import signal
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from payments.core import Core
from payments.errors import RateLimited, ServiceUnavailable
from payments.limits.client_address import client_address, limited_as
from payments.limits.limiter import Limit, Limiter, WithoutRedis
from tests.app.conftest import (
    RedisServer,
    TestDatabase,
    client_of,
    core_for,
    fund,
    new_key,
    settings_for,
    start_redis,
    stop,
)
from tests.app.memory_rail import MemoryRail

PROXIES = (ipaddress.ip_network("10.0.0.0/8"),)


class TestClientAddress:
    @pytest.mark.parametrize(
        ("peer", "headers", "hops", "expected"),
        [
            ("10.1.1.1", ["203.0.113.9"], 1, "203.0.113.9"),
            ("10.1.1.1", ["6.6.6.6, 203.0.113.9"], 1, "203.0.113.9"),
            ("10.1.1.1", ["6.6.6.6", "203.0.113.9, 10.2.2.2"], 2, "203.0.113.9"),
            ("198.51.100.7", ["6.6.6.6"], 1, "198.51.100.7"),
            ("10.1.1.1", [], 1, "10.1.1.1"),
            ("10.1.1.1", ["203.0.113.9"], 2, "10.1.1.1"),
            ("10.1.1.1", ["nonsense"], 1, "10.1.1.1"),
            ("::ffff:10.1.1.1", ["203.0.113.9"], 1, "203.0.113.9"),
            ("10.1.1.1", ["203.0.113.9:4711"], 1, "203.0.113.9"),
            ("10.1.1.1", ["[2001:db8::1]:4711"], 1, "2001:db8::1"),
            ("10.1.1.1", ["[2001:db8::1]"], 1, "2001:db8::1"),
            ("10.1.1.1", ["203.0.113.9:x"], 1, "10.1.1.1"),
            ("10.1.1.1", ["2001:DB8::0:1"], 1, "2001:db8::1"),
            ("unknown", ["6.6.6.6"], 1, "unknown"),
        ],
    )
    def test_it_is_the_entry_trusted_hops_from_the_right(
        self, peer: str, headers: list[str], hops: int, expected: str
    ) -> None:
        assert client_address(peer, headers, trusted_proxies=PROXIES, trusted_hops=hops) == expected

    def test_a_customer_with_a_64_of_addresses_has_one_limit(self) -> None:
        assert len({limited_as(f"2001:db8:0:1::{number:x}") for number in range(1000)}) == 1
        assert limited_as("2001:db8:0:1::1") != limited_as("2001:db8:0:2::1")
        assert limited_as("203.0.113.9") == limited_as("::ffff:203.0.113.9") == "203.0.113.9"
        assert limited_as("203.0.113.9") != limited_as("203.0.113.10")
        assert limited_as("unknown") == "unknown"

    async def test_the_limit_holds_over_such_addresses(self, database: TestDatabase, own_redis: RedisServer) -> None:
        settings = settings_for(database, own_redis.url, public_rate_limit=3, trusted_proxies="127.0.0.1/32")
        core = core_for(settings, MemoryRail())
        await core.start()
        try:
            async with client_of(core) as client:
                statuses = [
                    (await client.get("/", headers={"x-forwarded-for": f"2001:db8::{number}"})).status_code
                    for number in range(5)
                ]
        finally:
            await core.close()
        assert statuses == [200, 200, 200, 429, 429]


async def test_the_document_is_under_the_limit_by_address(database: TestDatabase, own_redis: RedisServer) -> None:
    core = core_for(settings_for(database, own_redis.url, public_rate_limit=2), MemoryRail())
    await core.start()
    try:
        async with client_of(core) as client:
            answers = [await client.get("/openapi.json") for _ in range(3)]
    finally:
        await core.close()
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[0].content == answers[1].content


class _Time:
    def __init__(self) -> None:
        self.now = 1_000_020.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> _Time:
    return _Time()


class TestSlidingWindow:
    @pytest.fixture
    async def limiter(self, own_redis: RedisServer, clock: _Time) -> Any:
        made = Limiter(own_redis.url, window_seconds=60, instances=1, now=clock)
        yield made
        await made.close()

    async def _passes(self, limiter: Limiter, *limits: Limit) -> bool:
        try:
            await limiter.take(limits, WithoutRedis.OPEN)
        except RateLimited:
            return False
        return True

    async def test_the_ceiling_holds_and_opens_again(self, limiter: Limiter, clock: _Time) -> None:
        limit = Limit("ip", "1.2.3.4", 5)
        assert [await self._passes(limiter, limit) for _ in range(7)] == [True] * 5 + [False] * 2
        clock.now += 121
        assert await self._passes(limiter, limit)

    async def test_the_window_slides(self, limiter: Limiter, clock: _Time) -> None:
        limit = Limit("ip", "1.2.3.4", 10)
        clock.now = 1_000_020.0 + 39.9  # the end of a fixed window of 60 s
        assert [await self._passes(limiter, limit) for _ in range(10)] == [True] * 10
        clock.now += 1.0
        assert not await self._passes(limiter, limit), "a fixed window would have begun anew"
        clock.now += 31.0
        assert await self._passes(limiter, limit)

    async def test_subjects_do_not_share(self, limiter: Limiter) -> None:
        assert await self._passes(limiter, Limit("ip", "a", 1))
        assert await self._passes(limiter, Limit("ip", "b", 1))
        assert await self._passes(limiter, Limit("key", "a", 1))

    async def test_a_refused_request_counts_against_nothing(self, limiter: Limiter) -> None:
        wide, narrow = Limit("key", "k", 10), Limit("user", "u", 1)
        assert await self._passes(limiter, wide, narrow)
        for _ in range(20):
            assert not await self._passes(limiter, wide, narrow)
        assert [await self._passes(limiter, wide) for _ in range(10)] == [True] * 9 + [False]

    async def test_retry_after_is_honest(self, limiter: Limiter, clock: _Time) -> None:
        limit = Limit("ip", "a", 3)
        for _ in range(3):
            await limiter.take([limit], WithoutRedis.OPEN)
        with pytest.raises(RateLimited) as caught:
            await limiter.take([limit], WithoutRedis.OPEN)
        clock.now += int(caught.value.headers["Retry-After"])
        for _ in range(40):  # the previous window still weighs in, less and less
            if await self._passes(limiter, limit):
                break
            clock.now += 1
        else:
            pytest.fail("it never opened again")

    async def test_a_flushed_redis_is_no_error(self, limiter: Limiter, own_redis: RedisServer) -> None:
        import redis

        await limiter.take([Limit("ip", "a", 3)], WithoutRedis.OPEN)
        with redis.Redis.from_url(own_redis.url) as client:
            client.flushall()
            client.script_flush()
        await limiter.take([Limit("ip", "a", 3)], WithoutRedis.CLOSED)


class TestRoutes:
    async def _client(self, core: Core, **changed: Any) -> httpx.AsyncClient:
        made = await new_key(core, unlimited=False, **changed)
        return client_of(core, **{"x-api-key": made["key"]})

    async def test_invoices_are_limited_by_address_with_a_burst(
        self, database: TestDatabase, own_redis: RedisServer, rail: MemoryRail
    ) -> None:
        settings = settings_for(
            database, own_redis.url, create_invoice_rate_limit=3, create_invoice_burst=2, trusted_proxies="127.0.0.0/8"
        )
        core = core_for(settings, rail)
        await core.start()
        async with await self._client(core) as client:
            route, body = "/api/lightning/create-invoice", {"amount": 1}
            one = {"x-forwarded-for": "203.0.113.1"}
            statuses = [(await client.post(route, json=body, headers=one)).status_code for _ in range(7)]
            assert statuses == [200] * 5 + [429] * 2
            refused = await client.post(route, json=body, headers=one)
            assert refused.json()["code"] == "RATE_LIMITED"
            assert refused.headers["x-ratelimit-limit"] == "5"
            assert int(refused.headers["retry-after"]) >= 1
            spoofed = {"x-forwarded-for": "6.6.6.6, 203.0.113.1"}
            assert (await client.post(route, json=body, headers=spoofed)).status_code == 429
            other = await client.post(route, json=body, headers={"x-forwarded-for": "203.0.113.2"})
            assert other.status_code == 200
            assert other.headers["x-ratelimit-limit"] == "2000"
        await core.close()

    async def test_an_address_is_limited_before_its_key_is_looked_at(
        self, database: TestDatabase, own_redis: RedisServer, rail: MemoryRail
    ) -> None:
        core = core_for(settings_for(database, own_redis.url, public_rate_limit=3), rail)
        await core.start()
        async with client_of(core, **{"x-api-key": "sk_test_wrong"}) as client:
            statuses = [(await client.get("/v1/ledger")).status_code for _ in range(5)]
        await core.close()
        assert statuses == [401] * 3 + [429] * 2

    async def test_a_user_is_limited_over_all_keys(
        self, database: TestDatabase, own_redis: RedisServer, rail: MemoryRail
    ) -> None:
        core = core_for(settings_for(database, own_redis.url, user_payment_rate_limit=2), rail)
        await core.start()
        await fund(core, 10**6)
        statuses = []
        for number in range(3):
            async with await self._client(core) as client:
                body = {"paymentRequest": MemoryRail.request(number), "maxFeeMsat": 0}
                answer = await client.post("/v1/payments", json=body, headers={"Idempotency-Key": str(number)})
                statuses.append(answer.status_code)
        await core.close()
        assert statuses == [202, 202, 429]

    async def test_an_unlimited_key_is_not_limited(
        self, database: TestDatabase, own_redis: RedisServer, rail: MemoryRail
    ) -> None:
        core = core_for(settings_for(database, own_redis.url, create_invoice_rate_limit=1), rail)
        await core.start()
        made = await new_key(core)
        async with client_of(core, **{"x-api-key": made["key"]}) as client:
            route, body = "/api/lightning/create-invoice", {"amount": 1}
            assert {(await client.post(route, json=body)).status_code for _ in range(30)} == {200}
        await core.close()


class TestWithoutRedis:
    async def test_payouts_and_keys_are_refused_and_the_rest_passes_under_a_share(
        self, database: TestDatabase, own_redis: RedisServer, rail: MemoryRail
    ) -> None:
        settings = settings_for(
            database, own_redis.url, create_invoice_rate_limit=8, create_invoice_burst=0, expected_instances=2
        )
        core = core_for(settings, rail)
        await core.start()
        await fund(core, 10**6)
        made = await new_key(core, unlimited=False)
        admin = await new_key(core, permissions=["admin"], unlimited=False)
        stop(own_redis.process, signal.SIGKILL)
        async with client_of(core, **{"x-api-key": made["key"]}) as client:
            body = {"paymentRequest": MemoryRail.request(1)}
            payout = await client.post("/v1/payments", json=body, headers={"Idempotency-Key": "1"})
            assert (payout.status_code, payout.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
            assert "retry-after" in payout.headers
            invoices = [
                (await client.post("/api/lightning/create-invoice", json={"amount": 1})).status_code for _ in range(6)
            ]
            assert invoices == [200] * 4 + [429] * 2, "half of the limit: the share of one of two processes"
            ready = await client.get("/ready")
            assert (ready.status_code, ready.json()["ready"]) == (200, True)
            assert ready.json()["checks"]["redis"].startswith("down")
            assert REGISTRY.get_sample_value("redis_up") == 0
        async with client_of(core, **{"x-api-key": admin["key"]}) as client:
            body = {"name": "n", "userId": "u", "environment": "test"}
            assert (await client.post("/api-keys", json=body)).status_code == 503
        await core.close()

    async def test_it_is_used_again_as_soon_as_it_answers(self, tmp_path: Any, clock: _Time) -> None:
        from tests.app.conftest import free_port, until

        port = free_port()
        limiter = Limiter(f"redis://:word@127.0.0.1:{port}/0", window_seconds=60, instances=1)
        with pytest.raises(ServiceUnavailable):
            await limiter.take([Limit("ip", "a", 3)], WithoutRedis.CLOSED)
        server = start_redis(tmp_path, port, "word")

        async def answers() -> bool:
            try:
                await limiter.take([Limit("ip", "a", 10_000)], WithoutRedis.CLOSED)
            except ServiceUnavailable:
                return False
            return True

        try:
            await until(answers)
            assert limiter.down_since is None
        finally:
            await limiter.close()
            stop(server.process, signal.SIGTERM)
