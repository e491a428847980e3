"""What a row of the table of alarms says; `alarms.py` makes the resources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from components.aws import metric_names as names

FIVE_MINUTES = 300
MINUTE = 60


class Severity(StrEnum):
    """Where the alarm goes: warnings to email and Slack, critical ones to PagerDuty as well."""

    WARN = "warn"
    CRITICAL = "critical"


class Missing(StrEnum):
    """CloudWatch's words for what missing data mean."""

    BREACHING = "breaching"
    NOT_BREACHING = "notBreaching"
    IGNORE = "ignore"


class Comparison(StrEnum):
    """CloudWatch's words for how a value and a threshold are compared."""

    ABOVE = "GreaterThanThreshold"
    AT_LEAST = "GreaterThanOrEqualToThreshold"
    BELOW = "LessThanThreshold"
    ABOVE_BAND = "GreaterThanUpperThreshold"


class Source(StrEnum):
    """Whose metric it is; `alarms.py` knows each one's namespace and dimensions."""

    PAYMENTS = "payments"
    LOAD_BALANCER = "load balancer"
    TARGET_GROUPS = "target groups"
    WEB = "web"
    WORKER = "worker"
    DATABASE = "database"
    CACHE = "cache"
    WAF = "waf"
    UPTIME = "uptime"
    SCHEDULES = "schedules"
    BACKUPS = "backups"


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One CloudWatch metric.

    Attributes:
        source: whose it is.
        name: its name.
        statistic: Sum, Average, Minimum, Maximum or a percentile such as p99.
        rail: value of its dimension Rail; None without that dimension.
        alternate: for `TARGET_GROUPS`, the group that serves the other half of a rollout.
    """

    source: Source
    name: str
    statistic: str
    rail: str | None = None
    alternate: bool = False


@dataclass(frozen=True, kw_only=True)
class AlarmRow:
    """One alarm.

    Attributes:
        name: part of the alarm's name after the stack's.
        requirements: ids of docs/requirements.yaml that it meets; none for what we add.
        severity: who is told.
        metrics: by id; with an `expression`, its terms, otherwise the one that is watched.
        expression: metric math over the ids; "" watches the one metric itself.
        comparison, threshold: when it fires; the threshold of an `ABOVE_BAND` is the band's width in deviations.
        period_seconds, periods: over how long; `datapoints` of the periods have to breach, all when None.
        missing: what missing data mean.
        what: the sentence for the person who is woken.
        is_gate: whether a rollout that trips it is rolled back.
    """

    name: str
    severity: Severity
    metrics: dict[str, Metric]
    threshold: float
    what: str
    requirements: tuple[str, ...] = ()
    expression: str = ""
    comparison: Comparison = Comparison.ABOVE
    period_seconds: int = FIVE_MINUTES
    periods: int = 1
    datapoints: int | None = None
    missing: Missing = Missing.NOT_BREACHING
    is_gate: bool = False


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What the thresholds depend on.

    Attributes:
        rails: rails that this stack offers, by the service's names for them.
        database_storage_gib: storage that the database was given.
        database_maximum_connections: what its class allows.
        expected_gas_price: fee a transaction above which "unusually high" begins, in minor units; None lets CloudWatch
            learn the usual range.
    """

    rails: Sequence[str]
    database_storage_gib: int
    database_maximum_connections: int
    expected_gas_price: float | None = None


def payments(name: str, statistic: str, rail: str | None = None) -> Metric:
    return Metric(source=Source.PAYMENTS, name=name, statistic=statistic, rail=rail)


def share(part: str, whole: str) -> str:
    """Metric math: 100 * part / whole, and 0 when nothing happened."""
    return f"IF({whole} > 0, 100 * {part} / {whole}, 0)"


def failure_rate(rail: str | None = None) -> dict[str, Metric]:
    return {
        "failed": payments(names.FAILED_TRANSACTIONS, "Sum", rail),
        "total": payments(names.TRANSACTION_COUNT, "Sum", rail),
    }
