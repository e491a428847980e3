"""What each call needs and what the macaroon files grant: LND's rpcserver.go, router_server.go, invoices_server.go."""

from collections.abc import Iterable
from typing import NamedTuple


class Op(NamedTuple):
    """One permission: an action on an entity."""

    entity: str
    action: str


VALID_ACTIONS = ("read", "write", "generate")
VALID_ENTITIES = (
    "onchain",
    "offchain",
    "address",
    "message",
    "remotesigner",
    "peers",
    "info",
    "invoices",
    "signer",
    "macaroon",
    "uri",
)

# Method -> the one permission it needs. LookupInvoiceV2 really asks for invoices:write in LND.
REQUIRED = {
    "/lnrpc.Lightning/GetInfo": Op("info", "read"),
    "/lnrpc.Lightning/WalletBalance": Op("onchain", "read"),
    "/lnrpc.Lightning/ChannelBalance": Op("offchain", "read"),
    "/lnrpc.Lightning/ListChannels": Op("offchain", "read"),
    "/lnrpc.Lightning/ExportAllChannelBackups": Op("offchain", "read"),
    "/lnrpc.Lightning/VerifyChanBackup": Op("offchain", "read"),
    "/lnrpc.Lightning/SubscribeChannelBackups": Op("offchain", "read"),
    "/lnrpc.Lightning/RestoreChannelBackups": Op("offchain", "write"),
    "/lnrpc.Lightning/PendingChannels": Op("offchain", "read"),
    "/lnrpc.Lightning/ClosedChannels": Op("offchain", "read"),
    # LND asks for onchain:write, too; the pay macaroon has neither that nor a reason to close anything.
    "/lnrpc.Lightning/CloseChannel": Op("onchain", "write"),
    "/lnrpc.Lightning/NewAddress": Op("address", "write"),
    "/lnrpc.Lightning/AddInvoice": Op("invoices", "write"),
    "/lnrpc.Lightning/LookupInvoice": Op("invoices", "read"),
    "/lnrpc.Lightning/ListInvoices": Op("invoices", "read"),
    "/lnrpc.Lightning/SubscribeInvoices": Op("invoices", "read"),
    "/lnrpc.Lightning/ListPayments": Op("offchain", "read"),
    "/lnrpc.Lightning/DecodePayReq": Op("offchain", "read"),
    "/lnrpc.Lightning/BakeMacaroon": Op("macaroon", "generate"),
    "/routerrpc.Router/SendPaymentV2": Op("offchain", "write"),
    "/routerrpc.Router/TrackPaymentV2": Op("offchain", "read"),
    "/routerrpc.Router/EstimateRouteFee": Op("offchain", "read"),
    "/invoicesrpc.Invoices/SubscribeSingleInvoice": Op("invoices", "read"),
    "/invoicesrpc.Invoices/SettleInvoice": Op("invoices", "write"),
    "/invoicesrpc.Invoices/CancelInvoice": Op("invoices", "write"),
    "/invoicesrpc.Invoices/AddHoldInvoice": Op("invoices", "write"),
    "/invoicesrpc.Invoices/LookupInvoiceV2": Op("invoices", "write"),
}


def _ops(*words: str) -> tuple[Op, ...]:
    return tuple(Op(*word.split(":")) for word in words)


READ = _ops(
    "onchain:read",
    "offchain:read",
    "address:read",
    "message:read",
    "peers:read",
    "info:read",
    "invoices:read",
    "signer:read",
    "macaroon:read",
)
WRITE = _ops(
    "onchain:write",
    "offchain:write",
    "address:write",
    "message:write",
    "peers:write",
    "info:write",
    "invoices:write",
    "signer:generate",
    "macaroon:generate",
    "macaroon:write",
    "remotesigner:generate",
)
INVOICE = _ops("invoices:read", "invoices:write", "address:read", "address:write", "onchain:read")
# Not one of LND's own three files: `lncli bakemacaroon offchain:read offchain:write info:read onchain:read` bakes it.
PAY = _ops("offchain:read", "offchain:write", "info:read", "onchain:read")

FILES = {"admin": READ + WRITE, "readonly": READ, "invoice": INVOICE, "pay": PAY}
"""Macaroon file name (without .macaroon) -> what it grants."""


def canonical(ops: Iterable[Op]) -> list[Op]:
    """Sorted, without doubles, as the bakery library stores them."""
    return sorted(set(ops))
