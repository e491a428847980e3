"""The alarms of a stack (`railyard:aws:Alarms`):

- a CloudWatch alarm for every row of `alarm_table`, each wired to a topic: warnings to one, critical ones to another;
- the same topics hear when it is over.

`railyard:aws:DataAlarms` are those of database, cache and backups alone, for a service that runs elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components.arguments import ArgumentError
from components.aws import metric_names as names
from components.aws.alarm_table import AlarmRow, Comparison, Metric, Severity, Source, Subject, alarm_rows
from components.tags import check_tags

# Route 53 measures from everywhere and publishes here alone.
UPTIME_REGION = "us-east-1"
Dimensions = Mapping[str, pulumi.Input[str]]
Places = Mapping[tuple[Source, bool], tuple[str, Dimensions]]
"""Namespace and dimensions of each source; the second key is whether the alternate group is meant."""


@dataclass(frozen=True, kw_only=True)
class AlarmsArgs:
    """Arguments of `Alarms`.

    Attributes:
        subject: what the thresholds depend on.
        region: of the stack.
        cluster, web_service, worker_service: names of the ECS cluster and its services.
        load_balancer, target_group, alternate_target_group: the ends of their ARNs, as CloudWatch names them.
        database: identifier of the RDS instance.
        cache_cluster: id of the cache node that is primary at the start, as `payments-001`.
        web_acl: metric name of the firewall.
        health_check: id of Route 53's health check.
        schedule_group: name of the group of scheduled tasks.
        warn_topic_arn, critical_topic_arn: where alarms go.
        uptime_topic_arn: a topic in us-east-1 for the uptime alarm; the critical one when the stack is there.
        tags: of every alarm.
    """

    subject: Subject
    region: str
    cluster: pulumi.Input[str]
    web_service: pulumi.Input[str]
    worker_service: pulumi.Input[str]
    load_balancer: pulumi.Input[str]
    target_group: pulumi.Input[str]
    alternate_target_group: pulumi.Input[str]
    database: pulumi.Input[str]
    cache_cluster: pulumi.Input[str]
    web_acl: pulumi.Input[str]
    health_check: pulumi.Input[str]
    schedule_group: pulumi.Input[str]
    warn_topic_arn: pulumi.Input[str]
    critical_topic_arn: pulumi.Input[str]
    uptime_topic_arn: pulumi.Input[str] | None = None
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        check_tags(type(self).__name__, self.tags)
        if self.uptime_topic_arn is None and self.region != UPTIME_REGION:
            raise ArgumentError(
                type(self).__name__,
                "uptime_topic_arn",
                f"is missing although the stack is in {self.region}",
                f"Give a topic in {UPTIME_REGION}: Route 53 publishes there alone, and an alarm tells its own region.",
            )


@dataclass(frozen=True, kw_only=True)
class DataAlarmsArgs:
    """Arguments of `DataAlarms`.

    Attributes:
        subject: what the thresholds depend on.
        database: identifier of the RDS instance; None when there is none, and no backup of it either.
        cache_cluster: id of the cache node that is primary at the start, as `payments-001`; None when there is none.
        warn_topic_arn, critical_topic_arn: where alarms go.
        tags: of every alarm.
    """

    subject: Subject
    database: pulumi.Input[str] | None
    cache_cluster: pulumi.Input[str] | None
    warn_topic_arn: pulumi.Input[str]
    critical_topic_arn: pulumi.Input[str]
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        check_tags(type(self).__name__, self.tags)


class _RowAlarms(pulumi.ComponentResource):
    """Alarms for rows of the table; `arns` by the row's name."""

    def __init__(
        self,
        kind: str,
        name: str,
        args: AlarmsArgs | DataAlarmsArgs,
        places: Places,
        opts: pulumi.ResourceOptions | None,
    ) -> None:
        super().__init__(kind, name, None, opts)
        self._name, self._args, self._places = name, args, places
        seen = {source for source, _ in places}
        self.arns = {
            row.name: self._alarm(row).arn
            for row in alarm_rows(args.subject)
            if all(metric.source in seen for metric in row.metrics.values())
        }
        self.register_outputs({"arns": self.arns})

    def _place(self, metric: Metric) -> tuple[str, dict[str, pulumi.Input[str]]]:
        namespace, dimensions = self._places[metric.source, metric.alternate]
        return namespace, {**dimensions, **({"Rail": metric.rail} if metric.rail else {})}

    def _alarm(self, row: AlarmRow) -> aws.cloudwatch.MetricAlarm:
        args = self._args
        is_uptime = any(metric.source is Source.UPTIME for metric in row.metrics.values())
        topic = args.critical_topic_arn if row.severity is Severity.CRITICAL else args.warn_topic_arn
        if is_uptime and isinstance(args, AlarmsArgs) and args.uptime_topic_arn is not None:
            topic = args.uptime_topic_arn
        return aws.cloudwatch.MetricAlarm(
            f"{self._name}-{row.name}",
            name=f"{self._name}-{row.name}",
            alarm_description=_description(row),
            comparison_operator=row.comparison.value,
            evaluation_periods=row.periods,
            datapoints_to_alarm=row.datapoints or row.periods,
            treat_missing_data=row.missing.value,
            actions_enabled=True,
            alarm_actions=[topic],
            ok_actions=[topic],
            region=_region(args) if is_uptime else None,
            tags={**args.tags, "severity": row.severity.value},
            opts=pulumi.ResourceOptions(parent=self),
            **self._measured(row),
        )

    def _measured(self, row: AlarmRow) -> dict[str, Any]:
        """What is watched: one metric, an expression over several, or one metric against its usual band."""
        if not row.expression:
            ((_, metric),) = row.metrics.items()
            namespace, dimensions = self._place(metric)
            is_percentile = metric.statistic.startswith("p")
            return {
                "namespace": namespace,
                "metric_name": metric.name,
                "dimensions": dimensions,
                "period": row.period_seconds,
                "extended_statistic" if is_percentile else "statistic": metric.statistic,
                "threshold": row.threshold,
            }
        is_band = row.comparison is Comparison.ABOVE_BAND
        queries = [self._query(key, metric, row, is_returned=is_band) for key, metric in row.metrics.items()]
        result = {"id": "result", "expression": row.expression, "label": row.name, "return_data": True}
        watched = {"threshold_metric_id": "result"} if is_band else {"threshold": row.threshold}
        return {"metric_queries": [*queries, result], **watched}

    def _query(self, key: str, metric: Metric, row: AlarmRow, *, is_returned: bool) -> dict[str, Any]:
        namespace, dimensions = self._place(metric)
        return {
            "id": key,
            "return_data": is_returned,
            "metric": {
                "namespace": namespace,
                "metric_name": metric.name,
                "dimensions": dimensions,
                "period": row.period_seconds,
                "stat": metric.statistic,
            },
        }


def _description(row: AlarmRow) -> str:
    meets = f" Meets {', '.join(row.requirements)}." if row.requirements else ""
    return row.what + meets


class Alarms(_RowAlarms):
    """The alarms of a stack on ECS; `arns` by the row's name."""

    def __init__(self, name: str, args: AlarmsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:aws:Alarms", name, args, _places(args), opts)


class DataAlarms(_RowAlarms):
    """The alarms of database, cache and backups; `arns` by the row's name."""

    def __init__(self, name: str, args: DataAlarmsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:aws:DataAlarms", name, args, _data_places(args.database, args.cache_cluster), opts)


def _data_places(database: pulumi.Input[str] | None, cache_cluster: pulumi.Input[str] | None) -> Places:
    places: dict[tuple[Source, bool], tuple[str, dict[str, pulumi.Input[str]]]] = {}
    if database is not None:
        places[Source.DATABASE, False] = ("AWS/RDS", {"DBInstanceIdentifier": database})
        places[Source.BACKUPS, False] = ("AWS/Backup", {})
    if cache_cluster is not None:
        places[Source.CACHE, False] = ("AWS/ElastiCache", {"CacheClusterId": cache_cluster})
    return places


def _places(args: AlarmsArgs) -> Places:
    balancer = {"LoadBalancer": args.load_balancer}
    web = {"ClusterName": args.cluster, "ServiceName": args.web_service}
    worker = {"ClusterName": args.cluster, "ServiceName": args.worker_service}
    return {
        (Source.PAYMENTS, False): (names.NAMESPACE, {}),
        (Source.LOAD_BALANCER, False): ("AWS/ApplicationELB", balancer),
        (Source.TARGET_GROUPS, False): ("AWS/ApplicationELB", {**balancer, "TargetGroup": args.target_group}),
        (Source.TARGET_GROUPS, True): (
            "AWS/ApplicationELB",
            {**balancer, "TargetGroup": args.alternate_target_group},
        ),
        (Source.WEB, False): ("AWS/ECS", web),
        (Source.WORKER, False): ("AWS/ECS", worker),
        (Source.WAF, False): (
            "AWS/WAFV2",
            {"WebACL": args.web_acl, "Region": args.region, "Rule": "ALL"},
        ),
        (Source.UPTIME, False): ("AWS/Route53", {"HealthCheckId": args.health_check}),
        (Source.SCHEDULES, False): ("AWS/Scheduler", {"ScheduleGroup": args.schedule_group}),
        **_data_places(args.database, args.cache_cluster),
    }


def _region(args: AlarmsArgs | DataAlarmsArgs) -> str | None:
    """Where the uptime alarm is, if not with the others."""
    return UPTIME_REGION if isinstance(args, AlarmsArgs) and args.region != UPTIME_REGION else None
