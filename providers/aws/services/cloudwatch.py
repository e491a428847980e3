"""CloudWatch: alarms and dashboards. Source of what replaces: terraform-provider-aws `internal/service/cloudwatch/`."""

from __future__ import annotations

from providers.aws.kind import Kind, Op, Tagging

TAGGING = Tagging(
    add=Op("tag_resource", {"ResourceARN": "$arn", "Tags": "$tags"}),
    remove=Op("untag_resource", {"ResourceARN": "$arn", "TagKeys": "$keys"}),
    show=Op("list_tags_for_resource", {"ResourceARN": "$arn"}),
)
PUT = Op("put_metric_alarm")

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
    tagging=TAGGING,
)

COMPOSITE_ALARM = Kind(
    type="aws:cloudwatch/compositeAlarm:CompositeAlarm",
    service="cloudwatch",
    id="$alarmName",
    outputs={"arn": "arn:aws:cloudwatch:$region:$account:alarm:$id"},
    defaults={"actionsEnabled": True},
    replaces_on=("alarmName",),
    recorded={"*": "moto has no PutCompositeAlarm"},
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
