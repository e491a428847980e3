"""Database and cache of a stack on Kubernetes, and all that depends on whose they are: RDS and ElastiCache of the
foundation, or servers that somebody else runs, at URLs that are secrets of the stack.

Of one that is given nothing is made in the account: no rule that lets nodes in, no alarm, no backup, no output. Whoever
runs it backs it up, watches it and rotates its logins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.aws.alarm_table import Subject
from components.aws.alarms import DataAlarms, DataAlarmsArgs
from components.aws.backups import Backups, BackupsArgs
from components.aws.database import Database
from components.aws.database_events import DatabaseEvents, DatabaseEventsArgs
from components.aws.foundation import Foundation
from components.aws.notifications import Notifications
from components.kubernetes.network_policy import Destination
from components.settings import Settings
from components.settings.pool import connection_limit


@dataclass(frozen=True, kw_only=True)
class Stores:
    """Database and cache; its resources are the platform's.

    Attributes:
        name: of the platform.
        settings, foundation: of the stack.
        tags: the required tags.
        child: makes a resource the platform's.
    """

    name: str
    settings: Settings
    foundation: Foundation
    tags: Mapping[str, str]
    child: pulumi.ResourceOptions

    def database_place(self) -> Destination:
        """Where pods reach the database."""
        own = self.foundation.own_database
        if own is None:
            return Destination(cidrs=self.settings.database_cidrs, port=self.settings.database_port)
        return Destination(cidrs=self.foundation.network.data_cidrs, port=own.port)

    def cache_place(self) -> Destination:
        """Where pods reach the cache."""
        own = self.foundation.own_cache
        if own is None:
            return Destination(cidrs=self.settings.cache_cidrs, port=self.settings.cache_port)
        return Destination(cidrs=self.foundation.network.data_cidrs, port=own.port)

    def let_nodes_in(self, nodes: pulumi.Input[str]) -> None:
        """The stack's own know the tasks' security group already; pods come from their nodes'."""
        groups, foundation = self.foundation.security_groups, self.foundation
        if foundation.own_database:
            self._let_in("database", groups.database_id, foundation.own_database.port, nodes)
        if foundation.own_cache:
            self._let_in("cache", groups.cache_id, foundation.own_cache.port, nodes)

    def _let_in(self, part: str, group: pulumi.Input[str], port: int, nodes: pulumi.Input[str]) -> None:
        aws.vpc.SecurityGroupIngressRule(
            f"{self.name}-nodes-{part}",
            security_group_id=group,
            description=f"In: pods to the {part}",
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
            referenced_security_group_id=nodes,
            tags=dict(self.tags),
            opts=self.child,
        )

    def keep(self, notifications: Notifications) -> None:
        """Watch the stack's own, and back its database up."""
        if self.foundation.own_database or self.foundation.own_cache:
            self._watch(notifications)
        if self.foundation.own_database:
            self._back_up(self.foundation.own_database, notifications)

    def _watch(self, notifications: Notifications) -> None:
        """What RDS, ElastiCache and AWS Backup tell of themselves, and CloudWatch alone."""
        settings, database, cache = self.settings, self.foundation.own_database, self.foundation.own_cache
        DataAlarms(
            self.name,
            DataAlarmsArgs(
                subject=Subject(
                    rails=(),
                    database_storage_gib=settings.database_storage_gb,
                    database_maximum_connections=connection_limit(settings.database_instance_class),
                ),
                database=database.identifier if database else None,
                # The primary's at the start; after a failover the other node is as telling.
                cache_cluster=pulumi.Output.concat(cache.replication_group_id, "-001") if cache else None,
                warn_topic_arn=notifications.warn_arn,
                critical_topic_arn=notifications.critical_arn,
                tags=self.tags,
            ),
            self.child,
        )

    def _back_up(self, database: Database, notifications: Notifications) -> None:
        settings, foundation = self.settings, self.foundation
        Backups(
            f"{self.name}-backups",
            BackupsArgs(
                account_id=settings.account_id,
                region=settings.region,
                database_arn=database.arn,
                kms_key_arn=foundation.keys.data_key_arn,
                topic_arn=notifications.critical_arn,
                subnet_group_name=database.subnet_group_name,
                security_group_id=foundation.security_groups.database_id,
                lock=settings.deletion_protection,
                tags=self.tags,
            ),
            self.child,
        )
        DatabaseEvents(
            f"{self.name}-database-events",
            DatabaseEventsArgs(identifier=database.identifier, topic_arn=notifications.warn_arn, tags=self.tags),
            self.child,
        )

    def outputs(self) -> dict[str, pulumi.Output[str]]:
        """What the platform exports of its own."""
        database, cache = self.foundation.own_database, self.foundation.own_cache
        found = {"databaseIdentifier": database.identifier} if database else {}
        return found | ({"cacheId": cache.replication_group_id} if cache else {})
