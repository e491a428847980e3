"""Alerts: every row of the guides' table that Prometheus can see, by threshold; dashboards: what the guides ask for."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from components.kubernetes.alerts import GROUPS, AlertArgs, rule_groups
from components.kubernetes.dashboards import render_dashboards
from payments import metrics

# The guides' alert table (facts.md section 8): entry -> the alerts for it, with threshold, minutes, severity.
ROWS: dict[str, list[tuple[str, str, str, str]]] = {
    "pk-alert-failure-warn": [("PaymentsFail", "> 0.05", "5m", "warning")],
    "pk-alert-failure-crit": [("ManyPaymentsFail", "> 0.2", "5m", "critical")],
    "pk-alert-latency-warn": [("PaymentsSlow", "> 10", "5m", "warning")],
    "pk-alert-latency-crit": [("PaymentsVerySlow", "> 30", "5m", "critical")],
    "tn-mon-gas-high": [
        ("GasPriceHigh", "> 50000000", "5m", "warning"),
        ("FeesUnusual", "> 3 * (", "5m", "warning"),
    ],
    "pk-alert-lnd-warn": [("LightningDown", "== 0", "1m", "warning")],
    "pk-alert-lnd-crit": [("LightningDownLong", "== 0", "5m", "critical")],
    "pk-alert-esplora-warn": [("EsploraDown", "== 0", "1m", "warning")],
    "pk-alert-esplora-crit": [("EsploraDownLong", "== 0", "5m", "critical")],
    "ms-incident-error-alerts": [
        ("RequestsFail", "> 0.01", "5m", "warning"),
        ("ManyRequestsFail", "> 0.02", "5m", "critical"),
    ],
    "x4-alert-health-1m": [
        ("ServiceDown", "== 1)", "1m", "critical"),
        ("HealthCheckFails", "== 0", "1m", "warning"),
    ],
    "x4-alert-error-rate-1": [("RequestsFail", "> 0.01", "5m", "warning")],
    "x4-alert-db-pool": [("DatabasePoolExhausted", "> 0", "1m", "critical")],
    "x4-alert-redis-down": [("RedisDown", "== 0", "1m", "critical")],
    "x4-alert-verify-fail-5": [("VerificationsFail", "> 0.05", "5m", "warning")],
    "x4-alert-disk-20": [("DiskLow", "< 0.2", "5m", "warning")],
    "tn-mon-success-95": [("PaymentsFail", "> 0.05", "5m", "warning")],
    "tn-mon-pending-100": [("ManyPaymentsPending", "> 100", "1m", "warning")],
    "tn-mon-suspicious": [("SuspiciousFailures", ">= 10", "0m", "warning")],
    "tn-sec-suspicious-10": [("SuspiciousFailures", ">= 10", "0m", "warning")],
    "tn-ts-stuck-symptom": [("PaymentStuck", "> 180", "1m", "warning")],
    "tn-secmon-anomalies": [
        ("RefusalsUnusual", "> 3 *", "5m", "warning"),
        ("LedgerImbalance", "> 0", "0m", "critical"),
        ("AuditBroken", "> 0", "0m", "critical"),
    ],
    "st-alert-failure-5": [("PaymentsFail", "> 0.05", "5m", "warning")],
    "st-alert-response-5s": [("ResponsesSlow", "> 5", "5m", "warning")],
    "st-alert-error-2": [("ManyRequestsFail", "> 0.02", "5m", "critical")],
    "st-alert-db-errors": [("DatabaseErrors", "== 0", "1m", "critical")],
    "st-alert-timeouts": [("RailTimeouts", "> 0", "0m", "warning")],
    "st-alert-disk-10": [("DiskVeryLow", "< 0.1", "5m", "critical")],
    "st-alert-memory-80": [("MemoryHigh", "> 0.8", "5m", "warning")],
    "st-alert-cpu-90": [("CpuHigh", "> 0.9", "5m", "warning")],
    "st-mon-uptime": [
        ("UptimeLow", "< 0.999", "5m", "warning"),
        ("ErrorBudgetBurns", "> 14.4 * 0.001", "2m", "critical"),
    ],
}
# Metrics of the cluster, of Prometheus itself and of kube-state-metrics, cAdvisor and the node exporter.
FOREIGN = re.compile(r"^(up|kube_\w+|container_\w+|node_\w+)$")
_WORDS = {
    "by", "rate", "sum", "max", "min", "avg", "abs", "and", "absent", "increase", "histogram_quantile", "avg_over_time",
    "rail", "le", "pod", "container", "state", "asset", "job", "result", "route", "status", "outcome", "reason", "type",
    "scope", "cache", "statement", "job_name", "upstream",
}  # fmt: skip


@pytest.fixture(scope="module")
def rules() -> dict[str, dict[str, Any]]:
    args = {"namespace": "payments", "stack": "staging", "runbook_url": "https://runbooks.example"}
    groups = rule_groups(AlertArgs(**args, expected_gas_price=50_000_000))
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


@pytest.mark.parametrize("row", ROWS)
def test_a_row_of_the_guides_has_its_alert(rules: dict[str, dict[str, Any]], row: str) -> None:
    standing = [name for name, rule in rules.items() if row in rule["annotations"].get("requirements", "").split(",")]
    assert sorted(standing) == sorted(alert for alert, *_ in ROWS[row])
    for alert, threshold, minutes, severity in ROWS[row]:
        rule = rules[alert]
        assert threshold in rule["expr"]
        assert (rule["for"], rule["labels"]["severity"]) == (minutes, severity)


def test_no_other_row_is_named(rules: dict[str, dict[str, Any]]) -> None:
    named = {row for rule in rules.values() for row in rule["annotations"].get("requirements", "").split(",") if row}
    # Beside the alert table: what the archive is for.
    assert named == {*ROWS, "tn-comp-retention-7y"}


def _metrics_of(expression: str) -> set[str]:
    bare = re.sub(r'\{[^}]*\}|\[[^\]]*\]|"[^"]*"', " ", expression)
    return {word for word in re.findall(r"[a-z_]{2,}", bare) if word not in _WORDS}


def _served() -> set[str]:
    """Names of the samples that the service's /metrics has."""
    families = [it for it in vars(metrics).values() if isinstance(it, MetricWrapperBase)]
    names = set()
    for family in families:
        described = next(iter(family.describe()))
        name, kind = described.name, described.type
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(kind, [""])
        names |= {name + suffix for suffix in suffixes}
    return names


def test_without_an_expected_gas_price_the_day_before_says_what_is_unusual() -> None:
    found = {rule["alert"] for group in rule_groups(AlertArgs(namespace="n", stack="s")) for rule in group["rules"]}
    assert "FeesUnusual" in found
    assert "GasPriceHigh" not in found


def test_alerts_and_dashboards_name_metrics_that_exist(rules: dict[str, dict[str, Any]]) -> None:
    expressions = [rule["expr"] for rule in rules.values()]
    for text in render_dashboards("staging").values():
        expressions += [target["expr"] for panel in json.loads(text)["panels"] for target in panel["targets"]]
    served = _served()
    for expression in expressions:
        unknown = {it for it in _metrics_of(expression) if it not in served and not FOREIGN.match(it)}
        assert not unknown, f"{expression} names {unknown}"


def test_every_alert_says_who_what_and_where_to_read_on(rules: dict[str, dict[str, Any]]) -> None:
    assert len(rules) == sum(map(len, GROUPS.values()))
    for name, rule in rules.items():
        assert rule["labels"]["stack"] == "staging"
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["annotations"]["runbook_url"] == f"https://runbooks.example/{name}"
        assert "$ns" not in rule["expr"]


def test_the_guides_panels_are_there() -> None:
    titles = {panel["title"] for text in render_dashboards("staging").values() for panel in json.loads(text)["panels"]}
    assert titles >= {
        "Requests", "Latency", "Payment verification", "Database connections in use", "Redis hits and misses",
        "Errors by endpoint", "Success", "CPU of the limit", "Memory of the limit", "Disk free", "Errors by type",
    }  # fmt: skip


def test_dashboards_are_the_same_each_time_and_their_panels_do_not_overlap() -> None:
    assert render_dashboards("staging") == render_dashboards("staging")
    for text in render_dashboards("prod").values():
        places = [(it["gridPos"]["x"], it["gridPos"]["y"]) for it in json.loads(text)["panels"]]
        assert len(set(places)) == len(places)


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not on PATH")
def test_promtool_takes_the_rules(tmp_path: Path, rules: dict[str, dict[str, Any]]) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": list(rules.values())}]}), encoding="utf-8")
    ran = subprocess.run(["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


# Series over time (one sample a minute), and which alert fires at which minute for them.
FIRES = [
    ('rail_up{namespace="payments",rail="lnd"}', "1 0x20", "LightningDown", 2, True),
    ('rail_up{namespace="payments",rail="lnd"}', "1 0x20", "LightningDownLong", 5, False),
    ('rail_up{namespace="payments",rail="lnd"}', "1 0x20", "LightningDownLong", 7, True),
    ('rail_up{namespace="payments",rail="lnd"}', "0.5x20", "LightningDown", 10, False),
    ('up{namespace="payments",job="402pay-facilitator"}', "1 0x20", "ServiceDown", 3, True),
    ('up{namespace="payments",job="402pay-facilitator"}', "1x20", "ServiceDown", 3, False),
    ('up{namespace="other",job="402pay-facilitator"}', "1x20", "ServiceDown", 3, True),
    ('payments_pending{namespace="payments",state="pending"}', "101x20", "ManyPaymentsPending", 2, True),
    ('payments_pending{namespace="payments",state="pending"}', "100x20", "ManyPaymentsPending", 5, False),
    ('payments_unknown_oldest_seconds{namespace="payments"}', "181x20", "PaymentStuck", 2, True),
    ('redis_up{namespace="payments"}', "0x20", "RedisDown", 2, True),
    ('ledger_imbalance{namespace="payments",asset="BTC"}', "-1x20", "LedgerImbalance", 1, True),
    (
        'payment_discrepancies_open{namespace="payments",rail="lnd",asset="BTC"}',
        "1x20",
        "RailsAndBooksDiffer",
        2,
        True,
    ),
    (
        'payment_discrepancies_open{namespace="payments",rail="lnd",asset="BTC"}',
        "0x20",
        "RailsAndBooksDiffer",
        5,
        False,
    ),
    ('arrivals_reversed{namespace="payments",rail="onchain",asset="BTC"}', "1x20", "ArrivalReversed", 1, True),
    ('circuit_breaker_open{namespace="payments",upstream="esplora"}', "1x20", "UpstreamLeftAlone", 6, True),
    ('circuit_breaker_open{namespace="payments",upstream="esplora"}', "0.5x20", "UpstreamLeftAlone", 6, False),
]
SHARES = [
    ("payments_total", 'rail="lnd",outcome="{}"', ("failed", "succeeded"), 6, 94, "PaymentsFail", True),
    ("payments_total", 'rail="lnd",outcome="{}"', ("failed", "succeeded"), 4, 96, "PaymentsFail", False),
    ("payments_total", 'rail="lnd",outcome="{}"', ("failed", "succeeded"), 19, 81, "ManyPaymentsFail", False),
    ("payments_total", 'rail="lnd",outcome="{}"', ("failed", "succeeded"), 21, 79, "ManyPaymentsFail", True),
    ("verification_total", 'outcome="{}"', ("invalid", "valid"), 6, 94, "VerificationsFail", True),
    ("http_request_duration_seconds_count", 'status="{}"', ("500", "200"), 3, 197, "RequestsFail", True),
    ("http_request_duration_seconds_count", 'status="{}"', ("500", "200"), 3, 197, "ManyRequestsFail", False),
    ("http_request_duration_seconds_count", 'status="{}"', ("500", "200"), 5, 195, "ManyRequestsFail", True),
]


def _share_series(row: tuple[Any, ...]) -> list[dict[str, str]]:
    name, labels, (bad, good), failed, fine, *_ = row
    return [
        {"series": f'{name}{{namespace="payments",{labels.format(value)}}}', "values": f"0+{each}x20"}
        for value, each in ((bad, failed), (good, fine))
    ]


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not on PATH")
def test_alerts_fire_at_their_thresholds_and_not_below(tmp_path: Path, rules: dict[str, dict[str, Any]]) -> None:
    groups = rule_groups(AlertArgs(namespace="payments", stack="staging"))
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}), encoding="utf-8")
    cases = [([{"series": series, "values": values}], alert, at, fires) for series, values, alert, at, fires in FIRES]
    cases += [(_share_series(row), row[5], 15, row[6]) for row in SHARES]
    for number, (series, alert, at, fires) in enumerate(cases):
        query = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)'
        sample = [{"labels": "{}", "value": 1 if fires else 0}]
        test = {
            "rule_files": ["rules.yaml"],
            "evaluation_interval": "1m",
            "tests": [
                {
                    "interval": "1m",
                    "input_series": series,
                    "promql_expr_test": [{"expr": query, "eval_time": f"{at}m", "exp_samples": sample}],
                }
            ],
        }
        file = tmp_path / f"test-{number}.yaml"
        file.write_text(yaml.safe_dump(test), encoding="utf-8")
        ran = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, f"{alert} {series}: {ran.stdout}{ran.stderr}"
