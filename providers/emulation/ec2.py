"""EC2: a subnet's route table is another one in place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.emulation.operation import Call, Operation, moto_backend


def _replace_association(call: Call) -> Mapping[str, Any]:
    """The association goes to another route table and keeps its id, where AWS gives it another.

    A provider's update cannot tell Pulumi another id; the next refresh of the real provider finds it by looking.
    """
    tables, identity = moto_backend("ec2", call), call.given["AssociationId"]
    after = tables.get_route_table(call.given["RouteTableId"])
    new = tables.replace_route_table_association(identity, after.id)
    if new != identity and new in after._associations:
        after._associations[identity] = after._associations.pop(new)
    return {"NewAssociationId": identity, "AssociationState": {"State": "associated"}}


OPERATIONS: Mapping[str, Operation] = {"ReplaceRouteTableAssociation": _replace_association}
