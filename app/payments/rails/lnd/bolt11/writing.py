"""From what an invoice says to its signed text."""

import hashlib

from coincurve import PrivateKey

from payments.rails.lnd import bech32
from payments.rails.lnd.addresses import AddressError, decode_address
from payments.rails.lnd.bolt11.model import (
    DEFAULT_EXPIRY_SECONDS,
    DEFAULT_MIN_FINAL_CLTV_EXPIRY_BLOCKS,
    MAX_DESCRIPTION_BYTES,
    MAX_MSAT,
    NETWORKS,
    PICO_PER_UNIT,
    PREFIX_OF_NETWORK,
    SHORT_INTEGER_SYMBOLS,
    TIMESTAMP_SYMBOLS,
    Bolt11Error,
    Bolt11Invoice,
    RouteHop,
)


def encode(invoice: Bolt11Invoice, private_key: bytes, *, state_payee: bool = False) -> str:
    """Writes and signs an invoice.

    Args:
        invoice: its `payee` is ignored: the key decides.
        private_key: the node's 32 bytes.
        state_payee: add the field `n` (readers otherwise recover the key from the signature).

    Raises:
        Bolt11Error: a value cannot be written (amount, description, network, lengths).
    """
    prefix = _human_readable(invoice)
    key = PrivateKey(private_key)
    if not 0 <= invoice.timestamp < 1 << 35:
        raise Bolt11Error("The invoice's timestamp does not fit into 35 bits.")
    try:
        symbols = bech32.from_integer(invoice.timestamp, TIMESTAMP_SYMBOLS) + _fields(invoice)
    except Bolt11Error:
        raise
    except (AddressError, OverflowError, ValueError) as error:
        raise Bolt11Error(f"The invoice cannot be written: {error}") from error
    if state_payee:
        symbols += _tagged("n", bech32.from_bytes(key.public_key.format(compressed=True)))
    digest = hashlib.sha256(prefix.encode() + bech32.to_bytes(symbols, pad=True)).digest()
    signature = key.sign_recoverable(digest, hasher=None)
    return bech32.encode(prefix, symbols + bech32.from_bytes(signature))


def _human_readable(invoice: Bolt11Invoice) -> str:
    if invoice.network not in PREFIX_OF_NETWORK:
        raise Bolt11Error(f"There is no Bitcoin network {invoice.network!r}; use one of {list(PREFIX_OF_NETWORK)}.")
    prefix = f"ln{PREFIX_OF_NETWORK[invoice.network]}"
    if invoice.amount_msat is None:
        return prefix
    if not 0 < invoice.amount_msat <= MAX_MSAT:
        raise Bolt11Error("The invoice's amount must be above 0 and at most all bitcoin.")
    pico = invoice.amount_msat * 10
    for multiplier, unit in PICO_PER_UNIT.items():
        if pico % unit == 0:
            return f"{prefix}{pico // unit}{multiplier}"
    raise AssertionError("every amount is a multiple of a pico-bitcoin")


def _fields(invoice: Bolt11Invoice) -> str:
    if (invoice.description is None) == (invoice.description_hash is None):
        raise Bolt11Error("An invoice needs a description or its hash, and not both.")
    parts = [_tagged("s", _hash_symbols(invoice.payment_secret)), _tagged("p", _hash_symbols(invoice.payment_hash))]
    if invoice.description is not None:
        parts.append(_tagged("d", bech32.from_bytes(_description_bytes(invoice.description))))
    else:
        parts.append(_tagged("h", _hash_symbols(invoice.description_hash or "")))
    if invoice.metadata is not None:
        parts.append(_tagged("m", bech32.from_bytes(invoice.metadata)))
    if invoice.expiry_seconds != DEFAULT_EXPIRY_SECONDS:
        parts.append(_tagged("x", _short_integer(invoice.expiry_seconds)))
    if invoice.min_final_cltv_expiry_blocks != DEFAULT_MIN_FINAL_CLTV_EXPIRY_BLOCKS:
        parts.append(_tagged("c", _short_integer(invoice.min_final_cltv_expiry_blocks)))
    address_format = NETWORKS[PREFIX_OF_NETWORK[invoice.network]][1]
    for address in invoice.fallback_addresses:
        version, program = decode_address(address, address_format)
        parts.append(_tagged("f", bech32.CHARSET[version] + bech32.from_bytes(program)))
    for hint in invoice.route_hints:
        parts.append(_tagged("r", bech32.from_bytes(b"".join(_hop_bytes(hop) for hop in hint))))
    if invoice.features:
        parts.append(_tagged("9", bech32.from_integer(sum(1 << bit for bit in invoice.features))))
    return "".join(parts)


def _tagged(tag: str, data: str) -> str:
    if len(data) > 1023:
        raise Bolt11Error(f"The invoice's field '{tag}' holds more than {MAX_DESCRIPTION_BYTES} bytes.")
    return tag + bech32.from_integer(len(data), 2) + data


def _hash_symbols(value: str) -> str:
    data = bytes.fromhex(value)
    if len(data) != 32:
        raise Bolt11Error(f"A hash or secret has {len(data)} bytes, not 32.")
    return bech32.from_bytes(data)


def _description_bytes(text: str) -> bytes:
    data = text.encode("utf-8")
    if len(data) > MAX_DESCRIPTION_BYTES:
        raise Bolt11Error(f"The description has {len(data)} bytes; an invoice holds {MAX_DESCRIPTION_BYTES}.")
    return data


def _short_integer(value: int) -> str:
    if not 0 <= value < 1 << (5 * SHORT_INTEGER_SYMBOLS):
        raise Bolt11Error(f"The number {value} does not fit into an invoice.")
    return bech32.from_integer(value)


def _hop_bytes(hop: RouteHop) -> bytes:
    pubkey = bytes.fromhex(hop.pubkey)
    if len(pubkey) != 33 or pubkey[0] not in (2, 3):
        raise Bolt11Error("A route hint's node is no compressed public key of 33 bytes.")
    return (
        pubkey
        + hop.short_channel_id.to_bytes(8, "big")
        + hop.fee_base_msat.to_bytes(4, "big")
        + hop.fee_proportional_millionths.to_bytes(4, "big")
        + hop.cltv_expiry_delta.to_bytes(2, "big")
    )
