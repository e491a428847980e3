"""Making blocks: coinbase, witness commitment, proof of work at regtest's difficulty."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from sandbox.esplora.encoding import (
    NULL_TXID,
    REGTEST_BITS,
    Block,
    Input,
    OutPoint,
    Output,
    Transaction,
    double_sha256,
    merkle_root,
    with_length,
)

GENESIS = (
    "01000000"
    + "00" * 32
    + "3ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a"
    + "dae5494dffff7f2002000000"
    "0101000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff001d0104455468652054696d"
    "65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f757420666f7220"
    "62616e6b73ffffffff0100f2052a01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f"
    "4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000"
)
_HALVING_BLOCKS = 150
_COIN = 100_000_000
_MEDIAN_BLOCKS = 11


def subsidy(height: int) -> int:
    """New satoshis of a regtest block."""
    return (50 * _COIN) >> (height // _HALVING_BLOCKS)


def _small_number(number: int) -> bytes:
    """A number as a script pushes it (BIP 34)."""
    if number <= 16:
        return bytes([0x50 + number]) if number else b"\x00"
    data = number.to_bytes((number.bit_length() // 8) + 1, "little")
    return with_length(data)


def next_block(
    chain: Sequence[Block], transactions: Sequence[Transaction], *, fees: int, script: bytes, now: int, salt: bytes
) -> Block:
    """The block after a chain's tip.

    Args:
        chain: at least its last eleven blocks.
        transactions: to confirm, in an order in which each can be spent.
        fees: satoshis of theirs, for the coinbase.
        script: that the coinbase pays.
        now: Unix seconds.
        salt: makes two blocks of the same content differ.
    """
    tip = chain[-1]
    height = tip.height + 1
    times = sorted(block.time for block in chain[-_MEDIAN_BLOCKS:])
    reserved = b"\x00" * 32
    hashes = [reserved] + [double_sha256(one.encoded()) for one in transactions]
    commitment = double_sha256(merkle_root(hashes) + reserved)
    coinbase = Transaction(
        2,
        (Input(OutPoint(NULL_TXID, 0xFFFFFFFF), _small_number(height) + with_length(salt), 0xFFFFFFFF, (reserved,)),),
        (Output(subsidy(height) + fees, script), Output(0, b"\x6a\x24\xaa\x21\xa9\xed" + commitment)),
        0,
    )
    whole = (coinbase, *transactions)
    root = merkle_root([double_sha256(one.encoded(with_witness=False)) for one in whole])
    time = max(now, times[len(times) // 2] + 1)
    nonce = 0
    while True:
        block = Block(height, 0x20000000, tip.hash, root, time, REGTEST_BITS, nonce, whole)
        if block.has_work:
            return block
        nonce += 1


def genesis() -> Block:
    """Regtest's first block."""
    return Block.decode(bytes.fromhex(GENESIS), 0)


def minimum_fee(transaction: Transaction, satoshis_per_kilo: int = 1000) -> int:
    """The least fee that is relayed, in satoshis."""
    return -(-transaction.virtual_size * satoshis_per_kilo // 1000)


def locked(transaction: Transaction, height: int) -> bool:
    """Whether its lock time (a height) is not yet reached."""
    final = all(one.sequence == 0xFFFFFFFF for one in transaction.inputs)
    return not final and 0 < transaction.lock_time < 500_000_000 and transaction.lock_time >= height


def salt_of(number: int) -> bytes:
    """A salt from a counter."""
    return struct.pack("<Q", number)
