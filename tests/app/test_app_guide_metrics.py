"""The guides' metrics and logs are not only there under their names: they say what happened."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import httpx
import pytest
import structlog
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from payments.core import Core
from payments.invoices.tasks import expire_invoices
from payments.rails.protocol import Health, Outcome, OutcomeState, RailHealth, RailRefusedError
from payments.worker import registry
from payments.worker.following import credit
from tests.app.conftest import client_of, fund, new_key
from tests.app.memory_rail import MemoryRail

ROUTE = "/api/lightning/create-invoice"
DEAD = Outcome(OutcomeState.DEAD, proof={"track_payment": "FAILED"}, reason="no route")


class _Counted:
    """How much a sample has grown since it was made."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}

    def _value(self, name: str, labels: Mapping[str, str]) -> float:
        return REGISTRY.get_sample_value(name, dict(labels)) or 0.0

    def start(self, name: str, **labels: str) -> None:
        self._before[name, frozenset(labels.items())] = self._value(name, labels)

    def grown(self, name: str, **labels: str) -> float:
        return self._value(name, labels) - self._before[name, frozenset(labels.items())]


async def _work(core: Core) -> None:
    rows = await core.database.all("DELETE FROM payments.outbox WHERE kind = 'job' RETURNING payload", name="test")
    for row in rows:
        await registry.jobs()["payments.send", 1].handle(core, row["payload"])


async def test_payments_are_counted_by_outcome_and_rail_with_their_time_and_fees(
    client: httpx.AsyncClient, core: Core, rail: MemoryRail
) -> None:
    """pk-metric-payment-rate, pk-metric-payment-latency, pk-metric-fee-spend."""
    counted = _Counted()
    for outcome in ("succeeded", "failed"):
        counted.start("payments_total", rail="lnd", outcome=outcome)
    counted.start("payment_duration_seconds_count", rail="lnd")
    counted.start("fees_paid_total", rail="lnd", asset="BTC")
    counted.start("transactions_failed_total", reason="no route")
    await fund(core, 100_000)
    paid = Outcome(OutcomeState.SUCCEEDED, fee=7, proof={"preimage": "00"})
    for number, planned in enumerate((paid, DEAD, paid)):
        rail.next_outcome = planned
        body = {"paymentRequest": MemoryRail.request(number), "maxFeeMsat": 100}
        answer = await client.post("/v1/payments", json=body, headers={"Idempotency-Key": f"k{number}"})
        assert answer.status_code == 202
        await _work(core)
    assert counted.grown("payments_total", rail="lnd", outcome="succeeded") == 2
    assert counted.grown("payments_total", rail="lnd", outcome="failed") == 1
    assert counted.grown("payment_duration_seconds_count", rail="lnd") == 3
    assert counted.grown("fees_paid_total", rail="lnd", asset="BTC") == 14
    assert counted.grown("transactions_failed_total", reason="no route") == 1


async def test_invoices_are_counted_made_refused_settled_in_time_and_expired(
    client: httpx.AsyncClient, core: Core, rail: MemoryRail
) -> None:
    """ms-metric-invoice-success, ms-metric-settlement-time, pk-metric-invoice-expiry-rate."""
    counted = _Counted()
    for outcome in ("created", "refused"):
        counted.start("invoice_create_total", outcome=outcome)
    for state in ("open", "settled", "expired"):
        counted.start("invoices_total", state=state)
    counted.start("settlement_seconds_count", rail="lnd")
    made = [(await client.post("/v1/invoices", json={"amount": 1000})).json() for _ in range(2)]

    async def refused() -> None:
        raise RailRefusedError("no", rail="lnd")

    working, rail.before = rail.before, refused
    assert (await client.post("/v1/invoices", json={"amount": 1000})).status_code == 402
    rail.before = working
    await credit(core, "lnd", [await rail.arrive(made[0]["paymentHash"], 1000)])
    await core.database.run(
        "UPDATE payments.invoices SET expires_at = %s WHERE id = %s",
        (core.clock.now() - timedelta(days=1), made[1]["id"]),
        name="test",
    )
    await expire_invoices(core)
    assert counted.grown("invoice_create_total", outcome="created") == 2
    assert counted.grown("invoice_create_total", outcome="refused") == 1
    assert [counted.grown("invoices_total", state=state) for state in ("open", "settled", "expired")] == [2, 1, 1]
    assert counted.grown("settlement_seconds_count", rail="lnd") == 1


async def test_the_api_is_measured_by_route_and_errors_by_type(core: Core, client: httpx.AsyncClient) -> None:
    """ms-metric-api-latency, ms-metric-error-by-type, pk-metric-error-by-type, ms-metric-ratelimit-hits."""
    counted = _Counted()
    counted.start("http_request_duration_seconds_count", route=ROUTE, status="200")
    counted.start("http_request_duration_seconds_count", route=ROUTE, status="400")
    for kind in ("INVALID_INPUT", "RATE_LIMITED"):
        counted.start("errors_total", type=kind)
    counted.start("ratelimit_hits_total", scope="create_invoice")
    assert (await client.post(ROUTE, json={"amount": 1})).status_code == 200
    assert (await client.post(ROUTE, json={"amount": 0})).status_code == 400
    limited = (await new_key(core, unlimited=False))["key"]
    ceiling = core.settings.create_invoice_rate_limit + core.settings.create_invoice_burst
    async with client_of(core, **{"x-api-key": limited}) as other:
        statuses = [(await other.post(ROUTE, json={"amount": 1})).status_code for _ in range(ceiling + 1)]
    assert (statuses[0], statuses[-1]) == (200, 429)
    refused = statuses.count(429)
    assert counted.grown("http_request_duration_seconds_count", route=ROUTE, status="200") == 1 + statuses.count(200)
    assert counted.grown("http_request_duration_seconds_count", route=ROUTE, status="400") == 1
    assert counted.grown("errors_total", type="INVALID_INPUT") == 1
    assert counted.grown("errors_total", type="RATE_LIMITED") == refused
    assert counted.grown("ratelimit_hits_total", scope="create_invoice") == refused


async def test_the_health_output_is_the_paykit_guides(core: Core, client: httpx.AsyncClient, rail: MemoryRail) -> None:
    """pk-health-lnd, pk-health-esplora, pk-health-last-success, pk-health-error-rate-1h."""

    async def health() -> dict[str, Any]:
        found: dict[str, Any] = (await client.get("/ready")).json()
        return {name: found[name] for name in sorted(found) if name not in ("ready", "checks")}

    assert await health() == {
        "error_rate_1h": 0.0,
        "esplora_reachable": None,
        "last_payment_success": None,
        "lnd_connected": True,
    }
    await fund(core, 100_000)
    for number, planned in enumerate((DEAD, None, None, None)):
        rail.next_outcome = planned or Outcome(OutcomeState.SUCCEEDED, fee=7, proof={"preimage": "00"})
        body = {"paymentRequest": MemoryRail.request(number), "maxFeeMsat": 100}
        await client.post("/v1/payments", json=body, headers={"Idempotency-Key": f"k{number}"})
        await _work(core)
    found = await health()
    assert found["error_rate_1h"] == 0.25
    assert found["last_payment_success"].endswith("Z")

    async def down() -> RailHealth:
        return RailHealth(Health.DOWN, "no answer")

    rail.health = down  # type: ignore[method-assign]
    await core.database.run("UPDATE payments.payments SET finished_at = finished_at - interval '2 hours'", name="test")
    found = await health()
    assert (found["lnd_connected"], found["error_rate_1h"]) == (False, 0.0), "an hour only"
    assert found["last_payment_success"] is not None


class TestLogs:
    @pytest.fixture
    async def loud(self, core: Core) -> Core:
        object.__setattr__(core.settings, "log_level", "info")
        return core

    async def _lines(self, core: Core, path: str, **more: Any) -> tuple[httpx.Response, list[dict[str, Any]]]:
        key = (await new_key(core))["key"]
        async with client_of(core, **{"x-api-key": key, **more.pop("headers", {})}) as client:
            with capture_logs([structlog.contextvars.merge_contextvars]) as lines:
                answer = await client.request(more.pop("method", "POST"), path, **more)
        return answer, [dict(line) for line in lines]

    async def test_a_request_and_its_answer_are_one_line_with_its_time(self, loud: Core) -> None:
        """ms-log-requests, ms-log-performance."""
        answer, lines = await self._lines(loud, ROUTE, json={"amount": 1}, headers={"x-request-id": "request-0001"})
        assert answer.headers["x-request-id"] == "request-0001"
        (line,) = [line for line in lines if line["event"] == "request"]
        assert (line["method"], line["route"], line["status"]) == ("POST", ROUTE, 200)
        assert line["request_id"] == "request-0001"
        assert 0 < line["milliseconds"] < 60_000

    async def test_an_error_is_logged_with_where_and_why(self, loud: Core, monkeypatch: pytest.MonkeyPatch) -> None:
        """ms-log-errors."""

        async def broken(*_: Any, **__: Any) -> None:
            raise ZeroDivisionError("a mistake of ours")

        monkeypatch.setattr("payments.invoices.service.create", broken)
        answer, lines = await self._lines(loud, ROUTE, json={"amount": 1})
        assert (answer.status_code, answer.json()["code"]) == (500, "SERVER_ERROR")
        (line,) = [line for line in lines if line["event"] == "request failed"]
        assert (line["path"], line["log_level"]) == (ROUTE, "error")
        assert isinstance(line["exc_info"], ZeroDivisionError)
        assert line["request_id"] == answer.json()["requestId"], "the caller can quote it"

    async def test_what_concerns_security_has_its_tag(self, loud: Core) -> None:
        """ms-log-security."""
        object.__setattr__(loud.settings, "allowed_origins", ("https://shop.example",))
        answer, lines = await self._lines(loud, ROUTE, json={"amount": 1}, headers={"origin": "https://evil.example"})
        assert answer.status_code == 403
        assert {line.get("tag") for line in lines} >= {"[CORS]", "security"}
        for headers in ({"x-api-key": "sk_test_" + "0" * 43}, {"x-api-key": "", "authorization": "Bearer a.b.c"}):
            answer, lines = await self._lines(loud, ROUTE, json={"amount": 1}, headers=headers)
            assert answer.status_code == 401
            (line,) = [line for line in lines if line.get("tag") == "security"]
            assert (line["path"], line["code"]) == (ROUTE, "UNAUTHORIZED")
            assert "0000" not in str(lines)
            assert "a.b.c" not in str(lines)
