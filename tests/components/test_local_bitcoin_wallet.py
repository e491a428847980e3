"""The wallet of the Bitcoin counterpart is the one that BIP 32 and BDK make of the same seed."""

from __future__ import annotations

import bdkpython as bdk
import pytest

from components.local.bitcoin_wallet import master_keys

# BIP 32's test vectors 1 and 3 (the latter keeps its leading zeros), as a test network writes them.
SEEDS = (
    "000102030405060708090a0b0c0d0e0f",
    "4b381541583be4423346c643850da4b320e46a87ae3d2a4e6da11eba819cd4acba45d239319ac14f863b8d5ab5a0d0c64d2e8a1e7d1457df2e5a3"
    "c51c73235be",
)
FIRST = (
    "tprv8ZgxMBicQKsPeDgjzdC36fs6bMjGApWDNLR9erAXMs5skhMv36j9MV5ecvfavji5khqjWaWSFhN3YcCUUdiKH6isR4Pwy3U5y5egddBr16m",
    "tpubD6NzVbkrYhZ4XgiXtGrdW5XDAPFCL9h7we1vwNCpn8tGbBcgfVYjXyhWo4E1xkh56hjod1RhGjxbaTLV3X4FyWuejifB9jusQ46QzG87VKp",
)


def test_the_keys_are_those_of_the_standards_example() -> None:
    assert master_keys(bytes.fromhex(SEEDS[0])) == FIRST


@pytest.mark.parametrize("seed", SEEDS)
def test_bdk_finds_the_public_key_of_the_private_one(seed: str) -> None:
    private, public = master_keys(bytes.fromhex(seed))
    assert str(bdk.DescriptorSecretKey.from_string(private).as_public()).startswith(public)
