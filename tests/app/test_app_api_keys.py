"""API keys: shown once, stored as a digest, revocable, expiring, of one environment."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import psycopg
import pytest

from payments.api_keys.service import KeyRing
from payments.clock import Clock
from payments.core import Core
from payments.settings import Settings
from tests.app.conftest import SECRETS, RedisServer, TestDatabase, client_of, core_for, new_key, settings_for
from tests.app.memory_rail import MemoryRail

BOOTSTRAP = {"x-api-key": SECRETS["bootstrap_admin_key"]}
BODY = {"name": "shop", "userId": "alice", "environment": "test", "permissions": ["read"]}


@pytest.fixture
async def admin(core: Core) -> httpx.AsyncClient:
    return client_of(core, **BOOTSTRAP)


class TestMaking:
    async def test_the_answer_has_the_agreed_fields(self, admin: httpx.AsyncClient) -> None:
        made = (await admin.post("/api-keys", json=BODY)).json()
        assert set(made) >= {
            "id", "key", "prefix", "name", "userId", "environment", "permissions", "unlimited", "createdAt",
        }  # fmt: skip
        assert made["key"].startswith("sk_test_")
        assert made["key"].startswith(made["prefix"])
        assert len(made["key"]) > 48

    async def test_only_its_digest_is_stored(self, admin: httpx.AsyncClient, database: TestDatabase) -> None:
        made = (await admin.post("/api-keys", json=BODY)).json()
        with psycopg.connect(database.superuser_url) as connection:
            row = connection.execute("SELECT key::text, (x402.api_keys.*)::text FROM x402.api_keys").fetchone()
        assert row is not None
        assert len(row[0]) == 2 + 64
        assert made["key"] not in row[1]

    async def test_without_a_credential_or_without_admin_it_is_refused(self, core: Core) -> None:
        writer = await new_key(core)
        async with client_of(core) as client:
            assert (await client.post("/api-keys", json=BODY)).status_code == 401
            answer = await client.post("/api-keys", json=BODY, headers={"x-api-key": writer["key"]})
            assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")

    async def test_an_admin_key_makes_keys(self, core: Core) -> None:
        boss = await new_key(core, permissions=["admin"])
        async with client_of(core, **{"x-api-key": boss["key"]}) as client:
            assert (await client.post("/api-keys", json=BODY)).status_code == 201

    async def test_no_live_key_off_mainnet(self, admin: httpx.AsyncClient) -> None:
        answer = await admin.post("/api-keys", json={**BODY, "environment": "live"})
        assert answer.status_code == 400
        assert "mainnet" in answer.json()["error"]

    async def test_unlimited_keys_are_local_only(
        self, database: TestDatabase, redis_server: RedisServer, rail: MemoryRail
    ) -> None:
        core = core_for(settings_for(database, redis_server.url, APP_ENV="staging"), rail)
        await core.start()
        async with client_of(core, **BOOTSTRAP) as client:
            assert (await client.post("/api-keys", json={**BODY, "unlimited": True})).status_code == 403
            assert (await client.post("/api-keys", json=BODY)).status_code == 201
        await core.close()

    async def test_a_demo_key_of_a_copied_database_is_refused_outside_local(
        self, database: TestDatabase, redis_server: RedisServer, rail: MemoryRail
    ) -> None:
        local = core_for(settings_for(database, redis_server.url), rail)
        await local.start()
        demo, plain = await new_key(local), await new_key(local, unlimited=False)
        await local.close()
        core = core_for(settings_for(database, redis_server.url, APP_ENV="staging"), rail)
        await core.start()
        statuses = []
        for made in (demo, plain):
            async with client_of(core, **{"x-api-key": made["key"]}) as client:
                statuses.append((await client.get("/v1/invoices")).status_code)
        await core.close()
        assert statuses == [401, 200]

    async def test_an_unlimited_key_is_not_locked_out_while_it_is_looked_up_again(
        self, database: TestDatabase, own_redis: RedisServer, rail: MemoryRail, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        core = core_for(settings_for(database, own_redis.url, public_rate_limit=5), rail)
        await core.start()
        try:
            made = await new_key(core)
            monkeypatch.setattr("payments.api_keys.service.CACHE_SECONDS", 0.0)
            async with client_of(core, **{"x-api-key": made["key"]}) as client:
                statuses = [(await client.get("/v1/invoices")).status_code for _ in range(20)]
        finally:
            await core.close()
        assert statuses == [200] * 20

    async def test_fifty_at_once_with_one_idempotency_key_make_one_key(
        self, admin: httpx.AsyncClient, core: Core
    ) -> None:
        headers = {"Idempotency-Key": "one"}
        answers = await asyncio.gather(*(admin.post("/api-keys", json=BODY, headers=headers) for _ in range(50)))
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses == [201] + [409] * 49
        assert await core.database.value("SELECT count(*) FROM x402.api_keys", name="test") == 1
        again = await admin.post("/api-keys", json=BODY, headers=headers)
        assert again.status_code == 409
        assert again.json()["details"]["id"] == next(a for a in answers if a.status_code == 201).json()["id"]
        stored = await core.database.all("SELECT body FROM payments.idempotency_responses", name="test")
        assert all(b"sk_test_" not in bytes(row["body"]) for row in stored)


class TestUsing:
    async def test_a_revoked_key_stops_working(self, core: Core, admin: httpx.AsyncClient) -> None:
        made = await new_key(core)
        async with client_of(core, **{"x-api-key": made["key"]}) as client:
            assert (await client.get("/v1/ledger")).status_code == 200
            revoked = await admin.delete(f"/api-keys/{made['id']}")
            assert revoked.json()["revoked"] is True
            assert (await client.get("/v1/ledger")).status_code == 401

    async def test_in_another_process_it_stops_working_when_its_memory_ends(
        self, core: Core, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = await new_key(core)
        other = KeyRing(core.database, settings, Clock())
        await other.authenticate(made["key"])
        await core.database.run("UPDATE x402.api_keys SET revoked = true", name="test")
        assert (await other.authenticate(made["key"])).user_id == "alice"
        monkeypatch.setattr("payments.api_keys.service.time.monotonic", lambda: 10.0**12)
        with pytest.raises(Exception, match="not valid"):
            await other.authenticate(made["key"])

    async def test_an_expired_key_stops_working_though_it_is_remembered(self, core: Core, settings: Settings) -> None:
        soon = datetime.now(UTC) + timedelta(seconds=60)
        made = await new_key(core, expiresAt=soon.isoformat())
        now = [datetime.now(UTC)]
        ring = KeyRing(core.database, settings, Clock(now=lambda: now[0]))
        await ring.authenticate(made["key"])
        now[0] = soon
        with pytest.raises(Exception, match="not valid"):
            await ring.authenticate(made["key"])

    async def test_in_a_rotation_of_the_pepper_both_work(
        self, core: Core, database: TestDatabase, redis_server: RedisServer
    ) -> None:
        made = await new_key(core)
        rotated = settings_for(
            database,
            redis_server.url,
            api_key_pepper="99" * 32,
            api_key_pepper_version=2,
            api_key_pepper_previous=SECRETS["api_key_pepper"],
        )
        assert (await KeyRing(core.database, rotated, Clock()).authenticate(made["key"])).user_id == "alice"
        without = settings_for(database, redis_server.url, api_key_pepper="99" * 32)
        with pytest.raises(Exception, match="not valid"):
            await KeyRing(core.database, without, Clock()).authenticate(made["key"])

    async def test_the_last_use_is_written(self, core: Core, client: httpx.AsyncClient) -> None:
        await client.get("/v1/ledger")
        assert core.key_ring is not None
        await core.key_ring.flush_uses()
        assert await core.database.value("SELECT last_used_at FROM x402.api_keys", name="test") is not None

    async def test_a_test_key_is_no_administrators_on_mainnet(
        self, database: TestDatabase, redis_server: RedisServer
    ) -> None:
        """It could make itself a live key, throw switches, and read everybody's accounts."""
        core = core_for(settings_for(database, redis_server.url, network="mainnet"), MemoryRail())
        await core.start()
        try:
            async with client_of(core, **BOOTSTRAP) as client:
                answer = await client.post("/api-keys", json={**BODY, "permissions": ["admin"]})
                assert answer.status_code == 400, answer.text
                key = (await client.post("/api-keys", json={**BODY, "permissions": ["read", "write"]})).json()
            with psycopg.connect(database.superuser_url) as connection:  # as one that was made before this rule
                connection.execute("UPDATE x402.api_keys SET permissions = '{admin}' WHERE id = %s", (key["id"],))
            async with client_of(core, **{"x-api-key": key["key"]}) as client:
                live = await client.post("/api-keys", json={**BODY, "environment": "live"})
                assert live.status_code == 403, live.text
                thrown = await client.put("/v1/switches/payouts", json={"on": True, "reason": "x"})
                assert thrown.status_code == 403, thrown.text
                assert (await client.get("/v1/human-queue")).status_code == 403
                others = await client.get("/v1/statements/2026-01-01?account=liabilities:user:live:bob")
                assert others.status_code == 403, others.text
                assert (await client.get("/v1/ledger")).status_code == 200
        finally:
            await core.close()

    async def test_a_test_key_moves_no_money_on_mainnet(
        self, database: TestDatabase, redis_server: RedisServer, rail: MemoryRail
    ) -> None:
        core = core_for(settings_for(database, redis_server.url, network="mainnet"), rail)
        await core.start()
        made = await new_key(core)
        async with client_of(core, **{"x-api-key": made["key"]}) as client:
            assert (await client.get("/v1/ledger")).status_code == 200
            answer = await client.post("/api/lightning/create-invoice", json={"amount": 1})
            assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")
        await core.close()

    async def test_keys_are_listed_without_their_secrets(self, core: Core, admin: httpx.AsyncClient) -> None:
        made = await new_key(core)
        listed = await admin.get("/api-keys")
        assert [key["id"] for key in listed.json()["data"]] == [made["id"]]
        assert made["key"] not in listed.text
        assert '"key"' not in listed.text
