"""River's API by one adapter. Its paths are settings: River publishes how callers authenticate, not where they call.

Basic authentication with the API key as the user's name; the password is empty (River's documentation), or
RIVER_API_SECRET where the account was given one (the MSTY guide names it).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlsplit

import aiohttp
import orjson

from payments.rails.protocol import OutcomeUnknownError, RailRefusedError, RailUnavailableError
from payments.upstreams.guarding import DEFAULT_PATIENCE, Patience, guarded_by

RAIL: Final = "river"
REQUEST_TIMEOUT_SECONDS: Final = 30.0
CONNECT_TIMEOUT_SECONDS: Final = 5.0
CONNECTIONS_PER_HOST: Final = 10
DEFAULT_PATHS: Final = {
    "create_invoice": "/v1/invoices",
    "invoice": "/v1/invoices/{id}",
    "settled_invoices": "/v1/invoices/settled",
    "pay": "/v1/payments",
    "payment": "/v1/payments/{id}",
    "health": "/v1/account",
    "balance": "/v1/account",
}
# Not final: the request may be repeated under its identity.
_PASSING: Final = frozenset({408, 409, 423, 425, 429})


class RiverConfigError(ValueError):
    """A setting of the rail cannot be used; the sentence names it."""


def read_paths(text: str) -> dict[str, str]:
    """RIVER_PATHS, a JSON object over the defaults; "" switches a call off. Raises RiverConfigError."""
    try:
        given = orjson.loads(text) if text else {}
    except orjson.JSONDecodeError:
        given = None
    if not isinstance(given, dict) or not all(isinstance(path, str) for path in given.values()):
        raise RiverConfigError("RIVER_PATHS must be a JSON object of paths by name.")
    unknown = sorted(set(given) - set(DEFAULT_PATHS))
    if unknown:
        raise RiverConfigError(f"RIVER_PATHS has {unknown[0]!r}; the names are {', '.join(DEFAULT_PATHS)}.")
    paths = {**DEFAULT_PATHS, **given}
    for name in ("invoice", "payment"):
        if "{id}" not in paths[name]:
            raise RiverConfigError(f"RIVER_PATHS.{name} must hold {{id}}.")
    return paths


@dataclass(frozen=True, slots=True)
class RiverAccess:
    """Where and as whom, and how patiently."""

    url: str
    key: str = field(repr=False)
    secret: str = field(repr=False)
    paths: Mapping[str, str]
    patience: Patience = DEFAULT_PATIENCE

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        is_here = parts.hostname in ("127.0.0.1", "::1", "localhost")
        if not parts.hostname or parts.scheme not in ("https", "http") or (parts.scheme == "http" and not is_here):
            raise RiverConfigError("RIVER_URL must be an https address; plain http is for loopback alone.")


class RiverClient:
    """Calls with the account's key."""

    def __init__(self, access: RiverAccess) -> None:
        self._access = access
        self._guard = guarded_by(access.patience.breaker(RAIL))
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the connection pool; nobody is contacted."""
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0, limit_per_host=CONNECTIONS_PER_HOST, keepalive_timeout=30)
            login = f"{self._access.key}:{self._access.secret}".encode()
            headers = {"Authorization": "Basic " + base64.b64encode(login).decode()}
            self._session = aiohttp.ClientSession(
                connector=connector, headers=headers, cookie_jar=aiohttp.DummyCookieJar(), middlewares=self._guard
            )

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
        self._session = None

    async def get(
        self,
        name: str,
        identity: str = "",
        query: Mapping[str, str] | None = None,
        *,
        timeout_seconds: float = REQUEST_TIMEOUT_SECONDS,
    ) -> dict[str, Any] | None:
        """A reading call; None for 404. Raises RailUnavailableError: no usable answer, which changes nothing."""
        try:
            return await self._call("GET", name, identity, query, None, {}, timeout_seconds)
        except (OutcomeUnknownError, RailRefusedError) as error:
            raise RailUnavailableError(error.sentence, rail=RAIL, retry_after_seconds=5) from error

    async def post(self, name: str, body: Mapping[str, Any], *, key: str) -> dict[str, Any]:
        """A writing call under an idempotency key.

        Raises:
            RailUnavailableError: nothing was sent, or it was turned away for now.
            RailRefusedError: finally refused.
            OutcomeUnknownError: sent, and the answer is lost.
        """
        headers = {"Idempotency-Key": key}
        answer = await self._call("POST", name, "", None, body, headers, REQUEST_TIMEOUT_SECONDS)
        if answer is None:
            raise RailUnavailableError(f"River has no {name} at its path: mend RIVER_PATHS.", rail=RAIL)
        return answer

    async def _call(
        self,
        method: str,
        name: str,
        identity: str,
        query: Mapping[str, str] | None,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str],
        timeout_seconds: float,
    ) -> dict[str, Any] | None:
        assert self._session is not None, "start() first"
        path = self._access.paths[name].replace("{id}", quote(identity, safe=""))
        timeout = aiohttp.ClientTimeout(total=timeout_seconds, connect=CONNECT_TIMEOUT_SECONDS)
        try:
            async with self._session.request(
                method,
                self._access.url.rstrip("/") + path,
                params=query,
                data=None if body is None else orjson.dumps(body),
                headers={"Content-Type": "application/json", **headers},
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                return _read(response.status, await response.read())
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise RailUnavailableError("River is not reached.", rail=RAIL, retry_after_seconds=5) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise OutcomeUnknownError("River's answer is lost.", rail=RAIL, retry_after_seconds=2) from error


def _read(status: int, content: bytes) -> dict[str, Any] | None:
    if status == 404:
        return None
    if status in (401, 403):
        raise RailUnavailableError("River does not accept RIVER_API_KEY.", rail=RAIL, retry_after_seconds=60)
    if status in _PASSING:
        raise RailUnavailableError(f"River answers with status {status} for now.", rail=RAIL, retry_after_seconds=5)
    if 400 <= status < 500:
        raise RailRefusedError(
            f"River refused with status {status}: {content[:200].decode(errors='replace')}", rail=RAIL
        )
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError:
        value = None
    if not 200 <= status < 300 or not isinstance(value, dict):
        raise OutcomeUnknownError(f"River answers with status {status} and no object.", rail=RAIL)
    return value
