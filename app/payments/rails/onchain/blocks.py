"""Blocks as the network has them: the outputs they make, believed only where the hashes agree."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from payments.rails.onchain.errors import EsploraUnreachableError

HEADER_BYTES = 80
RETARGET_BLOCKS = 2016


def _twice(data: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def _target(bits: int) -> int:
    return (bits & 0x7FFFFF) << 8 * max(0, (bits >> 24) - 3)


def keeps_difficulty(before: Header, after: Header, height: int) -> bool:
    """Whether a block of mainnet at `height` may follow: the target stays, and at its change grows fourfold at most.

    Whoever makes blocks up needs the miners' power for it, or its blocks are refused. Source: Bitcoin Core, pow.cpp.
    """
    if height % RETARGET_BLOCKS:
        return after.bits == before.bits
    return _target(after.bits) <= 4 * _target(before.bits)


@dataclass(frozen=True, slots=True)
class Header:
    """What follows from 80 bytes; `time` in Unix seconds, `bits` the compact form of the target."""

    hash: str
    previous: str
    merkle_root: bytes
    time: int
    bits: int = 0

    @classmethod
    def of(cls, data: bytes) -> Header:
        """Reads a header. Raises RailUnavailableError: too short, or its hash is above its own target."""
        if len(data) != HEADER_BYTES:
            raise EsploraUnreachableError("Esplora's block header has not 80 bytes.")
        digest = _twice(data)
        bits = int.from_bytes(data[72:76], "little")
        if int.from_bytes(digest, "little") > _target(bits):
            raise EsploraUnreachableError("Esplora's block has no proof of work.")
        return cls(digest[::-1].hex(), data[4:36][::-1].hex(), data[36:68], int.from_bytes(data[68:72], "little"), bits)


@dataclass(frozen=True, slots=True)
class Output:
    """An output of a block's transaction; one of a coinbase cannot be spent for 100 blocks."""

    txid: str
    vout: int
    script: bytes
    sats: int
    is_coinbase: bool = False


@dataclass(frozen=True, slots=True)
class Block:
    """A header and its outputs."""

    header: Header
    outputs: tuple[Output, ...]


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def skip(self, count: int) -> int:
        start = self.at
        self.at += count
        return start

    def number(self, size: int) -> int:
        return int.from_bytes(self.data[self.at : self.skip(size) + size], "little")

    def variable(self) -> int:
        first = self.data[self.skip(1)]
        return first if first < 0xFD else self.number({0xFD: 2, 0xFE: 4, 0xFF: 8}[first])

    def prefixed(self) -> bytes:
        size = self.variable()
        start = self.skip(size)
        return self.data[start : start + size]


def _transaction(reader: _Reader) -> tuple[bytes, list[tuple[bytes, int]]]:
    """The id's bytes and the outputs of the next transaction."""
    start = reader.at
    reader.skip(4)
    has_witness = reader.data[reader.at] == 0
    if has_witness:
        reader.skip(2)
    body = reader.at
    inputs = reader.variable()
    for _ in range(inputs):
        reader.skip(36)
        reader.skip(reader.variable())
        reader.skip(4)
    outputs = []
    for _ in range(reader.variable()):
        sats = reader.number(8)
        outputs.append((reader.prefixed(), sats))
    end = reader.at
    if has_witness:
        for _ in range(inputs):
            for _ in range(reader.variable()):
                reader.skip(reader.variable())
    reader.skip(4)
    data = reader.data
    stripped = data[start : start + 4] + data[body:end] + data[reader.at - 4 : reader.at]
    return _twice(stripped), outputs


def _root(hashes: list[bytes]) -> bytes:
    while len(hashes) > 1:
        if len(hashes) % 2:
            hashes = [*hashes, hashes[-1]]
        hashes = [_twice(hashes[n] + hashes[n + 1]) for n in range(0, len(hashes), 2)]
    return hashes[0]


def read_block(data: bytes, expected_hash: str) -> Block:
    """A block's outputs, checked against the header's merkle root and the hash that was asked for.

    Raises:
        RailUnavailableError: Esplora's bytes are not that block.
    """
    header = Header.of(data[:HEADER_BYTES])
    if header.hash != expected_hash:
        raise EsploraUnreachableError("Esplora's block is another one than was asked for.")
    reader = _Reader(data)
    reader.skip(HEADER_BYTES)
    ids, outputs = [], []
    try:
        for number in range(reader.variable()):
            identity, made = _transaction(reader)
            ids.append(identity)
            txid = identity[::-1].hex()
            outputs += [Output(txid, vout, script, sats, number == 0) for vout, (script, sats) in enumerate(made)]
    except (IndexError, KeyError) as error:
        raise EsploraUnreachableError("Esplora's block ends too early.") from error
    if reader.at != len(data) or not ids or _root(ids) != header.merkle_root:
        raise EsploraUnreachableError("Esplora's block does not lead to its merkle root.")
    return Block(header, tuple(outputs))
