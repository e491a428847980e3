"""Elastic load balancing. Source of what replaces: terraform-provider-aws `internal/service/elbv2/`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.aws.kind import Kind, More, Op, Scope, Setting, Tagging, Wait, described
from providers.base.values import has_unknown

TAGGING = Tagging(
    add=Op("add_tags", {"ResourceArns": ["$arn"], "Tags": "$tags"}),
    remove=Op("remove_tags", {"ResourceArns": ["$arn"], "TagKeys": "$keys"}),
    show=Op("describe_tags", {"ResourceArns": ["$arn"]}),
    at="TagDescriptions[0].Tags",
)

# Property -> attribute of a load balancer.
BALANCER_ATTRIBUTES = {
    "enableDeletionProtection": "deletion_protection.enabled",
    "idleTimeout": "idle_timeout.timeout_seconds",
    "enableHttp2": "routing.http2.enabled",
    "dropInvalidHeaderFields": "routing.http.drop_invalid_header_fields.enabled",
    "desyncMitigationMode": "routing.http.desync_mitigation_mode",
    "preserveHostHeader": "routing.http.preserve_host_header.enabled",
    "enableTlsVersionAndCipherSuiteHeaders": "routing.http.x_amzn_tls_version_and_cipher_suite.enabled",
    "enableXffClientPort": "routing.http.xff_client_port.enabled",
    "xffHeaderProcessingMode": "routing.http.xff_header_processing.mode",
    "enableWafFailOpen": "waf.fail_open.enabled",
    "enableCrossZoneLoadBalancing": "load_balancing.cross_zone.enabled",
    "clientKeepAlive": "client_keep_alive.seconds",
    "enableZonalShift": "zonal_shift.config.enabled",
}
GROUP_ATTRIBUTES = {
    "deregistrationDelay": "deregistration_delay.timeout_seconds",
    "slowStart": "slow_start.duration_seconds",
    "loadBalancingAlgorithmType": "load_balancing.algorithm.type",
    "preserveClientIp": "preserve_client_ip.enabled",
    "proxyProtocolV2": "proxy_protocol_v2.enabled",
    "connectionTermination": "deregistration_delay.connection_termination.enabled",
    "lambdaMultiValueHeadersEnabled": "lambda.multi_value_headers.enabled",
    "loadBalancingCrossZoneEnabled": "load_balancing.cross_zone.enabled",
}


def text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def pairs(scope: Scope, names: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": text(scope[name])} for name, key in names.items() if scope.get(name) is not None]


def balancer_attributes(scope: Scope) -> list[dict[str, str]]:
    """All attributes of a load balancer, the access logs' among them."""
    found = pairs(scope, BALANCER_ATTRIBUTES)
    for name, prefix in (("accessLogs", "access_logs.s3"), ("connectionLogs", "connection_logs.s3")):
        logs = scope.get(name)
        if logs:
            wanted = {"enabled": logs.get("enabled", False), "bucket": logs.get("bucket"), "prefix": logs.get("prefix")}
            found += [
                {"Key": f"{prefix}.{key}", "Value": text(value)} for key, value in wanted.items() if value is not None
            ]
    return found


def group_attributes(scope: Scope) -> list[dict[str, str]]:
    """All attributes of a target group, the stickiness among them."""
    found = pairs(scope, GROUP_ATTRIBUTES)
    sticky = scope.get("stickiness")
    if sticky:
        found.append({"Key": "stickiness.enabled", "Value": text(sticky.get("enabled", True))})
        found.append({"Key": "stickiness.type", "Value": sticky["type"]})
        if sticky.get("cookieDuration"):
            found.append({"Key": "stickiness.lb_cookie.duration_seconds", "Value": text(sticky["cookieDuration"])})
    return found


def by_key(names: dict[str, str]) -> dict[str, str]:
    """How each property is found among the attributes."""
    return {name: f"attributes[?Key=='{key}'].Value | [0]" for name, key in names.items()}


def with_suffix(found: list[dict[str, Any]], member: str, mark: str, prefix: str) -> dict[str, Any] | None:
    """A description with the end of its ARN, which CloudWatch's dimensions take."""
    if not found:
        return None
    return {**found[0], "arnSuffix": prefix + found[0][member].partition(mark)[2]}


def laid_out_anew(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """What of its network only a new load balancer has: one of type network only grows in place."""
    network = (new.get("loadBalancerType") or "application") == "network"
    found: tuple[str, ...] = ()
    for name in ("subnetMappings", "subnets"):
        was, now = old.get(name) or [], new.get(name) or []
        kept = [one for one in was if one in now]
        if not was or not now or has_unknown(now) or len(kept) == len(was) == len(now):
            continue
        if name == "subnets":
            replaced = network and len(now) <= len(was)
        else:
            replaced = len(kept) < min(len(was), len(now)) or (network and len(now) <= len(was))
        if replaced:
            found += (name,)
    groups = new.get("securityGroups")
    if network and groups is not None and not has_unknown(groups) and bool(old.get("securityGroups")) != bool(groups):
        found += ("securityGroups",)
    fewer = "secondaryIpsAutoAssignedPerSubnet"
    if network and not has_unknown(new.get(fewer)) and int(new.get(fewer) or 0) < int(old.get(fewer) or 0):
        found += (fewer,)
    return found


LOAD_BALANCER = Kind(
    type="aws:lb/loadBalancer:LoadBalancer",
    service="elbv2",
    create=Op(
        "create_load_balancer",
        {"Scheme": lambda scope: "internal" if scope.get("internal") else "internet-facing"},
        only=("name", "subnets", "securityGroups", "loadBalancerType", "ipAddressType", "subnetMappings", "tagsAll"),
        names={"loadBalancerType": "Type", "tagsAll": "Tags"},
    ),
    read=Op("describe_load_balancers", {"LoadBalancerArns": ["$id"]}),
    at=lambda answer, _: with_suffix(answer["LoadBalancers"], "LoadBalancerArn", ":loadbalancer/", ""),
    more=(More(Op("describe_load_balancer_attributes", {"LoadBalancerArn": "$id"}), "Attributes", "attributes"),),
    delete=Op("delete_load_balancer", {"LoadBalancerArn": "$id"}),
    id="LoadBalancers[0].LoadBalancerArn",
    answers={
        "name": "LoadBalancerName",
        "loadBalancerType": "Type",
        "internal": "Scheme == 'internal'",
        "subnets": "AvailabilityZones[].SubnetId",
        **by_key(BALANCER_ATTRIBUTES),
        "accessLogs": (
            "{enabled: attributes[?Key=='access_logs.s3.enabled'].Value | [0], "
            "bucket: attributes[?Key=='access_logs.s3.bucket'].Value | [0], "
            "prefix: attributes[?Key=='access_logs.s3.prefix'].Value | [0]}"
        ),
    },
    outputs={
        "arn": "LoadBalancerArn",
        "arnSuffix": "arnSuffix",
        "dnsName": "DNSName",
        "zoneId": "CanonicalHostedZoneId",
        "vpcId": "VpcId",
    },
    defaults={"loadBalancerType": "application", "internal": False, "enableDeletionProtection": False},
    autoname="name",
    name_limit=32,
    settings=(
        Setting(
            (*BALANCER_ATTRIBUTES, "accessLogs", "connectionLogs"),
            Op(
                "modify_load_balancer_attributes",
                {"LoadBalancerArn": "$id", "Attributes": balancer_attributes},
                only=(),
            ),
        ),
        Setting(
            ("securityGroups",),
            Op(lambda scope: "set_security_groups" if "was" in scope else "", {"LoadBalancerArn": "$id"}),
        ),
        Setting(("subnets",), Op(lambda scope: "set_subnets" if "was" in scope else "", {"LoadBalancerArn": "$id"})),
        Setting(
            ("ipAddressType",),
            Op(lambda scope: "set_ip_address_type" if "was" in scope else "", {"LoadBalancerArn": "$id"}),
        ),
    ),
    waits=(Wait("State.Code", ("active",), ("failed",)),),
    recorded={"connectionLogs": "moto tells none"},
    replaces_on=("name", "namePrefix", "internal", "loadBalancerType", "customerOwnedIpv4Pool"),
    replaces_when=laid_out_anew,
    tagging=TAGGING,
)

CHECK = {
    "HealthCheckEnabled": "enabled",
    "HealthCheckPath": "path",
    "HealthCheckProtocol": "protocol",
    "HealthCheckPort": "port",
    "HealthCheckIntervalSeconds": "interval",
    "HealthCheckTimeoutSeconds": "timeout",
    "HealthyThresholdCount": "healthyThreshold",
    "UnhealthyThresholdCount": "unhealthyThreshold",
}


def health_check(member: str) -> Any:
    """One member of the health check, which Pulumi has as a block."""

    def value(scope: Scope) -> Any:
        given = (scope.get("healthCheck") or {}).get(CHECK[member])
        if given is None or member in (
            "HealthCheckPath",
            "HealthCheckProtocol",
            "HealthCheckPort",
            "HealthCheckEnabled",
        ):
            return given if given is None or isinstance(given, bool) else str(given)
        return int(given)

    return value


def matcher(scope: Scope) -> dict[str, str] | None:
    code = (scope.get("healthCheck") or {}).get("matcher")
    return {"HttpCode": str(code)} if code else None


CHECKS = {**{member: health_check(member) for member in CHECK}, "Matcher": matcher}

TARGET_GROUP = Kind(
    type="aws:lb/targetGroup:TargetGroup",
    service="elbv2",
    create=Op(
        "create_target_group",
        CHECKS,
        only=("name", "port", "protocol", "protocolVersion", "vpcId", "targetType", "ipAddressType", "tagsAll"),
        names={"tagsAll": "Tags"},
    ),
    read=Op("describe_target_groups", {"TargetGroupArns": ["$id"]}),
    at=lambda answer, _: with_suffix(answer["TargetGroups"], "TargetGroupArn", ":targetgroup/", "targetgroup/"),
    more=(More(Op("describe_target_group_attributes", {"TargetGroupArn": "$id"}), "Attributes", "attributes"),),
    delete=Op("delete_target_group", {"TargetGroupArn": "$id"}),
    id="TargetGroups[0].TargetGroupArn",
    answers={
        "name": "TargetGroupName",
        **by_key(GROUP_ATTRIBUTES),
        "healthCheck": (
            "{enabled: HealthCheckEnabled, path: HealthCheckPath, protocol: HealthCheckProtocol, "
            "port: HealthCheckPort, "
            "interval: HealthCheckIntervalSeconds, timeout: HealthCheckTimeoutSeconds, "
            "healthyThreshold: HealthyThresholdCount, unhealthyThreshold: UnhealthyThresholdCount, "
            "matcher: Matcher.HttpCode}"
        ),
        "stickiness": (
            "{enabled: attributes[?Key=='stickiness.enabled'].Value | [0], "
            "type: attributes[?Key=='stickiness.type'].Value | [0]}"
        ),
    },
    outputs={"arn": "TargetGroupArn", "arnSuffix": "arnSuffix", "loadBalancerArns": "LoadBalancerArns"},
    defaults={"targetType": "instance"},
    autoname="name",
    name_limit=32,
    settings=(
        Setting(
            ("healthCheck",),
            Op(lambda s: "modify_target_group" if "was" in s else "", {"TargetGroupArn": "$id", **CHECKS}, only=()),
        ),
        Setting(
            (*GROUP_ATTRIBUTES, "stickiness"),
            Op("modify_target_group_attributes", {"TargetGroupArn": "$id", "Attributes": group_attributes}, only=()),
        ),
    ),
    replaces_on=(
        "name",
        "namePrefix",
        "port",
        "protocol",
        "protocolVersion",
        "vpcId",
        "targetType",
        "ipAddressType",
    ),
    recorded={"protocolVersion": "moto tells none", "ipAddressType": "moto tells none"},
    tagging=TAGGING,
)


KINDS = [
    *described(LOAD_BALANCER, "aws:alb/loadBalancer:LoadBalancer"),
    *described(TARGET_GROUP, "aws:alb/targetGroup:TargetGroup"),
]
