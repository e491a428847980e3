"""Alarms in a Slack channel (`railyard:aws:Slack`):

- a function that both topics call, which posts to the incoming webhook (the guides' SLACK_WEBHOOK_URL);
- the URL stays in its secret: the function reads it there, and nothing else has it;
- a log group, a role that reads the one secret, and an alarm for when Slack does not take a message.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.aws.checks import check_not_empty
from components.aws.lambda_code import function_code
from components.aws.policy_documents import Document, allow, document, service_trust
from components.tags import check_tags

TIMEOUT_SECONDS = 30


@dataclass(frozen=True, kw_only=True)
class SlackArgs:
    """Arguments of `Slack`.

    Attributes:
        account_id: of the AWS account.
        topic_arns: topics by a short name; all their messages are posted.
        critical_topic_arn: who is told when Slack takes nothing.
        secret_arn: of the secret whose key `value` is the webhook's URL.
        secret_key_arn: the key of that secret.
        log_key_arn: the key of the log group.
        log_retention_days: of the log group.
        tags: of every resource.
    """

    account_id: str
    topic_arns: Mapping[str, pulumi.Input[str]]
    critical_topic_arn: pulumi.Input[str]
    secret_arn: pulumi.Input[str]
    secret_key_arn: pulumi.Input[str]
    log_key_arn: pulumi.Input[str]
    log_retention_days: int = 90
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        check_tags(type(self).__name__, self.tags)
        check_not_empty(self, "topic_arns", "Name the topics whose messages are posted.")
        check_not_empty(self, "secret_arn", "Give the ARN of the secret with the webhook's URL.")


def function_policy(
    secret_arn: pulumi.Input[str], secret_key_arn: pulumi.Input[str], stream_arn: pulumi.Input[str]
) -> Document:
    """Read the one secret, write the own log."""
    return document(
        allow("ReadUrl", ["secretsmanager:GetSecretValue"], [secret_arn]),
        allow("DecryptUrl", ["kms:Decrypt"], [secret_key_arn]),
        allow("WriteLogs", ["logs:CreateLogStream", "logs:PutLogEvents"], [stream_arn]),
    )


class Slack(pulumi.ComponentResource):
    """The function; `function_arn`, `role_arn`."""

    def __init__(self, name: str, args: SlackArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:aws:Slack", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self.role_arn: pulumi.Output[str]
        function = self._function()
        self.function_arn: pulumi.Output[str] = function.arn
        for topic, arn in args.topic_arns.items():
            permission = aws.lambda_.Permission(
                f"{name}-{topic}",
                action="lambda:InvokeFunction",
                function=function.name,
                principal="sns.amazonaws.com",
                source_arn=arn,
                opts=self._child,
            )
            aws.sns.TopicSubscription(
                f"{name}-{topic}",
                topic=arn,
                protocol="lambda",
                endpoint=function.arn,
                opts=pulumi.ResourceOptions(parent=self, depends_on=[permission]),
            )
        self._alarm(function)
        self.register_outputs({"functionArn": self.function_arn})

    def _function(self) -> aws.lambda_.Function:
        name, args = self._name, self._args
        group = aws.cloudwatch.LogGroup(
            f"{name}-logs",
            name=f"/aws/lambda/{name}",
            retention_in_days=args.log_retention_days,
            kms_key_id=args.log_key_arn,
            tags=args.tags,
            opts=self._child,
        )
        role = aws.iam.Role(
            f"{name}-role",
            assume_role_policy=json.dumps(
                service_trust("lambda.amazonaws.com", {"StringEquals": {"aws:SourceAccount": args.account_id}})
            ),
            tags=args.tags,
            opts=self._child,
        )
        self.role_arn = role.arn
        streams = pulumi.Output.concat(group.arn, ":log-stream:*")
        policy = aws.iam.RolePolicy(
            f"{name}-policy",
            role=role.id,
            policy=pulumi.Output.json_dumps(function_policy(args.secret_arn, args.secret_key_arn, streams)),
            opts=self._child,
        )
        return aws.lambda_.Function(
            f"{name}-function",
            name=name,
            description="Posts alarms to Slack",
            role=role.arn,
            runtime="python3.13",
            architectures=["arm64"],
            handler="slack.handler.handle",
            code=function_code("slack"),
            timeout=TIMEOUT_SECONDS,
            memory_size=128,
            kms_key_arn=args.log_key_arn,
            environment={"variables": {"SLACK_SECRET_ARN": args.secret_arn}},
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[group, policy]),
        )

    def _alarm(self, function: aws.lambda_.Function) -> None:
        aws.cloudwatch.MetricAlarm(
            f"{self._name}-failed",
            alarm_description="Slack takes no alarms: email and PagerDuty still do.",
            namespace="AWS/Lambda",
            metric_name="Errors",
            dimensions={"FunctionName": function.name},
            statistic="Sum",
            period=300,
            evaluation_periods=1,
            threshold=0,
            comparison_operator="GreaterThanThreshold",
            # Without alarms there is nothing to post.
            treat_missing_data="notBreaching",
            alarm_actions=[self._args.critical_topic_arn],
            tags=self._args.tags,
            opts=self._child,
        )
