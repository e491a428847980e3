"""Each rule: what passes, what fails, what is not known yet, and what it is not about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from policies.rules import RULES
from tests.policies.conftest import UNKNOWN, Pack

GOOD: dict[str, Any] = {
    "process": "web-blue",
    "command": ["/venv/bin/python", "-m", "payments", "serve"],
    "listens": ["127.0.0.1:21044"],
    "environment": {
        "MAX_PAYMENT_MSAT": "1000000000",
        "MAX_FEE_MSAT": "50000",
        "SECRETS_DIR": "/state/secrets/web-blue",
    },
    "ready": {"kind": "http", "address": "127.0.0.1:21044", "path": "/ready"},
    "log": "/state/local/logs/web-blue.log",
}
RULES_OF_PROCESSES = {rule.id for rule in RULES if rule.resource == "Process"}


def environment(**changes: str | None) -> dict[str, Any]:
    """The good process with other variables; None takes one away."""
    changed = {**GOOD["environment"], **changes}
    return {**GOOD, "environment": {name: value for name, value in changed.items() if value is not None}}


def test_a_good_process_breaks_no_rule(pack: Pack) -> None:
    verdict = pack.judge("Process", GOOD)
    assert verdict.violations == {}
    assert verdict.not_applicable == {rule.id for rule in RULES} - RULES_OF_PROCESSES


def test_other_resources_are_none_of_the_rules_business(pack: Pack) -> None:
    assert pack.judge("TextFile", {"path": "/x"}).not_applicable == {rule.id for rule in RULES}


def test_nothing_known_yet_is_no_violation(pack: Pack) -> None:
    assert pack.judge("Process", dict.fromkeys(GOOD, UNKNOWN)).violations == {}
    assert pack.judge("PostgresCluster", {"version": UNKNOWN}).violations == {}


@pytest.mark.parametrize(
    ("rule", "properties"),
    [
        ("loopback-only", {**GOOD, "listens": ["127.0.0.1:1", "0.0.0.0:6379"]}),
        ("loopback-only", {**GOOD, "listens": [UNKNOWN, "[::]:6379"]}),
        ("loopback-only", {**GOOD, "listens": ["localhost.example:6379"]}),
        ("secrets-in-files", environment(JWT_SECRET="a" * 64)),
        ("secrets-in-files", environment(DATABASE_URL="postgresql://127.0.0.1/payments")),
        ("secrets-in-files", environment(CACHE="redis://:hunter2@127.0.0.1:6379")),
        ("secrets-in-files", {**GOOD, "command": ["redis-server", "--password=hunter2"]}),
        ("secrets-in-files", {**GOOD, "command": [UNKNOWN, "postgresql://u:hunter2@127.0.0.1/x"]}),
        ("payment-ceilings", environment(MAX_FEE_MSAT=None)),
        ("payment-ceilings", environment(MAX_PAYMENT_MSAT="0")),
        ("payment-ceilings", environment(MAX_PAYMENT_MSAT="-5")),
        ("payment-ceilings", environment(MAX_PAYMENT_MSAT="lots")),
        ("payment-ceilings", environment(MAX_FEE_MSAT="1000000001")),
        ("payment-ceilings", {**GOOD, "environment": {}}),
        ("process-is-watched", {**GOOD, "ready": {}}),
        ("process-is-watched", {**GOOD, "ready": {"kind": "hope"}}),
        ("process-is-watched", {**GOOD, "log": ""}),
        ("process-is-watched", {key: value for key, value in GOOD.items() if key != "log"}),
        ("process-is-watched", {key: value for key, value in GOOD.items() if key != "ready"}),
    ],
)
def test_a_bad_process_breaks_just_that_rule(pack: Pack, rule: str, properties: dict[str, Any]) -> None:
    violations = pack.judge("Process", properties).violations
    assert set(violations) == {rule}
    fix = next(r.fix for r in RULES if r.id == rule)
    assert all(fix in message for message in violations[rule]), "the message says how to mend it"
    assert "hunter2" not in str(violations), "a secret is not repeated"


@pytest.mark.parametrize("version", ["13.9", "9.6", "newest"])
def test_an_old_or_odd_database_is_refused(pack: Pack, version: str) -> None:
    assert set(pack.judge("PostgresCluster", {"version": version}).violations) == {"postgres-version"}


@pytest.mark.parametrize("version", ["15.18", "16.2", "17"])
def test_a_current_database_is_fine(pack: Pack, version: str) -> None:
    assert pack.judge("PostgresCluster", {"version": version}).violations == {}


@pytest.mark.parametrize(
    "variables",
    [{"LND_MACAROON_PATH": "/x/invoice.macaroon"}, {"JWT_SECRET": ""}, {"LND_URL": "https://127.0.0.1:8080"}],
)
def test_what_only_points_at_a_secret_is_fine(pack: Pack, variables: dict[str, str]) -> None:
    assert pack.judge("Process", environment(**variables)).violations == {}


def test_what_cannot_pay_needs_no_ceiling(pack: Pack) -> None:
    redis = {**GOOD, "process": "redis", "command": ["redis-server"], "environment": {}}
    assert pack.judge("Process", redis).violations == {}


def test_the_ledger_of_requirements_knows_what_each_rule_enforces() -> None:
    known = {
        entry["id"] for entry in yaml.safe_load((Path(__file__).parents[2] / "docs" / "requirements.yaml").read_text())
    }
    for rule in RULES:
        assert rule.requirements, rule.id
        assert set(rule.requirements) <= known
