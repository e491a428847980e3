"""Secrets Manager. Source of what replaces: terraform-provider-aws `internal/service/secretsmanager/`."""

from __future__ import annotations

from providers.aws.kind import Kind, More, Op, Setting, Tagging

TAGGING = Tagging(
    add=Op("tag_resource", {"SecretId": "$id", "Tags": "$tags"}),
    remove=Op("untag_resource", {"SecretId": "$id", "TagKeys": "$keys"}),
)

SECRET = Kind(
    type="aws:secretsmanager/secret:Secret",
    service="secretsmanager",
    create=Op("create_secret"),
    read=Op("describe_secret", {"SecretId": "$id"}),
    gone_when="DeletedDate",
    update=Op("update_secret", {"SecretId": "$id"}, only=("description", "kmsKeyId")),
    delete=Op(
        "delete_secret",
        {
            "SecretId": "$id",
            "RecoveryWindowInDays": lambda scope: int(scope.get("recoveryWindowInDays", 30)) or None,
            "ForceDeleteWithoutRecovery": lambda scope: True if scope.get("recoveryWindowInDays") == 0 else None,
        },
    ),
    id="ARN",
    outputs={"arn": "ARN"},
    autoname="name",
    settings=(
        Setting(
            ("policy",),
            Op("put_resource_policy", {"SecretId": "$id", "ResourcePolicy": "$policy"}, only=()),
            off=Op("delete_resource_policy", {"SecretId": "$id"}),
        ),
    ),
    more=(More(Op("get_resource_policy", {"SecretId": "$id"}), "ResourcePolicy", "Policy"),),
    unread=("recoveryWindowInDays", "forceOverwriteReplicaSecret"),
    recorded={"replicas": "moto tells other regions' copies in another shape"},
    replaces_on=("name", "namePrefix"),
    tagging=TAGGING,
)

VERSION = Kind(
    type="aws:secretsmanager/secretVersion:SecretVersion",
    service="secretsmanager",
    create=Op("put_secret_value", {"SecretId": "$secretId"}, only=("secretString", "secretBinary"), names={}),
    read=Op(
        "get_secret_value",
        {"SecretId": "$secretId", "VersionId": lambda scope: scope["id"].rpartition("|")[2]},
    ),
    id="$secretId|$versionId",
    answers={"secretId": "ARN"},
    outputs={"arn": "ARN", "versionId": "VersionId", "versionStages": "VersionStages"},
    replaces_on=("secretId", "secretString", "secretBinary", "secretStringWoVersion"),
    unread=("secretStringWo", "secretStringWoVersion"),
)

ROTATION = Kind(
    type="aws:secretsmanager/secretRotation:SecretRotation",
    service="secretsmanager",
    create=Op("rotate_secret", names={"rotateImmediately": "RotateImmediately"}),
    read=Op("describe_secret", {"SecretId": "$id"}),
    gone_when="!RotationEnabled",
    update=Op("rotate_secret", names={"rotateImmediately": "RotateImmediately"}),
    delete=Op("cancel_rotate_secret", {"SecretId": "$id"}),
    id="$secretId",
    answers={"secretId": "ARN", "rotationLambdaArn": "RotationLambdaARN"},
    outputs={"rotationEnabled": "RotationEnabled"},
    defaults={"rotateImmediately": True},
    unread=("rotateImmediately",),
    recorded={"rotationRules": "moto drops ScheduleExpression and Duration, and starts no rotation by itself"},
    replaces_on=("secretId",),
)

POLICY = Kind(
    type="aws:secretsmanager/secretPolicy:SecretPolicy",
    service="secretsmanager",
    create=Op(
        "put_resource_policy", {"SecretId": "$secretArn", "ResourcePolicy": "$policy"}, only=("blockPublicPolicy",)
    ),
    read=Op("get_resource_policy", {"SecretId": "$secretArn"}),
    gone_when="!ResourcePolicy",
    update=Op(
        "put_resource_policy", {"SecretId": "$secretArn", "ResourcePolicy": "$policy"}, only=("blockPublicPolicy",)
    ),
    delete=Op("delete_resource_policy", {"SecretId": "$secretArn"}),
    id="$secretArn",
    answers={"policy": "ResourcePolicy", "secretArn": "ARN"},
    unread=("blockPublicPolicy",),
    replaces_on=("secretArn",),
)

KINDS = [SECRET, VERSION, ROTATION, POLICY]
