"""The calls about the node itself: info, balances, channels, macaroons."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator
from typing import Any

from sandbox.lnd import permissions, shapes_node
from sandbox.lnd.errors import Code, RpcError
from sandbox.lnd.permissions import Op
from sandbox.lnd.rest import Call, Route


async def info(call: Call) -> dict[str, Any]:
    """GET /v1/getinfo."""
    with call.network.snapshot():
        return shapes_node.info(call.network, call.node)


async def channel_balance(call: Call) -> dict[str, Any]:
    """GET /v1/balance/channels."""
    with call.network.snapshot():
        return shapes_node.channel_balance(call.network, call.node)


async def wallet_balance(call: Call) -> dict[str, Any]:
    """GET /v1/balance/blockchain."""
    with call.network.snapshot():
        return shapes_node.wallet_balance(call.network, call.node)


async def pending_channels(_call: Call) -> dict[str, Any]:
    """GET /v1/channels/pending: without a chain a closing takes no time."""
    return {
        "total_limbo_balance": "0",
        "pending_open_channels": [],
        "pending_closing_channels": [],
        "pending_force_closing_channels": [],
        "waiting_close_channels": [],
    }


async def closed_channels(call: Call) -> dict[str, Any]:
    """GET /v1/channels/closed."""
    with call.network.snapshot():
        return {"channels": shapes_node.closed_channels(call.network, call.node)}


async def close_channel(call: Call) -> AsyncIterator[dict[str, Any]]:
    """DELETE /v1/channels/{funding_txid_str}/{output_index}: by force, whatever is asked for."""
    txid = call.fields["funding_txid_str"]
    if not await call.network.close_channel(call.node, txid):
        raise RpcError(f"unable to find a channel {txid}:0 that is free of HTLCs", Code.NOT_FOUND)
    yield {"chan_close": {"closing_txid": "", "success": True}}


async def channel_list(call: Call) -> dict[str, Any]:
    """GET /v1/channels: all are active and public."""
    fields = call.fields
    if fields["active_only"] and fields["inactive_only"]:
        raise RpcError("either `active_only` or `inactive_only` can be set, but not both")
    if fields["public_only"] and fields["private_only"]:
        raise RpcError("either `public_only` or `private_only` can be set, but not both")
    if fields["inactive_only"] or fields["private_only"]:
        return {"channels": []}
    with call.network.snapshot():
        channels = shapes_node.channel_list(call.network, call.node)
    peer = fields["peer"].hex()
    return {"channels": [channel for channel in channels if not peer or channel["remote_pubkey"] == peer]}


async def subscribe_backups(call: Call) -> AsyncIterator[dict[str, Any]]:
    """GET /v1/channels/backup/subscribe: all channels anew, each time one is opened or closed."""
    network = call.network
    changed = network.topics.next(("channels", call.node))
    while not network.stopping.is_set():
        await changed.wait()
        changed = network.topics.next(("channels", call.node))
        if not network.stopping.is_set():
            yield await export_backups(call)


async def restore_backups(call: Call) -> dict[str, Any]:
    """POST /v1/channels/backup/restore: the peers close what this node has lost."""
    points = _points_of(call, call.fields["multi_chan_backup"])
    return {"num_restored": await call.network.restore_channels(call.node, points)}


def _sealed(call: Call, points: list[str], nonce: bytes) -> bytes:
    """A backup that only this node can have made: what it names, under a mark of the node's key."""
    content = nonce + "\n".join(points).encode()
    return content + hmac.new(call.network.nodes[call.node].key.secret, content, hashlib.sha256).digest()


async def export_backups(call: Call) -> dict[str, Any]:
    """GET /v1/channels/backup: other bytes each time, as LND's nonce makes them."""
    with call.network.snapshot():
        points = [channel["channel_point"] for channel in shapes_node.channel_list(call.network, call.node)]
    outputs = [point.split(":") for point in points]
    named = [{"funding_txid_str": txid, "output_index": int(index)} for txid, index in outputs]
    data = base64.b64encode(_sealed(call, points, secrets.token_bytes(16))).decode()
    return {
        "single_chan_backups": {"chan_backups": []},
        "multi_chan_backup": {"chan_points": named, "multi_chan_backup": data},
    }


async def verify_backup(call: Call) -> dict[str, Any]:
    """POST /v1/channels/backup/verify."""
    return {"chan_points": _points_of(call, call.fields["multi_chan_backup"].get("multi_chan_backup", ""))}


def _points_of(call: Call, given: Any) -> list[str]:
    """The channels of a backup that this node made. Raises RpcError."""
    try:
        data = base64.b64decode(given, validate=True)
    except ValueError as refusal:
        raise RpcError("illegal base64 data", Code.INVALID_ARGUMENT) from refusal
    points = data[16:-32].decode(errors="replace").split("\n")
    if not hmac.compare_digest(_sealed(call, points, data[:16]), data):
        raise RpcError("invalid multi channel backup: unable to decrypt", Code.INVALID_ARGUMENT)
    return points


async def new_address(_call: Call) -> dict[str, Any]:
    """GET /v1/newaddress: refused, there is no chain to receive on."""
    raise RpcError("the sandbox's node has no on-chain wallet; use its invoices, or a real LND", Code.UNIMPLEMENTED)


async def bake(call: Call) -> dict[str, Any]:
    """POST /v1/macaroon."""
    allowed = (
        f"supported actions are [{' '.join(permissions.VALID_ACTIONS)}],"
        f" supported entities are [{' '.join(permissions.VALID_ENTITIES)}]"
    )
    if not call.fields["permissions"]:
        raise RpcError(f"permission list cannot be empty. specify at least one action/entity pair. {allowed}")
    ops = []
    for given in call.fields["permissions"]:
        if not isinstance(given, dict):
            raise RpcError("proto: invalid value for message field permissions", Code.INVALID_ARGUMENT)
        op = Op(str(given.get("entity", "")), str(given.get("action", "")))
        if not call.fields["allow_external_permissions"]:
            _check(op, allowed)
        ops.append(op)
    macaroon = await call.network.bake(call.node, call.fields["root_key_id"], ops)
    return {"macaroon": macaroon.hex()}


def _check(op: Op, allowed: str) -> None:
    if op.entity not in permissions.VALID_ENTITIES:
        raise RpcError(f"invalid permission entity. {allowed}")
    if op.entity == "uri":
        if op.action not in permissions.REQUIRED:
            raise RpcError(
                "invalid permission action, must be an existing URI in the format /package.Service/MethodName"
            )
    elif op.action not in permissions.VALID_ACTIONS:
        raise RpcError(f"invalid permission action. {allowed}")


_CHANNEL_FIELDS = {
    "active_only": "bool",
    "inactive_only": "bool",
    "public_only": "bool",
    "private_only": "bool",
    "peer": "bytes",
    "peer_alias_lookup": "bool",
}
_BAKE_FIELDS = {"permissions": "list", "root_key_id": "uint64", "allow_external_permissions": "bool"}

ROUTES = [
    Route("GET", "/v1/getinfo", "/lnrpc.Lightning/GetInfo", {}, unary=info),
    Route("GET", "/v1/balance/channels", "/lnrpc.Lightning/ChannelBalance", {}, unary=channel_balance),
    Route("GET", "/v1/balance/blockchain", "/lnrpc.Lightning/WalletBalance", {}, unary=wallet_balance),
    Route("GET", "/v1/channels", "/lnrpc.Lightning/ListChannels", _CHANNEL_FIELDS, unary=channel_list),
    Route("GET", "/v1/channels/backup", "/lnrpc.Lightning/ExportAllChannelBackups", {}, unary=export_backups),
    Route(
        "POST",
        "/v1/channels/backup/verify",
        "/lnrpc.Lightning/VerifyChanBackup",
        {"multi_chan_backup": "map"},
        unary=verify_backup,
    ),
    Route(
        "GET",
        "/v1/channels/backup/subscribe",
        "/lnrpc.Lightning/SubscribeChannelBackups",
        {},
        stream=subscribe_backups,
    ),
    Route(
        "POST",
        "/v1/channels/backup/restore",
        "/lnrpc.Lightning/RestoreChannelBackups",
        {"multi_chan_backup": "string", "chan_backups": "map"},
        unary=restore_backups,
    ),
    Route("GET", "/v1/channels/pending", "/lnrpc.Lightning/PendingChannels", {}, unary=pending_channels),
    Route("GET", "/v1/channels/closed", "/lnrpc.Lightning/ClosedChannels", {}, unary=closed_channels),
    Route(
        "DELETE",
        "/v1/channels/{funding_txid_str}/{output_index}",
        "/lnrpc.Lightning/CloseChannel",
        {"funding_txid_str": "string", "output_index": "uint64", "force": "bool"},
        stream=close_channel,
    ),
    Route("GET", "/v1/newaddress", "/lnrpc.Lightning/NewAddress", {"type": "string"}, unary=new_address),
    Route("POST", "/v1/macaroon", "/lnrpc.Lightning/BakeMacaroon", _BAKE_FIELDS, unary=bake),
]
