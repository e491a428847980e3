"""The whole platform on Kubernetes (`railyard:kubernetes:KubernetesPlatform`), composed from the settings:

- the foundation in AWS: keys, network, registry, database and cache; the image; the secrets with their rotation;
- an EKS cluster of the stack's own, or the context of one that exists;
- the application in it; the audit archive; database backups with restore tests, and a budget;
- the alarms of what Prometheus does not see: the database, the cache and the backups.

A database or a cache can be given by URL instead (`railyard:database: given`): then it is not made, watched or backed
up here, its URLs are secrets that others issued, and pods reach it at the addresses the settings name (`stores.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from components.aws.audit_archive import AuditArchive, AuditArchiveArgs
from components.aws.budget import Budget, BudgetArgs
from components.aws.channel_backups import ChannelBackups, ChannelBackupsArgs
from components.aws.foundation import Foundation, FoundationArgs
from components.aws.notifications import Notifications, NotificationsArgs
from components.aws.policy_documents import Statement
from components.aws.registry import Image, ImageArgs
from components.aws.slack import Slack, SlackArgs
from components.kubernetes.application import Application, ApplicationArgs
from components.kubernetes.cluster import Cluster, ClusterArgs
from components.kubernetes.connection import check_kubeconfig, connection
from components.kubernetes.network_policy import Destination
from components.kubernetes.pods import Resources
from components.kubernetes.roles import AccountRole, AccountRoleArgs
from components.kubernetes.secrets import Remote
from components.kubernetes.stores import Stores
from components.release import release_id
from components.service_variables import service_variables
from components.settings import Rail, Secrets, Settings

SECRETS_ACCOUNT, WORKER_ACCOUNT, AUDITOR_ACCOUNT = "payments-secrets", "payments-worker", "payments-auditor"
MILLICORES_A_UNIT = 1000 / 1024


@dataclass(frozen=True, kw_only=True)
class KubernetesPlatformArgs:
    """Arguments of `KubernetesPlatform`.

    Attributes:
        checkout: root of the checkout; the service is in its `app/`.
        stack: name of the stack.
        settings: of the stack.
        secrets: of the stack, those that others issued.
        tags: the required tags.
    """

    checkout: Path
    stack: str
    settings: Settings
    secrets: Secrets
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        check_kubeconfig(type(self).__name__, self.settings)


@dataclass(frozen=True)
class _Key:
    """A KMS key, and what a role may do with it."""

    arn: pulumi.Input[str]
    actions: tuple[str, ...] = ("kms:Decrypt",)


class KubernetesPlatform(pulumi.ComponentResource):
    """The stack; `outputs` is what it exports."""

    def __init__(self, name: str, args: KubernetesPlatformArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:kubernetes:KubernetesPlatform", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self.release = release_id(args.checkout / "app")
        self.foundation = Foundation(name, FoundationArgs(settings=args.settings, tags=args.tags), self._child)
        self.stores = Stores(
            name=name, settings=args.settings, foundation=self.foundation, tags=args.tags, child=self._child
        )
        registry = self.foundation.registry
        self.image = Image(
            f"{name}-image",
            ImageArgs(repository_url=registry.url, registry_id=registry.registry_id, release=self.release),
            self._child,
        )
        self.notifications = self._notifications()
        self.secrets = self.foundation.stack_secrets(name, args.secrets, [self.notifications.critical_arn], self)
        slack = self._slack()
        self.cluster = None if args.settings.existing_cluster else self._cluster()
        self.stores.let_nodes_in(
            self.cluster.security_group_id if self.cluster else args.settings.kubernetes_node_group_id
        )
        self._secret_role_arn = self._secret_role()
        self.foundation.guard_secrets(
            f"{name}-guard", self.secrets, self._secret_role_arn, {"slack-webhook-url": [slack.role_arn]}, self
        )
        self.archive = self._archive()
        self.channel_backups = self._channel_backups()
        self.application = self._application()
        self.stores.keep(self.notifications)
        self._budget()
        self.outputs = self._outputs()
        self.register_outputs({"url": self.application.url})

    def _notifications(self) -> Notifications:
        args = self._args
        return Notifications(
            f"{self._name}-alerts",
            NotificationsArgs(
                account_id=args.settings.account_id,
                emails=[args.settings.alert_email],
                pagerduty_url=args.secrets["pagerdutyIntegrationUrl"],
                tags=args.tags,
            ),
            self._child,
        )

    def _slack(self) -> Slack:
        keys = self.foundation.keys
        return Slack(
            f"{self._name}-slack",
            SlackArgs(
                account_id=self._args.settings.account_id,
                topic_arns={"warn": self.notifications.warn_arn, "critical": self.notifications.critical_arn},
                critical_topic_arn=self.notifications.critical_arn,
                secret_arn=self.secrets.arns["slack-webhook-url"],
                secret_key_arn=keys.secret_key_arn,
                log_key_arn=keys.operations_key_arn,
                log_retention_days=self._args.settings.log_retention_days,
                tags=self._args.tags,
            ),
            self._child,
        )

    def _cluster(self) -> Cluster:
        settings = self._args.settings
        return Cluster(
            f"{self._name}-cluster",
            ClusterArgs(
                cluster_name=self._name,
                region=settings.region,
                subnet_ids=tuple(self.foundation.network.private_subnet_ids),
                key_arn=self.foundation.keys.operations_key_arn,
                version=settings.kubernetes_version,
                instance_types=settings.node_instance_types,
                minimum_nodes=settings.min_nodes,
                maximum_nodes=settings.max_nodes,
                log_retention_days=max(settings.log_retention_days, 30),
                administrator_arns=settings.cluster_administrators,
                deletion_protection=settings.deletion_protection,
                tags=dict(self._args.tags),
            ),
            self._child,
        )

    def _archive(self) -> AuditArchive:
        settings = self._args.settings
        return AuditArchive(
            f"{self._name}-audit",
            AuditArchiveArgs(
                kms_key_arn=self.foundation.keys.data_key_arn,
                retention_years=settings.audit_retention_years,
                lock_mode=settings.audit_lock_mode,
                tags=self._args.tags,
            ),
            self._child,
        )

    def _channel_backups(self) -> ChannelBackups | None:
        settings = self._args.settings
        if Rail.LND not in settings.rails:
            return None
        return ChannelBackups(
            f"{self._name}-channels",
            ChannelBackupsArgs(
                kms_key_arn=self.foundation.keys.data_key_arn,
                retain=settings.audit_lock_mode == "COMPLIANCE",
                tags=self._args.tags,
            ),
            self._child,
        )

    def _role(
        self,
        part: str,
        account: str,
        actions: Sequence[str],
        resources: Sequence[pulumi.Input[str]],
        key: _Key,
        more: Sequence[Statement] = (),
    ) -> pulumi.Output[str]:
        """A role of the stack's own cluster that one account may assume."""
        cluster = self.cluster
        assert cluster is not None, "roles of a cluster that exists are settings"
        role = AccountRole(
            f"{self._name}-{part}",
            AccountRoleArgs(
                namespace=self._args.settings.kubernetes_namespace,
                service_account=account,
                oidc_arn=cluster.oidc_arn,
                issuer=cluster.issuer,
                actions=tuple(actions),
                resource_arns=tuple(resources),
                key_arn=key.arn,
                key_actions=key.actions,
                statements=tuple(more),
                tags=dict(self._args.tags),
            ),
            self._child,
        )
        return pulumi.Output.from_input(role.arn)

    def _worker_role(self) -> pulumi.Input[str]:
        """The worker's: it only appends to the audit archive; the channel backups are its own."""
        if self.cluster is None:
            return self._args.settings.kubernetes_worker_role_arn
        key = _Key(self.foundation.keys.data_key_arn, ("kms:GenerateDataKey",))
        records = pulumi.Output.concat(self.archive.arn, "/*")
        more = self.channel_backups.use if self.channel_backups else ()
        return self._role("worker-role", WORKER_ACCOUNT, ["s3:PutObject"], [records], key, more)

    def _auditor_role(self) -> pulumi.Input[str]:
        """Reads the audit archive, for the job that recomputes it."""
        if self.cluster is None:
            return self._args.settings.kubernetes_auditor_role_arn
        actions = ["s3:ListBucket", "s3:GetObject", "s3:GetObjectRetention"]
        places = [self.archive.arn, pulumi.Output.concat(self.archive.arn, "/*")]
        return self._role("auditor-role", AUDITOR_ACCOUNT, actions, places, _Key(self.foundation.keys.data_key_arn))

    def _secret_role(self) -> pulumi.Input[str]:
        """The role by which the External Secrets operator reads this stack's secrets, and no others."""
        if self.cluster is None:
            return self._args.settings.kubernetes_secret_role_arn
        actions = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"]
        key = _Key(self.foundation.keys.secret_key_arn)
        return self._role("secret-role", SECRETS_ACCOUNT, actions, self.secrets.injected_arns, key)

    def _connection(self) -> kubernetes.Provider:
        return connection(f"{self._name}-kubernetes", self._args.settings, self.cluster, self)

    def _application(self) -> Application:
        args, settings = self._args, self._args.settings
        lnd = settings.lnd_address
        lightning = Destination(cidrs=settings.lnd_cidrs, port=lnd[1]) if lnd and settings.lnd_cidrs else None
        return Application(
            f"{self._name}-app",
            ApplicationArgs(
                namespace=settings.kubernetes_namespace,
                stack=args.stack,
                image=self.image.digest_reference,
                release=self.release,
                region=settings.region,
                # The gateway's proxies have addresses of pods, which are the VPC's.
                environment={
                    **service_variables(settings),
                    "TRUSTED_PROXIES": settings.vpc_cidr,
                    "TRUSTED_HOPS": "1",
                },
                worker_environment={"LND_BACKUP_STORE": self.channel_backups.url} if self.channel_backups else {},
                web_secrets=remotes(self.secrets.web_variables),
                worker_secrets=remotes(self.secrets.worker_variables),
                migration_secrets=remotes(self.secrets.migrate_variables),
                database=self.stores.database_place(),
                cache=self.stores.cache_place(),
                lightning=lightning,
                hostname=settings.domain_name,
                gateway_class=settings.gateway_class,
                gateway_namespace=settings.gateway_namespace,
                certificate_issuer=settings.certificate_issuer,
                scraper_namespace=settings.scraper_namespace,
                operator_labels={"release": settings.prometheus_release},
                secret_role_arn=self._secret_role_arn,
                worker_role_arn=self._worker_role(),
                auditor_role_arn=self._auditor_role(),
                archive_store=pulumi.Output.concat("s3://", self.archive.bucket),
                expected_gas_price=settings.gas_price_alarm_nano if "ton" in settings.rails else None,
                minimum=settings.min_tasks,
                maximum=settings.max_tasks,
                worker_replicas=settings.worker_tasks,
                resources=Resources(
                    cpu_millicores=round(settings.service_cpu_units * MILLICORES_A_UNIT),
                    memory_mebibytes=settings.service_memory_mib,
                ),
            ),
            pulumi.ResourceOptions(
                parent=self, providers=[connection(f"{self._name}-kubernetes", self._args.settings, self.cluster, self)]
            ),
        )

    def _budget(self) -> None:
        args, settings = self._args, self._args.settings
        Budget(
            f"{self._name}-budget",
            BudgetArgs(
                monthly_usd=settings.monthly_budget_usd,
                topic_arn=self.notifications.warn_arn,
                emails=[settings.alert_email],
                tags=args.tags,
            ),
            self._child,
        )

    def _outputs(self) -> dict[str, Any]:
        settings, foundation = self._args.settings, self.foundation
        outputs: dict[str, Any] = {
            "release": self.release,
            "network": settings.network,
            "region": settings.region,
            "url": self.application.url,
            "vpcId": foundation.network.vpc_id,
            "image": self.image.digest_reference,
            **self.stores.outputs(),
            "archiveBucket": self.archive.bucket,
            "namespace": self.application.namespace.name,
            "alarmTopics": {"warn": self.notifications.warn_arn, "critical": self.notifications.critical_arn},
        }
        if self.cluster is not None:
            outputs["cluster"] = {"name": self._name, "kubeconfig": self.cluster.kubeconfig}
        return outputs


def remotes(references: Mapping[str, pulumi.Output[str]]) -> dict[str, Remote]:
    """Where each variable is, of references as ECS takes them: `<ARN>:<JSON key>::`."""
    return {
        variable: Remote(
            key=reference.apply(lambda known: known.removesuffix("::").rpartition(":")[0]),
            property=reference.apply(lambda known: known.removesuffix("::").rpartition(":")[2]),
        )
        for variable, reference in references.items()
    }
