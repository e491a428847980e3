"""Wire transactions: decode, look into, and price them."""

import base64
import binascii
import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from solders.account import Account
from solders.hash import Hash
from solders.message import Message, MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from sandbox.solana import base58
from sandbox.solana.errors import RpcError, invalid_params

PACKET_BYTES = 1232
LAMPORTS_PER_SIGNATURE = 5000
COMPUTE_BUDGET = Pubkey.from_string("ComputeBudget111111111111111111111111111111")
MEMO_PROGRAMS = frozenset(
    {
        Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr"),
        Pubkey.from_string("Memo1UhkJRfHyvLMcVucJwxXeuD728EqVDDwQDxFMNo"),
    }
)
LOOKUP_TABLE_PROGRAM = Pubkey.from_string("AddressLookupTab1e1111111111111111111111111")
_LOOKUP_TABLE_HEADER = 56
_DEFAULT_UNITS = 200_000
_MAX_UNITS = 1_400_000
_TYPE = "solana_transaction::versioned::VersionedTransaction"


def decode_bytes(text: object, encoding: str, limit: int = PACKET_BYTES) -> bytes:
    """The bytes of an encoded transaction or message.

    Raises:
        RpcError: INVALID_PARAMS, in Solana's words.
    """
    if not isinstance(text, str):
        raise invalid_params("Invalid params: invalid type: expected a string.")
    if encoding not in ("base58", "base64"):
        raise invalid_params(f"unsupported encoding: {encoding}. Supported encodings: base58, base64")
    longest = (limit * 8 + 4) // 5 if encoding == "base58" else (limit + 2) // 3 * 4
    if len(text) > longest:
        size = f"{len(text)} bytes (max: encoded/raw {longest}/{limit})"
        raise invalid_params(f"{encoding} encoded {_TYPE} too large: {size}")
    try:
        data = base58.decode(text) if encoding == "base58" else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as refusal:
        raise invalid_params(f"invalid {encoding} encoding: {refusal}") from refusal
    if len(data) > limit:
        raise invalid_params(f"decoded {_TYPE} too large: {len(data)} bytes (max: {limit} bytes)")
    return data


def decode(text: object, encoding: str) -> VersionedTransaction:
    """A transaction from its wire form; it is well formed then, but nothing of it is checked against the chain.

    Raises:
        RpcError: INVALID_PARAMS.
    """
    data = decode_bytes(text, encoding)
    try:
        transaction = VersionedTransaction.from_bytes(data)
    except ValueError as refusal:
        raise invalid_params(f"failed to deserialize {_TYPE}: {refusal}") from refusal
    try:
        transaction.sanitize()
    except Exception as refusal:
        raise invalid_params(
            "invalid transaction: Transaction failed to sanitize accounts offsets correctly"
        ) from refusal
    return transaction


def decode_message(text: object) -> Message | MessageV0:
    """A base64 message, legacy or version 0.

    Raises:
        RpcError: INVALID_PARAMS.
    """
    data = decode_bytes(text, "base64")
    try:
        return MessageV0.from_bytes(data[1:]) if data and data[0] & 0x80 else Message.from_bytes(data)
    except Exception as refusal:
        raise invalid_params(f"failed to deserialize solana_message::VersionedMessage: {refusal}") from refusal


@dataclass(frozen=True, slots=True)
class Keys:
    """All accounts of a transaction in the order that its instructions count them."""

    static: tuple[Pubkey, ...]
    loaded_writable: tuple[Pubkey, ...]
    loaded_readonly: tuple[Pubkey, ...]
    writable: frozenset[int]
    signers: int

    @property
    def all(self) -> tuple[Pubkey, ...]:
        """Static keys, then looked-up writable ones, then looked-up read-only ones."""
        return self.static + self.loaded_writable + self.loaded_readonly


class AddressLookupError(Exception):
    """An address lookup that cannot be resolved; `err` is the transaction error."""

    def __init__(self, err: str) -> None:
        super().__init__(err)
        self.err = err


def resolve_keys(message: Message | MessageV0, accounts: Callable[[Pubkey], Account | None]) -> Keys:
    """List a message's accounts; lookups read their tables through `accounts(address)`.

    Raises:
        AddressLookupError: a table is missing, is none, or is too short.
    """
    header = message.header
    static = tuple(message.account_keys)
    writable_signers = header.num_required_signatures - header.num_readonly_signed_accounts
    writable_others = len(static) - header.num_readonly_unsigned_accounts
    writable = {
        index
        for index in range(len(static))
        if index < writable_signers or header.num_required_signatures <= index < writable_others
    }
    loaded_writable: list[Pubkey] = []
    loaded_readonly: list[Pubkey] = []
    for lookup in message.address_table_lookups if isinstance(message, MessageV0) else ():
        table = _table(accounts(lookup.account_key))
        for indices, into in ((lookup.writable_indexes, loaded_writable), (lookup.readonly_indexes, loaded_readonly)):
            for index in indices:
                if index >= len(table):
                    raise AddressLookupError("InvalidAddressLookupTableIndex")
                into.append(table[index])
    writable.update(range(len(static), len(static) + len(loaded_writable)))
    return Keys(
        static, tuple(loaded_writable), tuple(loaded_readonly), frozenset(writable), header.num_required_signatures
    )


def _table(account: Account | None) -> list[Pubkey]:
    if account is None or account.lamports == 0:
        raise AddressLookupError("AddressLookupTableNotFound")
    if account.owner != LOOKUP_TABLE_PROGRAM:
        raise AddressLookupError("InvalidAddressLookupTableOwner")
    data = account.data[_LOOKUP_TABLE_HEADER:]
    if len(account.data) < _LOOKUP_TABLE_HEADER or len(data) % 32:
        raise AddressLookupError("InvalidAddressLookupTableData")
    return [Pubkey(data[start : start + 32]) for start in range(0, len(data), 32)]


def message_hash(transaction: VersionedTransaction) -> bytes:
    """What makes a transaction the same one, whoever's signature bytes it carries."""
    return hashlib.sha256(to_bytes_versioned(transaction.message)).digest()


def signatures_hold(transaction: VersionedTransaction) -> bool:
    """Whether every required signature is there and right."""
    required = transaction.message.header.num_required_signatures
    return len(transaction.signatures) == required and all(transaction.verify_with_results())


def priority_fee(message: Message | MessageV0) -> int:
    """The prioritization fee in lamports: unit limit x unit price, rounded up (compute-budget instructions)."""
    price = 0
    limit: int | None = None
    others = 0
    keys = message.account_keys
    for instruction in message.instructions:
        if keys[instruction.program_id_index] != COMPUTE_BUDGET:
            others += 1
            continue
        data = instruction.data
        if data[:1] == b"\x02" and len(data) >= 5:
            limit = int.from_bytes(data[1:5], "little")
        elif data[:1] == b"\x03" and len(data) >= 9:
            price = int.from_bytes(data[1:9], "little")
    units = min(_DEFAULT_UNITS * others if limit is None else limit, _MAX_UNITS)
    return -(-units * price // 1_000_000)


def base_fee(message: Message | MessageV0) -> int:
    """The fee for signatures, in lamports."""
    return LAMPORTS_PER_SIGNATURE * message.header.num_required_signatures


def memo_of(message: Message | MessageV0) -> str | None:
    """Memos as getSignaturesForAddress shows them: "[length] text; ..."."""
    keys = message.account_keys
    texts = [
        f"[{len(instruction.data)}] {instruction.data.decode(errors='replace')}"
        for instruction in message.instructions
        if keys[instruction.program_id_index] in MEMO_PROGRAMS
    ]
    return "; ".join(texts) or None


def first_signature(transaction: VersionedTransaction) -> Signature:
    """The transaction's id."""
    return transaction.signatures[0]


def blockhash(transaction: VersionedTransaction) -> Hash:
    """The recent blockhash it was made with."""
    return transaction.message.recent_blockhash


def unknown_version(version: object) -> RpcError:
    """Solana's refusal to show a versioned transaction to a client that did not say it can read it."""
    return RpcError(
        -32015,
        f"Transaction version ({version}) is not supported by the requesting client. "
        'Please try the request again with the following configuration parameter: "maxSupportedTransactionVersion": 0',
    )
