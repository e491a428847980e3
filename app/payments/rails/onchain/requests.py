"""Payment requests: a bare address, or a BIP 21 URI."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl

import bdkpython as bdk

from payments.rails.onchain.errors import ASSET, MSAT_PER_SAT, OnchainConfigError, OnchainInvalidRequestError
from payments.rails.protocol import DecodedRequest

NETWORKS: Final = {
    "mainnet": bdk.Network.BITCOIN,
    "testnet": bdk.Network.TESTNET,
    "signet": bdk.Network.SIGNET,
    "regtest": bdk.Network.REGTEST,
}
NEVER: Final = datetime(9999, 12, 31, tzinfo=UTC)
_BEGINNING: Final = datetime(2009, 1, 3, tzinfo=UTC)
_AMOUNT = re.compile(r"[0-9]{1,8}(\.[0-9]{1,8})?")
_KNOWN_REQUIRED = ("amount", "label", "message")


def network_of(name: str) -> bdk.Network:
    """BDK's network. Raises OnchainConfigError: it has none of this name."""
    if name not in NETWORKS:
        raise OnchainConfigError(
            f"BITCOIN_NETWORK is {name!r}, and the on-chain rail knows {', '.join(NETWORKS)}: leave ESPLORA_URL empty."
        )
    return NETWORKS[name]


@dataclass(frozen=True, slots=True)
class Request:
    """A request that was read: `sats` None when it leaves the amount open."""

    address: str
    script: bytes
    sats: int | None
    message: str
    rail_id: str


def read_request(text: str, network: bdk.Network) -> Request:
    """Reads and checks a request.

    Its identity is the address, with a digest of the URI's other parts when it has any: the same address is paid a
    second time only under a request that differs, for example in `message`.

    Raises:
        InvalidRequestError: no address of this network, or a part that must be understood and is not.
    """
    bare = text.strip()
    if bare[:8].lower() == "bitcoin:":
        bare = bare[8:]
    address, _, query = bare.partition("?")
    try:
        listed = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
        parts = dict(listed)
        parsed = bdk.Address(address, network)
    except bdk.AddressParseError as error:
        raise OnchainInvalidRequestError("The payment request is no Bitcoin address of this network.") from error
    except ValueError as error:
        raise OnchainInvalidRequestError("The payment request is no BIP 21 URI.") from error
    if len(parts) != len(listed):
        raise OnchainInvalidRequestError("The payment request says something twice, which may not be the same twice.")
    foreign = [key for key in parts if key.startswith("req-") and key[4:] not in _KNOWN_REQUIRED]
    if foreign:
        raise OnchainInvalidRequestError(f"The payment request demands {foreign[0][:40]!r}, which is not known here.")
    sats = _sats(parts["amount"]) if "amount" in parts else None
    canonical = str(parsed)
    digest = hashlib.sha256(repr(sorted(parts.items())).encode()).hexdigest()[:16] if parts else ""
    return Request(
        address=canonical,
        script=bytes(parsed.script_pubkey().to_bytes()),
        sats=sats,
        message=parts.get("message", parts.get("label", ""))[:639],
        rail_id=f"{canonical}#{digest}" if digest else canonical,
    )


def _sats(text: str) -> int:
    if not _AMOUNT.fullmatch(text):
        raise OnchainInvalidRequestError("The payment request's amount is no sum of bitcoins with up to 8 decimals.")
    whole, _, fraction = text.partition(".")
    return int(whole) * 100_000_000 + int(fraction.ljust(8, "0"))


def decode_request(text: str, network_name: str, *, max_fee_msat: int) -> DecodedRequest:
    """As the core wants it; amounts in msat. Raises InvalidRequestError."""
    request = read_request(text, network_of(network_name))
    return DecodedRequest(
        rail_id=request.rail_id,
        asset=ASSET,
        amount=None if request.sats is None else request.sats * MSAT_PER_SAT,
        payee=request.address,
        memo=request.message,
        network=network_name,
        created_at=_BEGINNING,
        expires_at=NEVER,
        max_fee=max_fee_msat,
    )
