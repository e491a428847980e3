"""Fifty requests at once with one Idempotency-Key on every POST route: one effect, equal bytes, the others 409.

The routes come from the application itself: a new POST route fails here until it has a recipe.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from payments.core import Core
from payments.rails.protocol import Outcome, OutcomeState
from payments.web.application import _routes
from payments.worker import registry
from payments.worker.following import credit
from tests.app.conftest import client_of, fund, new_key
from tests.app.memory_rail import MemoryRail

AT_ONCE = 50
DEAD = Outcome(OutcomeState.DEAD, proof={"track": "FAILED"}, reason="no route")
# Not here, and where instead.
ELSEWHERE = {
    "/verify": "has no effect",
    "/v1/payment-requests/decode": "has no effect",
    "/v1/inbound/{source}": "keyed by the provider's event id, test_app_inbound.py",
    "/settle": "keyed by the signed message, tests/app/rails/test_x402_settling.py",
}


@dataclass
class Place:
    """A service with a funded user and an administrator."""

    core: Core
    rail: MemoryRail
    client: httpx.AsyncClient
    office: httpx.AsyncClient
    number: int = 0

    def next(self) -> int:
        self.number += 1
        return self.number

    async def made(self, path: str, body: Any) -> dict[str, Any]:
        answer = await self.client.post(path, json=body, headers={"Idempotency-Key": f"made{self.next()}"})
        assert answer.status_code in (200, 201, 202), answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def invoice(self) -> dict[str, Any]:
        return await self.made("/v1/invoices", {"amount": 1000})

    async def payment(self) -> dict[str, Any]:
        return await self.made("/v1/payments", {"paymentRequest": MemoryRail.request(self.next(), 900)})

    async def failed_payment(self) -> dict[str, Any]:
        payment = await self.payment()
        self.rail.next_outcome = DEAD
        await registry.jobs()["payments.send", 1].handle(self.core, {"payment_id": payment["id"]})
        return payment

    async def unknown_attempt(self) -> str:
        payment = await self.payment()
        self.rail.next_outcome = Outcome(OutcomeState.UNKNOWN, reason="no answer")
        await registry.jobs()["payments.send", 1].handle(self.core, {"payment_id": payment["id"]})
        statement = (
            "UPDATE payments.attempts SET person_since = now() WHERE kind = 'pay' AND subject_id = %s RETURNING id"
        )
        return str(await self.core.database.value(statement, (payment["id"],), name="test"))

    async def discrepancy(self) -> str:
        statement = (
            "INSERT INTO payments.discrepancies (rail, kind, subject, asset, difference) "
            "VALUES ('lnd', 'arrival_differs', %s, 'BTC', 5) RETURNING id"
        )
        return str(await self.core.database.value(statement, (str(self.next()),), name="test"))

    async def suspended(self) -> str:
        invoice = await self.invoice()
        await credit(self.core, "lnd", [await self.rail.arrive(invoice["paymentHash"], 700)])
        found = (await self.client.get("/v1/suspense", params={"status": "open"})).json()["data"]
        return str(found[0]["id"])

    async def refund(self) -> str:
        return str((await self.made("/v1/refunds", {"suspenseId": await self.suspended()}))["id"])

    async def endpoint(self) -> str:
        url = f"https://shop{self.next()}.example/hook"
        return str((await self.made("/v1/webhook-endpoints", {"url": url}))["id"])

    async def delivery(self) -> str:
        endpoint = await self.endpoint()
        await self.made(f"/v1/webhook-endpoints/{endpoint}/test", None)
        await self.core.database.all("SELECT * FROM payments.take_outbox(500)", name="test")
        (found,) = (await self.client.get("/v1/webhook-deliveries", params={"endpoint": endpoint})).json()["data"]
        return str(found["id"])


Request = tuple[str, Any]
Recipe = Callable[[Place], Awaitable[Request]]


def _plain(path: str, body: Callable[[int], Any]) -> Recipe:
    async def recipe(place: Place) -> Request:
        return path, body(place.next())

    return recipe


def _of(subject: Callable[[Place], Awaitable[Any]], path: str, body: Callable[[int], Any] = lambda _: None) -> Recipe:
    async def recipe(place: Place) -> Request:
        found = await subject(place)
        return path.format(found["id"] if isinstance(found, dict) else found), body(place.next())

    return recipe


async def _refund(place: Place) -> Request:
    return "/v1/refunds", {"suspenseId": await place.suspended()}


RECIPES: dict[str, Recipe] = {
    "/api-keys": _plain(
        "/api-keys", lambda n: {"name": f"n{n}", "userId": "bob", "environment": "test", "permissions": ["read"]}
    ),
    "/api/lightning/create-invoice": _plain("/api/lightning/create-invoice", lambda n: {"amount": n}),
    "/v1/invoices": _plain("/v1/invoices", lambda n: {"amount": n}),
    "/v1/invoices/{invoice_id}/cancel": _of(Place.invoice, "/v1/invoices/{}/cancel"),
    "/v1/payments": _plain("/v1/payments", lambda n: {"paymentRequest": MemoryRail.request(n, 800)}),
    "/v1/payments/{payment_id}/cancel": _of(Place.payment, "/v1/payments/{}/cancel"),
    "/v1/payments/{payment_id}/retry": _of(Place.failed_payment, "/v1/payments/{}/retry"),
    "/v1/payments/{payment_id}/approve": _of(Place.payment, "/v1/payments/{}/approve", lambda n: {"note": f"n{n}"}),
    "/v1/suspense/{suspense_id}/accept": _of(Place.suspended, "/v1/suspense/{}/accept", lambda n: {"reason": "tip"}),
    "/v1/refunds": _refund,
    "/v1/refunds/{refund_id}/payee": _of(
        Place.refund, "/v1/refunds/{}/payee", lambda n: {"payee": MemoryRail.request(n, 700)}
    ),
    "/v1/refunds/{refund_id}/cancel": _of(Place.refund, "/v1/refunds/{}/cancel"),
    "/v1/human-queue/attempts/{attempt_id}/resolve": _of(
        Place.unknown_attempt,
        "/v1/human-queue/attempts/{}/resolve",
        lambda n: {"outcome": "dead", "evidence": f"the node's operator looked, {n}"},
    ),
    "/v1/human-queue/discrepancies/{discrepancy_id}/resolve": _of(
        Place.discrepancy,
        "/v1/human-queue/discrepancies/{}/resolve",
        lambda n: {"resolution": f"a transfer between our own nodes, {n}"},
    ),
    "/v1/webhook-endpoints": _plain("/v1/webhook-endpoints", lambda n: {"url": f"https://shop{n}.example/hook"}),
    "/v1/webhook-endpoints/{endpoint_id}/rotate-secret": _of(Place.endpoint, "/v1/webhook-endpoints/{}/rotate-secret"),
    "/v1/webhook-endpoints/{endpoint_id}/enable": _of(Place.endpoint, "/v1/webhook-endpoints/{}/enable"),
    "/v1/webhook-endpoints/{endpoint_id}/disable": _of(Place.endpoint, "/v1/webhook-endpoints/{}/disable"),
    "/v1/webhook-endpoints/{endpoint_id}/test": _of(Place.endpoint, "/v1/webhook-endpoints/{}/test"),
    "/v1/webhook-deliveries/{delivery_id}/replay": _of(Place.delivery, "/v1/webhook-deliveries/{}/replay"),
}
BY_ADMINISTRATORS = {
    "/api-keys",
    "/v1/payments/{payment_id}/approve",
    "/v1/human-queue/attempts/{attempt_id}/resolve",
    "/v1/human-queue/discrepancies/{discrepancy_id}/resolve",
}
# The answer has a secret that is stored nowhere: it is given once, and a repetition is told that it was.
SHOWN_ONCE = {"/api-keys"}


@pytest.fixture
async def place(core: Core, rail: MemoryRail, client: httpx.AsyncClient) -> Any:
    await fund(core, 10**7)
    made = await new_key(core, userId="root", permissions=["read", "write", "admin"])
    async with client_of(core, **{"x-api-key": made["key"]}) as office:
        yield Place(core, rail, client, office)


async def _rows(core: Core) -> dict[str, int]:
    """How many rows every table has, but that of stored answers, and the accounts made when first named."""
    tables = await core.database.all(
        "SELECT n.nspname || '.' || c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind = 'r' AND n.nspname IN ('payments', 'x402', 'lightning') "
        "AND c.relname !~ 'idempotency|accounts' "
        "AND has_table_privilege(c.oid, 'SELECT')",
        name="test",
    )
    statement = " UNION ALL ".join(
        f"SELECT '{row['name']}' AS name, count(*) AS number FROM {row['name']}" for row in tables
    )
    return {row["name"]: row["number"] for row in await core.database.all(statement, name="test")}


def _grown(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    return {name: after[name] - before[name] for name in after if after[name] != before[name]}


def test_every_post_route_is_tried() -> None:
    routes = {route.path for route in _routes() if "POST" in (route.methods or ())}
    assert routes == {*RECIPES, *ELSEWHERE}, "a POST route without a recipe, or a recipe without its route"


@pytest.mark.parametrize("path", RECIPES)
async def test_fifty_at_once_with_one_key_have_one_effect(place: Place, path: str) -> None:
    client = place.office if path in BY_ADMINISTRATORS else place.client
    url, body = await RECIPES[path](place)
    before = await _rows(place.core)
    alone = await client.post(url, json=body, headers={"Idempotency-Key": "alone"})
    assert alone.status_code in (200, 201, 202), alone.text
    of_one = _grown(before, await _rows(place.core))

    url, body = await RECIPES[path](place)
    before = await _rows(place.core)
    headers = {"Idempotency-Key": "together"}
    answers = await asyncio.gather(*(client.post(url, json=body, headers=headers) for _ in range(AT_ONCE)))
    good = {answer.content for answer in answers if answer.status_code == alone.status_code}
    assert len(good) == 1, "2xx answers are equal, byte by byte"
    assert {answer.status_code for answer in answers} <= {alone.status_code, 409}
    assert _grown(before, await _rows(place.core)) == of_one, "fifty did what one does"

    again = await client.post(url, json=body, headers=headers)
    if path in SHOWN_ONCE:
        assert again.status_code == 409
    else:
        assert (again.status_code, again.content) == (alone.status_code, *good)
    if body is not None:
        other, changed = await RECIPES[path](place)
        if other == url or "{" not in path:
            refused = await client.post(url, json=changed, headers=headers)
            assert refused.status_code == 409, "a key belongs to one body"


async def test_a_key_belongs_to_its_caller_and_its_route_as_it_is_spelled(core: Core) -> None:
    """Another API key, also of the same user, another route or other capitals: another request."""
    made = [await new_key(core), await new_key(core), await new_key(core, userId="bob")]
    ids = []
    for number, one in enumerate(made):
        async with client_of(core, **{"x-api-key": one["key"]}) as client:
            for name in ("Key-1", "key-1"):
                answer = await client.post("/v1/invoices", json={"amount": 1}, headers={"Idempotency-Key": name})
                assert answer.status_code == 201, answer.text
                ids.append(answer.json()["id"])
            guides = await client.post(
                "/api/lightning/create-invoice", json={"amount": 1}, headers={"Idempotency-Key": "Key-1"}
            )
            assert guides.status_code == 200, f"{number}: {guides.text}"
    assert len(set(ids)) == 6


@pytest.mark.parametrize(
    ("header", "status"),
    [(b"a" * 255, 201), (b"a" * 256, 400), (b"", 400), ("é".encode(), 400), (b"\xe9", 400), (b"a\tb", 400)],
)
async def test_a_key_is_1_to_255_visible_ascii_characters(
    client: httpx.AsyncClient, header: bytes, status: int
) -> None:
    answer = await client.post(
        "/v1/invoices",
        content=b'{"amount":1}',
        headers=[(b"content-type", b"application/json"), (b"idempotency-key", header)],
    )
    assert answer.status_code == status, answer.text


async def test_a_malformed_key_is_refused_where_it_means_nothing_too(client: httpx.AsyncClient) -> None:
    made = (await client.post("/v1/invoices", json={"amount": 1})).json()
    answer = await client.post(
        "/v1/payment-requests/decode",
        json={"paymentRequest": made["paymentRequest"]},
        headers={"Idempotency-Key": "a" * 256},
    )
    assert answer.status_code == 400, answer.text
    assert "Idempotency-Key" in answer.json()["error"]


async def test_two_keys_are_refused(client: httpx.AsyncClient) -> None:
    """One of them would be ignored, and a retry with the other alone would be another request."""
    answer = await client.post(
        "/v1/invoices",
        content=b'{"amount":1}',
        headers=[("content-type", "application/json"), ("idempotency-key", "one"), ("idempotency-key", "two")],
    )
    assert answer.status_code == 400, answer.text
