"""CloudFront. Source of what replaces: terraform-provider-aws `internal/service/cloudfront/`."""

from __future__ import annotations

from typing import Any

from providers.aws.kind import Kind, Op, Scope, Tagging

TAGGING = Tagging(
    add=Op("tag_resource", {"Resource": "$arn", "Tags": lambda scope: {"Items": scope["tags"]}}),
    remove=Op("untag_resource", {"Resource": "$arn", "TagKeys": lambda scope: {"Items": scope["keys"]}}),
    show=Op("list_tags_for_resource", {"Resource": "$arn"}),
    at="Tags.Items",
)


def version(scope: Scope) -> str:
    """The version that is changed."""
    return str(scope["see"]()["ETag"])


def behaviour(given: dict[str, Any]) -> dict[str, Any]:
    """A cache behaviour with its methods as CloudFront nests them, and what it insists on."""
    found = {key: value for key, value in given.items() if key not in ("allowedMethods", "cachedMethods")}
    cached = given.get("cachedMethods") or ["GET", "HEAD"]
    allowed = given.get("allowedMethods") or ["GET", "HEAD"]
    found["allowedMethods"] = {
        "quantity": len(allowed),
        "items": allowed,
        "cachedMethods": {"quantity": len(cached), "items": cached},
    }
    return found


def origin(given: dict[str, Any]) -> dict[str, Any]:
    """An origin; a bucket's says so even when it has an access control."""
    found = {**given, "id": given["originId"]}
    if given.get("customOriginConfig"):
        custom = dict(given["customOriginConfig"])
        custom["HTTPPort"], custom["HTTPSPort"] = custom.pop("httpPort", 80), custom.pop("httpsPort", 443)
        found["customOriginConfig"] = custom
    else:
        found.setdefault("s3OriginConfig", {"originAccessIdentity": ""})
    return found


def _prepare(scope: dict[str, Any]) -> None:
    """Inputs as CloudFront nests them."""
    for name, change in (("origins", origin), ("orderedCacheBehaviors", behaviour)):
        if scope.get(name):
            scope[name] = [change(one) for one in scope[name]]
    if scope.get("defaultCacheBehavior"):
        scope["defaultCacheBehavior"] = behaviour(scope["defaultCacheBehavior"])
    if scope.get("restrictions"):
        geo = scope["restrictions"]["geoRestriction"]
        places = geo.get("locations") or []
        scope["restrictions"] = {
            "geoRestriction": {"restrictionType": geo["restrictionType"], "quantity": len(places), "items": places}
        }


NAMES = {"orderedCacheBehaviors": "CacheBehaviors", "webAclId": "WebACLId", "isIpv6Enabled": "IsIPV6Enabled"}
CONFIG = "DistributionConfig"
INPUTS = (
    "enabled",
    "comment",
    "aliases",
    "defaultRootObject",
    "httpVersion",
    "isIpv6Enabled",
    "priceClass",
    "webAclId",
    "origins",
    "defaultCacheBehavior",
    "orderedCacheBehaviors",
    "restrictions",
    "viewerCertificate",
    "customErrorResponses",
)
REQUIRED = {"CallerReference": "$urn", "Comment": lambda scope: scope.get("comment") or ""}

DISTRIBUTION = Kind(
    type="aws:cloudfront/distribution:Distribution",
    service="cloudfront",
    create=Op(
        "create_distribution_with_tags",
        {
            "DistributionConfigWithTags": {
                CONFIG: REQUIRED,
                "Tags": {
                    "Items": lambda scope: [{"Key": key, "Value": value} for key, value in scope["tagsAll"].items()]
                },
            }
        },
        into=f"DistributionConfigWithTags.{CONFIG}",
        only=INPUTS,
        names=NAMES,
    ),
    read=Op("get_distribution", {"Id": "$id"}),
    at=lambda answer, _: {**answer["Distribution"], "ETag": answer["ETag"]},
    update=Op(
        "update_distribution",
        {CONFIG: REQUIRED, "Id": "$id", "IfMatch": version},
        into=CONFIG,
        only=INPUTS,
        names=NAMES,
    ),
    # CloudFront ends only what was switched off.
    before_delete=(
        Op(
            "update_distribution",
            {CONFIG: {**REQUIRED, "Enabled": False}, "Id": "$id", "IfMatch": version},
            into=CONFIG,
            only=INPUTS,
            names=NAMES,
        ),
    ),
    delete=Op("delete_distribution", {"Id": "$id", "IfMatch": version}),
    id="Distribution.Id",
    prepare=_prepare,
    answers={
        "enabled": "DistributionConfig.Enabled",
        "comment": "DistributionConfig.Comment",
        "aliases": "DistributionConfig.Aliases.Items",
        "defaultRootObject": "DistributionConfig.DefaultRootObject",
        "priceClass": "DistributionConfig.PriceClass",
        "webAclId": "DistributionConfig.WebACLId",
        "httpVersion": "DistributionConfig.HttpVersion",
    },
    outputs={
        "arn": "ARN",
        "domainName": "DomainName",
        "hostedZoneId": "Z2FDTNDATAQYW2",
        "status": "Status",
        "etag": "ETag",
        "callerReference": "$urn",
    },
    defaults={"httpVersion": "http2", "priceClass": "PriceClass_All", "retainOnDelete": False},
    unread=(
        "retainOnDelete",
        "waitForDeployment",
        "origins",
        "defaultCacheBehavior",
        "orderedCacheBehaviors",
        "restrictions",
        "viewerCertificate",
        "customErrorResponses",
        "isIpv6Enabled",
    ),
    recorded={
        "loggingConfig": "version 1 logging is not sent on",
        "originGroups": "not sent on",
        "httpVersion": "moto tells http1.1",
    },
    replaces_on=("staging",),
    tagging=TAGGING,
)

CONTROL_CONFIG = "OriginAccessControlConfig"

ORIGIN_ACCESS_CONTROL = Kind(
    type="aws:cloudfront/originAccessControl:OriginAccessControl",
    service="cloudfront",
    create=Op("create_origin_access_control", into=CONTROL_CONFIG),
    read=Op("get_origin_access_control", {"Id": "$id"}),
    at=lambda answer, _: {**answer["OriginAccessControl"]["OriginAccessControlConfig"], "ETag": answer.get("ETag")},
    update=Op(
        "update_origin_access_control", {"Id": "$id", "IfMatch": lambda s: s["see"]()["ETag"]}, into=CONTROL_CONFIG
    ),
    delete=Op("delete_origin_access_control", {"Id": "$id"}),
    id="OriginAccessControl.Id",
    outputs={"etag": "ETag", "arn": "arn:aws:cloudfront::$account:origin-access-control/$id"},
    defaults={"description": "Managed by Pulumi"},
    autoname="name",
    name_limit=64,
)

FUNCTION = Kind(
    type="aws:cloudfront/function:Function",
    service="cloudfront",
    create=Op(
        "create_function",
        {
            "Name": "$name",
            "FunctionCode": lambda scope: scope["code"].encode(),
            "FunctionConfig": {"Comment": lambda scope: scope.get("comment") or "", "Runtime": "$runtime"},
        },
        only=(),
    ),
    read=Op("describe_function", {"Name": "$id"}),
    at=lambda answer, _: {**answer["FunctionSummary"], "ETag": answer.get("ETag")},
    delete=Op("delete_function", {"Name": "$id", "IfMatch": version}),
    id="$name",
    outputs={"arn": "FunctionMetadata.FunctionARN", "etag": "ETag"},
    autoname="name",
    name_limit=64,
    unread=("code", "publish", "runtime", "comment"),
    # moto has no UpdateFunction; the real provider changes these in place.
    recorded={
        "code": "moto has no UpdateFunction",
        "comment": "moto has no UpdateFunction",
        "runtime": "moto has no UpdateFunction",
    },
    replaces_on=("name",),
)


CACHE_KEY = "parametersInCacheKeyAndForwardedToOrigin"


def _compresses(scope: dict[str, Any]) -> None:
    """What is left out of a cache's key is no part of it; CloudFront insists on hearing so."""
    if scope.get(CACHE_KEY):
        scope[CACHE_KEY] = {"enableAcceptEncodingGzip": False, **scope[CACHE_KEY]}


def policy(name: str, part: str, **more: Any) -> Kind:
    """A policy that behaviours refer to.

    Args:
        part: of its ARN.
    """
    own, config, method = name[0].lower() + name[1:], f"{name}Config", part.replace("-", "_")
    return Kind(
        type=f"aws:cloudfront/{own}:{name}",
        service="cloudfront",
        create=Op(f"create_{method}", into=config),
        read=Op(f"get_{method}", {"Id": "$id"}),
        at=lambda answer, _: {**answer[name][config], "ETag": answer["ETag"]},
        update=Op(f"update_{method}", {"Id": "$id", "IfMatch": version}, into=config),
        delete=Op(f"delete_{method}", {"Id": "$id", "IfMatch": version}),
        id=f"{name}.Id",
        outputs={"etag": "ETag", "arn": f"arn:aws:cloudfront::$account:{part}/$id"},
        autoname="name",
        name_limit=128,
        **more,
    )


KINDS = [
    DISTRIBUTION,
    ORIGIN_ACCESS_CONTROL,
    FUNCTION,
    policy("ResponseHeadersPolicy", "response-headers-policy"),
    policy(
        "CachePolicy",
        "cache-policy",
        defaults={"defaultTtl": 86400, "maxTtl": 31536000, "minTtl": 0},
        prepare=_compresses,
    ),
    policy("OriginRequestPolicy", "origin-request-policy"),
]
