"""The checks of x402's `exact` scheme on Solana, without the network: what a payer may ask our fee payer to sign.

Source: specs/schemes/exact/scheme_exact_svm.md of x402, its newest rules (3 to 7 instructions), and stricter where the
fee payer's money is at stake: a cap on the whole priority fee, no more signers than payer and fee payer, no lookup
tables, exact lengths of every instruction's data.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Final

from solders.instruction import CompiledInstruction
from solders.message import Message, MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from payments.rails.solana.tokens import (
    COMPUTE_BUDGET_PROGRAM,
    LIGHTHOUSE_PROGRAM,
    MEMO_PROGRAM,
    TOKEN_PROGRAMS,
    associated_token_account,
)

MAX_TRANSACTION_BYTES: Final = 1232
MIN_INSTRUCTIONS: Final = 3
MAX_INSTRUCTIONS: Final = 7
MAX_COMPUTE_UNITS: Final = 400_000
MAX_MICROLAMPORTS_PER_UNIT: Final = 5_000_000  # 5 lamports, the reference implementation's bound
MAX_PRIORITY_FEE_LAMPORTS: Final = 500_000
MAX_MEMO_BYTES: Final = 256

_PAYLOAD = "invalid_exact_svm_payload"
_INSTRUCTIONS = f"{_PAYLOAD}_transaction_instructions"
NOT_DECODED: Final = f"{_PAYLOAD}_transaction_could_not_be_decoded"
WRONG_COUNT: Final = f"{_INSTRUCTIONS}_length"
WRONG_LIMIT: Final = f"{_INSTRUCTIONS}_compute_limit_instruction"
WRONG_PRICE: Final = f"{_INSTRUCTIONS}_compute_price_instruction"
PRICE_TOO_HIGH: Final = f"{_INSTRUCTIONS}_compute_price_instruction_too_high"
NO_TRANSFER: Final = f"{_PAYLOAD}_no_transfer_instruction"
WRONG_MINT: Final = f"{_PAYLOAD}_mint_mismatch"
WRONG_RECIPIENT: Final = f"{_PAYLOAD}_recipient_mismatch"
TOO_LITTLE: Final = f"{_PAYLOAD}_amount_insufficient"
NO_FEE_PAYER: Final = f"{_PAYLOAD}_missing_fee_payer"
FOREIGN_FEE_PAYER: Final = "fee_payer_not_managed_by_facilitator"
FEE_PAYER_TRANSFERS: Final = f"{_PAYLOAD}_transaction_fee_payer_transferring_funds"
FEE_PAYER_IN_ACCOUNTS: Final = f"{_INSTRUCTIONS}_fee_payer_in_instruction_accounts"
WRONG_MEMO: Final = f"{_PAYLOAD}_memo_mismatch"
WRONG_MEMO_COUNT: Final = f"{_PAYLOAD}_memo_count"
LOOKUP_TABLES: Final = f"{_PAYLOAD}_transaction_address_lookup_tables_not_supported"
WRONG_SIGNERS: Final = f"{_PAYLOAD}_transaction_unexpected_signers"
WRONG_SIGNATURE: Final = f"{_PAYLOAD}_transaction_signature"
DURABLE_NONCE: Final = f"{_PAYLOAD}_transaction_durable_nonce"
_UNKNOWN_OPTIONAL = ("fourth", "fifth", "sixth", "seventh")

_SET_COMPUTE_UNIT_LIMIT = 2
_SET_COMPUTE_UNIT_PRICE = 3
_TRANSFER_CHECKED = 12


class PaymentInvalidError(Exception):
    """The payment may not be settled.

    Attributes:
        reason: x402's error code.
        sentence: what is wrong, for a person.
        payer: the token owner, as far as it was found.
    """

    def __init__(self, reason: str, sentence: str, payer: str = "") -> None:
        super().__init__(sentence)
        self.reason = reason
        self.sentence = sentence
        self.payer = payer


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the resource server asks for. `amount` in the token's minor units; addresses in base58."""

    mint: str
    pay_to: str
    amount: int
    fee_payer: str
    memo: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactPayment:
    """A payment that passed every check that needs no network.

    Attributes:
        message_hash: SHA-256 of the bytes that everybody signs, hex. The fee payer's signature in slot 0 is not part
            of it, so nobody can make a second identity for one payment.
        payer: owner of the tokens.
        source, destination: token accounts.
        amount: minor units in the instruction, at least what was wanted.
        blockhash: base58; its age bounds the transaction's life.
        priority_fee_lamports: what the fee payer adds to the signatures' fee at most.
    """

    transaction: VersionedTransaction
    message_hash: str
    payer: str
    source: str
    destination: str
    mint: str
    amount: int
    blockhash: str
    priority_fee_lamports: int


def check(encoded: str, wanted: Wanted) -> ExactPayment:
    """Checks a partially signed transaction (base64) against what is wanted.

    Raises:
        PaymentInvalidError: with x402's reason.
    """
    transaction = _decode(encoded)
    message = transaction.message
    if isinstance(message, MessageV0) and message.address_table_lookups:
        raise PaymentInvalidError(LOOKUP_TABLES, "The transaction uses address lookup tables, which are not accepted.")
    keys = list(message.account_keys)
    instructions = list(message.instructions)
    if not MIN_INSTRUCTIONS <= len(instructions) <= MAX_INSTRUCTIONS:
        raise PaymentInvalidError(
            WRONG_COUNT, f"The transaction has {len(instructions)} instructions, not {MIN_INSTRUCTIONS} to 7."
        )
    priority_fee_lamports = _check_compute_budget(keys, instructions)
    payer, source, destination, amount = _check_transfer(keys, instructions[2], wanted)
    _check_optional(keys, instructions[3:], wanted.memo, payer)
    _check_fee_payer(keys, instructions, wanted.fee_payer, payer)
    _check_signers(transaction, keys, payer)
    return ExactPayment(
        transaction=transaction,
        message_hash=message_hash(message),
        payer=payer,
        source=source,
        destination=destination,
        mint=wanted.mint,
        amount=amount,
        blockhash=str(message.recent_blockhash),
        priority_fee_lamports=priority_fee_lamports,
    )


def message_hash(message: Message | MessageV0) -> str:
    """SHA-256 in hex of the bytes that the signatures cover."""
    return hashlib.sha256(to_bytes_versioned(message)).hexdigest()


def _decode(encoded: str) -> VersionedTransaction:
    try:
        raw = base64.b64decode(encoded, validate=True)
        if len(raw) > MAX_TRANSACTION_BYTES:
            raise ValueError("larger than a packet")
        transaction = VersionedTransaction.from_bytes(raw)
        if bytes(transaction) != raw:
            raise ValueError("bytes behind the transaction")
        transaction.sanitize()
    except (binascii.Error, ValueError, TypeError) as error:
        raise PaymentInvalidError(NOT_DECODED, "The transaction is no base64 of a Solana transaction.") from error
    except Exception as error:  # solders raises its own types, which share no base but Exception
        raise PaymentInvalidError(NOT_DECODED, "The transaction is malformed.") from error
    if transaction.uses_durable_nonce():
        raise PaymentInvalidError(DURABLE_NONCE, "The transaction uses a durable nonce, so it would never expire.")
    return transaction


def _check_compute_budget(keys: list[Pubkey], instructions: list[CompiledInstruction]) -> int:
    limit, price = instructions[0], instructions[1]
    limit_data, price_data = bytes(limit.data), bytes(price.data)
    if (
        keys[limit.program_id_index] != COMPUTE_BUDGET_PROGRAM
        or len(limit_data) != 5
        or limit_data[0] != _SET_COMPUTE_UNIT_LIMIT
    ):
        raise PaymentInvalidError(WRONG_LIMIT, "The first instruction must set the compute unit limit.")
    units = int.from_bytes(limit_data[1:], "little")
    if units > MAX_COMPUTE_UNITS:
        raise PaymentInvalidError(WRONG_LIMIT, f"The compute unit limit {units} is above {MAX_COMPUTE_UNITS}.")
    if (
        keys[price.program_id_index] != COMPUTE_BUDGET_PROGRAM
        or len(price_data) != 9
        or price_data[0] != _SET_COMPUTE_UNIT_PRICE
    ):
        raise PaymentInvalidError(WRONG_PRICE, "The second instruction must set the compute unit price.")
    microlamports = int.from_bytes(price_data[1:], "little")
    priority_fee = -(-units * microlamports // 1_000_000)
    if microlamports > MAX_MICROLAMPORTS_PER_UNIT or priority_fee > MAX_PRIORITY_FEE_LAMPORTS:
        raise PaymentInvalidError(
            PRICE_TOO_HIGH,
            f"The priority fee of {priority_fee} lamports ({microlamports} microlamports a unit) is above the cap.",
        )
    return priority_fee


def _check_transfer(keys: list[Pubkey], instruction: CompiledInstruction, wanted: Wanted) -> tuple[str, str, str, int]:
    """Payer, source, destination and amount of the one transfer."""
    program = keys[instruction.program_id_index]
    data, accounts = bytes(instruction.data), bytes(instruction.accounts)
    if program not in TOKEN_PROGRAMS or len(data) != 10 or data[0] != _TRANSFER_CHECKED or len(accounts) != 4:
        raise PaymentInvalidError(NO_TRANSFER, "The third instruction must be one TransferChecked of a single owner.")
    source, mint, destination, authority = (keys[index] for index in accounts)
    payer = str(authority)
    if payer == wanted.fee_payer:
        raise PaymentInvalidError(FEE_PAYER_TRANSFERS, "The transfer would spend the fee payer's own tokens.", payer)
    if str(mint) != wanted.mint:
        raise PaymentInvalidError(WRONG_MINT, f"The transfer moves {mint}, not {wanted.mint}.", payer)
    if destination != associated_token_account(wanted.pay_to, wanted.mint, program):
        raise PaymentInvalidError(
            WRONG_RECIPIENT, f"The transfer goes to {destination}, not to {wanted.pay_to}'s token account.", payer
        )
    if source == destination:
        raise PaymentInvalidError(WRONG_RECIPIENT, "The transfer goes to its own source: nothing would move.", payer)
    amount = int.from_bytes(data[1:9], "little")
    if amount < wanted.amount:
        raise PaymentInvalidError(TOO_LITTLE, f"The transfer moves {amount}, and {wanted.amount} is wanted.", payer)
    return payer, str(source), str(destination), amount


def _check_optional(keys: list[Pubkey], instructions: list[CompiledInstruction], memo: str | None, payer: str) -> None:
    memos = []
    for position, instruction in enumerate(instructions):
        program = keys[instruction.program_id_index]
        if program == MEMO_PROGRAM:
            memos.append(bytes(instruction.data))
        elif program != LIGHTHOUSE_PROGRAM:
            ordinal = _UNKNOWN_OPTIONAL[position]
            raise PaymentInvalidError(
                f"{_PAYLOAD}_unknown_{ordinal}_instruction",
                f"The {ordinal} instruction is neither a memo nor Lighthouse's.",
                payer,
            )
    if memo:
        if len(memos) != 1:
            raise PaymentInvalidError(WRONG_MEMO_COUNT, f"One memo is wanted, and there are {len(memos)}.", payer)
        if memos[0] != memo.encode():
            raise PaymentInvalidError(WRONG_MEMO, "The memo is not the wanted one.", payer)


def _check_fee_payer(keys: list[Pubkey], instructions: list[CompiledInstruction], fee_payer: str, payer: str) -> None:
    if str(keys[0]) != fee_payer:
        raise PaymentInvalidError(FOREIGN_FEE_PAYER, f"The fee payer is {keys[0]}, not {fee_payer}.", payer)
    if any(0 in bytes(instruction.accounts) or instruction.program_id_index == 0 for instruction in instructions):
        raise PaymentInvalidError(
            FEE_PAYER_IN_ACCOUNTS, "The fee payer is an account of an instruction: it may only pay the fee.", payer
        )


def _check_signers(transaction: VersionedTransaction, keys: list[Pubkey], payer: str) -> None:
    signers = [str(key) for key in keys[: transaction.message.header.num_required_signatures]]
    if signers[1:] != [payer]:
        raise PaymentInvalidError(
            WRONG_SIGNERS, f"{len(signers)} signatures are required; only fee payer and payer may sign.", payer
        )
    signature: Signature = transaction.signatures[1]
    if not signature.verify(keys[1], to_bytes_versioned(transaction.message)):
        raise PaymentInvalidError(WRONG_SIGNATURE, "The payer's signature does not fit the transaction.", payer)
