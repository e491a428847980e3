"""CloudWatch Logs: groups, filters, queries, deliveries.

Source of what replaces: terraform-provider-aws `internal/service/logs/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from providers.aws.kind import Kind, Op, Scope, Setting, Tagging

TAGGING = Tagging(
    add=Op("tag_resource", {"resourceArn": "$arn", "tags": "$tags"}),
    remove=Op("untag_resource", {"resourceArn": "$arn", "tagKeys": "$keys"}),
    show=Op("list_tags_for_resource", {"resourceArn": "$arn"}),
    at="tags",
    style="map",
)

GROUP = Kind(
    type="aws:cloudwatch/logGroup:LogGroup",
    service="logs",
    create=Op("create_log_group", names={"name": "logGroupName"}, only=("name", "kmsKeyId", "tagsAll")),
    read=Op("describe_log_groups", {"logGroupNamePrefix": "$id"}),
    at=lambda answer, scope: next((one for one in answer["logGroups"] if one["logGroupName"] == scope["id"]), None),
    delete=Op("delete_log_group", {"logGroupName": "$id"}),
    id="$name",
    names={"tagsAll": "tags", "name": "logGroupName"},
    outputs={"arn": "arn:aws:logs:$region:$account:log-group:$id"},
    defaults={"skipDestroy": False, "retentionInDays": 0, "logGroupClass": "STANDARD"},
    autoname="name",
    name_limit=512,
    settings=(
        Setting(
            ("retentionInDays",),
            Op(
                lambda scope: (
                    "put_retention_policy"
                    if scope.get("retentionInDays")
                    else "delete_retention_policy"
                    if "was" in scope
                    else ""
                ),
                {"logGroupName": "$id", "retentionInDays": lambda scope: scope.get("retentionInDays") or None},
                only=(),
            ),
        ),
        Setting(
            ("kmsKeyId",),
            Op(
                lambda scope: "associate_kms_key" if "was" in scope else "",
                {"logGroupName": "$id", "kmsKeyId": "$kmsKeyId"},
                only=(),
            ),
        ),
    ),
    unread=("skipDestroy",),
    recorded={
        "logGroupClass": "moto accepts and drops it",
        "deletionProtectionEnabled": "moto accepts and drops it",
    },
    replaces_on=("name", "namePrefix", "logGroupClass"),
    tagging=TAGGING,
)


def transformations(scope: Scope) -> list[dict[str, Any]]:
    """The metric a filter feeds."""
    given = scope["metricTransformation"]
    names = {"name": "metricName", "namespace": "metricNamespace", "value": "metricValue"}
    found = {names.get(key, key): value for key, value in given.items()}
    if "defaultValue" in found:
        found["defaultValue"] = float(found["defaultValue"])
    return [found]


PUT_FILTER = Op("put_metric_filter", {"filterPattern": "$pattern", "metricTransformations": transformations})
OF_FILTER = ("name", "logGroupName")
FILTER_NAME = {"filterNamePrefix": "$name", "logGroupName": "$logGroupName"}

METRIC_FILTER = Kind(
    type="aws:cloudwatch/logMetricFilter:LogMetricFilter",
    service="logs",
    create=PUT_FILTER,
    read=Op("describe_metric_filters", FILTER_NAME),
    at=lambda answer, scope: next((one for one in answer["metricFilters"] if one["filterName"] == scope["name"]), None),
    settings=(
        Setting(
            ("pattern", "metricTransformation"),
            replace(PUT_FILTER, name=lambda scope: "put_metric_filter" if "was" in scope else "", only=OF_FILTER),
            # moto keeps the old one beside the new.
            before=Op("delete_metric_filter", {"logGroupName": "$logGroupName", "filterName": "$name"}),
        ),
    ),
    delete=Op("delete_metric_filter", {"logGroupName": "$logGroupName", "filterName": "$name"}),
    id="$name",
    names={"name": "filterName"},
    answers={
        "pattern": "filterPattern",
        "metricTransformation": (
            "metricTransformations[0].{name: metricName, namespace: metricNamespace, value: metricValue, "
            "defaultValue: defaultValue, unit: unit, dimensions: dimensions}"
        ),
    },
    autoname="name",
    replaces_on=("name", "logGroupName"),
)

SUBSCRIPTION_FILTER = Kind(
    type="aws:cloudwatch/logSubscriptionFilter:LogSubscriptionFilter",
    service="logs",
    create=Op("put_subscription_filter", names={"logGroup": "logGroupName"}),
    read=Op("describe_subscription_filters", {"logGroupName": "$logGroup", "filterNamePrefix": "$name"}),
    at="subscriptionFilters[0]",
    update=Op("put_subscription_filter", names={"logGroup": "logGroupName"}),
    delete=Op("delete_subscription_filter", {"logGroupName": "$logGroup", "filterName": "$name"}),
    id="$name",
    names={"name": "filterName"},
    answers={"logGroup": "logGroupName"},
    autoname="name",
    replaces_on=("name", "logGroup", "destinationArn"),
)

RESOURCE_POLICY = Kind(
    type="aws:cloudwatch/logResourcePolicy:LogResourcePolicy",
    service="logs",
    create=Op("put_resource_policy"),
    read=Op("describe_resource_policies"),
    at=lambda answer, scope: next(
        (one for one in answer["resourcePolicies"] if one["policyName"] == scope["policyName"]), None
    ),
    update=Op("put_resource_policy"),
    delete=Op("delete_resource_policy", {"policyName": "$policyName"}),
    id="$policyName",
    replaces_on=("policyName", "resourceArn"),
)

QUERY = Kind(
    type="aws:cloudwatch/queryDefinition:QueryDefinition",
    service="logs",
    create=Op("put_query_definition"),
    read=Op("describe_query_definitions", {"queryDefinitionNamePrefix": "$name"}),
    at=lambda answer, scope: next(
        (it for it in answer["queryDefinitions"] if it["queryDefinitionId"] == scope["id"]), None
    ),
    update=Op("put_query_definition", {"queryDefinitionId": "$id"}),
    delete=Op("delete_query_definition", {"queryDefinitionId": "$id"}),
    id="queryDefinitionId",
    outputs={"queryDefinitionId": "queryDefinitionId"},
    autoname="name",
)

DELIVERY_SOURCE = Kind(
    type="aws:cloudwatch/logDeliverySource:LogDeliverySource",
    service="logs",
    create=Op("put_delivery_source"),
    read=Op("get_delivery_source", {"name": "$id"}),
    at="deliverySource",
    delete=Op("delete_delivery_source", {"name": "$id"}),
    id="deliverySource.name",
    answers={"resourceArn": "resourceArns[0]"},
    outputs={"arn": "arn", "service": "service"},
    autoname="name",
    name_limit=60,
    replaces_on=("name", "logType", "resourceArn"),
    tagging=TAGGING,
)


def elsewhere(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """Logs go to another bucket in place, and to another service, or to what is not known yet, by a new destination."""
    name = "deliveryDestinationConfiguration"
    return (name,) if _service(old.get(name)) != _service(new.get(name)) else ()


def _service(given: Any) -> str:
    arn = given.get("destinationResourceArn") if isinstance(given, Mapping) else None
    parts = arn.split(":") if isinstance(arn, str) else []
    return parts[2] if len(parts) > 2 else ""


DELIVERY_DESTINATION = Kind(
    type="aws:cloudwatch/logDeliveryDestination:LogDeliveryDestination",
    service="logs",
    create=Op("put_delivery_destination"),
    read=Op("get_delivery_destination", {"name": "$id"}),
    at="deliveryDestination",
    update=Op("put_delivery_destination"),
    delete=Op("delete_delivery_destination", {"name": "$id"}),
    id="deliveryDestination.name",
    outputs={"arn": "arn"},
    autoname="name",
    name_limit=60,
    replaces_on=("name", "deliveryDestinationType", "outputFormat"),
    replaces_when=elsewhere,
    tagging=TAGGING,
)

DELIVERY = Kind(
    type="aws:cloudwatch/logDelivery:LogDelivery",
    service="logs",
    create=Op("create_delivery"),
    read=Op("get_delivery", {"id": "$id"}),
    at="delivery",
    delete=Op("delete_delivery", {"id": "$id"}),
    id="delivery.id",
    outputs={"arn": "arn"},
    recorded={
        "fieldDelimiter": "moto has no UpdateDeliveryConfiguration",
        "recordFields": "moto has no UpdateDeliveryConfiguration",
        "s3DeliveryConfigurations": "moto has no UpdateDeliveryConfiguration",
    },
    replaces_on=("deliverySourceName", "deliveryDestinationArn"),
    tagging=TAGGING,
)

KINDS = [
    GROUP,
    METRIC_FILTER,
    SUBSCRIPTION_FILTER,
    RESOURCE_POLICY,
    QUERY,
    DELIVERY_SOURCE,
    DELIVERY_DESTINATION,
    DELIVERY,
]
