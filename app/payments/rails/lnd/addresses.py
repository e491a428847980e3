"""Bitcoin addresses to and from (version, program), for the fallback field of a Lightning invoice.

Versions 0-16 are witness versions (BIP-0173, BIP-0350), 17 is a public key hash and 18 a script hash, as in BOLT 11.
"""

import hashlib
from dataclasses import dataclass

from payments.rails.lnd import bech32

PUBLIC_KEY_HASH_VERSION = 17
SCRIPT_HASH_VERSION = 18

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BASE58_VALUE = {symbol: value for value, symbol in enumerate(_BASE58)}


class AddressError(ValueError):
    """The text is no address of this network, or the program has no address form."""


@dataclass(frozen=True, slots=True)
class AddressFormat:
    """How one network writes its addresses."""

    segwit_prefix: str
    public_key_hash_byte: int
    script_hash_byte: int


def _base58check_encode(payload: bytes) -> str:
    data = payload + hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4]
    value = int.from_bytes(data, "big")
    text = ""
    while value:
        value, digit = divmod(value, 58)
        text = _BASE58[digit] + text
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + text


def _base58check_decode(text: str) -> bytes:
    value = 0
    for symbol in text:
        if symbol not in _BASE58_VALUE:
            raise AddressError(f"The address {text[:64]!r} has a character that base58 does not know.")
        value = value * 58 + _BASE58_VALUE[symbol]
    leading = len(text) - len(text.lstrip("1"))
    data = b"\0" * leading + value.to_bytes((value.bit_length() + 7) // 8, "big")
    if len(data) < 5 or hashlib.sha256(hashlib.sha256(data[:-4]).digest()).digest()[:4] != data[-4:]:
        raise AddressError(f"The address {text[:64]!r} has a wrong checksum.")
    return data[:-4]


def _checked_program(version: int, program: bytes) -> bytes:
    if version in (PUBLIC_KEY_HASH_VERSION, SCRIPT_HASH_VERSION):
        fits = len(program) == 20
    elif version == 0:
        fits = len(program) in (20, 32)
    else:
        fits = 1 <= version <= 16 and 2 <= len(program) <= 40
    if not fits:
        raise AddressError(f"A program of {len(program)} bytes does not fit address version {version}.")
    return program


def encode_address(version: int, program: bytes, form: AddressFormat) -> str:
    """The address of a program.

    Raises:
        AddressError: the program's length does not fit its version.
    """
    program = _checked_program(version, program)
    if version == PUBLIC_KEY_HASH_VERSION:
        return _base58check_encode(bytes([form.public_key_hash_byte]) + program)
    if version == SCRIPT_HASH_VERSION:
        return _base58check_encode(bytes([form.script_hash_byte]) + program)
    constant = bech32.BECH32M_CONSTANT if version else bech32.BECH32_CONSTANT
    return bech32.encode(form.segwit_prefix, bech32.CHARSET[version] + bech32.from_bytes(program), constant)


def decode_address(address: str, form: AddressFormat) -> tuple[int, bytes]:
    """(version, program) of an address of this network.

    Raises:
        AddressError: it is malformed, or belongs to another network.
    """
    if address.lower().startswith(form.segwit_prefix + "1"):
        return _decode_segwit(address, form)
    payload = _base58check_decode(address)
    versions = {
        form.public_key_hash_byte: PUBLIC_KEY_HASH_VERSION,
        form.script_hash_byte: SCRIPT_HASH_VERSION,
    }
    if payload[0] not in versions:
        raise AddressError(f"The address {address[:64]!r} belongs to another network.")
    version = versions[payload[0]]
    return version, _checked_program(version, payload[1:])


def _decode_segwit(address: str, form: AddressFormat) -> tuple[int, bytes]:
    for constant in (bech32.BECH32_CONSTANT, bech32.BECH32M_CONSTANT):
        try:
            _, symbols = bech32.decode(address, constant)
            version = bech32.to_integer(symbols[:1])
            program = bech32.to_bytes(symbols[1:])
        except bech32.Bech32Error:
            continue
        if (constant == bech32.BECH32_CONSTANT) != (version == 0) or not symbols:
            continue
        return version, _checked_program(version, program)
    raise AddressError(f"The address {address[:100]!r} is no valid {form.segwit_prefix} address.")
