"""RDS: instances, their subnet and parameter groups.

Source of what replaces: terraform-provider-aws `internal/service/rds/{instance,subnet_group,parameter_group}.go`.
"""

from __future__ import annotations

from typing import Any

from providers.aws.kind import Kind, Op, Scope, Setting, Tagging, Wait

TAGGING = Tagging(
    add=Op("add_tags_to_resource", {"ResourceName": "$arn", "Tags": "$tags"}),
    remove=Op("remove_tags_from_resource", {"ResourceName": "$arn", "TagKeys": "$keys"}),
    show=Op("list_tags_for_resource", {"ResourceName": "$arn"}),
    at="TagList",
)

SUBNET_GROUP = Kind(
    type="aws:rds/subnetGroup:SubnetGroup",
    service="rds",
    create=Op("create_db_subnet_group", {"DBSubnetGroupDescription": "$description"}),
    read=Op("describe_db_subnet_groups", {"DBSubnetGroupName": "$id"}),
    at="DBSubnetGroups[0]",
    update=Op("modify_db_subnet_group", {"DBSubnetGroupDescription": "$description"}),
    delete=Op("delete_db_subnet_group", {"DBSubnetGroupName": "$id"}),
    id="$name",
    names={"name": "DBSubnetGroupName"},
    answers={"description": "DBSubnetGroupDescription", "subnetIds": "Subnets[].SubnetIdentifier"},
    outputs={"arn": "arn:aws:rds:$region:$account:subgrp:$id", "vpcId": "VpcId"},
    defaults={"description": "Managed by Pulumi"},
    autoname="name",
    replaces_on=("name", "namePrefix"),
    tagging=TAGGING,
)


def parameters(scope: Scope) -> list[dict[str, str]]:
    """The parameters as ModifyDBParameterGroup takes them."""
    return [
        {
            "ParameterName": one["name"],
            "ParameterValue": str(one["value"]),
            "ApplyMethod": one.get("applyMethod") or "immediate",
        }
        for one in scope.get("parameters") or []
    ]


PARAMETER_GROUP = Kind(
    type="aws:rds/parameterGroup:ParameterGroup",
    service="rds",
    create=Op("create_db_parameter_group", {"Description": "$description"}),
    read=Op("describe_db_parameter_groups", {"DBParameterGroupName": "$id"}),
    at="DBParameterGroups[0]",
    delete=Op("delete_db_parameter_group", {"DBParameterGroupName": "$id"}),
    id="$name",
    names={"name": "DBParameterGroupName", "family": "DBParameterGroupFamily"},
    outputs={"arn": "arn:aws:rds:$region:$account:pg:$id"},
    defaults={"description": "Managed by Pulumi"},
    autoname="name",
    settings=(
        Setting(
            ("parameters",),
            Op("modify_db_parameter_group", {"DBParameterGroupName": "$id", "Parameters": parameters}, only=()),
            off=Op(lambda _: ""),
        ),
    ),
    replaces_on=("name", "namePrefix", "family", "description"),
    unread=("skipDestroy",),
    recorded={"parameters": "moto tells no parameters of a group and has no ResetDBParameterGroup"},
    tagging=TAGGING,
)


def _instance(scope: dict[str, Any]) -> None:
    if scope.get("blueGreenUpdate"):
        scope.pop("blueGreenUpdate")


INSTANCE = Kind(
    type="aws:rds/instance:Instance",
    service="rds",
    create=Op("create_db_instance"),
    read=Op("describe_db_instances", {"DBInstanceIdentifier": "$identifier"}),
    at="DBInstances[0]",
    update=Op(
        "modify_db_instance", {"DBInstanceIdentifier": "$identifier", "ApplyImmediately": True}, changed_only=True
    ),
    delete=Op(
        "delete_db_instance",
        {
            "DBInstanceIdentifier": "$identifier",
            "SkipFinalSnapshot": lambda scope: bool(scope.get("skipFinalSnapshot")),
            "FinalDBSnapshotIdentifier": lambda scope: (
                None if scope.get("skipFinalSnapshot") else scope.get("finalSnapshotIdentifier")
            ),
            "DeleteAutomatedBackups": "$deleteAutomatedBackups",
        },
    ),
    wait_gone=True,
    id="DBInstance.DbiResourceId",
    prepare=_instance,
    names={
        "identifier": "DBInstanceIdentifier",
        "instanceClass": "DBInstanceClass",
        "username": "MasterUsername",
        "password": "MasterUserPassword",
        "parameterGroupName": "DBParameterGroupName",
        "iamDatabaseAuthenticationEnabled": "EnableIAMDatabaseAuthentication",
        "enabledCloudwatchLogsExports": "EnableCloudwatchLogsExports",
        "performanceInsightsEnabled": "EnablePerformanceInsights",
        "performanceInsightsKmsKeyId": "PerformanceInsightsKMSKeyId",
        "backupWindow": "PreferredBackupWindow",
        "maintenanceWindow": "PreferredMaintenanceWindow",
        "caCertIdentifier": "CACertificateIdentifier",
        "manageMasterUserPassword": "ManageMasterUserPassword",
        "masterUserSecretKmsKeyId": "MasterUserSecretKmsKeyId",
        "dbName": "DBName",
        "kmsKeyId": "KmsKeyId",
        "dbSubnetGroupName": "DBSubnetGroupName",
    },
    answers={
        "dbSubnetGroupName": "DBSubnetGroup.DBSubnetGroupName",
        "parameterGroupName": "DBParameterGroups[0].DBParameterGroupName",
        "vpcSecurityGroupIds": "VpcSecurityGroups[].VpcSecurityGroupId",
        "iamDatabaseAuthenticationEnabled": "IAMDatabaseAuthenticationEnabled",
        "enabledCloudwatchLogsExports": "EnabledCloudwatchLogsExports",
        "performanceInsightsEnabled": "PerformanceInsightsEnabled",
        "performanceInsightsKmsKeyId": "PerformanceInsightsKMSKeyId",
        "performanceInsightsRetentionPeriod": "PerformanceInsightsRetentionPeriod",
        "port": "Endpoint.Port",
        "caCertIdentifier": "CACertificateIdentifier",
        "manageMasterUserPassword": "MasterUserSecret && `true`",
        "masterUserSecretKmsKeyId": "MasterUserSecret.KmsKeyId",
    },
    outputs={
        "arn": "DBInstanceArn",
        "address": "Endpoint.Address",
        "endpoint": "join(':', [Endpoint.Address, to_string(Endpoint.Port)])",
        "port": "Endpoint.Port",
        "hostedZoneId": "Endpoint.HostedZoneId",
        "resourceId": "DbiResourceId",
        "status": "DBInstanceStatus",
        "engineVersionActual": "EngineVersion",
        "masterUserSecrets": (
            "MasterUserSecret && [{secretArn: MasterUserSecret.SecretArn, "
            "secretStatus: MasterUserSecret.SecretStatus, kmsKeyId: MasterUserSecret.KmsKeyId}]"
        ),
        "dbName": "DBName",
    },
    defaults={"autoMinorVersionUpgrade": True, "publiclyAccessible": False},
    autoname="identifier",
    name_limit=63,
    waits=(Wait("DBInstanceStatus", ("available",), ("failed", "storage-full")),),
    unread=(
        "password",
        "applyImmediately",
        "skipFinalSnapshot",
        "finalSnapshotIdentifier",
        "deleteAutomatedBackups",
        "allowMajorVersionUpgrade",
        "snapshotIdentifier",
        "blueGreenUpdate",
    ),
    replaces_on=(
        "identifier",
        "identifierPrefix",
        "engine",
        "username",
        "dbName",
        "storageEncrypted",
        "kmsKeyId",
        "availabilityZone",
        "characterSetName",
        "timezone",
        "snapshotIdentifier",
        "backupTarget",
        "ncharCharacterSetName",
        "restoreToPointInTime",
        "s3Import",
        "domainOu",
        "customIamInstanceProfile",
    ),
    tagging=TAGGING,
)

EVENT_SUBSCRIPTION = Kind(
    type="aws:rds/eventSubscription:EventSubscription",
    service="rds",
    create=Op("create_event_subscription", {"SubscriptionName": "$name", "SnsTopicArn": "$snsTopic"}),
    read=Op("describe_event_subscriptions", {"SubscriptionName": "$id"}),
    at="EventSubscriptionsList[0]",
    update=Op("modify_event_subscription", {"SubscriptionName": "$id", "SnsTopicArn": "$snsTopic"}),
    delete=Op("delete_event_subscription", {"SubscriptionName": "$id"}),
    id="EventSubscription.CustSubscriptionId",
    names={"name": "SubscriptionName"},
    answers={
        "name": "CustSubscriptionId",
        "snsTopic": "SnsTopicArn",
        "eventCategories": "EventCategoriesList",
        "sourceIds": "SourceIdsList",
    },
    outputs={"arn": "EventSubscriptionArn", "customerAwsId": "$account"},
    defaults={"enabled": True},
    autoname="name",
    replaces_on=("name", "namePrefix"),
    tagging=TAGGING,
)

KINDS = [EVENT_SUBSCRIPTION, SUBNET_GROUP, PARAMETER_GROUP, INSTANCE]
