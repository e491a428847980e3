"""The way in (`railyard:aws:LoadBalancer`):

- an internet-facing Application Load Balancer that speaks HTTPS on 443 and nothing else: port 80 does not answer;
- TLS 1.2 and 1.3 alone, HSTS on every answer, no server header, invalid header fields dropped, deletion protection;
- access and connection logs in a bucket of their own;
- two target groups, for the serving release and the next, with health checks on /ready;
- the production rule, whose weights belong to ECS after the first deploy, and a test rule behind a secret header.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components.arguments import ArgumentError
from components.aws.checks import check_between, check_matches, check_not_empty
from components.aws.policy_documents import Statement
from components.aws.private_bucket import PrivateBucket, PrivateBucketArgs, objects_of
from components.tags import check_tags

TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"
STRONG_TLS = r"ELBSecurityPolicy-TLS13-1-(2(-Res(-PQ)?)?|3)(-PQ)?-\d{4}-\d{2}"
# The service keeps an idle connection for longer (75 s): closing first, it would now and then answer 502 through us.
IDLE_SECONDS = 60
HSTS = "max-age=63072000; includeSubDomains; preload"
TEST_HEADER = "x-railyard-test"
HOST = r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}"
# Lower numbers win. The rollback stack's standby is before both: its rules begin at 100.
TEST_PRIORITY, PRODUCTION_PRIORITY = 1000, 2000


@dataclass(frozen=True, kw_only=True)
class LoadBalancerArgs:
    """Arguments of `LoadBalancer`.

    Attributes:
        vpc_id, public_subnet_ids: where it is; subnets in at least two zones.
        security_group_id: lets the world in on 443, and out to the tasks' port.
        host: name of the service, whose requests are passed on.
        certificate_arn: of a validated certificate for `host`.
        test_secret: value of the header that leads to the next release before production traffic does.
        port: that the tasks listen on.
        health_path: that tells whether a task should get traffic.
        tls_policy: one of ALB's policies without TLS 1.0 and 1.1.
        deregistration_seconds: how long a leaving task may finish its requests.
        log_days: how long access logs are kept.
        deletion_protection: whether AWS refuses to delete it.
        tags: of every resource.
    """

    vpc_id: pulumi.Input[str]
    public_subnet_ids: Sequence[pulumi.Input[str]]
    security_group_id: pulumi.Input[str]
    host: str
    certificate_arn: pulumi.Input[str]
    test_secret: pulumi.Input[str]
    port: int = 3001
    health_path: str = "/ready"
    tls_policy: str = TLS_POLICY
    deregistration_seconds: int = 60
    log_days: int = 90
    deletion_protection: bool = True
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        check_tags(type(self).__name__, self.tags)
        if len(self.public_subnet_ids) < 2:
            raise ArgumentError(
                type(self).__name__,
                "public_subnet_ids",
                f"has {len(self.public_subnet_ids)} and must have at least 2",
                "Give a public subnet of each zone: a load balancer in one zone goes down with it.",
            )
        check_matches(self, "host", HOST, "a host name", "Give the service's name, as pay.example.com.")
        check_matches(self, "tls_policy", STRONG_TLS, "a policy without TLS 1.0 and 1.1", f"Give {TLS_POLICY}.")
        check_matches(self, "health_path", r"/[!-~]*", "a path", "Give /ready.")
        check_not_empty(self, "certificate_arn", "Give the ARN of a validated certificate: there is no plain HTTP.")
        check_between(self, "port", 1024, 65535, "Give 3001; a process that is not root can take no port below 1024.")
        check_between(self, "deregistration_seconds", 0, 3600, "Give 60.")
        check_between(self, "log_days", 30, 3650, "Give 90.")


def access_log_statement(bucket_arn: pulumi.Input[str]) -> Statement:
    """Lets ALB write its logs into the bucket."""
    return {
        "Sid": "LoadBalancerLogs",
        "Effect": "Allow",
        "Principal": {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": objects_of(bucket_arn),
    }


class LoadBalancer(pulumi.ComponentResource):
    """The load balancer.

    Attributes:
        arn, arn_suffix, dns_name, zone_id: of the load balancer.
        listener_arn, production_rule_arn, test_rule_arn: what a rollout and the rollback stack work on.
        target_group_arn, alternate_target_group_arn: the two groups; `target_group_suffix`,
            `alternate_target_group_suffix`: the ends of their ARNs.
        log_bucket: name of the bucket that the logs are in.
    """

    def __init__(self, name: str, args: LoadBalancerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("railyard:aws:LoadBalancer", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        logs = PrivateBucket(
            f"{name}-logs",
            # ALB can write with S3's own keys only.
            PrivateBucketArgs(
                statements=lambda arn: (access_log_statement(arn),), expire_days=args.log_days, tags=args.tags
            ),
            self._child,
        )
        balancer = self._load_balancer(logs.bucket)
        self.arn, self.arn_suffix = balancer.arn, balancer.arn_suffix
        self.dns_name, self.zone_id = balancer.dns_name, balancer.zone_id
        blue, green = self._target_group("blue"), self._target_group("green")
        self.target_group_arn, self.target_group_suffix = blue.arn, blue.arn_suffix
        self.alternate_target_group_arn, self.alternate_target_group_suffix = green.arn, green.arn_suffix
        self.log_bucket = logs.bucket
        self.listener_arn = self._listener().arn
        self.production_rule_arn = self._rule(
            "production", PRODUCTION_PRIORITY, self._hosts(), ((blue.arn, 100), (green.arn, 0))
        )
        header = {"http_header_name": TEST_HEADER, "values": [args.test_secret]}
        self.test_rule_arn = self._rule(
            "test", TEST_PRIORITY, [*self._hosts(), {"http_header": header}], ((green.arn, 100), (blue.arn, 0))
        )
        self.register_outputs({"dnsName": self.dns_name, "listenerArn": self.listener_arn})

    def _load_balancer(self, log_bucket: pulumi.Output[str]) -> aws.lb.LoadBalancer:
        args = self._args
        return aws.lb.LoadBalancer(
            # 32 characters are all that its name may have, eight of them the provider's own.
            f"{pulumi.get_stack()}-alb",
            load_balancer_type="application",
            internal=False,
            security_groups=[args.security_group_id],
            subnets=list(args.public_subnet_ids),
            drop_invalid_header_fields=True,
            desync_mitigation_mode="strictest",
            enable_deletion_protection=args.deletion_protection,
            # The service trusts the entry that the load balancer appends, so it must append.
            xff_header_processing_mode="append",
            # Longer than the slowest answer that the service lets a caller wait for.
            idle_timeout=IDLE_SECONDS,
            access_logs={"bucket": log_bucket, "enabled": True, "prefix": "access"},
            connection_logs={"bucket": log_bucket, "enabled": True, "prefix": "connections"},
            tags=args.tags,
            opts=self._child,
        )

    def _target_group(self, slot: str) -> aws.lb.TargetGroup:
        args = self._args
        return aws.lb.TargetGroup(
            f"{pulumi.get_stack()}-{slot}",
            vpc_id=args.vpc_id,
            port=args.port,
            protocol="HTTP",
            target_type="ip",
            deregistration_delay=args.deregistration_seconds,
            load_balancing_algorithm_type="least_outstanding_requests",
            # 3 x 5 s: within the minute after which the alarm fires (facts.md row 16).
            health_check={
                "enabled": True,
                "path": args.health_path,
                "port": "traffic-port",
                "protocol": "HTTP",
                "matcher": "200",
                "interval": 5,
                "timeout": 4,
                "healthy_threshold": 2,
                "unhealthy_threshold": 3,
            },
            tags=args.tags,
            opts=self._child,
        )

    def _listener(self) -> aws.lb.Listener:
        args = self._args
        return aws.lb.Listener(
            f"{self._name}-https",
            load_balancer_arn=self.arn,
            port=443,
            protocol="HTTPS",
            ssl_policy=args.tls_policy,
            certificate_arn=args.certificate_arn,
            routing_http_response_server_enabled=False,
            routing_http_response_strict_transport_security_header_value=HSTS,
            routing_http_response_x_content_type_options_header_value="nosniff",
            # Requests for another host are nobody's.
            default_actions=[
                {
                    "type": "fixed-response",
                    "fixed_response": {
                        "content_type": "application/json",
                        "message_body": '{"code":"NOT_FOUND","error":"There is no such host."}',
                        "status_code": "404",
                    },
                }
            ],
            tags=args.tags,
            opts=self._child,
        )

    def _hosts(self) -> list[dict[str, Any]]:
        return [{"host_header": {"values": [self._args.host]}}]

    def _rule(
        self,
        kind: str,
        priority: int,
        conditions: list[dict[str, Any]],
        weights: Sequence[tuple[pulumi.Input[str], int]],
    ) -> pulumi.Output[str]:
        forward = {"target_groups": [{"arn": arn, "weight": weight} for arn, weight in weights]}
        rule = aws.lb.ListenerRule(
            f"{self._name}-{kind}",
            listener_arn=self.listener_arn,
            priority=priority,
            conditions=conditions,
            actions=[{"type": "forward", "forward": forward}],
            tags=self._args.tags,
            # ECS moves the weights in a rollout. `actions` as a whole: a path into it does not hold (pulumi-aws 5771).
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["actions"]),
        )
        arn: pulumi.Output[str] = rule.arn
        return arn
