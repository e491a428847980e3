"""From the text of an invoice to what it says, signature checked."""

import hashlib
import re

from coincurve import PublicKey
from coincurve.ecdsa import cdata_to_der, deserialize_compact

from payments.rails.lnd import bech32
from payments.rails.lnd.addresses import AddressError, AddressFormat, encode_address
from payments.rails.lnd.bech32 import Bech32Error
from payments.rails.lnd.bolt11.model import (
    DEFAULT_EXPIRY_SECONDS,
    DEFAULT_MIN_FINAL_CLTV_EXPIRY_BLOCKS,
    KNOWN_FEATURE_BITS,
    MAX_INVOICE_LENGTH,
    MAX_MSAT,
    NETWORKS,
    PICO_PER_UNIT,
    SHORT_INTEGER_SYMBOLS,
    TIMESTAMP_SYMBOLS,
    Bolt11Error,
    Bolt11Invoice,
    RouteHop,
)

_HUMAN_READABLE = re.compile(r"ln(bcrt|bc|tbs|tb|sb)(?:([1-9][0-9]{0,18})([munp]?))?")
_SIGNATURE_SYMBOLS = 104
_HALF_CURVE_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
_HOP_BYTES = 51
_FIXED_SYMBOLS = {"p": 52, "s": 52, "h": 52, "n": 53}


def decode(text: str, *, strict: bool = True) -> Bolt11Invoice:
    """Reads an invoice and checks its signature.

    Args:
        text: the invoice, lower or upper case, without a "lightning:" scheme.
        strict: refuse what a correct writer never makes: p, s, h or n of a wrong length, a field given twice, an
            integer or feature field with leading zeros. With False these are skipped, as the BOLT's example
            "including fields which must be ignored" wants (its rules say to fail: they contradict each other).

    Raises:
        Bolt11Error: it cannot be read, its signature is wrong, or it needs a feature that is unknown here.
    """
    if len(text) > MAX_INVOICE_LENGTH:
        raise Bolt11Error(f"The invoice has {len(text)} characters; no invoice has more than {MAX_INVOICE_LENGTH}.")
    try:
        prefix, symbols = bech32.decode(text)
        return _decode_parts(prefix, symbols, strict)
    except Bech32Error as error:
        raise Bolt11Error(f"The invoice is malformed: {error}.") from error


def _decode_parts(prefix: str, symbols: str, strict: bool) -> Bolt11Invoice:
    parsed = _HUMAN_READABLE.fullmatch(prefix)
    if parsed is None:
        raise Bolt11Error("The invoice's prefix is no known network with a valid amount.")
    if len(symbols) < _SIGNATURE_SYMBOLS + TIMESTAMP_SYMBOLS:
        raise Bolt11Error("The invoice is too short to hold a timestamp and a signature.")
    signed = symbols[:-_SIGNATURE_SYMBOLS]
    network, address_format = NETWORKS[parsed[1]]
    reader = _FieldReader(address_format, strict)
    reader.read(signed[TIMESTAMP_SYMBOLS:])
    digest = hashlib.sha256(prefix.encode() + bech32.to_bytes(signed, pad=True)).digest()
    payee = _payee(symbols[-_SIGNATURE_SYMBOLS:], digest, reader.payee)
    return reader.invoice(
        network=network,
        amount_msat=_amount_msat(parsed[2], parsed[3]),
        timestamp=bech32.to_integer(signed[:TIMESTAMP_SYMBOLS]),
        payee=payee,
    )


def _amount_msat(digits: str | None, multiplier: str | None) -> int | None:
    if digits is None:
        return None
    msat, left_over = divmod(int(digits) * PICO_PER_UNIT[multiplier or ""], 10)
    if left_over:
        raise Bolt11Error("The invoice's amount has a fraction of a millisatoshi.")
    if msat > MAX_MSAT:
        raise Bolt11Error("The invoice's amount is more bitcoin than there can be.")
    return msat


def _payee(symbols: str, digest: bytes, stated: str | None) -> str:
    signature = bech32.to_bytes(symbols)
    if signature[64] > 3:
        raise Bolt11Error("The invoice's signature has an impossible recovery id.")
    try:
        if stated is None:
            recovered = PublicKey.from_signature_and_message(signature, digest, hasher=None)
            return recovered.format(compressed=True).hex()
        if int.from_bytes(signature[32:64], "big") > _HALF_CURVE_ORDER:
            raise Bolt11Error("The invoice's signature is not in its canonical (low-S) form.")
        der = cdata_to_der(deserialize_compact(signature[:64]))
        if PublicKey(bytes.fromhex(stated)).verify(der, digest, hasher=None):
            return stated
    except Bolt11Error:
        raise
    except Exception as error:  # coincurve raises bare Exception for a signature off the curve
        raise Bolt11Error("The invoice's signature is not valid.") from error
    raise Bolt11Error("The invoice's signature is not its payee's.")


class _FieldReader:
    """Collects the tagged fields of one invoice."""

    def __init__(self, address_format: AddressFormat, strict: bool) -> None:
        self._address_format = address_format
        self._strict = strict
        self._hashes: dict[str, str] = {}
        self._integers: dict[str, int] = {}
        self._description: str | None = None
        self._metadata: bytes | None = None
        self._features: frozenset[int] | None = None
        self._fallbacks: list[str] = []
        self._hints: list[tuple[RouteHop, ...]] = []
        self._seen: set[str] = set()

    @property
    def payee(self) -> str | None:
        return self._hashes.get("n")

    def read(self, symbols: str) -> None:
        position = 0
        while position < len(symbols):
            if position + 3 > len(symbols):
                raise Bolt11Error("The invoice's last field is cut off.")
            tag = symbols[position]
            end = position + 3 + bech32.to_integer(symbols[position + 1 : position + 3])
            if end > len(symbols):
                raise Bolt11Error(f"The invoice's field '{tag}' is longer than the invoice.")
            self._take(tag, symbols[position + 3 : end])
            position = end

    def _take(self, tag: str, data: str) -> None:
        if tag == "r":
            self._hints.append(_route_hint(data))
        elif tag == "f":
            self._take_fallback(data)
        elif tag in _FIXED_SYMBOLS and len(data) != _FIXED_SYMBOLS[tag]:
            if self._strict:
                raise Bolt11Error(f"The invoice's field '{tag}' has {len(data)} symbols, not {_FIXED_SYMBOLS[tag]}.")
        elif tag in self._seen:
            if self._strict:
                raise Bolt11Error(f"The invoice has more than one field '{tag}'.")
        elif tag in "pshnxc9dm":
            self._seen.add(tag)
            self._take_single(tag, data)

    def _take_single(self, tag: str, data: str) -> None:
        if tag in _FIXED_SYMBOLS:
            self._hashes[tag] = bech32.to_bytes(data).hex()
        elif tag in "xc":
            self._require_minimal(tag, data)
            if len(data.lstrip("q")) > SHORT_INTEGER_SYMBOLS:
                raise Bolt11Error(f"The invoice's field '{tag}' holds an impossibly large number.")
            self._integers[tag] = bech32.to_integer(data)
        elif tag == "9":
            self._require_minimal(tag, data)
            self._features = _features(data)
        elif tag == "m":
            self._metadata = bech32.to_bytes(data)
        else:
            try:
                self._description = bech32.to_bytes(data).decode("utf-8")
            except UnicodeDecodeError as error:
                raise Bolt11Error("The invoice's description is not UTF-8.") from error

    def _require_minimal(self, tag: str, data: str) -> None:
        if self._strict and data.startswith("q"):
            raise Bolt11Error(f"The invoice's field '{tag}' begins with needless zeros.")

    def _take_fallback(self, data: str) -> None:
        version = bech32.to_integer(data[:1])
        if not data or version > 18:
            return  # "MUST skip over f fields that use an unknown version"
        try:
            self._fallbacks.append(encode_address(version, bech32.to_bytes(data[1:]), self._address_format))
        except AddressError as error:
            raise Bolt11Error("The invoice's fallback address is malformed.") from error

    def invoice(self, *, network: str, amount_msat: int | None, timestamp: int, payee: str) -> Bolt11Invoice:
        """The invoice, once the fields that must be there are found."""
        for tag, name in (("p", "payment hash"), ("s", "payment secret")):
            if tag not in self._hashes:
                raise Bolt11Error(f"The invoice has no {name} (field '{tag}').")
        if (self._description is None) == ("h" not in self._hashes):
            raise Bolt11Error("The invoice must have a description or its hash (field 'd' or 'h'), and not both.")
        features = self._features if self._features is not None else frozenset()
        unknown = sorted(bit for bit in features if bit % 2 == 0 and bit not in KNOWN_FEATURE_BITS)
        if unknown:
            raise Bolt11Error(f"The invoice requires feature {unknown[0]}, which is unknown here.")
        return Bolt11Invoice(
            network=network,
            amount_msat=amount_msat,
            timestamp=timestamp,
            payee=payee,
            payment_hash=self._hashes["p"],
            payment_secret=self._hashes["s"],
            description=self._description,
            description_hash=self._hashes.get("h"),
            expiry_seconds=self._integers.get("x", DEFAULT_EXPIRY_SECONDS),
            min_final_cltv_expiry_blocks=self._integers.get("c", DEFAULT_MIN_FINAL_CLTV_EXPIRY_BLOCKS),
            fallback_addresses=tuple(self._fallbacks),
            route_hints=tuple(self._hints),
            features=features,
            metadata=self._metadata,
        )


def _features(data: str) -> frozenset[int]:
    bits = bech32.to_integer(data)
    return frozenset(index for index in range(bits.bit_length()) if bits >> index & 1)


def _route_hint(data: str) -> tuple[RouteHop, ...]:
    content = bech32.to_bytes(data)
    if not content or len(content) % _HOP_BYTES:
        raise Bolt11Error("The invoice's route hint is cut off.")
    hops = []
    for start in range(0, len(content), _HOP_BYTES):
        hop = content[start : start + _HOP_BYTES]
        if hop[0] not in (2, 3):
            raise Bolt11Error("The invoice's route hint names a node that is no public key.")
        hops.append(
            RouteHop(
                pubkey=hop[:33].hex(),
                short_channel_id=int.from_bytes(hop[33:41], "big"),
                fee_base_msat=int.from_bytes(hop[41:45], "big"),
                fee_proportional_millionths=int.from_bytes(hop[45:49], "big"),
                cltv_expiry_delta=int.from_bytes(hop[49:51], "big"),
            )
        )
    return tuple(hops)
