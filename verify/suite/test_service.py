"""The service as its callers meet it, through the router."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from findings.finding import Severity
from verify.report import check
from verify.stack import DeployedStack

SECURITY_HEADERS = {"x-content-type-options": "nosniff", "x-frame-options": "DENY"}


@pytest.fixture(scope="module")
def http(stack: DeployedStack) -> Iterator[httpx.Client]:
    # trust_env off: a proxy in the environment is not on the way to this stack.
    with httpx.Client(base_url=stack.url, timeout=10, trust_env=False) as client:
        yield client


@check(severity=Severity.CRITICAL, fix="Look at ./railyard logs web-blue.", requirements=("x4-verify-health",))
def test_health_answers(http: httpx.Client) -> None:
    answer = http.get("/health")
    assert answer.status_code == 200, f"GET /health answers {answer.status_code}, not 200."
    said = answer.json()
    assert said.get("status") == "ok", f"GET /health says status {said.get('status')!r}, not 'ok'."
    assert said.get("service") == "402pay-facilitator", f"GET /health says service {said.get('service')!r}."


@check(severity=Severity.CRITICAL, fix="See which dependency is down in its body.", requirements=("x4-k8s-readiness",))
def test_ready_answers(http: httpx.Client) -> None:
    answer = http.get("/ready")
    assert answer.status_code == 200, f"GET /ready answers {answer.status_code}: {answer.text[:200]}"


@check(
    severity=Severity.HIGH,
    fix="GET /ready has the Paykit guide's four fields: deploy a release that has them.",
    requirements=("pk-health-lnd", "pk-health-esplora", "pk-health-last-success", "pk-health-error-rate-1h"),
)
def test_the_health_output_is_the_paykit_guides(http: httpx.Client) -> None:
    said = http.get("/ready").json()
    wanted = {"lnd_connected", "esplora_reachable", "last_payment_success", "error_rate_1h"}
    assert wanted <= said.keys(), f"GET /ready lacks {', '.join(sorted(wanted - said.keys()))}."
    assert said["lnd_connected"] is not False, "GET /ready says that LND is not connected."
    assert said["esplora_reachable"] is not False, "GET /ready says that Esplora is not reachable."


@check(severity=Severity.HIGH, fix="Set ENABLE_METRICS=true.", requirements=("x4-verify-metrics",))
def test_metrics_are_served(http: httpx.Client) -> None:
    answer = http.get("/metrics")
    assert answer.status_code == 200, f"GET /metrics answers {answer.status_code}, not 200."
    assert "http_request_duration_seconds" in answer.text, "GET /metrics has no http_request_duration_seconds."


@check(severity=Severity.CRITICAL, fix="Every payment route needs the caller's key.", requirements=("ms-auth-api-key",))
@pytest.mark.parametrize("headers", [{}, {"x-api-key": "sk_test_no_such_key"}], ids=["no key", "unknown key"])
def test_strangers_are_refused(http: httpx.Client, headers: dict[str, str]) -> None:
    answer = http.post("/api/lightning/create-invoice", json={"amount": 1}, headers=headers)
    assert answer.status_code == 401, f"create-invoice answers {answer.status_code} to a stranger, not 401."
    assert {"error", "code"} <= answer.json().keys(), (
        f"The refusal has not the guides' error format: {answer.text[:200]}"
    )


@check(
    severity=Severity.CRITICAL, fix="Disable open key creation: only the bootstrap credential may make the first key."
)
def test_strangers_make_no_keys(http: httpx.Client) -> None:
    wish = {"name": "stranger", "userId": "stranger", "environment": "test", "permissions": ["admin"]}
    answer = http.post("/api-keys", json=wish)
    assert answer.status_code == 401, f"POST /api-keys answers {answer.status_code} to a stranger, not 401."


@check(
    severity=Severity.MEDIUM, fix="Let the service's middleware set it on every answer.", reference="PCI DSS 4.0 6.4.1"
)
@pytest.mark.parametrize("header", SECURITY_HEADERS)
def test_security_headers_are_set(http: httpx.Client, header: str) -> None:
    value = http.get("/health").headers.get(header)
    assert value == SECURITY_HEADERS[header], f"The header {header} is {value!r}, not {SECURITY_HEADERS[header]!r}."


@check(severity=Severity.CRITICAL, fix="Pause payments and look at the journals that do not sum to zero.")
def test_ledger_balances(http: httpx.Client, stack: DeployedStack) -> None:
    answer = http.get("/v1/ledger", headers={"x-api-key": stack.admin_key})
    assert answer.status_code == 200, f"GET /v1/ledger answers {answer.status_code}: {answer.text[:200]}"
    ledger = answer.json()
    assert ledger["balanced"] is True, f"The ledger does not balance: {ledger['assets']}"


@check(severity=Severity.HIGH, fix="Look at ./railyard logs worker-blue and solana.")
def test_x402_is_offered(http: httpx.Client) -> None:
    answer = http.get("/supported")
    assert answer.status_code == 200, f"GET /supported answers {answer.status_code}, not 200."
    kinds = {(kind["x402Version"], kind["scheme"]) for kind in answer.json()["kinds"]}
    assert {(1, "exact"), (2, "exact")} <= kinds, f"x402 is offered as {sorted(kinds)} only."


@check(severity=Severity.HIGH, fix="Look at ./railyard logs worker-blue and those of the rail's counterpart.")
@pytest.mark.parametrize("rail", ["lnd", "onchain", "river", "solana"])
def test_rails_answer(http: httpx.Client, rail: str) -> None:
    said = http.get("/ready").json().get("checks", {}).get(rail)
    assert said == "ok", f"GET /ready says of the rail {rail}: {said!r}, not 'ok'."
