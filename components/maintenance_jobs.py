"""The maintenance that the guides ask for at a time (facts.md section 11), one list for every platform.

Each job is a command of the service's own image. ECS makes schedules of them (`aws/scheduled_tasks.py`), Kubernetes
CronJobs (`kubernetes/maintenance.py`).

What the worker does by itself every few seconds to an hour needs no job: expired invoices, spent nonces, old
idempotency keys, new partitions, balance snapshots, reconciliation. Copies of the database and their restore tests are
AWS Backup's, rotation is Secrets Manager's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from components.arguments import ArgumentError

_CRON = re.compile(r"([0-5]?\d) ([01]?\d|2[0-3]) (\*|[1-9]|1\d|2[0-8]) \* (\*|[0-6])")
Login = Literal["app", "owner"]
"""Whose login of the database a job is given: DATABASE_URL of payments_app, or DATABASE_OWNER_URL of payments_owner."""


@dataclass(frozen=True, kw_only=True)
class MaintenanceJob:
    """A job.

    Attributes:
        name: of it, a DNS label.
        command: arguments of `python -m payments`.
        schedule: cron's five fields in UTC: minute, hour, day of the month (1 to 28 or *), *, day of the week (0 is
            Sunday, or *).
        timeout_minutes: after which it has failed.
        login: of the database.
        archive: whether it reads the audit archive: it is given AUDIT_ARCHIVE_STORE, where there is one.
        requirements: ids of docs/requirements.yaml that it meets, or whose figures it tells.
        what: it does, in a sentence.
    """

    name: str
    command: tuple[str, ...]
    schedule: str
    timeout_minutes: int = 30
    login: Login = "app"
    archive: bool = False
    requirements: tuple[str, ...]
    what: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,40}", self.name):
            raise ArgumentError("MaintenanceJob", "name", f"is {self.name!r}", "Use a DNS label, as in audit-verify.")
        if not self.command:
            raise ArgumentError("MaintenanceJob", "command", "is empty", "Say which command of the service is to run.")
        if _CRON.fullmatch(self.schedule) is None or "*" not in self.schedule.split()[2::2]:
            fix = "Write minute, hour, day of the month or *, *, day of the week or *, as in `15 3 * * *`."
            raise ArgumentError("MaintenanceJob", "schedule", f"is {self.schedule!r}", fix)

    @property
    def aws_schedule(self) -> str:
        """The same time as EventBridge Scheduler writes it: Sunday is day 1, and one of the two days is `?`."""
        minute, hour, day, _month, weekday = self.schedule.split()
        if weekday != "*":
            return f"cron({minute} {hour} ? * {int(weekday) + 1} *)"
        return f"cron({minute} {hour} {day} * ? *)"


MAINTENANCE_JOBS: tuple[MaintenanceJob, ...] = (
    MaintenanceJob(
        name="audit-verify",
        command=("audit", "verify"),
        schedule="30 2 * * *",
        requirements=("tn-secmon-daily-audit", "st-monthly-audit"),
        what="Recomputes the audit log's roots and fails when a row was changed, removed or added.",
    ),
    MaintenanceJob(
        name="audit-archive-verify",
        command=("audit", "verify-archive"),
        schedule="0 4 * * 0",
        timeout_minutes=120,
        archive=True,
        requirements=("tn-secmon-daily-audit", "tn-comp-retention-7y"),
        what="Recomputes the audit archive from its own rows, and compares it with the database.",
    ),
    MaintenanceJob(
        name="report-daily",
        command=("maintain", "report", "--days", "1"),
        schedule="10 0 * * *",
        requirements=("tn-daily-metrics", "st-daily-success", "st-daily-disk", "tn-daily-backup-payments"),
        what="Tells the day before in figures: payments and arrivals by rail, fees, failures, what is open, sizes.",
    ),
    MaintenanceJob(
        name="report-weekly",
        command=("maintain", "report", "--days", "7"),
        schedule="20 0 * * 1",
        requirements=("tn-weekly-large-tx", "st-weekly-tx-logs", "st-weekly-performance"),
        what="Tells the week in figures, with its largest transactions.",
    ),
    MaintenanceJob(
        name="report-monthly",
        command=("maintain", "report", "--days", "31"),
        schedule="30 0 1 * *",
        requirements=("tn-monthly-compliance", "st-monthly-performance", "st-monthly-capacity"),
        what="Tells the month in figures, for compliance and for planning capacity.",
    ),
    MaintenanceJob(
        name="optimise",
        command=("maintain", "optimise"),
        schedule="0 3 2 * *",
        timeout_minutes=240,
        login="owner",
        requirements=("st-monthly-db-opt",),
        what="Vacuums and analyses every table and rebuilds its indexes, while the service goes on.",
    ),
)
