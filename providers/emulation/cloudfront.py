"""CloudFront: policies of caching, of what an origin is asked, and of response headers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from providers.emulation.operation import Call, Operation, refuse


def _policies(kind: str, plural: str) -> dict[str, Operation]:
    """The operations of one kind of policy, such as "CachePolicy"."""
    missing, exists = f"NoSuch{kind}", f"{kind}AlreadyExists"

    def found(call: Call) -> dict[str, Any]:
        return call.found(kind, call.given["Id"], missing, f"The {kind}")

    def config(call: Call, own: str = "") -> dict[str, Any]:
        given = dict(call.given[f"{kind}Config"])
        if any(it[f"{kind}Config"]["Name"] == given["Name"] for key, it in call.shelf(kind).items() if key != own):
            refuse(exists, f"A {kind} with the name {given['Name']} exists already.")
        return given

    def told(kept: Mapping[str, Any]) -> dict[str, Any]:
        policy = {key: value for key, value in kept.items() if key != "ETag"}
        return {kind: policy, "ETag": kept["ETag"]}

    def create(call: Call) -> Mapping[str, Any]:
        identity = str(uuid4())
        kept = {"Id": identity, f"{kind}Config": config(call)}
        call.shelf(kind)[identity] = {**kept, "LastModifiedTime": datetime.now(UTC), "ETag": _etag()}
        return told(call.shelf(kind)[identity])

    def update(call: Call) -> Mapping[str, Any]:
        kept = found(call)
        _matches(call, kept)
        kept.update({f"{kind}Config": config(call, kept["Id"]), "LastModifiedTime": datetime.now(UTC), "ETag": _etag()})
        return told(kept)

    def delete(call: Call) -> Mapping[str, Any]:
        _matches(call, found(call))
        del call.shelf(kind)[call.given["Id"]]
        return {}

    def listed(call: Call) -> Mapping[str, Any]:
        items = [{"Type": "custom", kind: told(kept)[kind]} for kept in call.shelf(kind).values()]
        return {f"{kind}List": {"MaxItems": 100, "Quantity": len(items), "Items": items}}

    return {
        f"Create{kind}": create,
        f"Get{kind}": lambda call: told(found(call)),
        f"Get{kind}Config": lambda call: {f"{kind}Config": found(call)[f"{kind}Config"], "ETag": found(call)["ETag"]},
        f"Update{kind}": update,
        f"Delete{kind}": delete,
        f"List{plural}": listed,
    }


def _etag() -> str:
    return f"E{uuid4().hex[:13].upper()}"


def _matches(call: Call, kept: Mapping[str, Any]) -> None:
    """What is changed or ended has to be the version that the caller has seen."""
    if "IfMatch" not in call.given:
        refuse("InvalidIfMatchVersion", "The If-Match version is missing or not valid for the resource.")
    if call.given["IfMatch"] != kept["ETag"]:
        refuse("PreconditionFailed", "The policy was changed since: its version is another one.")


OPERATIONS: Mapping[str, Operation] = {
    **_policies("CachePolicy", "CachePolicies"),
    **_policies("OriginRequestPolicy", "OriginRequestPolicies"),
    **_policies("ResponseHeadersPolicy", "ResponseHeadersPolicies"),
}
