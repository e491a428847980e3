"""Buckets, load balancer, firewall, names, the static part: what must hold, a function each; mutants use the same."""

from __future__ import annotations

import re
from typing import Any

from tests.components.aws.declaring import Declared, Inputs
from tests.components.aws.properties import WORKLOAD, all_of, statements
from tests.components.aws.workload_programs import (
    CERTIFICATE,
    HOST,
    KEY,
)

of = WORKLOAD.of


def _policy(declared: Declared, kind: str, name: str = "") -> list[dict[str, Any]]:
    found = declared.of(kind)
    return statements((found[name] if name else next(iter(found.values())))["policy"])


# buckets


@of("private_bucket", "audit_archive", "channel_backups", "load_balancer", "cdn")
def no_public_access(declared: Declared) -> bool:
    keys = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    blocked = all_of(
        declared, "s3/bucketPublicAccessBlock:BucketPublicAccessBlock", lambda it: all(it[key] is True for key in keys)
    )
    return blocked and len(declared.of("s3/bucket:Bucket")) == len(
        declared.of("s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
    )


@of("private_bucket", "audit_archive", "channel_backups", "load_balancer", "cdn")
def tls_only(declared: Declared) -> bool:
    def denies(inputs: Inputs) -> bool:
        (statement,) = [it for it in statements(inputs["policy"]) if it["Sid"] == "TlsOnly"]
        return (
            statement["Effect"] == "Deny"
            and statement["Principal"] == "*"
            and statement["Action"] == "s3:*"
            and len(statement["Resource"]) == 2
            and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        )

    return all_of(declared, "s3/bucketPolicy:BucketPolicy", denies)


@of("private_bucket", "audit_archive", "channel_backups")
def encrypted_with_our_key(declared: Declared) -> bool:
    def ours(inputs: Inputs) -> bool:
        default = inputs["rules"][0]["applyServerSideEncryptionByDefault"]
        return bool(default == {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": KEY})

    kind = "s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    return all_of(declared, kind, ours)


@of("private_bucket", "audit_archive", "channel_backups")
def versions_are_kept(declared: Declared) -> bool:
    kind = "s3/bucketVersioning:BucketVersioning"
    return all_of(declared, kind, lambda it: it["versioningConfiguration"] == {"status": "Enabled"})


@of("private_bucket", "audit_archive")
def locked_for_seven_years(declared: Declared) -> bool:
    lock = declared.one("s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration")
    retention = lock["rule"]["defaultRetention"]
    bucket = declared.one("s3/bucket:Bucket")
    return bucket["objectLockEnabled"] is True and retention == {"mode": "COMPLIANCE", "years": 7}


@of("audit_archive")
def nobody_deletes_or_uses_another_key(declared: Declared) -> bool:
    by_sid = {it["Sid"]: it for it in _policy(declared, "s3/bucketPolicy:BucketPolicy")}
    key = {"StringNotEqualsIfExists": {"s3:x-amz-server-side-encryption-aws-kms-key-id": KEY}}
    return (
        by_sid["NobodyDeletes"]["Effect"] == by_sid["OurKeyAlone"]["Effect"] == "Deny"
        and set(by_sid["NobodyDeletes"]["Action"]) == {"s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"}
        and by_sid["OurKeyAlone"]["Condition"] == key
    )


@of("audit_archive", "channel_backups")
def left_when_the_stack_is_destroyed(declared: Declared) -> bool:
    return declared.one("s3/bucket:Bucket")["forceDestroy"] is False


# load balancer


@of("load_balancer")
def https_alone(declared: Declared) -> bool:
    listener = declared.one("lb/listener:Listener")
    return (listener["port"], listener["protocol"], listener["certificateArn"]) == (443, "HTTPS", CERTIFICATE)


@of("load_balancer")
def strong_tls(declared: Declared) -> bool:
    policy = declared.one("lb/listener:Listener")["sslPolicy"]
    return bool(re.fullmatch(r"ELBSecurityPolicy-TLS13-1-2-Res-\d{4}-\d{2}", policy))


@of("load_balancer")
def hsts_and_no_server_header(declared: Declared) -> bool:
    listener = declared.one("lb/listener:Listener")
    hsts = listener["routingHttpResponseStrictTransportSecurityHeaderValue"]
    age = int(re.search(r"max-age=(\d+)", hsts).group(1))  # type: ignore[union-attr]
    return age >= 31_536_000 and "includeSubDomains" in hsts and listener["routingHttpResponseServerEnabled"] is False


@of("load_balancer")
def hardened(declared: Declared) -> bool:
    balancer = declared.one("lb/loadBalancer:LoadBalancer")
    return (
        balancer["dropInvalidHeaderFields"] is True
        and balancer["enableDeletionProtection"] is True
        and balancer["desyncMitigationMode"] == "strictest"
        and balancer["xffHeaderProcessingMode"] == "append"
    )


@of("load_balancer")
def accesses_are_logged(declared: Declared) -> bool:
    balancer = declared.one("lb/loadBalancer:LoadBalancer")
    return balancer["accessLogs"]["enabled"] is True and balancer["connectionLogs"]["enabled"] is True


@of("load_balancer")
def only_the_given_group_decides_who_comes_in(declared: Declared) -> bool:
    balancer = declared.one("lb/loadBalancer:LoadBalancer")
    return balancer["securityGroups"] == ["sg-load-balancer"] and not declared.of("ec2/securityGroup:SecurityGroup")


@of("load_balancer")
def health_is_asked_at_ready_on_3001(declared: Declared) -> bool:
    def right(inputs: Inputs) -> bool:
        health = inputs["healthCheck"]
        slow = health["interval"] * health["unhealthyThreshold"]
        return bool(health["path"] == "/ready" and health["matcher"] == "200" and inputs["port"] == 3001 and slow <= 60)

    return len(declared.of("lb/targetGroup:TargetGroup")) == 2 and all_of(declared, "lb/targetGroup:TargetGroup", right)


@of("load_balancer")
def other_hosts_get_nothing(declared: Declared) -> bool:
    (action,) = declared.one("lb/listener:Listener")["defaultActions"]
    rules = declared.of("lb/listenerRule:ListenerRule").values()
    hosts = [it["conditions"][0]["hostHeader"]["values"] for it in rules]
    return action["fixedResponse"]["statusCode"] == "404" and hosts == [[HOST], [HOST]]


@of("load_balancer")
def the_test_rule_needs_its_secret(declared: Declared) -> bool:
    rule = declared.of("lb/listenerRule:ListenerRule")["it-test"]
    header = rule["conditions"][1]["httpHeader"]
    production = declared.of("lb/listenerRule:ListenerRule")["it-production"]
    return bool(header["values"] == ["planted-test-secret"] and rule["priority"] < production["priority"])


# firewall


@of("waf")
def managed_rules_block(declared: Declared) -> bool:
    rules = declared.one("wafv2/webAcl:WebAcl")["rules"]
    managed = {
        it["statement"]["managedRuleGroupStatement"]["name"]: it
        for it in rules
        if "managedRuleGroupStatement" in it["statement"]
    }
    wanted = {
        "AWSManagedRulesAmazonIpReputationList",
        "AWSManagedRulesCommonRuleSet",
        "AWSManagedRulesKnownBadInputsRuleSet",
        "AWSManagedRulesSQLiRuleSet",
    }
    return set(managed) == wanted and all("none" in it["overrideAction"] for it in managed.values())


@of("waf")
def addresses_are_limited(declared: Declared) -> bool:
    rules = {it["name"]: it for it in declared.one("wafv2/webAcl:WebAcl")["rules"]}
    every, invoices = rules["requests-of-an-address"], rules["invoices-of-an-address"]
    scope = invoices["statement"]["rateBasedStatement"]["scopeDownStatement"]["byteMatchStatement"]
    return (
        every["statement"]["rateBasedStatement"]["limit"] == 10_000
        and invoices["statement"]["rateBasedStatement"]["limit"] == 300
        and scope["searchString"] == "/api/lightning/create-invoice"
        and all("block" in it["action"] for it in (every, invoices))
    )


@of("waf")
def it_protects_the_load_balancer(declared: Declared) -> bool:
    return bool(declared.one("wafv2/webAclAssociation:WebAclAssociation")["resourceArn"] == "arn:lb")


@of("waf")
def its_log_has_no_credentials(declared: Declared) -> bool:
    logging = declared.one("wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration")
    redacted = {it["singleHeader"]["name"] for it in logging["redactedFields"]}
    return {"authorization", "cookie", "x-api-key"} <= redacted


@of("waf", "logs", "slack")
def lines_are_encrypted_and_end(declared: Declared) -> bool:
    def kept(inputs: Inputs) -> bool:
        return bool(inputs["kmsKeyId"] == KEY and 14 <= inputs["retentionInDays"] <= 3653)

    return all_of(declared, "cloudwatch/logGroup:LogGroup", kept)


# names and certificates


@of("certificate")
def validated_by_dns(declared: Declared) -> bool:
    certificate = declared.one("acm/certificate:Certificate")
    record = declared.one("route53/record:Record")
    validation = declared.one("acm/certificateValidation:CertificateValidation")
    return (
        certificate["validationMethod"] == "DNS"
        and record["records"] == ["_y.acm.aws"]
        and len(validation["validationRecordFqdns"]) == 1
    )


@of("alias")
def asked_from_outside_by_https(declared: Declared) -> bool:
    check = declared.one("route53/healthCheck:HealthCheck")
    return (check["type"], check["port"], check["resourcePath"], check["fqdn"]) == ("HTTPS", 443, "/health", HOST)


@of("alias")
def an_alias_of_the_target(declared: Declared) -> bool:
    record = declared.one("route53/record:Record")
    return bool(record["type"] == "A" and record["aliases"][0]["name"] == "lb.example.net")


# static part


@of("cdn")
def https_only_and_modern(declared: Declared) -> bool:
    distribution = declared.one("cloudfront/distribution:Distribution")
    return bool(
        distribution["defaultCacheBehavior"]["viewerProtocolPolicy"] == "https-only"
        and distribution["viewerCertificate"]["minimumProtocolVersion"] == "TLSv1.2_2021"
    )


@of("cdn")
def the_bucket_is_read_by_the_distribution_alone(declared: Declared) -> bool:
    allowed = [
        it for it in _policy(declared, "s3/bucketPolicy:BucketPolicy", "it-files-policy") if it["Effect"] == "Allow"
    ]
    access = declared.one("cloudfront/originAccessControl:OriginAccessControl")
    (origin,) = declared.one("cloudfront/distribution:Distribution")["origins"]
    return (
        [it["Principal"] for it in allowed] == [{"Service": "cloudfront.amazonaws.com"}]
        and [it["Action"] for it in allowed] == ["s3:GetObject"]
        and "AWS:SourceArn" in allowed[0]["Condition"]["StringEquals"]
        and access["signingBehavior"] == "always"
        and origin["originAccessControlId"] == "it-access-id"
    )


@of("cdn")
def security_headers(declared: Declared) -> bool:
    headers = declared.one("cloudfront/responseHeadersPolicy:ResponseHeadersPolicy")["securityHeadersConfig"]
    policy = headers["contentSecurityPolicy"]["contentSecurityPolicy"]
    return (
        headers["strictTransportSecurity"]["accessControlMaxAgeSec"] >= 31_536_000
        and headers["frameOptions"]["frameOption"] == "DENY"
        and headers["contentTypeOptions"]["override"] is True
        and "default-src 'none'" in policy
        and "unsafe" not in policy
    )
