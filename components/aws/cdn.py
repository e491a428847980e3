"""The dashboard's static part (`railyard:aws:Cdn`):

- a private bucket that CloudFront alone may read (origin access control);
- a distribution: HTTPS only, TLS 1.2 from 2021, HTTP/2 and 3, its own name and certificate, a log bucket;
- security headers on every answer: HSTS, no framing, no sniffing, scripts and styles from itself alone.

The dashboard's data come from the service itself, under /payments of the admin host, never through this cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.aws.checks import check_matches, check_not_empty
from components.aws.load_balancer import HOST
from components.aws.policy_documents import Statement
from components.aws.private_bucket import PrivateBucket, PrivateBucketArgs, objects_of
from components.tags import check_tags

# CloudFront's own policy "CachingOptimized", the same id in every account.
CACHING_OPTIMIZED = "658327ea-f89d-4fab-a63d-7e88639e58f6"
# The zone of every distribution's alias record.
CLOUDFRONT_ZONE_ID = "Z2FDTNDATAQYW2"
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self' {api}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

TWO_YEARS_SECONDS = 63_072_000


@dataclass(frozen=True, kw_only=True)
class CdnArgs:
    """Arguments of `Cdn`.

    Attributes:
        host: name of the static part.
        api_host: name of the service, the only other host its scripts may talk to.
        account_id: of the AWS account, whose log delivery may write.
        certificate_arn: of a validated certificate for `host` in us-east-1.
        log_days: how long access logs are kept.
        web_acl_arn: of a firewall of scope CLOUDFRONT; None for none, the part is public and read-only.
        tags: of every resource.
    """

    host: str
    api_host: str
    account_id: pulumi.Input[str]
    certificate_arn: pulumi.Input[str]
    log_days: int = 90
    web_acl_arn: pulumi.Input[str] | None = None
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        check_tags(type(self).__name__, self.tags)
        check_matches(self, "host", HOST, "a host name", "Give the name, as static.pay.example.com.")
        check_matches(self, "api_host", HOST, "a host name", "Give the service's name, as pay.example.com.")
        check_not_empty(self, "certificate_arn", "Give the ARN of a certificate in us-east-1.")


def origin_statement(bucket_arn: pulumi.Input[str], distribution_arn: pulumi.Input[str]) -> Statement:
    """Lets one distribution read the bucket's objects."""
    return {
        "Sid": "Distribution",
        "Effect": "Allow",
        "Principal": {"Service": "cloudfront.amazonaws.com"},
        "Action": "s3:GetObject",
        "Resource": objects_of(bucket_arn),
        "Condition": {"StringEquals": {"AWS:SourceArn": distribution_arn}},
    }


def log_statement(bucket_arn: pulumi.Input[str], account_id: pulumi.Input[str]) -> Statement:
    """Lets CloudWatch's log delivery write the distribution's access logs into the bucket."""
    return {
        "Sid": "AccessLogs",
        "Effect": "Allow",
        "Principal": {"Service": "delivery.logs.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": objects_of(bucket_arn),
        "Condition": {"StringEquals": {"aws:SourceAccount": account_id}},
    }


class Cdn(pulumi.ComponentResource):
    """The distribution.

    Attributes:
        bucket: name of the bucket that the files go in.
        domain_name, zone_id: for the alias record.
        distribution_id: for an invalidation after new files.
    """

    def __init__(self, name: str, args: CdnArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:aws:Cdn", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        files = PrivateBucket(f"{name}-files", PrivateBucketArgs(statements=None, tags=args.tags), self._child)
        self.zone_id = CLOUDFRONT_ZONE_ID
        distribution = self._distribution(files)
        self.domain_name, self.distribution_id = distribution.domain_name, distribution.id
        self.bucket = files.set_policy([origin_statement(files.arn, distribution.arn)])
        self.register_outputs({"domainName": self.domain_name, "bucket": self.bucket})

    def _headers(self) -> pulumi.Output[str]:
        policy = aws.cloudfront.ResponseHeadersPolicy(
            f"{self._name}-headers",
            name=f"{self._name}-headers",
            security_headers_config={
                "strict_transport_security": {
                    "access_control_max_age_sec": TWO_YEARS_SECONDS,
                    "include_subdomains": True,
                    "preload": True,
                    "override": True,
                },
                "content_security_policy": {
                    "content_security_policy": CONTENT_SECURITY_POLICY.format(api=f"https://{self._args.api_host}"),
                    "override": True,
                },
                "content_type_options": {"override": True},
                "frame_options": {"frame_option": "DENY", "override": True},
                "referrer_policy": {"referrer_policy": "no-referrer", "override": True},
            },
            opts=self._child,
        )
        identifier: pulumi.Output[str] = policy.id
        return identifier

    def _distribution(self, files: PrivateBucket) -> aws.cloudfront.Distribution:
        args = self._args
        access = aws.cloudfront.OriginAccessControl(
            f"{self._name}-access",
            name=f"{self._name}-access",
            origin_access_control_origin_type="s3",
            signing_behavior="always",
            signing_protocol="sigv4",
            opts=self._child,
        )
        logs = PrivateBucket(
            f"{self._name}-logs",
            PrivateBucketArgs(
                statements=lambda arn: (log_statement(arn, args.account_id),),
                expire_days=args.log_days,
                tags=args.tags,
            ),
            self._child,
        )
        distribution = aws.cloudfront.Distribution(
            f"{self._name}-distribution",
            enabled=True,
            comment=f"{self._name}: static part of the dashboard",
            aliases=[args.host],
            default_root_object="index.html",
            http_version="http2and3",
            is_ipv6_enabled=True,
            price_class="PriceClass_100",
            web_acl_id=args.web_acl_arn,
            origins=[
                {
                    "origin_id": "files",
                    "domain_name": files.domain_name,
                    "origin_access_control_id": access.id,
                }
            ],
            default_cache_behavior={
                "target_origin_id": "files",
                "viewer_protocol_policy": "https-only",
                "allowed_methods": ["GET", "HEAD"],
                "cached_methods": ["GET", "HEAD"],
                "cache_policy_id": CACHING_OPTIMIZED,
                "response_headers_policy_id": self._headers(),
                "compress": True,
            },
            restrictions={"geo_restriction": {"restriction_type": "none"}},
            viewer_certificate={
                "acm_certificate_arn": args.certificate_arn,
                "minimum_protocol_version": "TLSv1.2_2021",
                "ssl_support_method": "sni-only",
            },
            tags=args.tags,
            opts=self._child,
        )
        self._log(distribution.arn, logs.arn)
        return distribution

    def _log(self, distribution_arn: pulumi.Output[str], bucket_arn: pulumi.Output[str]) -> None:
        """Standard logging, version 2: into a bucket without ACLs. Its deliveries live in us-east-1."""
        source = aws.cloudwatch.LogDeliverySource(
            f"{self._name}-log-source",
            name=f"{self._name}-access",
            log_type="ACCESS_LOGS",
            resource_arn=distribution_arn,
            region="us-east-1",
            tags=self._args.tags,
            opts=self._child,
        )
        destination = aws.cloudwatch.LogDeliveryDestination(
            f"{self._name}-log-destination",
            name=f"{self._name}-access",
            output_format="json",
            delivery_destination_configuration={"destination_resource_arn": bucket_arn},
            region="us-east-1",
            tags=self._args.tags,
            opts=self._child,
        )
        aws.cloudwatch.LogDelivery(
            f"{self._name}-log-delivery",
            delivery_source_name=source.name,
            delivery_destination_arn=destination.arn,
            region="us-east-1",
            tags=self._args.tags,
            opts=self._child,
        )
