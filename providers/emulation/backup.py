"""AWS Backup: selections, restore tests, a vault's notifications and policy; a plan's update and second life."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from providers.emulation.operation import Call, Operation, moto_backend, refuse

MISSING = "ResourceNotFoundException"
EXISTS = "AlreadyExistsException"


def _now() -> datetime:
    return datetime.now(UTC)


def _create_selection(call: Call) -> Mapping[str, Any]:
    plan = call.given["BackupPlanId"]
    moto_backend("backup", call).get_backup_plan(plan, None)
    made = {
        "BackupPlanId": plan,
        "SelectionId": str(uuid4()),
        "CreationDate": _now(),
        "BackupSelection": dict(call.given["BackupSelection"]),
        "CreatorRequestId": call.given.get("CreatorRequestId"),
    }
    call.shelf("selections")[plan, made["SelectionId"]] = made
    return made


def _selection(call: Call) -> dict[str, Any]:
    key = call.given["BackupPlanId"], call.given["SelectionId"]
    return call.found("selections", key, MISSING, "The selection")


def _list_selections(call: Call) -> Mapping[str, Any]:
    plan = call.given["BackupPlanId"]
    return {
        "BackupSelectionsList": [
            {
                "SelectionId": key[1],
                "SelectionName": it["BackupSelection"]["SelectionName"],
                "BackupPlanId": plan,
                "CreationDate": it["CreationDate"],
                "IamRoleArn": it["BackupSelection"]["IamRoleArn"],
            }
            for key, it in call.shelf("selections").items()
            if key[0] == plan
        ]
    }


def _delete_selection(call: Call) -> Mapping[str, Any]:
    _selection(call)
    del call.shelf("selections")[call.given["BackupPlanId"], call.given["SelectionId"]]
    return {}


def _create_plan(call: Call) -> Mapping[str, Any]:
    """As moto's, for which the name of a plan is taken for ever: it keeps those that were deleted, as AWS does."""
    backend, wanted = moto_backend("backup", call), dict(call.given["BackupPlan"])
    deleted = {key: plan for key, plan in backend.plans.items() if plan.deletion_date is not None}
    living = {key: plan for key, plan in backend.plans.items() if key not in deleted}
    if any(plan.backup_plan["BackupPlanName"] == wanted["BackupPlanName"] for plan in living.values()):
        refuse(EXISTS, "Backup plan with the same plan document already exists")
    backend.plans = living
    try:
        tags = dict(call.given.get("BackupPlanTags") or {})
        made = backend.create_backup_plan(wanted, tags, call.given.get("CreatorRequestId"))
    finally:
        backend.plans = {**deleted, **backend.plans}
    return dict(made.to_dict())


def _update_plan(call: Call) -> Mapping[str, Any]:
    plan = moto_backend("backup", call).get_backup_plan(call.given["BackupPlanId"], None)
    plan.backup_plan = {**call.given["BackupPlan"]}
    plan.version_id = uuid4().hex
    return {"BackupPlanId": plan.backup_plan_id, "BackupPlanArn": plan.backup_plan_arn, "VersionId": plan.version_id}


def _of_vault(shelf: str, *members: str) -> tuple[Operation, Operation, Operation]:
    """Put, get and delete of something that a vault has one of."""

    def put(call: Call) -> Mapping[str, Any]:
        name = call.given["BackupVaultName"]
        moto_backend("backup", call).describe_backup_vault(name)
        call.shelf(shelf)[name] = {member: call.given[member] for member in members if member in call.given}
        return {}

    def get(call: Call) -> Mapping[str, Any]:
        name = call.given["BackupVaultName"]
        found = call.found(shelf, name, MISSING, f"What the vault has of {shelf},")
        return {"BackupVaultName": name, "BackupVaultArn": call.arn(f"backup-vault:{name}"), **found}

    def delete(call: Call) -> Mapping[str, Any]:
        call.shelf(shelf).pop(call.given["BackupVaultName"], None)
        return {}

    return put, get, delete


def _create_test(call: Call) -> Mapping[str, Any]:
    plan = dict(call.given["RestoreTestingPlan"])
    name = plan["RestoreTestingPlanName"]
    if name in call.shelf("tests"):
        refuse(EXISTS, f"The restore testing plan {name} exists already.")
    arn, now = call.arn(f"restore-testing-plan:{name}-{uuid4()}"), _now()
    call.shelf("tests")[name] = {**plan, "RestoreTestingPlanArn": arn, "CreationTime": now}
    # By its ARN moto's own tagging takes it from here.
    moto_backend("backup", call).tag_resource(arn, dict(call.given.get("Tags") or {}))
    return {"RestoreTestingPlanName": name, "RestoreTestingPlanArn": arn, "CreationTime": now}


def _test(call: Call) -> dict[str, Any]:
    return call.found("tests", call.given["RestoreTestingPlanName"], MISSING, "The restore testing plan")


def _update_test(call: Call) -> Mapping[str, Any]:
    plan = _test(call)
    plan.update(call.given["RestoreTestingPlan"])
    return {**plan, "UpdateTime": _now()}


def _delete_test(call: Call) -> Mapping[str, Any]:
    name = call.given["RestoreTestingPlanName"]
    if any(key[0] == name for key in call.shelf("tested")):
        refuse("InvalidRequestException", f"The restore testing plan {name} has selections still.")
    call.shelf("tests").pop(name, None)
    return {}


def _create_tested(call: Call) -> Mapping[str, Any]:
    plan, given = _test(call), dict(call.given["RestoreTestingSelection"])
    key = call.given["RestoreTestingPlanName"], given["RestoreTestingSelectionName"]
    if key in call.shelf("tested"):
        refuse(EXISTS, f"The restore testing selection {key[1]} exists already.")
    made = {**given, "RestoreTestingPlanName": key[0], "CreationTime": _now()}
    call.shelf("tested")[key] = made
    return {**made, "RestoreTestingPlanArn": plan["RestoreTestingPlanArn"]}


def _tested(call: Call) -> dict[str, Any]:
    key = call.given["RestoreTestingPlanName"], call.given["RestoreTestingSelectionName"]
    return call.found("tested", key, MISSING, "The restore testing selection")


def _update_tested(call: Call) -> Mapping[str, Any]:
    found = _tested(call)
    found.update(call.given["RestoreTestingSelection"])
    return {**found, "RestoreTestingPlanArn": _test(call)["RestoreTestingPlanArn"], "UpdateTime": _now()}


def _delete_tested(call: Call) -> Mapping[str, Any]:
    call.shelf("tested").pop((call.given["RestoreTestingPlanName"], call.given["RestoreTestingSelectionName"]), None)
    return {}


_PUT_TOLD, _GET_TOLD, _DELETE_TOLD = _of_vault("notifications", "SNSTopicArn", "BackupVaultEvents")
_PUT_POLICY, _GET_POLICY, _DELETE_POLICY = _of_vault("policies", "Policy")

OPERATIONS: Mapping[str, Operation] = {
    "CreateBackupPlan": _create_plan,
    "CreateBackupSelection": _create_selection,
    "GetBackupSelection": _selection,
    "ListBackupSelections": _list_selections,
    "DeleteBackupSelection": _delete_selection,
    "UpdateBackupPlan": _update_plan,
    "PutBackupVaultNotifications": _PUT_TOLD,
    "GetBackupVaultNotifications": _GET_TOLD,
    "DeleteBackupVaultNotifications": _DELETE_TOLD,
    "PutBackupVaultAccessPolicy": _PUT_POLICY,
    "GetBackupVaultAccessPolicy": _GET_POLICY,
    "DeleteBackupVaultAccessPolicy": _DELETE_POLICY,
    "CreateRestoreTestingPlan": _create_test,
    "GetRestoreTestingPlan": lambda call: {"RestoreTestingPlan": _test(call)},
    "ListRestoreTestingPlans": lambda call: {"RestoreTestingPlans": list(call.shelf("tests").values())},
    "UpdateRestoreTestingPlan": _update_test,
    "DeleteRestoreTestingPlan": _delete_test,
    "CreateRestoreTestingSelection": _create_tested,
    "GetRestoreTestingSelection": lambda call: {"RestoreTestingSelection": _tested(call)},
    "UpdateRestoreTestingSelection": _update_tested,
    "DeleteRestoreTestingSelection": _delete_tested,
}
