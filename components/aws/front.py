"""The way in of a stack, composed from its settings (`railyard:aws:Front`):

- zone and certificates, load balancer and firewall;
- the dashboard's static part, and the names that lead to both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_random as random

from components.aws.cdn import Cdn, CdnArgs
from components.aws.certificate import (
    Alias,
    AliasArgs,
    Certificate,
    CertificateArgs,
    HostedZone,
    HostedZoneArgs,
)
from components.aws.foundation import Foundation
from components.aws.load_balancer import LoadBalancer, LoadBalancerArgs
from components.aws.waf import Waf, WafArgs
from components.settings import Settings
from components.tags import check_tags

# CloudFront takes certificates from here alone.
CLOUDFRONT_REGION = "us-east-1"


@dataclass(frozen=True, kw_only=True)
class FrontArgs:
    """Arguments of `Front`.

    Attributes:
        settings: of the stack.
        foundation: that it stands on.
        tags: of every resource.
    """

    settings: Settings
    foundation: Foundation
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        check_tags("FrontArgs", self.tags)


class Front(pulumi.ComponentResource):
    """The parts: `load_balancer`, `waf`, `cdn`, `test_secret`, `zone_id`, `health_check_id`; `name_servers` of a zone
    that the stack made."""

    def __init__(self, name: str, args: FrontArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:aws:Front", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self.name_servers: pulumi.Output[list[str]] | None = None
        self.zone_id = self._zone()
        self.test_secret: pulumi.Output[str] = pulumi.Output.secret(
            random.RandomBytes(f"{name}-test-secret", length=32, opts=self._child).hex
        )
        self.load_balancer = self._load_balancer()
        self.waf = Waf(
            f"{name}-waf",
            WafArgs(
                load_balancer_arn=self.load_balancer.arn,
                kms_key_arn=args.foundation.keys.operations_key_arn,
                requests_per_5_minutes=args.settings.requests_per_five_minutes,
                log_days=args.settings.log_retention_days,
                tags=args.tags,
            ),
            self._child,
        )
        self.cdn = self._dashboard()
        alias = Alias(
            f"{name}-name",
            AliasArgs(
                host=args.settings.domain_name,
                zone_id=self.zone_id,
                target_dns_name=self.load_balancer.dns_name,
                target_zone_id=self.load_balancer.zone_id,
                health_path="/health",
                tags=args.tags,
            ),
            self._child,
        )
        assert alias.health_check_id is not None
        self.health_check_id = alias.health_check_id
        self.register_outputs({"dnsName": self.load_balancer.dns_name})

    def _zone(self) -> pulumi.Input[str]:
        settings = self._args.settings
        if settings.hosted_zone_id:
            return settings.hosted_zone_id
        zone = HostedZone(
            f"{self._name}-zone", HostedZoneArgs(zone_name=settings.hosted_zone_name, tags=self._args.tags), self._child
        )
        self.name_servers = zone.name_servers
        return zone.zone_id

    def _load_balancer(self) -> LoadBalancer:
        args, settings, foundation = self._args, self._args.settings, self._args.foundation
        certificate = Certificate(
            f"{self._name}-certificate",
            CertificateArgs(host=settings.domain_name, zone_id=self.zone_id, tags=args.tags),
            self._child,
        )
        return LoadBalancer(
            f"{self._name}-way-in",
            LoadBalancerArgs(
                vpc_id=foundation.network.vpc_id,
                public_subnet_ids=foundation.network.public_subnet_ids,
                security_group_id=foundation.security_groups.load_balancer_id,
                host=settings.domain_name,
                certificate_arn=certificate.arn,
                test_secret=self.test_secret,
                deletion_protection=settings.deletion_protection,
                tags=args.tags,
            ),
            self._child,
        )

    def _dashboard(self) -> Cdn:
        args, settings = self._args, self._args.settings
        host = settings.dashboard_domain_name
        certificate = Certificate(
            f"{self._name}-dashboard-certificate",
            CertificateArgs(
                host=host,
                zone_id=self.zone_id,
                region=None if settings.region == CLOUDFRONT_REGION else CLOUDFRONT_REGION,
                tags=args.tags,
            ),
            self._child,
        )
        cdn = Cdn(
            f"{self._name}-dashboard",
            CdnArgs(
                host=host,
                api_host=settings.domain_name,
                account_id=settings.account_id,
                certificate_arn=certificate.arn,
                tags=args.tags,
            ),
            self._child,
        )
        Alias(
            f"{self._name}-dashboard-name",
            AliasArgs(
                host=host,
                zone_id=self.zone_id,
                target_dns_name=cdn.domain_name,
                target_zone_id=cdn.zone_id,
                has_ipv6=True,
                tags=args.tags,
            ),
            self._child,
        )
        return cdn
