"""The invoice calls: add, look up, list, subscribe, hold, settle, cancel."""

from collections.abc import AsyncIterator
from typing import Any

from sandbox.lnd import bolt11, invoices, shapes
from sandbox.lnd.errors import Code, RpcError
from sandbox.lnd.protojson import encode_bytes
from sandbox.lnd.rest import Call, Route

_HINT_NUMBERS = ("chan_id", "fee_base_msat", "fee_proportional_millionths", "cltv_expiry_delta")
MAX_HOP_HINTS = 20
_DEFAULT_PAGE = 100

# Every field of lnrpc.Invoice may be sent; those that only a node fills in are ignored, as LND ignores them.
_INVOICE_FIELDS = {
    "memo": "string",
    "r_preimage": "bytes",
    "r_hash": "bytes",
    "value": "int64",
    "value_msat": "int64",
    "settled": "bool",
    "creation_date": "int64",
    "settle_date": "int64",
    "payment_request": "string",
    "description_hash": "bytes",
    "expiry": "int64",
    "fallback_addr": "string",
    "cltv_expiry": "uint64",
    "route_hints": "list",
    "private": "bool",
    "add_index": "uint64",
    "settle_index": "uint64",
    "amt_paid": "int64",
    "amt_paid_sat": "int64",
    "amt_paid_msat": "int64",
    "state": "string",
    "htlcs": "list",
    "features": "map",
    "is_keysend": "bool",
    "payment_addr": "bytes",
    "is_amp": "bool",
    "amp_invoice_state": "map",
    "is_blinded": "bool",
    "blinded_path_config": "map",
}


def amount_msat(sat: int, msat: int, sat_name: str = "value", msat_name: str = "value_msat") -> int:
    """One amount from its two fields.

    Raises:
        RpcError: both given, or one is negative (LND's lnrpc.UnmarshallAmt).
    """
    if sat and msat:
        raise RpcError("sat and msat arguments are mutually exclusive")
    if sat < 0 or msat < 0:
        raise RpcError("amount cannot be negative")
    return sat * 1000 or msat


def hash32(data: bytes, what: str = "hash") -> bytes:
    """32 bytes, or LND's refusal."""
    if len(data) != 32:
        raise RpcError(f"invalid {what} length of {len(data)}, want 32")
    return data


def hop_hints(given: list[Any]) -> tuple[tuple[bolt11.HopHint, ...], ...]:
    """Route hints of a request; LND puts them in the invoice as they are."""
    if len(given) > MAX_HOP_HINTS:
        raise RpcError(f"number of routing hints must not exceed maximum of {MAX_HOP_HINTS}")
    routes = []
    for route in given:
        hops = route.get("hop_hints") if isinstance(route, dict) else None
        if not isinstance(hops, list) or not hops:
            raise RpcError("number of hop hint within a route must be positive")
        routes.append(tuple(_hop_hint(hop) for hop in hops))
    return tuple(routes)


def _hop_hint(hop: Any) -> bolt11.HopHint:
    try:
        node_id = bytes.fromhex(hop["node_id"])
        numbers = [int(hop.get(name, 0)) for name in _HINT_NUMBERS]
    except (TypeError, ValueError, KeyError, AttributeError) as refusal:
        raise RpcError("proto: invalid hop hint", Code.INVALID_ARGUMENT) from refusal
    if len(node_id) != 33 or min(numbers) < 0:
        raise RpcError("proto: invalid hop hint", Code.INVALID_ARGUMENT)
    return bolt11.HopHint(node_id, numbers[0], numbers[1], numbers[2], numbers[3])


async def add(call: Call) -> dict[str, Any]:
    """POST /v1/invoices."""
    fields = call.fields
    for name in ("is_amp", "is_blinded", "is_keysend"):
        if fields[name]:
            raise RpcError(f"{name} invoices are not offered by the sandbox's node", Code.UNIMPLEMENTED)
    _refuse_fallback(fields["fallback_addr"])
    draft = invoices.Draft(
        memo=fields["memo"],
        value_msat=amount_msat(fields["value"], fields["value_msat"]),
        description_hash=fields["description_hash"],
        expiry_seconds=fields["expiry"],
        cltv_expiry=fields["cltv_expiry"],
        preimage=hash32(fields["r_preimage"], "preimage") if fields["r_preimage"] else None,
        route_hints=hop_hints(fields["route_hints"]),
    )
    index, new = await call.network.add_invoice(call.node, draft)
    return {
        "r_hash": encode_bytes(new.payment_hash),
        "payment_request": new.payment_request,
        "add_index": str(index),
        "payment_addr": encode_bytes(new.payment_addr),
    }


async def add_hold(call: Call) -> dict[str, Any]:
    """POST /v2/invoices/hodl."""
    fields = call.fields
    _refuse_fallback(fields["fallback_addr"])
    draft = invoices.Draft(
        memo=fields["memo"],
        value_msat=amount_msat(fields["value"], fields["value_msat"]),
        description_hash=fields["description_hash"],
        expiry_seconds=fields["expiry"],
        cltv_expiry=fields["cltv_expiry"],
        payment_hash=hash32(fields["hash"]),
        route_hints=hop_hints(fields["route_hints"]),
    )
    index, new = await call.network.add_invoice(call.node, draft)
    return {
        "payment_request": new.payment_request,
        "add_index": str(index),
        "payment_addr": encode_bytes(new.payment_addr),
    }


def _refuse_fallback(address: str) -> None:
    if address:
        raise RpcError("fallback addresses are not offered: the sandbox has no chain", Code.UNIMPLEMENTED)


async def settle(call: Call) -> dict[str, Any]:
    """POST /v2/invoices/settle."""
    await call.network.settle_held(call.node, hash32(call.fields["preimage"], "preimage"))
    return {}


async def cancel(call: Call) -> dict[str, Any]:
    """POST /v2/invoices/cancel."""
    await call.network.cancel_invoice(call.node, hash32(call.fields["payment_hash"]))
    return {}


async def look_up(call: Call) -> dict[str, Any]:
    """GET /v1/invoice/{r_hash_str}."""
    try:
        payment_hash = bytes.fromhex(call.fields["r_hash_str"])
    except ValueError as refusal:
        raise RpcError("encoding/hex: invalid payment hash") from refusal
    if len(payment_hash) != 32:
        raise RpcError(f"payment hash must be exactly 32 bytes, is instead {len(payment_hash)}")
    return _found(call, payment_hash=payment_hash)


async def look_up_v2(call: Call) -> dict[str, Any]:
    """GET /v2/invoices/lookup?payment_hash=|payment_addr=."""
    payment_hash, payment_addr = call.fields["payment_hash"], call.fields["payment_addr"]
    if payment_hash:
        if len(payment_hash) != 32:
            words = f"unable to parse pay hash: invalid hash length of {len(payment_hash)}, want 32"
            raise RpcError(words, Code.INVALID_ARGUMENT)
        return _found(call, payment_hash=payment_hash)
    if payment_addr:
        return _found(call, payment_addr=payment_addr)
    raise RpcError("invoice ref must be set", Code.INVALID_ARGUMENT)


def _found(call: Call, *, payment_hash: bytes = b"", payment_addr: bytes = b"") -> dict[str, Any]:
    network = call.network
    with network.snapshot():
        if payment_hash:
            row = invoices.by_hash(network.reader, call.node, payment_hash)
        else:
            row = invoices.by_address(network.reader, call.node, payment_addr)
        if row is None:
            raise invoices.not_found()
        return shapes.invoice(network, row)


async def list_page(call: Call) -> dict[str, Any]:
    """GET /v1/invoices."""
    fields, network = call.fields, call.network
    with network.snapshot():
        rows = invoices.page(
            network.reader,
            call.node,
            offset=fields["index_offset"],
            count=fields["num_max_invoices"] or _DEFAULT_PAGE,
            reverse=fields["reversed"],
            pending_only=fields["pending_only"],
            created_from=fields["creation_date_start"],
            created_to=fields["creation_date_end"],
        )
        return {
            "invoices": [shapes.invoice(network, row) for row in rows],
            "last_index_offset": str(rows[-1]["add_index"] if rows else 0),
            "first_index_offset": str(rows[0]["add_index"] if rows else 0),
        }


async def subscribe(call: Call) -> AsyncIterator[dict[str, Any]]:
    """GET /v1/invoices/subscribe: the backlog behind the two indices, then everything new, without a gap.

    As in LND an index of 0 asks for no backlog, backlogs show invoices as they are now, news show an added invoice as
    it was added, and only adds and settles are told.
    """
    network = call.network
    news_from, last_settled = invoices.last_indices(network.reader, call.node)
    added = call.fields["add_index"] or news_from
    settled = call.fields["settle_index"] or last_settled
    while not network.stopping.is_set():
        changed = network.topics.next(("invoices", call.node))
        messages = []
        with network.snapshot():
            events = invoices.since(network.reader, call.node, added, settled)
            for kind, row in events:
                if kind == "settle":
                    settled = row["settle_index"]
                    messages.append(shapes.invoice(network, row))
                    continue
                added = row["add_index"]
                record = invoices.as_added(row) if added > news_from else row
                if record["state"] in ("OPEN", "SETTLED"):
                    messages.append(shapes.invoice(network, record))
        for message in messages:
            yield message
        if not events:
            await changed.wait()


async def subscribe_one(call: Call) -> AsyncIterator[dict[str, Any]]:
    """GET /v2/invoices/subscribe/{r_hash}: the state now and each later one, until it is final."""
    network, payment_hash = call.network, hash32(call.fields["r_hash"])
    told = None
    while not network.stopping.is_set():
        changed = network.topics.next(("invoice", call.node, payment_hash))
        with network.snapshot():
            row = invoices.by_hash(network.reader, call.node, payment_hash)
            if row is None:
                raise RpcError("unable to locate invoice")
            shape = shapes.invoice(network, row)
        if shape["state"] != told:
            told = shape["state"]
            yield shape
        if told in ("SETTLED", "CANCELED"):
            return
        await changed.wait()


_HOLD_FIELDS = {
    "memo": "string",
    "hash": "bytes",
    "value": "int64",
    "value_msat": "int64",
    "description_hash": "bytes",
    "expiry": "int64",
    "fallback_addr": "string",
    "cltv_expiry": "uint64",
    "route_hints": "list",
    "private": "bool",
}
_PAGE_FIELDS = {
    "pending_only": "bool",
    "index_offset": "uint64",
    "num_max_invoices": "uint64",
    "reversed": "bool",
    "creation_date_start": "uint64",
    "creation_date_end": "uint64",
}
_LOOK_UP_FIELDS = {"payment_hash": "bytes", "payment_addr": "bytes", "lookup_modifier": "string"}
_CURSORS = {"add_index": "uint64", "settle_index": "uint64"}

ROUTES = [
    Route("POST", "/v1/invoices", "/lnrpc.Lightning/AddInvoice", _INVOICE_FIELDS, unary=add),
    Route("GET", "/v1/invoices", "/lnrpc.Lightning/ListInvoices", _PAGE_FIELDS, unary=list_page),
    Route("GET", "/v1/invoices/subscribe", "/lnrpc.Lightning/SubscribeInvoices", _CURSORS, stream=subscribe),
    Route("GET", "/v1/invoice/{r_hash_str}", "/lnrpc.Lightning/LookupInvoice", {"r_hash_str": "string"}, unary=look_up),
    Route("GET", "/v2/invoices/lookup", "/invoicesrpc.Invoices/LookupInvoiceV2", _LOOK_UP_FIELDS, unary=look_up_v2),
    Route(
        "GET",
        "/v2/invoices/subscribe/{r_hash}",
        "/invoicesrpc.Invoices/SubscribeSingleInvoice",
        {"r_hash": "bytes"},
        stream=subscribe_one,
    ),
    Route("POST", "/v2/invoices/hodl", "/invoicesrpc.Invoices/AddHoldInvoice", _HOLD_FIELDS, unary=add_hold),
    Route("POST", "/v2/invoices/settle", "/invoicesrpc.Invoices/SettleInvoice", {"preimage": "bytes"}, unary=settle),
    Route(
        "POST", "/v2/invoices/cancel", "/invoicesrpc.Invoices/CancelInvoice", {"payment_hash": "bytes"}, unary=cancel
    ),
]
