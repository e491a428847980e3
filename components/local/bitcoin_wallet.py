"""The merchant's wallet on the Bitcoin counterpart: output descriptors of a key that comes from a generated secret.

A wallet of its own that nothing else ever uses, so its descriptor begins at the master key (BIP 32) and needs no path:
`wpkh(tprv.../<0;1>/*)`. BDK would do the same, in 60 MB and half a second of every preview.
"""

from __future__ import annotations

import hashlib
import hmac

import pulumi

TEST_PRIVATE, TEST_PUBLIC = bytes.fromhex("04358394"), bytes.fromhex("043587cf")
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def _base58check(payload: bytes) -> str:
    data = payload + hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4]
    value, text = int.from_bytes(data, "big"), ""
    while value:
        value, digit = divmod(value, 58)
        text = _BASE58[digit] + text
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + text


def master_keys(seed: bytes) -> tuple[str, str]:
    """The extended private and public key of a seed on a test network, as BIP 32 writes them."""
    from coincurve import PrivateKey  # in the apply that needs it, not in every import of the program

    made = hmac.new(b"Bitcoin seed", seed, hashlib.sha512).digest()
    key, chain_code = PrivateKey(made[:32]), made[32:]
    where = bytes(9)  # depth 0, no parent, child number 0
    private = TEST_PRIVATE + where + chain_code + b"\0" + key.secret
    public = TEST_PUBLIC + where + chain_code + key.public_key.format()
    return _base58check(private), _base58check(public)


def signing_descriptor(seed: pulumi.Input[str]) -> pulumi.Output[str]:
    """With the private key, from 32 bytes in hex; secret when they are."""
    return pulumi.Output.from_input(seed).apply(lambda text: f"wpkh({master_keys(bytes.fromhex(text))[0]}/<0;1>/*)")


def public_descriptor(seed: pulumi.Input[str]) -> pulumi.Output[str]:
    """Without it. It stays secret: whoever has it sees every payment."""
    return pulumi.Output.from_input(seed).apply(lambda text: f"wpkh({master_keys(bytes.fromhex(text))[1]}/<0;1>/*)")
