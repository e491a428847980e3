"""The gate: the outermost ASGI layer. Request ids, size limits, security headers, timing, and errors of any kind."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from uuid import uuid4

import structlog
from starlette.requests import ClientDisconnect

from payments import metrics
from payments.errors import BodyTooLarge, InvalidInput, RequestTimeout
from payments.version import API_VERSIONS
from payments.web.error_answers import told

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApplication = Callable[[Scope, Receive, Send], Awaitable[None]]

# Payment routes take 16 KiB (facts.md section 3); x402 payloads fit well within.
MAXIMUM_BODY_BYTES = 16 * 1024
# For the whole body. The server handles about a thousand requests at once, and one that waits for its body is one.
BODY_SECONDS = 15.0
_REQUEST_ID = re.compile(rb"^[A-Za-z0-9._-]{8,64}$")
_SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"strict-transport-security", b"max-age=63072000; includeSubDomains"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"()"),
)
_NOT_CACHED = (b"cache-control", b"no-store")
_UNLOGGED = frozenset({"/health", "/ready", "/metrics"})
_log = structlog.get_logger("payments.http")


class _Exchange:
    """One request: watches what is sent, adds headers, and answers errors itself."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        self.scope, self._receive, self._send = scope, receive, send
        self.request_id = request_id
        self.status = 0
        self.version = API_VERSIONS[-1]
        self._received = 0
        self._is_whole = False
        self._deadline: float | None = None

    async def receive(self) -> Message:
        message = await (self._receive() if self._is_whole else self._in_time())
        if message["type"] == "http.request":
            self._is_whole = not message.get("more_body", False)
            self._received += len(message.get("body", b""))
            if self._received > MAXIMUM_BODY_BYTES:
                raise _too_large()
        return message

    async def _in_time(self) -> Message:
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().time() + BODY_SECONDS
        try:
            async with asyncio.timeout_at(self._deadline):
                return await self._receive()
        except TimeoutError:
            raise RequestTimeout(f"The body was not there whole after {BODY_SECONDS:.0f} s.") from None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = list(message.get("headers", ()))
            names = {name for name, _ in headers}
            headers.extend(pair for pair in (*_SECURITY_HEADERS, _NOT_CACHED) if pair[0] not in names)
            headers.append((b"x-request-id", self.request_id.encode()))
            headers.append((b"api-version", self.version.encode()))
            message["headers"] = headers
        await self._send(message)

    async def answer(self, error: Exception) -> None:
        status, headers, body = told(error, self.request_id, self.scope["path"])
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": raw})
        await self.send({"type": "http.response.body", "body": body})


def _too_large() -> BodyTooLarge:
    return BodyTooLarge(f"The body is larger than {MAXIMUM_BODY_BYTES} bytes.")


def _version(given: bytes | None) -> str:
    """The version of the API that a request asks for with `Api-Version`; the newest when it does not.

    Raises:
        InvalidInput: there is no such version.
    """
    if given is None:
        return API_VERSIONS[-1]
    version = given.decode("latin-1")
    if version not in API_VERSIONS:
        raise InvalidInput(
            f"There is no such Api-Version: use {API_VERSIONS[-1]}.", details={"versions": list(API_VERSIONS)}
        )
    return version


def _header(scope: Scope, wanted: bytes) -> bytes | None:
    return next((value for name, value in scope["headers"] if name == wanted), None)


class Gate:
    """Wraps the application.

    Args:
        inner: the application behind the gate.
        is_quiet: whether to leave single requests out of the log (errors are always in).
    """

    def __init__(self, inner: AsgiApplication, *, is_quiet: bool) -> None:
        self._inner = inner
        self._is_quiet = is_quiet

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._inner(scope, receive, send)
            return
        started = time.perf_counter()
        given = _header(scope, b"x-request-id")
        request_id = given.decode() if given and _REQUEST_ID.match(given) else uuid4().hex
        exchange = _Exchange(scope, receive, send, request_id)
        scope.setdefault("state", {})["request_id"] = request_id
        tokens = structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await self._pass(exchange)
        finally:
            self._account(scope, exchange, time.perf_counter() - started)
            structlog.contextvars.reset_contextvars(**tokens)

    async def _pass(self, exchange: _Exchange) -> None:
        length = _header(exchange.scope, b"content-length")
        try:
            if length is not None and (not length.isdigit() or int(length) > MAXIMUM_BODY_BYTES):
                raise _too_large()
            if "\0" in exchange.scope["path"] or b"%00" in exchange.scope.get("query_string", b""):
                raise InvalidInput("The URL has a NUL character, which no text here may have.")
            exchange.version = _version(_header(exchange.scope, b"api-version"))
            await self._inner(exchange.scope, exchange.receive, exchange.send)
        except Exception as error:
            # The application answers its own errors; what comes here is the gate's, or an answer broken off half way:
            # the server ends its connection without the last chunk, so that no client takes it for whole.
            if not exchange.status:
                await exchange.answer(error)
            elif not isinstance(error, ClientDisconnect):
                _log.error("answer broken off", path=exchange.scope["path"], exc_info=error)

    def _account(self, scope: Scope, exchange: _Exchange, seconds: float) -> None:
        # The router leaves the matched route in the scope; its template keeps the metric's labels few.
        route = getattr(scope.get("route"), "path", "unmatched")
        metrics.HTTP_SECONDS.labels(route, str(exchange.status)).observe(seconds)
        if scope["path"] in _UNLOGGED or (self._is_quiet and exchange.status < 500):
            return
        _log.info(
            "request",
            method=scope["method"],
            route=route,
            path=scope["path"] if route == "unmatched" else None,
            status=exchange.status,
            milliseconds=round(seconds * 1000, 1),
        )
