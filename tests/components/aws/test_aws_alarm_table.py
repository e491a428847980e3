"""Every row of the guides' alert table (facts.md section 8) has its alarm: threshold, duration, severity, missing data.

The rows are held against docs/requirements.yaml, so none can be forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache as remembered
from typing import Any

import pytest
import yaml

from components.aws.alarm_table import AlarmRow, Comparison, Missing, Severity, Subject, alarm_rows, gate_names
from tests.components.aws.declaring import CHECKOUT, Declared, declared
from tests.components.aws.workload_programs import CRITICAL, RAILS, WARN, alarms, subject

GIB = 1024**3
# "st-mon-alerts" and its like ask that there are alarms at all; the channels are `notifications.py`.
NOT_ROWS = {
    "ms-pre-alerts", "st-mon-alerts", "tn-alert-email", "tn-alert-slack", "tn-alert-pagerduty", "st-verify-alerts",
    "x4-final-alerts", "tn-arch-cloudwatch-alarms",
}  # fmt: skip


@dataclass(frozen=True)
class Stated:
    """What the table states of a row: comparison, threshold, seconds it has to last and severity; None is n/s."""

    comparison: Comparison
    threshold: float
    seconds: int | None = None
    severity: Severity | None = None


ABOVE, BELOW, AT_LEAST, BAND = Comparison.ABOVE, Comparison.BELOW, Comparison.AT_LEAST, Comparison.ABOVE_BAND
SECTION_8 = {
    "pk-alert-failure-warn": Stated(ABOVE, 5, None, Severity.WARN),
    "pk-alert-failure-crit": Stated(ABOVE, 20, None, Severity.CRITICAL),
    "pk-alert-latency-warn": Stated(ABOVE, 10, None, Severity.WARN),
    "pk-alert-latency-crit": Stated(ABOVE, 30, None, Severity.CRITICAL),
    "pk-alert-lnd-warn": Stated(BELOW, 0.5, 60, Severity.WARN),
    "pk-alert-lnd-crit": Stated(BELOW, 0.5, 300, Severity.CRITICAL),
    "pk-alert-esplora-warn": Stated(BELOW, 0.5, 60, Severity.WARN),
    "pk-alert-esplora-crit": Stated(BELOW, 0.5, 300, Severity.CRITICAL),
    "ms-incident-error-alerts": Stated(ABOVE, 1),
    "x4-alert-health-1m": Stated(ABOVE, 0, 60),
    "x4-alert-error-rate-1": Stated(ABOVE, 1),
    "x4-alert-db-pool": Stated(AT_LEAST, 100),
    "x4-alert-redis-down": Stated(BELOW, 1),
    "x4-alert-verify-fail-5": Stated(ABOVE, 5),
    "x4-alert-disk-20": Stated(BELOW, 20 * GIB),
    "tn-mon-success-95": Stated(BELOW, 95),
    "tn-mon-pending-100": Stated(ABOVE, 100),
    "tn-mon-gas-high": Stated(BAND, 3),
    "tn-mon-suspicious": Stated(AT_LEAST, 10),
    "tn-sec-suspicious-10": Stated(AT_LEAST, 10),
    "tn-ts-stuck-symptom": Stated(ABOVE, 180),
    "tn-secmon-anomalies": Stated(BAND, 3),
    "st-alert-failure-5": Stated(ABOVE, 5),
    "st-alert-response-5s": Stated(ABOVE, 5),
    "st-alert-error-2": Stated(ABOVE, 2),
    "st-alert-db-errors": Stated(ABOVE, 0),
    "st-alert-timeouts": Stated(ABOVE, 0),
    "st-alert-disk-10": Stated(BELOW, 10 * GIB),
    "st-alert-memory-80": Stated(ABOVE, 80),
    "st-alert-cpu-90": Stated(ABOVE, 90),
    "st-mon-uptime": Stated(BELOW, 1),
}


def requirements() -> dict[str, dict[str, Any]]:
    found = yaml.safe_load((CHECKOUT / "docs" / "requirements.yaml").read_text(encoding="utf-8"))
    return {row["id"]: row for row in found}


def rows(**changes: Any) -> tuple[AlarmRow, ...]:
    return alarm_rows(subject(**changes))


@remembered
def whole() -> Declared:
    return declared(alarms)


def meeting(requirement: str) -> list[AlarmRow]:
    return [row for row in rows() if requirement in row.requirements]


def test_every_requirement_of_kind_alarm_is_a_row_here() -> None:
    of_kind = {name for name, row in requirements().items() if row["kind"] == "alarm"}
    # tn-ts-stuck-symptom is filed as a runbook's, tn-secmon-anomalies as security's: the table has both.
    assert of_kind - NOT_ROWS <= set(SECTION_8)
    assert set(SECTION_8) <= set(requirements())


@pytest.mark.parametrize("requirement", SECTION_8)
def test_a_row_of_the_table_has_its_alarm(requirement: str) -> None:
    stated, found = SECTION_8[requirement], meeting(requirement)
    assert found, f"no alarm meets {requirement}"
    fitting = [
        row
        for row in found
        if (row.comparison, row.threshold) == (stated.comparison, stated.threshold)
        and stated.severity in (None, row.severity)
        and stated.seconds in (None, row.period_seconds * row.periods)
    ]
    assert fitting, f"{requirement} is met by {found}, none of which is {stated}"


@pytest.mark.parametrize("requirement", SECTION_8)
def test_it_is_declared_with_a_rule_for_missing_data_and_a_topic(requirement: str) -> None:
    declared_alarms = whole().of("cloudwatch/metricAlarm:MetricAlarm")
    for row in meeting(requirement):
        alarm = declared_alarms[f"it-{row.name}"]
        topic = CRITICAL if row.severity is Severity.CRITICAL else WARN
        assert alarm["alarmActions"] == [topic]
        assert alarm["treatMissingData"] == row.missing.value
        assert alarm["evaluationPeriods"] == row.periods
        assert requirement in alarm["alarmDescription"]
        period = alarm.get("period") or alarm["metricQueries"][0]["metric"]["period"]
        assert period == row.period_seconds
        if row.comparison is Comparison.ABOVE_BAND:
            assert alarm["thresholdMetricId"] == "result"
            assert f", {row.threshold:g})" in row.expression
        else:
            assert alarm["threshold"] == row.threshold


def test_requirements_that_alarms_name_exist() -> None:
    known = requirements()
    assert [name for row in rows() for name in row.requirements if name not in known] == []


def test_names_are_unique_and_cloudwatch_takes_every_window() -> None:
    found = rows()
    assert len({row.name for row in found}) == len(found)
    for row in found:
        # PutMetricAlarm: at most a day in all below an hour's period, seven days from there on.
        assert row.period_seconds * row.periods <= (86_400 if row.period_seconds < 3600 else 7 * 86_400)
        assert row.period_seconds in (60, 300) or row.period_seconds % 3600 == 0


def test_each_rail_has_its_pair_of_failure_and_latency_alarms() -> None:
    found = {row.name for row in rows()}
    for rail in RAILS:
        assert {
            f"{rail}-{what}-{how}" for what in ("failures", "slow", "unreachable") for how in ("warn", "crit")
        } <= found


def test_a_rail_that_is_off_has_nobody_who_could_be_silent() -> None:
    by_name = {row.name: row for row in rows()}
    assert by_name["lnd-unreachable-crit"].missing is Missing.BREACHING
    assert by_name["onchain-unreachable-crit"].missing is Missing.NOT_BREACHING
    on = {row.name: row for row in rows(rails=("onchain",))}
    assert on["onchain-unreachable-crit"].missing is Missing.BREACHING


def test_the_gap_between_objective_and_alarm_is_watched() -> None:
    """Between 95 and 99 % success no alarm of the guides fires (facts.md row 2)."""
    day = next(row for row in rows() if row.name == "slo-success-day")
    assert (day.threshold, day.period_seconds) == (1.0, 86_400)


def test_disk_thresholds_follow_the_storage() -> None:
    by_name = {row.name: row for row in rows(database_storage_gib=200)}
    assert by_name["database-disk-20"].threshold == 40 * GIB


def test_a_known_gas_price_is_a_plain_threshold() -> None:
    (row,) = [row for row in rows(expected_gas_price=50_000_000) if row.name == "gas-price"]
    assert (row.comparison, row.threshold, row.expression) == (Comparison.ABOVE, 50_000_000, "")


def test_gates_of_a_rollout_are_alarms_that_exist() -> None:
    names = {inputs["name"] for inputs in whole().of("cloudwatch/metricAlarm:MetricAlarm").values()}
    gates = gate_names("it", Subject(rails=RAILS, database_storage_gib=100, database_maximum_connections=400))
    assert {"it-error-rate-crit", "it-lnd-failures-crit", "it-ledger-imbalance"} <= set(gates) <= names


def test_a_rail_that_differs_from_the_books_and_a_reversed_arrival_wake_somebody() -> None:
    rows = {
        row.name: row
        for row in alarm_rows(Subject(rails=RAILS, database_storage_gib=100, database_maximum_connections=400))
    }
    for name, metric in (("reconciliation-drift", "OpenDiscrepancies"), ("arrivals-reversed", "ArrivalsReversed")):
        (watched,) = rows[name].metrics.values()
        assert (watched.name, rows[name].severity, rows[name].threshold) == (metric, Severity.CRITICAL, 0)
