"""The roles of the service's tasks (`railyard:aws:Roles`), each with what it needs and nothing else:

- execution: pulls the image, reads the secrets that ECS injects, writes the log lines; no code of ours runs as it;
- web: nothing; its metrics are lines of its log;
- worker: appends to the audit archive, and keeps the channel backups.

Only ECS takes them, for tasks of this account and region.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.arguments import ArgumentError
from components.aws.policy_documents import Statement, allow, document, service_trust
from components.tags import check_tags, named


@dataclass(frozen=True, kw_only=True)
class RolesArgs:
    """Arguments of `Roles`.

    Attributes:
        account_id, region: of the tasks.
        repository_arn: of the service's image.
        secret_arns: of the secrets ECS injects.
        secret_key_arn: the key they are encrypted with.
        log_group_arns: of the tasks' log groups.
        archive_arn: bucket of the audit archive, if there is one.
        archive_key_arn: the key of that bucket.
        worker_statements: what else the worker may do.
        tags: the required tags, and more.
    """

    account_id: str
    region: str
    repository_arn: pulumi.Input[str]
    secret_arns: Sequence[pulumi.Input[str]]
    secret_key_arn: pulumi.Input[str]
    log_group_arns: Sequence[pulumi.Input[str]]
    archive_arn: pulumi.Input[str] | None = None
    archive_key_arn: pulumi.Input[str] | None = None
    worker_statements: Sequence[Statement] = ()
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        for key, value in (("secret_arns", self.secret_arns), ("log_group_arns", self.log_group_arns)):
            if not value or any(isinstance(arn, str) and arn.endswith("*") for arn in value):
                fix = "Name each ARN: a wildcard would let tasks read what is not theirs."
                raise ArgumentError("RolesArgs", key, "is empty or has a wildcard", fix)
        if (self.archive_arn is None) != (self.archive_key_arn is None):
            fix = "Give the bucket and its key, or neither."
            raise ArgumentError("RolesArgs", "archive_arn", "and archive_key_arn go together", fix)
        check_tags("RolesArgs", self.tags)


class Roles(pulumi.ComponentResource):
    """The roles, by ARN: `execution_role_arn`, `web_role_arn`, `worker_role_arn`, `auditor_role_arn`."""

    def __init__(self, name: str, args: RolesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:aws:Roles", name, None, opts)
        self._name, self._args = name, args
        self.execution_role_arn = self._role("execution", self._execution())
        self.web_role_arn = self._role("web", [])
        self.worker_role_arn = self._role("worker", [*self._archive(), *args.worker_statements])
        self.auditor_role_arn = self._role("auditor", self._audit())
        self.register_outputs(
            {
                "auditorRoleArn": self.auditor_role_arn,
                "executionRoleArn": self.execution_role_arn,
                "webRoleArn": self.web_role_arn,
                "workerRoleArn": self.worker_role_arn,
            }
        )

    def _role(self, suffix: str, statements: Sequence[Statement]) -> pulumi.Output[str]:
        account, region = self._args.account_id, self._args.region
        ours = {
            "StringEquals": {"aws:SourceAccount": account},
            "ArnLike": {"aws:SourceArn": f"arn:aws:ecs:{region}:{account}:*"},
        }
        role = aws.iam.Role(
            f"{self._name}-{suffix}",
            assume_role_policy=json.dumps(service_trust("ecs-tasks.amazonaws.com", ours)),
            tags=named(self._args.tags, f"{self._name}-{suffix}"),
            opts=pulumi.ResourceOptions(parent=self),
        )
        if statements:
            aws.iam.RolePolicy(
                f"{self._name}-{suffix}",
                role=role.id,
                policy=pulumi.Output.json_dumps(document(*statements)),
                opts=pulumi.ResourceOptions(parent=self),
            )
        return pulumi.Output.from_input(role.arn)

    def _execution(self) -> list[Statement]:
        args = self._args
        pull = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        return [
            # ECR gives its token for a whole registry.
            allow("LogInToRegistry", ["ecr:GetAuthorizationToken"], ["*"]),
            allow("PullImage", pull, [args.repository_arn]),
            allow("ReadSecrets", ["secretsmanager:GetSecretValue"], args.secret_arns),
            allow("DecryptSecrets", ["kms:Decrypt"], [args.secret_key_arn]),
            allow(
                "WriteLogs",
                ["logs:CreateLogStream", "logs:PutLogEvents"],
                [pulumi.Output.concat(arn, ":log-stream:*") for arn in args.log_group_arns],
            ),
        ]

    def _archive(self) -> list[Statement]:
        args = self._args
        if args.archive_arn is None:
            return []
        # Append alone: no reading, no deleting; the bucket's object lock keeps what is there.
        return [
            allow("AppendToArchive", ["s3:PutObject"], [pulumi.Output.concat(args.archive_arn, "/*")]),
            allow("EncryptForArchive", ["kms:GenerateDataKey"], [args.archive_key_arn]),
        ]

    def _audit(self) -> list[Statement]:
        """Reading the archive, for the job that recomputes it: it writes nothing there."""
        args = self._args
        if args.archive_arn is None:
            return []
        records = [pulumi.Output.concat(args.archive_arn, "/*")]
        return [
            allow("ListArchive", ["s3:ListBucket"], [args.archive_arn]),
            allow("ReadArchive", ["s3:GetObject", "s3:GetObjectRetention"], records),
            allow("DecryptArchive", ["kms:Decrypt"], [args.archive_key_arn]),
        ]
