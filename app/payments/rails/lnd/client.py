"""LND's REST interface over aiohttp: pinned TLS, macaroon, time limits, and errors typed by what they mean for money.

Two connection pools: one for calls that answer at once (10 connections to the node, as the guides ask) and one for
streams, so that payments in flight and the invoice subscription never starve a look-up.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import orjson

from payments.rails.lnd.credentials import MacaroonSource, PinnedCertificate
from payments.rails.lnd.errors import (
    RAIL,
    LndAccessError,
    LndConfigError,
    LndOutcomeUnknownError,
    LndUnreachableError,
    answer_error,
)
from payments.rails.protocol import RailError
from payments.upstreams.breaker import Breaker, BreakerOpenError
from payments.upstreams.session import CONNECTIONS_PER_HOST, IDLE_SECONDS

REQUEST_TIMEOUT_SECONDS: Final = 30.0
CONNECT_TIMEOUT_SECONDS: Final = 5.0
STREAMS_PER_HOST: Final = 200
MACAROON_HEADER: Final = "Grpc-Metadata-macaroon"

_NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)


class LndClient:
    """One node with one macaroon.

    Args:
        url: https address of the REST interface.
        certificate: the pin.
        macaroon: rights of every call made here.
        breaker: of the node, shared by all of its clients; one of its own when absent.
    """

    def __init__(
        self, url: str, *, certificate: PinnedCertificate, macaroon: MacaroonSource, breaker: Breaker | None = None
    ) -> None:
        if urlsplit(url).scheme != "https" or not urlsplit(url).hostname:
            raise LndConfigError("LND_URL must be an https address such as https://127.0.0.1:8080.")
        self._url = url.rstrip("/")
        self._certificate = certificate
        self._macaroon = macaroon
        self._breaker = breaker or Breaker(RAIL)
        self._calls: aiohttp.ClientSession | None = None
        self._streams: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the connection pools; the node is not contacted."""
        if self._calls is None:
            self._calls = _session(CONNECTIONS_PER_HOST)
            self._streams = _session(STREAMS_PER_HOST)

    async def close(self) -> None:
        """Close every connection; calls under way fail."""
        for session in (self._calls, self._streams):
            if session is not None:
                await session.close()
        self._calls = self._streams = None

    async def get(
        self,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        timeout_seconds: float = REQUEST_TIMEOUT_SECONDS,
    ) -> dict[str, Any]:
        """A reading call.

        Raises:
            RailUnavailableError: no answer; reading changes nothing, so it is always safe to ask again.
            LndAnswerError: the node answered with an error.
        """
        return await self._call("GET", path, query, None, timeout_seconds)

    async def post(
        self, path: str, body: Mapping[str, Any], *, timeout_seconds: float = REQUEST_TIMEOUT_SECONDS
    ) -> dict[str, Any]:
        """A writing call.

        Raises:
            RailUnavailableError: nothing was sent, or the node said it can do nothing now.
            LndOutcomeUnknownError: sent, answer lost.
            LndAnswerError: the node answered with an error.
        """
        return await self._call("POST", path, None, body, timeout_seconds)

    async def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Mapping[str, Any] | None,
        timeout_seconds: float,
    ) -> dict[str, Any]:
        assert self._calls is not None, "start() first"
        self._admit()
        try:
            async with self._calls.request(
                method,
                self._url + path,
                params=query,
                data=None if body is None else orjson.dumps(body),
                timeout=aiohttp.ClientTimeout(total=timeout_seconds, connect=CONNECT_TIMEOUT_SECONDS),
                **self._security(),
            ) as response:
                content = await response.read()
                self._breaker.succeeded()
                return _object(response.status, content, wrote=body is not None)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._breaker.failed()
            raise _transport_error(error, wrote=body is not None) from error

    async def stream(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        *,
        idle_seconds: float,
    ) -> AsyncGenerator[dict[str, Any]]:
        """The `result` objects of a streaming call, until the node ends it.

        Args:
            method: GET or POST; a POST counts as writing.
            path: of the call.
            query: parameters of a GET.
            body: of a POST.
            idle_seconds: TimeoutError after so long without a line.

        Raises:
            TimeoutError: nothing came for `idle_seconds` (the connection itself was made).
            RailUnavailableError, LndOutcomeUnknownError, LndAnswerError: as `get` and `post`.
        """
        assert self._streams is not None, "start() first"
        timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT_SECONDS, sock_read=idle_seconds)
        self._admit()
        try:
            async with self._streams.request(
                method,
                self._url + path,
                params=query,
                data=None if body is None else orjson.dumps(body),
                timeout=timeout,
                **self._security(),
            ) as response:
                self._breaker.succeeded()
                if response.status != 200:
                    _object(response.status, await response.read(), wrote=body is not None)
                async for line in response.content:
                    if line.strip():
                        yield _stream_result(line, wrote=body is not None)
        except aiohttp.SocketTimeoutError as error:
            raise TimeoutError from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._breaker.failed()
            raise _transport_error(error, wrote=body is not None) from error

    def _admit(self) -> None:
        try:
            self._breaker.admit()
        except BreakerOpenError as error:
            raise LndUnreachableError(str(error), retry_after_seconds=error.retry_after_seconds) from error

    def _security(self) -> dict[str, Any]:
        return {
            "ssl": self._certificate.fingerprint(),
            "headers": {MACAROON_HEADER: self._macaroon.hex(), "Content-Type": "application/json"},
            "allow_redirects": False,
        }


def _session(connections: int) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(
        limit=0, limit_per_host=connections, keepalive_timeout=IDLE_SECONDS, ttl_dns_cache=30
    )
    # A settled invoice lists every HTLC on one line: the default line limit of 64 KiB is too small for a busy one.
    return aiohttp.ClientSession(
        connector=connector, trust_env=False, cookie_jar=aiohttp.DummyCookieJar(), read_bufsize=4 << 20
    )


def _object(status: int, content: bytes, *, wrote: bool) -> dict[str, Any]:
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError:
        value = None
    if status == 200 and isinstance(value, dict):
        return value
    if isinstance(value, dict):
        wrapped = value.get("error")
        inner: dict[str, Any] = wrapped if isinstance(wrapped, dict) else value
        code, message = inner.get("code"), inner.get("message")
        if isinstance(message, str):
            raise answer_error(status, code if isinstance(code, int) else 2, message, wrote=wrote)
    if status == 200:
        raise LndOutcomeUnknownError("LND's answer is no JSON object: is LND_URL its REST interface?")
    raise answer_error(status, 2, f"HTTP status {status} without LND's error object", wrote=wrote)


def _stream_result(line: bytes, *, wrote: bool) -> dict[str, Any]:
    value = _object(200, line, wrote=wrote)
    error = value.get("error")
    if isinstance(error, dict):
        status, code = int(error.get("http_code") or 500), int(error.get("code") or error.get("grpc_code") or 2)
        raise answer_error(status, code, str(error.get("message")), wrote=wrote)
    result = value.get("result")
    return result if isinstance(result, dict) else {}


def _transport_error(error: Exception, *, wrote: bool) -> RailError:
    if isinstance(error, aiohttp.ServerFingerprintMismatch):
        return LndAccessError(
            "The node at LND_URL shows another certificate than the pinned one; "
            "copy its new tls.cert, or find out who answers.",
        )
    if isinstance(error, _NEVER_SENT):
        detail = getattr(error, "os_error", None) or "no connection within 5 s"
        return LndUnreachableError(f"LND is not reached: {getattr(detail, 'strerror', None) or detail}.")
    what = (
        "did not answer in time" if isinstance(error, (TimeoutError, asyncio.TimeoutError)) else "broke the connection"
    )
    if wrote:
        return LndOutcomeUnknownError(f"LND {what} after the request was sent.")
    return LndUnreachableError(f"LND {what}.")
