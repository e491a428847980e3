"""A changed setting of the staging stack plans exactly the steps that the real provider would: which resource, and
whether it is changed or replaced. The steps are of inputs that change; what follows from a replacement does not count.
"""

from __future__ import annotations

import functools
from typing import Any

import pulumi
import pytest

from components.settings import Secrets, Settings
from providers.aws.provider import AwsProvider
from providers.base.provider import Resource
from tests.components.aws.declaring import CHECKOUT, TAGS, Declared, declared
from tests.components.test_settings_of_clouds import committed

pytestmark = pytest.mark.full
STACK = "railyard-staging"
BESIDE = {("aws:lambda/function:Function", "code"), ("aws:ecs/service:Service", "desiredCount")}
# A setting -> type and name (S is the stack) of what changes -> how.
STEPS: list[tuple[dict[str, Any], dict[str, str]]] = [
    (
        {"databaseInstanceClass": "db.t4g.large"},
        {
            "rds/instance:Instance S-database-instance": "update",
            "cloudwatch/metricAlarm:MetricAlarm S-database-connections": "update",
        },
    ),
    (
        {"databaseBackupDays": 14},
        {
            "rds/instance:Instance S-database-instance": "update",
        },
    ),
    (
        {"databaseVersion": "16.14"},
        {
            "rds/instance:Instance S-database-instance": "update",
        },
    ),
    (
        {"databaseStorageGb": 200},
        {
            "rds/instance:Instance S-database-instance": "update",
            "cloudwatch/metricAlarm:MetricAlarm S-database-disk-20": "update",
            "cloudwatch/metricAlarm:MetricAlarm S-database-disk-10": "update",
        },
    ),
    (
        {"cacheNodeType": "cache.t4g.medium"},
        {
            "elasticache/replicationGroup:ReplicationGroup S-cache-redis": "update",
        },
    ),
    (
        {"cacheReplicas": 2},
        {
            "elasticache/replicationGroup:ReplicationGroup S-cache-redis": "update",
        },
    ),
    (
        {"alertEmail": "other@example.com"},
        {
            "sns/topicSubscription:TopicSubscription S-alerts-warn-email-0": "replace",
            "sns/topicSubscription:TopicSubscription S-alerts-critical-email-0": "replace",
            "sns/topicSubscription:TopicSubscription S-uptime-warn-email-0": "replace",
            "sns/topicSubscription:TopicSubscription S-uptime-critical-email-0": "replace",
            "budgets/budget:Budget S-budget-month": "update",
        },
    ),
    (
        {"monthlyBudgetUsd": 800},
        {
            "budgets/budget:Budget S-budget-month": "update",
        },
    ),
    (
        {"minTasks": 3},
        {
            "appautoscaling/target:Target S-scaling-target": "update",
        },
    ),
    (
        {"serviceMemoryMib": 3072},
        {
            "ecs/taskDefinition:TaskDefinition S-web": "replace",
            "ecs/taskDefinition:TaskDefinition S-migrate": "replace",
            "ecs/taskDefinition:TaskDefinition S-worker": "replace",
        },
    ),
    (
        {"secretRotationDays": 14},
        {
            "secretsmanager/secretRotation:SecretRotation S-signing-key-jwt": "update",
            "secretsmanager/secretRotation:SecretRotation S-signing-key-api-key-pepper": "update",
            "secretsmanager/secretRotation:SecretRotation S-signing-key-bootstrap-admin-key": "update",
            "secretsmanager/secretRotation:SecretRotation S-database-login-database-owner": "update",
            "secretsmanager/secretRotation:SecretRotation S-database-login-database-app": "update",
            "secretsmanager/secretRotation:SecretRotation S-database-login-database-reader": "update",
            "secretsmanager/secretRotation:SecretRotation S-redis-token-redis": "update",
        },
    ),
    (
        {"retainedImages": 20},
        {
            "ecr/lifecyclePolicy:LifecyclePolicy S-registry-lifecycle": "replace",
        },
    ),
    (
        {"natGateways": "per-zone"},
        {
            "ec2/route:Route S-network-private-1": "update",
            "ec2/route:Route S-network-private-2": "update",
            "ec2/eip:Eip S-network-nat-1": "create",
            "ec2/eip:Eip S-network-nat-2": "create",
            "ec2/natGateway:NatGateway S-network-nat-1": "create",
            "ec2/natGateway:NatGateway S-network-nat-2": "create",
        },
    ),
    (
        {"lndCidrs": ("10.60.0.11/32",)},
        {
            "vpc/securityGroupEgressRule:SecurityGroupEgressRule S-groups-task-lnd-0": "update",
        },
    ),
    (
        {"maxFeeMsat": 60000},
        {
            "ecs/taskDefinition:TaskDefinition S-web": "replace",
            "ecs/taskDefinition:TaskDefinition S-migrate": "replace",
            "ecs/taskDefinition:TaskDefinition S-worker": "replace",
        },
    ),
]


@functools.cache
def whole(changes: tuple[tuple[str, Any], ...]) -> Declared:
    """The staging stack with some settings changed."""
    given = {**committed("staging"), **{f"railyard:{key}": _thawed(value) for key, value in changes}}
    settings = Settings.from_mapping(given)

    def program() -> None:
        from components.aws.platform import EcsPlatform, EcsPlatformArgs

        secrets = Secrets({value.key: pulumi.Output.secret("planted") for value in settings.generated})
        EcsPlatform(STACK, EcsPlatformArgs(checkout=CHECKOUT, settings=settings, secrets=secrets, tags=TAGS))

    return declared(program)


def _thawed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def steps(**changes: Any) -> dict[str, str]:
    """What the offline provider plans for the change: resource -> update, replace, create or delete."""
    provider = AwsProvider("http://127.0.0.1:1")
    before = whole(()).resources
    after = whole(tuple(changes.items())).resources
    found = {}
    for kind, name in {**before, **after}:
        if not kind.startswith("aws:"):
            continue
        key, label = (kind, name), f"{kind.removeprefix('aws:')} {name.replace(STACK, 'S')}"
        if key not in before or key not in after:
            found[label] = "create" if key in after else "delete"
            continue
        resource = Resource(f"urn:pulumi:staging::railyard::{kind}::{name}", kind, name)
        old = provider.check(resource, {}, before[key], b"seed").inputs
        new = provider.check(resource, old, after[key], b"seed").inputs
        planned = provider.diff(resource, old, old, new)
        # Archives are other objects each time here, and the program leaves the count of tasks to autoscaling.
        differing = [it for it in planned.changes if (kind, it.path) not in BESIDE]
        if differing:
            found[label] = "replace" if any(change.replaces for change in differing) else "update"
    return found


@pytest.mark.parametrize(("changes", "planned"), STEPS)
def test_a_changed_setting_plans_these_steps_and_no_others(changes: dict[str, Any], planned: dict[str, str]) -> None:
    assert steps(**changes) == planned


def test_a_longer_retention_changes_every_log_group_in_place() -> None:
    groups = whole(()).of("cloudwatch/logGroup:LogGroup")
    changed = steps(logRetentionDays=60)
    assert {kind.split(" ")[0] for kind in changed} == {"cloudwatch/logGroup:LogGroup"}
    assert len(changed) == len(groups)
    assert set(changed.values()) == {"update"}


def test_another_address_range_replaces_the_network() -> None:
    changed = steps(vpcCidr="10.50.0.0/16")
    assert {changed[f"ec2/subnet:Subnet S-network-data-{zone}"] for zone in range(3)} == {"replace"}
    assert changed["ec2/vpc:Vpc S-network-vpc"] == "replace"
    assert "rds/instance:Instance S-database-instance" not in changed
