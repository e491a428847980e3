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


_LIFE = "{coldStorageAfter: MoveToColdStorageAfterDays, deleteAfter: DeleteAfterDays}"
TOLD_RULES = (
    "BackupPlan.Rules[].{ruleName: RuleName, targetVaultName: TargetBackupVaultName, schedule: ScheduleExpression, "
    "scheduleExpressionTimezone: ScheduleExpressionTimezone, startWindow: StartWindowMinutes, "
    "completionWindow: CompletionWindowMinutes, enableContinuousBackup: EnableContinuousBackup, "
    f"recoveryPointTags: RecoveryPointTags, lifecycle: Lifecycle.{_LIFE}, copyActions: CopyActions[]."
    f"{{destinationVaultArn: DestinationBackupVaultArn, lifecycle: Lifecycle.{_LIFE}}}}}"
)
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
    update=Op(
        "update_backup_plan",
        {"BackupPlanId": "$id", "BackupPlan": {"BackupPlanName": "$name", "Rules": rules}},
        only=("rules",),
    ),
    delete=Op("delete_backup_plan", {"BackupPlanId": "$id"}),
    id="BackupPlanId",
    answers={"name": "BackupPlan.BackupPlanName", "rules": TOLD_RULES},
    outputs={"arn": "BackupPlanArn", "version": "VersionId"},
    recorded={"advancedBackupSettings": "not sent on"},
    replaces_on=("name",),
    autoname="name",
    name_limit=50,
    tagging=TAGGING,
)


def selection(scope: Scope) -> dict[str, Any]:
    """A selection as Backup takes it."""
    found: dict[str, Any] = {"SelectionName": scope["name"], "IamRoleArn": scope["iamRoleArn"]}
    found |= {member: scope[name] for name, member in _LISTS.items() if scope.get(name)}
    if scope.get("selectionTags"):
        names = {"type": "ConditionType", "key": "ConditionKey", "value": "ConditionValue"}
        found["ListOfTags"] = [{names[key]: value for key, value in tag.items()} for tag in scope["selectionTags"]]
    conditions = {
        _TESTS[test]: [{"ConditionKey": one["key"], "ConditionValue": one["value"]} for one in tests]
        for given in scope.get("conditions") or []
        for test, tests in given.items()
    }
    return {**found, "Conditions": conditions} if conditions else found


_TESTS = {
    "stringEquals": "StringEquals",
    "stringLikes": "StringLike",
    "stringNotEquals": "StringNotEquals",
    "stringNotLikes": "StringNotLike",
}
_LISTS = {"resources": "Resources", "notResources": "NotResources"}
SELECTION = Kind(
    type="aws:backup/selection:Selection",
    service="backup",
    create=Op("create_backup_selection", {"BackupPlanId": "$planId", "BackupSelection": selection}, only=()),
    read=Op("get_backup_selection", {"BackupPlanId": "$planId", "SelectionId": "$id"}),
    delete=Op("delete_backup_selection", {"BackupPlanId": "$planId", "SelectionId": "$id"}),
    id="SelectionId",
    answers={
        "name": "BackupSelection.SelectionName",
        "planId": "BackupPlanId",
        "iamRoleArn": "BackupSelection.IamRoleArn",
        "resources": "BackupSelection.Resources",
        "notResources": "BackupSelection.NotResources",
    },
    recorded={"conditions": "told in another shape", "selectionTags": "told in another shape"},
    replaces_on=("iamRoleArn", "name", "planId", "resources", "notResources", "conditions", "selectionTags"),
)

NOTIFICATIONS = Kind(
    type="aws:backup/vaultNotifications:VaultNotifications",
    service="backup",
    create=Op("put_backup_vault_notifications"),
    read=Op("get_backup_vault_notifications", {"BackupVaultName": "$id"}),
    delete=Op("delete_backup_vault_notifications", {"BackupVaultName": "$id"}),
    id="$backupVaultName",
    outputs={"backupVaultArn": "BackupVaultArn"},
    replaces_on=("backupVaultName", "snsTopicArn", "backupVaultEvents"),
)

VAULT_POLICY = Kind(
    type="aws:backup/vaultPolicy:VaultPolicy",
    service="backup",
    create=Op("put_backup_vault_access_policy"),
    read=Op("get_backup_vault_access_policy", {"BackupVaultName": "$id"}),
    update=Op("put_backup_vault_access_policy"),
    delete=Op("delete_backup_vault_access_policy", {"BackupVaultName": "$id"}),
    id="$backupVaultName",
    outputs={"backupVaultArn": "BackupVaultArn"},
    replaces_on=("backupVaultName",),
)

RESTORE_TESTING_PLAN = Kind(
    type="aws:backup/restoreTestingPlan:RestoreTestingPlan",
    service="backup",
    create=Op(
        "create_restore_testing_plan",
        {
            "RestoreTestingPlan": {"RestoreTestingPlanName": "$name"},
            "Tags": lambda scope: scope["tagsAll"] or None,
        },
        into="RestoreTestingPlan",
    ),
    read=Op("get_restore_testing_plan", {"RestoreTestingPlanName": "$id"}),
    at="RestoreTestingPlan",
    update=Op("update_restore_testing_plan", {"RestoreTestingPlanName": "$id"}, into="RestoreTestingPlan"),
    delete=Op("delete_restore_testing_plan", {"RestoreTestingPlanName": "$id"}),
    id="$name",
    answers={"name": "RestoreTestingPlanName"},
    outputs={"arn": "RestoreTestingPlanArn"},
    replaces_on=("name",),
    tagging=TAGGING,
)

RESTORE_TESTING_SELECTION = Kind(
    type="aws:backup/restoreTestingSelection:RestoreTestingSelection",
    service="backup",
    create=Op(
        "create_restore_testing_selection",
        {
            "RestoreTestingPlanName": "$restoreTestingPlanName",
            "RestoreTestingSelection": {"RestoreTestingSelectionName": "$name"},
        },
        into="RestoreTestingSelection",
    ),
    read=Op(
        "get_restore_testing_selection",
        {"RestoreTestingPlanName": "$restoreTestingPlanName", "RestoreTestingSelectionName": "$name"},
    ),
    at="RestoreTestingSelection",
    update=Op(
        "update_restore_testing_selection",
        {"RestoreTestingPlanName": "$restoreTestingPlanName", "RestoreTestingSelectionName": "$name"},
        into="RestoreTestingSelection",
    ),
    delete=Op(
        "delete_restore_testing_selection",
        {"RestoreTestingPlanName": "$restoreTestingPlanName", "RestoreTestingSelectionName": "$name"},
    ),
    id="$name:$restoreTestingPlanName",
    answers={"name": "RestoreTestingSelectionName"},
    replaces_on=("name", "restoreTestingPlanName", "protectedResourceType"),
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
    SELECTION,
    NOTIFICATIONS,
    VAULT_POLICY,
    RESTORE_TESTING_PLAN,
    RESTORE_TESTING_SELECTION,
    unknown_to_moto("Framework", "CreateFramework", "$name", "name"),
    unknown_to_moto("RegionSettings", "UpdateRegionSettings", "$region"),
    unknown_to_moto("GlobalSettings", "UpdateGlobalSettings", "$account"),
]
