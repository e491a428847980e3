"""ElastiCache: replication groups, their subnet and parameter groups.

Source of what replaces: terraform-provider-aws `internal/service/elasticache/`.
"""

from __future__ import annotations

from providers.aws.kind import Kind, Op, Tagging, Wait

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
    id="$name",
    names={"name": "CacheSubnetGroupName"},
    answers={"description": "CacheSubnetGroupDescription", "subnetIds": "Subnets[].SubnetIdentifier"},
    outputs={"arn": "arn:aws:elasticache:$region:$account:subnetgroup:$id", "vpcId": "VpcId"},
    defaults={"description": "Managed by Pulumi"},
    autoname="name",
    replaces_on=("name",),
    recorded={
        "(delete)": "moto has no DeleteCacheSubnetGroup: the group stays in the account until the emulator ends",
        "description": "moto has no ModifyCacheSubnetGroup",
        "subnetIds": "moto has no ModifyCacheSubnetGroup",
    },
    tagging=TAGGING,
)

PARAMETER_GROUP = Kind(
    type="aws:elasticache/parameterGroup:ParameterGroup",
    service="elasticache",
    id="$name",
    outputs={"arn": "arn:aws:elasticache:$region:$account:parametergroup:$id"},
    defaults={"description": "Managed by Pulumi"},
    autoname="name",
    replaces_on=("name", "family", "description"),
    recorded={"*": "moto has no CreateCacheParameterGroup"},
    tagging=TAGGING,
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
    recorded={"accessString": "moto has no ModifyUser"},
    replaces_on=("userId", "userName", "engine"),
    tagging=TAGGING,
)

REPLICATION_GROUP = Kind(
    type="aws:elasticache/replicationGroup:ReplicationGroup",
    service="elasticache",
    create=Op("create_replication_group"),
    read=Op("describe_replication_groups", {"ReplicationGroupId": "$id"}),
    at="ReplicationGroups[0]",
    update=Op("modify_replication_group", {"ReplicationGroupId": "$id", "ApplyImmediately": True}, changed_only=True),
    delete=Op("delete_replication_group", {"ReplicationGroupId": "$id"}),
    # moto leaves the group in this state for good.
    gone_when="Status == 'deleting'",
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
    recorded={
        "engine": "moto tells none of a replication group",
        "engineVersion": "moto tells none of a replication group",
        "port": "moto keeps it only within the endpoints",
        "parameterGroupName": "moto has no parameter groups",
        "subnetGroupName": "moto tells none of a replication group",
        "securityGroupIds": "moto tells none of a replication group",
        "maintenanceWindow": "moto tells none of a replication group",
        "autoMinorVersionUpgrade": "moto accepts and drops it",
        "logDeliveryConfigurations": "moto accepts and drops it",
        "notificationTopicArn": "moto accepts and drops it",
        "numCacheClusters": "moto makes one member cluster, whatever is asked for",
        "userGroupIds": "moto has no user groups",
        "nodeType": "moto accepts and drops a later change",
        "transitEncryptionMode": "moto accepts and drops it",
    },
    replaces_on=(
        "replicationGroupId",
        "engine",
        "port",
        "subnetGroupName",
        "atRestEncryptionEnabled",
        "kmsKeyId",
        "dataTieringEnabled",
        "securityGroupNames",
        "snapshotArns",
        "snapshotName",
        "preferredCacheClusterAzs",
        "networkType",
        "globalReplicationGroupId",
    ),
    tagging=TAGGING,
)

KINDS = [SUBNET_GROUP, PARAMETER_GROUP, USER_GROUP, USER, REPLICATION_GROUP]
