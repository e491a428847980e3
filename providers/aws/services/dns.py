"""ACM and Route 53. Source of what replaces: terraform-provider-aws `internal/service/{acm,route53}/`."""

from __future__ import annotations

from typing import Any

from providers.aws.kind import Kind, Op, Scope, Setting, Tagging, Wait

CERTIFICATE = Kind(
    type="aws:acm/certificate:Certificate",
    service="acm",
    create=Op(
        "request_certificate",
        {
            "Options": lambda scope: (
                {
                    "CertificateTransparencyLoggingPreference": scope["options"][
                        "certificateTransparencyLoggingPreference"
                    ]
                }
                if (scope.get("options") or {}).get("certificateTransparencyLoggingPreference")
                else None
            )
        },
        only=("domainName", "subjectAlternativeNames", "validationMethod", "keyAlgorithm", "tagsAll"),
        names={"tagsAll": "Tags"},
    ),
    read=Op("describe_certificate", {"CertificateArn": "$id"}),
    at="Certificate",
    delete=Op("delete_certificate", {"CertificateArn": "$id"}),
    id="CertificateArn",
    outputs={
        "arn": "CertificateArn",
        "status": "Status",
        "domainValidationOptions": (
            "DomainValidationOptions[].{domainName: DomainName, resourceRecordName: ResourceRecord.Name, "
            "resourceRecordType: ResourceRecord.Type, resourceRecordValue: ResourceRecord.Value}"
        ),
        "notAfter": "to_string(NotAfter)",
        "validationEmails": "DomainValidationOptions[].ValidationEmails[]",
    },
    waits=(
        Wait(
            "DomainValidationOptions[0].ResourceRecord.Type || DomainValidationOptions[0].ValidationMethod",
            ("CNAME", "EMAIL"),
        ),
    ),
    recorded={
        "validationMethod": "moto tells it per domain",
        "options": "moto tells none",
        "keyAlgorithm": "moto tells RSA_2048 of every certificate",
    },
    unread=("subjectAlternativeNames",),
    replaces_on=(
        "domainName",
        "subjectAlternativeNames",
        "validationMethod",
        "keyAlgorithm",
        "certificateAuthorityArn",
        "validationOptions",
    ),
    tagging=Tagging(
        add=Op("add_tags_to_certificate", {"CertificateArn": "$id", "Tags": "$tags"}),
        remove=Op(
            "remove_tags_from_certificate",
            {"CertificateArn": "$id", "Tags": lambda scope: [{"Key": key} for key in scope["keys"]]},
        ),
        show=Op("list_tags_for_certificate", {"CertificateArn": "$id"}),
    ),
)

VALIDATION = Kind(
    type="aws:acm/certificateValidation:CertificateValidation",
    service="acm",
    create=Op("describe_certificate", {"CertificateArn": "$certificateArn"}, only=()),
    read=Op("describe_certificate", {"CertificateArn": "$certificateArn"}),
    at="Certificate",
    id="$certificateArn",
    unread=("validationRecordFqdns", "certificateArn"),
    replaces_on=("certificateArn", "validationRecordFqdns"),
    recorded={"(waiting)": "moto has no DNS: the certificate counts as validated without its records being looked up"},
)


def zone_id(value: str) -> str:
    return value.rpartition("/")[2]


ZONE = Kind(
    type="aws:route53/zone:Zone",
    service="route53",
    create=Op(
        "create_hosted_zone",
        {
            "CallerReference": "$urn",
            "HostedZoneConfig": lambda scope: {
                "Comment": scope.get("comment", "Managed by Pulumi"),
                "PrivateZone": bool(scope.get("vpcs")),
            },
            "VPC": lambda scope: (
                {"VPCRegion": scope["vpcs"][0].get("vpcRegion", scope["region"]), "VPCId": scope["vpcs"][0]["vpcId"]}
                if scope.get("vpcs")
                else None
            ),
        },
        only=("name", "delegationSetId"),
    ),
    read=Op("get_hosted_zone", {"Id": "$id"}),
    at=lambda answer, _: {**answer["HostedZone"], **answer, "zone": zone_id(answer["HostedZone"]["Id"])},
    delete=Op("delete_hosted_zone", {"Id": "$id"}),
    id=lambda answer, _: zone_id(answer["HostedZone"]["Id"]),
    answers={"comment": "Config.Comment"},
    outputs={
        "arn": "join('', ['arn:aws:route53:::hostedzone/', zone])",
        "zoneId": "zone",
        "nameServers": "DelegationSet.NameServers",
        "primaryNameServer": "DelegationSet.NameServers[0]",
    },
    defaults={"comment": "Managed by Pulumi", "forceDestroy": False},
    settings=(
        Setting(
            ("comment",),
            Op(
                lambda scope: "update_hosted_zone_comment" if "was" in scope else "",
                {"Id": "$id", "Comment": "$comment"},
                only=(),
            ),
        ),
    ),
    unread=("forceDestroy", "vpcs"),
    replaces_on=("name", "delegationSetId"),
    tagging=Tagging(
        add=Op("change_tags_for_resource", {"ResourceType": "hostedzone", "ResourceId": "$id", "AddTags": "$tags"}),
        remove=Op(
            "change_tags_for_resource",
            {"ResourceType": "hostedzone", "ResourceId": "$id", "RemoveTagKeys": "$keys"},
        ),
        show=Op("list_tags_for_resource", {"ResourceType": "hostedzone", "ResourceId": "$id"}),
        at="ResourceTagSet.Tags",
        with_create=False,
    ),
)


def record(scope: Scope) -> dict[str, Any]:
    """A record set as Route 53 takes it."""
    found: dict[str, Any] = {"Name": scope["name"], "Type": scope["type"]}
    if scope.get("ttl") is not None:
        found["TTL"] = int(scope["ttl"])
    if scope.get("records"):
        texts = [f'"{one}"' if scope["type"] == "TXT" and not one.startswith('"') else one for one in scope["records"]]
        found["ResourceRecords"] = [{"Value": one} for one in texts]
    for alias in (scope.get("aliases") or [])[:1]:
        found["AliasTarget"] = {
            "HostedZoneId": alias["zoneId"],
            "DNSName": alias["name"],
            "EvaluateTargetHealth": bool(alias["evaluateTargetHealth"]),
        }
    if scope.get("setIdentifier"):
        found["SetIdentifier"] = scope["setIdentifier"]
    for policy in (scope.get("weightedRoutingPolicies") or [])[:1]:
        found["Weight"] = int(policy["weight"])
    for policy in (scope.get("failoverRoutingPolicies") or [])[:1]:
        found["Failover"] = policy["type"]
    if scope.get("healthCheckId"):
        found["HealthCheckId"] = scope["healthCheckId"]
    return found


def changing(action: str) -> Op:
    """The one operation that makes, changes and ends record sets; of another type or identifier, both in one batch."""

    def batch(scope: Scope) -> dict[str, Any]:
        changes = [{"Action": action, "ResourceRecordSet": record(scope)}]
        was = scope.get("was")
        if was is not None and any(was.get(name) != scope.get(name) for name in ("type", "setIdentifier")):
            changes.insert(0, {"Action": "DELETE", "ResourceRecordSet": record(was)})
        return {"Changes": changes}

    only = (
        "type",
        "setIdentifier",
        "records",
        "ttl",
        "aliases",
        "weightedRoutingPolicies",
        "failoverRoutingPolicies",
        "healthCheckId",
        "allowOverwrite",
    )
    return Op("change_resource_record_sets", {"HostedZoneId": "$zoneId", "ChangeBatch": batch}, only=only)


def the_record(answer: Any, scope: Scope) -> Any:
    wanted = (scope["name"].rstrip("."), scope["type"], scope.get("setIdentifier"))
    return next(
        (
            {**one, "fqdn": one["Name"].rstrip(".")}
            for one in answer["ResourceRecordSets"]
            if (one["Name"].rstrip("."), one["Type"], one.get("SetIdentifier")) == wanted
        ),
        None,
    )


RECORD = Kind(
    type="aws:route53/record:Record",
    service="route53",
    create=changing("UPSERT"),
    read=Op("list_resource_record_sets", {"HostedZoneId": "$zoneId"}),
    at=the_record,
    update=changing("UPSERT"),
    delete=changing("DELETE"),
    id="$zoneId_$name_$type",
    answers={
        "records": "ResourceRecords[].Value",
        "aliases": (
            "AliasTarget && [{name: AliasTarget.DNSName, zoneId: AliasTarget.HostedZoneId, "
            "evaluateTargetHealth: AliasTarget.EvaluateTargetHealth}]"
        ),
    },
    outputs={"fqdn": "fqdn"},
    unread=("zoneId", "allowOverwrite", "weightedRoutingPolicies", "failoverRoutingPolicies"),
    replaces_on=("zoneId", "name"),
)

HEALTH_CHECK = Kind(
    type="aws:route53/healthCheck:HealthCheck",
    service="route53",
    create=Op(
        "create_health_check",
        {"CallerReference": "$urn", "HealthCheckConfig": lambda scope: health_check(scope)},
        only=(),
    ),
    read=Op("get_health_check", {"HealthCheckId": "$id"}),
    at="HealthCheck",
    delete=Op("delete_health_check", {"HealthCheckId": "$id"}),
    id="HealthCheck.Id",
    answers={
        "fqdn": "HealthCheckConfig.FullyQualifiedDomainName",
        "port": "HealthCheckConfig.Port",
        "type": "HealthCheckConfig.Type",
        "resourcePath": "HealthCheckConfig.ResourcePath",
        "requestInterval": "HealthCheckConfig.RequestInterval",
        "failureThreshold": "HealthCheckConfig.FailureThreshold",
        "measureLatency": "HealthCheckConfig.MeasureLatency",
        "regions": "HealthCheckConfig.Regions",
        "enableSni": "HealthCheckConfig.EnableSNI",
    },
    outputs={"arn": "arn:aws:route53:::healthcheck/$id"},
    update=Op(
        "update_health_check",
        {
            "HealthCheckId": "$id",
            "FullyQualifiedDomainName": "$fqdn",
            "ResourcePath": "$resourcePath",
            "FailureThreshold": "$failureThreshold",
            "Regions": "$regions",
            "Port": "$port",
        },
        only=(),
    ),
    recorded={
        "measureLatency": "moto tells another value",
        "enableSni": "moto tells another value",
        "regions": "moto tells its own",
    },
    replaces_on=("type", "requestInterval", "measureLatency", "referenceName", "routingControlArn"),
    tagging=Tagging(
        add=Op("change_tags_for_resource", {"ResourceType": "healthcheck", "ResourceId": "$id", "AddTags": "$tags"}),
        remove=Op(
            "change_tags_for_resource", {"ResourceType": "healthcheck", "ResourceId": "$id", "RemoveTagKeys": "$keys"}
        ),
        show=Op("list_tags_for_resource", {"ResourceType": "healthcheck", "ResourceId": "$id"}),
        at="ResourceTagSet.Tags",
        with_create=False,
    ),
)


def health_check(scope: Scope) -> dict[str, Any]:
    """A health check's configuration."""
    names = {
        "type": "Type",
        "fqdn": "FullyQualifiedDomainName",
        "port": "Port",
        "resourcePath": "ResourcePath",
        "requestInterval": "RequestInterval",
        "failureThreshold": "FailureThreshold",
        "searchString": "SearchString",
        "measureLatency": "MeasureLatency",
        "regions": "Regions",
        "enableSni": "EnableSNI",
        "ipAddress": "IPAddress",
        "insufficientDataHealthStatus": "InsufficientDataHealthStatus",
    }
    return {member: scope[name] for name, member in names.items() if scope.get(name) is not None}


KINDS = [CERTIFICATE, VALIDATION, ZONE, RECORD, HEALTH_CHECK]
