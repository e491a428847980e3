"""ElastiCache: replication groups, their subnet and parameter groups.

Source of what replaces: terraform-provider-aws `internal/service/elasticache/`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from providers.aws.kind import Kind, More, Op, Scope, Setting, Tagging, Wait

TAGGING = Tagging(
    add=Op("add_tags_to_resource", {"ResourceName": "$arn", "Tags": "$tags"}),
    remove=Op("remove_tags_from_resource", {"ResourceName": "$arn", "TagKeys": "$keys"}),
    show=Op("list_tags_for_resource", {"ResourceName": "$arn"}),
    at="TagList",
)

SUBNET_GROUP = Kind(
    type="aws:elasticache/subnetGroup:SubnetGroup",
    service="elasticache",
    create=Op("create_cache_subnet_group", {"CacheSubnetGroupDescription": "$description"}),
    read=Op("describe_cache_subnet_groups", {"CacheSubnetGroupName": "$id"}),
    at="CacheSubnetGroups[0]",
    update=Op(
        "modify_cache_subnet_group", {"CacheSubnetGroupName": "$id", "CacheSubnetGroupDescription": "$description"}
    ),
    delete=Op("delete_cache_subnet_group", {"CacheSubnetGroupName": "$id"}),
    id="$name",
    names={"name": "CacheSubnetGroupName"},
    answers={"description": "CacheSubnetGroupDescription", "subnetIds": "Subnets[].SubnetIdentifier"},
    outputs={"arn": "arn:aws:elasticache:$region:$account:subnetgroup:$id", "vpcId": "VpcId"},
    defaults={"description": "Managed by Pulumi"},
    autoname="name",
    replaces_on=("name",),
    tagging=TAGGING,
)


def reset(scope: Scope) -> list[dict[str, str]] | None:
    """The parameters that an update no longer has."""
    kept = {one["name"] for one in scope.get("parameters") or []}
    return [{"ParameterName": one["name"]} for one in scope["was"].get("parameters") or [] if one["name"] not in kept]


def parameters(scope: Scope) -> list[dict[str, str]]:
    """Parameters as ElastiCache takes them."""
    return [{"ParameterName": one["name"], "ParameterValue": str(one["value"])} for one in scope["parameters"]]


PARAMETER_GROUP = Kind(
    type="aws:elasticache/parameterGroup:ParameterGroup",
    service="elasticache",
    create=Op(
        "create_cache_parameter_group",
        {
            "CacheParameterGroupName": "$name",
            "CacheParameterGroupFamily": "$family",
            "Description": "$description",
        },
        only=(),
    ),
    read=Op("describe_cache_parameter_groups", {"CacheParameterGroupName": "$id"}),
    at="CacheParameterGroups[0]",
    delete=Op("delete_cache_parameter_group", {"CacheParameterGroupName": "$id"}),
    id="$name",
    names={"name": "CacheParameterGroupName", "family": "CacheParameterGroupFamily"},
    answers={"parameters": "Set[].{name: ParameterName, value: ParameterValue}"},
    outputs={"arn": "arn:aws:elasticache:$region:$account:parametergroup:$id"},
    defaults={"description": "Managed by Pulumi"},
    autoname="name",
    settings=(
        Setting(
            ("parameters",),
            Op(
                "modify_cache_parameter_group",
                {"CacheParameterGroupName": "$id", "ParameterNameValues": parameters},
                only=(),
            ),
            before=Op(
                lambda scope: "reset_cache_parameter_group" if reset(scope) else "",
                {"CacheParameterGroupName": "$id", "ParameterNameValues": reset},
                only=(),
            ),
            off=Op(
                "reset_cache_parameter_group",
                {"CacheParameterGroupName": "$id", "ResetAllParameters": True},
                only=(),
            ),
        ),
    ),
    more=(
        More(
            Op("describe_cache_parameters", {"CacheParameterGroupName": "$id", "Source": "user"}), "Parameters", "Set"
        ),
    ),
    recorded={"tags": "moto has no tags of a parameter group"},
    replaces_on=("name", "family", "description"),
)

USER_GROUP = Kind(
    type="aws:elasticache/userGroup:UserGroup",
    service="elasticache",
    id="$userGroupId",
    outputs={"arn": "arn:aws:elasticache:$region:$account:usergroup:$id"},
    replaces_on=("userGroupId",),
    recorded={"*": "moto has no CreateUserGroup"},
    tagging=TAGGING,
)

USER = Kind(
    type="aws:elasticache/user:User",
    service="elasticache",
    create=Op("create_user"),
    read=Op("describe_users", {"UserId": "$id"}),
    at="Users[0]",
    delete=Op("delete_user", {"UserId": "$id"}),
    id="UserId",
    outputs={"arn": "ARN"},
    unread=("passwords", "noPasswordRequired", "authenticationMode"),
    recorded={"accessString": "moto has no ModifyUser", "engine": "moto has no ModifyUser"},
    replaces_on=("userId", "userName"),
    tagging=TAGGING,
)


def goes_back(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """Engine and version of a replication group go forward in place, and back only by a new one."""
    back: tuple[str, ...] = ()
    engines = old.get("engine") or "redis", new.get("engine") or "redis"
    if engines == ("valkey", "redis"):
        back += ("engine",)
    versions = [[int(part) for part in re.findall(r"\d+", str(it.get("engineVersion") or ""))[:2]] for it in (old, new)]
    if engines[0] == engines[1] and all(versions) and versions[1] < versions[0][: len(versions[1])]:
        back += ("engineVersion",)
    return back


def resized(scope: Scope) -> str:
    """The operation by which an update has more or fewer nodes; a create has as many as was asked for."""
    before = int((scope.get("was") or {}).get("numCacheClusters") or 0)
    if not before or before == int(scope["numCacheClusters"]):
        return ""
    return "increase_replica_count" if int(scope["numCacheClusters"]) > before else "decrease_replica_count"


REPLICATION_GROUP = Kind(
    type="aws:elasticache/replicationGroup:ReplicationGroup",
    service="elasticache",
    create=Op("create_replication_group"),
    read=Op("describe_replication_groups", {"ReplicationGroupId": "$id"}),
    at="ReplicationGroups[0]",
    update=Op("modify_replication_group", {"ReplicationGroupId": "$id", "ApplyImmediately": True}, changed_only=True),
    delete=Op("delete_replication_group", {"ReplicationGroupId": "$id"}),
    wait_gone=True,
    id="ReplicationGroup.ReplicationGroupId",
    names={
        "description": "ReplicationGroupDescription",
        "nodeType": "CacheNodeType",
        "numCacheClusters": "NumCacheClusters",
        "parameterGroupName": "CacheParameterGroupName",
        "subnetGroupName": "CacheSubnetGroupName",
        "maintenanceWindow": "PreferredMaintenanceWindow",
        "multiAzEnabled": "MultiAZEnabled",
        "automaticFailoverEnabled": "AutomaticFailoverEnabled",
    },
    answers={
        "description": "Description",
        "automaticFailoverEnabled": "AutomaticFailover",
        "multiAzEnabled": "MultiAZ",
        "numCacheClusters": "length(MemberClusters)",
        "port": "NodeGroups[0].PrimaryEndpoint.Port",
        "engineVersion": "Member.EngineVersion",
        "parameterGroupName": "Member.CacheParameterGroup.CacheParameterGroupName",
        "subnetGroupName": "Member.CacheSubnetGroupName",
        "securityGroupIds": "Member.SecurityGroups[].SecurityGroupId",
        "maintenanceWindow": "Member.PreferredMaintenanceWindow",
        "autoMinorVersionUpgrade": "Member.AutoMinorVersionUpgrade",
        "notificationTopicArn": "Member.NotificationConfiguration.TopicArn",
    },
    outputs={
        "arn": "ARN",
        "primaryEndpointAddress": "NodeGroups[0].PrimaryEndpoint.Address",
        "readerEndpointAddress": "NodeGroups[0].ReaderEndpoint.Address",
        "configurationEndpointAddress": "ConfigurationEndpoint.Address",
        "memberClusters": "MemberClusters",
        "engineVersionActual": "$engineVersion",
        "clusterEnabled": "ClusterEnabled",
        "port": "NodeGroups[0].PrimaryEndpoint.Port",
    },
    autoname="replicationGroupId",
    name_limit=40,
    waits=(Wait("Status", ("available",), ("create-failed",)),),
    unread=("authToken", "authTokenUpdateStrategy", "applyImmediately", "finalSnapshotIdentifier"),
    more=(More(Op("describe_cache_clusters", {"CacheClusterId": "$id-001"}), "CacheClusters[0]", "Member"),),
    settings=(
        Setting(
            ("numCacheClusters",),
            Op(
                resized,
                {
                    "ReplicationGroupId": "$id",
                    "NewReplicaCount": lambda scope: int(scope["numCacheClusters"]) - 1,
                    "ApplyImmediately": True,
                },
                only=(),
            ),
        ),
    ),
    recorded={
        "logDeliveryConfigurations": "moto drops where the logs go",
        "userGroupIds": "moto has no user groups",
    },
    replaces_on=(
        "replicationGroupId",
        "port",
        "subnetGroupName",
        "atRestEncryptionEnabled",
        "kmsKeyId",
        "dataTieringEnabled",
        "securityGroupNames",
        "snapshotArns",
        "snapshotName",
        "networkType",
        "globalReplicationGroupId",
    ),
    replaces_when=goes_back,
    tagging=TAGGING,
)

KINDS = [SUBNET_GROUP, PARAMETER_GROUP, USER_GROUP, USER, REPLICATION_GROUP]
