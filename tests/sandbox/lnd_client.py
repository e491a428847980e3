"""A small client of LND's REST, written against LND's documentation alone."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import aiohttp

from tests.sandbox.processes import LndProgram

TIMEOUT = aiohttp.ClientTimeout(total=20)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any


class LndClient:
    """One node, seen through one macaroon."""

    def __init__(self, program: LndProgram, node: str, macaroon: str | None = "admin") -> None:
        self.program, self.node = program, node
        self.url = f"https://127.0.0.1:{program.ports[node]}"
        self._macaroon = program.macaroon(node, macaroon) if macaroon else None
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> LndClient:
        context = ssl.create_default_context(cafile=self.program.certificate(self.node))
        headers = {"Grpc-Metadata-macaroon": self._macaroon} if self._macaroon else {}
        connector = aiohttp.TCPConnector(ssl=context)
        self._session = aiohttp.ClientSession(headers=headers, connector=connector, timeout=TIMEOUT)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._session is not None
        await self._session.close()

    def using(self, macaroon_hex: str) -> LndClient:
        other = LndClient(self.program, self.node, None)
        other._macaroon = macaroon_hex
        return other

    @property
    def session(self) -> aiohttp.ClientSession:
        assert self._session is not None
        return self._session

    async def get(self, path: str, **query: Any) -> Answer:
        async with self.session.get(self.url + path, params=query) as answer:
            return Answer(answer.status, await answer.json())

    async def post(self, path: str, body: Any = None) -> Answer:
        async with self.session.post(self.url + path, json=body) as answer:
            return Answer(answer.status, await answer.json())

    async def ask(self, verb: str, path: str, body: Any = None) -> Answer:
        async with self.session.request(verb, self.url + path, json=body) as answer:
            return Answer(answer.status, await answer.json())

    async def ok(self, path: str, **query: Any) -> Any:
        answer = await self.get(path, **query)
        assert answer.status == 200, answer
        return answer.body

    async def add_invoice(self, **fields: Any) -> Any:
        answer = await self.post("/v1/invoices", fields)
        assert answer.status == 200, answer
        return answer.body

    async def send(self, payment_request: str, **fields: Any) -> tuple[int, list[Any]]:
        """Pay; status and all lines of the stream."""
        body = {"payment_request": payment_request, "timeout_seconds": 10, "fee_limit_sat": "100", **fields}
        async with self.session.post(self.url + "/v2/router/send", json=body) as answer:
            return answer.status, [json.loads(line) async for line in answer.content]

    async def pay(self, payment_request: str, **fields: Any) -> Any:
        """Pay; the payment as the stream's last line has it."""
        status, lines = await self.send(payment_request, **fields)
        assert status == 200, lines
        return lines[-1]["result"]

    @asynccontextmanager
    async def stream(self, verb: str, path: str, **options: Any) -> AsyncIterator[AsyncIterator[Any]]:
        """The messages of a streaming call."""
        async with self.session.request(verb, self.url + path, **options) as answer:
            yield self._lines(answer)

    @staticmethod
    async def _lines(answer: aiohttp.ClientResponse) -> AsyncIterator[Any]:
        async for line in answer.content:
            yield json.loads(line)

    async def local_msat(self) -> int:
        return int((await self.ok("/v1/balance/channels"))["local_balance"]["msat"])
