"""The database of a stack in AWS (`railyard:aws:Database`):

- RDS PostgreSQL 16 in two zones, encrypted with the customer's key, never public, protected against deletion;
- 100 GiB that grow by themselves, 7 days of backups to the second, a final snapshot, backups that outlive the instance;
- TLS forced, slow statements, lock waits and connections logged, by a parameter group;
- the master password made, kept and rotated by RDS itself in Secrets Manager;
- Performance Insights and enhanced monitoring; log groups with a retention.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import pulumi_random as random

from components.arguments import ArgumentError
from components.aws.policy_documents import allow, document, service_trust
from components.tags import check_tags, named

PORT = 5432
LOGS = ("postgresql", "upgrade")
# RDS refuses these as master user (InvalidParameterValue; facts.md 2c, trap 2), or PostgreSQL has them already.
RESERVED_USERS = ("admin", "postgres", "rdsadmin", "rds_superuser", "rdsrepladmin", "root", "user")
PARAMETERS: dict[str, tuple[str, str]] = {
    "rds.force_ssl": ("1", "immediate"),
    "log_min_duration_statement": ("1000", "immediate"),
    "log_lock_waits": ("1", "immediate"),
    "log_connections": ("1", "immediate"),
    "log_disconnections": ("1", "immediate"),
    "log_statement": ("ddl", "immediate"),
    "idle_in_transaction_session_timeout": ("60000", "immediate"),
    "password_encryption": ("scram-sha-256", "immediate"),
    "shared_preload_libraries": ("pg_stat_statements", "pending-reboot"),
}
"""Parameters by name: value (times in ms) and when a change of it applies."""


@dataclass(frozen=True, kw_only=True)
class DatabaseArgs:
    """Arguments of `Database`.

    Attributes:
        account_id: of the AWS account.
        identifier: of the instance; letters, digits and hyphens, beginning with a letter.
        subnet_ids: of the data subnets, in at least two zones.
        security_group_id: of the database.
        kms_key_arn: the customer's key of storage, backups, Performance Insights and the master password.
        log_key_arn: the key of the log groups.
        version: "16.<minor>", kept until it is changed here; or "16", whose minors RDS upgrades by itself.
        instance_class: as db.t4g.large.
        storage_gb, max_storage_gb: GiB at first, and up to where RDS enlarges it.
        backup_days: days that any second can be restored of.
        multi_az: a standby in another zone.
        deletion_protection: refuse to delete the instance, by AWS and by Pulumi.
        master_username: not a name that RDS reserves.
        database_name: of the database inside.
        log_retention_days: of the log groups.
        tags: the required tags, and more.
    """

    account_id: str
    identifier: str
    subnet_ids: Sequence[pulumi.Input[str]]
    security_group_id: pulumi.Input[str]
    kms_key_arn: pulumi.Input[str]
    log_key_arn: pulumi.Input[str]
    version: str = "16.15"
    instance_class: str = "db.t4g.large"
    storage_gb: int = 100
    max_storage_gb: int = 500
    backup_days: int = 7
    multi_az: bool = True
    deletion_protection: bool = True
    master_username: str = "payments_master"
    database_name: str = "payments"
    log_retention_days: int = 90
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        def refuse(key: str, what: str, fix: str) -> None:
            raise ArgumentError("DatabaseArgs", key, what, fix)

        if not re.fullmatch(r"[a-z](-?[a-z0-9]){0,62}", self.identifier):
            what = f"is {self.identifier!r}, which RDS refuses"
            refuse(
                "identifier", what, "Begin with a letter; go on with letters, digits and single hyphens, 63 at most."
            )
        if len(self.subnet_ids) < 2:
            refuse("subnet_ids", f"has {len(self.subnet_ids)}", "Give subnets in at least two zones.")
        if not re.fullmatch(r"16(\.\d+)?", self.version):
            refuse("version", f"is {self.version!r}", "Use a minor of PostgreSQL 16, as 16.15, or 16.")
        if self.storage_gb < 100:
            refuse("storage_gb", f"is {self.storage_gb} and must be at least 100", "Ask for 100 GiB or more.")
        if self.max_storage_gb <= self.storage_gb:
            what = f"is {self.max_storage_gb}, no more than storage_gb, which is {self.storage_gb}"
            refuse("max_storage_gb", what, "Leave room to grow.")
        if not 7 <= self.backup_days <= 35:
            refuse("backup_days", f"is {self.backup_days} and must be 7 to 35", "Keep backups for 7 to 35 days.")
        if self.master_username in RESERVED_USERS or not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", self.master_username):
            what = f"is {self.master_username!r}, which RDS refuses"
            refuse("master_username", what, "Use letters, digits and _, and no name that RDS reserves, as admin.")
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", self.database_name):
            what = f"is {self.database_name!r}, which RDS refuses"
            refuse("database_name", what, "Begin with a letter; go on with letters, digits and _.")
        check_tags("DatabaseArgs", self.tags)


class Database(pulumi.ComponentResource):
    """The instance: `address`, `port`, `database_name`, `identifier`, `arn`, `master_secret_arn`, `resource_id`,
    `subnet_group_name`."""

    def __init__(self, name: str, args: DatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:aws:Database", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self.port, self.database_name = PORT, args.database_name
        instance = self._instance(self._log_groups())
        self.identifier: pulumi.Output[str] = instance.identifier
        self.address: pulumi.Output[str] = instance.address
        self.arn: pulumi.Output[str] = instance.arn
        self.resource_id: pulumi.Output[str] = instance.resource_id
        self.subnet_group_name: pulumi.Output[str] = instance.db_subnet_group_name
        self.master_secret_arn: pulumi.Output[str] = instance.master_user_secrets.apply(
            lambda secrets: secrets[0].secret_arn
        )
        self.register_outputs(
            {
                "identifier": self.identifier,
                "address": self.address,
                "arn": self.arn,
                "masterSecretArn": self.master_secret_arn,
            }
        )

    def _tags(self, suffix: str) -> dict[str, str]:
        return named(self._args.tags, f"{self._name}-{suffix}")

    def _log_groups(self) -> list[aws.cloudwatch.LogGroup]:
        """The groups RDS writes to, made before it would make them without a retention."""
        return [
            aws.cloudwatch.LogGroup(
                f"{self._name}-{log}",
                name=f"/aws/rds/instance/{self._args.identifier}/{log}",
                retention_in_days=self._args.log_retention_days,
                kms_key_id=self._args.log_key_arn,
                tags=self._tags(log),
                opts=self._child,
            )
            for log in LOGS
        ]

    def _parameters(self) -> aws.rds.ParameterGroup:
        return aws.rds.ParameterGroup(
            f"{self._name}-parameters",
            family="postgres16",
            description="TLS forced; slow statements, lock waits and connections logged",
            parameters=[
                aws.rds.ParameterGroupParameterArgs(name=key, value=value, apply_method=when)
                for key, (value, when) in PARAMETERS.items()
            ],
            tags=self._tags("parameters"),
            opts=self._child,
        )

    def _monitoring_role(self) -> aws.iam.Role:
        """What enhanced monitoring writes its metrics as; the rights of AWS's managed policy, for its one log group."""
        role = aws.iam.Role(
            f"{self._name}-monitoring",
            assume_role_policy=json.dumps(
                service_trust(
                    "monitoring.rds.amazonaws.com", {"StringEquals": {"aws:SourceAccount": self._args.account_id}}
                )
            ),
            tags=self._tags("monitoring"),
            opts=self._child,
        )
        group = "arn:aws:logs:*:*:log-group:RDSOSMetrics"
        aws.iam.RolePolicy(
            f"{self._name}-monitoring",
            role=role.id,
            policy=json.dumps(
                document(
                    allow("MakeGroup", ["logs:CreateLogGroup", "logs:PutRetentionPolicy"], [group]),
                    allow(
                        "WriteMetrics",
                        ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams", "logs:GetLogEvents"],
                        [f"{group}:log-stream:*"],
                    ),
                )
            ),
            opts=self._child,
        )
        return role

    def _instance(self, log_groups: list[aws.cloudwatch.LogGroup]) -> aws.rds.Instance:
        args = self._args
        subnets = aws.rds.SubnetGroup(
            f"{self._name}-subnets", subnet_ids=list(args.subnet_ids), tags=self._tags("subnets"), opts=self._child
        )
        # A database that was destroyed leaves its last snapshot: the next of its name needs another name for its own.
        life = random.RandomId(f"{self._name}-life", byte_length=4, opts=self._child)
        return aws.rds.Instance(
            f"{self._name}-instance",
            identifier=args.identifier,
            engine="postgres",
            engine_version=args.version,
            # A minor that RDS upgrades by itself would be planned back to the one written here, which RDS refuses.
            auto_minor_version_upgrade="." not in args.version,
            allow_major_version_upgrade=False,
            instance_class=args.instance_class,
            allocated_storage=args.storage_gb,
            max_allocated_storage=args.max_storage_gb,
            storage_type="gp3",
            storage_encrypted=True,
            kms_key_id=args.kms_key_arn,
            multi_az=args.multi_az,
            db_name=args.database_name,
            port=PORT,
            db_subnet_group_name=subnets.name,
            vpc_security_group_ids=[args.security_group_id],
            publicly_accessible=False,
            parameter_group_name=self._parameters().name,
            ca_cert_identifier="rds-ca-rsa2048-g1",
            username=args.master_username,
            manage_master_user_password=True,
            master_user_secret_kms_key_id=args.kms_key_arn,
            iam_database_authentication_enabled=True,
            backup_retention_period=args.backup_days,
            backup_window="02:00-03:00",
            maintenance_window="sun:03:30-sun:04:30",
            copy_tags_to_snapshot=True,
            delete_automated_backups=False,
            skip_final_snapshot=False,
            final_snapshot_identifier=pulumi.Output.concat(f"{args.identifier}-final-", life.hex),
            deletion_protection=args.deletion_protection,
            enabled_cloudwatch_logs_exports=list(LOGS),
            performance_insights_enabled=True,
            performance_insights_kms_key_id=args.kms_key_arn,
            performance_insights_retention_period=7,
            monitoring_interval=60,
            monitoring_role_arn=self._monitoring_role().arn,
            tags=self._tags("instance"),
            # A plan that would replace the database stops, instead of swapping an empty one in.
            opts=pulumi.ResourceOptions(parent=self, depends_on=log_groups, protect=args.deletion_protection),
        )
