"""ElastiCache: the nodes of a replication group, and what of a group moto takes but does not tell or change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.emulation.operation import Call, Operation, moto_backend, refuse

MISSING = "ReplicationGroupNotFoundFault"
# Of a change: parameter -> attribute of moto's group.
_CHANGED = {
    "ReplicationGroupDescription": "description",
    "CacheNodeType": "cache_node_type",
    "CacheParameterGroupName": "cache_parameter_group_name",
    "SecurityGroupIds": "security_group_ids",
    "PreferredMaintenanceWindow": "preferred_maintenance_window",
    "NotificationTopicArn": "notification_topic_arn",
    "Engine": "engine",
    "EngineVersion": "engine_version",
    "AutoMinorVersionUpgrade": "auto_minor_version_upgrade",
    "SnapshotRetentionLimit": "snapshot_retention_limit",
    "SnapshotWindow": "snapshot_window",
    "TransitEncryptionEnabled": "transit_encryption_enabled",
    "TransitEncryptionMode": "transit_encryption_mode",
}
_SWITCHED = {"AutomaticFailoverEnabled": "automatic_failover", "MultiAZEnabled": "multi_az"}


def _group(call: Call) -> Any:
    name = call.given["ReplicationGroupId"]
    found = moto_backend("elasticache", call).replication_groups.get(name)
    if found is None:
        refuse(MISSING, f"The replication group {name} does not exist.")
    return found


def _modify(call: Call) -> Mapping[str, Any]:
    group, given = _group(call), call.given
    for member, attribute in _CHANGED.items():
        if member in given:
            value = given[member]
            setattr(group, attribute, list(value) if isinstance(value, list) else value)
    for member, attribute in _SWITCHED.items():
        if member in given:
            setattr(group, attribute, "enabled" if given[member] else "disabled")
    if given.get("AuthToken"):
        group.auth_token_enabled = True
    return {"ReplicationGroup": group}


def _delete(call: Call) -> Mapping[str, Any]:
    """moto says "deleting" of it for good, and its name stays taken: here it has ended by the next request."""
    group = _group(call)
    backend = moto_backend("elasticache", call)
    backend.delete_replication_group(group.replication_group_id, call.given.get("RetainPrimaryCluster"))
    del backend.replication_groups[group.replication_group_id]
    return {"ReplicationGroup": group}


def _resize(call: Call) -> Mapping[str, Any]:
    """As many replicas of each node as asked for; the primary stays."""
    group, wanted = _group(call), int(call.given["NewReplicaCount"])
    if group.cluster_mode == "enabled":
        refuse("InvalidParameterValue", "The emulated account resizes groups of one shard alone.")
    if group.automatic_failover == "enabled" and wanted < 1:
        refuse("InvalidReplicationGroupState", "With automatic failover there is at least one replica.")
    [shard] = group.node_groups
    members, first = shard["node_group_members"], shard["node_group_members"][0]
    zones = _zones(call.region)
    for number in range(len(members) + 1, wanted + 2):
        name = f"{group.replication_group_id}-{number:0>3}"
        address = first["read_endpoint"]["address"].replace(first["cache_cluster_id"], name, 1)
        members.append(
            {
                **first,
                "cache_cluster_id": name,
                "read_endpoint": {"address": address, "port": group.port},
                "preferred_availability_zone": zones[(number - 1) % len(zones)],
                "current_role": "replica",
            }
        )
    del members[wanted + 1 :]
    group.member_clusters[:] = [member["cache_cluster_id"] for member in members]
    return {"ReplicationGroup": group}


def _clusters(call: Call) -> Mapping[str, Any]:
    """moto's own clusters, and the nodes of the groups, which are clusters too."""
    backend, wanted = moto_backend("elasticache", call), call.given.get("CacheClusterId")
    nodes = {
        member["cache_cluster_id"]: (group, member)
        for group in backend.replication_groups.values()
        for shard in group.node_groups
        for member in shard["node_group_members"]
    }
    if wanted in nodes:
        return {"CacheClusters": [_cluster(call, *nodes[wanted])]}
    own = backend.describe_cache_clusters(cache_cluster_id=wanted)
    return {"CacheClusters": [*own, *([] if wanted else [_cluster(call, *node) for node in nodes.values()])]}


def _cluster(call: Call, group: Any, member: Mapping[str, Any]) -> dict[str, Any]:
    name = member["cache_cluster_id"]
    told = {
        "CacheClusterId": name,
        "ReplicationGroupId": group.replication_group_id,
        "CacheClusterStatus": "available",
        "CacheNodeType": group.cache_node_type,
        "Engine": group.engine,
        "EngineVersion": group.engine_version,
        "NumCacheNodes": 1,
        "PreferredAvailabilityZone": member["preferred_availability_zone"],
        "PreferredMaintenanceWindow": group.preferred_maintenance_window,
        "CacheSubnetGroupName": group.cache_subnet_group_name,
        "AutoMinorVersionUpgrade": group.auto_minor_version_upgrade,
        "SecurityGroups": [{"SecurityGroupId": one, "Status": "active"} for one in group.security_group_ids or []],
        "AuthTokenEnabled": group.auth_token_enabled,
        "TransitEncryptionEnabled": group.transit_encryption_enabled,
        "TransitEncryptionMode": group.transit_encryption_mode,
        "AtRestEncryptionEnabled": group.at_rest_encryption_enabled,
        "SnapshotRetentionLimit": group.snapshot_retention_limit,
        "SnapshotWindow": group.snapshot_window,
        "CacheClusterCreateTime": group.replication_group_create_time,
        "ARN": call.arn(f"cluster:{name}"),
    }
    if group.cache_parameter_group_name:
        told["CacheParameterGroup"] = {
            "CacheParameterGroupName": group.cache_parameter_group_name,
            "ParameterApplyStatus": "in-sync",
        }
    if group.notification_topic_arn:
        told["NotificationConfiguration"] = {"TopicArn": group.notification_topic_arn, "TopicStatus": "active"}
    if call.given.get("ShowCacheNodeInfo"):
        endpoint = {"Address": member["read_endpoint"]["address"], "Port": group.port}
        told["CacheNodes"] = [{"CacheNodeId": "0001", "CacheNodeStatus": "available", "Endpoint": endpoint}]
    return {key: value for key, value in told.items() if value is not None}


def _zones(region: str) -> list[str]:
    return [f"{region}{letter}" for letter in "abc"]


OPERATIONS: Mapping[str, Operation] = {
    "ModifyReplicationGroup": _modify,
    "DeleteReplicationGroup": _delete,
    "IncreaseReplicaCount": _resize,
    "DecreaseReplicaCount": _resize,
    "DescribeCacheClusters": _clusters,
}


def complete_groups() -> None:
    """Have moto's groups be of as many nodes as was asked for, in zones of their own region."""
    from moto.elasticache.models import ReplicationGroup

    made = ReplicationGroup.__init__

    def make(group: Any, **given: Any) -> None:
        if given.get("cluster_mode") != "enabled" and not given.get("replicas_per_node_group"):
            given["replicas_per_node_group"] = max(int(given.get("num_cache_clusters") or 1) - 1, 0)
        given["preferred_cache_cluster_azs"] = given.get("preferred_cache_cluster_azs") or _zones(given["region_name"])
        made(group, **given)

    ReplicationGroup.__init__ = make
