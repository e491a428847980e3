"""Whether an input may spend its output: P2WPKH (BIP 143) and P2TR key path (BIP 341), on libsecp256k1.

Other scripts can be paid to and not spent from here: the wallet has none, and a wrong "valid" would be worse.
"""

from __future__ import annotations

import hashlib
import struct

from coincurve import PublicKey, PublicKeyXOnly

from sandbox.esplora.encoding import Output, Transaction, double_sha256, with_length
from sandbox.esplora.errors import InvalidTransactionError

_SIGHASH_ALL = 1
_SIGHASH_DEFAULT = 0


def hash160(data: bytes) -> bytes:
    """RIPEMD-160 of SHA-256."""
    return hashlib.new("ripemd160", hashlib.sha256(data).digest()).digest()


def pay_to_key(public_key: bytes) -> bytes:
    """The P2WPKH script of a compressed public key."""
    return b"\x00\x14" + hash160(public_key)


def signature_hash(transaction: Transaction, number: int, spent: Output) -> bytes:
    """What a P2WPKH input's SIGHASH_ALL signature signs (BIP 143)."""
    own = transaction.inputs[number]
    code = b"\x76\xa9\x14" + spent.script[2:] + b"\x88\xac"
    parts = [
        struct.pack("<I", transaction.version),
        double_sha256(b"".join(one.previous.encoded() for one in transaction.inputs)),
        double_sha256(b"".join(struct.pack("<I", one.sequence) for one in transaction.inputs)),
        own.previous.encoded() + with_length(code) + struct.pack("<qI", spent.value, own.sequence),
        double_sha256(b"".join(one.encoded() for one in transaction.outputs)),
        struct.pack("<II", transaction.lock_time, _SIGHASH_ALL),
    ]
    return double_sha256(b"".join(parts))


def _tagged(tag: str, data: bytes) -> bytes:
    name = hashlib.sha256(tag.encode()).digest()
    return hashlib.sha256(name + name + data).digest()


def taproot_hash(transaction: Transaction, number: int, spent: list[Output], kind: int) -> bytes:
    """What a P2TR key path signature signs (BIP 341), for SIGHASH_DEFAULT and SIGHASH_ALL."""
    digest = hashlib.sha256
    parts = [
        bytes([0, kind]),
        struct.pack("<II", transaction.version, transaction.lock_time),
        digest(b"".join(one.previous.encoded() for one in transaction.inputs)).digest(),
        digest(b"".join(struct.pack("<q", one.value) for one in spent)).digest(),
        digest(b"".join(with_length(one.script) for one in spent)).digest(),
        digest(b"".join(struct.pack("<I", one.sequence) for one in transaction.inputs)).digest(),
        digest(b"".join(one.encoded() for one in transaction.outputs)).digest(),
        b"\x00" + struct.pack("<I", number),
    ]
    return _tagged("TapSighash", b"".join(parts))


def check_inputs(transaction: Transaction, spent: list[Output]) -> None:
    """Every input's signature. Raises InvalidTransactionError."""
    for number, output in enumerate(spent):
        own = transaction.inputs[number]
        if own.script:
            raise InvalidTransactionError("mandatory-script-verify-flag-failed (Witness requires empty scriptSig)")
        if output.script[:2] == b"\x00\x14" and len(output.script) == 22:
            _check_key_hash(transaction, number, output)
        elif output.script[:2] == b"\x51\x20" and len(output.script) == 34:
            _check_taproot(transaction, number, spent)
        else:
            raise InvalidTransactionError("non-mandatory-script-verify-flag (this sandbox spends P2WPKH and P2TR only)")


def _check_key_hash(transaction: Transaction, number: int, spent: Output) -> None:
    witness = transaction.inputs[number].witness
    if len(witness) != 2 or len(witness[1]) != 33 or hash160(witness[1]) != spent.script[2:]:
        raise InvalidTransactionError("mandatory-script-verify-flag-failed (Witness program hash mismatch)")
    signature = witness[0]
    try:
        good = signature[-1:] == b"\x01" and PublicKey(witness[1]).verify(
            signature[:-1], signature_hash(transaction, number, spent), hasher=None
        )
    except ValueError:
        good = False
    if not good:
        raise InvalidTransactionError("mandatory-script-verify-flag-failed (failed CHECKSIG)")


def _check_taproot(transaction: Transaction, number: int, spent: list[Output]) -> None:
    witness = transaction.inputs[number].witness
    signature = witness[0] if len(witness) == 1 else b""
    kind = signature[64] if len(signature) == 65 else _SIGHASH_DEFAULT
    try:
        good = len(signature) in (64, 65) and kind in (_SIGHASH_DEFAULT, _SIGHASH_ALL)
        good = good and PublicKeyXOnly(spent[number].script[2:]).verify(
            signature[:64], taproot_hash(transaction, number, spent, kind)
        )
    except ValueError:
        good = False
    if not good:
        raise InvalidTransactionError("mandatory-script-verify-flag-failed (Invalid Schnorr signature)")
