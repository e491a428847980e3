"""A provider's webhook counts when it is signed over its raw body, fresh, and new."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from payments.core import Core
from payments.inbound.sources import verify_river
from payments.rails.protocol import Arrival
from payments.worker import registry
from tests.app.conftest import RedisServer, TestDatabase, balances, client_of, core_for, settings_for
from tests.app.memory_rail import MemoryRail

SECRET = "ab" * 32
NOW = int(datetime.now(UTC).timestamp())


class ToldRail(MemoryRail):
    """A rail whose provider tells by webhook."""

    def __init__(self) -> None:
        super().__init__("river")

    async def arrivals_of(self, event_type: str, payload: Mapping[str, Any]) -> Sequence[Arrival]:
        if event_type != "deposit.settled":
            return []
        return [
            Arrival(payload["deposit"], "", "BTC", payload["amount"], datetime.now(UTC), "", {"deposit": "fetched"})
        ]


@pytest.fixture
async def told(database: TestDatabase, redis_server: RedisServer) -> AsyncIterator[tuple[Core, httpx.AsyncClient]]:
    core = core_for(settings_for(database, redis_server.url, river_webhook_secret=SECRET), ToldRail())
    await core.start()
    async with client_of(core) as client:
        yield core, client
    await core.close()


def _sign(body: bytes, at: int = NOW, secret: str = SECRET) -> dict[str, str]:
    mark = hmac.new(bytes.fromhex(secret), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return {"River-Signature": f"t={at},v1={mark}", "Content-Type": "application/json"}


def _event(identity: str = "evt_1", **more: Any) -> bytes:
    return json.dumps({"id": identity, "type": "deposit.settled", "deposit": "d1", "amount": 5000, **more}).encode()


async def _work(core: Core) -> int:
    rows = await core.database.all(
        "DELETE FROM payments.outbox WHERE kind = 'job' RETURNING name, payload", name="test"
    )
    for row in rows:
        await registry.jobs()[row["name"], 1].handle(core, row["payload"])
    return len(rows)


async def test_an_event_is_taken_once_and_its_arrival_credited_once(told: tuple[Core, httpx.AsyncClient]) -> None:
    core, client = told
    body = _event()
    answers = await asyncio.gather(
        *(client.post("/v1/inbound/river", content=body, headers=_sign(body)) for _ in range(50))
    )
    assert {answer.status_code for answer in answers} == {200}
    assert sum(answer.json()["isNew"] for answer in answers) == 1
    assert await _work(core) == 1
    other = _event("evt_2")  # the same deposit, told in another event
    assert (await client.post("/v1/inbound/river", content=other, headers=_sign(other))).json()["isNew"] is True
    assert await _work(core) == 1
    assert (await balances(core))["assets:river"] == 5000


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda body: (body + b" ", _sign(body)), "signature is wrong"),
        (lambda body: (body, _sign(body, secret="cd" * 32)), "signature is wrong"),
        (lambda body: (body, _sign(body, at=NOW - 3600)), "too far from now"),
        (lambda body: (body, _sign(body, at=NOW + 3600)), "too far from now"),
        (lambda body: (body, {}), "missing"),
        (lambda body: (body, {"River-Signature": f"t={NOW},v1="}), "signature is wrong"),
        (lambda body: (body, {"River-Signature": f"t={NOW},t=1,v1=00"}), "missing"),
        # A signature over the event as another writer of JSON would write it is no signature over these bytes.
        (lambda body: (json.dumps(json.loads(body), indent=1).encode(), _sign(body)), "signature is wrong"),
    ],
)
async def test_what_is_not_signed_or_not_fresh_is_refused(
    told: tuple[Core, httpx.AsyncClient], change: Any, why: str
) -> None:
    core, client = told
    body, headers = change(_event())
    answer = await client.post("/v1/inbound/river", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")
    assert why in answer.json()["error"]
    assert await core.database.value("SELECT count(*) FROM payments.inbound_events", name="test") == 0


async def test_an_event_without_an_id_is_known_by_its_body(told: tuple[Core, httpx.AsyncClient]) -> None:
    _, client = told
    body = json.dumps({"deposit": "d1"}).encode()
    first = await client.post("/v1/inbound/river", content=body, headers=_sign(body))
    again = await client.post("/v1/inbound/river", content=body, headers=_sign(body, at=NOW + 1))
    assert (first.json()["isNew"], again.json()["isNew"]) == (True, False)
    assert first.json()["id"] == hashlib.sha256(body).hexdigest()


async def test_a_body_that_is_no_object_is_refused_after_its_signature(told: tuple[Core, httpx.AsyncClient]) -> None:
    _, client = told
    answer = await client.post("/v1/inbound/river", content=b"[1]", headers=_sign(b"[1]"))
    assert answer.status_code == 400


async def test_a_source_without_its_secret_is_not_offered(client: httpx.AsyncClient) -> None:
    assert (await client.post("/v1/inbound/river", content=b"{}")).status_code == 404
    assert (await client.post("/v1/inbound/nobody", content=b"{}")).status_code == 404


def test_a_timestamp_in_milliseconds_is_one_too() -> None:
    body = _event()
    at = NOW * 1000
    event = verify_river(
        SECRET, {"river-signature": _sign(body, at=at)["River-Signature"]}, body, datetime.now(UTC), 300
    )
    assert event.sent_at == datetime.fromtimestamp(NOW, UTC)
