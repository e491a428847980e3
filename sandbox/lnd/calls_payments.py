"""The paying calls: send, track, estimate, list, decode."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from sandbox.lnd import bolt11, channels, payments, shapes
from sandbox.lnd.calls_invoices import amount_msat, hash32
from sandbox.lnd.errors import Code, RpcError
from sandbox.lnd.rest import Call, Route

_MAX_CLTV = 2016
_PROBE_FEE_LIMIT_MSAT = 100_000_000 * 1000
"""LND's routeFeeLimitSat: what a fee estimate looks up to."""
_MAX_PAGE = 2**62


def _request(call: Call, text: str) -> bolt11.Bolt11:
    try:
        return bolt11.decode(text, call.network.name)
    except bolt11.Bolt11Error as refusal:
        raise RpcError(str(refusal)) from refusal


def _intent(call: Call) -> payments.Intent:
    fields = call.fields
    fee_limit = amount_msat(fields["fee_limit_sat"], fields["fee_limit_msat"])
    asked = amount_msat(fields["amt"], fields["amt_msat"])
    if fields["cltv_limit"] > _MAX_CLTV:
        raise RpcError(f"total time lock of {fields['cltv_limit']} exceeds max allowed {_MAX_CLTV}")
    if not fields["payment_request"]:
        return _bare_intent(call, asked, fee_limit)
    for name in ("dest", "payment_hash", "final_cltv_delta"):
        if fields[name]:
            raise RpcError(f"{name} and payment_request cannot appear together")
    request = _request(call, fields["payment_request"])
    if call.network.sources.clock() > request.expires_at:
        until = datetime.fromtimestamp(request.expires_at, UTC)
        raise RpcError(f"invoice expired. Valid until {until:%Y-%m-%d %H:%M:%S} +0000 UTC")
    if request.payment_addr is None:
        raise RpcError("payment request must contain either a payment address or blinded paths")
    if request.amount_msat is None and not asked:
        raise RpcError("amount must be specified when paying a zero amount invoice")
    if request.amount_msat is not None and asked:
        raise RpcError("amount must not be specified when paying a non-zero amount invoice")
    intent = payments.Intent(
        payment_hash=request.payment_hash,
        payment_addr=request.payment_addr,
        payment_request=fields["payment_request"],
        destination=call.network.node_of(request.payee),
        amount_msat=request.amount_msat or asked,
        fee_limit_msat=fee_limit,
        min_final_cltv_expiry=request.min_final_cltv_expiry,
    )
    return _checked(call, intent)


def _bare_intent(call: Call, asked: int, fee_limit: int) -> payments.Intent:
    """A payment that is described by its parts instead of an invoice."""
    fields = call.fields
    if len(fields["dest"]) != 33:
        raise RpcError(f"invalid vertex length of {len(fields['dest'])}, want 33")
    if not asked:
        raise RpcError("amount must be specified")
    if fields["amp"] or fields["dest_custom_records"]:
        raise RpcError("AMP and keysend payments are not offered by the sandbox's node", Code.UNIMPLEMENTED)
    intent = payments.Intent(
        payment_hash=hash32(fields["payment_hash"]),
        payment_addr=fields["payment_addr"],
        payment_request="",
        destination=call.network.node_of(fields["dest"]),
        amount_msat=asked,
        fee_limit_msat=fee_limit,
        min_final_cltv_expiry=fields["final_cltv_delta"] or channels.TIME_LOCK_DELTA,
    )
    return _checked(call, intent)


def _checked(call: Call, intent: payments.Intent) -> payments.Intent:
    if intent.destination == call.node:
        raise RpcError("self-payments not allowed")
    return intent


async def send(call: Call) -> AsyncIterator[dict[str, Any]]:
    """POST /v2/router/send. It goes on when the caller hangs up; `timeout_seconds` bounds new attempts only."""
    intent = _intent(call)
    await call.network.pay(call.node, intent)
    async for message in _follow(call, intent.payment_hash):
        yield message


async def track(call: Call) -> AsyncIterator[dict[str, Any]]:
    """GET /v2/router/track/{payment_hash}."""
    async for message in _follow(call, hash32(call.fields["payment_hash"])):
        yield message


async def _follow(call: Call, payment_hash: bytes) -> AsyncIterator[dict[str, Any]]:
    network = call.network
    told = None
    while not network.stopping.is_set():
        changed = network.topics.next(("payment", call.node, payment_hash))
        with network.snapshot():
            row = payments.by_hash(network.reader, call.node, payment_hash)
            if row is None:
                raise RpcError("payment isn't initiated", Code.NOT_FOUND)
            shape = shapes.payment(network, row)
        if shape["status"] != told and not (shape["status"] == "IN_FLIGHT" and call.fields["no_inflight_updates"]):
            yield shape
        told = shape["status"]
        if told != "IN_FLIGHT":
            return
        await changed.wait()


async def estimate(call: Call) -> dict[str, Any]:
    """POST /v2/router/route/estimatefee, for an invoice or for a destination and an amount."""
    fields, network = call.fields, call.network
    if bool(fields["dest"]) == bool(fields["payment_request"]):
        raise RpcError("specify either a destination or an invoice")
    final_delta = channels.TIME_LOCK_DELTA
    if fields["payment_request"]:
        request = _request(call, fields["payment_request"])
        if not request.amount_msat:
            raise RpcError("payment request amount must be greater than 0")
        payee, amount = request.payee, request.amount_msat
        final_delta = request.min_final_cltv_expiry
    else:
        payee, amount = fields["dest"], fields["amt_sat"] * 1000
        if len(payee) != 33:
            raise RpcError("invalid length destination key")
        if amount <= 0:
            raise RpcError("amount must be greater than 0")
    height = network.moment().height
    try:
        with network.snapshot():
            route = channels.find_route(
                network.reader,
                call.node,
                network.node_of(payee),
                amount,
                network.fees,
                _PROBE_FEE_LIMIT_MSAT,
                height + final_delta + channels.BLOCK_PADDING,
            )
    except channels.NoRouteError as refusal:
        if fields["dest"]:
            raise RpcError(str(refusal)) from refusal
        return {"routing_fee_msat": "0", "time_lock_delay": "0", "failure_reason": refusal.reason}
    return {
        "routing_fee_msat": str(route.fee_msat),
        "time_lock_delay": str(route.hops[0].expiry_height),
        "failure_reason": "FAILURE_REASON_NONE",
    }


async def list_page(call: Call) -> dict[str, Any]:
    """GET /v1/payments; failed and running ones only with include_incomplete."""
    fields, network = call.fields, call.network
    with network.snapshot():
        rows = payments.page(
            network.reader,
            call.node,
            offset=fields["index_offset"],
            count=min(fields["max_payments"] or _MAX_PAGE, _MAX_PAGE),
            reverse=fields["reversed"],
            include_incomplete=fields["include_incomplete"],
            created_from=fields["creation_date_start"],
            created_to=fields["creation_date_end"],
        )
        total = payments.count(network.reader, call.node) if fields["count_total_payments"] else 0
        return {
            "payments": [shapes.payment(network, row, omit_hops=fields["omit_hops"]) for row in rows],
            "first_index_offset": str(rows[0]["payment_index"] if rows else 0),
            "last_index_offset": str(rows[-1]["payment_index"] if rows else 0),
            "total_num_payments": str(total),
        }


async def decode(call: Call) -> dict[str, Any]:
    """GET /v1/payreq/{pay_req}."""
    return shapes.pay_req(_request(call, call.fields["pay_req"]))


_SEND_FIELDS = {
    "dest": "bytes",
    "amt": "int64",
    "payment_hash": "bytes",
    "final_cltv_delta": "int32",
    "payment_request": "string",
    "timeout_seconds": "int32",
    "fee_limit_sat": "int64",
    "cltv_limit": "int32",
    "route_hints": "list",
    "dest_custom_records": "map",
    "amt_msat": "int64",
    "fee_limit_msat": "int64",
    "last_hop_pubkey": "bytes",
    "allow_self_payment": "bool",
    "dest_features": "list",
    "max_parts": "uint32",
    "no_inflight_updates": "bool",
    "outgoing_chan_ids": "list",
    "payment_addr": "bytes",
    "max_shard_size_msat": "uint64",
    "amp": "bool",
    "time_pref": "double",
    "cancelable": "bool",
    "first_hop_custom_records": "map",
}
_PAGE_FIELDS = {
    "include_incomplete": "bool",
    "index_offset": "uint64",
    "max_payments": "uint64",
    "reversed": "bool",
    "count_total_payments": "bool",
    "creation_date_start": "uint64",
    "creation_date_end": "uint64",
    "omit_hops": "bool",
}
_FEE_FIELDS = {
    "dest": "bytes",
    "amt_sat": "int64",
    "payment_request": "string",
    "timeout": "uint32",
    "outgoing_chan_ids": "list",
}
_TRACK_FIELDS = {"payment_hash": "bytes", "no_inflight_updates": "bool"}

ROUTES = [
    Route("POST", "/v2/router/send", "/routerrpc.Router/SendPaymentV2", _SEND_FIELDS, stream=send),
    Route("GET", "/v2/router/track/{payment_hash}", "/routerrpc.Router/TrackPaymentV2", _TRACK_FIELDS, stream=track),
    Route("POST", "/v2/router/route/estimatefee", "/routerrpc.Router/EstimateRouteFee", _FEE_FIELDS, unary=estimate),
    Route("GET", "/v1/payments", "/lnrpc.Lightning/ListPayments", _PAGE_FIELDS, unary=list_page),
    Route("GET", "/v1/payreq/{pay_req}", "/lnrpc.Lightning/DecodePayReq", {"pay_req": "string"}, unary=decode),
]
