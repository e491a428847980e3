"""Bech32 and bech32m without the 90-character limit (BIP-0173, BIP-0350), made for speed.

Symbols are kept as strings: Python's own `int(text, 32)` and a translation table turn thousands of
5-bit groups into an integer in one call, so an invoice of 300 characters costs microseconds.
"""

import base64

CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
BECH32_CONSTANT = 1
BECH32M_CONSTANT = 0x2BC830A3
CHECKSUM_LENGTH = 6

_DIGITS = "0123456789abcdefghijklmnopqrstuv"
_TO_DIGITS = str.maketrans(CHARSET, _DIGITS)
_RFC4648_TO_CHARSET = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", CHARSET.encode())
_VALUE_OF = {symbol: value for value, symbol in enumerate(CHARSET)}
_ALLOWED = frozenset(CHARSET)


def _remainder_table() -> tuple[int, ...]:
    generator = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
    table = []
    for top in range(32):
        value = 0
        for bit, term in enumerate(generator):
            if top >> bit & 1:
                value ^= term
        table.append(value)
    return tuple(table)


_REMAINDERS = _remainder_table()


class Bech32Error(ValueError):
    """The text is not bech32; the message says where it stops being it."""


def _polymod(prefix: str, data: str) -> int:
    check = 1
    remainders = _REMAINDERS
    for char in prefix:
        check = ((check & 0x1FFFFFF) << 5) ^ (ord(char) >> 5) ^ remainders[check >> 25]
    check = ((check & 0x1FFFFFF) << 5) ^ remainders[check >> 25]
    for char in prefix:
        check = ((check & 0x1FFFFFF) << 5) ^ (ord(char) & 31) ^ remainders[check >> 25]
    value_of = _VALUE_OF
    for symbol in data:
        check = ((check & 0x1FFFFFF) << 5) ^ value_of[symbol] ^ remainders[check >> 25]
    return check


def encode(prefix: str, data: str, constant: int = BECH32_CONSTANT) -> str:
    """The bech32 text of `prefix` and the symbols `data` (already in the bech32 alphabet)."""
    check = _polymod(prefix, data + "q" * CHECKSUM_LENGTH) ^ constant
    checksum = "".join(CHARSET[check >> 5 * (5 - index) & 31] for index in range(CHECKSUM_LENGTH))
    return f"{prefix}1{data}{checksum}"


def decode(text: str, constant: int = BECH32_CONSTANT) -> tuple[str, str]:
    """The human-readable part and the data symbols (checksum taken off) of a bech32 text.

    Raises:
        Bech32Error: mixed case, no separator, a foreign character or a wrong checksum.
    """
    lowered = text.lower()
    if text not in (lowered, text.upper()):
        raise Bech32Error("it mixes upper and lower case")
    separator = lowered.rfind("1")
    if separator < 1:
        raise Bech32Error("the separator '1' is missing")
    prefix, data = lowered[:separator], lowered[separator + 1 :]
    if len(data) < CHECKSUM_LENGTH:
        raise Bech32Error("it is too short to hold a checksum")
    if not prefix.isascii() or not prefix.isprintable() or " " in prefix:
        raise Bech32Error("its prefix has a character that bech32 does not know")
    if not _ALLOWED.issuperset(data):
        raise Bech32Error("it has a character that bech32 does not know")
    if _polymod(prefix, data) != constant:
        raise Bech32Error("its checksum is wrong")
    return prefix, data[:-CHECKSUM_LENGTH]


def to_integer(symbols: str) -> int:
    """The big-endian integer of 5-bit symbols; 0 for none."""
    return int(symbols.translate(_TO_DIGITS), 32) if symbols else 0


def from_integer(value: int, length: int | None = None) -> str:
    """The symbols of an integer: the fewest that hold it, or exactly `length` of them."""
    symbols = ""
    while value:
        symbols = CHARSET[value & 31] + symbols
        value >>= 5
    if length is None:
        return symbols
    if len(symbols) > length:
        raise Bech32Error(f"the value does not fit into {length} symbols")
    return symbols.rjust(length, "q")


def to_bytes(symbols: str, *, pad: bool = False) -> bytes:
    """Bytes of 5-bit symbols.

    Args:
        symbols: text in the bech32 alphabet.
        pad: fill the last byte with zero bits (as a signature's pre-image wants); otherwise the
            left-over bits must be fewer than 5 and all zero.

    Raises:
        Bech32Error: the left-over bits are not such padding.
    """
    bits = 5 * len(symbols)
    value = to_integer(symbols)
    left_over = bits % 8
    if pad:
        return (value << (-bits % 8)).to_bytes((bits + 7) // 8, "big")
    if left_over > 4 or value & ((1 << left_over) - 1):
        raise Bech32Error("its padding bits are not zero")
    return (value >> left_over).to_bytes(bits // 8, "big")


def from_bytes(data: bytes) -> str:
    """5-bit symbols of bytes, the last group filled with zero bits."""
    return base64.b32encode(data).rstrip(b"=").translate(_RFC4648_TO_CHARSET).decode("ascii")
