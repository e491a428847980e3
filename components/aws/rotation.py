"""A function that rotates one kind of secret (`railyard:aws:RotationFunction`):

- the Lambda function, of the source in `functions/rotation`, one run at a time;
- its role, which may read and change those secrets alone, and what they open;
- its log group with a retention, and an alarm when a rotation fails;
- the rotation of each of the secrets, by schedule.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import pulumi
import pulumi_aws as aws

from components.arguments import ArgumentError
from components.aws.lambda_code import function_code
from components.aws.policy_documents import Statement, allow, document, service_trust
from components.tags import check_tags, named


class Kind(StrEnum):
    """A kind of secret, as the function's environment names it."""

    SIGNING_KEY = "signing-key"
    REDIS_TOKEN = "redis-token"  # noqa: S105
    DATABASE_LOGIN = "database-login"
    ISSUED = "issued"


# PostgreSQL's driver, in pure Python, with what it needs.
PACKAGES: Mapping[Kind, tuple[str, ...]] = {Kind.DATABASE_LOGIN: ("pg8000", "scramp", "asn1crypto", "dateutil", "six")}
# Redis takes minutes to set a token; Lambda ends a function after 15.
TIMEOUT_SECONDS = 900


@dataclass(frozen=True, kw_only=True)
class RotationFunctionArgs:
    """Arguments of `RotationFunction`.

    Attributes:
        kind: of the secrets.
        account_id: whose Secrets Manager may call it.
        secrets: secrets by a short name, as ARNs; their number is known.
        secret_key_arn: the key the secrets are encrypted with.
        log_key_arn: the key of the log group and of the function's environment.
        rotation_days: between two rotations.
        rotate_immediately: rotate once when it is made; the first one makes the database's roles.
        statements: what else it may do, as `elasticache:ModifyReplicationGroup` on one group.
        environment: variables beside KIND.
        subnet_ids, security_group_id: where it runs; outside the VPC without.
        alarm_topic_arns: who is told when a rotation fails.
        log_retention_days: of its log group.
        tags: the required tags, and more.
    """

    kind: Kind
    account_id: str
    secrets: Mapping[str, pulumi.Input[str]]
    secret_key_arn: pulumi.Input[str]
    log_key_arn: pulumi.Input[str]
    rotation_days: int = 30
    rotate_immediately: bool = False
    statements: Sequence[Statement] = ()
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    subnet_ids: Sequence[pulumi.Input[str]] = ()
    security_group_id: pulumi.Input[str] | None = None
    alarm_topic_arns: Sequence[pulumi.Input[str]] = ()
    log_retention_days: int = 90
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        if not self.secrets:
            fix = "Name a secret, or leave the function out."
            raise ArgumentError("RotationFunctionArgs", "secrets", "is empty", fix)
        if not 1 <= self.rotation_days <= 365:
            what = f"is {self.rotation_days}"
            raise ArgumentError("RotationFunctionArgs", "rotation_days", what, "Rotate every 1 to 365 days.")
        if bool(self.subnet_ids) != (self.security_group_id is not None):
            fix = "Give subnets and a security group, or neither."
            raise ArgumentError("RotationFunctionArgs", "subnet_ids", "and security_group_id go together", fix)
        check_tags("RotationFunctionArgs", self.tags)


class RotationFunction(pulumi.ComponentResource):
    """The function: `function_arn`, `role_arn`."""

    def __init__(self, name: str, args: RotationFunctionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:aws:RotationFunction", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        group = aws.cloudwatch.LogGroup(
            f"{name}-logs",
            name=f"/aws/lambda/{name}",
            retention_in_days=args.log_retention_days,
            kms_key_id=args.log_key_arn,
            tags=self._tags("logs"),
            opts=self._child,
        )
        role, policy = self._role(group)
        function = self._function(role, [group, policy])
        permission = aws.lambda_.Permission(
            f"{name}-caller",
            action="lambda:InvokeFunction",
            function=function.name,
            principal="secretsmanager.amazonaws.com",
            source_account=args.account_id,
            opts=self._child,
        )
        self._alarm(function)
        self._schedules(function, permission)
        self.function_arn: pulumi.Output[str] = function.arn
        self.role_arn: pulumi.Output[str] = role.arn
        self.register_outputs({"functionArn": self.function_arn, "roleArn": self.role_arn})

    def _tags(self, suffix: str) -> dict[str, str]:
        return named(self._args.tags, f"{self._name}-{suffix}")

    def _role(self, group: aws.cloudwatch.LogGroup) -> tuple[aws.iam.Role, aws.iam.RolePolicy]:
        args = self._args
        role = aws.iam.Role(
            f"{self._name}-role",
            assume_role_policy=json.dumps(
                service_trust("lambda.amazonaws.com", {"StringEquals": {"aws:SourceAccount": args.account_id}})
            ),
            tags=self._tags("role"),
            opts=self._child,
        )
        statements = [
            allow(
                "RotateTheseSecrets",
                [
                    "secretsmanager:DescribeSecret",
                    "secretsmanager:GetSecretValue",
                    "secretsmanager:PutSecretValue",
                    "secretsmanager:UpdateSecretVersionStage",
                ],
                list(args.secrets.values()),
            ),
            allow("UseTheirKey", ["kms:Decrypt", "kms:GenerateDataKey"], [args.secret_key_arn]),
            allow(
                "WriteLogs",
                ["logs:CreateLogStream", "logs:PutLogEvents"],
                [pulumi.Output.concat(group.arn, ":log-stream:*")],
            ),
            *args.statements,
        ]
        if args.subnet_ids:
            # Lambda makes its interfaces before anything of the VPC's is known, and EC2 has no narrower resource.
            interfaces = ["ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DeleteNetworkInterface"]
            statements.append(allow("JoinTheNetwork", interfaces, ["*"]))
        policy = aws.iam.RolePolicy(
            f"{self._name}-policy",
            role=role.id,
            policy=pulumi.Output.json_dumps(document(*statements)),
            opts=self._child,
        )
        return role, policy

    def _function(self, role: aws.iam.Role, first: list[pulumi.Resource]) -> aws.lambda_.Function:
        args = self._args
        network = (
            aws.lambda_.FunctionVpcConfigArgs(
                subnet_ids=list(args.subnet_ids), security_group_ids=[args.security_group_id]
            )
            if args.security_group_id is not None
            else None
        )
        return aws.lambda_.Function(
            f"{self._name}-function",
            name=self._name,
            description=f"Rotates secrets of kind {args.kind.value}",
            role=role.arn,
            runtime="python3.13",
            architectures=["arm64"],
            handler="rotation.handler.handle",
            code=function_code("rotation", PACKAGES.get(args.kind, ())),
            timeout=TIMEOUT_SECONDS,
            memory_size=256,
            kms_key_arn=args.log_key_arn,
            environment=aws.lambda_.FunctionEnvironmentArgs(variables={"KIND": args.kind.value, **args.environment}),
            vpc_config=network,
            tags=self._tags("function"),
            opts=pulumi.ResourceOptions(parent=self, depends_on=first),
        )

    def _alarm(self, function: aws.lambda_.Function) -> None:
        aws.cloudwatch.MetricAlarm(
            f"{self._name}-failed",
            alarm_description=f"A rotation of a secret of kind {self._args.kind.value} failed; its log says why.",
            namespace="AWS/Lambda",
            metric_name="Errors",
            dimensions={"FunctionName": function.name},
            statistic="Sum",
            period=300,
            evaluation_periods=1,
            threshold=0,
            comparison_operator="GreaterThanThreshold",
            # Between rotations the function does not run, and that is as it should be.
            treat_missing_data="notBreaching",
            alarm_actions=list(self._args.alarm_topic_arns),
            tags=self._tags("failed"),
            opts=self._child,
        )

    def _schedules(self, function: aws.lambda_.Function, permission: aws.lambda_.Permission) -> None:
        for key, arn in self._args.secrets.items():
            aws.secretsmanager.SecretRotation(
                f"{self._name}-{key}",
                secret_id=arn,
                rotation_lambda_arn=function.arn,
                rotate_immediately=self._args.rotate_immediately,
                rotation_rules=aws.secretsmanager.SecretRotationRotationRulesArgs(
                    automatically_after_days=self._args.rotation_days
                ),
                opts=pulumi.ResourceOptions(parent=self, depends_on=[permission]),
            )
