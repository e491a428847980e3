"""Segregated witness addresses (BIP 173, BIP 350) of regtest and simnet."""

from __future__ import annotations

import hashlib

from sandbox.esplora.errors import RefusedError

_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BECH32, _BECH32M = 1, 0x2BC830A3
PREFIXES = {"regtest": "bcrt", "simnet": "sb"}


def _polymod(values: list[int]) -> int:
    checksum = 1
    for value in values:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            checksum ^= generator if (top >> bit) & 1 else 0
    return checksum


def _expanded(prefix: str) -> list[int]:
    return [ord(letter) >> 5 for letter in prefix] + [0] + [ord(letter) & 31 for letter in prefix]


def _regroup(values: list[int], before: int, after: int, *, pad: bool) -> list[int]:
    collected, bits, result = 0, 0, []
    for value in values:
        collected = (collected << before) | value
        bits += before
        while bits >= after:
            bits -= after
            result.append((collected >> bits) & ((1 << after) - 1))
    if pad and bits:
        result.append((collected << (after - bits)) & ((1 << after) - 1))
    elif not pad and (bits >= before or (collected & ((1 << bits) - 1))):
        raise RefusedError("Invalid Bitcoin address")
    return result


def address_of(script: bytes, network: str) -> str | None:
    """The address of a witness program; None for another script."""
    if not 4 <= len(script) <= 42 or script[0] not in (0, *range(0x51, 0x61)) or script[1] != len(script) - 2:
        return None
    version = script[0] - 0x50 if script[0] else 0
    prefix = PREFIXES[network]
    values = [version, *_regroup(list(script[2:]), 8, 5, pad=True)]
    constant = _BECH32M if version else _BECH32
    checksum = _polymod(_expanded(prefix) + values + [0] * 6) ^ constant
    return f"{prefix}1" + "".join(
        _ALPHABET[value] for value in values + [checksum >> 5 * (5 - n) & 31 for n in range(6)]
    )


def script_of(address: str, network: str) -> bytes:
    """The script that an address stands for. Raises RefusedError."""
    prefix, found, rest = address.lower().rpartition("1")
    if not found or prefix != PREFIXES[network] or any(letter not in _ALPHABET for letter in rest) or len(rest) < 8:
        raise RefusedError("Invalid Bitcoin address")
    values = [_ALPHABET.index(letter) for letter in rest]
    constant = _BECH32M if values[0] else _BECH32
    if _polymod(_expanded(prefix) + values) != constant:
        raise RefusedError("Invalid Bitcoin address")
    program = bytes(_regroup(values[1:-6], 5, 8, pad=False))
    return bytes([0x50 + values[0] if values[0] else 0, len(program)]) + program


def script_hash(script: bytes) -> str:
    """Esplora's name of a script: its SHA-256 in hex, not backwards."""
    return hashlib.sha256(script).hexdigest()
