"""Names and their certificates (`railyard:aws:HostedZone`, `railyard:aws:Certificate`, `railyard:aws:Alias`):

- a hosted zone, for a stack that is given none;
- a certificate of ACM, validated by a DNS record, which also renews it;
- the record in Route 53, and the wait until ACM has seen it;
- an alias: the name as a record of a load balancer (A) or a distribution (A and AAAA);
- a health check from outside, on HTTPS, for the uptime alarm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.aws.checks import check_matches, check_not_empty
from components.aws.load_balancer import HOST
from components.tags import check_tags


@dataclass(frozen=True, kw_only=True)
class HostedZoneArgs:
    """Arguments of `HostedZone`.

    Attributes:
        zone_name: as example.com.
        tags: of the zone.
    """

    zone_name: str
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        check_tags(type(self).__name__, self.tags)
        check_matches(self, "zone_name", HOST, "a host name", "Give the zone's name, as example.com.")


class HostedZone(pulumi.ComponentResource):
    """The zone; `zone_id`. Its `name_servers` have to be delegated to before a certificate can be valid."""

    def __init__(self, name: str, args: HostedZoneArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:aws:HostedZone", name, None, opts)
        zone = aws.route53.Zone(
            f"{name}-zone",
            name=args.zone_name,
            comment=f"{name}: the names of the payment service",
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.zone_id: pulumi.Output[str] = zone.zone_id
        self.name_servers: pulumi.Output[list[str]] = zone.name_servers
        self.register_outputs({"zoneId": self.zone_id, "nameServers": self.name_servers})


@dataclass(frozen=True, kw_only=True)
class CertificateArgs:
    """Arguments of `Certificate`.

    Attributes:
        host: the name.
        zone_id: of the public hosted zone that the name is in.
        region: when not the provider's: CloudFront takes certificates from us-east-1 alone.
        tags: of the certificate.
    """

    host: str
    zone_id: pulumi.Input[str]
    region: str | None = None
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        check_tags(type(self).__name__, self.tags)
        check_matches(self, "host", HOST, "a host name", "Give the name, as pay.example.com.")
        check_not_empty(self, "zone_id", "Give the id of the hosted zone, as Z0123456789ABC.")


class Certificate(pulumi.ComponentResource):
    """The certificate; `arn` is known when it is valid."""

    def __init__(self, name: str, args: CertificateArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:aws:Certificate", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        certificate = aws.acm.Certificate(
            f"{name}-certificate",
            domain_name=args.host,
            validation_method="DNS",
            key_algorithm="EC_prime256v1",
            region=args.region,
            tags=args.tags,
            # A listener in use keeps the old one until it has the new.
            opts=child,
        )
        # One name, so one option: the number of records is known while planning.
        option = certificate.domain_validation_options[0]
        record = aws.route53.Record(
            f"{name}-validation",
            zone_id=args.zone_id,
            name=option.resource_record_name,
            type=option.resource_record_type,
            records=[option.resource_record_value],
            ttl=300,
            # A certificate for the same name elsewhere asks for the same record.
            allow_overwrite=True,
            opts=child,
        )
        validation = aws.acm.CertificateValidation(
            f"{name}-valid",
            certificate_arn=certificate.arn,
            validation_record_fqdns=[record.fqdn],
            region=args.region,
            opts=child,
        )
        self.arn = validation.certificate_arn
        self.register_outputs({"arn": self.arn})


@dataclass(frozen=True, kw_only=True)
class AliasArgs:
    """Arguments of `Alias`.

    Attributes:
        host: the name.
        zone_id: of the hosted zone that the name is in.
        target_dns_name, target_zone_id: of the load balancer or the distribution.
        has_ipv6: whether the target answers by IPv6.
        health_path: path that is asked from outside every 30 s; None asks nothing.
        tags: of the health check.
    """

    host: str
    zone_id: pulumi.Input[str]
    target_dns_name: pulumi.Input[str]
    target_zone_id: pulumi.Input[str]
    has_ipv6: bool = False
    health_path: str | None = None
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        check_tags(type(self).__name__, self.tags)
        check_matches(self, "host", HOST, "a host name", "Give the name, as pay.example.com.")
        check_not_empty(self, "zone_id", "Give the id of the hosted zone, as Z0123456789ABC.")


class Alias(pulumi.ComponentResource):
    """The records; `health_check_id` is None without a `health_path`."""

    def __init__(self, name: str, args: AliasArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:aws:Alias", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        for kind in ("A", "AAAA") if args.has_ipv6 else ("A",):
            aws.route53.Record(
                f"{name}-{kind.lower()}",
                zone_id=args.zone_id,
                name=args.host,
                type=kind,
                aliases=[
                    {
                        "name": args.target_dns_name,
                        "zone_id": args.target_zone_id,
                        "evaluate_target_health": False,
                    }
                ],
                opts=child,
            )
        self.health_check_id: pulumi.Output[str] | None = None
        if args.health_path is not None:
            check = aws.route53.HealthCheck(
                f"{name}-health",
                type="HTTPS",
                fqdn=args.host,
                port=443,
                resource_path=args.health_path,
                request_interval=30,
                failure_threshold=2,
                enable_sni=True,
                measure_latency=True,
                tags={**args.tags, "Name": name},
                opts=child,
            )
            self.health_check_id = check.id
        self.register_outputs({"healthCheckId": self.health_check_id})
