"""Webhooks: signed as the standard says, retried over 72 hours, never to a private address, ordered per object."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest
from aiohttp import web

from payments.core import Core
from payments.errors import InvalidInput
from payments.settings import Settings
from payments.webhooks import tasks
from payments.webhooks.reachable import ForbiddenAddressError, PublicResolver, check_url, is_public
from payments.webhooks.tasks import BATCH, Sender, begin, next_attempt_after
from payments.worker.queue import JobQueue
from payments.worker.relay import relay_once
from tests.app.conftest import client_of, free_port, new_key


@dataclass
class Receiver:
    """Somebody's endpoint: remembers what came and answers as told."""

    url: str
    statuses: list[int] = field(default_factory=list)
    seen: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        self.seen.append(({name.lower(): value for name, value in request.headers.items()}, await request.read()))
        status = self.statuses.pop(0) if self.statuses else 200
        return web.Response(status=status, headers={"Location": "http://127.0.0.1:1/"} if status == 302 else {})

    def types(self) -> list[str]:
        return [json.loads(body)["type"] for _, body in self.seen]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    port = free_port()
    made = Receiver(f"http://127.0.0.1:{port}/hook")
    application = web.Application()
    application.router.add_post("/hook", made.handle)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield made
    await runner.cleanup()


async def _register(client: httpx.AsyncClient, url: str, **changed: Any) -> dict[str, Any]:
    answer = await client.post("/v1/webhook-endpoints", json={"url": url, **changed})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


@asynccontextmanager
async def _sender(core: Core) -> AsyncIterator[Sender]:
    sender = Sender(core)
    yield sender
    await sender.close()


async def deliver_due(core: Core, sender: Sender) -> int:
    """Send what is due now, once; returns how many attempts were made."""
    begun = await begin(core, sender, BATCH)
    await asyncio.gather(*begun)
    return len(begun)


async def _relay(core: Core, settings: Settings) -> None:
    assert settings.database_url is not None
    queue = JobQueue(settings.database_url.get_secret_value(), core, {})
    await queue.open()
    await relay_once(core, queue)
    await queue.close()


async def _make_due(core: Core) -> None:
    await core.database.run("UPDATE payments.webhook_deliveries SET next_attempt_at = now()", name="test")


async def _deliveries(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get("/v1/webhook-deliveries")).json()["data"]
    return found


def _verifies(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """As a receiver following standardwebhooks.com does it."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return expected in headers["webhook-signature"].split(" ")


class TestDelivering:
    async def test_an_event_arrives_signed_with_a_stable_id(
        self, client: httpx.AsyncClient, core: Core, settings: Settings, receiver: Receiver
    ) -> None:
        made = await _register(client, receiver.url)
        receiver.statuses = [500, 200]
        await client.post("/api/lightning/create-invoice", json={"amount": 1})
        await _relay(core, settings)
        async with _sender(core) as sender:
            assert await deliver_due(core, sender) == 1
            assert await deliver_due(core, sender) == 0, "the next attempt waits"
            await _make_due(core)
            assert await deliver_due(core, sender) == 1
            assert await deliver_due(core, sender) == 0
        (first, body), (second, again) = receiver.seen
        assert body == again
        assert first["webhook-id"] == second["webhook-id"] == json.loads(body)["id"]
        assert _verifies(made["secret"], first, body)
        assert not _verifies(made["secret"], first, body + b" ")
        assert json.loads(body)["type"] == "invoice.created"
        (delivery,) = await _deliveries(client)
        assert (delivery["state"], delivery["attempts"], delivery["lastStatus"]) == ("delivered", 2, 200)

    async def test_only_the_wanted_types_and_only_ones_own(
        self, client: httpx.AsyncClient, core: Core, settings: Settings, receiver: Receiver
    ) -> None:
        await _register(client, receiver.url, eventTypes=["invoice.settled"])
        bob = await new_key(core, userId="bob")
        async with client_of(core, **{"x-api-key": bob["key"]}) as other:
            await _register(other, receiver.url)
        await client.post("/api/lightning/create-invoice", json={"amount": 1})
        await _relay(core, settings)
        async with _sender(core) as sender:
            assert await deliver_due(core, sender) == 0

    async def test_events_of_one_object_keep_their_order(
        self, client: httpx.AsyncClient, core: Core, settings: Settings, receiver: Receiver
    ) -> None:
        await _register(client, receiver.url)
        made = (await client.post("/api/lightning/create-invoice", json={"amount": 1})).json()
        await core.database.run(
            "SELECT payments.credit_arrival('lnd', 'e1', %s, 'BTC', 1000, now(), '{}', '')",
            (made["paymentHash"],),
            name="test",
        )
        await _relay(core, settings)
        receiver.statuses = [503]
        async with _sender(core) as sender:
            assert await deliver_due(core, sender) == 1
            assert await deliver_due(core, sender) == 0, "the later event waits for the earlier one"
            await _make_due(core)
            while await deliver_due(core, sender):
                pass
        assert receiver.types() == ["invoice.created", "invoice.created", "invoice.settled"]

    async def test_after_72_hours_it_is_a_dead_letter_that_can_be_replayed(
        self, client: httpx.AsyncClient, core: Core, settings: Settings, receiver: Receiver
    ) -> None:
        made = await _register(client, receiver.url)
        await client.post(f"/v1/webhook-endpoints/{made['id']}/test")
        await _relay(core, settings)
        receiver.statuses = [500, 500]
        async with _sender(core) as sender:
            await deliver_due(core, sender)
            await core.database.run(
                "UPDATE payments.webhook_deliveries SET first_attempt_at = now() - interval '73 hours', "
                "next_attempt_at = now()",
                name="test",
            )
            await deliver_due(core, sender)
            (dead,) = (await client.get("/v1/webhook-deliveries?state=dead")).json()["data"]
            assert dead["lastError"] == "it answered 500"
            replayed = await client.post(f"/v1/webhook-deliveries/{dead['id']}/replay")
            assert (replayed.status_code, replayed.json()["state"]) == (202, "pending")
            await deliver_due(core, sender)
        assert (await _deliveries(client))[0]["state"] == "delivered"

    async def test_gone_turns_the_endpoint_off(
        self, client: httpx.AsyncClient, core: Core, settings: Settings, receiver: Receiver
    ) -> None:
        made = await _register(client, receiver.url)
        await client.post(f"/v1/webhook-endpoints/{made['id']}/test")
        await _relay(core, settings)
        receiver.statuses = [410]
        async with _sender(core) as sender:
            await deliver_due(core, sender)
        (endpoint,) = (await client.get("/v1/webhook-endpoints")).json()["data"]
        assert (endpoint["enabled"], endpoint["disabledReason"]) == (False, "it answered 410 Gone")
        enabled = await client.post(f"/v1/webhook-endpoints/{made['id']}/enable")
        assert enabled.json()["enabled"] is True

    async def test_a_redirect_is_not_followed(
        self, client: httpx.AsyncClient, core: Core, settings: Settings, receiver: Receiver
    ) -> None:
        made = await _register(client, receiver.url)
        await client.post(f"/v1/webhook-endpoints/{made['id']}/test")
        await _relay(core, settings)
        receiver.statuses = [302]
        async with _sender(core) as sender:
            await deliver_due(core, sender)
        assert (await _deliveries(client))[0]["lastError"] == "it answered 302"

    async def test_while_it_is_rotated_both_secrets_verify(
        self, client: httpx.AsyncClient, core: Core, settings: Settings, receiver: Receiver
    ) -> None:
        old = await _register(client, receiver.url)
        new = (await client.post(f"/v1/webhook-endpoints/{old['id']}/rotate-secret")).json()
        assert new["secret"] != old["secret"]
        for _ in range(2):
            await client.post(f"/v1/webhook-endpoints/{old['id']}/test")
            await _relay(core, settings)
            async with _sender(core) as sender:
                await deliver_due(core, sender)
            await core.database.run(
                "UPDATE payments.webhook_endpoints SET previous_secret_until = now() - interval '1 s'", name="test"
            )
        (first, body), (second, later) = receiver.seen
        assert _verifies(old["secret"], first, body)
        assert _verifies(new["secret"], first, body)
        assert not _verifies(old["secret"], second, later)
        assert _verifies(new["secret"], second, later)

    async def test_the_secret_is_nowhere_in_the_database(self, client: httpx.AsyncClient, core: Core) -> None:
        made = await _register(client, "https://shop.example/hook")
        row = await core.database.one("SELECT w::text AS text FROM payments.webhook_endpoints w", name="test")
        assert row is not None
        assert made["secret"].removeprefix("whsec_")[:20] not in row["text"]
        assert "secret" not in (await client.get("/v1/webhook-endpoints")).json()["data"][0]

    async def test_two_workers_send_each_delivery_once(
        self, client: httpx.AsyncClient, core: Core, settings: Settings, receiver: Receiver
    ) -> None:
        await _register(client, receiver.url)
        for _ in range(20):
            await client.post("/api/lightning/create-invoice", json={"amount": 1})
        await _relay(core, settings)
        async with _sender(core) as one, _sender(core) as two:
            counts = await asyncio.gather(*(deliver_due(core, sender) for sender in (one, two)))
        assert sum(counts) == len(receiver.seen) == 20
        assert len({headers["webhook-id"] for headers, _ in receiver.seen}) == 20

    def test_attempts_reach_over_72_hours(self) -> None:
        passed, attempts = 0.0, 0
        while timedelta(seconds=passed) < tasks.GIVE_UP_AFTER:
            attempts += 1
            passed += next_attempt_after(attempts)
        assert 12 <= attempts <= 24
        assert next_attempt_after(1) < 10


class TestKeys:
    async def test_fifty_at_once_with_one_key_have_one_effect_on_every_route(
        self, client: httpx.AsyncClient, core: Core, settings: Settings
    ) -> None:
        async def fifty(path: str, body: dict[str, Any] | None, key: str) -> bytes:
            headers = {"Idempotency-Key": key}
            answers = await asyncio.gather(*(client.post(path, json=body, headers=headers) for _ in range(50)))
            assert {answer.status_code for answer in answers} <= {200, 201, 202, 409}
            (only,) = {answer.content for answer in answers if answer.status_code < 300}
            return only

        made = json.loads(await fifty("/v1/webhook-endpoints", {"url": "https://shop.example/hook"}, "a"))
        assert len((await client.get("/v1/webhook-endpoints")).json()["data"]) == 1
        path = f"/v1/webhook-endpoints/{made['id']}"
        rotated = json.loads(await fifty(f"{path}/rotate-secret", None, "b"))
        assert rotated["secret"] != made["secret"]
        version = "SELECT secret_version FROM payments.webhook_endpoints"
        assert await core.database.value(version, name="test") == 2
        await fifty(f"{path}/test", None, "c")
        await _relay(core, settings)
        (delivery,) = await _deliveries(client)
        await core.database.run("UPDATE payments.webhook_deliveries SET state = 'dead'", name="test")
        await fifty(f"/v1/webhook-deliveries/{delivery['id']}/replay", None, "d")
        stored = await core.database.all("SELECT body FROM payments.idempotency_responses", name="test")
        assert all(b"whsec_" not in bytes(row["body"]) for row in stored)

    async def test_a_key_used_for_another_endpoint_is_a_conflict(self, client: httpx.AsyncClient) -> None:
        first, second = [await _register(client, f"https://shop.example/{n}") for n in range(2)]
        headers = {"Idempotency-Key": "k"}
        assert (await client.post(f"/v1/webhook-endpoints/{first['id']}/test", headers=headers)).status_code == 202
        assert (await client.post(f"/v1/webhook-endpoints/{second['id']}/test", headers=headers)).status_code == 409


class TestReachable:
    @pytest.mark.parametrize(
        "address",
        [
            "127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.2.1",
            "::1",
            "::",
            "fe80::1%eth0",
            "fd00::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "2002:7f00:1::",
            "64:ff9b::7f00:1",
            "64:ff9b:1::7f00:1",
            "::127.0.0.1",
            "2001::1",
            "ff02::1",
            "::ffff:0:127.0.0.1",
            "5f00::1",
            "3fff::1",
            "192.88.99.1",
        ],
    )
    def test_private_addresses_in_every_guise_are_refused(self, address: str) -> None:
        assert not is_public(address)

    @pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::101:101"])
    def test_public_ones_are_not(self, address: str) -> None:
        assert is_public(address)

    @pytest.mark.parametrize(
        "url",
        [
            "http://shop.example/",
            "https://user:word@shop.example/",
            "https://shop.example/#part",
            "https://127.0.0.1/",
            "https://127.1/",
            "https://0x7f000001/",
            "https://2130706433/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://localhost/",
            "https://localhost./",
            "https://127.0.0.1./",
            "https://１２７.０.０.１/",
            "https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/",
            "https://127。0。0。1/",
            "https://[::1/",
            "https://[::127.0.0.1]/",
            "https://shop.example/a b",
            "https://db.internal/",
            "https://shop.example:22/",
            "https://shop.example:99999/",
            "ftp://shop.example/",
            "https:///nohost",
            "javascript:alert(1)",
        ],
    )
    def test_urls_that_could_reach_inside_are_refused(self, url: str) -> None:
        with pytest.raises(InvalidInput):
            check_url(url, allow_private=False)

    def test_a_public_https_url_is_fine(self) -> None:
        check_url("https://shop.example/hook?x=1", allow_private=False)
        check_url("https://shop.example:8443/hook", allow_private=False)

    async def test_a_name_that_leads_inside_is_refused_when_it_is_connected_to(
        self, core: Core, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        resolver = PublicResolver(allow_private=False)
        with pytest.raises(ForbiddenAddressError):
            await resolver.resolve("localhost", 443)
        await resolver.close()
        monkeypatch.setattr(tasks, "allows_private", lambda _settings: False)
        made = await core.database.one(
            "WITH w AS (INSERT INTO payments.webhook_endpoints (id, user_id, environment, url, created_at, updated_at) "
            "VALUES (gen_random_uuid(), 'alice', 'test', 'https://localhost.localdomain/', now(), now()) "
            "RETURNING id), "
            "e AS (INSERT INTO payments.events (id, name, subject_kind, subject_id, user_id, environment, payload, "
            "happened_at) VALUES (1, 'a.b', 't', '1', 'alice', 'test', '{}', now()) RETURNING id) "
            "INSERT INTO payments.webhook_deliveries (endpoint_id, event_id) SELECT w.id, e.id FROM w, e RETURNING id",
            name="test",
        )
        assert made is not None
        async with _sender(core) as sender:
            await deliver_due(core, sender)
        row = await core.database.one("SELECT state, last_error FROM payments.webhook_deliveries", name="test")
        assert row is not None
        assert row["state"] == "pending"
        assert "public address" in row["last_error"] or "no answer" in row["last_error"]


class TestEvents:
    async def test_they_are_read_in_order_without_a_gap(
        self, client: httpx.AsyncClient, core: Core, settings: Settings
    ) -> None:
        for amount in (1, 2, 3):
            await client.post("/api/lightning/create-invoice", json={"amount": amount})
            await _relay(core, settings)
        seen: list[int] = []
        cursor = 0
        for _ in range(3):
            page = (await client.get(f"/v1/events?after={cursor}&limit=2")).json()
            seen += [event["data"]["amount"] for event in page["data"]]
            cursor = page["nextCursor"]
        assert seen == [1000, 2000, 3000]
        assert (await client.get("/v1/events?type=invoice.settled")).json()["data"] == []

    async def test_they_are_the_owners_alone(self, client: httpx.AsyncClient, core: Core, settings: Settings) -> None:
        await client.post("/api/lightning/create-invoice", json={"amount": 1})
        await _relay(core, settings)
        bob = await new_key(core, userId="bob")
        async with client_of(core, **{"x-api-key": bob["key"]}) as other:
            assert (await other.get("/v1/events")).json()["data"] == []
