"""Bitcoin's wire format: transactions, headers and blocks (BIP 141, BIP 144)."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, replace

from sandbox.esplora.errors import InvalidTransactionError

REGTEST_BITS = 0x207FFFFF
NULL_TXID = "00" * 32


def double_sha256(data: bytes) -> bytes:
    """Bitcoin's hash."""
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def shown(digest: bytes) -> str:
    """A hash as people write it: the bytes backwards, in hex."""
    return digest[::-1].hex()


def variable_integer(number: int) -> bytes:
    """CompactSize."""
    if number < 0xFD:
        return bytes([number])
    if number <= 0xFFFF:
        return b"\xfd" + struct.pack("<H", number)
    return b"\xfe" + struct.pack("<I", number)


def with_length(data: bytes) -> bytes:
    """The bytes after their CompactSize."""
    return variable_integer(len(data)) + data


class Reader:
    """Reads bytes from the left; InvalidTransactionError when they end too early."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        part = self._data[self.position : self.position + count]
        if len(part) < count:
            raise InvalidTransactionError("TX decode failed")
        self.position += count
        return part

    def number(self, size: int) -> int:
        """A little-endian number of `size` bytes."""
        return int.from_bytes(self.take(size), "little")

    def variable(self) -> int:
        """A CompactSize."""
        first = self.number(1)
        return first if first < 0xFD else self.number({0xFD: 2, 0xFE: 4, 0xFF: 8}[first])

    def prefixed(self) -> bytes:
        """Bytes after their CompactSize."""
        return self.take(self.variable())

    @property
    def is_at_end(self) -> bool:
        """Whether everything was read."""
        return self.position == len(self._data)


@dataclass(frozen=True, slots=True)
class OutPoint:
    """An output: transaction id as people write it, and its number there."""

    txid: str
    vout: int

    def encoded(self) -> bytes:
        """As in a transaction."""
        return bytes.fromhex(self.txid)[::-1] + struct.pack("<I", self.vout)


@dataclass(frozen=True, slots=True)
class Input:
    """An input; `witness` is empty for what is not segregated witness."""

    previous: OutPoint
    script: bytes
    sequence: int
    witness: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Output:
    """An output: satoshis and script."""

    value: int
    script: bytes

    def encoded(self) -> bytes:
        """As in a transaction."""
        return struct.pack("<q", self.value) + with_length(self.script)


@dataclass(frozen=True)
class Transaction:
    """A transaction."""

    version: int
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    lock_time: int

    @staticmethod
    def read(reader: Reader) -> Transaction:
        """The next transaction of a reader. Raises InvalidTransactionError."""
        version = reader.number(4)
        count = reader.variable()
        has_witness = count == 0
        if has_witness:
            if reader.number(1) != 1:
                raise InvalidTransactionError("TX decode failed")
            count = reader.variable()
        inputs = [
            Input(OutPoint(shown(reader.take(32)), reader.number(4)), reader.prefixed(), reader.number(4))
            for _ in range(count)
        ]
        outputs = tuple(Output(reader.number(8), reader.prefixed()) for _ in range(reader.variable()))
        if has_witness:
            inputs = [
                replace(one, witness=tuple(reader.prefixed() for _ in range(reader.variable()))) for one in inputs
            ]
        return Transaction(version, tuple(inputs), outputs, reader.number(4))

    @staticmethod
    def decode(data: bytes) -> Transaction:
        """One whole transaction. Raises InvalidTransactionError."""
        reader = Reader(data)
        transaction = Transaction.read(reader)
        if not reader.is_at_end:
            raise InvalidTransactionError("TX decode failed")
        return transaction

    def encoded(self, *, with_witness: bool = True) -> bytes:
        """As on the wire; without witness for the transaction id."""
        has_witness = with_witness and any(one.witness for one in self.inputs)
        parts = [struct.pack("<I", self.version), b"\x00\x01" if has_witness else b""]
        parts.append(variable_integer(len(self.inputs)))
        parts += [
            one.previous.encoded() + with_length(one.script) + struct.pack("<I", one.sequence) for one in self.inputs
        ]
        parts.append(variable_integer(len(self.outputs)))
        parts += [one.encoded() for one in self.outputs]
        if has_witness:
            parts += [
                variable_integer(len(one.witness)) + b"".join(map(with_length, one.witness)) for one in self.inputs
            ]
        return b"".join(parts) + struct.pack("<I", self.lock_time)

    @property
    def txid(self) -> str:
        """Transaction id, as people write it."""
        return shown(double_sha256(self.encoded(with_witness=False)))

    @property
    def weight(self) -> int:
        """Weight units: three times the size without witness, and the whole size."""
        return 3 * len(self.encoded(with_witness=False)) + len(self.encoded())

    @property
    def virtual_size(self) -> int:
        """Virtual bytes."""
        return -(-self.weight // 4)

    @property
    def is_coinbase(self) -> bool:
        """Whether it makes new money."""
        return len(self.inputs) == 1 and self.inputs[0].previous.txid == NULL_TXID


def merkle_root(hashes: list[bytes]) -> bytes:
    """The root of a list of hashes."""
    level = hashes
    while len(level) > 1:
        if len(level) % 2:
            level = [*level, level[-1]]
        level = [double_sha256(level[n] + level[n + 1]) for n in range(0, len(level), 2)]
    return level[0]


@dataclass(frozen=True)
class Block:
    """A block; `height` is not part of its bytes."""

    height: int
    version: int
    previous: str
    root: bytes
    time: int
    bits: int
    nonce: int
    transactions: tuple[Transaction, ...]

    def header(self) -> bytes:
        """80 bytes."""
        return (
            struct.pack("<I", self.version)
            + bytes.fromhex(self.previous)[::-1]
            + self.root
            + struct.pack("<III", self.time, self.bits, self.nonce)
        )

    @property
    def hash(self) -> str:
        """Block hash, as people write it."""
        return shown(double_sha256(self.header()))

    def encoded(self) -> bytes:
        """Header and transactions."""
        return (
            self.header()
            + variable_integer(len(self.transactions))
            + b"".join(one.encoded() for one in self.transactions)
        )

    @staticmethod
    def decode(data: bytes, height: int) -> Block:
        """A block of its bytes."""
        reader = Reader(data)
        version, previous, root = reader.number(4), shown(reader.take(32)), reader.take(32)
        time, bits, nonce = reader.number(4), reader.number(4), reader.number(4)
        transactions = tuple(Transaction.read(reader) for _ in range(reader.variable()))
        return Block(height, version, previous, root, time, bits, nonce, transactions)

    @property
    def has_work(self) -> bool:
        """Whether the hash is below the target."""
        size, mantissa = self.bits >> 24, self.bits & 0x7FFFFF
        return int(self.hash, 16) <= mantissa << (8 * (size - 3))
