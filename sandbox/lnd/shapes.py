"""Rows as the JSON of LND's REST answers: every field is there, 64-bit integers are strings, bytes are base64."""

import hashlib
import json
import sqlite3
from typing import Any

from sandbox.lnd import bolt11, channels, invoices, payments
from sandbox.lnd.network import Network
from sandbox.lnd.protojson import encode_bytes
from sandbox.lnd.store import commit_fee_sat

VERSION = "0.21.0-beta commit=railyard-sandbox"
"""The LND whose REST contract this follows, with who really answers."""

# lnwire.Features: bit pair -> name.
_FEATURE_NAMES = {
    0: "data-loss-protect",
    3: "initial-routing-sync",
    4: "upfront-shutdown-script",
    6: "gossip-queries",
    8: "tlv-onion",
    12: "static-remote-key",
    14: "payment-addr",
    16: "multi-path-payments",
    18: "wumbo-channels",
    20: "anchor-commitments",
    22: "anchors-zero-fee-htlc-tx",
    24: "route-blinding",
    26: "shutdown-any-segwit",
    30: "amp",
    34: "quiescence",
    44: "explicit-commitment-type",
    46: "scid-alias",
    48: "payment-metadata",
    50: "zero-conf",
    54: "keysend",
    2022: "script-enforced-lease",
}
_NODE_FEATURES = (0, 5, 7, 8, 12, 14, 17, 19, 23, 25, 27, 31, 45, 47, 51, 55, 2023)


def features(bits: frozenset[int] | tuple[int, ...]) -> dict[str, Any]:
    """A feature vector."""
    shape = {}
    for bit in sorted(bits):
        name = _FEATURE_NAMES.get(bit & ~1)
        shape[str(bit)] = {"name": name or "unknown", "is_required": bit % 2 == 0, "is_known": name is not None}
    return shape


def amount(msat: int) -> dict[str, str]:
    """lnrpc.Amount."""
    return {"sat": str(msat // 1000), "msat": str(msat)}


def info(network: Network, node: str) -> dict[str, Any]:
    """lnrpc.GetInfoResponse."""
    moment = network.moment()
    active = len(_channels(network, node))
    since_block = (moment.height - channels.FIRST_HEIGHT) * channels.BLOCK_SECONDS
    block_hash = hashlib.sha256(f"{network.name} {network.genesis_at} {moment.height}".encode()).hexdigest()
    return {
        "version": VERSION,
        "commit_hash": "",
        "identity_pubkey": network.nodes[node].public_key.hex(),
        "alias": node,
        "color": "#3399ff",
        "num_pending_channels": 0,
        "num_active_channels": active,
        "num_inactive_channels": 0,
        "num_peers": active,
        "block_height": moment.height,
        "block_hash": block_hash,
        "best_header_timestamp": str(network.genesis_at + since_block),
        "synced_to_chain": True,
        "synced_to_graph": True,
        "testnet": network.name != "mainnet",
        "chains": [{"chain": "bitcoin", "network": network.name}],
        "uris": [],
        "features": features(_NODE_FEATURES),
        "require_htlc_interceptor": False,
        "store_final_htlc_resolutions": False,
        "wallet_synced": True,
        "graph_cache_status": "GRAPH_CACHE_STATUS_LOADED",
    }


def channel_balance(network: Network, node: str) -> dict[str, Any]:
    """lnrpc.ChannelBalanceResponse."""
    local = remote = incoming = outgoing = 0
    for channel in _channels(network, node):
        mine, theirs = _sides(channel, node)
        local, remote = local + mine, remote + theirs
        for htlc in _locked(network, channel["id"]):
            if htlc["receiver"] == node:
                incoming += htlc["amount_msat"]
            else:
                outgoing += htlc["amount_msat"]
    return {
        "balance": str(local // 1000),
        "pending_open_balance": "0",
        "local_balance": amount(local),
        "remote_balance": amount(remote),
        "unsettled_local_balance": amount(incoming),
        "unsettled_remote_balance": amount(outgoing),
        "pending_open_local_balance": amount(0),
        "pending_open_remote_balance": amount(0),
        "custom_channel_data": "",
    }


def wallet_balance() -> dict[str, Any]:
    """lnrpc.WalletBalanceResponse: this network has no chain, so no coins on it."""
    return {
        "total_balance": "0",
        "confirmed_balance": "0",
        "unconfirmed_balance": "0",
        "locked_balance": "0",
        "reserved_balance_anchor_chan": "0",
        "account_balance": {"default": {"confirmed_balance": "0", "unconfirmed_balance": "0"}},
    }


def channel_list(network: Network, node: str) -> list[dict[str, Any]]:
    """lnrpc.Channel, each."""
    return [_channel(network, node, channel) for channel in _channels(network, node)]


def _channel(network: Network, node: str, channel: sqlite3.Row) -> dict[str, Any]:
    mine, theirs = _sides(channel, node)
    opener = channel["opener"] == node
    peer = channel["other"] if opener else channel["opener"]
    sent = channel["opener_sent_msat"] if opener else channel["other_sent_msat"]
    received = channel["other_sent_msat"] if opener else channel["opener_sent_msat"]
    pending = [_pending(htlc, node) for htlc in _locked(network, channel["id"])]
    limits = {
        "csv_delay": 144,
        "chan_reserve_sat": str(channel["capacity_sat"] // 100),
        "dust_limit_sat": "354",
        "max_pending_amt_msat": str(channel["capacity_sat"] * 990),
        "min_htlc_msat": "1",
        "max_accepted_htlcs": 483,
    }
    alive = str(int(network.sources.clock()) - network.genesis_at)
    return {
        "active": True,
        "remote_pubkey": network.nodes[peer].public_key.hex(),
        "channel_point": f"{channel['funding_txid'][::-1].hex()}:0",
        "chan_id": str(channel["id"]),
        "capacity": str(channel["capacity_sat"]),
        "local_balance": str(mine // 1000),
        "remote_balance": str(theirs // 1000),
        "commit_fee": str(commit_fee_sat()),
        "commit_weight": "1116",
        "fee_per_kw": "2500",
        "unsettled_balance": str(sum(int(htlc["amount"]) for htlc in pending)),
        "total_satoshis_sent": str(sent // 1000),
        "total_satoshis_received": str(received // 1000),
        "num_updates": str(channel["updates"]),
        "pending_htlcs": pending,
        "csv_delay": 144,
        "private": False,
        "initiator": opener,
        "chan_status_flags": "ChanStatusDefault",
        "local_chan_reserve_sat": str(channel["capacity_sat"] // 100),
        "remote_chan_reserve_sat": str(channel["capacity_sat"] // 100),
        "static_remote_key": False,
        "commitment_type": "ANCHORS",
        "lifetime": alive,
        "uptime": alive,
        "close_address": "",
        "push_amount_sat": str(channel["pushed_msat"] // 1000),
        "thaw_height": 0,
        "local_constraints": limits,
        "remote_constraints": limits,
        "alias_scids": [],
        "zero_conf": False,
        "zero_conf_confirmed_scid": "0",
        "peer_alias": "",
        "peer_scid_alias": "0",
        "memo": "",
        "custom_channel_data": "",
    }


def _pending(htlc: sqlite3.Row, node: str) -> dict[str, Any]:
    return {
        "incoming": htlc["receiver"] == node,
        "amount": str(htlc["amount_msat"] // 1000),
        "hash_lock": encode_bytes(htlc["payment_hash"]),
        "expiration_height": htlc["expiry_height"],
        "htlc_index": str(htlc["htlc_index"]),
        "forwarding_channel": "0",
        "forwarding_htlc_index": "0",
        "locked_in": True,
    }


def invoice(network: Network, row: invoices.Record) -> dict[str, Any]:
    """lnrpc.Invoice."""
    hints = [_stored_hints(route) for route in json.loads(row["route_hints"])]
    return {
        "memo": row["memo"],
        "r_preimage": encode_bytes(row["preimage"]),
        "r_hash": encode_bytes(row["payment_hash"]),
        "value": str(row["value_msat"] // 1000),
        "value_msat": str(row["value_msat"]),
        "settled": row["state"] == "SETTLED",
        "creation_date": str(row["created_at"]),
        "settle_date": str(row["settled_at"] or 0),
        "payment_request": row["payment_request"],
        "description_hash": encode_bytes(row["description_hash"]),
        "expiry": str(row["expiry_seconds"]),
        "fallback_addr": "",
        "cltv_expiry": str(row["cltv_expiry"]),
        "route_hints": hints,
        "private": bool(hints),
        "add_index": str(row["add_index"]),
        "settle_index": str(row["settle_index"] or 0),
        "amt_paid": str(row["amt_paid_msat"]),
        "amt_paid_sat": str(row["amt_paid_msat"] // 1000),
        "amt_paid_msat": str(row["amt_paid_msat"]),
        "state": row["state"],
        "htlcs": _invoice_htlcs(network, row),
        "features": features(invoices.FEATURES),
        "is_keysend": False,
        "payment_addr": encode_bytes(row["payment_addr"]),
        "is_amp": False,
        "amp_invoice_state": {},
        "is_blinded": False,
        "blinded_path_config": None,
    }


def _invoice_htlcs(network: Network, row: invoices.Record) -> list[dict[str, Any]]:
    if row["state"] == "OPEN" or (row["state"] == "CANCELED" and not row["hold"]):
        return []
    states = {"LOCKED": "ACCEPTED", "SETTLED": "SETTLED", "FAILED": "CANCELED"}
    htlcs = network.reader.execute(
        "SELECT h.*, a.amount_msat AS total_msat FROM htlcs h JOIN attempts a ON a.id = h.attempt_id"
        " WHERE h.receiver = ? AND h.payment_hash = ? AND h.accepted_at > 0 ORDER BY h.htlc_index",
        (row["node"], row["payment_hash"]),
    )
    return [
        {
            "chan_id": str(htlc["channel_id"]),
            "htlc_index": str(htlc["htlc_index"]),
            "amt_msat": str(htlc["amount_msat"]),
            "accept_height": htlc["accept_height"],
            "accept_time": str(htlc["accepted_at"]),
            "resolve_time": str(htlc["resolved_at"]),
            "expiry_height": htlc["expiry_height"],
            "state": states[htlc["state"]],
            "custom_records": {},
            "mpp_total_amt_msat": str(htlc["total_msat"]),
            "amp": None,
            "custom_channel_data": "",
        }
        for htlc in htlcs
        if row["state"] != "SETTLED" or htlc["state"] == "SETTLED"
    ]


def _stored_hints(route: list[list[Any]]) -> dict[str, Any]:
    return route_hint(tuple(bolt11.HopHint(bytes.fromhex(node), *numbers) for node, *numbers in route))


def route_hint(route: tuple[bolt11.HopHint, ...]) -> dict[str, Any]:
    """lnrpc.RouteHint."""
    return {
        "hop_hints": [
            {
                "node_id": hop.node_id.hex(),
                "chan_id": str(hop.chan_id),
                "fee_base_msat": hop.fee_base_msat,
                "fee_proportional_millionths": hop.fee_proportional_millionths,
                "cltv_expiry_delta": hop.cltv_expiry_delta,
            }
            for hop in route
        ]
    }


def pay_req(request: bolt11.Bolt11) -> dict[str, Any]:
    """lnrpc.PayReq."""
    return {
        "destination": request.payee.hex(),
        "payment_hash": request.payment_hash.hex(),
        "num_satoshis": str((request.amount_msat or 0) // 1000),
        "timestamp": str(request.timestamp),
        "expiry": str(request.expiry_seconds),
        "description": request.description or "",
        "description_hash": (request.description_hash or b"").hex(),
        "fallback_addr": "",
        "cltv_expiry": str(request.min_final_cltv_expiry),
        "route_hints": [route_hint(route) for route in request.route_hints],
        "payment_addr": encode_bytes(request.payment_addr or bytes(32)),
        "num_msat": str(request.amount_msat or 0),
        "features": features(request.features),
        "blinded_paths": [],
    }


def payment(network: Network, row: sqlite3.Row, *, omit_hops: bool = False) -> dict[str, Any]:
    """lnrpc.Payment."""
    attempts = payments.attempts_of(network.reader, row)
    settled = next((attempt for attempt in attempts if attempt["status"] == "SUCCEEDED"), None)
    fee_msat = settled["fee_msat"] if settled is not None else 0
    preimage = settled["preimage"] if settled is not None else bytes(32)
    return {
        "payment_hash": row["payment_hash"].hex(),
        "value": str(row["value_msat"] // 1000),
        "creation_date": str(row["created_ns"] // 1_000_000_000),
        "fee": str(fee_msat // 1000),
        "payment_preimage": preimage.hex(),
        "value_sat": str(row["value_msat"] // 1000),
        "value_msat": str(row["value_msat"]),
        "payment_request": row["payment_request"],
        "status": row["status"],
        "fee_sat": str(fee_msat // 1000),
        "fee_msat": str(fee_msat),
        "creation_time_ns": str(row["created_ns"]),
        "htlcs": [_attempt(network, attempt, omit_hops=omit_hops) for attempt in attempts],
        "payment_index": str(row["payment_index"]),
        "failure_reason": row["failure_reason"],
        "first_hop_custom_records": {},
    }


def _attempt(network: Network, attempt: sqlite3.Row, *, omit_hops: bool) -> dict[str, Any]:
    total_msat = attempt["amount_msat"] + attempt["fee_msat"]
    failure = None
    if attempt["status"] == "FAILED":
        failure = {
            "code": attempt["failure_code"],
            "channel_update": None,
            "htlc_msat": str(attempt["amount_msat"]),
            "onion_sha_256": "",
            "cltv_expiry": 0,
            "flags": 0,
            "failure_source_index": attempt["failure_source"],
            "height": attempt["failure_height"],
        }
    return {
        "attempt_id": str(attempt["id"]),
        "status": attempt["status"],
        "route": {
            "total_time_lock": attempt["total_time_lock"],
            "total_fees": str(attempt["fee_msat"] // 1000),
            "total_amt": str(total_msat // 1000),
            "hops": [] if omit_hops else _hops(network, attempt),
            "total_fees_msat": str(attempt["fee_msat"]),
            "total_amt_msat": str(total_msat),
            "first_hop_amount_msat": "0",
            "custom_channel_data": "",
        },
        "attempt_time_ns": str(attempt["attempt_ns"]),
        "resolve_time_ns": str(attempt["resolve_ns"]),
        "failure": failure,
        "preimage": encode_bytes(attempt["preimage"]),
    }


def _hops(network: Network, attempt: sqlite3.Row) -> list[dict[str, Any]]:
    htlcs = network.reader.execute("SELECT * FROM htlcs WHERE attempt_id = ? ORDER BY hop", (attempt["id"],)).fetchall()
    last = len(htlcs) - 1
    shapes = []
    for index, htlc in enumerate(htlcs):
        forwarded = htlc["amount_msat"] - htlc["fee_msat"]
        record = {"payment_addr": encode_bytes(attempt["payment_addr"]), "total_amt_msat": str(attempt["amount_msat"])}
        shapes.append(
            {
                "chan_id": str(htlc["channel_id"]),
                "chan_capacity": str(htlc["amount_msat"] // 1000),
                "amt_to_forward": str(forwarded // 1000),
                "fee": str(htlc["fee_msat"] // 1000),
                "expiry": htlcs[min(index + 1, last)]["expiry_height"],
                "amt_to_forward_msat": str(forwarded),
                "fee_msat": str(htlc["fee_msat"]),
                "pub_key": network.nodes[htlc["receiver"]].public_key.hex(),
                "tlv_payload": True,
                "mpp_record": record if index == last else None,
                "amp_record": None,
                "custom_records": {},
                "metadata": "",
                "blinding_point": "",
                "encrypted_data": "",
                "total_amt_msat": "0",
            }
        )
    return shapes


def _channels(network: Network, node: str) -> list[sqlite3.Row]:
    return network.reader.execute(
        "SELECT * FROM channels WHERE opener = ?1 OR other = ?1 ORDER BY id", (node,)
    ).fetchall()


def _locked(network: Network, channel_id: int) -> list[sqlite3.Row]:
    return network.reader.execute(
        "SELECT * FROM htlcs WHERE channel_id = ? AND state = 'LOCKED' ORDER BY attempt_id", (channel_id,)
    ).fetchall()


def _sides(channel: sqlite3.Row, node: str) -> tuple[int, int]:
    sides = channel["opener_msat"], channel["other_msat"]
    return sides if channel["opener"] == node else sides[::-1]
