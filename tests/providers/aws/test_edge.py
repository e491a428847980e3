"""Buckets, web ACLs, DNS, certificates and the CDN, through their whole lives."""

from __future__ import annotations

from tests.providers.aws.documents import KEY_ARN, allow
from tests.providers.aws.world import World


def subnets(world: World) -> tuple[str, list[str]]:
    """A VPC and three subnets in it; returns their ids."""
    vpc = world.make("aws:ec2/vpc:Vpc", "main", cidrBlock="10.0.0.0/16")
    made = [
        world.make(
            "aws:ec2/subnet:Subnet",
            f"private-{zone}",
            vpcId=vpc.id,
            cidrBlock=f"10.0.{i}.0/24",
            availabilityZone=f"eu-central-1{zone}",
        )
        for i, zone in enumerate("abc")
    ]
    return vpc.id, [subnet.id for subnet in made]


def test_the_edge_is_as_it_was_asked_for(world: World) -> None:
    b = world.make("aws:s3/bucket:Bucket", "b", objectLockEnabled=True, forceDestroy=True, tags={"a": "b"})
    b = world.change(b, tags={"a": "c"})
    lb = world.make("aws:s3/bucket:Bucket", "logs", forceDestroy=True)
    world.make(
        "aws:s3/bucketVersioning:BucketVersioning", "v", bucket=b.id, versioningConfiguration={"status": "Enabled"}
    )
    world.make(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        "e",
        bucket=b.id,
        rules=[
            {
                "applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": KEY_ARN},
                "bucketKeyEnabled": True,
            }
        ],
    )
    world.make(
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        "p",
        bucket=b.id,
        blockPublicAcls=True,
        blockPublicPolicy=True,
        ignorePublicAcls=True,
        restrictPublicBuckets=True,
    )
    world.make(
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        "o",
        bucket=b.id,
        rule={"objectOwnership": "BucketOwnerEnforced"},
    )
    world.make(
        "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration",
        "ol",
        bucket=b.id,
        rule={"defaultRetention": {"mode": "COMPLIANCE", "years": 7}},
    )
    world.make(
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        "lc",
        bucket=b.id,
        rules=[
            {
                "id": "x",
                "status": "Enabled",
                "filter": {},
                "transitions": [{"days": 90, "storageClass": "GLACIER"}],
                "noncurrentVersionExpiration": {"noncurrentDays": 30},
                "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7},
            }
        ],
    )
    world.make(
        "aws:s3/bucketPolicy:BucketPolicy",
        "bp",
        bucket=lb.id,
        policy=allow("s3:PutObject", f"{lb['arn']}/*", Principal={"Service": "logging.s3.amazonaws.com"}),
    )
    world.make("aws:s3/bucketLogging:BucketLogging", "l", bucket=b.id, targetBucket=lb.id, targetPrefix="x/")
    world.make(
        "aws:s3/bucketObjectv2:BucketObjectv2", "index.html", bucket=lb.id, content="<html>", contentType="text/html"
    )
    acl = world.make(
        "aws:wafv2/webAcl:WebAcl",
        "acl",
        scope="REGIONAL",
        defaultAction={"allow": {}},
        visibilityConfig={"cloudwatchMetricsEnabled": True, "metricName": "m", "sampledRequestsEnabled": True},
        rules=[
            {
                "name": "r",
                "priority": 1,
                "overrideAction": {"none": {}},
                "statement": {
                    "managedRuleGroupStatement": {"name": "AWSManagedRulesCommonRuleSet", "vendorName": "AWS"}
                },
                "visibilityConfig": {
                    "cloudwatchMetricsEnabled": True,
                    "metricName": "m",
                    "sampledRequestsEnabled": True,
                },
            },
            {
                "name": "rate",
                "priority": 2,
                "action": {"block": {}},
                "statement": {
                    "rateBasedStatement": {"limit": 1000, "aggregateKeyType": "IP", "evaluationWindowSec": 60}
                },
                "visibilityConfig": {
                    "cloudwatchMetricsEnabled": True,
                    "metricName": "q",
                    "sampledRequestsEnabled": True,
                },
            },
        ],
    )
    acl = world.change(acl, description="d")
    _vpc_id, subnet_ids = subnets(world)
    lbb = world.make("aws:lb/loadBalancer:LoadBalancer", "lb", subnets=subnet_ids)
    world.make("aws:wafv2/webAclAssociation:WebAclAssociation", "as", resourceArn=lbb.id, webAclArn=acl["arn"])
    world.make(
        "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration",
        "lg",
        resourceArn=acl["arn"],
        logDestinationConfigs=["arn:aws:logs:eu-central-1:123456789012:log-group:aws-waf-logs-x"],
        redactedFields=[{"singleHeader": {"name": "authorization"}}],
        loggingFilter={
            "defaultBehavior": "DROP",
            "filters": [
                {
                    "behavior": "KEEP",
                    "requirement": "MEETS_ANY",
                    "conditions": [{"actionCondition": {"action": "BLOCK"}}],
                }
            ],
        },
    )
    world.make("aws:wafv2/ipSet:IpSet", "ips", scope="REGIONAL", ipAddressVersion="IPV4", addresses=["10.0.0.0/8"])
    z = world.make("aws:route53/zone:Zone", "z", name="example.com")
    z = world.change(z, comment="c", tags={"a": "b"})
    ce = world.make(
        "aws:acm/certificate:Certificate",
        "ce",
        domainName="pay.example.com",
        subjectAlternativeNames=["api.example.com"],
        validationMethod="DNS",
    )
    o = ce["domainValidationOptions"][0]
    rc = world.make(
        "aws:route53/record:Record",
        "rc",
        zoneId=z["zoneId"],
        name=o["resourceRecordName"],
        type=o["resourceRecordType"],
        ttl=60,
        records=[o["resourceRecordValue"]],
    )
    rc = world.change(rc, ttl=300)
    weighed = world.make(
        "aws:route53/record:Record",
        "weighed",
        zoneId=z["zoneId"],
        name="w.example.com",
        type="A",
        ttl=60,
        records=["192.0.2.1"],
        setIdentifier="a",
        weightedRoutingPolicies=[{"weight": 1}],
    )
    weighed = world.change(weighed, setIdentifier="b")
    world.change(weighed, type="AAAA", records=["2001:db8::1"])
    there = world.provider._account.client("route53", "eu-central-1").list_resource_record_sets(
        HostedZoneId=z["zoneId"]
    )
    named = [one for one in there["ResourceRecordSets"] if one["Name"] == "w.example.com."]
    assert [(one["Type"], one["SetIdentifier"]) for one in named] == [("AAAA", "b")]
    world.make(
        "aws:route53/record:Record",
        "rcq",
        zoneId=z["zoneId"],
        name="pay.example.com",
        type="A",
        aliases=[{"name": lbb["dnsName"], "zoneId": lbb["zoneId"], "evaluateTargetHealth": True}],
    )
    world.make(
        "aws:acm/certificateValidation:CertificateValidation",
        "cv",
        certificateArn=ce["arn"],
        validationRecordFqdns=[rc["fqdn"]],
    )
    hc = world.make(
        "aws:route53/healthCheck:HealthCheck",
        "hc",
        type="HTTPS",
        fqdn="pay.example.com",
        port=443,
        resourcePath="/health",
        requestInterval=30,
        failureThreshold=3,
        measureLatency=True,
        enableSni=True,
        regions=["us-east-1", "eu-west-1", "ap-southeast-1"],
        tags={"a": "b"},
    )
    hc = world.change(hc, failureThreshold=2)
    oac = world.make(
        "aws:cloudfront/originAccessControl:OriginAccessControl",
        "oac",
        originAccessControlOriginType="s3",
        signingBehavior="always",
        signingProtocol="sigv4",
    )
    oac = world.change(oac, description="q", name="oac-q")
    rh = world.make(
        "aws:cloudfront/responseHeadersPolicy:ResponseHeadersPolicy",
        "rh",
        securityHeadersConfig={"frameOptions": {"frameOption": "DENY", "override": True}},
    )
    cf = world.make(
        "aws:cloudfront/distribution:Distribution",
        "cf",
        enabled=True,
        comment="x",
        aliases=["d.example.com"],
        defaultRootObject="index.html",
        httpVersion="http2and3",
        isIpv6Enabled=True,
        priceClass="PriceClass_100",
        webAclId=acl["arn"],
        origins=[{"originId": "files", "domainName": b["bucketRegionalDomainName"], "originAccessControlId": oac.id}],
        defaultCacheBehavior={
            "targetOriginId": "files",
            "viewerProtocolPolicy": "https-only",
            "allowedMethods": ["GET", "HEAD"],
            "cachedMethods": ["GET", "HEAD"],
            "cachePolicyId": "658327ea",
            "responseHeadersPolicyId": rh.id,
            "compress": True,
        },
        restrictions={"geoRestriction": {"restrictionType": "none"}},
        viewerCertificate={
            "acmCertificateArn": ce["arn"],
            "minimumProtocolVersion": "TLSv1.2_2021",
            "sslSupportMethod": "sni-only",
        },
        tags={"q": "r"},
    )
    cf = world.change(cf, comment="y", tags={"q": "s"})
    world.make(
        "aws:cloudfront/function:Function",
        "fn",
        code="function handler(e){return e.request}",
        runtime="cloudfront-js-2.0",
        publish=True,
    )
