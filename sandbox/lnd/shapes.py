"""Rows as the JSON of LND's REST answers: every field is there, 64-bit integers are strings, bytes are base64."""

import json
import sqlite3
from typing import Any

from sandbox.lnd import bolt11, invoices, payments
from sandbox.lnd.network import Network
from sandbox.lnd.protojson import encode_bytes

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


def features(bits: frozenset[int] | tuple[int, ...]) -> dict[str, Any]:
    """A feature vector."""
    shape = {}
    for bit in sorted(bits):
        name = _FEATURE_NAMES.get(bit & ~1)
        shape[str(bit)] = {"name": name or "unknown", "is_required": bit % 2 == 0, "is_known": name is not None}
    return shape


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
