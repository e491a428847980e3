"""The schema's migration (`railyard:kubernetes:Migration`): a Job a release, run as the schema's owner.

A Job's pods cannot be changed, so each image has a Job of its own, named after its digest: a new release makes the new
Job first, and only then are the Deployments that depend on it touched. The one before is deleted at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
from pulumi_kubernetes.batch.v1 import Job

from components.kubernetes.names import MIGRATION, labels, metadata, pinned_image
from components.kubernetes.pods import PodArgs, Resources, pod_spec

DIGEST_LETTERS = 12


@dataclass(frozen=True, kw_only=True)
class MigrationArgs:
    """Arguments of `Migration`.

    Attributes:
        namespace: of the stack.
        image: of the service, by digest.
        release: id of the release.
        service_account: name of the account the pod runs as.
        secret: name of the Secret with the owner's URL.
        environment: plain variables.
        deadline_seconds: how long it may take.
        resources: bounds of the pod.
    """

    namespace: pulumi.Input[str]
    image: pulumi.Input[str]
    release: str
    service_account: pulumi.Input[str]
    secret: pulumi.Input[str]
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    deadline_seconds: int = 1800
    resources: Resources = field(default_factory=lambda: Resources(cpu_millicores=1000, memory_mebibytes=1024))

    def __post_init__(self) -> None:
        object.__setattr__(self, "image", pinned_image("MigrationArgs", "image", self.image))


class Migration(pulumi.ComponentResource):
    """Attributes: `job`, done when the schema is there."""

    def __init__(self, name: str, args: MigrationArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:kubernetes:Migration", name, None, opts)
        pod = PodArgs(
            app=MIGRATION,
            container="migration",
            image=args.image,
            command=("migrate",),
            service_account=args.service_account,
            environment=args.environment,
            secrets=(args.secret,),
            resources=args.resources,
            always=False,
        )
        self.job = Job(
            f"{name}-job",
            metadata=metadata(job_name(args.image), args.namespace, MIGRATION, release=args.release),
            spec={
                "backoffLimit": 2,
                "activeDeadlineSeconds": args.deadline_seconds,
                "completions": 1,
                "parallelism": 1,
                "template": {"metadata": {"labels": labels(MIGRATION, args.release)}, "spec": pod_spec(pod)},
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"job": self.job.metadata["name"]})


def job_name(image: pulumi.Input[str]) -> pulumi.Output[str]:
    """The Job's name for an image named by digest."""
    return pulumi.Output.from_input(image).apply(
        lambda known: f"{MIGRATION}-{known.rpartition(':')[2][:DIGEST_LETTERS]}"
    )
