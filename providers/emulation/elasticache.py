"""ElastiCache: the rest of a subnet group's life, and parameter groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.emulation.operation import Call, Operation, moto_backend, refuse

NO_SUBNETS, NO_PARAMETERS = "CacheSubnetGroupNotFoundFault", "CacheParameterGroupNotFound"


def _subnet_group(call: Call) -> Any:
    name = call.given["CacheSubnetGroupName"]
    found = moto_backend("elasticache", call).cache_subnet_groups.get(name)
    if found is None:
        refuse(NO_SUBNETS, f"The cache subnet group {name} does not exist.")
    return found


def _modify_subnets(call: Call) -> Mapping[str, Any]:
    from moto.elasticache.models import CacheSubnetGroup

    old, given = _subnet_group(call), call.given
    new = CacheSubnetGroup(
        account_id=call.account,
        region_name=call.region,
        cache_subnet_group_name=old.cache_subnet_group_name,
        cache_subnet_group_description=given.get("CacheSubnetGroupDescription", old.cache_subnet_group_description),
        subnet_ids=list(given.get("SubnetIds") or old.subnet_ids),
        tags=old.tags,
    )
    moto_backend("elasticache", call).cache_subnet_groups[old.cache_subnet_group_name] = new
    told = {"CacheSubnetGroupName": new.cache_subnet_group_name, "VpcId": new.vpc_id, "ARN": new.arn}
    return {"CacheSubnetGroup": {**told, "CacheSubnetGroupDescription": new.cache_subnet_group_description}}


def _delete_subnets(call: Call) -> Mapping[str, Any]:
    name = _subnet_group(call).cache_subnet_group_name
    backend = moto_backend("elasticache", call)
    users = [
        group.replication_group_id
        for group in backend.replication_groups.values()
        if getattr(group, "cache_subnet_group_name", None) == name
    ]
    if users:
        refuse("CacheSubnetGroupInUse", f"The cache subnet group {name} is in use by {', '.join(users)}.")
    del backend.cache_subnet_groups[name]
    return {}


def _create_parameters(call: Call) -> Mapping[str, Any]:
    name = call.given["CacheParameterGroupName"]
    if name in call.shelf("groups"):
        refuse("CacheParameterGroupAlreadyExists", f"The parameter group {name} exists already.")
    made = {
        "CacheParameterGroupName": name,
        "CacheParameterGroupFamily": call.given["CacheParameterGroupFamily"],
        "Description": call.given["Description"],
        "IsGlobal": False,
        "ARN": call.arn(f"parametergroup:{name}"),
    }
    call.shelf("groups")[name] = made
    call.shelf("parameters")[name] = {}
    return {"CacheParameterGroup": made}


def _group(call: Call) -> dict[str, Any]:
    return call.found("groups", call.given["CacheParameterGroupName"], NO_PARAMETERS, "The parameter group")


def _describe_groups(call: Call) -> Mapping[str, Any]:
    chosen = [_group(call)] if call.given.get("CacheParameterGroupName") else list(call.shelf("groups").values())
    return {"CacheParameterGroups": chosen}


def _describe_parameters(call: Call) -> Mapping[str, Any]:
    """Those that were set; AWS' own defaults are not kept here."""
    _group(call)
    found = call.shelf("parameters")[call.given["CacheParameterGroupName"]]
    if call.given.get("Source") not in (None, "user"):
        return {"Parameters": []}
    return {
        "Parameters": [
            {"ParameterName": name, "ParameterValue": value, "Source": "user", "IsModifiable": True}
            for name, value in found.items()
        ]
    }


def _modify_parameters(call: Call) -> Mapping[str, Any]:
    name = _group(call)["CacheParameterGroupName"]
    for it in call.given["ParameterNameValues"]:
        call.shelf("parameters")[name][it["ParameterName"]] = it["ParameterValue"]
    return {"CacheParameterGroupName": name}


def _reset_parameters(call: Call) -> Mapping[str, Any]:
    name = _group(call)["CacheParameterGroupName"]
    kept = call.shelf("parameters")[name]
    gone = list(kept) if call.given.get("ResetAllParameters") else []
    gone += [it["ParameterName"] for it in call.given.get("ParameterNameValues") or []]
    for key in gone:
        kept.pop(key, None)
    return {"CacheParameterGroupName": name}


def _delete_parameters(call: Call) -> Mapping[str, Any]:
    name = _group(call)["CacheParameterGroupName"]
    del call.shelf("groups")[name], call.shelf("parameters")[name]
    return {}


OPERATIONS: Mapping[str, Operation] = {
    "ModifyCacheSubnetGroup": _modify_subnets,
    "DeleteCacheSubnetGroup": _delete_subnets,
    "CreateCacheParameterGroup": _create_parameters,
    "DescribeCacheParameterGroups": _describe_groups,
    "DescribeCacheParameters": _describe_parameters,
    "ModifyCacheParameterGroup": _modify_parameters,
    "ResetCacheParameterGroup": _reset_parameters,
    "DeleteCacheParameterGroup": _delete_parameters,
}
