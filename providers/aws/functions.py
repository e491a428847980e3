"""Functions (invokes) that programs call, answered from the emulated account."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from providers.aws.account import Account
from providers.aws.documents import policy_document
from providers.base.provider import ProviderError
from providers.base.values import Properties

Answer = Callable[[Account, str, Properties], Properties]


def _caller(account: Account, region: str, arguments: Properties) -> Properties:
    said = account.call("aws:index/getCallerIdentity", "sts", region, "get_caller_identity", {})
    return {"id": said["Account"], "accountId": said["Account"], "arn": said["Arn"], "userId": said["UserId"]}


_SESSION = re.compile(r"arn:([a-z-]+):sts::(\d+):assumed-role/([^/]+)/(.+)")


def _session_context(account: Account, region: str, arguments: Properties) -> Properties:
    """The role of a session, with its path; what is no session is its own issuer."""
    arn = arguments["arn"]
    session = _SESSION.fullmatch(arn)
    found = {"id": arn, "arn": arn, "issuerArn": arn, "issuerId": "", "issuerName": "", "sessionName": ""}
    if session is None:
        return found
    _, _, role, name = session.groups()
    said = account.call("aws:iam/getSessionContext", "iam", region, "get_role", {"RoleName": role})["Role"]
    issuer = {"issuerArn": said["Arn"], "issuerId": said["RoleId"], "issuerName": role, "sessionName": name}
    return {**found, **issuer}


def _region(account: Account, region: str, arguments: Properties) -> Properties:
    named = arguments.get("region") or arguments.get("name") or region
    return {
        "id": named,
        "region": named,
        "name": named,
        "description": named,
        "endpoint": f"ec2.{named}.amazonaws.com",
    }


def _partition(account: Account, region: str, arguments: Properties) -> Properties:
    return {"id": "aws", "partition": "aws", "dnsSuffix": "amazonaws.com", "reverseDnsPrefix": "com.amazonaws"}


def _zones(account: Account, region: str, arguments: Properties) -> Properties:
    region = arguments.get("region") or region
    said = account.call("aws:index/getAvailabilityZones", "ec2", region, "describe_availability_zones", {})
    zones = said["AvailabilityZones"]
    return {
        "id": region,
        "region": region,
        "names": [zone["ZoneName"] for zone in zones],
        "zoneIds": [zone["ZoneId"] for zone in zones],
        "groupNames": [region],
    }


def _document(account: Account, region: str, arguments: Properties) -> Properties:
    return policy_document(arguments)


def _prefix_list(account: Account, region: str, arguments: Properties) -> Properties:
    region = arguments.get("region") or region
    filters = [{"Name": "prefix-list-name", "Values": [arguments["name"]]}] if arguments.get("name") else []
    filters += [{"Name": item["name"], "Values": item["values"]} for item in arguments.get("filters") or []]
    said = account.call(
        "aws:ec2/getManagedPrefixList", "ec2", region, "describe_managed_prefix_lists", {"Filters": filters}
    )
    found = said["PrefixLists"]
    if len(found) != 1:
        raise ProviderError(f"aws:ec2/getManagedPrefixList: {len(found)} prefix lists match, not one.")
    one = found[0]
    return {
        "id": one["PrefixListId"],
        "name": one["PrefixListName"],
        "arn": one["PrefixListArn"],
        "region": region,
        "addressFamily": one.get("AddressFamily", "IPv4"),
        "entries": [],
        "maxEntries": one.get("MaxEntries", 0),
        "ownerId": one.get("OwnerId", "AWS"),
        "tags": {},
        "version": one.get("Version", 1),
    }


def _zone(account: Account, region: str, arguments: Properties) -> Properties:
    zones = account.call("aws:route53/getZone", "route53", region, "list_hosted_zones", {})["HostedZones"]
    wanted, zone_id = str(arguments.get("name", "")).rstrip("."), arguments.get("zoneId")
    found = [
        zone for zone in zones if zone["Id"].endswith(f"/{zone_id}") or (wanted and zone["Name"].rstrip(".") == wanted)
    ]
    if len(found) != 1:
        raise ProviderError(f"aws:route53/getZone: {len(found)} hosted zones are {wanted or zone_id}, not one.")
    name, own_id = found[0]["Name"].rstrip("."), found[0]["Id"].rpartition("/")[2]
    return {"id": own_id, "zoneId": own_id, "name": name, "arn": f"arn:aws:route53:::hostedzone/{own_id}", "tags": {}}


def _registry_token(account: Account, region: str, arguments: Properties) -> Properties:
    import base64

    said = account.call("aws:ecr/getAuthorizationToken", "ecr", region, "get_authorization_token", {})
    data = said["authorizationData"][0]
    user, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
    return {
        "id": region,
        "region": region,
        "authorizationToken": data["authorizationToken"],
        "userName": user,
        "password": password,
        "proxyEndpoint": data["proxyEndpoint"],
        "expiresAt": str(data.get("expiresAt", "")),
    }


ANSWERS: dict[str, Answer] = {
    "aws:index/getCallerIdentity:getCallerIdentity": _caller,
    "aws:index/getRegion:getRegion": _region,
    "aws:index/getPartition:getPartition": _partition,
    "aws:index/getAvailabilityZones:getAvailabilityZones": _zones,
    "aws:iam/getPolicyDocument:getPolicyDocument": _document,
    "aws:iam/getSessionContext:getSessionContext": _session_context,
    "aws:ec2/getManagedPrefixList:getManagedPrefixList": _prefix_list,
    "aws:route53/getZone:getZone": _zone,
    "aws:ecr/getAuthorizationToken:getAuthorizationToken": _registry_token,
}


def answer(account: Account, token: str, arguments: dict[str, Any], region: str) -> Properties:
    """Answer a function.

    Raises:
        ProviderError: it is not known here, or the account refused.
    """
    known = ANSWERS.get(token)
    if known is None:
        raise ProviderError(
            f"the offline aws provider does not know the function {token}; it knows {', '.join(sorted(ANSWERS))}."
        )
    return known(account, region, arguments)
