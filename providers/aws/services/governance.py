"""Budgets, Systems Manager parameters, CloudTrail, and Chatbot.

Source of what replaces: terraform-provider-aws `internal/service/{budgets,ssm,cloudtrail,chatbot}/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.aws.kind import Kind, Op, Scope, Setting, Tagging


def budget(scope: Scope) -> dict[str, Any]:
    """A budget as Budgets takes it."""
    found: dict[str, Any] = {
        "BudgetName": scope["name"],
        "BudgetType": scope["budgetType"],
        "TimeUnit": scope["timeUnit"],
        "BudgetLimit": {"Amount": str(scope["limitAmount"]), "Unit": scope["limitUnit"]},
    }
    filters = {one["name"]: one["values"] for one in scope.get("costFilters") or []}
    if filters:
        found["CostFilters"] = filters
    return found


def notifications(scope: Scope) -> list[dict[str, Any]] | None:
    """Whom a budget tells, and when."""
    found = []
    for one in scope.get("notifications") or []:
        told = [{"SubscriptionType": "EMAIL", "Address": each} for each in one.get("subscriberEmailAddresses") or []]
        told += [{"SubscriptionType": "SNS", "Address": each} for each in one.get("subscriberSnsTopicArns") or []]
        found.append(
            {
                "Notification": {
                    "NotificationType": one["notificationType"],
                    "ComparisonOperator": one["comparisonOperator"],
                    "Threshold": float(one["threshold"]),
                    "ThresholdType": one["thresholdType"],
                },
                "Subscribers": told,
            }
        )
    return found or None


BUDGET = Kind(
    type="aws:budgets/budget:Budget",
    service="budgets",
    create=Op(
        "create_budget",
        {"AccountId": "$account", "Budget": budget, "NotificationsWithSubscribers": notifications},
        only=(),
    ),
    read=Op("describe_budget", {"AccountId": "$account", "BudgetName": "$name"}),
    at="Budget",
    delete=Op("delete_budget", {"AccountId": "$account", "BudgetName": "$name"}),
    id="$account:$name",
    outputs={"arn": "arn:aws:budgets::$account:budget/$name"},
    autoname="name",
    name_limit=100,
    unread=("name", "costFilters", "timePeriodStart", "timePeriodEnd"),
    recorded={
        "limitAmount": "moto has no UpdateBudget",
        "limitUnit": "moto has no UpdateBudget",
        "notifications": "moto tells them by another operation",
        "costTypes": "moto tells its own",
        "tags": "moto has no tags of a budget",
    },
    replaces_on=("accountId", "name", "namePrefix"),
    tagging=Tagging(add=Op(lambda _: ""), remove=Op(lambda _: "")),
)


def goes_down(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """A parameter's tier goes up in place, and down only by a new one; no longer asked for, it stays as it is."""
    asked = "tier" not in (new.get("__defaults") or [])
    return ("tier",) if asked and (old.get("tier"), new.get("tier")) == ("Advanced", "Standard") else ()


PARAMETER = Kind(
    type="aws:ssm/parameter:Parameter",
    service="ssm",
    create=Op("put_parameter"),
    read=Op("get_parameter", {"Name": "$id", "WithDecryption": True}),
    at="Parameter",
    update=Op("put_parameter", {"Overwrite": True}, only=("name", "type", "value", "insecureValue", "description")),
    delete=Op("delete_parameter", {"Name": "$id"}),
    id="$name",
    names={"insecureValue": "Value"},
    outputs={"arn": "ARN", "version": "Version"},
    defaults={"tier": "Standard"},
    autoname="name",
    name_limit=2048,
    unread=("overwrite", "description", "keyId", "tier", "allowedPattern"),
    replaces_on=("name", "dataType"),
    replaces_when=goes_down,
    tagging=Tagging(
        add=Op("add_tags_to_resource", {"ResourceType": "Parameter", "ResourceId": "$id", "Tags": "$tags"}),
        remove=Op("remove_tags_from_resource", {"ResourceType": "Parameter", "ResourceId": "$id", "TagKeys": "$keys"}),
        show=Op("list_tags_for_resource", {"ResourceType": "Parameter", "ResourceId": "$id"}),
        at="TagList",
    ),
)

TRAIL = Kind(
    type="aws:cloudtrail/trail:Trail",
    service="cloudtrail",
    create=Op(
        "create_trail", {"TagsList": lambda s: [{"Key": k, "Value": v} for k, v in s["tagsAll"].items()] or None}
    ),
    read=Op("get_trail", {"Name": "$name"}),
    at="Trail",
    update=Op("update_trail", {"Name": "$name"}),
    delete=Op("delete_trail", {"Name": "$name"}),
    id="TrailARN",
    answers={"enableLogFileValidation": "LogFileValidationEnabled"},
    names={"cloudWatchLogsGroupArn": "CloudWatchLogsLogGroupArn", "enableLogFileValidation": "EnableLogFileValidation"},
    outputs={"arn": "TrailARN", "homeRegion": "HomeRegion"},
    defaults={"enableLogging": True, "includeGlobalServiceEvents": True},
    autoname="name",
    name_limit=128,
    settings=(
        Setting(
            ("enableLogging",),
            Op(
                lambda scope: "start_logging" if scope.get("enableLogging") else "stop_logging",
                {"Name": "$name"},
                only=(),
            ),
        ),
    ),
    unread=("enableLogging", "eventSelectors", "advancedEventSelectors", "insightSelectors"),
    replaces_on=("name",),
    tagging=Tagging(
        add=Op("add_tags", {"ResourceId": "$id", "TagsList": "$tags"}),
        remove=Op(
            "remove_tags", {"ResourceId": "$id", "TagsList": lambda scope: [{"Key": key} for key in scope["keys"]]}
        ),
        show=Op("list_tags", {"ResourceIdList": ["$id"]}),
        at="ResourceTagList[0].TagsList",
    ),
)

SLACK = Kind(
    type="aws:chatbot/slackChannelConfiguration:SlackChannelConfiguration",
    service="chatbot",
    id="arn:aws:chatbot::$account:chat-configuration/slack-channel/$configurationName",
    outputs={"chatConfigurationArn": "arn:aws:chatbot::$account:chat-configuration/slack-channel/$configurationName"},
    recorded={"*": "moto has no Chatbot"},
    tagging=Tagging(add=Op(lambda _: ""), remove=Op(lambda _: "")),
)

KINDS = [BUDGET, PARAMETER, TRAIL, SLACK]
