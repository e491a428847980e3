"""Clients that take their time: what they hold is theirs, and never what others need."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest

from payments.core import Core
from payments.web import gate
from payments.web.application import _routes
from tests.app.conftest import client_of

JSON = {"content-type": "application/json"}
# They know their callers by a signature over the body.
SIGNED = {"/v1/inbound/{source}"}
WRITING = sorted(
    (method, route.path)
    for route in _routes()
    for method in (route.methods or set()) & {"POST", "PUT", "DELETE"}
    if route.path not in SIGNED
)


class Body:
    """A body that never ends; `was_read` once anybody waits for more than its beginning."""

    def __init__(self) -> None:
        self.was_read = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.was_read = True
        yield b"{"
        await asyncio.Event().wait()


async def test_a_strangers_body_is_not_even_read(core: Core) -> None:
    assert len(WRITING) > 25
    wrong: dict[str, object] = {}
    async with client_of(core) as client, asyncio.timeout(60):
        for method, path in WRITING:
            body = Body()
            filled = path.replace("{name}", "payouts").replace("{user_id}", "bob")
            answer = await client.request(
                method, re.sub(r"{\w+}", str(uuid4()), filled), content=body, headers=JSON, timeout=60
            )
            if answer.status_code != 401 or body.was_read:
                wrong[f"{method} {path}"] = (answer.status_code, body.was_read)
    assert wrong == {}


async def test_a_body_that_does_not_come_is_waited_for_for_a_while(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "BODY_SECONDS", 0.2)
    for path in ("/v1/invoices", f"/v1/refunds/{uuid4()}/cancel", f"/v1/suspense/{uuid4()}/accept"):
        async with asyncio.timeout(30):
            answer = await client.post(path, content=Body(), headers=JSON)
        assert answer.status_code == 408, f"{path}: {answer.text}"
        assert answer.json()["code"] == "INVALID_INPUT"


async def test_an_answer_may_take_longer_than_a_body(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long export waits for nothing but the end of the connection meanwhile."""
    monkeypatch.setattr(gate, "BODY_SECONDS", 0.05)
    told: list[str] = []
    coming: list[gate.Message] = [
        {"type": "http.request", "body": b"", "more_body": False},
        {"type": "http.disconnect"},
    ]

    async def receive() -> gate.Message:
        message = coming.pop(0)
        if message["type"] == "http.disconnect":
            await asyncio.sleep(4 * gate.BODY_SECONDS)
        return message

    async def inner(scope: gate.Scope, receive: gate.Receive, send: gate.Send) -> None:
        told.extend([(await receive())["type"], (await receive())["type"]])
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: gate.Message) -> None:
        told.append(str(message["status"]))

    scope = {"type": "http", "path": "/", "method": "GET", "headers": []}
    await gate.Gate(inner, is_quiet=True)(scope, receive, send)
    assert told == ["http.request", "http.disconnect", "200"]
