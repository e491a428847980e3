"""Where the service's lines go (`railyard:aws:Logs`):

- a log group for each role, encrypted, with retention: 30 days to look at, the audit archive has the 7 years;
- metric filters on what only lines tell: refused callers, errors with a trace, lost webhooks, tampering;
- saved queries for the runbooks that used to tail files.

The guides' CloudWatch metrics come by the same way: the service writes them as lines in the embedded metric format
and CloudWatch Logs reads them out. No agent beside the task, no `PutMetricData` right, nothing on a disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.aws import metric_names as names
from components.aws.checks import check_not_empty, check_one_of
from components.tags import check_tags

# What CloudWatch takes (PutRetentionPolicy), from two weeks on: less would forget an incident before it is looked at.
RETENTION_DAYS = (14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
# Metric -> pattern over the JSON lines of app/payments/logs.py.
FILTERS: Mapping[str, str] = {
    "RefusedCallers": '{ ($.message = "request") && (($.status = 401) || ($.status = 403)) }',
    "LimitedRequests": '{ ($.message = "request") && ($.status = 429) }',
    "LoggedErrors": '{ $.level = "error" }',
    "WebhooksGivenUp": '{ $.message = "a webhook was given up" }',
    "LoopsFailed": '{ $.message = "a loop failed and begins again" }',
}
QUERIES: Mapping[str, str] = {
    "errors": 'fields @timestamp, role, release, message, error | filter level = "error" | sort @timestamp desc',
    "slow requests": "fields @timestamp, route, status, milliseconds | filter milliseconds > 1000 "
    "| sort milliseconds desc",
    "one request": 'fields @timestamp, role, message | filter request_id = "REQUEST-ID" | sort @timestamp asc',
    "errors by route": "filter status >= 500 | stats count(*) by route, status",
}


@dataclass(frozen=True, kw_only=True)
class LogsArgs:
    """Arguments of `Logs`.

    Attributes:
        kms_key_arn: customer key whose policy lets CloudWatch Logs of the region use it.
        roles: of the service; each has a group of its own.
        retention_days: how long lines are kept.
        retain: leave the groups when the stack is destroyed.
        tags: of every group.
    """

    kms_key_arn: pulumi.Input[str]
    roles: Sequence[str] = ("web", "worker", "migrate", "tasks")
    retention_days: int = 30
    retain: bool = False
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        check_tags(type(self).__name__, self.tags)
        check_one_of(self, "retention_days", RETENTION_DAYS, "Give one of these days, 30 when nothing else is asked.")
        check_not_empty(self, "kms_key_arn", "Give the ARN of the stack's key for logs.")
        check_not_empty(self, "roles", "Name the roles of the service.")


class Logs(pulumi.ComponentResource):
    """The log groups; `names` and `arns` by role."""

    def __init__(self, name: str, args: LogsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:aws:Logs", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        groups = {
            role: aws.cloudwatch.LogGroup(
                f"{name}-{role}",
                name=f"/railyard/{name}/{role}",
                kms_key_id=args.kms_key_arn,
                retention_in_days=args.retention_days,
                skip_destroy=args.retain,
                tags=args.tags,
                opts=child,
            )
            for role in args.roles
        }
        for role, group in groups.items():
            for metric, pattern in FILTERS.items():
                aws.cloudwatch.LogMetricFilter(
                    f"{name}-{role}-{metric}",
                    name=metric,
                    log_group_name=group.name,
                    pattern=pattern,
                    metric_transformation={
                        "namespace": names.LOG_NAMESPACE,
                        "name": metric,
                        "value": "1",
                        "default_value": "0",
                        "unit": "Count",
                    },
                    opts=child,
                )
        for title, query in QUERIES.items():
            aws.cloudwatch.QueryDefinition(
                f"{name}-query-{title.replace(' ', '-')}",
                name=f"{name}/{title}",
                query_string=query,
                log_group_names=[group.name for group in groups.values()],
                opts=child,
            )
        self.names = {role: group.name for role, group in groups.items()}
        self.arns = {role: group.arn for role, group in groups.items()}
        self.register_outputs({"names": self.names})
