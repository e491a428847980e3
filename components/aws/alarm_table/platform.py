"""Alarms on the way in, on the tasks, the database and the cache, and on the objectives (SLOs)."""

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
    Subject,
    failure_rate,
    payments,
    share,
)

GIB = 1024**3
# SLOs (facts.md row 2 and tn-target-uptime-999). Burn rates and windows are those of the SRE workbook, chapter 5.
SUCCESS_SLO_PERCENT = 99.0
AVAILABILITY_SLO_PERCENT = 99.9
FAST_BURN, SLOW_BURN = 14.4, 6.0


def _http(name: str, statistic: str = "Sum") -> Metric:
    return Metric(source=Source.LOAD_BALANCER, name=name, statistic=statistic)


# The load balancer's own 5xx count too: no healthy target is an error of ours.
ERRORS = {
    "ours": _http("HTTPCode_Target_5XX_Count"),
    "balancers": _http("HTTPCode_ELB_5XX_Count"),
    "total": _http("RequestCount"),
}
ERROR_RATE = share("(FILL(ours, 0) + FILL(balancers, 0))", "(FILL(total, 0) + FILL(balancers, 0))")


def http_rows() -> Iterator[AlarmRow]:
    for severity, threshold, requirements in (
        (Severity.WARN, 1, ("x4-alert-error-rate-1", "ms-incident-error-alerts")),
        (Severity.CRITICAL, 2, ("st-alert-error-2", "ms-incident-error-alerts")),
    ):
        yield AlarmRow(
            name=f"error-rate-{'warn' if severity is Severity.WARN else 'crit'}",
            requirements=requirements,
            severity=severity,
            metrics=dict(ERRORS),
            expression=ERROR_RATE,
            threshold=threshold,
            what=f"More than {threshold} % of the requests end in an error of ours.",
            is_gate=severity is Severity.CRITICAL,
        )
    yield AlarmRow(
        name="response-time",
        requirements=("st-alert-response-5s",),
        severity=Severity.WARN,
        metrics={"seconds": _http("TargetResponseTime", "Average")},
        threshold=5,
        what="Answers take longer than 5 s on average.",
        is_gate=True,
    )
    unhealthy = Metric(source=Source.TARGET_GROUPS, name="UnHealthyHostCount", statistic="Maximum")
    yield AlarmRow(
        name="health-check",
        requirements=("x4-alert-health-1m",),
        severity=Severity.CRITICAL,
        metrics={
            "one": unhealthy,
            "other": Metric(
                source=Source.TARGET_GROUPS, name="UnHealthyHostCount", statistic="Maximum", alternate=True
            ),
        },
        # In a rollout either group serves; a group without targets publishes nothing.
        expression="FILL(one, 0) + FILL(other, 0)",
        threshold=0,
        period_seconds=MINUTE,
        what="A task has failed the load balancer's health check for 1 min.",
    )
    yield AlarmRow(
        name="service-down",
        severity=Severity.CRITICAL,
        metrics={
            "one": Metric(source=Source.TARGET_GROUPS, name="HealthyHostCount", statistic="Minimum"),
            "other": Metric(source=Source.TARGET_GROUPS, name="HealthyHostCount", statistic="Minimum", alternate=True),
        },
        expression="FILL(one, 0) + FILL(other, 0)",
        comparison=Comparison.BELOW,
        threshold=1,
        period_seconds=MINUTE,
        missing=Missing.BREACHING,
        what="No healthy task is behind the load balancer: the service is down.",
    )
    yield AlarmRow(
        name="uptime",
        requirements=("st-mon-uptime",),
        severity=Severity.CRITICAL,
        metrics={"status": Metric(source=Source.UPTIME, name="HealthCheckStatus", statistic="Minimum")},
        comparison=Comparison.BELOW,
        threshold=1,
        period_seconds=MINUTE,
        missing=Missing.BREACHING,
        what="Probes from outside get no good answer from /health.",
    )


def resource_rows(subject: Subject) -> Iterator[AlarmRow]:
    for role, source in (("web", Source.WEB), ("worker", Source.WORKER)):
        for what, threshold, requirement in (
            ("CPU", 90, "st-alert-cpu-90"),
            ("Memory", 80, "st-alert-memory-80"),
        ):
            yield AlarmRow(
                name=f"{role}-{what.lower()}",
                requirements=(requirement,),
                severity=Severity.WARN,
                metrics={"used": Metric(source=source, name=f"{what}Utilization", statistic="Average")},
                threshold=threshold,
                # Memory scales out at the same figure: only a breach that lasts is one (facts.md row 12).
                period_seconds=MINUTE,
                periods=5,
                missing=Missing.BREACHING,
                what=f"The {role} tasks have used more than {threshold} % of their {what} for 5 min.",
            )
    for severity, percent, requirement in (
        (Severity.WARN, 20, "x4-alert-disk-20"),
        (Severity.CRITICAL, 10, "st-alert-disk-10"),
    ):
        yield AlarmRow(
            name=f"database-disk-{percent}",
            requirements=(requirement,),
            severity=severity,
            metrics={"free": Metric(source=Source.DATABASE, name="FreeStorageSpace", statistic="Minimum")},
            comparison=Comparison.BELOW,
            threshold=subject.database_storage_gib * GIB * percent / 100,
            missing=Missing.BREACHING,
            what=f"Less than {percent} % of the database's {subject.database_storage_gib} GiB is free.",
        )
    yield AlarmRow(
        name="database-pool",
        requirements=("x4-alert-db-pool",),
        severity=Severity.CRITICAL,
        metrics={"used": payments(names.DATABASE_POOL_IN_USE_PERCENT, "Maximum")},
        comparison=Comparison.AT_LEAST,
        threshold=100,
        period_seconds=MINUTE,
        periods=2,
        what="A process has all connections of its pool in use.",
    )
    yield AlarmRow(
        name="database-errors",
        requirements=("st-alert-db-errors",),
        severity=Severity.CRITICAL,
        metrics={"errors": payments(names.DATABASE_ERRORS, "Sum")},
        threshold=0,
        period_seconds=MINUTE,
        what="The service could not reach the database.",
    )
    yield AlarmRow(
        name="redis-down",
        requirements=("x4-alert-redis-down",),
        severity=Severity.CRITICAL,
        metrics={"up": payments(names.REDIS_UP, "Minimum")},
        comparison=Comparison.BELOW,
        threshold=1,
        period_seconds=MINUTE,
        missing=Missing.BREACHING,
        what="Redis does not answer: payouts, new keys and log-ins are refused.",
    )


def slo_rows() -> Iterator[AlarmRow]:
    """Burn of the error budgets. The success alarm stays at 95 %, the target is 99 %: these see what lies between."""
    budget = 100 - SUCCESS_SLO_PERCENT
    for suffix, burn, hours, severity in (
        ("fast", FAST_BURN, 1, Severity.CRITICAL),
        ("slow", SLOW_BURN, 6, Severity.WARN),
        ("day", 1.0, 24, Severity.WARN),
    ):
        yield AlarmRow(
            name=f"slo-success-{suffix}",
            requirements=("tn-target-success-99", "st-metric-success-99"),
            severity=severity,
            metrics=failure_rate(),
            expression=share("failed", "total"),
            threshold=round(budget * burn, 4),
            period_seconds=hours * 3600,
            what=f"Over {hours} h payments fail {burn:g} times as often as the objective of "
            f"{SUCCESS_SLO_PERCENT:g} % allows.",
        )
    budget = 100 - AVAILABILITY_SLO_PERCENT
    for suffix, burn, hours, severity in (
        ("fast", FAST_BURN, 1, Severity.CRITICAL),
        ("slow", SLOW_BURN, 6, Severity.WARN),
    ):
        yield AlarmRow(
            name=f"slo-availability-{suffix}",
            requirements=("tn-target-uptime-999",),
            severity=severity,
            metrics=dict(ERRORS),
            expression=ERROR_RATE,
            threshold=round(budget * burn, 4),
            period_seconds=hours * 3600,
            what=f"Over {hours} h errors of ours are {burn:g} times as frequent as the objective of "
            f"{AVAILABILITY_SLO_PERCENT:g} % allows.",
        )
