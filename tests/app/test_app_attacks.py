"""What an attacker sends instead of a request: each gets one sentence, never a 500, and nothing is stored."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from payments.core import Core
from payments.web.application import _routes
from payments.web.gate import MAXIMUM_BODY_BYTES
from tests.app.conftest import (
    SECRETS,
    RedisServer,
    TestDatabase,
    client_of,
    core_for,
    free_port,
    new_key,
    settings_for,
)
from tests.app.memory_rail import MemoryRail
from tests.app.serving import web_process

JSON = {"content-type": "application/json"}


@pytest.fixture
async def office(core: Core) -> AsyncIterator[httpx.AsyncClient]:
    """An administrator's client."""
    made = await new_key(core, userId="root", permissions=["read", "write", "admin"])
    async with client_of(core, **{"x-api-key": made["key"]}) as client:
        yield client


BODIES: dict[str, tuple[str, bytes]] = {
    "nested deeply": ("/v1/invoices", b"[" * 8000),
    "objects nested deeply": ("/v1/invoices", b'{"amount":1,"metadata":' + b'{"a":' * 2000 + b"1" + b"}" * 2001),
    "a key twice": ("/v1/invoices", b'{"amount":1,"amount":2}'),
    "a key twice deep inside": ("/v1/invoices", b'{"amount":1,"metadata":{"a":"1","a":"2"}}'),
    "NaN": ("/v1/invoices", b'{"amount":NaN}'),
    "Infinity": ("/v1/invoices", b'{"amount":-Infinity}'),
    "1e400": ("/v1/invoices", b'{"amount":1e400}'),
    "a float": ("/v1/invoices", b'{"amount":1.0}'),
    "a number of 5,000 digits": ("/v1/invoices", b'{"amount":' + b"9" * 5000 + b"}"),
    "above 2^127": ("/v1/invoices", b'{"amount":' + b"9" * 39 + b"}"),
    "true for 1": ("/v1/invoices", b'{"amount":true}'),
    "NUL in a memo": ("/v1/invoices", b'{"amount":1,"memo":"a\\u0000b"}'),
    "NUL in a key": ("/v1/invoices", b'{"amount":1,"metadata":{"a\\u0000":"b"}}'),
    "half a surrogate pair": ("/v1/invoices", b'{"amount":1,"memo":"\\ud800"}'),
    "half a surrogate pair as a key": ("/v1/invoices", b'{"amount":1,"metadata":{"\\udfff":"b"}}'),
    "a byte order mark": ("/v1/invoices", b'\xef\xbb\xbf{"amount":1}'),
    "UTF-16": ("/v1/invoices", '{"amount":1}'.encode("utf-16")),
    "no UTF-8": ("/v1/invoices", b'{"amount":1,"memo":"\xff"}'),
    "two values": ("/v1/invoices", b'{"amount":1}{"amount":2}'),
    "nothing": ("/v1/invoices", b""),
    "a NUL in a URL": ("/v1/webhook-endpoints", b'{"url":"https://a\\u0000.example/"}'),
    "half an IPv6 address": ("/v1/webhook-endpoints", b'{"url":"https://[::1"}'),
    "a line in a URL": ("/v1/webhook-endpoints", b'{"url":"https://a.example/\\r\\nx: y"}'),
    "the end of time, elsewhere": (
        "/api-keys",
        b'{"name":"x","userId":"b","environment":"test","expiresAt":"9999-12-31T23:59:59-14:00"}',
    ),
}


@pytest.mark.parametrize("attack", BODIES)
async def test_a_body_is_refused(office: httpx.AsyncClient, core: Core, attack: str) -> None:
    path, body = BODIES[attack]
    answer = await office.post(path, content=body, headers=JSON)
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] == "INVALID_INPUT"
    stored = "SELECT (SELECT count(*) FROM payments.invoices) + (SELECT count(*) FROM payments.webhook_endpoints)"
    assert await core.database.value(stored, name="test") == 0


async def test_a_backslash_and_u0000_is_text(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/invoices", content=rb'{"amount":1,"memo":"\\u0000"}', headers=JSON)
    assert answer.status_code == 201, answer.text
    assert answer.json()["memo"] == r"\u0000"


async def test_a_switch_cannot_wait_for_the_end_of_time(office: httpx.AsyncClient) -> None:
    body = {"on": True, "reason": "x", "until": "9999-12-31T23:59:59-14:00"}
    assert (await office.put("/v1/switches/payouts", json=body)).status_code == 400


TARGETS = {
    "/v1/invoices?externalId=%00": 400,
    "/v1/payments?externalId=a%00b": 400,
    "/v1/refunds?externalId=%00": 400,
    "/v1/statements/2026-01-01?account=%00": 400,
    "/v1/invoices/%00": 400,
    "/v1/statements/9999-12-31": 400,
    "/v1/statements/0000-00-00": 400,
    "/v1/invoices?limit=99999999999999999999": 400,
    "/v1/invoices?cursor=" + "a" * 5000: 400,
    "/v1/invoices/" + "a" * 5000: 400,
    "/v1/invoices?externalId=%ff": 200,
    "/v1/invoices/": 404,
    "//v1/invoices": 404,
    "/v1/invoices/..%2f..%2fetc": 404,
}


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target[:40])
async def test_a_target_is_refused(client: httpx.AsyncClient, target: str) -> None:
    answer = await client.get(target)
    assert answer.status_code == TARGETS[target], answer.text


async def test_wildcards_of_sql_are_letters_in_filters(client: httpx.AsyncClient) -> None:
    await client.post("/v1/invoices", json={"amount": 1, "externalId": "abc"})
    for wildcard in ("%25", "_bc", "a%25", "abc'--", "%27%20OR%201=1"):
        assert (await client.get(f"/v1/invoices?externalId={wildcard}")).json()["data"] == [], wildcard
    assert len((await client.get("/v1/invoices?externalId=abc")).json()["data"]) == 1


async def test_every_route_names_all_its_methods_to_the_others(client: httpx.AsyncClient) -> None:
    by_path: dict[str, set[str]] = {}
    for route in _routes():
        by_path.setdefault(route.path, set()).update(route.methods or ())
    for path, methods in by_path.items():
        filled = path.replace("{kind}", "invoices").replace("{", "").replace("}", "")
        for method in {"HEAD", "OPTIONS", "TRACE", "PATCH", "PUT", "DELETE", "GET", "POST", "BREW"} - methods:
            answer = await client.request(method, filled, headers={"X-HTTP-Method-Override": "GET"})
            assert answer.status_code == 405, f"{method} {path}: {answer.status_code}"
            assert methods <= {name.strip() for name in answer.headers["allow"].split(",")}, f"{method} {path}"


CREDENTIALS: dict[str, dict[str, str]] = {
    "a cookie": {"cookie": "x-api-key={key}; __Host-session={key}"},
    "the key as a token": {"authorization": "Bearer {key}"},
    "the key as a password": {"authorization": "Basic {key}"},
    "the key in capitals": {"x-api-key": "{upper}"},
    "a part of the key": {"x-api-key": "{part}"},
    "spaces within": {"x-api-key": "{key} {key}"},
}


@pytest.mark.parametrize("way", CREDENTIALS)
async def test_only_the_key_in_its_header_is_a_credential(core: Core, way: str) -> None:
    key = (await new_key(core))["key"]
    headers = {
        name: value.format(key=key, upper=key.upper(), part=key[:-1]) for name, value in CREDENTIALS[way].items()
    }
    async with client_of(core, **headers) as client:
        answer = await client.get(f"/v1/invoices?x-api-key={key}&api_key={key}")
    assert answer.status_code == 401
    assert key not in answer.text


@pytest.fixture
def port(database: TestDatabase, redis_server: RedisServer, tmp_path: Path) -> Iterator[tuple[int, Path]]:
    environment = {
        "APP_ENV": "local",
        "DATABASE_URL": database.app_url,
        "REDIS_URL": redis_server.url,
        "LOG_LEVEL": "info",
        "PUBLIC_RATE_LIMIT": "1000000",
        **{name.upper(): value for name, value in SECRETS.items()},
    }
    with web_process(environment, tmp_path / "web.log") as (url, _):
        yield int(url.rsplit(":", 1)[1]), tmp_path / "web.log"


HEAD = (
    b"POST /v1/invoices HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"x-api-key: " + SECRETS["bootstrap_admin_key"].encode() + b"\r\n"
)
WIRE: dict[str, tuple[bytes, set[int]]] = {
    # The chunks count then (RFC 9112, section 6.3), and are no JSON. Envoy refuses both at once.
    "length and chunks": (HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
    "two lengths": (HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ", {400}),
    "a length below 0": (HEAD + b"Content-Length: -1\r\n\r\n", {400}),
    "a length with a sign": (HEAD + b"Content-Length: +2\r\n\r\n{}", {400}),
    "a length beyond 2^64": (HEAD + b"Content-Length: 99999999999999999999\r\n\r\n", {400, 413}),
    "an unknown coding": (HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", {400, 501}),
    "a chunk of no size": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", {400}),
    "a folded header": (b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", {400}),
    "a space before the colon": (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", {400}),
    "a NUL in a header": (b"GET / HTTP/1.1\r\nHost: x\r\nA: a\0b\r\n\r\n", {400}),
    "5,000 headers": (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 5000 + b"\r\n", {431}),
    "headers of a megabyte": (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 2**20 + b"\r\n\r\n", {400, 431}),
    "16 KiB and more in chunks": (
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + (b"1000\r\n" + b" " * 4096 + b"\r\n") * 5 + b"0\r\n\r\n",
        {413},
    ),
    "16 KiB and more announced": (HEAD + b"Content-Length: %d\r\n\r\n" % (MAXIMUM_BODY_BYTES + 1), {413}),
}


async def _status(port: int, sent: bytes) -> tuple[int, bytes]:
    """Status and text of the first answer; the connection may be closed before everything was sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    with contextlib.suppress(ConnectionError):
        await writer.drain()
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
    writer.close()
    return int(answer.split()[1]), answer


async def test_requests_that_are_no_http_are_refused_and_the_service_goes_on(port: tuple[int, Path]) -> None:
    number, log = port
    wrong: dict[str, Any] = {}
    for name, (sent, allowed) in WIRE.items():
        status, _ = await _status(number, sent)
        if status not in allowed:
            wrong[name] = status
    assert wrong == {}
    # Many connections that never finish their request keep nobody else from being served.
    held = [await asyncio.open_connection("127.0.0.1", number) for _ in range(300)]
    for _, writer in held:
        writer.write(HEAD + b"Content-Length: 100\r\n\r\n{")
        await writer.drain()
    assert (await _status(number, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"))[0] == 200
    for _, writer in held:
        writer.close()
    assert (await _status(number, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"))[0] == 200
    errors = [line for line in log.read_text().splitlines() if '"level":"error"' in line or "Traceback" in line]
    assert errors == []


async def test_without_its_database_every_route_says_503_and_when_to_come_back(
    database: TestDatabase, own_redis: RedisServer
) -> None:
    """Nobody listens where PostgreSQL should be: one sentence, no trace, and no request hangs."""
    url = f"postgresql://payments_app:word@127.0.0.1:{free_port()}/gone"
    settings = settings_for(database, own_redis.url, database_url=url, database_pool_timeout_seconds=0.2)
    core = core_for(settings, MemoryRail())
    await core.start()
    try:
        async with client_of(core, **{"x-api-key": "sk_test_" + "a" * 43}) as client:
            for method, path in (("GET", "/v1/invoices"), ("POST", "/v1/invoices"), ("GET", "/v1/ledger")):
                answer = await client.request(method, path, json={"amount": 1} if method == "POST" else None)
                assert answer.status_code == 503, f"{method} {path}: {answer.text}"
                assert int(answer.headers["retry-after"]) > 0
                assert answer.json()["code"] == "SERVICE_UNAVAILABLE"
            assert (await client.get("/health")).status_code == 200
            assert (await client.get("/ready")).status_code == 503
    finally:
        await core.close()
