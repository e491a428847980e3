"""CloudWatch Logs: saved queries."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from providers.emulation.operation import Call, Operation

_KEPT = ("name", "queryString", "logGroupNames", "queryLanguage")


def _put(call: Call) -> Mapping[str, Any]:
    given = dict(call.given)
    identity = given.get("queryDefinitionId") or str(uuid4())
    if given.get("queryDefinitionId"):
        call.found("queries", identity, "ResourceNotFoundException", "The query definition")
    kept: dict[str, Any] = {
        key: given[key] for key in ("name", "queryString", "logGroupNames", "queryLanguage") if key in given
    }
    call.shelf("queries")[identity] = {**kept, "queryDefinitionId": identity, "lastModified": int(time.time() * 1000)}
    return {"queryDefinitionId": identity}


def _describe(call: Call) -> Mapping[str, Any]:
    prefix = call.given.get("queryDefinitionNamePrefix", "")
    return {"queryDefinitions": [it for it in call.shelf("queries").values() if it["name"].startswith(prefix)]}


def _delete(call: Call) -> Mapping[str, Any]:
    return {"success": call.shelf("queries").pop(call.given["queryDefinitionId"], None) is not None}


OPERATIONS: Mapping[str, Operation] = {
    "PutQueryDefinition": _put,
    "DescribeQueryDefinitions": _describe,
    "DeleteQueryDefinition": _delete,
}
