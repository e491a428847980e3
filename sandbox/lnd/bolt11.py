"""BOLT11 invoices: encode and sign, decode and recover the payee.

Follows https://github.com/lightning/bolts/blob/master/11-payment-encoding.md and, where the text leaves a choice, what
LND writes (zpay32). Five-bit groups travel as the letters of RFC 4648's base32, so that the packing runs in C.
"""

import base64
import hashlib
from dataclasses import dataclass, field

from coincurve import PrivateKey, PublicKey

CHARSET = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BASE32 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_LETTERS_TO_VALUES = bytes.maketrans(_BASE32, bytes(range(32)))
_VALUES_TO_LETTERS = bytes.maketrans(bytes(range(32)), _BASE32)
_VALUES_TO_CHARSET = bytes.maketrans(bytes(range(32)), CHARSET)
_CHARSET_TO_VALUES = {letter: value for value, letter in enumerate(CHARSET)}
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
PREFIXES = {"regtest": "lnbcrt", "testnet": "lntb", "signet": "lntbs", "simnet": "lnsb", "mainnet": "lnbc"}
_UNITS = (("", 100_000_000_000), ("m", 100_000_000), ("u", 100_000), ("n", 100))
_MSAT_OF_UNIT = dict(_UNITS)
MAX_LENGTH = 7089
"""The most characters an invoice may have: what fits one QR code (LND's zpay32.maxInvoiceLength)."""


def _table() -> tuple[int, ...]:
    rows = []
    for top in range(32):
        row = 0
        for bit, generator in enumerate(_GENERATOR):
            if top >> bit & 1:
                row ^= generator
        rows.append(row)
    return tuple(rows)


_REMAINDERS = _table()


class Bolt11Error(ValueError):
    """The text is no valid invoice; the message says why, in LND's words where it has some."""


@dataclass(frozen=True, slots=True)
class HopHint:
    """One hop of a private route (tag r)."""

    node_id: bytes
    chan_id: int
    fee_base_msat: int
    fee_proportional_millionths: int
    cltv_expiry_delta: int


@dataclass(frozen=True, slots=True)
class Bolt11:
    """What an invoice says. Amounts in millisatoshi, times in seconds."""

    network: str
    timestamp: int
    payment_hash: bytes
    payment_addr: bytes | None = None
    amount_msat: int | None = None
    description: str | None = None
    description_hash: bytes | None = None
    expiry_seconds: int = 3600
    min_final_cltv_expiry: int = 18
    features: frozenset[int] = frozenset()
    route_hints: tuple[tuple[HopHint, ...], ...] = field(default=())
    payee: bytes = b""

    @property
    def expires_at(self) -> int:
        """Unix time after which the invoice must not be paid."""
        return self.timestamp + self.expiry_seconds


def encode(invoice: Bolt11, key: PrivateKey) -> str:
    """Write and sign an invoice with the payee's key."""
    hrp = PREFIXES[invoice.network] + _encode_amount(invoice.amount_msat)
    groups = _number(invoice.timestamp, 7) + _tags(invoice)
    digest = hashlib.sha256(hrp.encode() + _to_bytes(groups)).digest()
    groups += _to_groups(key.sign_recoverable(digest, hasher=None))
    return hrp + "1" + (groups + _checksum(hrp, groups)).translate(_VALUES_TO_CHARSET).decode()


def decode(text: str, network: str | None = None) -> Bolt11:
    """Read an invoice, check its checksum and signature.

    Args:
        text: the invoice, all lower or all upper case.
        network: refuse invoices of another network than this one, as LND does.

    Raises:
        Bolt11Error: malformed, for another network, or badly signed.
    """
    hrp, groups = _bech32_decode(text)
    if not hrp.startswith("ln"):
        raise Bolt11Error('prefix should be "ln"')
    named, amount_msat = _split_prefix(hrp)
    if network is not None and named != network:
        raise Bolt11Error(f"invoice not for current active network '{network}'")
    if len(groups) < 7 + 104:
        raise Bolt11Error("short invoice")
    body, signature_groups = groups[:-104], groups[-104:]
    signature = _to_bytes(signature_groups)
    digest = hashlib.sha256(hrp.encode() + _to_bytes(body)).digest()
    values = _parse_tags(body[7:])
    payee = _payee(signature, digest, values.pop("payee", None))
    timestamp = _to_number(body[:7])
    if "payment_hash" not in values:
        raise Bolt11Error("no payment hash found")
    if ("description" in values) == ("description_hash" in values):
        both = "both description and description hash set"
        raise Bolt11Error(both if "description" in values else "neither description nor description hash set")
    return Bolt11(network=named, timestamp=timestamp, amount_msat=amount_msat, payee=payee, **values)  # type: ignore[arg-type]


def _payee(signature: bytes, digest: bytes, named: object) -> bytes:
    try:
        recovered = PublicKey.from_signature_and_message(signature, digest, hasher=None).format()
    except Exception as refusal:
        raise Bolt11Error("invalid invoice signature") from refusal
    if isinstance(named, bytes) and named != recovered:
        raise Bolt11Error("invalid invoice signature")
    return recovered


def _encode_amount(amount_msat: int | None) -> str:
    if not amount_msat:
        return ""
    for unit, msat in _UNITS:
        if amount_msat % msat == 0:
            return f"{amount_msat // msat}{unit}"
    return f"{amount_msat * 10}p"


def _decode_amount(text: str) -> int | None:
    if not text:
        return None
    digits, unit = (text[:-1], text[-1]) if not text[-1].isdigit() else (text, "")
    if not digits.isdigit() or not digits.isascii():
        raise Bolt11Error("number must be non-empty")
    if unit == "p":
        if int(digits) % 10:
            raise Bolt11Error(f"amount {digits} pBTC not expressible in msat")
        return int(digits) // 10
    if unit not in _MSAT_OF_UNIT:
        raise Bolt11Error(f"unknown multiplier {unit}")
    return int(digits) * _MSAT_OF_UNIT[unit]


def _split_prefix(hrp: str) -> tuple[str, int | None]:
    # The longest name first: lnbcrt and lntbs begin like lnbc and lntb.
    for network, prefix in sorted(PREFIXES.items(), key=lambda item: -len(item[1])):
        if hrp.startswith(prefix):
            return network, _decode_amount(hrp[len(prefix) :])
    raise Bolt11Error(f"unknown network prefix in {hrp}")


def _tags(invoice: Bolt11) -> bytes:
    groups = _tag("p", _to_groups(invoice.payment_hash))
    if invoice.payment_addr is not None:
        groups += _tag("s", _to_groups(invoice.payment_addr))
    if invoice.description_hash is not None:
        groups += _tag("h", _to_groups(invoice.description_hash))
    else:
        groups += _tag("d", _to_groups((invoice.description or "").encode()))
    groups += _tag("x", _number(invoice.expiry_seconds))
    groups += _tag("c", _number(invoice.min_final_cltv_expiry))
    for route in invoice.route_hints:
        groups += _tag("r", _to_groups(b"".join(_encode_hop(hop) for hop in route)))
    if invoice.features:
        groups += _tag("9", _number(sum(1 << bit for bit in invoice.features)))
    return groups


def _encode_hop(hop: HopHint) -> bytes:
    numbers = (
        (hop.chan_id, 8),
        (hop.fee_base_msat, 4),
        (hop.fee_proportional_millionths, 4),
        (hop.cltv_expiry_delta, 2),
    )
    return hop.node_id + b"".join(value.to_bytes(size, "big") for value, size in numbers)


def _decode_hops(data: bytes) -> tuple[HopHint, ...]:
    if not data or len(data) % 51:
        raise Bolt11Error("length is not a multiple of hop hint size")
    hops = []
    for start in range(0, len(data), 51):
        hop = data[start : start + 51]
        numbers = (int.from_bytes(hop[left:right], "big") for left, right in ((33, 41), (41, 45), (45, 49), (49, 51)))
        hops.append(HopHint(hop[:33], *numbers))
    return tuple(hops)


def _parse_tags(groups: bytes) -> dict[str, object]:
    values: dict[str, object] = {}
    hints: list[tuple[HopHint, ...]] = []
    position = 0
    while position < len(groups):
        if len(groups) - position < 3:
            raise Bolt11Error("last tagged field is broken")
        tag = chr(CHARSET[groups[position]])
        size = groups[position + 1] << 5 | groups[position + 2]
        data = groups[position + 3 : position + 3 + size]
        position += 3 + size
        if len(data) < size:
            raise Bolt11Error("invalid field length")
        if tag == "r":
            hints.append(_decode_hops(_to_bytes(data, exact=True)))
        else:
            _parse_tag(tag, data, values)
    values["route_hints"] = tuple(hints)
    return values


# Fields of a fixed size; a reader must skip them when their size is another (BOLT11, "Requirements").
_FIXED = {"p": ("payment_hash", 52), "s": ("payment_addr", 52), "h": ("description_hash", 52), "n": ("payee", 53)}


def _parse_tag(tag: str, data: bytes, values: dict[str, object]) -> None:
    if tag in _FIXED:
        name, size = _FIXED[tag]
        if len(data) == size:
            values.setdefault(name, _to_bytes(data, exact=True))
    elif tag == "d":
        try:
            values.setdefault("description", _to_bytes(data, exact=True).decode())
        except UnicodeDecodeError as refusal:
            raise Bolt11Error("description is not valid UTF-8") from refusal
    elif tag == "x":
        values.setdefault("expiry_seconds", _to_number(data))
    elif tag == "c":
        values.setdefault("min_final_cltv_expiry", _to_number(data))
    elif tag == "9":
        bits = _to_number(data)
        values.setdefault("features", frozenset(bit for bit in range(bits.bit_length()) if bits >> bit & 1))


def _tag(name: str, groups: bytes) -> bytes:
    return bytes((_CHARSET_TO_VALUES[ord(name)], len(groups) >> 5, len(groups) & 31)) + groups


def _number(value: int, width: int = 0) -> bytes:
    size = width or max(1, (value.bit_length() + 4) // 5)
    return bytes(value >> 5 * (size - 1 - index) & 31 for index in range(size))


def _to_number(groups: bytes) -> int:
    value = 0
    for group in groups:
        value = value << 5 | group
    return value


def _to_groups(data: bytes) -> bytes:
    return base64.b32encode(data).rstrip(b"=").translate(_LETTERS_TO_VALUES)


def _to_bytes(groups: bytes, *, exact: bool = False) -> bytes:
    """Pack groups to bytes; a last partial byte is padded with zeroes, or dropped when `exact`."""
    whole = len(groups) * 5 // 8
    padded = groups + bytes(-len(groups) % 8)
    data = base64.b32decode(padded.translate(_VALUES_TO_LETTERS))
    return data[:whole] if exact else data[: (len(groups) * 5 + 7) // 8]


def _polymod(hrp: str, groups: bytes) -> int:
    letters = hrp.encode()
    remainder = 1
    for group in bytes(letter >> 5 for letter in letters) + b"\0" + bytes(letter & 31 for letter in letters) + groups:
        remainder = (remainder & 0x1FFFFFF) << 5 ^ group ^ _REMAINDERS[remainder >> 25]
    return remainder


def _checksum(hrp: str, groups: bytes) -> bytes:
    remainder = _polymod(hrp, groups + bytes(6)) ^ 1
    return bytes(remainder >> 5 * (5 - index) & 31 for index in range(6))


def _bech32_decode(text: str) -> tuple[str, bytes]:
    if len(text) > MAX_LENGTH:
        raise Bolt11Error("invoice is too large")
    if len(text) < 8:
        raise Bolt11Error(f"invalid bech32 string length {len(text)}")
    if text != text.lower() and text != text.upper():
        raise Bolt11Error("string not all lowercase or all uppercase")
    text = text.lower()
    separator = text.rfind("1")
    if separator < 1 or separator + 7 > len(text):
        raise Bolt11Error("invalid index of 1")
    hrp = text[:separator]
    try:
        groups = bytes(_CHARSET_TO_VALUES[ord(letter)] for letter in text[separator + 1 :])
    except KeyError as refusal:
        raise Bolt11Error("failed converting data to bytes: invalid character not part of charset") from refusal
    if not hrp.isascii() or _polymod(hrp, groups) != 1:
        raise Bolt11Error("checksum failed")
    return hrp, groups[:-6]
