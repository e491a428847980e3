"""Backups of the database (`railyard:aws:Backups`), besides the 7 days that RDS itself can go back in:

- a vault under the customer key, whose copies nobody deletes before their time;
- a plan: 7 daily, 4 weekly and 12 monthly copies;
- a restore test every week, of the newest copy, into a database of its own that is removed again;
- failures are told to the critical topic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components.aws.checks import check_between, check_not_empty
from components.aws.policy_documents import Document, allow, document, service_trust
from components.tags import check_tags

WEEK, MONTH = 7, 31


@dataclass(frozen=True, kw_only=True)
class BackupsArgs:
    """Arguments of `Backups`.

    Attributes:
        account_id, region: of the stack.
        database_arn: what is backed up.
        kms_key_arn: customer key of the vault and of the database.
        topic_arn: where failures are told.
        subnet_group_name, security_group_id: where a restore test puts its database.
        daily, weekly, monthly: how many copies of each are kept.
        lock: whether copies cannot be deleted before their time; a stack that is tried out has to be removable.
        tags: of every resource.
    """

    account_id: pulumi.Input[str]
    region: str
    database_arn: pulumi.Input[str]
    kms_key_arn: pulumi.Input[str]
    topic_arn: pulumi.Input[str]
    subnet_group_name: pulumi.Input[str]
    security_group_id: pulumi.Input[str]
    daily: int = 7
    weekly: int = 4
    monthly: int = 12
    lock: bool = True
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        check_tags(type(self).__name__, self.tags)
        check_between(self, "daily", 7, 35, "Give 7, as the guides ask.")
        check_between(self, "weekly", 4, 52, "Give 4, as the guides ask.")
        check_between(self, "monthly", 12, 120, "Give 12, as the guides ask.")
        check_not_empty(self, "kms_key_arn", "Give the ARN of the stack's key for data.")


def backup_policy(
    region: str, account_id: pulumi.Input[str], database_arn: pulumi.Input[str], kms_key_arn: pulumi.Input[str]
) -> Document:
    """What AWS Backup does on our behalf: copies of the one database, and restores into databases beside it."""

    def arn(kind: str, name: str) -> pulumi.Input[str]:
        if isinstance(account_id, str):
            return f"arn:aws:rds:{region}:{account_id}:{kind}:{name}"
        return pulumi.Output.format("arn:aws:rds:{0}:{1}:{2}:{3}", region, account_id, kind, name)

    # AWS Backup's own names for copies and for the databases of restore tests.
    snapshots, tests = arn("snapshot", "awsbackup:*"), arn("db", "awsbackup-restore-test-*")
    return document(
        allow("Look", ["rds:DescribeDBInstances", "rds:DescribeDBSnapshots"], ["*"]),
        allow(
            "Copy",
            ["rds:CreateDBSnapshot", "rds:AddTagsToResource", "rds:ListTagsForResource"],
            [database_arn, snapshots],
        ),
        allow("Forget", ["rds:DeleteDBSnapshot", "rds:CopyDBSnapshot", "rds:ModifyDBSnapshotAttribute"], [snapshots]),
        allow(
            "Restore",
            ["rds:RestoreDBInstanceFromDBSnapshot"],
            [snapshots, tests, arn("subgrp", "*"), arn("pg", "*"), arn("og", "*")],
        ),
        allow("Remove", ["rds:DeleteDBInstance", "rds:ModifyDBInstance", "rds:AddTagsToResource"], [tests]),
        allow("Key", ["kms:DescribeKey", "kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*"], [kms_key_arn]),
        allow("Grant", ["kms:CreateGrant"], [kms_key_arn], {"Bool": {"kms:GrantIsForAWSResource": "true"}}),
    )


def trust_policy(account_id: pulumi.Input[str]) -> Document:
    """AWS Backup, on behalf of this account."""
    return service_trust("backup.amazonaws.com", {"StringEquals": {"aws:SourceAccount": account_id}})


class Backups(pulumi.ComponentResource):
    """The vault and its plans; `vault_name`, `plan_id`."""

    def __init__(self, name: str, args: BackupsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:aws:Backups", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        vault = aws.backup.Vault(
            f"{name}-vault",
            name=f"{name}-vault",
            kms_key_arn=args.kms_key_arn,
            tags=args.tags,
            # A vault with copies in it cannot be deleted; a locked one is meant to stay.
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=args.lock),
        )
        self.vault_name: pulumi.Output[str] = vault.name
        if args.lock:
            # Without `changeable_for_days`: governance, so that an administrator of backups can still mend a mistake.
            aws.backup.VaultLockConfiguration(
                f"{name}-lock",
                backup_vault_name=vault.name,
                min_retention_days=args.daily,
                max_retention_days=MONTH * args.monthly,
                opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True),
            )
        aws.backup.VaultNotifications(
            f"{name}-notifications",
            backup_vault_name=vault.name,
            sns_topic_arn=args.topic_arn,
            backup_vault_events=["BACKUP_JOB_FAILED", "COPY_JOB_FAILED", "RESTORE_JOB_FAILED"],
            opts=self._child,
        )
        role = aws.iam.Role(
            f"{name}-role",
            assume_role_policy=pulumi.Output.json_dumps(trust_policy(args.account_id)),
            tags=args.tags,
            opts=self._child,
        )
        policy = aws.iam.RolePolicy(
            f"{name}-policy",
            role=role.name,
            policy=pulumi.Output.json_dumps(
                backup_policy(args.region, args.account_id, args.database_arn, args.kms_key_arn)
            ),
            opts=self._child,
        )
        allowed = pulumi.ResourceOptions(parent=self, depends_on=[policy])
        self.plan_id = self._plan(role.arn, allowed)
        self._test_restores(vault.arn, role.arn, allowed)
        self.register_outputs({"vaultName": self.vault_name, "planId": self.plan_id})

    def _plan(self, role_arn: pulumi.Output[str], allowed: pulumi.ResourceOptions) -> pulumi.Output[str]:
        args = self._args
        plan = aws.backup.Plan(
            f"{self._name}-plan",
            name=f"{self._name}-plan",
            rules=[
                self._rule("daily", "cron(0 3 * * ? *)", args.daily),
                self._rule("weekly", "cron(0 4 ? * SUN *)", WEEK * args.weekly),
                self._rule("monthly", "cron(0 5 1 * ? *)", MONTH * args.monthly),
            ],
            tags=args.tags,
            opts=self._child,
        )
        aws.backup.Selection(
            f"{self._name}-selection",
            name=f"{self._name}-database",
            plan_id=plan.id,
            iam_role_arn=role_arn,
            resources=[args.database_arn],
            opts=allowed,
        )
        identifier: pulumi.Output[str] = plan.id
        return identifier

    def _rule(self, name: str, schedule: str, days: int) -> dict[str, Any]:
        return {
            "rule_name": name,
            "target_vault_name": self.vault_name,
            "schedule": schedule,
            "start_window": 60,
            "completion_window": 240,
            "lifecycle": {"delete_after": days},
            "recovery_point_tags": {**self._args.tags, "copy": name},
        }

    def _test_restores(
        self, vault_arn: pulumi.Output[str], role_arn: pulumi.Output[str], allowed: pulumi.ResourceOptions
    ) -> None:
        args = self._args
        # Letters, digits and underscores alone.
        title = self._name.replace("-", "_")
        plan = aws.backup.RestoreTestingPlan(
            f"{self._name}-restore-plan",
            name=f"{title}_weekly",
            schedule_expression="cron(0 6 ? * MON *)",
            start_window_hours=4,
            recovery_point_selection={
                "algorithm": "LATEST_WITHIN_WINDOW",
                "include_vaults": [vault_arn],
                "recovery_point_types": ["SNAPSHOT"],
                "selection_window_days": WEEK,
            },
            tags=args.tags,
            opts=self._child,
        )
        aws.backup.RestoreTestingSelection(
            f"{self._name}-restore-selection",
            name=f"{title}_database",
            restore_testing_plan_name=plan.name,
            protected_resource_type="RDS",
            protected_resource_arns=[args.database_arn],
            iam_role_arn=role_arn,
            # Long enough for `railyard drill backup-restore` to look whether the ledger balances in it.
            validation_window_hours=4,
            restore_metadata_overrides={
                "dbSubnetGroupName": args.subnet_group_name,
                "vpcSecurityGroupIds": pulumi.Output.json_dumps([args.security_group_id]),
                "publiclyAccessible": "false",
            },
            opts=allowed,
        )
