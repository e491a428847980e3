"""Maintenance at its time (`railyard:aws:ScheduledTasks`), as tasks of the service's own image:

- a schedule of EventBridge Scheduler for each job, which starts a task on Fargate; nothing listens and nothing stays;
- a task definition for each login of the database that jobs need, with no other, and one that may read the archive;
- a role that may start these task definitions and nothing else;
- what cannot be started goes to a dead-letter queue, and the alarm `schedule-failed` fires;
- a task that ends with an error is told to the critical topic.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.arguments import ArgumentError
from components.aws.checks import check_not_empty
from components.aws.container import ContainerArgs, container_definition
from components.aws.policy_documents import Document, Statement, allow, document, service_trust
from components.maintenance_jobs import MAINTENANCE_JOBS, MaintenanceJob
from components.tags import check_tags

CONTAINER = "tasks"
ARCHIVE = "archive"
FORTNIGHT_SECONDS = 1_209_600


@dataclass(frozen=True, kw_only=True)
class ScheduledTasksArgs:
    """Arguments of `ScheduledTasks`.

    Attributes:
        account_id: of the AWS account.
        cluster_arn: where tasks run.
        subnet_ids, security_group_id: private subnets, and the group of the tasks.
        execution_role_arn: pulls the image, reads the secrets, writes the lines.
        containers: by kind (a login, or "archive"): image by digest, variables, secrets, log group; the command is
            replaced by the job's.
        archive_role_arn: what jobs on the archive may do in AWS; the others may do nothing.
        topic_arn: where a task that failed is told.
        kms_key_arn: customer key of the dead-letter queue.
        jobs: what runs when.
        tags: of every resource.
    """

    account_id: pulumi.Input[str]
    cluster_arn: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    security_group_id: pulumi.Input[str]
    execution_role_arn: pulumi.Input[str]
    containers: Mapping[str, ContainerArgs]
    archive_role_arn: pulumi.Input[str]
    topic_arn: pulumi.Input[str]
    kms_key_arn: pulumi.Input[str]
    jobs: Sequence[MaintenanceJob] = MAINTENANCE_JOBS
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        check_tags(type(self).__name__, self.tags)
        check_not_empty(self, "jobs", "Name a job, or leave the component out.")
        check_not_empty(self, "subnet_ids", "Give the private subnets.")
        missing = sorted({kind_of(job) for job in self.jobs} - set(self.containers))
        if missing:
            fix = "Give the container of each kind of job."
            raise ArgumentError(type(self).__name__, "containers", f"misses {', '.join(missing)}", fix)
        for container in self.containers.values():
            if container.name != CONTAINER:
                what = f"is named {container.name!r}"
                raise ArgumentError(type(self).__name__, "containers", what, f"Name it {CONTAINER!r}.")


def scheduler_policy(
    cluster_arn: pulumi.Input[str],
    definition_arns: Sequence[pulumi.Input[str]],
    role_arns: Sequence[pulumi.Input[str]],
    queue_arn: pulumi.Input[str],
    queue_key_arn: pulumi.Input[str],
) -> Document:
    """Start these task definitions in this cluster, hand them their roles, and leave what failed in the queue."""
    return document(
        allow("Start", ["ecs:RunTask"], list(definition_arns), {"ArnEquals": {"ecs:cluster": cluster_arn}}),
        allow(
            "HandRoles",
            ["iam:PassRole"],
            list(role_arns),
            {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
        ),
        allow("DeadLetters", ["sqs:SendMessage"], [queue_arn]),
        allow("SealDeadLetters", ["kms:Decrypt", "kms:GenerateDataKey"], [queue_key_arn]),
    )


def trust_policy(account_id: pulumi.Input[str]) -> Document:
    """EventBridge Scheduler, on behalf of this account."""
    return service_trust("scheduler.amazonaws.com", {"StringEquals": {"aws:SourceAccount": account_id}})


def queue_policy(queue_arn: pulumi.Input[str]) -> Document:
    """Nobody reaches the queue by plain HTTP; who may use it, roles say."""
    statement: Statement = {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:*",
        "Resource": queue_arn,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return document(statement)


def kind_of(job: MaintenanceJob) -> str:
    """Which task definition a job runs in: that of its login, or the one that may read the archive."""
    return ARCHIVE if job.archive else job.login


def bounded(job: MaintenanceJob) -> list[str]:
    """The job's command with its timeout, which ECS itself does not have: the service ends itself in time."""
    return ["--timeout-minutes", str(job.timeout_minutes), *job.command]


class ScheduledTasks(pulumi.ComponentResource):
    """The schedules; `group_name` is the name of their group, `queue_arn` the dead-letter queue's ARN."""

    def __init__(self, name: str, args: ScheduledTasksArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:aws:ScheduledTasks", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self.group_name = name
        self.queue_arn = self._queue()
        definitions = {kind: self._definition(kind) for kind in sorted({kind_of(job) for job in args.jobs})}
        role = self._role([definition.arn for definition in definitions.values()])
        group = aws.scheduler.ScheduleGroup(f"{name}-group", name=self.group_name, tags=args.tags, opts=self._child)
        for job in args.jobs:
            self._schedule(job, group, definitions[kind_of(job)], role)
        self._watch()
        self.register_outputs({"groupName": self.group_name, "queueArn": self.queue_arn})

    def _queue(self) -> pulumi.Output[str]:
        args = self._args
        queue = aws.sqs.Queue(
            f"{self._name}-dead-letters",
            name=f"{self._name}-dead-letters",
            kms_master_key_id=args.kms_key_arn,
            message_retention_seconds=FORTNIGHT_SECONDS,
            tags=args.tags,
            opts=self._child,
        )
        aws.sqs.QueuePolicy(
            f"{self._name}-dead-letters-policy",
            queue_url=queue.id,
            policy=pulumi.Output.json_dumps(queue_policy(queue.arn)),
            opts=self._child,
        )
        arn: pulumi.Output[str] = queue.arn
        return arn

    def _definition(self, kind: str) -> aws.ecs.TaskDefinition:
        args = self._args
        container = args.containers[kind]
        return aws.ecs.TaskDefinition(
            f"{self._name}-{kind}",
            family=f"{self._name}-{kind}",
            requires_compatibilities=["FARGATE"],
            network_mode="awsvpc",
            cpu=str(container.cpu),
            memory=str(container.memory_mib),
            execution_role_arn=args.execution_role_arn,
            task_role_arn=args.archive_role_arn if kind == ARCHIVE else None,
            runtime_platform={"operating_system_family": "LINUX", "cpu_architecture": "X86_64"},
            container_definitions=pulumi.Output.json_dumps([container_definition(container)]),
            volumes=[{"name": "scratch"}],
            tags=args.tags,
            opts=self._child,
        )

    def _role(self, definition_arns: Sequence[pulumi.Output[str]]) -> aws.iam.Role:
        args = self._args
        role = aws.iam.Role(
            f"{self._name}-role",
            assume_role_policy=pulumi.Output.json_dumps(trust_policy(args.account_id)),
            tags=args.tags,
            opts=self._child,
        )
        aws.iam.RolePolicy(
            f"{self._name}-policy",
            role=role.name,
            policy=pulumi.Output.json_dumps(
                scheduler_policy(
                    args.cluster_arn,
                    definition_arns,
                    [args.execution_role_arn, args.archive_role_arn],
                    self.queue_arn,
                    args.kms_key_arn,
                )
            ),
            opts=self._child,
        )
        return role

    def _schedule(
        self,
        job: MaintenanceJob,
        group: aws.scheduler.ScheduleGroup,
        definition: aws.ecs.TaskDefinition,
        role: aws.iam.Role,
    ) -> None:
        args = self._args
        aws.scheduler.Schedule(
            f"{self._name}-{job.name}",
            name=job.name,
            group_name=group.name,
            description=job.what,
            schedule_expression=job.aws_schedule,
            schedule_expression_timezone="UTC",
            flexible_time_window={"mode": "FLEXIBLE", "maximum_window_in_minutes": 15},
            target={
                "arn": args.cluster_arn,
                "role_arn": role.arn,
                "input": json.dumps({"containerOverrides": [{"name": CONTAINER, "command": bounded(job)}]}),
                "dead_letter_config": {"arn": self.queue_arn},
                "retry_policy": {"maximum_event_age_in_seconds": 3600, "maximum_retry_attempts": 3},
                "ecs_parameters": {
                    "task_definition_arn": definition.arn,
                    "launch_type": "FARGATE",
                    "task_count": 1,
                    "group": self._name,
                    "network_configuration": {
                        "subnets": list(args.subnet_ids),
                        "security_groups": [args.security_group_id],
                        "assign_public_ip": False,
                    },
                },
            },
            opts=self._child,
        )

    def _watch(self) -> None:
        args = self._args
        pattern = {
            "source": ["aws.ecs"],
            "detail-type": ["ECS Task State Change"],
            "detail": {
                "clusterArn": [args.cluster_arn],
                "group": [self._name],
                "lastStatus": ["STOPPED"],
                "containers": {"exitCode": [{"anything-but": 0}]},
            },
        }
        rule = aws.cloudwatch.EventRule(
            f"{self._name}-failed",
            name=f"{self._name}-failed",
            description="A scheduled task ended with an error",
            event_pattern=pulumi.Output.json_dumps(pattern),
            tags=args.tags,
            opts=self._child,
        )
        aws.cloudwatch.EventTarget(f"{self._name}-failed-target", rule=rule.name, arn=args.topic_arn, opts=self._child)
