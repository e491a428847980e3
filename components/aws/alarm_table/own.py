"""Alarms that no guide asks for and a payment service cannot be without."""

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
    payments,
)

GIB = 1024**3


def own_rows(subject: Subject) -> Iterator[AlarmRow]:
    """What no guide asks for and a payment service cannot be without."""
    yield AlarmRow(
        name="metrics-silent",
        severity=Severity.CRITICAL,
        metrics={"pending": Metric(source=Source.PAYMENTS, name=names.PENDING_TRANSACTIONS, statistic="SampleCount")},
        comparison=Comparison.BELOW,
        threshold=1,
        period_seconds=MINUTE,
        periods=3,
        missing=Missing.BREACHING,
        what="No worker has published its metrics for 3 min: alarms on them are blind.",
    )
    for name, metric, statistic, threshold, periods, severity, what in (
        ("ledger-imbalance", names.LEDGER_IMBALANCE, "Maximum", 0, 1, Severity.CRITICAL, "The ledger's sum is not 0."),
        ("reconciliation-drift", names.OPEN_DISCREPANCIES, "Maximum", 0, 1, Severity.CRITICAL,
         "A rail and the books differ, and nobody has explained it."),
        ("arrivals-reversed", names.ARRIVALS_REVERSED, "Maximum", 0, 1, Severity.CRITICAL,
         "Money that was credited is gone from its rail: a reorganisation took it away."),
        ("audit-breaks", names.AUDIT_BREAKS, "Maximum", 0, 1, Severity.CRITICAL, "Rows of the audit log were changed."),
        ("audit-unsealed", names.AUDIT_UNSEALED_SECONDS, "Maximum", 60, 3, Severity.WARN, "Audit rows stay unsealed."),
        ("audit-unarchived", names.AUDIT_UNARCHIVED_SECONDS, "Maximum", 1800, 1, Severity.CRITICAL,
         "Audit rows have been outside the archive for half an hour."),
        ("payment-unknown", names.OLDEST_UNKNOWN_SECONDS, "Maximum", 900, 1, Severity.CRITICAL,
         "The outcome of a payment has been unknown for 15 min."),
        ("outbox-lag", names.OUTBOX_LAG_SECONDS, "Maximum", 30, 3, Severity.CRITICAL, "Jobs wait in the outbox."),
        ("webhook-lag", names.WEBHOOK_LAG_SECONDS, "Maximum", 300, 3, Severity.WARN, "Webhooks are late."),
        ("unknown-jobs", names.UNKNOWN_JOBS, "Sum", 0, 1, Severity.WARN, "Jobs of another release found no handler."),
    ):  # fmt: skip
        yield AlarmRow(
            name=name,
            severity=severity,
            metrics={"value": payments(metric, statistic)},
            threshold=threshold,
            period_seconds=MINUTE,
            periods=periods,
            what=what,
            is_gate=name == "ledger-imbalance",
        )
    for name, source, metric, statistic, limit, comparison, what in (
        ("database-cpu", Source.DATABASE, "CPUUtilization", "Average", 90.0, Comparison.ABOVE,
         "The database's CPU is used up."),
        ("database-connections", Source.DATABASE, "DatabaseConnections", "Maximum",
         0.9 * subject.database_maximum_connections, Comparison.ABOVE, "Its connections are nearly used up."),
        ("database-memory", Source.DATABASE, "FreeableMemory", "Minimum", 0.25 * GIB, Comparison.BELOW,
         "The database has less than 256 MiB of memory left."),
        ("cache-cpu", Source.CACHE, "EngineCPUUtilization", "Average", 90.0, Comparison.ABOVE, "Redis is busy."),
        ("cache-memory", Source.CACHE, "DatabaseMemoryUsagePercentage", "Maximum", 80.0, Comparison.ABOVE,
         "Redis' memory is nearly used up: limits would be evicted."),
    ):  # fmt: skip
        yield AlarmRow(
            name=name,
            severity=Severity.WARN,
            metrics={"value": Metric(source=source, name=metric, statistic=statistic)},
            comparison=comparison,
            threshold=limit,
            periods=3,
            missing=Missing.BREACHING,
            what=what,
        )
    for name, source, metric, what in (
        ("backup-failed", Source.BACKUPS, "NumberOfBackupJobsFailed", "A backup failed."),
        ("restore-test-failed", Source.BACKUPS, "NumberOfRestoreJobsFailed", "A restore test failed."),
        ("schedule-failed", Source.SCHEDULES, "TargetErrorCount", "A scheduled task could not be started."),
    ):
        yield AlarmRow(
            name=name,
            severity=Severity.CRITICAL,
            metrics={"failed": Metric(source=source, name=metric, statistic="Sum")},
            threshold=0,
            period_seconds=3600,
            what=what,
        )
