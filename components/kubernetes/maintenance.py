"""Maintenance on a schedule (`railyard:kubernetes:Maintenance`): a CronJob for each of the guides' tasks (facts.md
section 11) that is a command of the service.

What the worker does by itself every few seconds to an hour needs no CronJob: expired invoices, spent nonces, old
idempotency keys, new partitions, balance snapshots, reconciliation. Dumps, restore tests and key rotation are AWS's
(backup plans, rotation schedules).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
from pulumi_kubernetes.batch.v1 import CronJob

from components.arguments import ArgumentError
from components.kubernetes.names import MAINTENANCE, Manifest, labels, metadata, pinned_image, service_name
from components.kubernetes.pods import PodArgs, Resources, pod_spec

_SCHEDULE = re.compile(r"([0-9*/,-]+\s+){4}[0-9*/,-]+")


@dataclass(frozen=True, kw_only=True)
class Task:
    """A command on a schedule.

    Attributes:
        schedule: cron's five fields, in UTC.
        command: arguments of the image's entry point.
        deadline_minutes: how long it may take.
    """

    schedule: str
    command: tuple[str, ...]
    deadline_minutes: int = 30

    def __post_init__(self) -> None:
        if not _SCHEDULE.fullmatch(self.schedule):
            raise ArgumentError(
                "Task", "schedule", f"is {self.schedule!r}", "Write cron's five fields, such as `15 3 * * *`."
            )
        if not self.command:
            raise ArgumentError("Task", "command", "is empty", "Say which command of the service is to run.")


TASKS: Mapping[str, Task] = {
    # The guides' daily security audit (tn): every seal of the audit log recomputed.
    "audit-verify": Task(schedule="15 3 * * *", command=("audit", "verify")),
}


@dataclass(frozen=True, kw_only=True)
class MaintenanceArgs:
    """Arguments of `Maintenance`.

    Attributes:
        namespace: of the stack.
        image: of the service, by digest.
        service_account: name of the account the pods run as.
        secret: name of the Secret whose keys become variables.
        environment: plain variables.
        tasks: by name.
        resources: bounds of a pod.
    """

    namespace: pulumi.Input[str]
    image: pulumi.Input[str]
    service_account: pulumi.Input[str]
    secret: pulumi.Input[str]
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    tasks: Mapping[str, Task] = field(default_factory=lambda: dict(TASKS))
    resources: Resources = field(default_factory=lambda: Resources(cpu_millicores=500, memory_mebibytes=512))

    def __post_init__(self) -> None:
        object.__setattr__(self, "image", pinned_image("MaintenanceArgs", "image", self.image))
        for name in self.tasks:
            service_name("MaintenanceArgs", "tasks", name)


class Maintenance(pulumi.ComponentResource):
    """Attributes: `jobs` by name of the task."""

    def __init__(self, name: str, args: MaintenanceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:kubernetes:Maintenance", name, None, opts)
        self.jobs = {
            task: CronJob(
                f"{name}-{task}",
                metadata=metadata(f"{MAINTENANCE}-{task}", args.namespace, MAINTENANCE),
                spec=_spec(task, args),
                opts=pulumi.ResourceOptions(parent=self),
            )
            for task in args.tasks
        }
        self.register_outputs({"tasks": sorted(self.jobs)})


def _spec(name: str, args: MaintenanceArgs) -> Manifest:
    task = args.tasks[name]
    pod = PodArgs(
        app=MAINTENANCE,
        container="maintenance",
        image=args.image,
        command=task.command,
        service_account=args.service_account,
        environment=args.environment,
        secrets=(args.secret,),
        resources=args.resources,
        always=False,
    )
    return {
        "schedule": task.schedule,
        "timeZone": "Etc/UTC",
        "concurrencyPolicy": "Forbid",
        "startingDeadlineSeconds": 3600,
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 3,
        "jobTemplate": {
            "metadata": {"labels": labels(MAINTENANCE)},
            "spec": {
                "backoffLimit": 1,
                "activeDeadlineSeconds": task.deadline_minutes * 60,
                "ttlSecondsAfterFinished": 7 * 24 * 3600,
                "template": {"metadata": {"labels": labels(MAINTENANCE)}, "spec": pod_spec(pod)},
            },
        },
    }
