"""EC2's security groups and their rules.

Source of what replaces: terraform-provider-aws `internal/service/ec2/vpc_security_group*.go`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from providers.aws.kind import Kind, Op, Scope, Setting
from providers.aws.services.ec2_network import TAGGING


def permission(rule: Scope) -> dict[str, Any]:
    """One rule of a rule resource as an IpPermission."""
    said = {"Description": rule["description"]} if rule.get("description") else {}
    found: dict[str, Any] = {"IpProtocol": str(rule["ipProtocol"])}
    if rule.get("fromPort") is not None:
        found |= {"FromPort": int(rule["fromPort"]), "ToPort": int(rule["toPort"])}
    if rule.get("cidrIpv4"):
        found["IpRanges"] = [{"CidrIp": rule["cidrIpv4"], **said}]
    if rule.get("cidrIpv6"):
        found["Ipv6Ranges"] = [{"CidrIpv6": rule["cidrIpv6"], **said}]
    if rule.get("prefixListId"):
        found["PrefixListIds"] = [{"PrefixListId": rule["prefixListId"], **said}]
    if rule.get("referencedSecurityGroupId"):
        found["UserIdGroupPairs"] = [{"GroupId": rule["referencedSecurityGroupId"], **said}]
    return found


def permissions(rules: Any, group_id: str) -> list[dict[str, Any]]:
    """A group's inline rules as IpPermissions."""
    found = []
    for rule in rules or []:
        said = {"Description": rule["description"]} if rule.get("description") else {}
        groups = [*(rule.get("securityGroups") or []), *([group_id] if rule.get("self") else [])]
        one: dict[str, Any] = {"IpProtocol": str(rule["protocol"])}
        if str(rule["protocol"]) != "-1":
            one |= {"FromPort": int(rule["fromPort"]), "ToPort": int(rule["toPort"])}
        one["IpRanges"] = [{"CidrIp": cidr, **said} for cidr in rule.get("cidrBlocks") or []]
        one["Ipv6Ranges"] = [{"CidrIpv6": cidr, **said} for cidr in rule.get("ipv6CidrBlocks") or []]
        one["PrefixListIds"] = [{"PrefixListId": each, **said} for each in rule.get("prefixListIds") or []]
        one["UserIdGroupPairs"] = [{"GroupId": each, **said} for each in groups]
        found.append({key: value for key, value in one.items() if value})
    return found


def inline(direction: str) -> Setting:
    """A group's inline rules of one direction: those there were go, those wanted come."""

    def wanted(scope: Scope) -> list[dict[str, Any]]:
        return permissions(scope.get(direction), scope["id"])

    def had(scope: Scope) -> list[dict[str, Any]]:
        return permissions(scope["was"].get(direction), scope["id"])

    def revoke(scope: Scope) -> str:
        return f"revoke_security_group_{direction}" if had(scope) else ""

    return Setting(
        (direction,),
        Op(f"authorize_security_group_{direction}", {"GroupId": "$id", "IpPermissions": wanted}, only=()),
        before=Op(revoke, {"GroupId": "$id", "IpPermissions": had}),
        off=Op(lambda _: ""),
    )


def clear(direction: str, member: str) -> Op:
    """Take away the rules that EC2 itself gave a group: the programs say all there is."""

    def had(scope: Scope) -> list[dict[str, Any]]:
        groups = scope["answer"].get("SecurityGroups")
        if groups:
            return list(groups[0].get(member) or [])
        return [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}] if direction == "egress" else []

    return Op(
        lambda scope: f"revoke_security_group_{direction}" if had(scope) else "",
        {"GroupId": "$id", "IpPermissions": had},
    )


CLEAR = (clear("ingress", "IpPermissions"), clear("egress", "IpPermissionsEgress"))
OF_GROUP = {"arn": "arn:aws:ec2:$region:$account:security-group/$id", "ownerId": "OwnerId", "name": "GroupName"}

SECURITY_GROUP = Kind(
    type="aws:ec2/securityGroup:SecurityGroup",
    service="ec2",
    create=Op("create_security_group", {"GroupName": "$name", "Description": "$description"}, only=("vpcId",)),
    read=Op("describe_security_groups", {"GroupIds": ["$id"]}),
    at="SecurityGroups[0]",
    delete=Op("delete_security_group", {"GroupId": "$id"}),
    id="GroupId",
    answers={"name": "GroupName"},
    outputs=OF_GROUP,
    defaults={"description": "Managed by Pulumi", "revokeRulesOnDelete": False},
    autoname="name",
    after=CLEAR,
    settings=(inline("ingress"), inline("egress")),
    unread=("ingress", "egress", "revokeRulesOnDelete"),
    replaces_on=("name", "namePrefix", "description", "vpcId"),
    tag_type="security-group",
    tagging=TAGGING,
)

DEFAULT_SECURITY_GROUP = Kind(
    type="aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
    service="ec2",
    # It is there since the VPC is: it is taken over, emptied, and left behind.
    create=Op(
        "describe_security_groups",
        {"Filters": [{"Name": "vpc-id", "Values": ["$vpcId"]}, {"Name": "group-name", "Values": ["default"]}]},
        only=(),
    ),
    read=Op("describe_security_groups", {"GroupIds": ["$id"]}),
    at="SecurityGroups[0]",
    id="SecurityGroups[0].GroupId",
    outputs=OF_GROUP,
    after=CLEAR,
    settings=(inline("ingress"), inline("egress")),
    unread=("ingress", "egress", "revokeRulesOnDelete"),
    replaces_on=("vpcId",),
    tagging=replace(TAGGING, with_create=False),
)


SOURCES = ("cidrIpv4", "cidrIpv6", "prefixListId", "referencedSecurityGroupId")


def other_source(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """A rule's source changes in place to another of its kind only."""
    had, wanted = ({name for name in SOURCES if it.get(name)} for it in (old, new))
    return () if had == wanted else tuple(sorted(had | wanted))


def rule(type_: str, direction: str) -> Kind:
    return Kind(
        type=type_,
        service="ec2",
        create=Op(
            f"authorize_security_group_{direction}",
            {"GroupId": "$securityGroupId", "IpPermissions": lambda scope: [permission(scope)]},
            only=(),
        ),
        read=Op("describe_security_group_rules", {"SecurityGroupRuleIds": ["$id"]}),
        at="SecurityGroupRules[0]",
        update=Op(
            "modify_security_group_rules",
            {"GroupId": "$securityGroupId", "SecurityGroupRules": lambda scope: [changed_rule(scope)]},
            only=RULE,
        ),
        delete=Op(
            f"revoke_security_group_{direction}", {"GroupId": "$securityGroupId", "SecurityGroupRuleIds": ["$id"]}
        ),
        id="SecurityGroupRules[0].SecurityGroupRuleId",
        recorded={"description": "moto tells no description of a rule"},
        answers={"securityGroupId": "GroupId", "referencedSecurityGroupId": "ReferencedGroupInfo.GroupId"},
        outputs={"securityGroupRuleId": "$id", "arn": "arn:aws:ec2:$region:$account:security-group-rule/$id"},
        replaces_on=("securityGroupId",),
        replaces_when=other_source,
        tag_type="security-group-rule",
        tagging=TAGGING,
    )


RULE = (
    "cidrIpv4",
    "cidrIpv6",
    "description",
    "fromPort",
    "toPort",
    "ipProtocol",
    "prefixListId",
    "referencedSecurityGroupId",
)


def changed_rule(scope: Scope) -> dict[str, Any]:
    """A rule resource as ModifySecurityGroupRules takes it."""
    names = {
        "cidrIpv4": "CidrIpv4",
        "cidrIpv6": "CidrIpv6",
        "description": "Description",
        "fromPort": "FromPort",
        "toPort": "ToPort",
        "ipProtocol": "IpProtocol",
        "prefixListId": "PrefixListId",
        "referencedSecurityGroupId": "ReferencedGroupId",
    }
    request = {member: scope[name] for name, member in names.items() if scope.get(name) is not None}
    return {"SecurityGroupRuleId": scope["id"], "SecurityGroupRule": request}


KINDS = [
    SECURITY_GROUP,
    DEFAULT_SECURITY_GROUP,
    rule("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "ingress"),
    rule("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule", "egress"),
]
