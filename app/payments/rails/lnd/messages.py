"""LND's JSON answers as typed values: int64 comes as strings, bytes as base64, enums as names."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from payments.rails.lnd.errors import LndOutcomeUnknownError


def to_base64(data: bytes) -> str:
    """Bytes as LND reads them in a JSON body."""
    return base64.b64encode(data).decode("ascii")


def to_url_base64(data: bytes) -> str:
    """Bytes as LND reads them in a path: URL-safe, with padding."""
    return base64.urlsafe_b64encode(data).decode("ascii")


def _bytes(answer: Mapping[str, Any], name: str) -> bytes:
    try:
        return base64.b64decode(str(answer.get(name) or ""), validate=True)
    except binascii.Error as error:
        raise LndOutcomeUnknownError(f"LND's field {name} is not base64.") from error


def _integer(answer: Mapping[str, Any], name: str) -> int:
    try:
        return int(answer.get(name) or 0)
    except (TypeError, ValueError) as error:
        raise LndOutcomeUnknownError(f"LND's field {name} is not an integer.") from error


@dataclass(frozen=True, slots=True)
class NodeInvoice:
    """An invoice as the node has it.

    Attributes:
        state: OPEN, ACCEPTED (a held payment has arrived), SETTLED or CANCELED.
        settle_index: position among the settled invoices; 0 before.
        amount_paid_msat: what arrived, which may be more than asked.
        settled_at: seconds since 1970.
    """

    payment_hash: str
    payment_request: str
    state: str
    add_index: int
    settle_index: int
    amount_msat: int
    amount_paid_msat: int
    settled_at: int
    preimage: str

    @classmethod
    def from_json(cls, answer: Mapping[str, Any]) -> "NodeInvoice":
        """Reads `lnrpc.Invoice`."""
        return cls(
            payment_hash=_bytes(answer, "r_hash").hex(),
            payment_request=str(answer.get("payment_request") or ""),
            state=str(answer.get("state") or "OPEN"),
            add_index=_integer(answer, "add_index"),
            settle_index=_integer(answer, "settle_index"),
            amount_msat=_integer(answer, "value_msat"),
            amount_paid_msat=_integer(answer, "amt_paid_msat"),
            settled_at=_integer(answer, "settle_date"),
            preimage=_bytes(answer, "r_preimage").hex(),
        )


@dataclass(frozen=True, slots=True)
class NodePayment:
    """An outgoing payment as the node has it; status UNKNOWN, INITIATED, IN_FLIGHT, SUCCEEDED or FAILED."""

    payment_hash: str
    status: str
    failure_reason: str
    preimage: str
    amount_msat: int
    fee_msat: int
    payment_index: int

    @classmethod
    def from_json(cls, answer: Mapping[str, Any]) -> "NodePayment":
        """Reads `lnrpc.Payment`, whose hash and preimage are hex."""
        return cls(
            payment_hash=str(answer.get("payment_hash") or ""),
            status=str(answer.get("status") or "UNKNOWN"),
            failure_reason=str(answer.get("failure_reason") or ""),
            preimage=str(answer.get("payment_preimage") or ""),
            amount_msat=_integer(answer, "value_msat"),
            fee_msat=_integer(answer, "fee_msat"),
            payment_index=_integer(answer, "payment_index"),
        )


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """Who the node is and whether it can work."""

    identity_pubkey: str
    version: str
    block_height: int
    active_channels: int
    synced_to_chain: bool
    synced_to_graph: bool
    networks: frozenset[str]

    @classmethod
    def from_json(cls, answer: Mapping[str, Any]) -> "NodeInfo":
        """Reads `lnrpc.GetInfoResponse`."""
        chains = answer.get("chains") or []
        return cls(
            identity_pubkey=str(answer.get("identity_pubkey") or ""),
            version=str(answer.get("version") or "").split(" ")[0],
            block_height=_integer(answer, "block_height"),
            active_channels=_integer(answer, "num_active_channels"),
            synced_to_chain=bool(answer.get("synced_to_chain")),
            synced_to_graph=bool(answer.get("synced_to_graph")),
            networks=frozenset(str(chain.get("network")) for chain in chains if isinstance(chain, dict)),
        )
