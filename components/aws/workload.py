"""What runs and what watches it, composed from the settings of a stack (`railyard:aws:Workload`):

- log groups, roles, the audit archive; the alarms, which the rollout needs; the service, its scaling, its maintenance;
- dashboards, budget, backups with their restore tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.aws import metric_names
from components.aws.alarm_table import Subject, gate_names
from components.aws.alarms import UPTIME_REGION, Alarms, AlarmsArgs
from components.aws.audit_archive import AuditArchive, AuditArchiveArgs
from components.aws.autoscaling import Autoscaling, AutoscalingArgs
from components.aws.backups import Backups, BackupsArgs
from components.aws.budget import Budget, BudgetArgs
from components.aws.channel_backups import ChannelBackups, ChannelBackupsArgs
from components.aws.container import ContainerArgs
from components.aws.dashboards import Dashboards, DashboardsArgs
from components.aws.database_events import DatabaseEvents, DatabaseEventsArgs
from components.aws.foundation import Foundation
from components.aws.front import Front
from components.aws.logs import Logs, LogsArgs
from components.aws.notifications import Notifications, NotificationsArgs
from components.aws.roles import Roles, RolesArgs
from components.aws.rollout_role import RolloutRole, RolloutRoleArgs
from components.aws.scheduled_tasks import ARCHIVE, CONTAINER, ScheduledTasks, ScheduledTasksArgs
from components.aws.secrets import StackSecrets
from components.aws.service import Service, ServiceArgs, Traffic, cluster_and_services
from components.service_variables import service_variables
from components.settings import Rail, Settings
from components.settings.pool import connection_limit
from components.tags import check_tags


@dataclass(frozen=True, kw_only=True)
class WorkloadArgs:
    """Arguments of `Workload`.

    Attributes:
        settings: of the stack.
        foundation, front, secrets, notifications: that it stands on.
        image: of the service, by digest.
        release: its id.
        tags: of every resource.
    """

    settings: Settings
    foundation: Foundation
    front: Front
    secrets: StackSecrets
    notifications: Notifications
    image: pulumi.Input[str]
    release: str
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        check_tags("WorkloadArgs", self.tags)


class Workload(pulumi.ComponentResource):
    """The parts: `logs`, `archive`, `channel_backups`, `roles`, `alarms`, `service`, `scheduled_tasks`, `dashboards`,
    `backups`."""

    def __init__(self, name: str, args: WorkloadArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:aws:Workload", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self._names = cluster_and_services(name)
        self.subject = Subject(
            rails=tuple(rail.value for rail in args.settings.rails),
            database_storage_gib=args.settings.database_storage_gb,
            database_maximum_connections=connection_limit(args.settings.database_instance_class),
            # The settings say it for TON; other rails' usual fees CloudWatch learns.
            expected_gas_price=args.settings.gas_price_alarm_nano if "ton" in args.settings.rails else None,
        )
        # The primary's at the start; after a failover the other node is as telling.
        self._cache_node = pulumi.Output.concat(args.foundation.cache.replication_group_id, "-001")
        self.logs = self._logs()
        self.archive = self._archive()
        self.channel_backups = self._channel_backups()
        self.roles = self._roles()
        self.alarms = self._alarms()
        self.service = self._service()
        self._scale()
        self.scheduled_tasks = self._maintain()
        self.dashboards = self._dashboards()
        self.backups = self._backups()
        DatabaseEvents(
            f"{name}-database-events",
            DatabaseEventsArgs(
                identifier=args.foundation.database.identifier,
                topic_arn=args.notifications.warn_arn,
                tags=args.tags,
            ),
            self._child,
        )
        Budget(
            f"{name}-budget",
            BudgetArgs(
                monthly_usd=args.settings.monthly_budget_usd,
                topic_arn=args.notifications.warn_arn,
                emails=[args.settings.alert_email],
                tags=args.tags,
            ),
            self._child,
        )
        self.register_outputs({"clusterArn": self.service.cluster_arn})

    def _logs(self) -> Logs:
        args = self._args
        return Logs(
            self._name,
            LogsArgs(
                kms_key_arn=args.foundation.keys.operations_key_arn,
                retention_days=args.settings.log_retention_days,
                tags=args.tags,
            ),
            self._child,
        )

    def _archive(self) -> AuditArchive:
        args = self._args
        return AuditArchive(
            f"{self._name}-audit",
            AuditArchiveArgs(
                kms_key_arn=args.foundation.keys.data_key_arn,
                retention_years=args.settings.audit_retention_years,
                lock_mode=args.settings.audit_lock_mode,
                tags=args.tags,
            ),
            self._child,
        )

    def _channel_backups(self) -> ChannelBackups | None:
        args = self._args
        if Rail.LND not in args.settings.rails:
            return None
        return ChannelBackups(
            f"{self._name}-channels",
            ChannelBackupsArgs(
                kms_key_arn=args.foundation.keys.data_key_arn,
                retain=args.settings.audit_lock_mode == "COMPLIANCE",
                tags=args.tags,
            ),
            self._child,
        )

    def _roles(self) -> Roles:
        args = self._args
        return Roles(
            f"{self._name}-roles",
            RolesArgs(
                account_id=args.settings.account_id,
                region=args.settings.region,
                repository_arn=args.foundation.registry.arn,
                secret_arns=args.secrets.injected_arns,
                secret_key_arn=args.foundation.keys.secret_key_arn,
                log_group_arns=list(self.logs.arns.values()),
                archive_arn=self.archive.arn,
                archive_key_arn=args.foundation.keys.data_key_arn,
                worker_statements=self.channel_backups.use if self.channel_backups else (),
                tags=args.tags,
            ),
            self._child,
        )

    def _alarms(self) -> Alarms:
        args, balancer = self._args, self._args.front.load_balancer
        cluster, web, worker = self._names
        return Alarms(
            self._name,
            AlarmsArgs(
                subject=self.subject,
                region=args.settings.region,
                cluster=cluster,
                web_service=web,
                worker_service=worker,
                load_balancer=balancer.arn_suffix,
                target_group=balancer.target_group_suffix,
                alternate_target_group=balancer.alternate_target_group_suffix,
                database=args.foundation.database.identifier,
                cache_cluster=self._cache_node,
                web_acl=args.front.waf.metric_name,
                health_check=args.front.health_check_id,
                schedule_group=f"{self._name}-tasks",
                warn_topic_arn=args.notifications.warn_arn,
                critical_topic_arn=args.notifications.critical_arn,
                uptime_topic_arn=self._uptime_topic(),
                tags=args.tags,
            ),
            self._child,
        )

    def _uptime_topic(self) -> pulumi.Input[str] | None:
        """Route 53's metrics are in us-east-1 alone, and an alarm tells topics of its own region."""
        args = self._args
        if args.settings.region == UPTIME_REGION:
            return None
        return Notifications(
            f"{self._name}-uptime",
            NotificationsArgs(
                account_id=args.settings.account_id,
                emails=[args.settings.alert_email],
                region=UPTIME_REGION,
                tags=args.tags,
            ),
            self._child,
        ).critical_arn

    def _environment(self) -> dict[str, pulumi.Input[str]]:
        return {
            **service_variables(self._args.settings),
            # The load balancer's own addresses are the VPC's; nobody else's word about a client counts.
            "TRUSTED_PROXIES": self._args.settings.vpc_cidr,
            "TRUSTED_HOPS": "1",
            "CLOUDWATCH_NAMESPACE": metric_names.NAMESPACE,
        }

    def _service(self) -> Service:
        args, settings, balancer = self._args, self._args.settings, self._args.front.load_balancer
        mover = RolloutRole(
            f"{self._name}-rollout",
            RolloutRoleArgs(
                account_id=settings.account_id,
                listener_arn=balancer.listener_arn,
                rule_arns=[balancer.production_rule_arn, balancer.test_rule_arn],
                target_group_arns=[balancer.target_group_arn, balancer.alternate_target_group_arn],
                tags=args.tags,
            ),
            self._child,
        )
        return Service(
            self._name,
            ServiceArgs(
                image=args.image,
                release=args.release,
                region=settings.region,
                subnet_ids=args.foundation.network.private_subnet_ids,
                security_group_id=args.foundation.security_groups.task_id,
                execution_role_arn=self.roles.execution_role_arn,
                web_role_arn=self.roles.web_role_arn,
                worker_role_arn=self.roles.worker_role_arn,
                environment=self._environment(),
                web_environment={},
                worker_environment=self._stores(),
                web_secrets=args.secrets.web_variables,
                worker_secrets=args.secrets.worker_variables,
                migrate_secrets=args.secrets.migrate_variables,
                log_groups=self.logs.names,
                traffic=Traffic(
                    target_group_arn=balancer.target_group_arn,
                    alternate_target_group_arn=balancer.alternate_target_group_arn,
                    production_rule_arn=balancer.production_rule_arn,
                    test_rule_arn=balancer.test_rule_arn,
                    role_arn=mover.arn,
                    alarm_names=gate_names(self._name, self.subject),
                ),
                cpu_units=settings.service_cpu_units,
                memory_mib=settings.service_memory_mib,
                minimum_web_tasks=settings.min_tasks,
                worker_tasks=settings.worker_tasks,
                maximum_percent=settings.deployment_maximum_percent,
                tags=args.tags,
            ),
            # ECS looks for its alarms when a deployment begins.
            pulumi.ResourceOptions(parent=self, depends_on=[self.alarms]),
        )

    def _scale(self) -> None:
        args = self._args
        Autoscaling(
            f"{self._name}-scaling",
            AutoscalingArgs(
                cluster_name=self.service.cluster_name,
                service_name=self.service.running_web_name,
                minimum=args.settings.min_tasks,
                maximum=args.settings.max_tasks,
                tags=args.tags,
            ),
            self._child,
        )

    def _maintain(self) -> ScheduledTasks:
        args, settings = self._args, self._args.settings
        return ScheduledTasks(
            f"{self._name}-tasks",
            ScheduledTasksArgs(
                account_id=settings.account_id,
                cluster_arn=self.service.cluster_arn,
                subnet_ids=args.foundation.network.private_subnet_ids,
                security_group_id=args.foundation.security_groups.task_id,
                execution_role_arn=self.roles.execution_role_arn,
                containers={
                    "app": self._task("DATABASE_URL", args.secrets.web_variables),
                    "owner": self._task("DATABASE_OWNER_URL", args.secrets.migrate_variables),
                    ARCHIVE: self._task("DATABASE_URL", args.secrets.web_variables, self._archive_store()),
                },
                archive_role_arn=self.roles.auditor_role_arn,
                topic_arn=args.notifications.critical_arn,
                kms_key_arn=args.foundation.keys.data_key_arn,
                tags=args.tags,
            ),
            self._child,
        )

    def _archive_store(self) -> dict[str, pulumi.Input[str]]:
        return {"AUDIT_ARCHIVE_STORE": pulumi.Output.concat("s3://", self.archive.bucket)}

    def _stores(self) -> dict[str, pulumi.Input[str]]:
        backups = self.channel_backups
        return {**self._archive_store(), **({"LND_BACKUP_STORE": backups.url} if backups else {})}

    def _task(
        self,
        variable: str,
        secrets: Mapping[str, pulumi.Input[str]],
        more: Mapping[str, pulumi.Input[str]] | None = None,
    ) -> ContainerArgs:
        """What a job runs in: one login of the database, and nothing else that is secret."""
        args, settings = self._args, self._args.settings
        return ContainerArgs(
            name=CONTAINER,
            command=["audit", "verify"],
            image=args.image,
            environment={"APP_ENV": settings.environment, "NETWORK": settings.network, **(more or {})},
            secrets={variable: secrets[variable]},
            log_group=self.logs.names["tasks"],
            region=settings.region,
            cpu=512,
            memory_mib=1024,
        )

    def _dashboards(self) -> Dashboards:
        args = self._args
        cluster, web, worker = self._names
        return Dashboards(
            self._name,
            DashboardsArgs(
                region=args.settings.region,
                rails=self.subject.rails,
                cluster=cluster,
                web_service=web,
                worker_service=worker,
                load_balancer=args.front.load_balancer.arn_suffix,
                database=args.foundation.database.identifier,
                cache_cluster=self._cache_node,
                web_acl=args.front.waf.metric_name,
                web_log_group=self.logs.names["web"],
                alarm_arns=list(self.alarms.arns.values()),
                tags=args.tags,
            ),
            self._child,
        )

    def _backups(self) -> Backups:
        args, settings = self._args, self._args.settings
        return Backups(
            f"{self._name}-backups",
            BackupsArgs(
                account_id=settings.account_id,
                region=settings.region,
                database_arn=args.foundation.database.arn,
                kms_key_arn=args.foundation.keys.data_key_arn,
                topic_arn=args.notifications.critical_arn,
                subnet_group_name=args.foundation.database.subnet_group_name,
                security_group_id=args.foundation.security_groups.database_id,
                lock=settings.deletion_protection,
                tags=args.tags,
            ),
            self._child,
        )
