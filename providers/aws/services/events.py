"""EventBridge rules, connections and destinations, and EventBridge Scheduler.

Source of what replaces: terraform-provider-aws `internal/service/{events,scheduler}/`.
"""

from __future__ import annotations

from typing import Any

from providers.aws.kind import Kind, Op, Scope, Tagging

TAGGING = Tagging(
    add=Op("tag_resource", {"ResourceARN": "$arn", "Tags": "$tags"}),
    remove=Op("untag_resource", {"ResourceARN": "$arn", "TagKeys": "$keys"}),
    show=Op("list_tags_for_resource", {"ResourceARN": "$arn"}),
)
RULE_INPUTS = ("name", "description", "eventBusName", "eventPattern", "scheduleExpression", "roleArn", "state")

RULE = Kind(
    type="aws:cloudwatch/eventRule:EventRule",
    service="events",
    create=Op(
        "put_rule",
        {"Tags": lambda s: [{"Key": k, "Value": v} for k, v in s["tagsAll"].items()] or None},
        only=RULE_INPUTS,
    ),
    read=Op("describe_rule", {"Name": "$name", "EventBusName": "$eventBusName"}),
    update=Op("put_rule", only=RULE_INPUTS),
    delete=Op("delete_rule", {"Name": "$name", "EventBusName": "$eventBusName", "Force": True}),
    id="$name",
    outputs={"arn": "Arn"},
    defaults={"eventBusName": "default", "state": "ENABLED", "forceDestroy": False},
    autoname="name",
    name_limit=64,
    unread=("forceDestroy",),
    replaces_on=("name", "namePrefix", "eventBusName"),
    tagging=TAGGING,
)


def target(scope: Scope) -> dict[str, Any]:
    """A target as EventBridge takes it."""
    found: dict[str, Any] = {"Id": scope["targetId"], "Arn": scope["arn"]}
    for name, member in (("roleArn", "RoleArn"), ("input", "Input"), ("inputPath", "InputPath")):
        if scope.get(name):
            found[member] = scope[name]
    if scope.get("inputTransformer"):
        given = scope["inputTransformer"]
        found["InputTransformer"] = {
            "InputTemplate": given["inputTemplate"],
            "InputPathsMap": given.get("inputPaths") or {},
        }
    if scope.get("deadLetterConfig"):
        found["DeadLetterConfig"] = {"Arn": scope["deadLetterConfig"]["arn"]}
    if scope.get("retryPolicy"):
        names = {"maximumEventAgeInSeconds": "MaximumEventAgeInSeconds", "maximumRetryAttempts": "MaximumRetryAttempts"}
        given = scope["retryPolicy"]
        found["RetryPolicy"] = {
            member: int(given[name]) for name, member in names.items() if given.get(name) is not None
        }
    if scope.get("httpTarget"):
        names = {"headerParameters": "HeaderParameters", "pathParameterValues": "PathParameterValues"}
        found["HttpParameters"] = {m: scope["httpTarget"][n] for n, m in names.items() if scope["httpTarget"].get(n)}
    if scope.get("ecsTarget"):
        found["EcsParameters"] = ecs(scope["ecsTarget"])
    return found


def ecs(given: dict[str, Any]) -> dict[str, Any]:
    """An ECS task as a target, for EventBridge and its Scheduler alike."""
    found: dict[str, Any] = {
        "TaskDefinitionArn": given["taskDefinitionArn"],
        "TaskCount": int(given.get("taskCount", 1)),
    }
    for name, member in (("launchType", "LaunchType"), ("platformVersion", "PlatformVersion"), ("group", "Group")):
        if given.get(name):
            found[member] = given[name]
    network = given.get("networkConfiguration")
    if network:
        found["NetworkConfiguration"] = {
            "awsvpcConfiguration": {
                "Subnets": network["subnets"],
                "SecurityGroups": network.get("securityGroups") or [],
                "AssignPublicIp": "ENABLED" if network.get("assignPublicIp") else "DISABLED",
            }
        }
    return found


def _prepare(scope: dict[str, Any]) -> None:
    scope["bus"] = scope.get("eventBusName") or "default"


PUT_TARGETS = Op(
    "put_targets", {"Rule": "$rule", "EventBusName": "$bus", "Targets": lambda scope: [target(scope)]}, only=()
)

TARGET = Kind(
    type="aws:cloudwatch/eventTarget:EventTarget",
    service="events",
    create=PUT_TARGETS,
    read=Op("list_targets_by_rule", {"Rule": "$rule", "EventBusName": "$bus"}),
    at=lambda answer, scope: next((one for one in answer["Targets"] if one["Id"] == scope["targetId"]), None),
    update=Op(
        "put_targets",
        PUT_TARGETS.fixed,
        only=(
            "arn",
            "roleArn",
            "input",
            "inputPath",
            "inputTransformer",
            "deadLetterConfig",
            "retryPolicy",
            "httpTarget",
            "ecsTarget",
        ),
    ),
    delete=Op("remove_targets", {"Rule": "$rule", "EventBusName": "$bus", "Ids": ["$targetId"], "Force": True}),
    id="$rule-$targetId",
    prepare=_prepare,
    answers={"arn": "Arn"},
    defaults={"eventBusName": "default", "forceDestroy": False},
    autoname="targetId",
    name_limit=64,
    unread=(
        "rule",
        "eventBusName",
        "targetId",
        "forceDestroy",
        "inputTransformer",
        "deadLetterConfig",
        "retryPolicy",
        "httpTarget",
        "ecsTarget",
    ),
    replaces_on=("rule", "eventBusName", "targetId"),
)


def authorization(scope: Scope) -> dict[str, Any]:
    """What a connection signs its requests with, as EventBridge spells it."""
    given = scope["authParameters"]
    found: dict[str, Any] = {}
    if given.get("apiKey"):
        found["ApiKeyAuthParameters"] = {"ApiKeyName": given["apiKey"]["key"], "ApiKeyValue": given["apiKey"]["value"]}
    if given.get("basic"):
        found["BasicAuthParameters"] = {"Username": given["basic"]["username"], "Password": given["basic"]["password"]}
    http = given.get("invocationHttpParameters")
    if http:
        found["InvocationHttpParameters"] = {
            member: [
                {"Key": one["key"], "Value": one["value"], "IsValueSecret": bool(one.get("isValueSecret", False))}
                for one in http[name]
            ]
            for name, member in (
                ("headers", "HeaderParameters"),
                ("queryStrings", "QueryStringParameters"),
                ("bodies", "BodyParameters"),
            )
            if http.get(name)
        }
    return found


CONNECTION_PUT = {"AuthParameters": authorization, "Name": "$name"}
CONNECTION_INPUTS = ("authorizationType", "description")

CONNECTION = Kind(
    type="aws:cloudwatch/eventConnection:EventConnection",
    service="events",
    create=Op("create_connection", CONNECTION_PUT, only=CONNECTION_INPUTS),
    read=Op("describe_connection", {"Name": "$name"}),
    update=Op("update_connection", CONNECTION_PUT, only=(*CONNECTION_INPUTS, "authParameters")),
    delete=Op("delete_connection", {"Name": "$name"}),
    id="$name",
    outputs={"arn": "ConnectionArn", "secretArn": "SecretArn"},
    autoname="name",
    name_limit=64,
    unread=("authParameters",),
    replaces_on=("name",),
)

DESTINATION = Kind(
    type="aws:cloudwatch/eventApiDestination:EventApiDestination",
    service="events",
    create=Op("create_api_destination"),
    read=Op("describe_api_destination", {"Name": "$name"}),
    update=Op("update_api_destination"),
    delete=Op("delete_api_destination", {"Name": "$name"}),
    id="$name",
    outputs={"arn": "ApiDestinationArn"},
    defaults={"invocationRateLimitPerSecond": 300},
    autoname="name",
    name_limit=64,
    replaces_on=("name",),
)


def scheduled(scope: Scope) -> dict[str, Any]:
    """A schedule's target as the Scheduler takes it."""
    given = scope["target"]
    found: dict[str, Any] = {"Arn": given["arn"], "RoleArn": given["roleArn"]}
    if given.get("input"):
        found["Input"] = given["input"]
    if given.get("ecsParameters"):
        found["EcsParameters"] = ecs(given["ecsParameters"])
    if given.get("deadLetterConfig"):
        found["DeadLetterConfig"] = {"Arn": given["deadLetterConfig"]["arn"]}
    if given.get("retryPolicy"):
        found["RetryPolicy"] = {name[0].upper() + name[1:]: int(value) for name, value in given["retryPolicy"].items()}
    return found


SCHEDULE = Kind(
    type="aws:scheduler/schedule:Schedule",
    service="scheduler",
    create=Op("create_schedule", {"Target": scheduled}),
    read=Op("get_schedule", {"Name": "$name", "GroupName": "$groupName"}),
    update=Op("update_schedule", {"Target": scheduled}),
    delete=Op("delete_schedule", {"Name": "$name", "GroupName": "$groupName"}),
    id="$groupName/$name",
    outputs={"arn": "Arn"},
    defaults={"groupName": "default", "state": "ENABLED", "scheduleExpressionTimezone": "UTC"},
    autoname="name",
    name_limit=64,
    unread=("target",),
    replaces_on=("name", "namePrefix", "groupName"),
)

SCHEDULE_GROUP = Kind(
    type="aws:scheduler/scheduleGroup:ScheduleGroup",
    service="scheduler",
    create=Op(
        "create_schedule_group", {"Tags": lambda s: [{"Key": k, "Value": v} for k, v in s["tagsAll"].items()] or None}
    ),
    read=Op("get_schedule_group", {"Name": "$id"}),
    delete=Op("delete_schedule_group", {"Name": "$id"}),
    id="$name",
    outputs={"arn": "Arn", "state": "State"},
    autoname="name",
    name_limit=64,
    replaces_on=("name", "namePrefix"),
    tagging=Tagging(
        add=Op("tag_resource", {"ResourceArn": "$arn", "Tags": "$tags"}),
        remove=Op("untag_resource", {"ResourceArn": "$arn", "TagKeys": "$keys"}),
        show=Op("list_tags_for_resource", {"ResourceArn": "$arn"}),
    ),
)

KINDS = [RULE, TARGET, CONNECTION, DESTINATION, SCHEDULE, SCHEDULE_GROUP]
