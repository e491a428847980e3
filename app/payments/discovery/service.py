"""Discovery of payees' endpoints where Paykit's library publishes them: files on the payee's Pubky homeserver.

`/pub/paykit/v0/` lists them, a line `pubky://<public key>/pub/paykit/v0/<identifier>` each; an identifier is such as
`btc-lightning-bolt11` (asset, rail, format), and its file is the payload: by convention a JSON object whose `value` is
the address or request. Newer versions have a folder an app, `/pub/paykit/v0/apps/<app>/endpoints/<identifier>`; both
are read, and two apps may offer the same way to pay. The header `pubky-host` says whose files are meant. Other folders
(what apps keep for themselves, and what is private) are not looked into. Sources: paykit-lib's pubky_routing and
README, its specification of identifiers (specs/payment-endpoint-identifier).

The guide (pk-cache-endpoints-ttl) says that what was found is kept per public key for a time, and that an older entry
counts as a miss. Each process keeps its own: entries are few, small and soon forgotten.
"""

from __future__ import annotations

import asyncio
import re
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
MAXIMUM_APPS = 16
PREFIX = "/pub/paykit/v0/"
APPS = "/paykit/v0/apps/"
TENANT_HEADER = "pubky-host"
_IDENTIFIER = re.compile(r"^(?!\.+$)[A-Za-z0-9_.-]{1,64}$")
_RESERVED = frozenset({"private", "encrypted-link-recovery", "app-registry.json", "apps"})
Fetch = Callable[[str], Awaitable[dict[str, str]]]


class Directory:
    """A Pubky homeserver, asked over one session with at most 10 idle connections (pk-http-pool-idle-10)."""

    def __init__(self, url: str, patience: Patience = DEFAULT_PATIENCE) -> None:
        self._url = url
        self._guard = guarded_by(patience.breaker("payees"))
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, public_key: str) -> dict[str, str]:
        """Payloads by identifier, or `<app>/<identifier>`, as the payee publishes them.

        Raises:
            NotFound: the payee publishes none here.
            ServiceUnavailable: the homeserver does not answer, or not as it should.
        """
        listed = await self._list(PREFIX, public_key)
        paths = {name: PREFIX + name for line in listed if (name := _identifier(line))}
        if any(line.endswith(APPS) for line in listed):
            apps = [name for line in await self._list(PREFIX + "apps/", public_key) if (name := _folder(line))]
            folders = [f"{PREFIX}apps/{app}/endpoints/" for app in apps[:MAXIMUM_APPS]]
            of_apps = await asyncio.gather(*(self._list(folder, public_key) for folder in folders))
            for app, folder, lines in zip(apps, folders, of_apps, strict=False):
                paths |= {f"{app}/{name}": folder + name for line in lines if (name := _identifier(line))}
        if not paths:
            raise NotFound("The directory knows no endpoint of a payee with this public key.")
        names = sorted(paths)[:MAXIMUM_ENDPOINTS]
        found = await asyncio.gather(*(self._get(paths[name], public_key) for name in names))
        return {name: text for name, text in zip(names, found, strict=True) if text}

    async def _list(self, path: str, public_key: str) -> list[str]:
        """The lines of a folder's listing; files and folders (with a slash at their end) right in it."""
        listed = await self._get(path, public_key, {"shallow": "true", "limit": str(MAXIMUM_ENDPOINTS)})
        return [line.strip() for line in (listed or "").splitlines()]

    async def _get(self, path: str, public_key: str, query: dict[str, str] | None = None) -> str | None:
        """A file's or a listing's text, None when it is not there."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit_per_host=10, keepalive_timeout=30),
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
                middlewares=self._guard,
            )
        try:
            async with self._session.get(
                self._url + path, params=query, headers={TENANT_HEADER: public_key}, allow_redirects=False
            ) as response:
                raw = await response.content.read(MAXIMUM_ANSWER_BYTES + 1)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _silent() from error
        if response.status in (404, 410):
            return None
        if response.status != 200 or len(raw) > MAXIMUM_ANSWER_BYTES:
            raise _silent()
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise _silent() from error

    async def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()


def _identifier(line: str) -> str:
    """The identifier in a line of the listing, "" for a folder, a reserved name, or one that is no identifier."""
    name = line.strip().rpartition("/")[2]
    return name if _IDENTIFIER.match(name) and name not in _RESERVED else ""


def _folder(line: str) -> str:
    """The name of a folder in a line of the listing, "" for anything else."""
    name = line.removesuffix("/").rpartition("/")[2]
    return name if line.endswith("/") and _IDENTIFIER.match(name) else ""


def endpoint_of(name: str, payload: str) -> PayeeEndpoint:
    """What a payload says: an object with `value` (Paykit's convention), or the text itself.

    Args:
        name: the identifier, after its app's name where an app publishes it.
    """
    app, _, method = name.rpartition("/")
    try:
        content = orjson.loads(payload)
    except orjson.JSONDecodeError:
        content = None
    if isinstance(content, dict) and isinstance(content.get("value"), str):
        rest = {name: value for name, value in content.items() if name != "value"}
        return PayeeEndpoint(method=method, app=app, endpoint=content["value"], details=rest)
    return PayeeEndpoint(method=method, app=app, endpoint=payload.strip(), details={})


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
            endpoints=sorted(
                (endpoint_of(name, payload) for name, payload in found.items()), key=lambda one: (one.method, one.app)
            ),
            discoveredAt=iso(core.clock.now()),
            isCached=False,
        )
        self._entries[public_key] = (self._now(), answer)
        self._entries.move_to_end(public_key)
        while len(self._entries) > MAXIMUM_ENTRIES:
            self._entries.popitem(last=False)
        return answer
