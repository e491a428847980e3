"""Two CloudWatch dashboards (`railyard:aws:Dashboards`):

- `payments`: the guides' metrics under their literal names (`Deligate/Payments/*`), success, latency and fees per rail,
  verification, what is pending;
- `platform`: requests, errors, tasks, database, cache, firewall; the panels of x4-dash-* and st-metric-*.

Every widget is built by the functions here from the same names that the alarms read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components.aws import metric_names as names
from components.aws.checks import check_not_empty
from components.tags import check_tags

WIDTH, HEIGHT = 8, 6
COLUMNS = 24 // WIDTH
Widget = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class DashboardsArgs:
    """Arguments of `Dashboards`.

    Attributes:
        region: of the stack.
        rails: that it offers.
        cluster, web_service, worker_service: names in ECS.
        load_balancer: the end of its ARN.
        database, cache_cluster: ids in RDS and ElastiCache.
        web_acl: metric name of the firewall.
        web_log_group: for the errors by route.
        alarm_arns: shown together on top.
        tags: the required tags; dashboards themselves carry none.
    """

    region: str
    rails: Sequence[str]
    cluster: pulumi.Input[str]
    web_service: pulumi.Input[str]
    worker_service: pulumi.Input[str]
    load_balancer: pulumi.Input[str]
    database: pulumi.Input[str]
    cache_cluster: pulumi.Input[str]
    web_acl: pulumi.Input[str]
    web_log_group: pulumi.Input[str]
    alarm_arns: Sequence[pulumi.Input[str]]
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        check_tags(type(self).__name__, self.tags)
        check_not_empty(self, "rails", "Name the rails that the stack offers.")


def _graph(title: str, region: str, metrics: Sequence[Sequence[Any]], stat: str, **more: Any) -> Widget:
    properties = {"title": title, "region": region, "metrics": list(metrics), "stat": stat, "period": 60, **more}
    return {"type": "metric", "properties": {"view": "timeSeries", **properties}}


def _placed(widgets: Sequence[Widget], top: int) -> list[Widget]:
    """Left to right, then down."""
    return [
        {
            "x": WIDTH * (place % COLUMNS),
            "y": top + HEIGHT * (place // COLUMNS),
            "width": WIDTH,
            "height": HEIGHT,
            **widget,
        }
        for place, widget in enumerate(widgets)
    ]


def _payment(name: str, rail: str | None = None) -> list[Any]:
    return [names.NAMESPACE, name, *(["Rail", rail] if rail else [])]


def payments_body(args: DashboardsArgs) -> dict[str, Any]:
    """The body of the dashboard on payments."""
    region, rails = args.region, args.rails

    def by_rail(name: str) -> list[list[Any]]:
        return [_payment(name, rail) for rail in rails]

    widgets = [
        _graph("Transactions", region, [_payment(names.TRANSACTION_COUNT), *by_rail(names.TRANSACTION_COUNT)], "Sum"),
        _graph(
            "Success rate (objective 99 %, alarm 95 %)",
            region,
            [_payment(names.SUCCESS_RATE), *by_rail(names.SUCCESS_RATE)],
            "Average",
            annotations={"horizontal": [{"value": 99}, {"value": 95}]},
        ),
        _graph(
            "Pending (scale out 50, alarm 100)",
            region,
            [_payment(names.PENDING_TRANSACTIONS)],
            "Maximum",
            annotations={"horizontal": [{"value": 50}, {"value": 100}]},
        ),
        _graph("Volume by rail, minor units", region, by_rail(names.TOTAL_VOLUME), "Sum"),
        _graph("Gas price: fee of a transaction, minor units", region, by_rail(names.GAS_PRICE), "Average"),
        _graph("Payment time p50", region, by_rail(names.PAYMENT_SECONDS), "p50"),
        _graph(
            "Payment time p99 (warn 10 s, critical 30 s)",
            region,
            by_rail(names.PAYMENT_SECONDS),
            "p99",
            annotations={"horizontal": [{"value": 10}, {"value": 30}]},
        ),
        _graph("Failed transactions", region, by_rail(names.FAILED_TRANSACTIONS), "Sum"),
        _graph("Verification", region, [_payment(names.VERIFICATIONS), _payment(names.FAILED_VERIFICATIONS)], "Sum"),
        _graph("Rails up", region, by_rail(names.RAIL_UP), "Minimum"),
        _graph("Rails' network errors", region, by_rail(names.RAIL_NETWORK_ERRORS), "Sum"),
        _graph(
            "Oldest pending and unknown, s",
            region,
            [_payment(names.OLDEST_PENDING_SECONDS), _payment(names.OLDEST_UNKNOWN_SECONDS)],
            "Maximum",
        ),
        _graph(
            "Outbox and webhooks, s behind",
            region,
            [_payment(names.OUTBOX_LAG_SECONDS), _payment(names.WEBHOOK_LAG_SECONDS)],
            "Maximum",
        ),
        _graph(
            "Ledger and audit: all 0",
            region,
            [_payment(names.LEDGER_IMBALANCE), _payment(names.AUDIT_BREAKS)],
            "Maximum",
        ),
        _graph("Failures of one user in an hour", region, [_payment(names.FAILURES_OF_ONE_USER)], "Maximum"),
    ]
    alarms = {
        "type": "alarm",
        "x": 0,
        "y": 0,
        "width": 24,
        "height": 4,
        "properties": {"title": "Alarms", "alarms": list(args.alarm_arns)},
    }
    return {"widgets": [alarms, *_placed(widgets, 4)]}


def platform_body(args: DashboardsArgs) -> dict[str, Any]:
    """The body of the dashboard on what the service runs on."""
    region = args.region
    balancer = ["LoadBalancer", args.load_balancer]
    web = ["ClusterName", args.cluster, "ServiceName", args.web_service]
    worker = ["ClusterName", args.cluster, "ServiceName", args.worker_service]
    database = ["DBInstanceIdentifier", args.database]
    cache = ["CacheClusterId", args.cache_cluster]

    def of(namespace: str, dimensions: Sequence[Any], *metrics: str) -> list[list[Any]]:
        return [[namespace, metric, *dimensions] for metric in metrics]

    alb = "AWS/ApplicationELB"
    widgets = [
        _graph("Requests", region, of(alb, balancer, "RequestCount"), "Sum"),
        _graph("Answer time p95 (objective 0.2 s)", region, of(alb, balancer, "TargetResponseTime"), "p95"),
        _graph(
            "Errors",
            region,
            of(alb, balancer, "HTTPCode_Target_4XX_Count", "HTTPCode_Target_5XX_Count", "HTTPCode_ELB_5XX_Count"),
            "Sum",
        ),
        _graph(
            "CPU of the tasks, %",
            region,
            of("AWS/ECS", web, "CPUUtilization") + of("AWS/ECS", worker, "CPUUtilization"),
            "Average",
        ),
        _graph(
            "Memory of the tasks, %",
            region,
            of("AWS/ECS", web, "MemoryUtilization") + of("AWS/ECS", worker, "MemoryUtilization"),
            "Average",
        ),
        _graph("Tasks", region, of("ECS/ContainerInsights", web, "RunningTaskCount"), "Average"),
        _graph("Database pool in use, %", region, [_payment(names.DATABASE_POOL_IN_USE_PERCENT)], "Maximum"),
        _graph("Database connections", region, of("AWS/RDS", database, "DatabaseConnections"), "Maximum"),
        _graph("Database disk free", region, of("AWS/RDS", database, "FreeStorageSpace"), "Minimum"),
        _graph("Database time", region, of("AWS/RDS", database, "ReadLatency", "WriteLatency"), "Average"),
        _graph("Redis hits and misses", region, of("AWS/ElastiCache", cache, "CacheHits", "CacheMisses"), "Sum"),
        _graph(
            "Firewall",
            region,
            of("AWS/WAFV2", ["WebACL", args.web_acl, "Region", region, "Rule", "ALL"], "BlockedRequests"),
            "Sum",
        ),
    ]
    errors = {
        "type": "log",
        "properties": {
            "title": "Errors by route",
            "region": region,
            "view": "table",
            "query": pulumi.Output.format(
                "SOURCE '{0}' | filter status >= 500 | stats count(*) as errors by route, status", args.web_log_group
            ),
        },
    }
    return {"widgets": _placed([*widgets, errors], 0)}


class Dashboards(pulumi.ComponentResource):
    """The dashboards; `names` of both."""

    def __init__(self, name: str, args: DashboardsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:aws:Dashboards", name, None, opts)
        bodies = {"payments": payments_body(args), "platform": platform_body(args)}
        self.names = []
        for title, body in bodies.items():
            dashboard = aws.cloudwatch.Dashboard(
                f"{name}-{title}",
                dashboard_name=f"{name}-{title}",
                dashboard_body=pulumi.Output.json_dumps(body),
                opts=pulumi.ResourceOptions(parent=self),
            )
            self.names.append(dashboard.dashboard_name)
        self.register_outputs({"names": self.names})
