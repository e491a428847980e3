"""AWS Backup. Source of what replaces: terraform-provider-aws `internal/service/backup/`."""

from __future__ import annotations

from typing import Any

from providers.aws.kind import Kind, Op, Scope, Tagging

TAGGING = Tagging(
    add=Op("tag_resource", {"ResourceArn": "$arn", "Tags": "$tags"}),
    remove=Op("untag_resource", {"ResourceArn": "$arn", "TagKeyList": "$keys"}),
    show=Op("list_tags", {"ResourceArn": "$arn"}),
    style="map",
)

VAULT = Kind(
    type="aws:backup/vault:Vault",
    service="backup",
    create=Op("create_backup_vault", {"BackupVaultTags": lambda scope: scope["tagsAll"] or None}),
    read=Op("describe_backup_vault", {"BackupVaultName": "$id"}),
    delete=Op("delete_backup_vault", {"BackupVaultName": "$id"}),
    id="BackupVaultName",
    names={"name": "BackupVaultName", "kmsKeyArn": "EncryptionKeyArn"},
    outputs={"arn": "BackupVaultArn", "recoveryPoints": "NumberOfRecoveryPoints"},
    defaults={"forceDestroy": False},
    autoname="name",
    name_limit=50,
    unread=("forceDestroy",),
    replaces_on=("name", "kmsKeyArn"),
    tagging=TAGGING,
)

LOCK = Kind(
    type="aws:backup/vaultLockConfiguration:VaultLockConfiguration",
    service="backup",
    create=Op("put_backup_vault_lock_configuration"),
    read=Op("describe_backup_vault", {"BackupVaultName": "$id"}),
    gone_when="!Locked",
    update=Op("put_backup_vault_lock_configuration"),
    delete=Op("delete_backup_vault_lock_configuration", {"BackupVaultName": "$id"}),
    id="$backupVaultName",
    outputs={"backupVaultArn": "BackupVaultArn"},
    unread=("changeableForDays",),
    replaces_on=("backupVaultName", "minRetentionDays", "maxRetentionDays", "changeableForDays"),
)


def rules(scope: Scope) -> list[dict[str, Any]]:
    """A plan's rules as Backup takes them."""
    found = []
    for given in scope["rules"]:
        rule: dict[str, Any] = {"RuleName": given["ruleName"], "TargetBackupVaultName": given["targetVaultName"]}
        names = {
            "schedule": "ScheduleExpression",
            "scheduleExpressionTimezone": "ScheduleExpressionTimezone",
            "startWindow": "StartWindowMinutes",
            "completionWindow": "CompletionWindowMinutes",
            "enableContinuousBackup": "EnableContinuousBackup",
            "recoveryPointTags": "RecoveryPointTags",
        }
        rule |= {member: given[name] for name, member in names.items() if given.get(name) is not None}
        if given.get("lifecycle"):
            rule["Lifecycle"] = _lifecycle(given["lifecycle"])
        if given.get("copyActions"):
            rule["CopyActions"] = [
                {
                    "DestinationBackupVaultArn": one["destinationVaultArn"],
                    "Lifecycle": _lifecycle(one.get("lifecycle") or {}),
                }
                for one in given["copyActions"]
            ]
        found.append(rule)
    return found


def _lifecycle(given: dict[str, Any]) -> dict[str, Any]:
    names = {"coldStorageAfter": "MoveToColdStorageAfterDays", "deleteAfter": "DeleteAfterDays"}
    return {member: int(given[name]) for name, member in names.items() if given.get(name) is not None}


PLAN = Kind(
    type="aws:backup/plan:Plan",
    service="backup",
    create=Op(
        "create_backup_plan",
        {
            "BackupPlan": {"BackupPlanName": "$name", "Rules": rules},
            "BackupPlanTags": lambda scope: scope["tagsAll"] or None,
        },
        only=(),
    ),
    read=Op("get_backup_plan", {"BackupPlanId": "$id"}),
    gone_when="DeletionDate",
    delete=Op("delete_backup_plan", {"BackupPlanId": "$id"}),
    id="BackupPlanId",
    outputs={"arn": "BackupPlanArn", "version": "VersionId"},
    unread=("name",),
    recorded={
        "rules": "moto has no UpdateBackupPlan",
        "advancedBackupSettings": "moto has no UpdateBackupPlan",
    },
    replaces_on=("name",),
    autoname="name",
    name_limit=50,
    tagging=TAGGING,
)


def unknown_to_moto(name: str, operation: str, resource_id: str, *replaces_on: str, arn: str = "") -> Kind:
    return Kind(
        type=f"aws:backup/{name[0].lower()}{name[1:]}:{name}",
        service="backup",
        id=resource_id,
        outputs={"arn": arn} if arn else {},
        replaces_on=replaces_on,
        recorded={"*": f"moto has no {operation}"},
    )


KINDS = [
    VAULT,
    LOCK,
    PLAN,
    unknown_to_moto(
        "Selection",
        "CreateBackupSelection",
        "$planId|$name",
        "iamRoleArn",
        "name",
        "planId",
        "resources",
        "notResources",
        "conditions",
        "selectionTags",
    ),
    unknown_to_moto("VaultPolicy", "PutBackupVaultAccessPolicy", "$backupVaultName", "backupVaultName"),
    unknown_to_moto(
        "VaultNotifications",
        "PutBackupVaultNotifications",
        "$backupVaultName",
        "backupVaultName",
        "snsTopicArn",
        "backupVaultEvents",
    ),
    unknown_to_moto(
        "RestoreTestingPlan",
        "CreateRestoreTestingPlan",
        "$name",
        "name",
        arn="arn:aws:backup:$region:$account:restore-testing-plan:$id",
    ),
    unknown_to_moto(
        "RestoreTestingSelection",
        "CreateRestoreTestingSelection",
        "$name:$restoreTestingPlanName",
        "name",
        "restoreTestingPlanName",
        "protectedResourceType",
    ),
    unknown_to_moto("Framework", "CreateFramework", "$name", "name"),
    unknown_to_moto("RegionSettings", "UpdateRegionSettings", "$region"),
    unknown_to_moto("GlobalSettings", "UpdateGlobalSettings", "$account"),
]
