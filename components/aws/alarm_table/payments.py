"""Alarms on payments: per rail, over all rails, fees, and what looks like an attack."""

from __future__ import annotations

from collections.abc import Iterator

from components.aws import metric_names as names
from components.aws.alarm_table.model import (
    MINUTE,
    AlarmRow,
    Comparison,
    Metric,
    Missing,
    Severity,
    Source,
    failure_rate,
    payments,
    share,
)


def rail_rows(rail: str, *, is_on: bool) -> Iterator[AlarmRow]:
    """The alarms that each rail has (facts.md table 2a, rows 1 and 5)."""
    pk_reachable = {"lnd": "pk-alert-lnd", "onchain": "pk-alert-esplora"}.get(rail)
    for severity, minutes, suffix in ((Severity.WARN, 1, "warn"), (Severity.CRITICAL, 5, "crit")):
        yield AlarmRow(
            name=f"{rail}-unreachable-{suffix}",
            requirements=(f"{pk_reachable}-{suffix}",) if pk_reachable else (),
            severity=severity,
            metrics={"up": payments(names.RAIL_UP, "Minimum", rail)},
            comparison=Comparison.BELOW,
            threshold=0.5,
            period_seconds=MINUTE,
            periods=minutes,
            # A worker that says nothing cannot vouch for the rail. A rail that is off has nobody to speak for it.
            missing=Missing.BREACHING if is_on else Missing.NOT_BREACHING,
            what=f"The rail {rail} has not answered for {minutes} min: payments on it wait.",
        )
    if not is_on:
        return
    for severity, threshold, suffix in ((Severity.WARN, 5, "warn"), (Severity.CRITICAL, 20, "crit")):
        yield AlarmRow(
            name=f"{rail}-failures-{suffix}",
            requirements=(f"pk-alert-failure-{suffix}",),
            severity=severity,
            metrics=failure_rate(rail),
            expression=share("failed", "total"),
            threshold=threshold,
            what=f"More than {threshold} % of the payments on {rail} fail.",
            is_gate=True,
        )
    for severity, threshold, suffix in ((Severity.WARN, 10, "warn"), (Severity.CRITICAL, 30, "crit")):
        yield AlarmRow(
            name=f"{rail}-slow-{suffix}",
            requirements=(f"pk-alert-latency-{suffix}",),
            severity=severity,
            metrics={"seconds": payments(names.PAYMENT_SECONDS, "p99", rail)},
            threshold=threshold,
            what=f"One payment in a hundred on {rail} takes longer than {threshold} s from acceptance to its end.",
        )


def payment_rows() -> Iterator[AlarmRow]:
    yield AlarmRow(
        name="payment-failures",
        requirements=("st-alert-failure-5",),
        severity=Severity.WARN,
        metrics=failure_rate(),
        expression=share("failed", "total"),
        threshold=5,
        what="More than 5 % of all payments fail.",
        is_gate=True,
    )
    yield AlarmRow(
        name="success-rate",
        requirements=("tn-mon-success-95",),
        severity=Severity.CRITICAL,
        metrics={"success": payments(names.SUCCESS_RATE, "Average")},
        comparison=Comparison.BELOW,
        threshold=95,
        what="Fewer than 95 % of the payments succeed.",
    )
    yield AlarmRow(
        name="pending-transactions",
        requirements=("tn-mon-pending-100",),
        severity=Severity.WARN,
        metrics={"pending": payments(names.PENDING_TRANSACTIONS, "Maximum")},
        threshold=100,
        period_seconds=MINUTE,
        what="More than 100 payments have no final state.",
    )
    yield AlarmRow(
        name="payment-stuck",
        requirements=("tn-ts-stuck-symptom",),
        severity=Severity.WARN,
        metrics={"age": payments(names.OLDEST_PENDING_SECONDS, "Maximum")},
        threshold=180,
        period_seconds=MINUTE,
        what="A payment has been without a final state for more than 3 min.",
    )
    yield AlarmRow(
        name="verification-failures",
        requirements=("x4-alert-verify-fail-5",),
        severity=Severity.WARN,
        metrics={
            "failed": payments(names.FAILED_VERIFICATIONS, "Sum"),
            "total": payments(names.VERIFICATIONS, "Sum"),
        },
        expression=share("failed", "total"),
        threshold=5,
        what="More than 5 % of the x402 verifications fail.",
    )
    yield AlarmRow(
        name="network-timeouts",
        requirements=("st-alert-timeouts",),
        severity=Severity.WARN,
        metrics={"errors": payments(names.RAIL_NETWORK_ERRORS, "Sum")},
        threshold=0,
        what="A rail's network did not answer in time.",
    )


def gas_row(expected: float | None) -> AlarmRow:
    return AlarmRow(
        name="gas-price",
        requirements=("tn-mon-gas-high",),
        severity=Severity.WARN,
        metrics={"price": payments(names.GAS_PRICE, "Average")},
        expression="" if expected is not None else "ANOMALY_DETECTION_BAND(price, 3)",
        comparison=Comparison.ABOVE_BAND if expected is None else Comparison.ABOVE,
        threshold=3 if expected is None else expected,
        periods=3,
        what="Network fees are unusually high: consider the fallback rails (runbook: congestion).",
    )


def security_rows() -> Iterator[AlarmRow]:
    yield AlarmRow(
        name="suspicious-user",
        requirements=("tn-mon-suspicious", "tn-sec-suspicious-10"),
        severity=Severity.WARN,
        metrics={"failures": payments(names.FAILURES_OF_ONE_USER, "Maximum")},
        comparison=Comparison.AT_LEAST,
        threshold=10,
        period_seconds=MINUTE,
        what="One user had 10 failed payments within an hour.",
    )
    yield AlarmRow(
        name="anomalous-traffic",
        requirements=("tn-secmon-anomalies",),
        severity=Severity.WARN,
        metrics={"refused": Metric(source=Source.LOAD_BALANCER, name="HTTPCode_Target_4XX_Count", statistic="Sum")},
        expression="ANOMALY_DETECTION_BAND(refused, 3)",
        comparison=Comparison.ABOVE_BAND,
        threshold=3,
        period_seconds=MINUTE,
        periods=3,
        what="Far more requests are refused than is usual at this time: somebody may be trying keys.",
    )
    yield AlarmRow(
        name="anomalous-transactions",
        requirements=("tn-secmon-anomalies",),
        severity=Severity.WARN,
        metrics={"transactions": payments(names.TRANSACTION_COUNT, "Sum")},
        expression="ANOMALY_DETECTION_BAND(transactions, 3)",
        comparison=Comparison.ABOVE_BAND,
        threshold=3,
        period_seconds=MINUTE,
        periods=3,
        what="Far more payments are made than is usual at this time.",
    )
    yield AlarmRow(
        name="blocked-requests",
        severity=Severity.WARN,
        metrics={"blocked": Metric(source=Source.WAF, name="BlockedRequests", statistic="Sum")},
        threshold=1000,
        what="The firewall blocked more than 1,000 requests in 5 min.",
    )
