"""WAF: which resources an ACL is at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.emulation.operation import Call, Operation, moto_backend, refuse

# What an ARN of each kind of resource has in it.
MARKS = {
    "APPLICATION_LOAD_BALANCER": ":loadbalancer/app/",
    "COGNITO_USER_POOL": ":userpool/",
    "API_GATEWAY": "/stages/",
}


def _resources(call: Call) -> Mapping[str, Any]:
    arn = call.given["WebACLArn"]
    found = [it for it in moto_backend("wafv2", call).wacls.values() if it.arn == arn]
    if not found:
        refuse("WAFNonexistentItemException", f"The web ACL {arn} does not exist.")
    mark = MARKS.get(call.given.get("ResourceType", "APPLICATION_LOAD_BALANCER"), "")
    return {"ResourceArns": [it for it in found[0].associated_resources if mark and mark in it]}


OPERATIONS: Mapping[str, Operation] = {"ListResourcesForWebACL": _resources}
