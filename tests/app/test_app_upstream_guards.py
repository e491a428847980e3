"""Every client of another system goes through a circuit breaker: one that fails is left alone, and asked once later."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from prometheus_client import REGISTRY
from yarl import URL

import payments
from payments.core import Core
from payments.discovery.service import Directory
from payments.errors import ApiError
from payments.object_stores import S3Store, StoreError
from payments.rails.onchain.esplora import Esplora
from payments.rails.protocol import RailUnavailableError
from payments.rails.river.client import DEFAULT_PATHS, RiverAccess, RiverClient
from payments.rails.solana.rpc import SolanaRpc
from payments.refunds import lnurl
from payments.upstreams.guarding import MOST_STRANGERS, Patience, Strangers
from payments.webhooks.schemas import Due
from payments.webhooks.tasks import Sender

SHORT = Patience(failures=3, rest_seconds=0.2)
FAILURES = 3


@dataclass
class Upstream:
    """A server that answers with `status` and counts what reaches it."""

    url: str = ""
    status: int = 503
    asked: int = 0
    body: bytes = b"{}"
    paths: list[str] = field(default_factory=list)


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    found = Upstream()

    async def answer(request: web.Request) -> web.Response:
        found.asked += 1
        found.paths.append(request.path)
        return web.Response(status=found.status, body=found.body, content_type="application/json")

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield found
    await runner.cleanup()


Call = Callable[[], Awaitable[Any]]


async def _esplora(upstream: Upstream, _core: Core) -> tuple[Call, Call]:
    client = Esplora(upstream.url, SHORT)
    await client.start()
    return client.tip_hash, client.close


async def _river(upstream: Upstream, _core: Core) -> tuple[Call, Call]:
    client = RiverClient(RiverAccess(upstream.url, "key", "", DEFAULT_PATHS, SHORT))
    await client.start()
    return lambda: client.get("health"), client.close


async def _solana(upstream: Upstream, _core: Core) -> tuple[Call, Call]:
    client = SolanaRpc((upstream.url,), SHORT)
    await client.start()
    return lambda: client.call("getSlot"), client.close


async def _directory(upstream: Upstream, _core: Core) -> tuple[Call, Call]:
    client = Directory(upstream.url, SHORT)
    return lambda: client.fetch("k"), client.close


async def _backups(upstream: Upstream, _core: Core) -> tuple[Call, Call]:
    store = S3Store("backups", "", region="us-east-1", endpoint=upstream.url, patience=SHORT, upstream=_BACKUPS)
    return lambda: store.get("a"), _nothing


async def _lnurl(upstream: Upstream, _core: Core) -> tuple[Call, Call]:
    payee = f"bob@{upstream.url.removeprefix('http://')}"
    return lambda: lnurl.find(payee, 1000, allow_private=True), _nothing


async def _webhooks(upstream: Upstream, core: Core) -> tuple[Call, Call]:
    now = core.clock.now()
    object.__setattr__(core.settings, "breaker_failures", SHORT.failures)
    object.__setattr__(core.settings, "breaker_rest_seconds", SHORT.rest_seconds)
    due = Due(
        id=core.clock.new_id(),
        event_id=1,
        attempts=1,
        first_attempt_at=now,
        endpoint_id=core.clock.new_id(),
        url=f"{upstream.url}/hook",
        secret_version=1,
        previous_secret_until=None,
        name="invoice.settled",
        payload={},
        happened_at=now,
    )
    sender = Sender(core)

    async def call() -> None:
        _, error = await sender._post(due)
        if error:
            raise RailUnavailableError(error, rail="webhooks")

    return call, sender.close


async def _nothing() -> None:
    return None


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setattr(lnurl, "_PAYEES", Strangers("lnurl", SHORT))


def _left_alone(name: str) -> float:
    return REGISTRY.get_sample_value("circuit_breaker_left_alone_total", {"upstream": name}) or 0.0


_BACKUPS = "channel-backups"
CLIENTS = {
    "esplora": _esplora,
    "river": _river,
    "solana-1": _solana,
    "payees": _directory,
    _BACKUPS: _backups,
    "lnurl": _lnurl,
    "webhooks": _webhooks,
}
TOLD = (RailUnavailableError, ApiError, StoreError)


@pytest.mark.parametrize("name", CLIENTS)
async def test_an_upstream_that_fails_is_left_alone_and_then_tried_once(
    name: str, upstream: Upstream, core: Core
) -> None:
    call, close = await CLIENTS[name](upstream, core)
    if name == "river":
        upstream.body = b'{"ok": 1}'
    before = _left_alone(name)
    for _ in range(FAILURES):
        with pytest.raises(TOLD):
            await call()
    asked = upstream.asked
    assert asked == FAILURES, "each failure was a request"
    with pytest.raises(TOLD):
        await call()
    assert (upstream.asked, _left_alone(name) - before) == (asked, 1), "not asked any more"
    upstream.status = 404
    deadline = core.clock.now().timestamp() + 30
    while upstream.asked == asked and core.clock.now().timestamp() < deadline:
        await _ignore(call)
    assert upstream.asked == asked + 1, "one trial"
    await _ignore(call)
    assert upstream.asked == asked + 2, "an answer that refuses is an answer: it is closed again"
    await close()


async def _ignore(call: Call) -> None:
    with contextlib.suppress(*TOLD):
        await call()


async def test_one_strangers_failures_are_not_anothers(upstream: Upstream) -> None:
    strangers = Strangers("webhooks", SHORT)
    one, other = URL(f"{upstream.url}/one?x=1"), URL(f"{upstream.url}/other")
    for _ in range(FAILURES):
        strangers.of(one).failed()
    assert strangers.of(one.with_query("x=2")).state == "open"
    assert strangers.of(other).state == "closed"


async def test_the_longest_unused_stranger_is_forgotten() -> None:
    strangers = Strangers("webhooks", SHORT)
    first = strangers.of(URL("http://a/first"))
    for number in range(MOST_STRANGERS - 1):
        strangers.of(URL(f"http://a/{number}"))
    assert strangers.of(URL("http://a/first")) is first
    strangers.of(URL("http://a/one-more"))
    assert strangers.of(URL("http://a/first")) is first
    assert len(strangers._breakers) == MOST_STRANGERS


def test_no_session_is_made_without_a_breaker() -> None:
    """Whoever adds a client of another system gives it `middlewares=guarded_by(...)`, or a breaker of its own."""
    folder = Path(payments.__file__).parent
    guarded = re.compile(r"middlewares=|_breaker\b|def new_session\(")
    made = {path: path.read_text() for path in sorted(folder.rglob("*.py"))}
    without = [path.name for path, text in made.items() if "ClientSession(" in text and not guarded.search(text)]
    assert without == []
