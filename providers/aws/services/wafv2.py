"""WAFv2. Source of what replaces: terraform-provider-aws `internal/service/wafv2/`."""

from __future__ import annotations

from typing import Any

from providers.aws.kind import Kind, Op, Scope, Tagging

TAGGING = Tagging(
    add=Op("tag_resource", {"ResourceARN": "$arn", "Tags": "$tags"}),
    remove=Op("untag_resource", {"ResourceARN": "$arn", "TagKeys": "$keys"}),
    show=Op("list_tags_for_resource", {"ResourceARN": "$arn"}),
    at="TagInfoForResource.TagList",
)
OWN = {"Name": "$name", "Scope": "$scope", "Id": "$id"}


def lock(scope: Scope) -> str:
    """The token that says which version of it is changed."""
    return str(scope["see"]()["LockToken"])


def with_lock(member: str) -> Any:
    return lambda answer, _: {**answer[member], "LockToken": answer["LockToken"]}


WEB_ACL = Kind(
    type="aws:wafv2/webAcl:WebAcl",
    service="wafv2",
    create=Op("create_web_acl"),
    read=Op("get_web_acl", OWN),
    at=with_lock("WebACL"),
    update=Op("update_web_acl", {**OWN, "LockToken": lock}),
    delete=Op("delete_web_acl", {**OWN, "LockToken": lock}),
    id="Summary.Id",
    outputs={"arn": "ARN", "capacity": "Capacity"},
    autoname="name",
    name_limit=128,
    unread=("scope", "tokenDomains", "associationConfig", "captchaConfig", "challengeConfig"),
    recorded={"rules": "moto tells a rule's statement as it was sent, in another spelling"},
    replaces_on=("name", "namePrefix", "scope"),
    tagging=TAGGING,
)

ASSOCIATION = Kind(
    type="aws:wafv2/webAclAssociation:WebAclAssociation",
    service="wafv2",
    create=Op("associate_web_acl"),
    read=Op("get_web_acl_for_resource", {"ResourceArn": "$resourceArn"}),
    at="WebACL",
    delete=Op("disassociate_web_acl", {"ResourceArn": "$resourceArn"}),
    id="$webAclArn,$resourceArn",
    answers={"webAclArn": "ARN"},
    unread=("resourceArn",),
    replaces_on=("resourceArn", "webAclArn"),
)

LOGGING = Kind(
    type="aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration",
    service="wafv2",
    create=Op("put_logging_configuration", into="LoggingConfiguration"),
    read=Op("get_logging_configuration", {"ResourceArn": "$resourceArn"}),
    at="LoggingConfiguration",
    update=Op("put_logging_configuration", into="LoggingConfiguration"),
    delete=Op("delete_logging_configuration", {"ResourceArn": "$resourceArn"}),
    id="$resourceArn",
    replaces_on=("resourceArn", "logDestinationConfigs"),
)

IP_SET = Kind(
    type="aws:wafv2/ipSet:IpSet",
    service="wafv2",
    create=Op("create_ip_set"),
    read=Op("get_ip_set", OWN),
    at=with_lock("IPSet"),
    update=Op("update_ip_set", {**OWN, "LockToken": lock}),
    delete=Op("delete_ip_set", {**OWN, "LockToken": lock}),
    id="Summary.Id",
    outputs={"arn": "ARN"},
    autoname="name",
    name_limit=128,
    unread=("scope",),
    replaces_on=("name", "namePrefix", "scope", "ipAddressVersion"),
    tagging=TAGGING,
)

KINDS = [WEB_ACL, ASSOCIATION, LOGGING, IP_SET]
