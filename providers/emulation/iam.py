"""IAM: an OpenID Connect provider's clients, which come and go one by one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.emulation.operation import Call, Operation, refuse


def _clients(call: Call) -> list[str]:
    from moto.backends import get_backend

    # IAM is one for all regions of a partition.
    arn, backend = call.given["OpenIDConnectProviderArn"], get_backend("iam")[call.account]["aws"]
    found: Any = backend.open_id_providers.get(arn)
    if found is None:
        refuse("NoSuchEntity", f"OpenIDConnect Provider not found for arn {arn}")
    clients: list[str] = found.client_id_list
    return clients


def _add(call: Call) -> Mapping[str, Any]:
    clients = _clients(call)
    if call.given["ClientID"] not in clients:
        clients.append(call.given["ClientID"])
    return {}


def _remove(call: Call) -> Mapping[str, Any]:
    clients = _clients(call)
    if call.given["ClientID"] in clients:
        clients.remove(call.given["ClientID"])
    return {}


OPERATIONS: Mapping[str, Operation] = {
    "AddClientIDToOpenIDConnectProvider": _add,
    "RemoveClientIDFromOpenIDConnectProvider": _remove,
}
