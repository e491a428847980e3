"""The whole platform on ECS (`railyard:aws:EcsPlatform`): the account's parts composed from the settings, in order.

The foundation first (keys, network, database, cache, registry), then image and secrets, then what runs on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi

from components.aws.foundation import Foundation, FoundationArgs
from components.aws.front import Front, FrontArgs
from components.aws.load_balancer import TEST_HEADER
from components.aws.notifications import Notifications, NotificationsArgs
from components.aws.registry import Image, ImageArgs
from components.aws.slack import Slack, SlackArgs
from components.aws.workload import Workload, WorkloadArgs
from components.release import release_id
from components.settings import Secrets, Settings


@dataclass(frozen=True, kw_only=True)
class EcsPlatformArgs:
    """Arguments of `EcsPlatform`.

    Attributes:
        checkout: root of the checkout; the service is in its `app/`.
        settings: of the stack.
        secrets: of the stack, those that others issued.
        tags: the required tags.
    """

    checkout: Path
    settings: Settings
    secrets: Secrets
    tags: Mapping[str, str]


class EcsPlatform(pulumi.ComponentResource):
    """The stack in AWS; `outputs` is what it exports."""

    def __init__(self, name: str, args: EcsPlatformArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:aws:EcsPlatform", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self.release = release_id(args.checkout / "app")
        self.foundation = Foundation(f"{name}", FoundationArgs(settings=args.settings, tags=args.tags), self._child)
        registry = self.foundation.registry
        self.image = Image(
            f"{name}-image",
            ImageArgs(repository_url=registry.url, registry_id=registry.registry_id, release=self.release),
            self._child,
        )
        self.notifications = self._notifications(name, args)
        self.secrets = self.foundation.stack_secrets(name, args.secrets, [self.notifications.critical_arn], self)
        slack = Slack(
            f"{name}-slack",
            SlackArgs(
                account_id=args.settings.account_id,
                topic_arns={"warn": self.notifications.warn_arn, "critical": self.notifications.critical_arn},
                critical_topic_arn=self.notifications.critical_arn,
                secret_arn=self.secrets.arns["slack-webhook-url"],
                secret_key_arn=self.foundation.keys.secret_key_arn,
                log_key_arn=self.foundation.keys.operations_key_arn,
                log_retention_days=args.settings.log_retention_days,
                tags=args.tags,
            ),
            self._child,
        )
        self.front = Front(
            f"{name}-front", FrontArgs(settings=args.settings, foundation=self.foundation, tags=args.tags), self._child
        )
        self.workload = Workload(
            name,
            WorkloadArgs(
                settings=args.settings,
                foundation=self.foundation,
                front=self.front,
                secrets=self.secrets,
                notifications=self.notifications,
                image=self.image.digest_reference,
                release=self.release,
                tags=args.tags,
            ),
            self._child,
        )
        self.foundation.guard_secrets(
            f"{name}-guard",
            self.secrets,
            self.workload.roles.execution_role_arn,
            {"slack-webhook-url": [slack.role_arn]},
            self,
        )
        self.outputs = self._outputs(args.settings)
        self.register_outputs({"vpcId": self.foundation.network.vpc_id})

    def _notifications(self, name: str, args: EcsPlatformArgs) -> Notifications:
        return Notifications(
            f"{name}-alerts",
            NotificationsArgs(
                account_id=args.settings.account_id,
                emails=[args.settings.alert_email],
                pagerduty_url=args.secrets["pagerdutyIntegrationUrl"],
                tags=args.tags,
            ),
            self._child,
        )

    def _outputs(self, settings: Settings) -> dict[str, Any]:
        foundation, front, workload = self.foundation, self.front, self.workload
        outputs: dict[str, Any] = {
            "release": self.release,
            "network": settings.network,
            "region": settings.region,
            "url": f"https://{settings.domain_name}",
            "dashboardUrl": f"https://{settings.dashboard_domain_name}",
            "vpcId": foundation.network.vpc_id,
            "image": self.image.digest_reference,
            "databaseIdentifier": foundation.database.identifier,
            "cacheId": foundation.cache.replication_group_id,
            "loadBalancer": {
                "arn": front.load_balancer.arn,
                "dnsName": front.load_balancer.dns_name,
                "listenerArn": front.load_balancer.listener_arn,
                "productionRuleArn": front.load_balancer.production_rule_arn,
                "testRuleArn": front.load_balancer.test_rule_arn,
                "targetGroupArns": [
                    front.load_balancer.target_group_arn,
                    front.load_balancer.alternate_target_group_arn,
                ],
            },
            "testHeader": {"name": TEST_HEADER, "value": front.test_secret},
            "service": {
                "clusterArn": workload.service.cluster_arn,
                "webName": workload.service.web_name,
                "workerName": workload.service.worker_name,
                "taskDefinitionArns": workload.service.task_definition_arns,
                "subnetIds": foundation.network.private_subnet_ids,
                "securityGroupId": foundation.security_groups.task_id,
            },
            "logGroups": workload.logs.names,
            "archiveBucket": workload.archive.bucket,
            "dashboardBucket": front.cdn.bucket,
            "distributionId": front.cdn.distribution_id,
            "backupVault": workload.backups.vault_name,
            "dashboards": workload.dashboards.names,
            "alarmTopics": {"warn": self.notifications.warn_arn, "critical": self.notifications.critical_arn},
        }
        if front.name_servers is not None:
            outputs["nameServers"] = front.name_servers
        return outputs
