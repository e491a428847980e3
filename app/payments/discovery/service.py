"""Discovery of payees' endpoints: GET {PAYEE_DIRECTORY_URL}/{public key} gives {"method": "endpoint", ...}.

The guide (pk-cache-endpoints-ttl) says that what was found is kept per public key for a time, and that an older entry
counts as a miss. Each process keeps its own: entries are few, small and soon forgotten.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import aiohttp
import orjson

from payments import metrics
from payments.clock import iso
from payments.discovery.schemas import PayeeEndpoint, PayeeEndpoints
from payments.errors import NotFound, ServiceUnavailable
from payments.upstreams.guarding import DEFAULT_PATIENCE, Patience, guarded_by

if TYPE_CHECKING:
    from payments.core import Core

TIMEOUT_SECONDS = 30.0
MAXIMUM_ANSWER_BYTES = 64 * 1024
MAXIMUM_ENTRIES = 10_000
MAXIMUM_ENDPOINTS = 50
Fetch = Callable[[str], Awaitable[dict[str, str]]]


class Directory:
    """The directory, asked over one session with at most 10 idle connections (pk-http-pool-idle-10)."""

    def __init__(self, url: str, patience: Patience = DEFAULT_PATIENCE) -> None:
        self._url = url
        self._guard = guarded_by(patience.breaker("payees"))
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, public_key: str) -> dict[str, str]:
        """Endpoints by method.

        Raises:
            NotFound: the directory does not know the payee.
            ServiceUnavailable: it does not answer, or not as it should.
        """
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit_per_host=10, keepalive_timeout=30),
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
                middlewares=self._guard,
            )
        try:
            async with self._session.get(f"{self._url}/{public_key}", allow_redirects=False) as response:
                raw = await response.content.read(MAXIMUM_ANSWER_BYTES + 1)
                if response.status == 404:
                    raise NotFound("The directory knows no payee with this public key.")
                found = orjson.loads(raw) if response.status == 200 and len(raw) <= MAXIMUM_ANSWER_BYTES else None
        except (aiohttp.ClientError, TimeoutError, OSError, orjson.JSONDecodeError) as error:
            raise _silent() from error
        if not isinstance(found, dict) or len(found) > MAXIMUM_ENDPOINTS:
            raise _silent()
        if not all(isinstance(endpoint, str) and len(endpoint) <= 8192 for endpoint in found.values()):
            raise _silent()
        return found

    async def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()


def _silent() -> ServiceUnavailable:
    return ServiceUnavailable("The payees' directory does not answer: try again.", headers={"Retry-After": "5"})


class Discovery:
    """Endpoints of payees, from the cache while it is fresh.

    Args:
        fetch: asks the directory.
        ttl_seconds: how long an entry counts.
        now: monotonic seconds.
    """

    def __init__(self, fetch: Fetch, *, ttl_seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._ttl = ttl_seconds
        self._now = now
        self._entries: OrderedDict[str, tuple[float, PayeeEndpoints]] = OrderedDict()
        self._asking: dict[str, asyncio.Task[PayeeEndpoints]] = {}

    async def find(self, core: Core, public_key: str) -> PayeeEndpoints:
        """What a payee publishes. Many who ask at once are answered by one look-up.

        Raises:
            NotFound, ServiceUnavailable: as the directory says; neither is kept.
        """
        started = time.perf_counter()
        try:
            entry = self._entries.get(public_key)
            if entry is not None and self._now() - entry[0] < self._ttl:
                metrics.CACHE_REQUESTS.labels("endpoints", "hit").inc()
                return entry[1].model_copy(update={"isCached": True})
            metrics.CACHE_REQUESTS.labels("endpoints", "miss").inc()
            task = self._asking.get(public_key)
            if task is None:
                task = self._asking[public_key] = asyncio.create_task(self._ask(core, public_key))
                task.add_done_callback(lambda _: self._asking.pop(public_key, None))
            return await asyncio.shield(task)
        finally:
            metrics.DISCOVERY_SECONDS.observe(time.perf_counter() - started)

    async def _ask(self, core: Core, public_key: str) -> PayeeEndpoints:
        found = await self._fetch(public_key)
        answer = PayeeEndpoints(
            publicKey=public_key,
            endpoints=[PayeeEndpoint(method=method, endpoint=found[method]) for method in sorted(found)],
            discoveredAt=iso(core.clock.now()),
            isCached=False,
        )
        self._entries[public_key] = (self._now(), answer)
        self._entries.move_to_end(public_key)
        while len(self._entries) > MAXIMUM_ENTRIES:
            self._entries.popitem(last=False)
        return answer
