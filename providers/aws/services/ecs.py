"""ECS: clusters, task definitions, services. What replaces: terraform-provider-aws `internal/service/ecs/`."""

from __future__ import annotations

import json
from typing import Any

from providers.aws.kind import Kind, Op, Scope, Setting, Tagging

TAGGING = Tagging(
    add=Op("tag_resource", {"resourceArn": "$arn", "tags": "$tags"}),
    remove=Op("untag_resource", {"resourceArn": "$arn", "tagKeys": "$keys"}),
    show=Op("list_tags_for_resource", {"resourceArn": "$arn"}),
    at="tags",
    style="lower",
)

CLUSTER = Kind(
    type="aws:ecs/cluster:Cluster",
    service="ecs",
    create=Op("create_cluster", names={"name": "clusterName"}),
    read=Op("describe_clusters", {"clusters": ["$id"], "include": ["SETTINGS", "CONFIGURATIONS"]}),
    at="clusters[0]",
    gone_when="status == 'INACTIVE'",
    update=Op("update_cluster", {"cluster": "$id"}, only=("settings", "configuration", "serviceConnectDefaults")),
    delete=Op("delete_cluster", {"cluster": "$id"}),
    id="cluster.clusterArn",
    answers={"name": "clusterName"},
    outputs={"arn": "clusterArn"},
    autoname="name",
    replaces_on=("name",),
    tagging=TAGGING,
)

CLUSTER_PROVIDERS = Kind(
    type="aws:ecs/clusterCapacityProviders:ClusterCapacityProviders",
    service="ecs",
    create=Op(
        "put_cluster_capacity_providers",
        {"cluster": "$clusterName"},
        names={"defaultCapacityProviderStrategies": "defaultCapacityProviderStrategy"},
    ),
    read=Op("describe_clusters", {"clusters": ["$clusterName"]}),
    at="clusters[0]",
    gone_when="status == 'INACTIVE'",
    update=Op(
        "put_cluster_capacity_providers",
        {"cluster": "$clusterName"},
        names={"defaultCapacityProviderStrategies": "defaultCapacityProviderStrategy"},
    ),
    id="$clusterName",
    answers={"defaultCapacityProviderStrategies": "defaultCapacityProviderStrategy"},
    replaces_on=("clusterName",),
)


def containers(scope: Scope) -> list[dict[str, Any]]:
    """The containers, which programs give as JSON."""
    found: list[dict[str, Any]] = json.loads(scope["containerDefinitions"])
    return found


def volumes(scope: Scope) -> list[dict[str, Any]] | None:
    """Volumes as ECS takes them; a bare name is one on the task's own disk."""
    if not scope.get("volumes"):
        return None
    found = []
    for given in scope["volumes"]:
        volume: dict[str, Any] = {"name": given["name"]}
        if given.get("hostPath"):
            volume["host"] = {"sourcePath": given["hostPath"]}
        elif given.get("efsVolumeConfiguration"):
            volume["efsVolumeConfiguration"] = {
                key: value for key, value in given["efsVolumeConfiguration"].items() if value is not None
            }
        found.append(volume)
    return found


def revision(scope: Scope) -> str:
    """The ARN with the revision: the family alone would be the newest one."""
    return str(scope.get("arn") or scope["taskDefinitionArn"])


def family(answer: Any, _: Scope) -> dict[str, Any]:
    """A task definition's description, with its ARN without the revision beside the whole one."""
    described: dict[str, Any] = answer["taskDefinition"]
    return {**described, "arnWithoutRevision": described["taskDefinitionArn"].rpartition(":")[0]}


TASK_INPUTS = (
    "family",
    "cpu",
    "memory",
    "networkMode",
    "executionRoleArn",
    "taskRoleArn",
    "requiresCompatibilities",
    "runtimePlatform",
    "pidMode",
    "ipcMode",
    "ephemeralStorage",
)

TASK_DEFINITION = Kind(
    type="aws:ecs/taskDefinition:TaskDefinition",
    service="ecs",
    create=Op(
        "register_task_definition",
        {
            "containerDefinitions": containers,
            "volumes": volumes,
            "tags": lambda scope: [{"key": key, "value": value} for key, value in scope["tagsAll"].items()] or None,
        },
        only=TASK_INPUTS,
    ),
    read=Op("describe_task_definition", {"taskDefinition": revision}),
    at=family,
    gone_when="status == 'INACTIVE'",
    delete=Op(
        lambda scope: "" if scope.get("skipDestroy") else "deregister_task_definition", {"taskDefinition": revision}
    ),
    id="taskDefinition.family",
    outputs={
        "arn": "taskDefinitionArn",
        "arnWithoutRevision": "arnWithoutRevision",
        "revision": "revision",
    },
    defaults={"skipDestroy": False, "trackLatest": False},
    unread=("skipDestroy", "trackLatest", "containerDefinitions"),
    recorded={"runtimePlatform": "moto tells none", "ephemeralStorage": "moto tells none"},
    replaces_on=(
        *TASK_INPUTS,
        "containerDefinitions",
        "enableFaultInjection",
        "placementConstraints",
        "proxyConfiguration",
        "volumes",
    ),
    tagging=TAGGING,
)


def _plural(scope: dict[str, Any]) -> None:
    """Blocks that Pulumi has in the plural and ECS in the singular."""
    strategies = scope.get("capacityProviderStrategies")
    if strategies:
        scope["capacityProviderStrategy"] = strategies
    breaker = scope.get("deploymentCircuitBreaker")
    configuration: dict[str, Any] = {
        "maximumPercent": int(scope.get("deploymentMaximumPercent", 200)),
        "minimumHealthyPercent": int(scope.get("deploymentMinimumHealthyPercent", 100)),
    }
    if breaker:
        configuration["deploymentCircuitBreaker"] = {
            "enable": bool(breaker["enable"]),
            "rollback": bool(breaker["rollback"]),
        }
    if scope.get("alarms"):
        alarms = scope["alarms"]
        configuration["alarms"] = {
            "alarmNames": alarms["alarmNames"],
            "enable": alarms["enable"],
            "rollback": alarms["rollback"],
        }
    scope["rolling"] = configuration


def deployment(scope: Scope) -> dict[str, Any]:
    """All that is about a deployment, which Pulumi spreads over several inputs."""
    found = dict(scope["rolling"])
    given = scope.get("deploymentConfiguration") or {}
    if given.get("strategy"):
        found["strategy"] = given["strategy"]
    if given.get("bakeTimeInMinutes") is not None:
        found["bakeTimeInMinutes"] = int(given["bakeTimeInMinutes"])
    if given.get("lifecycleHooks"):
        found["lifecycleHooks"] = [
            {key: value for key, value in hook.items() if value is not None} for hook in given["lifecycleHooks"]
        ]
    for pulumi, member in (
        ("canaryConfiguration", "canaryConfiguration"),
        ("linearConfiguration", "linearConfiguration"),
    ):
        if given.get(pulumi):
            found[member] = {
                key: float(value) if key.endswith("Percent") else int(value) for key, value in given[pulumi].items()
            }
    return found


def network(scope: Scope) -> dict[str, Any] | None:
    """The network configuration; Pulumi has a boolean where ECS has a word."""
    given = scope.get("networkConfiguration")
    if not given:
        return None
    found = {key: given[key] for key in ("subnets", "securityGroups") if given.get(key)}
    found["assignPublicIp"] = "ENABLED" if given.get("assignPublicIp") else "DISABLED"
    return {"awsvpcConfiguration": found}


ABOUT = {"deploymentConfiguration": deployment, "networkConfiguration": network}
CAPACITY = {"capacityProviderStrategies": "capacityProviderStrategy"}
SERVICE = Kind(
    type="aws:ecs/service:Service",
    service="ecs",
    create=Op("create_service", ABOUT, names={"name": "serviceName", **CAPACITY}),
    read=Op("describe_services", {"cluster": "$cluster", "services": ["$name"], "include": ["TAGS"]}),
    at="services[0]",
    gone_when="status == 'INACTIVE'",
    update=Op(
        "update_service",
        {"cluster": "$cluster", "service": "$name", **ABOUT},
        names=CAPACITY,
        only=(
            "desiredCount",
            "taskDefinition",
            "capacityProviderStrategies",
            "networkConfiguration",
            "platformVersion",
            "forceNewDeployment",
            "healthCheckGracePeriodSeconds",
            "enableExecuteCommand",
            "enableEcsManagedTags",
            "loadBalancers",
            "propagateTags",
            "serviceRegistries",
            "availabilityZoneRebalancing",
        ),
    ),
    settings=(
        Setting(
            (
                "deploymentConfiguration",
                "deploymentCircuitBreaker",
                "deploymentMaximumPercent",
                "deploymentMinimumHealthyPercent",
                "alarms",
            ),
            Op(
                lambda scope: "update_service" if "was" in scope else "",
                {"cluster": "$cluster", "service": "$name", **ABOUT},
                only=(),
            ),
        ),
    ),
    delete=Op("delete_service", {"cluster": "$cluster", "service": "$name", "force": True}),
    id="service.serviceArn",
    prepare=_plural,
    answers={
        "name": "serviceName",
        "cluster": "clusterArn",
        "networkConfiguration": "networkConfiguration.awsvpcConfiguration",
        "capacityProviderStrategies": "capacityProviderStrategy",
        "deploymentMaximumPercent": "deploymentConfiguration.maximumPercent",
        "deploymentMinimumHealthyPercent": "deploymentConfiguration.minimumHealthyPercent",
        "deploymentCircuitBreaker": "deploymentConfiguration.deploymentCircuitBreaker",
        "alarms": "deploymentConfiguration.alarms",
    },
    outputs={"arn": "serviceArn"},
    defaults={
        "enableEcsManagedTags": False,
        "schedulingStrategy": "REPLICA",
        "waitForSteadyState": False,
        "deploymentMinimumHealthyPercent": 100,
        "deploymentMaximumPercent": 200,
    },
    autoname="name",
    unread=("waitForSteadyState", "forceNewDeployment", "forceDelete", "triggers", "sigintRollback"),
    recorded={
        "deploymentController": "moto keeps the one of the create",
        "serviceConnectConfiguration": "moto accepts and drops it",
        "platformVersion": "moto tells its own",
    },
    replaces_on=("name", "cluster", "launchType", "schedulingStrategy", "iamRole"),
    tagging=TAGGING,
)

KINDS = [CLUSTER, CLUSTER_PROVIDERS, TASK_DEFINITION, SERVICE]
