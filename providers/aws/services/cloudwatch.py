"""CloudWatch: alarms and dashboards. Source of what replaces: terraform-provider-aws `internal/service/cloudwatch/`."""

from __future__ import annotations

from typing import Any

from providers.aws.kind import Kind, Op, Tagging

TAGGING = Tagging(
    add=Op("tag_resource", {"ResourceARN": "$arn", "Tags": "$tags"}),
    remove=Op("untag_resource", {"ResourceARN": "$arn", "TagKeys": "$keys"}),
    show=Op("list_tags_for_resource", {"ResourceARN": "$arn"}),
)
PUT = Op("put_metric_alarm")
_OF_METRIC = ("metricName", "namespace", "dimensions")


def _metric_stats(scope: dict[str, Any]) -> None:
    """Pulumi's `metric` of a query is CloudWatch's MetricStat, which keeps period and statistic beside the metric."""
    queries = scope.get("metricQueries")
    if not isinstance(queries, list):
        return
    scope["metricQueries"] = [
        {**{key: value for key, value in query.items() if key != "metric"}, "metricStat": _metric_stat(query["metric"])}
        if isinstance(query, dict) and isinstance(query.get("metric"), dict)
        else query
        for query in queries
    ]


def _metric_stat(metric: dict[str, Any]) -> dict[str, Any]:
    named = {key: value for key, value in metric.items() if key in _OF_METRIC}
    return {**{key: value for key, value in metric.items() if key not in _OF_METRIC}, "metric": named}


METRIC_ALARM = Kind(
    type="aws:cloudwatch/metricAlarm:MetricAlarm",
    service="cloudwatch",
    create=PUT,
    read=Op("describe_alarms", {"AlarmNames": ["$id"]}),
    at="MetricAlarms[0]",
    update=PUT,
    delete=Op("delete_alarms", {"AlarmNames": ["$id"]}),
    id="$name",
    names={
        "name": "AlarmName",
        "insufficientDataActions": "InsufficientDataActions",
        "metricQueries": "Metrics",
        "extendedStatistic": "ExtendedStatistic",
        "evaluateLowSampleCountPercentiles": "EvaluateLowSampleCountPercentile",
    },
    answers={"name": "AlarmName", "metricQueries": "Metrics"},
    outputs={"arn": "AlarmArn"},
    defaults={"actionsEnabled": True, "treatMissingData": "missing"},
    autoname="name",
    replaces_on=("name",),
    prepare=_metric_stats,
    tagging=TAGGING,
)

COMPOSITE_ALARM = Kind(
    type="aws:cloudwatch/compositeAlarm:CompositeAlarm",
    service="cloudwatch",
    create=Op("put_composite_alarm"),
    read=Op("describe_alarms", {"AlarmNames": ["$id"], "AlarmTypes": ["CompositeAlarm"]}),
    at="CompositeAlarms[0]",
    update=Op("put_composite_alarm"),
    delete=Op("delete_alarms", {"AlarmNames": ["$id"]}),
    id="$alarmName",
    outputs={"arn": "AlarmArn"},
    defaults={"actionsEnabled": True},
    replaces_on=("alarmName", "actionsEnabled"),
    recorded={"actionsSuppressor": "moto has no suppressors"},
    tagging=TAGGING,
)

DASHBOARD = Kind(
    type="aws:cloudwatch/dashboard:Dashboard",
    service="cloudwatch",
    create=Op("put_dashboard"),
    read=Op("get_dashboard", {"DashboardName": "$id"}),
    update=Op("put_dashboard"),
    delete=Op("delete_dashboards", {"DashboardNames": ["$id"]}),
    id="$dashboardName",
    outputs={"dashboardArn": "DashboardArn"},
    replaces_on=("dashboardName",),
)

KINDS = [METRIC_ALARM, COMPOSITE_ALARM, DASHBOARD]
