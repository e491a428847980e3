"""The HTTP face: one error form, strict JSON, size limits, security headers, health, OpenAPI."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from payments.core import Core
from payments.web.application import _routes
from payments.web.callers import Admission, limit_public
from payments.web.direct import Switch
from payments.web.gate import MAXIMUM_BODY_BYTES
from payments.web.openapi import document
from payments.worker import registry
from tests.app.conftest import RedisServer, TestDatabase, client_of, core_for, settings_for
from tests.app.memory_rail import MemoryRail

ROUTE = "/api/lightning/create-invoice"


def _is_error(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["requestId"] == answer.headers["x-request-id"]
    assert answer.json()["error"].endswith(".")
    assert set(answer.json()) <= {"error", "code", "details", "requestId"}


async def test_who_asks_whether_it_is_ready_meanwhile_gets_the_same_answer(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It costs a call to every rail, and anybody may ask."""
    asked = 0
    look = core.rails["lnd"].health

    async def counted() -> Any:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.2)
        return await look()

    monkeypatch.setattr(core.rails["lnd"], "health", counted)
    async with client_of(core) as client:
        answers = await asyncio.gather(*(client.get("/ready") for _ in range(20)))
        assert {answer.status_code for answer in answers} == {200}
        # `client_of` makes the application once: all twenty ask the same one.
        assert asked == 1
        await client.get("/ready")
        assert asked == 2, "and who asks later is not told what was"


class TestErrors:
    async def test_no_route(self, client: httpx.AsyncClient) -> None:
        _is_error(await client.get("/nowhere"), 404, "NOT_FOUND")

    async def test_no_such_method(self, client: httpx.AsyncClient) -> None:
        _is_error(await client.delete("/v1/invoices"), 405, "INVALID_INPUT")

    async def test_no_credential(self, core: Core) -> None:
        async with client_of(core) as client:
            _is_error(await client.post(ROUTE, json={"amount": 1}), 401, "UNAUTHORIZED")
            _is_error(await client.get("/v1/ledger", headers={"x-api-key": "sk_test_no"}), 401, "UNAUTHORIZED")

    async def test_a_field_that_is_wrong_is_named_and_its_value_is_not_repeated(
        self, client: httpx.AsyncClient
    ) -> None:
        answer = await client.post(ROUTE, json={"amount": "secret-value"})
        _is_error(answer, 400, "INVALID_INPUT")
        assert answer.json()["details"][0]["field"] == "amount"
        assert "secret-value" not in answer.text

    async def test_a_mistake_of_ours_tells_nothing(
        self, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def break_down(*_: object, **__: object) -> None:
            raise RuntimeError("the password is hunter2")

        monkeypatch.setattr("payments.ledger.repository.balances", break_down)
        answer = await client.get("/v1/ledger")
        _is_error(answer, 500, "SERVER_ERROR")
        assert "hunter2" not in answer.text

    async def test_a_given_request_id_is_kept_if_it_is_harmless(self, client: httpx.AsyncClient) -> None:
        kept = await client.get("/nowhere", headers={"x-request-id": "order-12345678"})
        assert kept.headers["x-request-id"] == "order-12345678"
        replaced = await client.get("/nowhere", headers={"x-request-id": "<script>alert(1)</script>"})
        assert "<" not in replaced.headers["x-request-id"]


class TestBodies:
    @pytest.mark.parametrize(
        ("body", "said"),
        [
            (b"{", "not JSON"),
            (b'{"amount": 1, "amount": 2}', "twice"),
            (b'{"amount": NaN}', "NaN"),
            (b'{"amount": 1} trailing', "not JSON"),
            (b'\xff\xfe{"amount": 1}', "UTF-8"),
            (b'{"amount": 1.5}', "amount"),
            (b'{"amount": true}', "amount"),
            (b'{"amount": 0}', "amount"),
            (b'{"amount": -1}', "amount"),
            (b'{"amount": 1, "extra": 1}', "extra"),
            (b'{"amount": 1, "memo": "a\\u0000b"}', "NUL"),
            (b'{"amount": 1, "memo": "\\ud800"}', "memo"),
            (b'{"amount": 1' + b"0" * 5000 + b"}", ""),
            (b"[" * 8000, ""),
            (b"", ""),
            (b"null", ""),
            (b"[]", ""),
        ],
    )
    async def test_what_is_not_strictly_right_is_invalid_input(
        self, client: httpx.AsyncClient, body: bytes, said: str
    ) -> None:
        answer = await client.post(ROUTE, content=body, headers={"content-type": "application/json"})
        _is_error(answer, 400, "INVALID_INPUT")
        assert said in answer.text

    async def test_the_memo_has_the_length_of_a_bolt11_description(self, client: httpx.AsyncClient) -> None:
        assert (await client.post(ROUTE, json={"amount": 1, "memo": "é" * 319})).status_code == 200
        _is_error(await client.post(ROUTE, json={"amount": 1, "memo": "é" * 320}), 400, "INVALID_INPUT")

    async def test_another_content_type_is_refused(self, client: httpx.AsyncClient) -> None:
        answer = await client.post(ROUTE, content=b'{"amount":1}', headers={"content-type": "text/plain"})
        _is_error(answer, 400, "INVALID_INPUT")

    async def test_a_large_body_is_refused_by_its_length_and_by_its_bytes(self, client: httpx.AsyncClient) -> None:
        large = json.dumps({"amount": 1, "memo": "x" * MAXIMUM_BODY_BYTES}).encode()
        kind = {"content-type": "application/json"}
        _is_error(await client.post(ROUTE, content=large, headers=kind), 413, "INVALID_INPUT")

        async def drip() -> Any:
            for start in range(0, len(large), 1000):
                yield large[start : start + 1000]

        _is_error(await client.post(ROUTE, content=drip(), headers=kind), 413, "INVALID_INPUT")

    @pytest.mark.parametrize("key", ["", "x" * 256, "sp ace\tx", "ünï"])
    async def test_a_bad_idempotency_key_is_refused(self, client: httpx.AsyncClient, key: str) -> None:
        headers = {"idempotency-key": key.encode("latin-1")}
        answer = await client.post(ROUTE, json={"amount": 1}, headers=headers)  # type: ignore[arg-type]
        _is_error(answer, 400, "INVALID_INPUT")


class TestHeaders:
    async def test_every_answer_has_the_security_headers(self, client: httpx.AsyncClient) -> None:
        for answer in (await client.get("/health"), await client.get("/nowhere"), await client.get("/v1/ledger")):
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["x-frame-options"] == "DENY"
            assert "max-age=" in answer.headers["strict-transport-security"]
            assert answer.headers["content-security-policy"].startswith("default-src 'none'")
            assert answer.headers["cache-control"] == "no-store"

    async def test_only_listed_origins_may_ask_from_a_browser(
        self, database: TestDatabase, redis_server: RedisServer, rail: MemoryRail
    ) -> None:
        settings = settings_for(database, redis_server.url, ALLOWED_ORIGINS="https://shop.example")
        core = core_for(settings, rail)
        await core.start()
        preflight = {"access-control-request-method": "POST", "access-control-request-headers": "X-Api-Key"}
        async with client_of(core) as client:
            good = await client.options("/verify", headers={"origin": "https://shop.example", **preflight})
            bad = await client.options("/verify", headers={"origin": "https://evil.example", **preflight})
            plain = await client.get("/health", headers={"origin": "https://evil.example"})
        await core.close()
        assert good.status_code == 200
        assert good.headers["access-control-allow-origin"] == "https://shop.example"
        assert "x-api-key" in good.headers["access-control-allow-headers"].lower()
        assert "access-control-allow-origin" not in bad.headers
        assert "access-control-allow-origin" not in plain.headers
        assert (bad.status_code, plain.status_code) == (403, 403), "verified on the server, not only by the browser"


class TestOperations:
    async def test_health_says_the_guides_words(self, client: httpx.AsyncClient) -> None:
        said = (await client.get("/health")).json()
        assert (said["status"], said["service"], said["version"]) == ("ok", "402pay-facilitator", "0.1.0")

    async def test_the_root_answers(self, client: httpx.AsyncClient) -> None:
        assert (await client.get("/")).status_code == 200

    async def test_ready_names_every_check(self, client: httpx.AsyncClient) -> None:
        answer = await client.get("/ready")
        found = answer.json()
        assert (found["ready"], found["checks"]) == (True, {"database": "ok", "redis": "ok", "lnd": "ok"})

    async def test_without_a_database_it_is_not_ready(
        self, database: TestDatabase, redis_server: RedisServer, rail: MemoryRail
    ) -> None:
        url = database.app_url.replace(f":{database.server.port}/", ":1/")
        core = core_for(settings_for(database, redis_server.url, database_url=url), rail)
        await core.start()
        async with client_of(core) as client:
            answer = await client.get("/ready")
            assert (answer.status_code, answer.json()["ready"]) == (503, False)
            assert (await client.get("/health")).status_code == 200
        await core.close()

    async def test_on_a_schema_of_the_future_it_is_not_ready(self, client: httpx.AsyncClient, core: Core) -> None:
        import psycopg

        assert core.settings.database_url is not None
        url = core.settings.database_url.get_secret_value().replace("payments_app", "payments_owner")
        with psycopg.connect(url) as connection:
            connection.execute("INSERT INTO payments.schema_revisions VALUES ('9999', 'contract', '9998')")
        answer = await client.get("/ready")
        assert answer.status_code == 503
        assert "9998" in answer.json()["checks"]["database"]

    async def test_metrics_have_the_agreed_names(self, client: httpx.AsyncClient) -> None:
        await client.post(ROUTE, json={"amount": 1})
        text = (await client.get("/metrics")).text
        for name in (
            "payments_total",
            "payment_duration_seconds",
            "errors_total",
            "invoices_total",
            "fees_paid_total",
            "invoice_create_total",
            "settlement_seconds",
            "http_request_duration_seconds",
            "ratelimit_hits_total",
            "verification_total",
            "db_pool_in_use",
            "db_query_seconds",
            "cache_requests_total",
            "transactions_failed_total",
            "rail_network_errors_total",
        ):
            assert f"# TYPE {name.removesuffix('_total')}" in text, name
        assert 'http_request_duration_seconds_count{route="/api/lightning/create-invoice",status="200"}' in text

    async def test_metrics_can_be_turned_off(
        self, database: TestDatabase, redis_server: RedisServer, rail: MemoryRail
    ) -> None:
        core = core_for(settings_for(database, redis_server.url, enable_metrics=False), rail)
        async with client_of(core) as client:
            assert (await client.get("/metrics")).status_code == 404


class TestOpenApi:
    def test_every_route_documents_its_errors_in_our_form(self) -> None:
        for path, operations in document()["paths"].items():
            for method, operation in operations.items():
                for status, answer in operation["responses"].items():
                    if not status.startswith(("4", "5")) or path == "/ready":
                        continue
                    reference = answer["content"]["application/json"]["schema"].get("$ref", "")
                    assert reference.endswith(("/ErrorBody",)), (method, path, status, reference)

    def test_what_needs_a_key_says_so(self) -> None:
        paths = document()["paths"]
        assert paths["/v1/payments"]["post"]["security"] == [{"APIKeyHeader": []}, {"HTTPBearer": []}]
        assert "security" not in paths["/health"]["get"]

    def test_what_is_limited_says_so(self) -> None:
        paths = document()["paths"]
        for route in _routes():
            limited = [found.call for found in route.dependant.dependencies]
            if any(call is limit_public or isinstance(call, Admission) for call in limited):
                for method in route.methods or ():
                    assert "429" in paths[route.path][method.lower()]["responses"], (method, route.path)

    def test_where_a_key_may_be_another_requests_that_is_in_it(self) -> None:
        without = {"/v1/payment-requests/decode", "/settle"}  # one has no effect, the other its own answer for it
        for path, operations in document()["paths"].items():
            for method, operation in operations.items():
                names = {parameter["name"].lower() for parameter in operation.get("parameters", ())}
                if "idempotency-key" in names and path not in without:
                    assert "409" in operation["responses"], (method, path)

    def test_what_metadata_may_be_named_is_in_it(self) -> None:
        metadata = document()["components"]["schemas"]["NewInvoice"]["properties"]["metadata"]
        assert metadata["maxProperties"] == 50
        assert metadata["propertyNames"]["pattern"] == metadata["additionalProperties"]["pattern"]

    async def test_it_is_served(self, client: httpx.AsyncClient) -> None:
        served = (await client.get("/openapi.json")).json()
        assert served["paths"].keys() == document()["paths"].keys()


def test_the_hot_routes_take_the_short_way() -> None:
    application = FastAPI()
    table = Switch(application, _routes())
    assert ("POST", ROUTE) in table
    assert ("POST", "/v1/payments") in table
    assert ("POST", "/v1/invoices") in table


def test_every_domain_of_the_worker_can_be_imported() -> None:
    assert ("payments.send", 1) in registry.jobs()
    assert {"create_invoice", "pay"} <= set(registry.look_ups())
    assert registry.queues() == ["v1"]
    assert len({duty.name for duty in registry.duties()}) == len(registry.duties())
