"""Maintenance on a schedule (`railyard:kubernetes:Maintenance`): a CronJob for each of `components.maintenance_jobs`.

A job is given one login of the database, its own; the one that reads the audit archive runs as an account that may, in
pods that may reach it, and is left out where there is no archive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
from pulumi_kubernetes.batch.v1 import CronJob

from components.arguments import ArgumentError
from components.kubernetes.names import MAINTENANCE, Manifest, labels, metadata, pinned_image
from components.kubernetes.pods import PodArgs, Resources, pod_spec
from components.maintenance_jobs import MAINTENANCE_JOBS, Login, MaintenanceJob


@dataclass(frozen=True, kw_only=True)
class Runs:
    """As whom a job runs.

    Attributes:
        service_account: name of the account.
        secret: name of the Secret whose keys become variables.
        app: label `app` of the pods, by which their network policy is chosen.
        environment: plain variables beside those of all.
    """

    service_account: pulumi.Input[str]
    secret: pulumi.Input[str]
    app: str = MAINTENANCE
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class MaintenanceArgs:
    """Arguments of `Maintenance`.

    Attributes:
        namespace: of the stack.
        image: of the service, by digest.
        logins: as whom a job with this login runs.
        archive: as whom one runs that reads the audit archive; None where there is none.
        environment: plain variables.
        jobs: of the guides.
        resources: bounds of a pod.
    """

    namespace: pulumi.Input[str]
    image: pulumi.Input[str]
    logins: Mapping[Login, Runs]
    archive: Runs | None = None
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    jobs: Sequence[MaintenanceJob] = MAINTENANCE_JOBS
    resources: Resources = field(default_factory=lambda: Resources(cpu_millicores=500, memory_mebibytes=512))

    def __post_init__(self) -> None:
        object.__setattr__(self, "image", pinned_image("MaintenanceArgs", "image", self.image))
        for job in self.jobs:
            if not job.archive and job.login not in self.logins:
                raise ArgumentError(
                    "MaintenanceArgs", "logins", f"lacks {job.login!r}, which {job.name} needs", "Say as whom it runs."
                )

    def runs(self, job: MaintenanceJob) -> Runs | None:
        """As whom a job runs; None where it cannot."""
        return self.archive if job.archive else self.logins[job.login]


class Maintenance(pulumi.ComponentResource):
    """Attributes: `jobs` by name."""

    def __init__(self, name: str, args: MaintenanceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:kubernetes:Maintenance", name, None, opts)
        self.jobs = {
            job.name: CronJob(
                f"{name}-{job.name}",
                metadata=metadata(f"{MAINTENANCE}-{job.name}", args.namespace, runs.app),
                spec=_spec(job, runs, args),
                opts=pulumi.ResourceOptions(parent=self),
            )
            for job in args.jobs
            if (runs := args.runs(job)) is not None
        }
        self.register_outputs({"jobs": sorted(self.jobs)})


def _spec(job: MaintenanceJob, runs: Runs, args: MaintenanceArgs) -> Manifest:
    pod = PodArgs(
        app=runs.app,
        container="maintenance",
        image=args.image,
        command=job.command,
        service_account=runs.service_account,
        environment={**args.environment, **runs.environment},
        secrets=(runs.secret,),
        resources=args.resources,
        always=False,
    )
    return {
        "schedule": job.schedule,
        "timeZone": "Etc/UTC",
        "concurrencyPolicy": "Forbid",
        "startingDeadlineSeconds": 3600,
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 3,
        "jobTemplate": {
            "metadata": {"labels": labels(runs.app)},
            "spec": {
                "backoffLimit": 1,
                "activeDeadlineSeconds": job.timeout_minutes * 60,
                "ttlSecondsAfterFinished": 7 * 24 * 3600,
                "template": {"metadata": {"labels": labels(runs.app)}, "spec": pod_spec(pod)},
            },
        },
    }
